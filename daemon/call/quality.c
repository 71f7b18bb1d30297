/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quality.c - the E-model, and its inputs from the statistics of a direction. It keeps nothing.
 */
#include <math.h>

#include "call/quality.h"

#define R_DEFAULT 93.2	   /* G.107 clause 7.7: all parameters have their default values */
#define BUFFER_JITTERS 2.0 /* length of the jitter buffer in mean jitters */

/* ---- codecs ---- */

/*
 * Ie and Bpl: ITU-T G.113 Appendix I (05/2002 and Amd. 1), Tables I.1 to I.4. It has no Bpl for
 * G.726, G.728 and GSM-FR: the Bpl of GSM-EFR, 10, stands in. G.729 is taken as G.729A with VAD.
 */
/* clang-format off */
static const struct {
	uint8_t payload_type; /* static types of RFC 3551 */
	const char *name;
	struct quality_impairment e;
} codecs[] = {
	{ 0, "G.711", { 0, 25.1 } },	  { 8, "G.711", { 0, 25.1 } },
	{ 2, "G.726-32", { 7, 10 } },	  { 3, "GSM-FR", { 20, 10 } },
	{ 4, "G.723.1", { 15, 16.1 } },	  { 15, "G.728", { 7, 10 } },
	{ 18, "G.729", { 11, 19 } },
};
/* clang-format on */

static const struct quality_impairment g711 = { 0, 25.1 };

static const struct quality_impairment *impairment_of(uint8_t payload_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].payload_type == payload_type)
			return &codecs[i].e;
	return &g711;
}

const char *quality_codec(uint8_t payload_type)
{
	for (size_t i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].payload_type == payload_type)
			return codecs[i].name;
	return "G.711 assumed";
}

/* ---- the E-model ---- */

/* G.107, equation 7-27: impairment by absolute delay. */
static double impairment_of_delay(double delay_ms)
{
	double x;

	if (delay_ms <= 100)
		return 0;
	x = log2(delay_ms / 100);
	return 25 * (pow(1 + pow(x, 6), 1 / 6.0) - 3 * pow(1 + pow(x / 3, 6), 1 / 6.0) + 2);
}

double quality_rating(const struct quality_impairment *codec, double loss, double delay_ms)
{
	double ppl = loss * 100; /* G.107, equation 7-29, with BurstR 1 */
	double ie_eff = codec->ie + (95 - codec->ie) * ppl / (ppl + codec->bpl);

	return R_DEFAULT - impairment_of_delay(delay_ms) - ie_eff;
}

/* The polynomial is below 1 for R up to 6.5. */
double quality_mos(double r)
{
	double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;

	if (r <= 0)
		return QUALITY_MOS_MIN;
	if (r >= 100)
		return QUALITY_MOS_MAX;
	return MAX(mos, QUALITY_MOS_MIN);
}

/* ---- a direction ---- */

/* Video: static types of RFC 3551 table 5, or a dynamic type with its clock. */
static bool is_audio(const struct rtpx_flow_stats *fs)
{
	return rtpx_clock_hz(fs->clock) != 90000 &&
	       !(fs->payload_type >= 25 && fs->payload_type <= 34);
}

static void set_mos(const struct rtpx_flow_stats *fs, struct quality *q, double jitter_ms)
{
	q->loss = q->expected ? (double)q->lost / q->expected : 0;
	q->mos = 0;
	if (q->expected && is_audio(fs))
		q->mos = quality_mos(quality_rating(impairment_of(fs->payload_type), q->loss,
						    BUFFER_JITTERS * jitter_ms));
}

/* Jitter has the unit 1/16 of a timestamp. */
static void jitter_of(const struct rtpx_flow_stats *fs, struct quality *q)
{
	double ms = rtpx_clock_hz(fs->clock) ? 1000.0 / 16 / rtpx_clock_hz(fs->clock) : 0;

	q->timed = ms > 0 && fs->jitter_count;
	if (!q->timed)
		return;
	q->jitter_ms = fs->jitter_q4 * ms;
	q->jitter_max_ms = fs->jitter_max_q4 * ms;
	q->jitter_mean_ms = fs->jitter_sum_q4 * ms / fs->jitter_count;
}

void quality_of(const struct rtpx_flow_stats *fs, struct quality *out)
{
	*out = (struct quality){ .expected = rtpx_stats_expected(fs), .lost = rtpx_stats_lost(fs) };
	jitter_of(fs, out);
	set_mos(fs, out, out->jitter_mean_ms);
}

/* A packet that arrives late lowers the number of lost packets, so it may be below the mark. */
bool quality_since(const struct rtpx_flow_stats *fs, struct quality_mark *mark, struct quality *out)
{
	const struct quality_mark now = { rtpx_stats_expected(fs), rtpx_stats_lost(fs) };
	const struct quality_mark before = *mark;

	*mark = now;
	if (now.expected <= before.expected)
		return false;
	*out = (struct quality){
		.expected = now.expected - before.expected,
		.lost = now.lost > before.lost ? now.lost - before.lost : 0,
	};
	out->lost = MIN(out->lost, out->expected);
	jitter_of(fs, out);
	out->jitter_mean_ms = out->jitter_ms;
	set_mos(fs, out, out->jitter_ms);
	return true;
}
