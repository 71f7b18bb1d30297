/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_verdict.h - the forwarding decision and the per-flow statistics, pure and inline.
 *
 * The XDP program and the netfilter module decide with these functions, and so do the daemon and
 * the tests, as reference. The functions read and write nothing but their arguments. Each dataplane
 * has its own parsing, rewriting and checksums.
 */
#ifndef RTPX_VERDICT_H
#define RTPX_VERDICT_H

#include "rtpx_payload.h"

/*
 * Facts that a dataplane has found about a UDP packet. Ports and RTP fields are in host byte order.
 */
struct rtpx_packet {
	__u32 family;	 /* enum rtpx_family */
	const __u8 *src; /* 4 or 16 bytes, by family */
	const __u8 *dst; /* 4 or 16 bytes, by family */
	__u16 src_port;
	__u16 dst_port;
	__u16 ip_bytes;	     /* bytes of the whole IP packet */
	__u16 payload_bytes; /* bytes of the UDP payload */
	__u8 ttl;	     /* as it arrived */
	__u8 kind;	     /* enum rtpx_payload */
	__u8 payload_type;   /* this and the next four are valid for RTPX_PAYLOAD_RTP */
	__u8 marker;	     /* not 0: the marker bit is set */
	__u16 rtp_seq;
	__u16 pad;
	__u32 rtp_ts;
	__u32 ssrc;
	__u64 now_ns; /* CLOCK_MONOTONIC at arrival */
};

#define RTPX_MAX_JUMP 536 /* a sequence number further away than this begins a new segment */

/* rtpx_addr_eq - compare two addresses of one family; @family tells their length. */
static __always_inline int rtpx_addr_eq(__u32 family, const __u8 *a, const __u8 *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	if (family == RTPX_FAMILY_IP4)
		return x[0] == y[0];
	return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

/*
 * Two answers of a judge that leave the decision to the next judge. At the end they are counted as
 * the reasons of the same value.
 */
#define RTPX_GO_ON RTPX_REASON_relayed		/* no objection: rewrite the packet and send it */
#define RTPX_STRANGER RTPX_REASON_drop_stranger /* another source: ask rtpx_judge_stranger() */

/*
 * rtpx_judge - decide about a packet to the port of this flow. It reads none of the RTP fields, and
 * @m for IPv6 only. RTPX_GO_ON, RTPX_STRANGER, or the final reason.
 */
static __always_inline enum rtpx_reason rtpx_judge(const struct rtpx_entry *e,
						   const struct rtpx_entry_more *m,
						   const struct rtpx_packet *p)
{
	int in6 = p->family == RTPX_FAMILY_IP6;

	if (!(e->flags & RTPX_FLOW_ACTIVE))
		return RTPX_REASON_pass_no_flow;
	if (!rtpx_addr_eq(p->family, p->dst, in6 ? m->local6 : e->local4))
		return RTPX_REASON_pass_not_local;
	if (p->ttl <= 1)
		return RTPX_REASON_pass_ttl;
	if (!rtpx_addr_eq(p->family, p->src, in6 ? m->peer6 : e->peer4) ||
	    (rtpx_be16(p->src_port) != e->peer_port && !(e->flags & RTPX_FLOW_ANY_PORT)))
		return RTPX_STRANGER;
	return p->kind == RTPX_PAYLOAD_STUN ? RTPX_REASON_pass_stun : RTPX_GO_ON;
}

/*
 * rtpx_judge_event - for a packet that rtpx_judge() relays: pass telephone events of a flow whose
 * digits the daemon reports, RFC 4733. Needs the RTP fields.
 */
static __always_inline enum rtpx_reason rtpx_judge_event(const struct rtpx_entry *e,
							 const struct rtpx_entry_more *m,
							 const struct rtpx_packet *p)
{
	return e->flags & RTPX_FLOW_EVENTS && p->kind == RTPX_PAYLOAD_RTP &&
			       p->payload_type == m->event_type
		       ? RTPX_REASON_pass_event
		       : RTPX_GO_ON;
}

/* The packet is RTP that goes on with the SSRC of the peer. */
static __always_inline int rtpx_continues(const struct rtpx_entry *e, const struct rtpx_packet *p)
{
	__u16 ahead = p->rtp_seq - e->max_seq;

	return p->kind == RTPX_PAYLOAD_RTP && e->window && p->ssrc == e->ssrc && ahead != 0 &&
	       ahead <= RTPX_MAX_JUMP;
}

/*
 * rtpx_judge_stranger - decide about a packet from a source other than the peer: drop it, or pass
 * it for the daemon to judge. RTPX_REASON_pass_relatch: the peer is silent, and the flow admits
 * this source then.
 */
static __always_inline enum rtpx_reason rtpx_judge_stranger(const struct rtpx_config *c,
							    const struct rtpx_entry *e,
							    const struct rtpx_entry_more *m,
							    const struct rtpx_packet *p)
{
	__u8 may = m->strangers;

	if (may & RTPX_STRANGERS_ALL)
		return RTPX_REASON_pass_open;
	if (m->second_port && rtpx_addr_eq(p->family, p->src, m->second) &&
	    (p->src_port == m->second_port || may & RTPX_STRANGERS_SECOND_HOST))
		return RTPX_REASON_pass_second;
	if ((__s64)(p->now_ns - e->last_ns) < (__s64)c->silence_ms * 1000000)
		return RTPX_REASON_drop_stranger;
	if (may & RTPX_STRANGERS_SILENT ||
	    (may & RTPX_STRANGERS_HOST &&
	     rtpx_addr_eq(p->family, p->src, p->family == RTPX_FAMILY_IP6 ? m->peer6 : e->peer4)) ||
	    (may & RTPX_STRANGERS_CONTINUE && rtpx_continues(e, p)))
		return RTPX_REASON_pass_relatch;
	return RTPX_REASON_drop_stranger;
}

/* ---- jitter ---- */

#define RTPX_CLOCK_UNIT_NS 1024		  /* unit of rtpx_flow_stats.timed_at */
#define RTPX_CLOCK_MEASURED (1000 * 1000) /* least units of a measurement that is believed */
#define RTPX_CLOCK_44100_MEASURED (8 * RTPX_CLOCK_MEASURED) /* near to 48 kHz, and rare */
/* a measurement begins again after so many units */
#define RTPX_CLOCK_GIVEN_UP (16 * RTPX_CLOCK_MEASURED)

/* Ticks of a clock of @hz in one unit, times 2^20. */
#define RTPX_CLOCK_FACTOR(hz) \
	((__u32)(((hz) * (1ull << 20) * RTPX_CLOCK_UNIT_NS + 500000000) / 1000000000))

static __always_inline __u32 rtpx_clock_factor(__u8 clock)
{
	switch (clock) {
#define RTPX_CLOCK_CASE(hz)   \
	case RTPX_CLOCK_##hz: \
		return RTPX_CLOCK_FACTOR(hz);
		RTPX_CLOCKS(RTPX_CLOCK_CASE)
#undef RTPX_CLOCK_CASE
	default:
		return 0;
	}
}

/* rtpx_clock_hz - the rate of a clock in Hz; 0: not known. */
static inline __u32 rtpx_clock_hz(__u8 clock)
{
	switch (clock) {
#define RTPX_CLOCK_CASE(hz)   \
	case RTPX_CLOCK_##hz: \
		return hz;
		RTPX_CLOCKS(RTPX_CLOCK_CASE)
#undef RTPX_CLOCK_CASE
	default:
		return 0;
	}
}

/* The clock of a static payload type, RFC 3551 section 6; RTPX_CLOCK_SOUGHT for a dynamic one. */
static __always_inline __u8 rtpx_clock_of_type(__u8 payload_type)
{
	switch (payload_type) {
	case 6: /* DVI4 */
		return RTPX_CLOCK_16000;
	case 10: /* L16 */
	case 11:
		return RTPX_CLOCK_44100;
	case 16: /* DVI4 */
		return RTPX_CLOCK_11025;
	case 17: /* DVI4 */
		return RTPX_CLOCK_22050;
	case 14: /* MPA, video */
	case 25 ... 34:
		return RTPX_CLOCK_90000;
	case 35 ... 127:
		return RTPX_CLOCK_SOUGHT;
	default:
		return RTPX_CLOCK_8000; /* G.722, too */
	}
}

/*
 * rtpx_clock_measured - the clock that makes @ticks in @units, to 4 %; RTPX_CLOCK_SOUGHT: not clear
 * yet.
 */
static __always_inline __u8 rtpx_clock_measured(__s32 units, __s32 ticks)
{
	__u8 found = RTPX_CLOCK_SOUGHT;
	__u64 factor;

	if (units < RTPX_CLOCK_MEASURED || ticks <= 0)
		return RTPX_CLOCK_SOUGHT;
	factor = ((__u64)ticks << 20) / (__u32)units;
#define RTPX_CLOCK_NEAR(hz)                                                                   \
	if (factor - RTPX_CLOCK_FACTOR(hz) * 24ull / 25 <= RTPX_CLOCK_FACTOR(hz) * 2ull / 25) \
		found = RTPX_CLOCK_##hz;
	RTPX_CLOCKS(RTPX_CLOCK_NEAR)
#undef RTPX_CLOCK_NEAR
	if (found == RTPX_CLOCK_11025 || found == RTPX_CLOCK_22050)
		return RTPX_CLOCK_SOUGHT; /* only static types have it */
	if (found == RTPX_CLOCK_44100 && units < RTPX_CLOCK_44100_MEASURED)
		return RTPX_CLOCK_SOUGHT;
	return found;
}

/* Note the time of a packet, without comparing it to an earlier one. */
static __always_inline void rtpx_stats_time(struct rtpx_flow_stats *st, const struct rtpx_packet *p,
					    __u8 clock)
{
	st->clock = clock;
	st->timed_at = p->now_ns / RTPX_CLOCK_UNIT_NS;
	st->timed_ts = p->rtp_ts;
}

/*
 * rtpx_jitter_add - add D of RFC 3550 A.8, which is @d timestamp units. A step of more than 2^20
 * units (22 s at 48 kHz) is a restart of the sender's clock, not jitter.
 */
static __always_inline void rtpx_jitter_add(struct rtpx_flow_stats *st, __u32 d)
{
	if (d >> 31)
		d = -d;
	if (d > 1 << 20)
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
 * Interarrival jitter. Packets of two payload types are compared only if both types are static and
 * have the same clock. The timestamp of telephone events, for example, stands still.
 */
static __always_inline void rtpx_stats_jitter(struct rtpx_flow_stats *st,
					      const struct rtpx_packet *p)
{
	__s32 units = (__u32)(p->now_ns / RTPX_CLOCK_UNIT_NS) - st->timed_at;
	__u32 ticks = p->rtp_ts - st->timed_ts, expected;
	__u8 clock = rtpx_clock_of_type(p->payload_type);

	if (st->clock == RTPX_CLOCK_NONE || (p->payload_type != st->payload_type &&
					     (clock == RTPX_CLOCK_SOUGHT || clock != st->clock))) {
		rtpx_stats_time(st, p, clock);
		return;
	}
	if (st->clock == RTPX_CLOCK_SOUGHT) {
		clock = rtpx_clock_measured(units, ticks);
		if (clock != RTPX_CLOCK_SOUGHT || units < 0 || units > RTPX_CLOCK_GIVEN_UP)
			rtpx_stats_time(st, p, clock);
		return;
	}
	expected = (units * (__s64)rtpx_clock_factor(st->clock) + (1 << 19)) >> 20;
	rtpx_jitter_add(st, expected - ticks);
	rtpx_stats_time(st, p, st->clock);
}

/* ---- sequence numbers ---- */

/*
 * Is the packet @back behind the highest one of this segment missing? A number within the window
 * has its bit. A number before the segment's first one is missing. Any other number older than the
 * window counts as seen, so a repeated stream never hides a loss, and a packet that comes so late
 * stays lost.
 */
static __always_inline int rtpx_stats_missing(const struct rtpx_flow_stats *st, __u32 back)
{
	if (back < 64)
		return !(st->window >> back & 1);
	return st->max_seq - back < st->base_seq;
}

/*
 * Does a packet with the marker bit, @back behind the highest one, begin a new segment? Yes, the
 * sender has started again, as in rtpproxy, unless this segment still waits for the packet. Video
 * sets the marker on the last packet of each picture, and reordering delays those packets, too.
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
	st->reordered++;
	if (back < 64)
		st->window |= 1ull << back;
	if (st->max_seq - back < st->base_seq)
		st->base_seq = st->max_seq - back;
}

/* Begin a segment: a new SSRC, a jump, or a restart. */
static __always_inline void rtpx_stats_segment(struct rtpx_flow_stats *st,
					       const struct rtpx_packet *p)
{
	if (st->max_seq)
		st->sent_prior += st->max_seq - st->base_seq + 1;
	st->segments++;
	st->base_seq = st->max_seq = 0x10000u + p->rtp_seq;
	st->ssrc = p->ssrc;
	st->window = 1;
	st->clock = RTPX_CLOCK_NONE;
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
	rtpx_stats_jitter(st, p);
	st->payload_type = p->payload_type;
}

/*
 * rtpx_stats_longest - the longest gap between two packets, after a further gap of @gap_ns. A
 * coarse time may be before a precise one; the gap is then negative and ignored.
 */
static __always_inline __u32 rtpx_stats_longest(__u32 longest_us, __s64 gap_ns)
{
	if (gap_ns < (longest_us + 1ll) * 1000)
		return longest_us;
	return gap_ns < 0xffffffffll * 1000 ? (__u64)gap_ns / 1000 : 0xffffffff;
}

/*
 * rtpx_stats_packet - count an accepted packet with a precise time. @rtp: analyse it as RTP; RTCP
 * is only counted.
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
 * rtpx_stats_next - the short form of rtpx_stats_packet(), for almost every packet of a dataplane:
 * it follows the previous packet, and its arrival need not be timed. 0: any other packet. It was
 * not counted; the caller must call rtpx_stats_in_full() with the precise time.
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
 * rtpx_stats_in_full - count any other packet. A concurrent reader sees RTPX_PENDING_MOVING
 * meanwhile.
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

/*
 * rtpx_stats_expected - packets that the sender has sent, by its sequence numbers, in all segments.
 */
static inline __u32 rtpx_stats_expected(const struct rtpx_flow_stats *st)
{
	return st->sent_prior + (st->max_seq ? st->max_seq - st->base_seq + 1 : 0);
}

/*
 * rtpx_stats_break - packets up to @now_ns were forwarded and not counted. The next packet begins a
 * segment, so they count neither as lost nor as a pause.
 */
static inline void rtpx_stats_break(struct rtpx_flow_stats *st, __u64 now_ns)
{
	if (!st->max_seq)
		return;
	st->sent_prior = rtpx_stats_expected(st);
	st->max_seq = st->base_seq = 0;
	st->window = 0;
	st->last_ns = now_ns;
}

/* rtpx_stats_lost - expected and not received. */
static inline __u32 rtpx_stats_lost(const struct rtpx_flow_stats *st)
{
	__u32 expected = rtpx_stats_expected(st), received = rtpx_stats_received(st);

	return expected > received ? expected - received : 0;
}

#endif
