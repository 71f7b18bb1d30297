/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * totals.c - adds the report of each ended session up.
 */
#include "observe/totals.h"

static const double loss_bounds[] = {
	0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5
};
static const double jitter_bounds[] = { 0.0005, 0.001, 0.002, 0.005, 0.01, 0.015,
					0.02,	0.03,  0.05,  0.1,   0.2 };
/* 4.03, 3.6, 3.1 and 2.58 are R 80, 70, 60 and 50: the classes of G.109 */
static const double mos_bounds[] = { 1.5, 2, 2.58, 3.1, 3.3, 3.6, 3.8, 4.03, 4.2, 4.3, 4.4 };
static const double duration_bounds[] = { 1, 5, 10, 30, 60, 120, 180, 300, 600, 1800, 3600 };

void quality_totals_init(struct quality_totals *t)
{
	*t = (struct quality_totals){
		.loss = HISTOGRAM(loss_bounds),
		.jitter = HISTOGRAM(jitter_bounds),
		.mos = HISTOGRAM(mos_bounds),
	};
}

void quality_totals_add(struct quality_totals *t, double loss, double jitter_ms, double mos)
{
	histogram_add(&t->loss, loss, 1);
	if (jitter_ms >= 0)
		histogram_add(&t->jitter, jitter_ms / 1000, 1);
	if (mos > 0)
		histogram_add(&t->mos, mos, 1);
}

void totals_init(struct totals *t)
{
	*t = (struct totals){ .duration = HISTOGRAM(duration_bounds) };
	quality_totals_init(&t->quality);
}

void totals_add(struct totals *t, const struct call_report *r)
{
	t->ended[r->end]++;
	t->one_way += r->complete && r->heard == REPORT_ONE_WAY;
	t->silent += r->complete && r->heard == REPORT_SILENT;
	t->packets += r->packets;
	t->bytes += r->bytes;
	t->kernel_packets += r->kernel_packets;
	histogram_add(&t->duration, report_duration_s(r), 1);
	for (int i = 0; i < SESSION_PARTIES; i++) {
		const struct report_stream *rtp = &r->leg[i].stream[STREAM_RTP];
		const struct quality *q = &rtp->quality;

		t->segments += rtp->stats.segments;
		t->reordered += rtp->stats.reordered;
		if (q->expected)
			quality_totals_add(&t->quality, q->loss, q->timed ? q->jitter_mean_ms : -1,
					   q->mos);
	}
}
