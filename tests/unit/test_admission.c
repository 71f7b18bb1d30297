/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_admission.c - limits of sessions and of calls a second, and draining.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/engine/admission.c"

/* Asks for @n new calls, with @sessions existing; returns the number of those admitted. */
static unsigned int admitted(struct admission *a, unsigned int n, unsigned int sessions,
			     uint64_t now_ns)
{
	unsigned int good = 0;
	const char *why;

	while (n--)
		good += admission_ask(a, &(struct admission_ask){ sessions, true, now_ns }, &why) ==
			PROTO_OK;
	return good;
}

static void no_limit(void **state)
{
	struct stats stats = { 0 };
	struct admission a = { .stats = &stats };

	(void)state;
	assert_int_equal(admitted(&a, 1000, 50000, 5), 1000);
	assert_int_equal(stats.nsess_limited + stats.nsess_drained, 0);
}

static void sessions_limit(void **state)
{
	struct stats stats = { 0 };
	struct admission a = { .stats = &stats, .max_sessions = 2 };

	(void)state;
	assert_int_equal(admitted(&a, 1, 1, 5), 1);
	assert_int_equal(admitted(&a, 3, 2, 5), 0);
	assert_int_equal(stats.nsess_limited, 3);
}

static void calls_a_second(void **state)
{
	const uint64_t then_ns = 100 * NSEC_PER_SEC;
	struct stats stats = { 0 };
	struct admission a = { .stats = &stats, .max_cps = 10 };
	const char *why;

	(void)state;
	assert_int_equal(admitted(&a, 100, 0, then_ns), 10);
	assert_int_equal(admitted(&a, 100, 0, then_ns + NSEC_PER_SEC / 2), 5);
	/* a further medium of a call */
	assert_int_equal(admission_ask(&a, &(struct admission_ask){ 1, false, then_ns }, &why),
			 PROTO_OK);
	assert_int_equal(admitted(&a, 100, 0, then_ns + 60 * NSEC_PER_SEC), 10);
	assert_int_equal(stats.nsess_limited, 90 + 95 + 90);
}

static void drains(void **state)
{
	struct stats stats = { 0 };
	struct admission a = { .stats = &stats };
	const struct admission_ask ask = { 0, true, 5 };
	const char *why;

	(void)state;
	admission_drain(&a, true, 7);
	admission_drain(&a, true, 9);
	assert_int_equal(a.draining_since_ns, 7);
	assert_int_equal(admission_ask(&a, &ask, &why), E_SHUTDOWN);
	assert_int_equal(stats.nsess_drained, 1);
	admission_drain(&a, false, 11);
	assert_int_equal(admission_ask(&a, &ask, &why), PROTO_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit),
		cmocka_unit_test(sessions_limit),
		cmocka_unit_test(calls_a_second),
		cmocka_unit_test(drains),
	};

	return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
