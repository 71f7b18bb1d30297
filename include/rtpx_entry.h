/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_entry.h - flows and statistics in the form that the maps hold, and the parts of checksums
 * that depend on the flow alone. Pure.
 *
 * The writer of a flow in use keeps the protocol of rtpx_entry.seq. These functions do not touch
 * seq.
 */
#ifndef RTPX_ENTRY_H
#define RTPX_ENTRY_H

#include "rtpx_abi.h"

/* The user space version of <linux/stddef.h> makes it a mere hint. */
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))

#define RTPX_IPPROTO_UDP 17

/* ---- one's complement sums, RFC 1071 ---- */

/* rtpx_be16 - a 16-bit number in network order, and the way back. */
static __always_inline __u16 rtpx_be16(__u16 host)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(host);
#else
	return host;
#endif
}

/* rtpx_fold - fold a sum of less than 65,536 words to 16 bits; 0 only when all words were 0. */
static __always_inline __u16 rtpx_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* rtpx_sum_words - the sum of @n words at @p. */
static inline __u32 rtpx_sum_words(const void *p, unsigned int n)
{
	const __u16 *w = (const __u16 *)p;
	__u32 sum = 0;

	while (n--)
		sum += *w++;
	return sum;
}

static inline void rtpx_entry_sums(struct rtpx_entry *e, const struct rtpx_flow *f, __u32 family)
{
	__u32 in, out;

	in = family == RTPX_FAMILY_IP4 ? rtpx_sum_words(f->local4, 2) + rtpx_sum_words(f->peer4, 2)
				       : rtpx_sum_words(f->local6, 8) + rtpx_sum_words(f->peer6, 8);
	out = f->flags & RTPX_FLOW_OUT6 ? rtpx_sum_words(f->out6, 8) + rtpx_sum_words(f->dest6, 8)
					: rtpx_sum_words(f->out4, 2) + rtpx_sum_words(f->dest4, 2);
	e->sum_pseudo = rtpx_fold(in + rtpx_be16(RTPX_IPPROTO_UDP));
	out += rtpx_be16(f->out_port) + rtpx_be16(f->dest_port);
	e->sum_change = rtpx_fold(in + rtpx_be16(f->port) + (__u16)~rtpx_fold(out));
}

/*
 * rtpx_flow_label - IPv6's flow label for packets between two ports, never 0. All packets of a flow
 * have the same label. Labels are spread evenly (RFC 6437 section 3), and routers with several
 * paths therefore use all of them.
 */
static __always_inline __u32 rtpx_flow_label(__u16 out_port, __u16 dest_port)
{
	__u32 ports = (__u32)out_port << 16 | dest_port;

	return (ports * 2654435761u) >> 12 | 1;
}

/* ---- flows ---- */

/* rtpx_entry_put_flow - write all of the flow but its seq; @family is the family of its element. */
static inline void rtpx_entry_put_flow(struct rtpx_entry *e, struct rtpx_entry_more *m,
				       const struct rtpx_flow *f, __u32 family)
{
	e->flags = f->flags;
	e->tos = f->tos;
	e->ttl = f->ttl;
	e->nexthop = f->nexthop;
	e->peer_port = rtpx_be16(f->peer_port);
	e->out_port = rtpx_be16(f->out_port);
	e->dest_port = rtpx_be16(f->dest_port);
	__builtin_memcpy(e->local4, f->local4, 4);
	__builtin_memcpy(e->peer4, f->peer4, 4);
	__builtin_memcpy(e->out4, f->out4, 4);
	__builtin_memcpy(e->dest4, f->dest4, 4);
	rtpx_entry_sums(e, f, family);
	m->port = f->port;
	m->second_port = f->second_port;
	m->call = f->call;
	m->event_type = f->event_type;
	m->strangers = f->strangers;
	__builtin_memcpy(m->label, f->label, sizeof(m->label));
	__builtin_memcpy(m->local6, f->local6, 16);
	__builtin_memcpy(m->peer6, f->peer6, 16);
	__builtin_memcpy(m->out6, f->out6, 16);
	__builtin_memcpy(m->dest6, f->dest6, 16);
	__builtin_memcpy(m->second, f->second, 16);
}

static inline void rtpx_entry_get_flow(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
				       struct rtpx_flow *out)
{
	out->seq = e->seq;
	out->flags = e->flags;
	out->tos = e->tos;
	out->ttl = e->ttl;
	out->nexthop = e->nexthop;
	out->peer_port = rtpx_be16(e->peer_port);
	out->out_port = rtpx_be16(e->out_port);
	out->dest_port = rtpx_be16(e->dest_port);
	__builtin_memcpy(out->local4, e->local4, 4);
	__builtin_memcpy(out->peer4, e->peer4, 4);
	__builtin_memcpy(out->out4, e->out4, 4);
	__builtin_memcpy(out->dest4, e->dest4, 4);
	out->port = m->port;
	out->second_port = m->second_port;
	out->call = m->call;
	out->event_type = m->event_type;
	out->strangers = m->strangers;
	out->pad = 0;
	__builtin_memcpy(out->label, m->label, sizeof(out->label));
	__builtin_memcpy(out->local6, m->local6, 16);
	__builtin_memcpy(out->peer6, m->peer6, 16);
	__builtin_memcpy(out->out6, m->out6, 16);
	__builtin_memcpy(out->dest6, m->dest6, 16);
	__builtin_memcpy(out->second, m->second, 16);
}

/* ---- statistics ---- */

/*
 * rtpx_entry_settle - bring @to up to date with @e, which has counted @pending packets. @to is the
 * statistics in `flows_more` or a copy. Another CPU may have brought @to up to date with a later
 * packet meanwhile, so no value goes back.
 */
static __always_inline void rtpx_entry_settle(const struct rtpx_entry *e, __u8 pending,
					      struct rtpx_flow_stats *to)
{
	__s16 ahead = e->max_seq - (__u16)to->max_seq;

	if (pending >= RTPX_PENDING_MOVING)
		return;
	to->packets += pending;
	to->bytes += e->bytes;
	if ((__s64)(e->last_ns - to->last_ns) > 0)
		to->last_ns = e->last_ns;
	if (e->longest_us > to->longest_us)
		to->longest_us = e->longest_us;
	if (ahead >= 0) {
		to->max_seq += ahead;
		to->window = e->window;
	} else if (ahead > -64) {
		to->window |= e->window << -ahead;
	}
}

/*
 * rtpx_entry_resume - go on counting in @e after @from, which is in `flows_more` by now. `pending`
 * is written last: a reader that finds it other than RTPX_PENDING_MOVING finds all other fields in
 * place.
 */
static __always_inline void rtpx_entry_resume(struct rtpx_entry *e,
					      const struct rtpx_flow_stats *from)
{
	int fresh = !from->packets || (e->flags & RTPX_FLOW_RTP && !from->max_seq);

	e->bytes = 0;
	e->last_ns = from->last_ns;
	e->max_seq = from->max_seq;
	e->window = from->window;
	e->ssrc = from->ssrc;
	e->longest_us = from->longest_us;
	asm volatile("" ::: "memory");
	*(volatile __u8 *)&e->pending = fresh ? RTPX_PENDING_NEW : 0;
}

/* rtpx_entry_put_stats - write the statistics, after the flow: its flags are needed. */
static inline void rtpx_entry_put_stats(struct rtpx_entry *e, struct rtpx_entry_more *m,
					const struct rtpx_flow_stats *stats)
{
	m->stats = *stats;
	rtpx_entry_resume(e, stats);
}

static inline void rtpx_entry_get_stats(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
					struct rtpx_flow_stats *out)
{
	*out = m->stats;
	rtpx_entry_settle(e, e->pending, out);
}

#endif
