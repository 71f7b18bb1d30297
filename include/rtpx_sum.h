/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_sum.h - one's complement sums (RFC 1071) and those parts of a flow's checksums that do not
 * depend on the packet. Pure. Words are summed as they lie in memory: the result needs no swapping.
 */
#ifndef RTPX_SUM_H
#define RTPX_SUM_H

#include "rtpx_verdict.h"

#define RTPX_IPPROTO_UDP       17
#define RTPX_IP4_DONT_FRAGMENT 0x4000

/* rtpx_be16 - a 16-bit number as it lies in a packet. */
static __always_inline __u16 rtpx_be16(__u16 host)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap16(host);
#else
	return host;
#endif
}

/* rtpx_fold - a sum of less than 65,536 words as 16 bits; 0 only when all of them were 0. */
static __always_inline __u16 rtpx_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* rtpx_sum_words - @n words from @p on. */
static inline __u32 rtpx_sum_words(const void *p, unsigned int n)
{
	const __u16 *w = (const __u16 *)p;
	__u32 sum = 0;

	while (n--)
		sum += *w++;
	return sum;
}

/* rtpx_flow_sums - fill the sums of a flow that is otherwise complete; @slot is where it goes. */
static inline void rtpx_flow_sums(struct rtpx_flow *f, __u32 slot)
{
	__u32 in = slot == RTPX_SLOT_IP4
			   ? rtpx_sum_words(f->local4, 2) + rtpx_sum_words(f->peer4, 2)
			   : rtpx_sum_words(f->local6, 8) + rtpx_sum_words(f->peer6, 8);
	__u32 out = f->flags & RTPX_FLOW_OUT6
			    ? rtpx_sum_words(f->out6, 8) + rtpx_sum_words(f->dest6, 8)
			    : rtpx_sum_words(f->out4, 2) + rtpx_sum_words(f->dest4, 2);

	f->sum_ip4 =
		rtpx_fold(out + rtpx_be16(0x4500 | f->tos) + rtpx_be16(RTPX_IP4_DONT_FRAGMENT) +
			  rtpx_be16(f->ttl << 8 | RTPX_IPPROTO_UDP));
	f->sum_pseudo = rtpx_fold(in + rtpx_be16(RTPX_IPPROTO_UDP));
	f->sum_change = rtpx_fold(out + rtpx_be16(f->out_port) + rtpx_be16(f->dest_port) +
				  (__u16)~rtpx_fold(in + rtpx_be16(f->port)));
}

#endif
