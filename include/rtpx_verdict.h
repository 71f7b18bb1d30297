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

#include "rtpx_abi.h"

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* What a dataplane has found out about a UDP packet. Ports and RTP fields are in host byte order. */
struct rtpx_packet {
	__u32 slot;	       /* enum rtpx_slot */
	const __u8 *src;       /* 4 or 16 bytes, by slot */
	const __u8 *dst;       /* 4 or 16 bytes, by slot */
	__u16 src_port;
	__u16 dst_port;
	__u16 ip_bytes;	       /* of the whole IP packet */
	__u16 payload_bytes;   /* of the UDP payload */
	__u8 ttl;	       /* as it arrived */
	__u8 is_rtp;	       /* payload is RTP version 2 with a whole header; the fields below hold */
	__u8 is_stun;	       /* payload is a STUN message (RFC 5389 section 6: magic cookie) */
	__u8 payload_type;
	__u16 rtp_seq;
	__u16 pad;
	__u32 rtp_ts;
	__u32 ssrc;
	__u64 now_ns;	       /* CLOCK_MONOTONIC at arrival */
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

/* A packet from somebody else: dropped, unless the daemon is to judge it. */
static __always_inline enum rtpx_reason rtpx_verdict_stranger(const struct rtpx_config *c, const struct rtpx_flow *f,
							      const struct rtpx_flow_stats *st,
							      const struct rtpx_packet *p)
{
	__u16 ahead = p->rtp_seq - (__u16)st->max_seq;

	if (f->flags & RTPX_FLOW_OPEN)
		return RTPX_REASON_pass_open;
	if (!(f->flags & RTPX_FLOW_RELATCH) || !p->is_rtp || !st->segments || p->ssrc != st->ssrc)
		return RTPX_REASON_drop_stranger;
	if (ahead == 0 || ahead > RTPX_MAX_JUMP)
		return RTPX_REASON_drop_stranger;
	if (p->now_ns - st->last_ns < (__u64)c->silence_ms * 1000000)
		return RTPX_REASON_drop_stranger;
	return RTPX_REASON_pass_relatch;
}

/*
 * rtpx_verdict - what to do with a packet whose port has the flow @f with the statistics @st.
 * RTPX_REASON_relayed: rewrite it and send it through f->nexthop.
 */
static __always_inline enum rtpx_reason rtpx_verdict(const struct rtpx_config *c, const struct rtpx_flow *f,
						     const struct rtpx_flow_stats *st, const struct rtpx_packet *p)
{
	int ip6 = p->slot == RTPX_SLOT_IP6;

	if (!(f->flags & RTPX_FLOW_ACTIVE))
		return RTPX_REASON_pass_no_flow;
	if (!rtpx_addr_eq(p->slot, p->dst, ip6 ? f->local6 : f->local4))
		return RTPX_REASON_pass_not_local;
	if (p->ttl <= 1)
		return RTPX_REASON_pass_ttl;
	if (!rtpx_addr_eq(p->slot, p->src, ip6 ? f->peer6 : f->peer4) ||
	    (p->src_port != f->peer_port && !(f->flags & RTPX_FLOW_ANY_PORT)))
		return rtpx_verdict_stranger(c, f, st, p);
	if (p->is_stun)
		return RTPX_REASON_pass_stun;
	return RTPX_REASON_relayed;
}

/*
 * Ticks of the RTP clock in 1.024 us, times 2^20, by static payload type (RFC 3551 section 6). The rate of a dynamic type is known
 * to the signalling only: 8 kHz is assumed, which is right for telephone events beside a narrow-band codec.
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

/* Interarrival jitter, RFC 3550 A.8. A step of the timestamp beyond two minutes is a restart, no jitter. */
static __always_inline void rtpx_stats_jitter(struct rtpx_flow_stats *st, const struct rtpx_packet *p, int first)
{
	__u32 arrival = ((p->now_ns >> 10) * rtpx_clock_factor(p->payload_type)) >> 20;
	__u32 transit = arrival - p->rtp_ts;
	__s32 d = transit - st->transit;

	st->transit = transit;
	if (d < 0)
		d = -d;
	if (first || d > 1 << 20 || d < 0)
		return;
	st->jitter_q4 += d - ((st->jitter_q4 + 8) >> 4);
	if (st->jitter_q4 > st->jitter_max_q4)
		st->jitter_max_q4 = st->jitter_q4;
	st->jitter_sum_q4 += st->jitter_q4;
	st->jitter_count++;
}

/* A packet behind the highest one: reordered, or seen before. Beyond the window of 64 nobody can tell. */
static __always_inline void rtpx_stats_behind(struct rtpx_flow_stats *st, __u32 back)
{
	__u64 bit = back < 64 ? 1ull << back : 0;

	if (st->window & bit) {
		st->duplicates++;
		return;
	}
	st->window |= bit;
	st->received++;
	if (st->max_seq - back < st->base_seq)
		st->base_seq = st->max_seq - back;
}

/* Sequence analysis, RFC 3550 A.1 and A.3 in the manner of rtpproxy: a new SSRC or a jump begins a new segment. */
static __always_inline void rtpx_stats_rtp(struct rtpx_flow_stats *st, const struct rtpx_packet *p)
{
	__s16 ahead = p->rtp_seq - (__u16)st->max_seq;
	int first = !st->segments || p->ssrc != st->ssrc || ahead > RTPX_MAX_JUMP || ahead < -RTPX_MAX_JUMP;

	if (first) {
		if (st->segments)
			st->sent_prior += st->max_seq - st->base_seq + 1;
		st->segments++;
		st->ssrc = p->ssrc;
		st->base_seq = st->max_seq = 0x10000u + p->rtp_seq;
		st->window = 1;
		st->received++;
	} else if (ahead > 0) {
		st->max_seq += ahead;
		st->window = (ahead < 64 ? st->window << ahead : 0) | 1;
		st->received++;
	} else {
		rtpx_stats_behind(st, -ahead);
	}
	st->last_ts = p->rtp_ts;
	st->payload_type = p->payload_type;
	rtpx_stats_jitter(st, p, first);
}

/* rtpx_stats_packet - count an accepted packet; @rtp: it is the RTP direction, so analyse it (RTCP: only count). */
static __always_inline void rtpx_stats_packet(struct rtpx_flow_stats *st, const struct rtpx_packet *p, int rtp)
{
	if (!st->packets)
		st->first_ns = p->now_ns;
	else if (p->now_ns > st->last_ns && p->now_ns - st->last_ns > st->longest_ns)
		st->longest_ns = p->now_ns - st->last_ns;
	st->packets++;
	st->bytes += p->payload_bytes;
	st->last_ns = p->now_ns;
	if (!rtp)
		return;
	if (p->is_rtp)
		rtpx_stats_rtp(st, p);
	else
		st->errors++;
}

/* rtpx_stats_expected - packets that the sender has sent, by its sequence numbers, all segments. */
static __always_inline __u32 rtpx_stats_expected(const struct rtpx_flow_stats *st)
{
	return st->segments ? st->sent_prior + st->max_seq - st->base_seq + 1 : 0;
}

/* rtpx_stats_lost - expected and not received; 0 when reordering beyond the window makes it negative. */
static __always_inline __u32 rtpx_stats_lost(const struct rtpx_flow_stats *st)
{
	__u32 expected = rtpx_stats_expected(st);

	return expected > st->received ? expected - st->received : 0;
}

#endif
