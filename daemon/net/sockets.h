/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockets.h - the floor: media ports, which receive and send packets in batches.
 *
 * Owns every media port. A port has a socket of its own, or shares those of a switchboard, or sends
 * from its own only (switchboard_set_by_port). ICMP errors reach no port; an error of a socket is
 * counted, never fatal.
 */
#ifndef RTPX_SOCKETS_H
#define RTPX_SOCKETS_H

#include "base/addr.h"
#include "base/base.h"

struct event_base;
struct sockets;
struct switchboard;
struct sockets_pair; /* an even media port, and the next one */
struct sockets_port; /* one port of a pair */

#define SOCKETS_PAIR 2 /* ports of a pair; the even one has tag 0, the other one tag 1 */

struct sockets_packet {
	struct addr src;
	struct addr local; /* destination address and port of the packet */
	const uint8_t *data;
	size_t len;
	uint8_t ttl;	     /* TTL or hop limit on arrival */
	uint64_t arrival_ns; /* CLOCK_MONOTONIC equivalent of the kernel's receive time stamp */
};

#define SOCKETS_STEPS 3 /* of sockets_opts.expect */

struct sockets_opts {
	/*
	 * on_packet - a datagram arrived; @owner is the argument of pair_open, and @tag the port's.
	 * Data is valid during the call only.
	 */
	void (*on_packet)(void *arg, void *owner, unsigned int tag,
			  const struct sockets_packet *pkt);
	/*
	 * expect - NULL, or called for all packets of a batch before the first of them arrives,
	 * with @step 0, then for all with the next one below SOCKETS_STEPS: the place to fetch
	 * memory that a step before it points at.
	 */
	void (*expect)(void *arg, void *owner, unsigned int tag, unsigned int step);
	/* batch_end - called after the sockets of a round: the place to flush queued packets. */
	void (*batch_end)(void *arg);
	/*
	 * sent - NULL, or called with the result of each datagram of a port: @err is 0 or -errno.
	 * @note is the sender's. Called from sockets_flush(), sockets_port_send() and
	 * sockets_pair_close().
	 */
	void (*sent)(void *arg, void *owner, unsigned int tag, unsigned int note, size_t len,
		     int err);
	void *arg;
	int rcvbuf_bytes;  /* SO_RCVBUF of a port's socket, best effort; 0: the system's default */
	bool double_small; /* -2: send packets of less than 128 bytes twice */
	struct switchboard *switchboard; /* NULL: a socket for each port. Borrowed */
	bool deaf; /* with a switchboard: its packets are not for these ports, which only send */
};

/* member, metric, text */
#define SOCKETS_COUNTERS(X)                                                                    \
	X(received, "socket_packets_received_total", "Packets that media sockets received.")   \
	X(sent, "socket_packets_sent_total", "Packets that media sockets sent.")               \
	X(send_errors, "socket_send_errors_total",                                             \
	  "Packets that the kernel refused to send from a media socket.")                      \
	X(icmp_errors, "socket_icmp_errors_total", "ICMP errors that media sockets received.") \
	X(refused, "socket_packets_refused_total",                                             \
	  "Packets dropped because their port had more than its share of a shared socket.")    \
	X(ring, "socket_packets_ring_total", "Packets sent by the ring of shared sockets.")

struct sockets_counts {
#define SOCKETS_FIELD(name, metric, text) uint64_t name;
	SOCKETS_COUNTERS(SOCKETS_FIELD)
#undef SOCKETS_FIELD
	unsigned int ports;
	unsigned int own; /* ports with a descriptor of their own */
};

int sockets_new(struct sockets **out, struct event_base *base, const struct sockets_opts *opts);
void sockets_free(struct sockets *u);

struct sockets_bind {
	struct addr local; /* address and port */
	uint8_t tos;	   /* IP_TOS or IPV6_TCLASS */
	bool anyway;	   /* even if this host lacks the address now */
};

/*
 * pair_open - open the even port @to->local and the next one, or none. -EADDRINUSE and -EACCES: try
 * another pair; -EMFILE: out of descriptors; other errors: the address is not usable. @owner comes
 * back with each packet.
 */
int sockets_pair_open(struct sockets *u, const struct sockets_bind *to, void *owner,
		      struct sockets_pair **out);
void sockets_pair_close(struct sockets *u, struct sockets_pair *pair);
int sockets_pair_set_tos(struct sockets *u, struct sockets_pair *pair, int tos);
/* pair_expect - fetch the memory of a pair that will send. */
void sockets_pair_expect(const struct sockets_pair *pair);
/* sockets_port - the port with @tag; valid as long as the pair. */
struct sockets_port *sockets_port(struct sockets_pair *pair, unsigned int tag);

/*
 * port_send - queue one datagram (the bytes are copied) from @p to @dest. @source picks the source
 * address of a wildcard port (ADDR_NONE: the kernel's choice). sockets_flush() sends the queue with
 * sendmmsg. 0, or -errno for an error that is known at once.
 */
int sockets_port_send(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, const uint8_t *data, size_t len);
/* The manner of sending a datagram; all zero: as sockets_port_send() does. */
struct sockets_manner {
	uint8_t ttl;	   /* TTL or hop limit; 0: the system's default */
	unsigned int note; /* for opts.sent */
};
/* sockets_port_send_as - as sockets_port_send(), in another manner. */
int sockets_port_send_as(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			 const struct addr *source, const uint8_t *data, size_t len,
			 struct sockets_manner manner);
/*
 * port_send_also - as sockets_port_send_as(), to a second address that may not exist: neither the
 * datagram nor an error is counted.
 */
void sockets_port_send_also(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			    const struct addr *source, const uint8_t *data, size_t len,
			    struct sockets_manner manner);
void sockets_flush(struct sockets *u);
/*
 * sockets_serve - read the packets that have arrived, as the loop does. For code that keeps the
 * loop waiting. Nothing happens if that code was called for a packet.
 */
void sockets_serve(struct sockets *u);
/*
 * sockets_expect - call @missing for each packet that a shared socket has for a port that is not
 * open. It may open the port, which then gets the packet. NULL: no longer.
 */
void sockets_expect(struct sockets *u, void (*missing)(void *arg, const struct addr *dest),
		    void *arg);

/* sockets_can_bind - 0, or -errno when no socket of this host can have the address. */
int sockets_can_bind(const struct addr *local);
void sockets_counts(const struct sockets *u, struct sockets_counts *out);

#endif
