/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_verdict.h - the forwarding decision and the per-flow statistics, pure and inline.
 *
 * The same functions decide in the XDP program, in the netfilter module and, as reference, in the
 * daemon and the tests. They read and write nothing but their arguments; parsing, rewriting and
 * checksums are each dataplane's own.
 */
#ifndef RTPX_VERDICT_H
#define RTPX_VERDICT_H

#include "rtpx_payload.h"

/*
 * What a dataplane has found out about a UDP packet. Ports and RTP fields are in host byte order.
 */
struct rtpx_packet {
	__u32 slot;	 /* enum rtpx_slot */
	const __u8 *src; /* 4 or 16 bytes, by slot */
	const __u8 *dst; /* 4 or 16 bytes, by slot */
	__u16 src_port;
	__u16 dst_port;
	__u16 ip_bytes;	     /* of the whole IP packet */
	__u16 payload_bytes; /* of the UDP payload */
	__u8 ttl;	     /* as it arrived */
	__u8 kind;	     /* enum rtpx_payload */
	__u8 payload_type;   /* this and the next four hold for RTPX_PAYLOAD_RTP */
	__u8 marker;	     /* not 0: the marker bit is set */
	__u16 rtp_seq;
	__u16 pad;
	__u32 rtp_ts;
	__u32 ssrc;
	__u64 now_ns; /* CLOCK_MONOTONIC at arrival */
};

#define RTPX_MAX_JUMP 536 /* a sequence number further away than this begins a new segment */

/* rtpx_addr_eq - addresses of one family; @slot tells how long they are. */
static __always_inline int rtpx_addr_eq(__u32 slot, const __u8 *a, const __u8 *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	if (slot == RTPX_SLOT_IP4)
		return x[0] == y[0];
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

/*
 * rtpx_judge - what to do with a packet whose port has this flow. It needs none of the RTP fields,
 * and @m for IPv6 only. RTPX_REASON_relayed: rewrite it and send it through e->nexthop.
 * RTPX_REASON_drop_stranger: ask rtpx_judge_stranger().
 */
static __always_inline enum rtpx_reason rtpx_judge(const struct rtpx_entry *e,
						   const struct rtpx_entry_more *m,
						   const struct rtpx_packet *p)
{
	int in6 = p->slot == RTPX_SLOT_IP6;

	if (!(e->flags & RTPX_FLOW_ACTIVE))
		return RTPX_REASON_pass_no_flow;
	if (!rtpx_addr_eq(p->slot, p->dst, in6 ? m->local6 : e->local4))
		return RTPX_REASON_pass_not_local;
	if (p->ttl <= 1)
		return RTPX_REASON_pass_ttl;
	if (!rtpx_addr_eq(p->slot, p->src, in6 ? m->peer6 : e->peer4) ||
	    (p->src_port != e->peer_port && !(e->flags & RTPX_FLOW_ANY_PORT)))
		return RTPX_REASON_drop_stranger;
	return p->kind == RTPX_PAYLOAD_STUN ? RTPX_REASON_pass_stun : RTPX_REASON_relayed;
}

/* The packet is RTP that goes on with the SSRC of the peer. */
static __always_inline int rtpx_continues(const struct rtpx_entry *e, const struct rtpx_packet *p)
{
	__u16 ahead = p->rtp_seq - e->max_seq;

	return p->kind == RTPX_PAYLOAD_RTP && e->window && p->ssrc == e->ssrc && ahead != 0 &&
	       ahead <= RTPX_MAX_JUMP;
}

/*
 * rtpx_judge_stranger - a packet from a source other than the peer: dropped, unless the daemon is
 * to judge it. RTPX_REASON_pass_relatch: the peer is silent, and the flow lets others speak then.
 */
static __always_inline enum rtpx_reason rtpx_judge_stranger(const struct rtpx_config *c,
							    const struct rtpx_entry *e,
							    const struct rtpx_entry_more *m,
							    const struct rtpx_packet *p)
{
	__u8 may = m->strangers;

	if (may & RTPX_STRANGERS_ALL)
		return RTPX_REASON_pass_open;
	if (m->second_port && rtpx_addr_eq(p->slot, p->src, m->second) &&
	    (p->src_port == m->second_port || may & RTPX_STRANGERS_SECOND_HOST))
		return RTPX_REASON_pass_second;
	if ((__s64)(p->now_ns - e->last_ns) < (__s64)c->silence_ms * 1000000)
		return RTPX_REASON_drop_stranger;
	if (may & RTPX_STRANGERS_SILENT ||
	    (may & RTPX_STRANGERS_HOST &&
	     rtpx_addr_eq(p->slot, p->src, p->slot == RTPX_SLOT_IP6 ? m->peer6 : e->peer4)) ||
	    (may & RTPX_STRANGERS_CONTINUE && rtpx_continues(e, p)))
		return RTPX_REASON_pass_relatch;
	return RTPX_REASON_drop_stranger;
}

/* rtpx_verdict - both, for a flow and statistics that are not in the maps. */
static inline enum rtpx_reason rtpx_verdict(const struct rtpx_config *c, const struct rtpx_flow *f,
					    const struct rtpx_flow_stats *st,
					    const struct rtpx_packet *p)
{
	struct rtpx_entry e = { 0 };
	struct rtpx_entry_more m;
	enum rtpx_reason reason;

	rtpx_entry_put_flow(&e, &m, f, p->slot);
	rtpx_entry_put_stats(&e, &m, st);
	reason = rtpx_judge(&e, &m, p);
	return reason == RTPX_REASON_drop_stranger ? rtpx_judge_stranger(c, &e, &m, p)
						   : reason;
}

/*
 * Ticks of the RTP clock in 1.024 us, times 2^20, by static payload type (RFC 3551 section 6). The
 * rate of a dynamic type is known to the signalling only: 8 kHz is assumed, which is right for
 * telephone events beside a narrow-band codec.
 */
static __always_inline __u64 rtpx_clock_factor(__u8 payload_type)
{
	switch (payload_type) {
	case 6:
		return 17180; /* DVI4 at 16 kHz */
	case 10:
	case 11:
		return 47352; /* L16 at 44.1 kHz */
	case 16:
		return 11838; /* DVI4 at 11,025 Hz */
	case 17:
		return 23676; /* DVI4 at 22,050 Hz */
	case 14:
	case 25 ... 34:
		return 96637; /* MPA, video: 90 kHz */
	default:
		return 8590;
	}
}

/*
 * Interarrival jitter, RFC 3550 A.8. A step of the timestamp beyond two minutes is a restart, no
 * jitter.
 */
static __always_inline void rtpx_stats_jitter(struct rtpx_flow_stats *st,
					      const struct rtpx_packet *p)
{
	__u32 arrival = ((p->now_ns >> 10) * rtpx_clock_factor(p->payload_type)) >> 20;
	__u32 transit = arrival - p->rtp_ts ? arrival - p->rtp_ts : 1, before = st->transit;
	__u32 d = transit - before;

	st->transit = transit;
	if (d >> 31)
		d = -d;
	if (!before || d > 1 << 20)
		return;
	st->jitter_q4 += d - ((st->jitter_q4 + 8) >> 4);
	if (st->jitter_q4 > st->jitter_max_q4)
		st->jitter_max_q4 = st->jitter_q4;
	st->jitter_sum_q4 += st->jitter_q4;
	st->jitter_count++;
	if (st->jitter_sum_q4 >> 31 || st->jitter_count == 0xffff) {
		st->jitter_sum_q4 >>= 1;
		st->jitter_count >>= 1;
	}
}

/*
 * Is a packet @back behind the highest one of this segment missing there? A number within the window
 * has its bit, a number before the segment's first one is missing. Any other number older than the
 * window counts as seen, so that a repeated stream never hides a loss; a packet that comes so late
 * stays lost.
 */
static __always_inline int rtpx_stats_missing(const struct rtpx_flow_stats *st, __u32 back)
{
	if (back < 64)
		return !(st->window >> back & 1);
	return st->max_seq - back < st->base_seq;
}

/*
 * Does a packet @back behind the highest one, with the marker bit, begin a new segment? The sender
 * has started again, as rtpproxy takes it, unless the packet is one that this segment waits for:
 * video sets the marker on the last packet of each picture, and reordering delays those, too.
 */
static __always_inline int rtpx_stats_restarts(const struct rtpx_flow_stats *st, __u32 back)
{
	if (back == 0)
		return 0;
	return back >= 64 || !rtpx_stats_missing(st, back);
}

/* A packet behind the highest one: reordered, or seen before. */
static __always_inline void rtpx_stats_behind(struct rtpx_flow_stats *st, __u32 back)
{
	if (!rtpx_stats_missing(st, back)) {
		st->duplicates++;
		return;
	}
	if (back < 64)
		st->window |= 1ull << back;
	if (st->max_seq - back < st->base_seq)
		st->base_seq = st->max_seq - back;
}

/* A new SSRC, a jump, or a restart. */
static __always_inline void rtpx_stats_segment(struct rtpx_flow_stats *st,
					       const struct rtpx_packet *p)
{
	if (st->max_seq)
		st->sent_prior += st->max_seq - st->base_seq + 1;
	st->segments++;
	st->base_seq = st->max_seq = 0x10000u + p->rtp_seq;
	st->ssrc = p->ssrc;
	st->window = 1;
	st->transit = 0;
}

/*
 * Sequence analysis, RFC 3550 A.1 and A.3 in the manner of rtpproxy: a new SSRC, a jump or a marker
 * on a repeated number begins a new segment.
 */
static __always_inline void rtpx_stats_rtp(struct rtpx_flow_stats *st, const struct rtpx_packet *p)
{
	__s16 ahead = p->rtp_seq - (__u16)st->max_seq;

	if (p->ssrc != st->ssrc || !st->max_seq || ahead > RTPX_MAX_JUMP ||
	    ahead < -RTPX_MAX_JUMP ||
	    (p->marker && ahead <= 0 && rtpx_stats_restarts(st, -ahead))) {
		rtpx_stats_segment(st, p);
	} else if (ahead > 0) {
		st->max_seq += ahead;
		st->window = (ahead < 64 ? st->window << ahead : 0) | 1;
	} else {
		rtpx_stats_behind(st, -ahead);
	}
	st->payload_type = p->payload_type;
	rtpx_stats_jitter(st, p);
}

/*
 * rtpx_stats_longest - the longest gap between two packets, now that there was one of @gap_ns. A
 * coarse time may be before a precise one: then the gap is negative, and none.
 */
static __always_inline __u32 rtpx_stats_longest(__u32 longest_us, __s64 gap_ns)
{
	if (gap_ns < (longest_us + 1ll) * 1000)
		return longest_us;
	return gap_ns < 0xffffffffll * 1000 ? (__u64)gap_ns / 1000 : 0xffffffff;
}

/*
 * rtpx_stats_packet - count an accepted packet, whose time is precise; @rtp: it is the RTP
 * direction, so analyse it (RTCP: only count).
 */
static __always_inline void rtpx_stats_packet(struct rtpx_flow_stats *st,
					      const struct rtpx_packet *p, int rtp)
{
	if (!st->packets)
		st->first_ns = p->now_ns;
	else
		st->longest_us = rtpx_stats_longest(st->longest_us, p->now_ns - st->last_ns);
	st->packets++;
	st->bytes += p->payload_bytes;
	st->last_ns = p->now_ns;
	if (!rtp)
		return;
	if (p->kind == RTPX_PAYLOAD_RTP)
		rtpx_stats_rtp(st, p);
	else
		st->errors++;
}

/*
 * rtpx_stats_next - the same in short, for almost every packet of a dataplane: one that follows the
 * one before, and whose arrival need not be timed. 0: it is none of these, nothing was counted, and
 * rtpx_stats_in_full() is due with the precise time.
 */
static __always_inline int rtpx_stats_next(struct rtpx_entry *e, const struct rtpx_packet *p)
{
	__u16 ahead = p->rtp_seq - e->max_seq;

	if (e->pending >= RTPX_TIMED_EVERY - 1)
		return 0;
	if (e->flags & RTPX_FLOW_RTP) {
		if (p->kind != RTPX_PAYLOAD_RTP || p->ssrc != e->ssrc || ahead - 1u >= 63)
			return 0;
		e->max_seq = p->rtp_seq;
		e->window = e->window << ahead | 1;
	}
	e->longest_us = rtpx_stats_longest(e->longest_us, p->now_ns - e->last_ns);
	e->pending++;
	e->bytes += p->payload_bytes;
	e->last_ns = p->now_ns;
	return 1;
}

/*
 * rtpx_stats_in_full - any other packet. Who reads meanwhile sees that the counts are on their way.
 */
static __always_inline void rtpx_stats_in_full(struct rtpx_entry *e, struct rtpx_entry_more *m,
					       const struct rtpx_packet *p)
{
	__u8 pending = e->pending;

	*(volatile __u8 *)&e->pending = RTPX_PENDING_MOVING;
	rtpx_entry_settle(e, pending, &m->stats);
	rtpx_stats_packet(&m->stats, p, e->flags & RTPX_FLOW_RTP);
	rtpx_entry_resume(e, &m->stats);
}

/* rtpx_stats_received - unique RTP packets of all segments. */
static inline __u32 rtpx_stats_received(const struct rtpx_flow_stats *st)
{
	return st->packets - st->duplicates - st->errors;
}

/* rtpx_stats_kernel - packets that a dataplane forwarded. */
static inline __u64 rtpx_stats_kernel(const struct rtpx_flow_stats *st)
{
	return st->packets - st->daemon_packets;
}

/* rtpx_stats_expected - packets that the sender has sent, by its sequence numbers, all segments. */
static inline __u32 rtpx_stats_expected(const struct rtpx_flow_stats *st)
{
	return st->max_seq ? st->sent_prior + st->max_seq - st->base_seq + 1 : 0;
}

/* rtpx_stats_lost - expected and not received. */
static inline __u32 rtpx_stats_lost(const struct rtpx_flow_stats *st)
{
	__u32 expected = rtpx_stats_expected(st), received = rtpx_stats_received(st);

	return expected > received ? expected - received : 0;
}

#endif
