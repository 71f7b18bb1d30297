/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * direction.h - a direction of a session: the leg that packets arrive at, and RTP or RTCP.
 *
 *	sender ──► in ─ rtpxd ─ out ──► receiver
 *
 * The party of the leg `in` sends the packets. They leave from the other leg, to that leg's party.
 * A direction is passed by value, and is as good as its session.
 */
#ifndef RTPX_DIRECTION_H
#define RTPX_DIRECTION_H

#include "call/session.h"

struct direction {
	struct leg *in;
	enum stream_kind kind;
};

enum { DIRECTIONS = SESSION_PARTIES * STREAM_KINDS }; /* of a session */

/* session_direction - the direction with number @i, 0 to DIRECTIONS - 1. */
static inline struct direction session_direction(const struct session *s, unsigned int i)
{
	return (struct direction){ (struct leg *)&s->leg[i / STREAM_KINDS], i % STREAM_KINDS };
}

/* direction_to - the direction whose packets leave from @out. */
static inline struct direction direction_to(const struct leg *out, enum stream_kind kind)
{
	return (struct direction){ leg_other(out), kind };
}

static inline struct leg *direction_out(struct direction d)
{
	return leg_other(d.in);
}

static inline struct session *direction_session(struct direction d)
{
	return leg_session(d.in);
}

/* direction_sender, direction_receiver - the addresses and statistics of the two parties. */
static inline struct stream *direction_sender(struct direction d)
{
	return &d.in->stream[d.kind];
}

static inline struct stream *direction_receiver(struct direction d)
{
	return &direction_out(d)->stream[d.kind];
}

/*
 * direction_port, direction_out_port - the local ports that the packets arrive at and leave from;
 * 0 or 1: the leg has no port.
 */
static inline uint16_t direction_port(struct direction d)
{
	return d.in->local.port + d.kind;
}

static inline uint16_t direction_out_port(struct direction d)
{
	return direction_out(d)->local.port + d.kind;
}

/*
 * direction_source - the source address of packets that leave: the address that the receiver sends
 * to. If this stream of the receiver is silent, the address of its other stream. ADDR_NONE: both
 * are silent. The port is not the source port.
 */
static inline const struct addr *direction_source(struct direction d)
{
	const struct stream *streams = direction_out(d)->stream;
	const struct addr *own = &stream_rest(&streams[d.kind])->local;

	return own->family != ADDR_NONE ? own : &stream_rest(&streams[!d.kind])->local;
}

/* direction_nexthop - the id of the next hop to the receiver; 0: none. */
static inline uint16_t *direction_nexthop(struct direction d)
{
	return &direction_out(d)->nexthop[d.kind];
}

/* direction_bit - the kind's bit in d.in->installed, recorded and tapped. */
static inline uint8_t direction_bit(struct direction d)
{
	return 1 << d.kind;
}

/* direction_text - "caller rtp": the party that sends, and the kind. */
const char *direction_text(struct direction d);

#endif
