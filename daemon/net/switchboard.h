/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * switchboard.h - the sockets that all media ports share: a few that receive for every port through
 * the program bpf/lookup.bpf.c, and two raw ones and a ring that send from every port.
 * docs/floor.md is the contract. It knows nothing of the packets.
 */
#ifndef RTPX_SWITCHBOARD_H
#define RTPX_SWITCHBOARD_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "net/ring.h"
#include "rtpx_lookup.h"

struct switchboard;

/*
 * The descriptors by which packets come to the shared sockets: those of bpf/lookup.bpf.c's map
 * `receivers`, and the link of its program. -1: none. While a process holds them all, packets to
 * open ports wait in the sockets, even if no daemon runs.
 */
struct switchboard_fds {
	int link, sockets[FLOOR_RECEIVERS];
};

struct switchboard_opts {
	uint16_t port_min, port_max; /* of all media ports */
	uid_t uid; /* owner of the sockets, as the host's rules see it; (uid_t)-1: this process's */
	gid_t gid; /* the same; (gid_t)-1: this process's */
	/*
	 * Local addresses that will have ports; borrowed during the call. The first port of another
	 * address waits for the kernel, for 10 ms or so.
	 */
	const struct addr *hosts;
	unsigned int n_hosts;
	/*
	 * Ports at @hosts of calls that switchboard_open() will open with @anyway; borrowed during
	 * the call. Their packets wait in the shared sockets from now on.
	 */
	const struct addr *expected;
	size_t n_expected;
	/*
	 * NULL, or the descriptors of the previous daemon. Those that the switchboard takes over
	 * become -1; it takes none without a link of this network namespace.
	 */
	struct switchboard_fds *left;
};

/*
 * switchboard_new - open the sockets and load the program. Needs CAP_NET_ADMIN, CAP_NET_RAW and
 * CAP_BPF. 0, or -errno with a sentence in @err: this host or this process cannot share sockets.
 */
int switchboard_new(struct switchboard **out, const struct switchboard_opts *opts, char *err,
		    size_t err_size);
void switchboard_free(struct switchboard *b); /* NULL is allowed */

/*
 * switchboard_open - bring the packets of @local (address and port) to its shared socket. @port is
 * for switchboard_find(). @deaf: drop the packets instead. @anyway: even if this host lacks the
 * address. 0; -EADDRINUSE: another socket has the port; -EADDRNOTAVAIL and others: as bind().
 * The first port of an address that was not in @hosts makes a map, for which CAP_BPF is needed.
 */
int switchboard_open(struct switchboard *b, const struct addr *local, void *port, bool deaf,
		     bool anyway);
void switchboard_close(struct switchboard *b, const struct addr *local);
/*
 * switchboard_use_ports - pairs come from @ports, which is borrowed until switchboard_free(). While
 * many are opened, the kernel is asked about several coming ones at once.
 */
void switchboard_use_ports(struct switchboard *b, struct ports *ports);
/* switchboard_expect_end - close the expected ports that were not opened. */
void switchboard_expect_end(struct switchboard *b);

/* switchboard_fds - the descriptors of @b, which still owns them. */
void switchboard_fds(const struct switchboard *b, struct switchboard_fds *out);

/* switchboard_find - the port that gets packets to @dest; NULL: none does. */
void *switchboard_find(struct switchboard *b, const struct addr *dest);
/*
 * switchboard_slot - where switchboard_find() looks first, so that the caller can fetch the memory
 * before. NULL: nowhere. Valid until switchboard_free().
 */
void *const *switchboard_slot(struct switchboard *b, const struct addr *dest);

/* switchboard_socket - descriptor of shared socket @i, below FLOOR_SOCKETS; -1: no such family. */
int switchboard_socket(const struct switchboard *b, unsigned int i);
/* switchboard_raw - descriptor of the raw socket that sends for a family; -1: no such family. */
int switchboard_raw(const struct switchboard *b, enum addr_family family);

/*
 * switchboard_set_by_port - the host's rules look at the ports of packets that leave, which packets
 * of raw sockets do not show. Then each port sends from a socket of its own.
 */
void switchboard_set_by_port(struct switchboard *b, bool by_port);
bool switchboard_by_port(const struct switchboard *b);

/*
 * switchboard_ring - the ring that sends for all ports, with the finder that switchboard_use_ring()
 * gave; NULL: raw sockets send all packets. The finder is borrowed until switchboard_free().
 */
struct ring *switchboard_ring(const struct switchboard *b, const struct ring_finder **finder);
void switchboard_use_ring(struct switchboard *b, const struct ring_finder *finder);
/* switchboard_has_ring - this host has packet sockets, so switchboard_use_ring() is of use. */
bool switchboard_has_ring(const struct switchboard *b);

/*
 * switchboard_read - called after each batch of shared socket @i. @stamp_ns: the latest time of
 * arrival in it, CLOCK_REALTIME; 0: unknown. @now_ns: CLOCK_REALTIME. @empty: no packet was left.
 */
void switchboard_read(struct switchboard *b, unsigned int i, uint64_t stamp_ns, uint64_t now_ns,
		      bool empty);
/* switchboard_behind - the daemon leaves packets in the sockets to do other work. */
void switchboard_behind(struct switchboard *b, uint64_t now_ns);

/* switchboard_refused - packets dropped because a port had sent more than its share. */
uint64_t switchboard_refused(const struct switchboard *b);

#endif
