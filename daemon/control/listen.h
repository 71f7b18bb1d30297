/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h - control sockets: unix, cunix, udp, udp6, tcp, tcp6, stdio, stdioc, systemd; framing,
 * cookies and the retransmission cache. It does not interpret commands.
 */
#ifndef RTPX_LISTEN_H
#define RTPX_LISTEN_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/base.h"
#include "control/passed.h"

struct cookies;
struct event_base;
struct listen;

struct listen_opts {
	/*
	 * run - execute one command. Writes at most 1024 bytes to @reply and returns their number.
	 * @peer: the sender; ADDR_NONE on unix sockets and stdio. @now_ns: CLOCK_MONOTONIC, read
	 * once per batch.
	 */
	size_t (*run)(void *arg, const char *line, size_t len, const struct addr *peer,
		      uint64_t now_ns, char *reply);
	/*
	 * expect - the commands of @n datagrams, at most DATAGRAMS_BATCH, before the first one
	 * runs: the memory that they will read can be fetched. May be NULL.
	 */
	void (*expect)(void *arg, const struct span *commands, unsigned int n);
	/*
	 * settle - write the changes of a batch of commands to disk. The replies leave when it
	 * returns. May be NULL.
	 */
	void (*settle)(void *arg);
	/* duplicate - a datagram was answered from the cache. */
	void (*duplicate)(void *arg);
	/* eof - stdin has ended: begin a slow shutdown; @must_exit (stdioc): exit at once. */
	void (*eof)(void *arg, bool must_exit);
	void *arg;
	bool no_resolve;
	uid_t uid; /* owner of unix sockets; (uid_t)-1: the process's user */
	gid_t gid;
	int mode; /* mode of unix sockets; -1: 0777 without the bits of the umask */
	/* retry bind() for so long, as a killed previous daemon may still have the address */
	unsigned int patience_ms;
	bool anywhere; /* the host may lack the address now: a standby gets it later */
};

int listen_new(struct listen **out, const struct listen_opts *opts);

/*
 * listen_passed - hand in @fd, a bound socket that was open before this process. Takes @fd over.
 * Call it before listen_add(), which uses it instead of opening a socket of the same type and
 * address.
 */
void listen_passed(struct listen *l, int fd, enum passed_origin origin);

/*
 * listen_add - open the socket of one -s SPEC. Call it before the daemon forks. @foreground: stdio
 * is allowed. On failure -errno, with a sentence in @err that names the spec and the remedy.
 */
int listen_add(struct listen *l, const char *spec, bool foreground, char *err, size_t err_size);

/*
 * listen_added - call it after the last listen_add(). "systemd:" takes the remaining sockets of
 * socket units; all other passed sockets that remain are closed. On failure -errno, with a sentence
 * in @err.
 */
int listen_added(struct listen *l, char *err, size_t err_size);

/* listen_store - ask the service manager to hold the sockets that it does not hold; systemd.h. */
void listen_store(const struct listen *l);

/*
 * listen_group - the sockets at the address @at belong to an address group; all others belong to
 * group 0. Call it after listen_added().
 * listen_at - the group of the socket that the latest command came through.
 */
void listen_group(struct listen *l, const struct addr *at, unsigned int group);
unsigned int listen_at(const struct listen *l);

/*
 * listen_start - begin to serve the added sockets of an address group, in @base. Does nothing a
 * second time. 0 or -ENOMEM.
 */
int listen_start(struct listen *l, struct event_base *base, unsigned int group);

/*
 * listen_stop - stop accepting connections and reading datagrams. @leave: leave the sockets to the
 * next daemon, and go on serving open connections. Otherwise end the connections, unlink unix
 * sockets and ask the service manager to drop its copies.
 *
 * listen_is_answering - an accepted connection of "unix:" still waits for its one reply. After
 * listen_stop(), run the loop until this is false.
 */
void listen_stop(struct listen *l, bool leave);
bool listen_is_answering(const struct listen *l);
void listen_free(struct listen *l);

/*
 * listen_fds - fill @fds with the descriptors of all sockets, also of passed ones that no
 * listen_add() has taken. Returns their number, at most @max. The caller must not close them.
 */
unsigned int listen_fds(const struct listen *l, int *fds, unsigned int max);

/* listen_describe - the n-th listener as text ("udp:127.0.0.1:7722"); NULL past the end. */
const char *listen_describe(const struct listen *l, unsigned int n);
/* listen_has_udp - a listener is udp or udp6; for rtpproxy's root check, which -F turns off. */
bool listen_has_udp(const struct listen *l);
/* listen_cookies - the retransmission cache, for the keeper. */
struct cookies *listen_cookies(const struct listen *l);
/* listen_replies_bytes - bytes of memory that the retransmission cache takes. */
size_t listen_replies_bytes(const struct listen *l);

#endif
