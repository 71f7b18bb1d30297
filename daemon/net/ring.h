/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - sends UDP packets as whole Ethernet frames through the ring of a packet socket
 * (packet(7), TPACKET_V2). The kernel neither routes nor filters them, see docs/floor.md.
 *
 * It knows nothing of ports, and asks no one for a next hop: the caller has it.
 */
#ifndef RTPX_RING_H
#define RTPX_RING_H

#include <netinet/udp.h>

#include "base/addr.h"
#include "base/base.h"

struct ring;

/* The way of packets onto the wire. */
struct ring_way {
	unsigned int ifindex;
	uint8_t macs[12];    /* destination and source, as in the frame */
	uint16_t mtu;	     /* bytes of the longest IP packet */
	uint8_t ttl;	     /* TTL or hop limit that the host's socket would send with */
	uint32_t label_mask; /* bits of IPv6's flow label to use */
};

/* find - the way of a packet, ports included; false: the ring must not send it. */
struct ring_finder {
	bool (*find)(void *arg, const struct addr *source, const struct addr *dest, uint8_t tos,
		     uint64_t now_ns, struct ring_way *out);
	void *arg;
};

struct ring_packet {
	struct addr source, dest; /* with ports, of one family */
	uint8_t tos;
	uint8_t ttl; /* 0: that of the way */
	struct span data;
};

/* ring_udp - the UDP header of a packet, with its checksum (RFC 768, RFC 8200 section 8.1). */
struct udphdr ring_udp(const struct addr *source, const struct addr *dest, struct span data);

/* ring_new - needs CAP_NET_RAW. 0 or -errno. */
int ring_new(struct ring **out);
void ring_free(struct ring *r); /* NULL is allowed */

/*
 * ring_put - write a frame. False: the ring is full, or the packet is too long for it. All frames
 * between two ring_send() have the same device and family.
 */
bool ring_put(struct ring *r, const struct ring_way *way, const struct ring_packet *p);
/*
 * ring_send - send the frames that were put since the previous ring_send(). @now_ns:
 * CLOCK_MONOTONIC. Returns how many of them, from the first on, the device has taken. The others
 * are gone from the ring. A capture (tcpdump) sees frames from CAPTURES_NS after its beginning on.
 */
unsigned int ring_send(struct ring *r, unsigned int ifindex, enum addr_family family,
		       uint64_t now_ns);

#endif
