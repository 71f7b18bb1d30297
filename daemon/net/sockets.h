/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockets.h - the floor: media sockets, recvmmsg and sendmmsg.
 *
 * Owns every media port. Narrow on purpose (open, send, set TOS, close and one callback), so that
 * many ports can share one socket later. ICMP errors reach no port; an error of a socket is
 * counted, never fatal.
 */
#ifndef RTPX_SOCKETS_H
#define RTPX_SOCKETS_H

#include "base/addr.h"
#include "base/base.h"

struct event_base;
struct sockets;
struct sockets_port; /* a media port's handle */

#define SOCKETS_MAX_PACKET 65527 /* the longest payload of UDP that there is, with IPv6 */

struct sockets_packet {
	struct addr src;
	struct addr local;	/* destination address and port of the packet */
	const uint8_t *data;
	size_t len;
	uint8_t ttl;		/* TTL or hop limit as it arrived */
	uint64_t arrival_ns;	/* CLOCK_MONOTONIC equivalent of the kernel's receive time stamp */
	uint64_t realtime_ns;	/* the same as CLOCK_REALTIME */
};

struct sockets_opts {
	/*
	 * on_packet - a datagram arrived; @owner and @tag are those of port_open. Data is valid
	 * during the call only.
	 */
	void (*on_packet)(void *arg, void *owner, unsigned int tag,
			  const struct sockets_packet *pkt);
	/* batch_end - after each batch: the place to flush what was sent. */
	void (*batch_end)(void *arg);
	/*
	 * sent - NULL, or told what became of each datagram of a port: 0 or -errno. @note is the
	 * sender's. Comes from sockets_flush(), sockets_port_send() and sockets_port_close().
	 */
	void (*sent)(void *arg, void *owner, unsigned int tag, unsigned int note, size_t len,
		     int err);
	void *arg;
	int rcvbuf_bytes; /* SO_RCVBUF, best effort; 0: the system's */
	bool double_small; /* -2: send packets of less than 128 bytes twice */
};

struct sockets_counts {
	uint64_t received, sent, send_errors, icmp_errors;
	unsigned int ports;
};

int sockets_new(struct sockets **out, struct event_base *base, const struct sockets_opts *opts);
void sockets_free(struct sockets *u);

/*
 * port_open - bind a socket to @local (address and port). -EADDRINUSE and -EACCES: try another
 * port; -EMFILE: out of descriptors; other errors: the address is not usable. @tos: IP_TOS or
 * IPV6_TCLASS.
 */
int sockets_port_open(struct sockets *u, const struct addr *local, uint8_t tos, void *owner,
		      unsigned int tag, struct sockets_port **out);
/*
 * bind_anyway - ports that are opened from now on may have an address that this host does not have
 * now.
 */
void sockets_bind_anyway(struct sockets *u, bool on);
void sockets_port_close(struct sockets *u, struct sockets_port *p);
int sockets_port_set_tos(struct sockets *u, struct sockets_port *p, int tos);

/*
 * port_send - queue one datagram (the bytes are copied) from @p to @dest; @source picks the source
 * address of a wildcard port (ADDR_NONE: the kernel's choice). Sent by sockets_flush() with
 * sendmmsg. 0, or -errno of what is known at once.
 */
int sockets_port_send(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, const uint8_t *data, size_t len);
/* How a datagram is sent; all zero: as sockets_port_send() does. */
struct sockets_manner {
	uint8_t ttl;	   /* TTL or hop limit; 0: the system's */
	unsigned int note; /* for opts.sent */
};
/* sockets_port_send_as - the same in another manner. */
int sockets_port_send_as(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			 const struct addr *source, const uint8_t *data, size_t len,
			 struct sockets_manner manner);
/* port_send_also - the same to a second address, where nothing may be: no fault of it is counted. */
void sockets_port_send_also(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			    const struct addr *source, const uint8_t *data, size_t len,
			    struct sockets_manner manner);
void sockets_flush(struct sockets *u);
/* sockets_serve - what has arrived by now, as in the loop; for whoever keeps the loop waiting. */
void sockets_serve(struct sockets *u);

/*
 * sockets_source - the local address, port 0, that the kernel would send from to @dest; nothing is
 * sent. 0 or -errno when there is no route.
 */
int sockets_source(const struct addr *dest, struct addr *source);

/* sockets_can_bind - 0, or -errno when no socket of this host can have the address. */
int sockets_can_bind(const struct addr *local);
void sockets_counts(const struct sockets *u, struct sockets_counts *out);

#endif
