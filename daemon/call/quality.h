/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quality.h - loss, jitter and an estimate of the listening quality of one RTP direction, from its
 * statistics. Pure.
 *
 * The estimate is the MOS of the E-model (ITU-T G.107) with its default values, for which the
 * rating R without loss and delay is 93.2. Two impairments are subtracted:
 *
 * - Ie,eff of codec and loss, for random loss (BurstR 1). The table in quality.c has Ie and Bpl of
 *   ITU-T G.113 Appendix I. A dynamic payload type hides its codec: it is taken as G.711 with
 *   concealment of loss.
 * - Idd of delay. A relay sees neither the path nor the receiver, so only the delay of a jitter
 *   buffer is known: twice the mean jitter. Idd is 0 up to 100 ms.
 *
 * The relay judges packets where they arrive at it. Loss between the relay and the listener is not
 * in these figures.
 */
#ifndef RTPX_QUALITY_H
#define RTPX_QUALITY_H

#include "base/base.h"
#include "rtpx_verdict.h"

#define QUALITY_MOS_MIN 1.0
#define QUALITY_MOS_MAX 4.5

struct quality {
	uint32_t expected;    /* RTP packets sent by the party, by its sequence numbers */
	uint32_t lost;	      /* of these, packets that did not arrive */
	double loss;	      /* lost / expected, 0 to 1; 0 when nothing was expected */
	bool timed;	      /* the three members below are valid */
	double jitter_ms;     /* the latest value of RFC 3550 A.8 */
	double jitter_max_ms; /* its highest value */
	double jitter_mean_ms;
	double mos; /* 1 to 4.5; 0: no estimate (no RTP, or video) */
};

/* quality_of - judge a direction from its first packet on. @fs is current. */
void quality_of(const struct rtpx_flow_stats *fs, struct quality *out);

/* The state of a direction when it was last judged, for quality_since(). All 0: at its beginning.
 */
struct quality_mark {
	uint32_t expected, lost;
};

/* The latest judgement of a living direction, in small. */
struct quality_recent {
	struct quality_mark mark;
	float loss, jitter_ms;
	float mos; /* 0: no packets in the latest interval, or no estimate */
};

/*
 * quality_since - judge the packets since @mark: loss is of these packets alone, jitter_mean_ms is
 * the latest jitter. Sets @mark to now. False, and *@out is not set: no packet was expected since.
 */
bool quality_since(const struct rtpx_flow_stats *fs, struct quality_mark *mark,
		   struct quality *out);

/* quality_codec - the codec whose Ie and Bpl hold for a payload type, as a text. */
const char *quality_codec(uint8_t payload_type);

/* A codec in the E-model. */
struct quality_impairment {
	double ie;  /* equipment impairment without loss */
	double bpl; /* robustness against packet loss */
};

/*
 * quality_rating - R of G.107 for @loss (0 to 1) and a mouth-to-ear delay of @delay_ms.
 * quality_mos - the MOS of R, G.107 Annex B.
 */
double quality_rating(const struct quality_impairment *codec, double loss, double delay_ms);
double quality_mos(double r);

#endif
