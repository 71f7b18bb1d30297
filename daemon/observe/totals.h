/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * totals.h - sums and histograms of sessions that have ended in this process. Pure.
 */
#ifndef RTPX_TOTALS_H
#define RTPX_TOTALS_H

#include "base/base.h"
#include "base/histogram.h"
#include "call/report.h"

/* Quality of RTP directions. */
struct quality_totals {
	struct histogram loss;	 /* 0 to 1 */
	struct histogram jitter; /* s */
	struct histogram mos;
};

void quality_totals_init(struct quality_totals *t);
/* quality_totals_add - @jitter_ms below 0: not known. @mos 0: no estimate. */
void quality_totals_add(struct quality_totals *t, double loss, double jitter_ms, double mos);

struct totals {
	uint64_t ended[REPORT_END_COUNT]; /* sessions */
	uint64_t one_way, silent;	  /* complete sessions by the parties that sent RTP */
	uint64_t packets, bytes, kernel_packets;
	uint64_t segments;  /* of RTP: SSRC changes and sequence jumps, first packets included */
	uint64_t reordered; /* RTP packets */
	struct histogram duration;     /* s, of all sessions */
	struct quality_totals quality; /* a value for each direction with RTP */
};

void totals_init(struct totals *t);
void totals_add(struct totals *t, const struct call_report *r);

#endif
