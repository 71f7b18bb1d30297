/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_session.c - tags, flags, time to live and the dirty list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "../../daemon/session.c"

#define START_NS (5000 * NSEC_PER_SEC)

static struct sessions *make(bool independent)
{
	const struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 10, .independent_ttl = independent };
	struct sessions *all = NULL;

	assert_int_equal(sessions_new(&all, &opts), 0);
	return all;
}

static struct session *add(struct sessions *all, const char *call_id, const char *tag)
{
	struct session *s = NULL;

	assert_int_equal(session_create(all, span_of(call_id), span_of(tag), START_NS, &s), 0);
	return s;
}

/* The rules of the protocol page, "Matching of call-id and tags", as they were seen of rtpproxy. */
static void finding(void **state)
{
	static const struct {
		const char *from, *to, *tag; /* tag NULL: nothing is found */
		enum session_party party;
	} rows[] = {
		{ "A;1", NULL, "A;1", SESSION_CALLER }, { "A;2", "B;2", "A;2", SESSION_CALLER },
		{ "A", NULL, NULL, 0 },			{ "A;1", "B", "A;1", SESSION_CALLER },
		{ "B;1", "A;1", "A;1", SESSION_CALLEE }, { "B;1", "A", "A;1", SESSION_CALLEE },
		{ "B;2", "A", "A;2", SESSION_CALLEE },	{ "B;3", "A", NULL, 0 },
		{ "B", "A", NULL, 0 },			{ "B", "A;1", "A;1", SESSION_CALLEE },
		{ "X", "A;2", "A;2", SESSION_CALLEE },	{ "A;", NULL, NULL, 0 },
		{ "", "", NULL, 0 },			{ "a;1", NULL, NULL, 0 },
		{ "A;1", "A;2", "A;1", SESSION_CALLER }, { "B;1", "A;1;1", NULL, 0 },
		{ "x;y;1", "A", "A;1", SESSION_CALLEE }, { "B;1;", "A", NULL, 0 },
	};
	struct sessions *all = make(false);
	size_t i;

	(void)state;
	add(all, "call", "A;1");
	add(all, "call", "A;2");
	add(all, "other", "A");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct span to = { rows[i].to, rows[i].to ? strlen(rows[i].to) : 0 };
		enum session_party party = SESSION_CALLER;
		struct session *s = session_find(all, span_of("call"), span_of(rows[i].from), to, &party);

		if (!s != !rows[i].tag || (s && (strcmp(s->from_tag, rows[i].tag) || party != rows[i].party)))
			fail_msg("from %s to %s: found %s", rows[i].from, rows[i].to ? rows[i].to : "-", s ? s->from_tag : "none");
	}
	assert_null(sessions_of_call(all, span_of("cal")));
	sessions_free(all);
}

static int matches(struct sessions *all, const char *from, const char *to, bool destroy)
{
	struct session *pos = NULL, *s;
	enum session_party party;
	bool exact;
	int n = 0;

	while ((s = session_match_next(all, span_of("call"), span_of(from), (struct span){ to, to ? strlen(to) : 0 },
				       &pos, &party, &exact))) {
		n++;
		if (destroy)
			session_destroy(all, s);
	}
	return n;
}

static void matching(void **state)
{
	struct sessions *all = make(false);

	(void)state;
	add(all, "call", "A;1");
	add(all, "call", "C");
	add(all, "call", "A;2");
	add(all, "call", "AB;1");
	assert_int_equal(matches(all, "A", NULL, false), 2);
	assert_int_equal(matches(all, "A;2", NULL, false), 1);
	assert_int_equal(matches(all, "B", "A", false), 2);
	assert_int_equal(matches(all, "C", "A", false), 3);
	assert_int_equal(matches(all, "C;1", NULL, false), 0);
	assert_int_equal(matches(all, "A;", NULL, false), 0);
	assert_int_equal(matches(all, "A", NULL, true), 2);
	assert_int_equal(sessions_count(all), 2);
	assert_int_equal(matches(all, "A", NULL, false), 0);
	assert_int_equal(matches(all, "AB", "C", true), 2);
	assert_int_equal(sessions_count(all), 0);
	assert_null(sessions_of_call(all, span_of("call")));
	sessions_free(all);
}

static void flags(void **state)
{
	struct session s = { .strong = true };

	(void)state;
	s.leg[0].weak = true;
	assert_false(session_flags_clear(&s, false, SESSION_CALLER));
	assert_false(session_flags_clear(&s, true, SESSION_CALLER)); /* the caller's is leg 1's */
	assert_true(session_flags_clear(&s, true, SESSION_CALLEE));
	s.strong = true;
	assert_false(session_flags_clear(&s, true, SESSION_CALLEE));
	assert_true(session_flags_clear(&s, false, SESSION_CALLEE));
}

static void count_expired(void *arg, struct session *s)
{
	(void)s;
	(*(int *)arg)++;
}

static int expired_at(struct sessions *all, uint64_t now_ns)
{
	int n = 0;

	sessions_expired(all, now_ns, count_expired, &n);
	return n;
}

static void time_to_live(void **state)
{
	struct sessions *all = make(false);
	struct session *s = add(all, "call", "A");
	uint64_t s1 = NSEC_PER_SEC, t = START_NS;

	(void)state;
	assert_int_equal(session_ttl_left(all, s, t), 10);
	assert_int_equal(session_ttl_left(all, s, t + s1 * 3 / 10), 10);
	assert_int_equal(session_ttl_left(all, s, t + s1 * 13 / 10), 9);
	assert_int_equal(expired_at(all, t + 10 * s1 - 1), 0);
	assert_int_equal(expired_at(all, t + 10 * s1), 1);
	session_complete(all, s, t);
	assert_int_equal(session_ttl_left(all, s, t), 60);
	session_ttl_restart(all, s, 0, t + 30 * s1);
	assert_int_equal(expired_at(all, t + 90 * s1 - 1), 0);
	session_ttl_restart(all, s, 1, t + 20 * s1); /* an earlier packet takes nothing away */
	assert_int_equal(expired_at(all, t + 90 * s1 - 1), 0);
	session_ttl_set(all, s, 0, 5, t + 30 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 30 * s1), 5);
	assert_int_equal(expired_at(all, t + 35 * s1), 1);
	sessions_free(all);
}

static void independent_ttl(void **state)
{
	struct sessions *all = make(true);
	struct session *s = add(all, "call", "A");
	uint64_t s1 = NSEC_PER_SEC, t = START_NS;

	(void)state;
	session_complete(all, s, t);
	session_ttl_restart(all, s, 1, t + 50 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 50 * s1), 10); /* the silent leg's */
	assert_int_equal(expired_at(all, t + 60 * s1), 1);
	session_ttl_set(all, s, 0, 100, t + 50 * s1);
	assert_int_equal(expired_at(all, t + 60 * s1), 0);
	assert_int_equal(session_ttl_left(all, s, t + 50 * s1), 60);
	sessions_free(all);
}

static void early_ttl_stays(void **state)
{
	struct sessions *all = make(false);
	struct session *s = add(all, "call", "A");

	(void)state;
	session_ttl_set(all, s, 1, 44, START_NS);
	session_complete(all, s, START_NS);
	assert_int_equal(session_ttl_left(all, s, START_NS), 44);
	sessions_free(all);
}

static void dirty_list(void **state)
{
	struct sessions *all = make(false);
	struct session *a = add(all, "a", "A"), *b = add(all, "b", "A"), *c = add(all, "c", "A");

	(void)state;
	session_dirty(all, b);
	session_dirty(all, a);
	session_dirty(all, b);
	session_dirty(all, c);
	session_destroy(all, a);
	assert_ptr_equal(session_dirty_pop(all), b);
	session_dirty(all, b);
	assert_ptr_equal(session_dirty_pop(all), c);
	session_destroy(all, b);
	assert_null(session_dirty_pop(all));
	sessions_free(all);
}

static bool note_order(void *arg, struct session *s)
{
	uint32_t *last = arg;

	assert_true(s->number > *last);
	*last = s->number;
	return true;
}

/* Many calls: they are found, ended in any order, and a scan for expiry is cheap (printed, for who wants to compare). */
static void many(void **state)
{
	enum { CALLS = 50000 };
	struct sessions *all = make(false);
	struct timespec begin, end;
	enum session_party party;
	uint32_t last = 0;
	char name[32];
	int i;

	(void)state;
	for (i = 0; i < CALLS; i++) {
		snprintf(name, sizeof(name), "call-%d@host", i);
		add(all, name, "tag");
	}
	sessions_each(all, note_order, &last);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(expired_at(all, START_NS), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("# %d sessions of %zu bytes, looked at for expiry in %ld us\n", CALLS, sizeof(struct session),
	       (end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000);
	for (i = 0; i < CALLS; i++) {
		struct session *s;

		snprintf(name, sizeof(name), "call-%d@host", i * 7919 % CALLS);
		s = session_find(all, span_of(name), span_of("tag"), (struct span){ 0 }, &party);
		assert_non_null(s);
		session_destroy(all, s);
	}
	assert_int_equal(sessions_count(all), 0);
	sessions_free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding),	   cmocka_unit_test(matching),	      cmocka_unit_test(flags),
		cmocka_unit_test(time_to_live),	   cmocka_unit_test(independent_ttl), cmocka_unit_test(early_ttl_stays),
		cmocka_unit_test(dirty_list),	   cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
