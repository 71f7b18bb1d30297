/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rtpstats.c - time in the RTP statistics of rtpx_verdict.h: the longest gap, and jitter
 * compared with a model in floating point. test_verdict.c tests sequences.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "rtpx_verdict.h"

#define START_NS (3 * 86400 * NSEC_PER_SEC + 12345) /* a host that has been up for three days */
#define PTIME_NS (20 * NSEC_PER_MSEC)

static void hear(struct rtpx_flow_stats *st, uint32_t ssrc, uint16_t seq, uint64_t now_ns)
{
	struct rtpx_packet p = {
		.kind = RTPX_PAYLOAD_RTP,
		.ssrc = ssrc,
		.rtp_seq = seq,
		.rtp_ts = seq * 160u,
		.payload_bytes = 172,
		.now_ns = now_ns,
	};

	rtpx_stats_packet(st, &p, 1);
}

static double longest_s(const struct rtpx_flow_stats *st)
{
	return st->longest_us / 1e6;
}

static void longest_gap(void **state)
{
	struct rtpx_flow_stats st = { 0 };

	(void)state;
	hear(&st, 1, 1, START_NS); /* no gap before the first one, however long the host is up */
	assert_true(longest_s(&st) == 0);
	assert_int_equal(st.first_ns, START_NS);
	hear(&st, 1, 2, START_NS + PTIME_NS);
	hear(&st, 1, 3, START_NS + 12 * PTIME_NS);
	hear(&st, 1, 4, START_NS + 13 * PTIME_NS);
	assert_true(fabs(longest_s(&st) - 0.220) < 2e-6);
	hear(&st, 1, 5, START_NS + 5 * PTIME_NS); /* a clock that steps back makes no gap … */
	assert_true(fabs(longest_s(&st) - 0.220) < 2e-6);
	/* … and a new SSRC does not end one */
	hear(&st, 2, 1, START_NS + 6 * PTIME_NS + 2 * NSEC_PER_SEC);
	assert_true(fabs(longest_s(&st) - 2.020) < 2e-6);
	assert_int_equal(st.first_ns, START_NS);
}

static void counts_reordering(void **state)
{
	static const struct {
		uint16_t seq;
		uint32_t reordered, duplicates, lost;
	} rows[] = {
		{ 10, 0, 0, 0 }, { 12, 0, 0, 1 }, { 11, 1, 0, 0 },
		{ 11, 1, 1, 0 }, { 12, 1, 2, 0 }, { 9, 2, 2, 0 }, /* before the first one */
		{ 15, 2, 2, 2 }, { 14, 3, 2, 1 }, { 16, 3, 2, 1 },
	};
	struct rtpx_flow_stats st = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		hear(&st, 1, rows[i].seq, START_NS + i * PTIME_NS);
		assert_int_equal(st.reordered, rows[i].reordered);
		assert_int_equal(st.duplicates, rows[i].duplicates);
		assert_int_equal(rtpx_stats_lost(&st), rows[i].lost);
	}
	hear(&st, 2, 5, START_NS); /* a new stream with a lower number is not late */
	assert_int_equal(st.reordered, 3);
}

/* RFC 3550 A.8 in floating point. */
struct model {
	double transit, jitter, max, sum;
	unsigned int count;
	bool begun;
};

static void model_hear(struct model *m, uint64_t arrival_ns, uint32_t ts, double rate)
{
	double transit = (double)(arrival_ns - START_NS) / 1e9 * rate - ts,
	       d = fabs(transit - m->transit);

	m->transit = transit;
	if (m->begun) {
		m->jitter += (d - m->jitter) / 16;
		m->max = MAX(m->max, m->jitter);
		m->sum += m->jitter;
		m->count++;
	}
	m->begun = true;
}

static const struct {
	uint8_t payload_type;
	double rate; /* Hz, RFC 3551 section 6; any for a dynamic type */
} clocks[] = {
	{ 0, 8000 },	{ 3, 8000 },	{ 6, 16000 },  { 8, 8000 },   { 9, 8000 },   { 10, 44100 },
	{ 11, 44100 },	{ 14, 90000 },	{ 16, 11025 }, { 17, 22050 }, { 18, 8000 },  { 26, 90000 },
	{ 34, 90000 },	{ 96, 8000 },	{ 101, 8000 }, { 97, 16000 }, { 98, 24000 }, { 99, 32000 },
	{ 111, 48000 }, { 127, 90000 }, { 35, 48000 },
};

/* Packets arrive late by a random time up to @spread_ms. */
static void compare_jitter(uint8_t payload_type, double rate, double spread_ms)
{
	struct rtpx_flow_stats st = { 0 };
	struct model m = { 0 };
	double near;
	int i;

	for (i = 0; i < 20000; i++) {
		uint64_t sent = START_NS + i * PTIME_NS,
			 now = sent + (uint64_t)(spread_ms * 1e6 * rand() / RAND_MAX);
		struct rtpx_packet p = {
			.kind = RTPX_PAYLOAD_RTP,
			.ssrc = 1,
			.rtp_seq = i,
			.payload_type = payload_type,
			.now_ns = now,
			.rtp_ts = (uint32_t)(i * 0.020 * rate + 0.5),
		};

		rtpx_stats_packet(&st, &p, 1);
		if (st.clock > RTPX_CLOCK_SOUGHT)
			model_hear(&m, now, p.rtp_ts, rate);
	}
	near = 1.5 + m.jitter * 0.01; /* whole ticks of the clock, and its rate in whole factors */
	if (fabs(st.jitter_q4 / 16.0 - m.jitter) > near ||
	    fabs(st.jitter_max_q4 / 16.0 - m.max) > near ||
	    fabs(st.jitter_sum_q4 / 16.0 / st.jitter_count - m.sum / m.count) > near)
		fail_msg("type %u, %g ms: jitter %g max %g average %g, should be %g %g %g",
			 payload_type, spread_ms, st.jitter_q4 / 16.0, st.jitter_max_q4 / 16.0,
			 st.jitter_sum_q4 / 16.0 / st.jitter_count, m.jitter, m.max,
			 m.sum / m.count);
}

static void jitter(void **state)
{
	size_t i;

	(void)state;
	srand(4);
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		compare_jitter(clocks[i].payload_type, clocks[i].rate, 0);
		compare_jitter(clocks[i].payload_type, clocks[i].rate, 5);
		compare_jitter(clocks[i].payload_type, clocks[i].rate, 300);
	}
}

/* A dataplane's statistics of a stream with packets late by at most @spread_ms. */
static struct rtpx_flow_stats sampled(uint8_t payload_type, double rate, double spread_ms,
				      struct model *m)
{
	struct rtpx_entry e = { .flags = RTPX_FLOW_RTP, .pending = RTPX_PENDING_NEW };
	struct rtpx_entry_more more = { 0 };
	struct rtpx_flow_stats st;
	int i;

	for (i = 0; i < 50000; i++) {
		uint64_t now =
			START_NS + i * PTIME_NS + (uint64_t)(spread_ms * 1e6 * rand() / RAND_MAX);
		struct rtpx_packet p = {
			.kind = RTPX_PAYLOAD_RTP,
			.ssrc = 1,
			.rtp_seq = i,
			.payload_type = payload_type,
			.now_ns = now - now % (4 * NSEC_PER_MSEC), /* a tick of the kernel */
			.rtp_ts = (uint32_t)(i * 0.020 * rate + 0.5),
		};

		model_hear(m, now, p.rtp_ts, rate);
		if (rtpx_stats_next(&e, &p))
			continue;
		p.now_ns = now;
		rtpx_stats_in_full(&e, &more, &p);
	}
	rtpx_entry_get_stats(&e, &more, &st);
	return st;
}

/* One packet in 64 is timed, with the same result; a stream without jitter gives 0. */
static void jitter_sampled(void **state)
{
	size_t i;

	(void)state;
	srand(5);
	for (i = 0; i < ARRAY_SIZE(clocks); i++) {
		struct model even = { 0 }, uneven = { 0 };
		struct rtpx_flow_stats st =
			sampled(clocks[i].payload_type, clocks[i].rate, 0, &even);
		double is, should;

		if (st.jitter_max_q4 > 32 || !st.jitter_count)
			fail_msg("type %u: jitter %g of an even stream, %u times",
				 clocks[i].payload_type, st.jitter_max_q4 / 16.0, st.jitter_count);
		st = sampled(clocks[i].payload_type, clocks[i].rate, 5, &uneven);
		is = st.jitter_sum_q4 / 16.0 / st.jitter_count;
		should = uneven.sum / uneven.count;
		if (fabs(is - should) > 0.15 * should)
			fail_msg("type %u: jitter %g, should be %g", clocks[i].payload_type, is,
				 should);
	}
}

/* A stream with an unknown clock gets no jitter; events with their own clock add none. */
static void jitter_of_no_clock(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	struct rtpx_packet p = {
		.kind = RTPX_PAYLOAD_RTP, .ssrc = 1, .payload_type = 100, .now_ns = START_NS
	};
	int i;

	(void)state;
	for (i = 0; i < 2000; i++, p.rtp_seq++, p.now_ns += PTIME_NS) {
		p.rtp_ts += 257; /* 12,850 Hz */
		rtpx_stats_packet(&st, &p, 1);
	}
	assert_int_equal(st.jitter_count, 0);
	assert_int_equal(st.clock, RTPX_CLOCK_SOUGHT);
	for (i = 0; i < 2000; i++, p.rtp_seq++, p.now_ns += PTIME_NS) {
		bool event = i % 200 > 190;

		p.payload_type = event ? 101 : 0;
		p.rtp_ts += event ? 0 : i % 200 ? 160 : 160 * 10;
		rtpx_stats_packet(&st, &p, 1);
	}
	assert_true(st.jitter_count > 1500);
	assert_in_range(st.jitter_max_q4, 0, 16);
}

/* New timestamps of the sender cannot be compared with the old ones. */
static void jitter_at_a_break(void **state)
{
	struct rtpx_packet p = { .kind = RTPX_PAYLOAD_RTP, .ssrc = 1, .now_ns = START_NS };
	struct rtpx_flow_stats st = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 400; i++) {
		if (i == 100) {
			p.ssrc = 2; /* another sender */
			p.rtp_ts = 3000000000u;
		} else if (i == 200) {
			p.rtp_seq += 1000; /* a jump */
			p.rtp_ts = 5;
		} else if (i == 300) {
			p.rtp_ts +=
				1u << 31; /* the same sender and sequence, another origin of time */
		}
		rtpx_stats_packet(&st, &p, 1);
		p.rtp_seq++;
		p.rtp_ts += 160;
		p.now_ns += PTIME_NS;
	}
	assert_in_range(st.jitter_max_q4, 0, 32);
	assert_int_equal(st.segments, 3);
}

/* Packets that were not counted for a while are neither lost nor a pause; earlier losses stay. */
static void break_is_no_loss(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	uint16_t seq;

	(void)state;
	rtpx_stats_break(&st, 5); /* nothing was heard yet */
	assert_int_equal(rtpx_stats_expected(&st), 0);
	for (seq = 100; seq < 110; seq++)
		if (seq != 105)
			hear(&st, 7, seq, seq * 20 * NSEC_PER_MSEC);
	rtpx_stats_break(&st, 600 * 20 * NSEC_PER_MSEC);
	assert_int_equal(rtpx_stats_expected(&st), 10);
	assert_int_equal(rtpx_stats_lost(&st), 1);
	for (seq = 601; seq < 606; seq++)
		hear(&st, 7, seq, seq * 20 * NSEC_PER_MSEC);
	assert_int_equal(rtpx_stats_expected(&st), 15);
	assert_int_equal(rtpx_stats_lost(&st), 1);
	assert_true(longest_s(&st) < 0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_gap),
		cmocka_unit_test(counts_reordering),
		cmocka_unit_test(jitter),
		cmocka_unit_test(jitter_sampled),
		cmocka_unit_test(jitter_of_no_clock),
		cmocka_unit_test(jitter_at_a_break),
		cmocka_unit_test(break_is_no_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
