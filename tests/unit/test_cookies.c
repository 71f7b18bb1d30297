/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_cookies.c - the retransmission cache: how it compares datagrams, how long it keeps replies,
 * and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/protocol/cookies.c"

static const struct addr here = { .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 1 } };

static struct cookies_key key_of(const char *cookie)
{
	struct cookies_key key;

	cookies_key_set(&key, &here, span_of(cookie), span_of("U call 192.0.2.9 5000 tag"));
	return key;
}

static void store(struct cookies *c, const char *cookie, const char *reply, uint64_t now_ns)
{
	const struct cookies_key key = key_of(cookie);

	cookies_store(c, &key, span_of(reply), now_ns);
}

static struct span find(const struct cookies *c, const char *cookie)
{
	const struct cookies_key key = key_of(cookie);

	return cookies_find(c, &key);
}

static bool knows(const struct cookies *c, const char *cookie, const char *reply)
{
	return span_eq(find(c, cookie), span_of(reply));
}

static void remembers_by_cookie(void **state)
{
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	assert_null(find(c, "a").p);
	store(c, "a", "1\n", 0);
	store(c, "ab", "2\n", 0);
	assert_true(knows(c, "a", "1\n"));
	assert_true(knows(c, "ab", "2\n"));
	assert_null(find(c, "b").p);
	assert_null(find(c, "abc").p);
	cookies_free(c);
}

/* Datagrams with the same cookie that differ in something else. */
static void tells_datagrams_apart(void **state)
{
	static const struct addr addrs[] = {
		{ .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_IP4, .port = 6, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_IP4, .port = 5, .ip = { 192, 0, 2, 2 } },
		{ .family = ADDR_IP6, .port = 5, .ip = { 192, 0, 2, 1 } },
		{ .family = ADDR_NONE }, /* a unix socket */
	};
	static const struct {
		const char *what;
		int from;
		const char *command;
		bool same;
	} rows[] = {
		{ "the same", 0, "U call 192.0.2.9 5000 tag", true },
		{ "another port", 1, "U call 192.0.2.9 5000 tag", true },
		{ "another host", 2, "U call 192.0.2.9 5000 tag", false },
		{ "another family", 3, "U call 192.0.2.9 5000 tag", false },
		{ "no address", 4, "U call 192.0.2.9 5000 tag", false },
		{ "another call", 0, "U cal2 192.0.2.9 5000 tag", false },
		{ "another last byte", 0, "U call 192.0.2.9 5000 taf", false },
		{ "a longer command", 0, "U call 192.0.2.9 5000 tag ", false },
		{ "a shorter command", 0, "U call 192.0.2.9 5000 ta", false },
		{ "no command", 0, "", false },
	};
	struct cookies *c = NULL;

	(void)state;
	assert_int_equal(cookies_new(&c, COOKIES_MAX_BYTES), 0);
	store(c, "1_1", "40000\n", 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cookies_key key;
		struct span reply;

		cookies_key_set(&key, &addrs[rows[i].from], span_of("1_1"),
				span_of(rows[i].command));
		reply = cookies_find(c, &key);
		if (!!reply.p != rows[i].same)
			fail_msg("%s: %s", rows[i].what, reply.p ? "found" : "not found");
		if (!reply.p)
			cookies_store(c, &key, span_of("other\n"), 0);
	}
	assert_true(knows(c, "1_1", "40000\n"));
	cookies_free(c);
}

/* A reply is kept for at least 35 s and goes with the next sweep, every 3 s. */
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
	assert_null(find(c, "old").p);
	assert_true(knows(c, "new", "2\n"));
	cookies_sweep(c, 136 * NSEC_PER_SEC);
	assert_null(find(c, "new").p);
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
		if (find(c, name).p)
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
		cmocka_unit_test(remembers_by_cookie),
		cmocka_unit_test(tells_datagrams_apart),
		cmocka_unit_test(forgets_after_35_s),
		cmocka_unit_test(oldest_go_when_it_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
