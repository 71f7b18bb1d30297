/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_quality.c - the E-model against points computed by hand from G.107, and a direction's
 * figures against packets whose loss and jitter are known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/call/quality.c"

#define START_NS (1000 * NSEC_PER_SEC)

static void near(double got, double want, double error)
{
	if (fabs(got - want) > error)
		fail_msg("%f instead of %f", got, want);
}

/*
 * By hand, from the equations of G.107:
 * G.711, nothing lost: R 93.2. MOS = 1 + 3.262 + 93.2 * 33.2 * 6.8 * 7e-6 = 4.409
 * G.729A, 2 % lost: Ie,eff = 11 + 84 * 2 / (2 + 19) = 19, R 74.2.
 *   MOS = 1 + 2.597 + 74.2 * 14.2 * 25.8 * 7e-6 = 3.787
 * G.711 with concealment, 5 % lost, 200 ms: Ie,eff = 95 * 5 / 30.1 = 15.781; X = 1,
 *   Idd = 25 * (2^(1/6) - 3 * (1 + 1/729)^(1/6) + 2) = 3.044; R 74.375.
 *   MOS = 1 + 2.603 + 74.375 * 14.375 * 25.625 * 7e-6 = 3.795
 */
static void points_of_g107(void **state)
{
	const struct quality_impairment *g729 = impairment_of(18), *pcmu = impairment_of(0);
	double r;

	(void)state;
	r = quality_rating(pcmu, 0, 0);
	near(r, 93.2, 0.001);
	near(quality_mos(r), 4.409, 0.001);
	r = quality_rating(g729, 0.02, 0);
	near(r, 74.2, 0.001);
	near(quality_mos(r), 3.787, 0.001);
	r = quality_rating(pcmu, 0.05, 200);
	near(r, 74.375, 0.001);
	near(quality_mos(r), 3.795, 0.001);
}

static void mos_stays_in_its_range(void **state)
{
	double last = 0;

	(void)state;
	for (int r = -100; r <= 200; r++) {
		double mos = quality_mos(r);

		assert_true(mos >= QUALITY_MOS_MIN && mos <= QUALITY_MOS_MAX && mos >= last);
		last = mos;
	}
	near(quality_mos(quality_rating(&g711, 1, 1e9)), 1, 0.001);
}

/* A packet of @type that arrives @late_ms after its time. */
static void hear(struct rtpx_flow_stats *st, uint8_t type, unsigned int n, double late_ms)
{
	const struct rtpx_packet p = {
		.kind = RTPX_PAYLOAD_RTP,
		.payload_type = type,
		.ssrc = 7,
		.payload_bytes = 172,
		.rtp_seq = (uint16_t)(100 + n),
		.rtp_ts = 160 * n,
		.now_ns = START_NS + 20 * NSEC_PER_MSEC * n + (uint64_t)(late_ms * NSEC_PER_MSEC),
	};

	rtpx_stats_packet(st, &p, 1);
}

/* Every second packet is 8 ms late: D is always 8 ms, so jitter goes to 8 ms. */
static void a_direction(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	struct quality q;

	(void)state;
	for (unsigned int n = 0; n < 1000; n++)
		if (n % 50 != 49 || n == 999)
			hear(&st, 8, n, n % 2 ? 8 : 0);
	quality_of(&st, &q);
	assert_int_equal(q.expected, 1000);
	assert_int_equal(q.lost, 19);
	near(q.loss, 0.019, 1e-9);
	assert_true(q.timed);
	near(q.jitter_ms, 8, 0.5);
	near(q.jitter_max_ms, 8, 0.5);
	near(q.jitter_mean_ms, 7.9, 0.5);
	near(q.mos, quality_mos(93.2 - 95 * 1.9 / (1.9 + 25.1)), 0.001);
}

static void since_the_last_look(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	struct quality_mark mark = { 0 };
	struct quality q;
	unsigned int n;

	(void)state;
	assert_false(quality_since(&st, &mark, &q));
	for (n = 0; n < 100; n++)
		if (n != 10)
			hear(&st, 0, n, 0);
	assert_true(quality_since(&st, &mark, &q));
	assert_int_equal(q.expected, 100);
	assert_int_equal(q.lost, 1);
	assert_false(quality_since(&st, &mark, &q));
	for (; n < 120; n++)
		if (n < 105 || n > 114)
			hear(&st, 0, n, 0);
	assert_true(quality_since(&st, &mark, &q));
	assert_int_equal(q.expected, 20);
	near(q.loss, 0.5, 1e-9);
	assert_true(q.mos < 2);
	hear(&st, 0, 107, 0); /* late packets take back what counted as lost */
	hear(&st, 0, 120, 0);
	assert_true(quality_since(&st, &mark, &q));
	assert_int_equal(q.lost, 0);
}

static void no_estimate(void **state)
{
	struct rtpx_flow_stats st = { 0 }, rtcp = { .packets = 3 };
	struct quality q;

	(void)state;
	quality_of(&rtcp, &q);
	assert_true(q.mos == 0 && !q.timed && q.expected == 0 && q.loss == 0);
	hear(&st, 31, 0, 0); /* H.261 */
	hear(&st, 31, 1, 0);
	quality_of(&st, &q);
	assert_int_equal(q.expected, 2);
	assert_true(q.mos == 0);
}

/* A dynamic type has no jitter until its clock is measured, and is taken as G.711. */
static void a_dynamic_type(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	struct quality q;

	(void)state;
	hear(&st, 97, 0, 0);
	hear(&st, 97, 1, 0);
	quality_of(&st, &q);
	assert_false(q.timed);
	near(q.mos, 4.409, 0.001);
	assert_string_equal(quality_codec(97), "G.711 assumed");
	assert_string_equal(quality_codec(18), "G.729");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points_of_g107), cmocka_unit_test(mos_stays_in_its_range),
		cmocka_unit_test(a_direction),	  cmocka_unit_test(since_the_last_look),
		cmocka_unit_test(no_estimate),	  cmocka_unit_test(a_dynamic_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
