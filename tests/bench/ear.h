/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ear.h - what ear.bpf.c tells players.c of each packet that it hears.
 */
#ifndef BENCH_EAR_H
#define BENCH_EAR_H

#include <linux/types.h>

#define EAR_PORT 4000
#define EAR_PLACES (1 << 20) /* packets that wait for players.c, a power of two */

struct ear_packet {
	__u64 at_ns;	       /* CLOCK_MONOTONIC */
	__u32 ssrc, timestamp; /* host byte order */
	__u32 seq;	       /* of RTP, plus EAR_WRITTEN when the other members are there */
	__u32 pad;
};

#define EAR_WRITTEN 0x10000

struct ear {
	__u64 heard; /* packets; the next one gets place @heard modulo EAR_PLACES */
	struct ear_packet packet[EAR_PLACES];
};

#endif
