/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_totals.c - histograms, and the sums of ended sessions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/observe/totals.c"

static void ranges(void **state)
{
	static const double bounds[] = { 1, 10 };
	struct histogram h = HISTOGRAM(bounds);

	(void)state;
	histogram_add(&h, 0, 1);
	histogram_add(&h, 1, 2); /* a bound belongs to its own range */
	histogram_add(&h, 1.5, 1);
	histogram_add(&h, 11, 3);
	assert_int_equal(h.counts[0], 3);
	assert_int_equal(h.counts[1], 1);
	assert_int_equal(h.counts[2], 3);
	assert_int_equal(h.count, 7);
	assert_true(h.sum == 36.5);
}

static void all_bounds_rise(void **state)
{
	struct totals t;

	(void)state;
	totals_init(&t);
	const struct histogram *all[] = { &t.duration, &t.quality.loss, &t.quality.jitter,
					  &t.quality.mos };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_in_range(all[i]->n, 2, HISTOGRAM_MAX);
		for (unsigned int b = 1; b < all[i]->n; b++)
			assert_true(all[i]->bounds[b] > all[i]->bounds[b - 1]);
	}
}

static void ended_sessions(void **state)
{
	struct call_report one_way = {
		.end = REPORT_END_TIMEOUT, .complete = true, .heard = REPORT_ONE_WAY,
		.ended_ns = 90 * NSEC_PER_SEC, .packets = 10, .bytes = 1720, .kernel_packets = 7,
	}, early = { .end = REPORT_END_DELETED, .heard = REPORT_SILENT };
	struct quality *q = &one_way.leg[1].stream[STREAM_RTP].quality;
	struct totals t;

	(void)state;
	*q = (struct quality){ .expected = 12,
			       .lost = 2,
			       .loss = 2.0 / 12,
			       .timed = true,
			       .jitter_mean_ms = 3,
			       .mos = 3.2 };
	totals_init(&t);
	totals_add(&t, &one_way);
	totals_add(&t, &early);
	assert_int_equal(t.ended[REPORT_END_TIMEOUT], 1);
	assert_int_equal(t.ended[REPORT_END_DELETED], 1);
	assert_int_equal(t.one_way, 1);
	assert_int_equal(t.silent, 0); /* it was never complete */
	assert_int_equal(t.packets, 10);
	assert_int_equal(t.kernel_packets, 7);
	assert_int_equal(t.duration.count, 2);
	assert_int_equal(t.quality.loss.count, 1);
	assert_int_equal(t.quality.jitter.count, 1);
	assert_true(t.quality.mos.sum == 3.2);
	q->timed = false;
	q->mos = 0;
	totals_add(&t, &one_way);
	assert_int_equal(t.quality.loss.count, 2);
	assert_int_equal(t.quality.jitter.count, 1);
	assert_int_equal(t.quality.mos.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(all_bounds_rise),
		cmocka_unit_test(ended_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
