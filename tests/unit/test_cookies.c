/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cookies.c - the retransmission cache: what it knows, how long, and how much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/cookies.c"

static void store(struct cookies *c, const char *cookie, const char *reply, uint64_t now_ns)
{
	cookies_store(c, span_of(cookie), span_of(reply), now_ns);
}

static bool knows(const struct cookies *c, const char *cookie, const char *reply)
{
	return span_eq(cookies_find(c, span_of(cookie)), span_of(reply));
}

static void remembers_by_cookie_alone(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	assert_null(cookies_find(c, span_of("a")).p);
	store(c, "a", "1\n", 0);
	store(c, "ab", "2\n", 0);
	assert_true(knows(c, "a", "1\n"));
	assert_true(knows(c, "ab", "2\n"));
	assert_null(cookies_find(c, span_of("b")).p);
	assert_null(cookies_find(c, span_of("abc")).p);
	cookies_free(c);
}

/* 35 s at least, and gone with the next sweep, which comes every 3 s. */
static void forgets_after_35_s(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	store(c, "old", "1\n", 100 * NSEC_PER_SEC);
	store(c, "new", "2\n", 101 * NSEC_PER_SEC);
	cookies_sweep(c, 135 * NSEC_PER_SEC - 1);
	assert_true(knows(c, "old", "1\n"));
	cookies_sweep(c, 135 * NSEC_PER_SEC);
	assert_null(cookies_find(c, span_of("old")).p);
	assert_true(knows(c, "new", "2\n"));
	cookies_sweep(c, 136 * NSEC_PER_SEC);
	assert_null(cookies_find(c, span_of("new")).p);
	assert_int_equal(c->bytes, 0);
	store(c, "old", "3\n", 137 * NSEC_PER_SEC);
	assert_true(knows(c, "old", "3\n"));
	cookies_free(c);
}

static void oldest_go_when_it_is_full(void **state)
{
	const size_t max = 100 * 1000;
	struct cookies *c = NULL;
	char name[16];
	int first = 0;

	(void)state;
	assert_int_equal(cookies_new(&c, max), 0);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		store(c, name, "40000 192.0.2.1\n", (uint64_t)i);
		assert_true(c->bytes <= max);
		assert_true(knows(c, name, "40000 192.0.2.1\n"));
	}
	for (; first < 5000; first++) {
		snprintf(name, sizeof(name), "%04d", first);
		if (cookies_find(c, span_of(name)).p)
			break;
	}
	assert_in_range(first, 3000, 4900);
	for (int i = first; i < 5000; i++) {
		snprintf(name, sizeof(name), "%04d", i);
		assert_true(knows(c, name, "40000 192.0.2.1\n"));
	}
	cookies_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remembers_by_cookie_alone),
		cmocka_unit_test(forgets_after_35_s),
		cmocka_unit_test(oldest_go_when_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
