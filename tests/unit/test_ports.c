/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ports.c - rounding, order, rest and exhaustion of port pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/ports.c"

#define REST_NS (10 * NSEC_PER_SEC)

static struct ports *make(uint16_t min, uint16_t max, bool sequential)
{
	const struct ports_opts opts = {
		.min = min,
		.max = max,
		.sequential = sequential,
		.quarantine_ns = REST_NS,
		.seed = 1,
	};
	struct ports *p = NULL;

	assert_int_equal(ports_new(&p, &opts), 0);
	return p;
}

static void rounding(void **state)
{
	static const struct {
		uint16_t min, max, want_min, want_max; /* want_min 0: refused */
	} rows[] = {
		{ 40000, 40001, 40000, 40001 },
		{ 40001, 40006, 40002, 40005 },
		{ 40000, 40100, 40000, 40099 },
		{ 40000, 40003, 40000, 40003 },
		{ 40000, 40000, 0, 0 },
		{ 40001, 40002, 0, 0 },
		{ 1, 65535, 2, 65535 },
		{ 10, 9, 0, 0 },
		{ 9, 9, 0, 0 },
		{ 65534, 65535, 65534, 65535 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint16_t min = rows[i].min, max = rows[i].max;
		int err = ports_round(&min, &max);

		if (!rows[i].want_min)
			assert_int_equal(err, -EINVAL);
		else if (err || min != rows[i].want_min || max != rows[i].want_max)
			fail_msg("%u to %u became %u to %u", rows[i].min, rows[i].max, min, max);
	}
}

static void sequential(void **state)
{
	struct ports *p = make(40000, 40007, true);

	(void)state;
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40000);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40002);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP6, 1), 40000);
	ports_give(p, RTPX_SLOT_IP4, 40000, 1);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40004);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40006);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40000);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), -ENOSPC);
	assert_int_equal(ports_in_use(p, RTPX_SLOT_IP4), 4);
	assert_int_equal(ports_in_use(p, RTPX_SLOT_IP6), 1);
	ports_free(p);
}

static void one_pair(void **state)
{
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		struct ports *p = make(40000, 40001, order);
		int i;

		for (i = 0; i < 3; i++) {
			assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40000);
			assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), -ENOSPC);
			ports_give(p, RTPX_SLOT_IP4, 40000, 1);
		}
		ports_free(p);
	}
}

/* Every pair comes exactly once, in an order that is not that of the numbers. */
static void random_order(void **state)
{
	struct ports *p = make(35000, 64999, false);
	static bool seen[65536];
	unsigned int i, rising = 0;
	int port, last = 0;

	(void)state;
	assert_int_equal(ports_pairs(p), 15000);
	for (i = 0; i < 15000; i++) {
		port = ports_take(p, RTPX_SLOT_IP4, 1);
		assert_true(port >= 35000 && port < 65000 && port % 2 == 0 && !seen[port]);
		seen[port] = true;
		rising += port > last;
		last = port;
	}
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), -ENOSPC);
	assert_in_range(rising, 7000, 8000);
	ports_free(p);
}

static void rest(void **state)
{
	struct ports *p = make(40000, 40007, false);
	int first = ports_take(p, RTPX_SLOT_IP4, 1), i;
	uint64_t now = 1;

	(void)state;
	ports_give(p, RTPX_SLOT_IP4, first, now);
	/* It rests as long as others are free … */
	for (i = 0; i < 3; i++)
		assert_int_not_equal(ports_take(p, RTPX_SLOT_IP4, now), first);
	/* … and serves when there is no other. */
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, now), first);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, now), -ENOSPC);
	/* Those that rested longest come first. */
	ports_give(p, RTPX_SLOT_IP4, 40004, now);
	ports_give(p, RTPX_SLOT_IP4, 40000, now);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, now), 40004);
	/* After the rest a pair is as good as any. */
	ports_give(p, RTPX_SLOT_IP4, 40002, now);
	now += 2 * REST_NS;
	assert_true(ports_take(p, RTPX_SLOT_IP4, now) > 0);
	assert_true(ports_take(p, RTPX_SLOT_IP4, now) > 0);
	assert_int_equal(ports_take(p, RTPX_SLOT_IP4, now), -ENOSPC);
	ports_free(p);
}

static void claims(void **state)
{
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		struct ports *p = make(40000, 40007, order);
		int i;

		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 40002), 0);
		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 40002), -EBUSY);
		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 40003), -EINVAL);
		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 39998), -EINVAL);
		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 40008), -EINVAL);
		for (i = 0; i < 3; i++)
			assert_int_not_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40002);
		assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), -ENOSPC);
		ports_give(p, RTPX_SLOT_IP4, 40006, 1);
		ports_give(p, RTPX_SLOT_IP4, 40002, 1);
		assert_int_equal(ports_claim(p, RTPX_SLOT_IP4, 40006), 0);
		assert_int_equal(ports_take(p, RTPX_SLOT_IP4, 1), 40002);
		ports_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounding), cmocka_unit_test(sequential),
		cmocka_unit_test(one_pair), cmocka_unit_test(random_order),
		cmocka_unit_test(rest),     cmocka_unit_test(claims),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
