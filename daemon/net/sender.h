/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.h - sends the packets of all media ports in batches: with the port's own socket, or from
 * every port with raw sockets and the ring. It knows nothing of calls. docs/floor.md is the
 * contract of the ring.
 *
 * A raw socket sends the packet that the port's socket would have sent: same source, TOS, TTL,
 * fragments and "don't fragment", and the same way through the firewall.
 */
#ifndef RTPX_SENDER_H
#define RTPX_SENDER_H

#include "base/addr.h"
#include "base/base.h"
#include "net/ring.h"

#define SENDER_MAX_PACKET 65527 /* longest UDP payload, with IPv6 */

struct sender;

/* A port as the source of packets. */
struct sender_port {
	bool own;    /* it has a socket; else the raw sockets and the ring send */
	uint8_t tos; /* TOS or traffic class of packets, and of the socket */
	uint8_t tag; /* the caller's */
	union {
		int fd;		  /* its own socket, bound to the port */
		uint32_t seen_to; /* the sender's: a hash of the destination of seen_ms */
	};
	uint32_t seen_ms; /* the sender's: when the host's rules saw its latest packet, mod 2^32 */
};

struct sender_opts {
	int raw4, raw6;	   /* raw sockets, see switchboard_raw(); -1: none. Borrowed */
	struct ring *ring; /* NULL: none. Borrowed, like its finder */
	const struct ring_finder *finder;
	/* sent - NULL, or called with the result of each datagram: @err is 0 or -errno. */
	void (*sent)(void *arg, struct sender_port *from, unsigned int note, size_t len, int err);
	void *arg;
};

/* The manner of sending a datagram. */
struct sender_manner {
	uint8_t ecn;	   /* ECN of the packet (RFC 3168); it joins the port's TOS */
	uint8_t ttl;	   /* TTL or hop limit; 0: the system's default */
	unsigned int note; /* for opts.sent */
	uint8_t copies;	   /* send it so often; the first is reported to opts.sent ... */
	bool unreported;   /* ... unless this is set */
};

int sender_new(struct sender **out, const struct sender_opts *opts);
void sender_free(struct sender *s); /* sends what waits. NULL is allowed */

/*
 * sender_put - queue one datagram; the bytes are copied. @local: address and port of @from.
 * @source: the source address where that is any address; ADDR_NONE: the kernel's choice. Sends the
 * queue when it is full. 0, or -errno for an error that is known at once. @from must stay until the
 * queue has been sent.
 */
int sender_put(struct sender *s, struct sender_port *from, const struct addr *local,
	       const struct addr *dest, const struct addr *source, struct span data,
	       struct sender_manner manner);
void sender_flush(struct sender *s);
/* sender_has - a datagram of this port waits. */
bool sender_has(const struct sender *s, const struct sender_port *from);
/* sender_ring_sent - datagrams that left by the ring. */
uint64_t sender_ring_sent(const struct sender *s);

/*
 * sender_source - the local address, port 0, that the kernel would send from to @dest; nothing is
 * sent. 0 or -errno when there is no route.
 */
int sender_source(const struct addr *dest, struct addr *source);

#endif
