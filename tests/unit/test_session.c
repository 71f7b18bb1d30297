/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_session.c - tags, flags, time to live and the dirty list.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/base.h"

/* Counted from now, this allocation fails; 0: none. */
static int allocation_fails;

static bool fails_now(void)
{
	return allocation_fails && --allocation_fails == 0;
}

static void *failing_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : calloc(n, size);
}

static char *failing_strndup(const char *s, size_t n)
{
	return fails_now() ? NULL : strndup(s, n);
}

static void *failing_realloc(void *p, size_t size)
{
	return fails_now() ? NULL : realloc(p, size);
}

#define realloc failing_realloc
#include "../../daemon/base/table.c"
#undef realloc
#define calloc failing_calloc
#define strndup failing_strndup
#include "../../daemon/call/session.c"
#undef calloc
#undef strndup

#define START_NS (5000 * NSEC_PER_SEC)

static struct sessions *make(bool independent)
{
	const struct session_opts opts = { .ttl_s = 60,
					   .setup_ttl_s = 10,
					   .independent_ttl = independent };
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

/* The rules of the protocol page, "Matching of call-id and tags", as observed with rtpproxy. */
static void finding(void **state)
{
	static const struct {
		const char *from, *to, *tag; /* tag NULL: not found */
		enum session_party party;
	} rows[] = {
		{ "A;1", NULL, "A;1", SESSION_CALLER },
		{ "A;2", "B;2", "A;2", SESSION_CALLER },
		{ "A", NULL, NULL, 0 },
		{ "A;1", "B", "A;1", SESSION_CALLER },
		{ "B;1", "A;1", "A;1", SESSION_CALLEE },
		{ "B;1", "A", "A;1", SESSION_CALLEE },
		{ "B;2", "A", "A;2", SESSION_CALLEE },
		{ "B;3", "A", NULL, 0 },
		{ "B", "A", NULL, 0 },
		{ "B", "A;1", "A;1", SESSION_CALLEE },
		{ "X", "A;2", "A;2", SESSION_CALLEE },
		{ "A;", NULL, NULL, 0 },
		{ "", "", NULL, 0 },
		{ "a;1", NULL, NULL, 0 },
		{ "A;1", "A;2", "A;1", SESSION_CALLER },
		{ "B;1", "A;1;1", NULL, 0 },
		{ "x;y;1", "A", "A;1", SESSION_CALLEE },
		{ "B;1;", "A", NULL, 0 },
	};
	struct sessions *all = make(false);
	size_t i;

	(void)state;
	add(all, "call", "A;1");
	add(all, "call", "A;2");
	add(all, "other", "A");
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct dialog of = { span_of("call"), span_of(rows[i].from),
					   span_of(rows[i].to) };
		const struct leg *leg = session_find(all, &of);

		if (!leg != !rows[i].tag ||
		    (leg && (strcmp(leg_session(leg)->from_tag, rows[i].tag) ||
			     leg->party != rows[i].party)))
			fail_msg("from %s to %s: found %s", rows[i].from,
				 rows[i].to ? rows[i].to : "-",
				 leg ? leg_session(leg)->from_tag : "none");
	}
	assert_null(sessions_of_call(all, span_of("cal")));
	sessions_free(all);
}

static int matches(struct sessions *all, const char *from, const char *to, bool destroy)
{
	const struct dialog of = { span_of("call"), span_of(from), { to, to ? strlen(to) : 0 } };
	struct session_matches m = session_matches(all, &of);
	struct leg *leg;
	int n = 0;

	while ((leg = session_match_next(&m))) {
		n++;
		if (destroy)
			session_destroy(all, leg_session(leg));
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
	legs_name(&s);
	s.leg[SESSION_CALLEE].weak = true;
	assert_false(leg_flags_clear(&s.leg[SESSION_CALLER], false));
	assert_false(leg_flags_clear(&s.leg[SESSION_CALLER], true));
	assert_true(leg_flags_clear(&s.leg[SESSION_CALLEE], true));
	s.strong = true;
	assert_false(leg_flags_clear(&s.leg[SESSION_CALLEE], true));
	assert_true(leg_flags_clear(&s.leg[SESSION_CALLEE], false));
}

static bool count_expired(void *arg, struct session *s)
{
	(void)s;
	(*(int *)arg)++;
	return true;
}

static int expired_at(struct sessions *all, uint64_t now_ns)
{
	int n = 0;

	while (sessions_expired(all, now_ns, count_expired, &n))
		;
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
	leg_ttl_restart(all, &s->leg[0], t + 30 * s1);
	assert_int_equal(expired_at(all, t + 90 * s1 - 1), 0);
	leg_ttl_restart(all, &s->leg[1], t + 20 * s1); /* an earlier packet changes nothing */
	assert_int_equal(expired_at(all, t + 90 * s1 - 1), 0);
	leg_ttl_set(all, &s->leg[0], 5, t + 90 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 90 * s1), 5);
	assert_int_equal(expired_at(all, t + 95 * s1 - 1), 0);
	assert_int_equal(expired_at(all, t + 95 * s1), 1);
	leg_ttl_set(all, &s->leg[0], 0, t + 96 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 96 * s1), 0);
	assert_int_equal(expired_at(all, t + 96 * s1), 1);
	sessions_free(all);
}

static void independent_ttl(void **state)
{
	struct sessions *all = make(true);
	struct session *s = add(all, "call", "A");
	uint64_t s1 = NSEC_PER_SEC, t = START_NS;

	(void)state;
	session_complete(all, s, t);
	leg_ttl_restart(all, &s->leg[1], t + 50 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 50 * s1), 10); /* TTL of the silent leg */
	assert_int_equal(expired_at(all, t + 60 * s1), 1);
	leg_ttl_set(all, &s->leg[0], 100, t + 61 * s1);
	assert_int_equal(session_ttl_left(all, s, t + 61 * s1), 49); /* now TTL of the other leg */
	assert_int_equal(expired_at(all, t + 110 * s1 - 1), 0);
	assert_int_equal(expired_at(all, t + 110 * s1), 1);
	sessions_free(all);
}

static void early_ttl_stays(void **state)
{
	struct sessions *all = make(false);
	struct session *s = add(all, "call", "A");

	(void)state;
	leg_ttl_set(all, &s->leg[1], 44, START_NS);
	session_complete(all, s, START_NS);
	assert_int_equal(session_ttl_left(all, s, START_NS), 44);
	sessions_free(all);
}

/* The process was stopped for 20 s; packets of the first 5 s waited in the sockets. */
static void absence(void **state)
{
	struct sessions *all = make(false);
	struct session *heard = add(all, "heard", "A"), *silent = add(all, "silent", "A");
	uint64_t s1 = NSEC_PER_SEC, t = START_NS;

	(void)state;
	session_complete(all, heard, t);
	session_complete(all, silent, t);
	leg_ttl_set(all, &heard->leg[0], 10, t);
	leg_ttl_set(all, &silent->leg[0], 10, t - 4 * s1);
	session_ttl_restart(heard, t + 5 * s1);
	sessions_defer(all, 20 * s1, t + 20 * s1);
	assert_int_equal(session_ttl_left(all, heard, t + 20 * s1), 10);
	assert_int_equal(session_ttl_left(all, silent, t + 20 * s1), 6);
	leg_ttl_set(all, &silent->leg[0], 10, t + 20 * s1 + s1 / 2); /* after the absence */
	sessions_defer(all, 3 * s1, t + 20 * s1);
	assert_int_equal(session_ttl_left(all, silent, t + 20 * s1), 11);
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

/* ---- expiry compared with a scan of all sessions ---- */

#define ALIVE 200

struct turn {
	struct sessions *all;
	uint64_t now_ns;
	struct session *alive[ALIVE];
	uint32_t random;
	int seen;
};

static uint32_t draw(struct turn *t)
{
	return t->random = t->random * 1664525u + 1013904223u;
}

static struct session *one_more(struct turn *t, int i)
{
	struct session *s;
	char name[16];

	snprintf(name, sizeof(name), "%d", i % 50); /* four to a call-id */
	assert_int_equal(session_create(t->all, span_of(name), span_of("A"), t->now_ns, &s), 0);
	s->notify = i;
	return s;
}

/* As in the engine, some sessions have been heard meanwhile, the others end. */
static bool on_expired(void *arg, struct session *s)
{
	struct turn *t = arg;
	int i = s->notify;

	assert_true(s->leg[0].deadline_ns <= t->now_ns || s->leg[1].deadline_ns <= t->now_ns);
	t->seen++;
	if (draw(t) >> 31) {
		session_ttl_restart(s, t->now_ns - draw(t) % NSEC_PER_SEC);
		return draw(t) >> 31;
	}
	session_destroy(t->all, s);
	t->alive[i] = NULL;
	return draw(t) >> 31;
}

static void something_happens(struct turn *t)
{
	int i = (draw(t) >> 16) % ALIVE;
	struct session *s = t->alive[i];

	if (!s) {
		t->alive[i] = one_more(t, i);
		return;
	}
	switch ((draw(t) >> 16) % 8) {
	case 0:
		leg_ttl_set(t->all, &s->leg[draw(t) >> 31], (draw(t) >> 16) % 400, t->now_ns);
		break;
	case 1:
		session_complete(t->all, s, t->now_ns);
		break;
	case 2:
		session_destroy(t->all, s);
		t->alive[i] = NULL;
		break;
	default:
		leg_ttl_restart(t->all, &s->leg[draw(t) >> 31], t->now_ns);
	}
}

static void expiry_misses_none(void **state)
{
	struct turn t = { .all = make(true), .now_ns = START_NS, .random = 1 };
	int turn, n, i, expected, total = 0;

	(void)state;
	for (turn = 0; turn < 5000; turn++) {
		for (n = 0; n < 20; n++)
			something_happens(&t);
		/* A tick comes late now and then, sometimes by more than the wheel's turn. */
		t.now_ns += NSEC_PER_SEC + draw(&t) % (NSEC_PER_SEC / 50);
		if (turn % 100 == 0)
			t.now_ns += (draw(&t) >> 16) % 300 * NSEC_PER_SEC;
		for (i = expected = 0; i < ALIVE; i++)
			expected += t.alive[i] && (t.alive[i]->leg[0].deadline_ns <= t.now_ns ||
						   t.alive[i]->leg[1].deadline_ns <= t.now_ns);
		t.seen = 0;
		while (sessions_expired(t.all, t.now_ns, on_expired, &t))
			;
		assert_int_equal(t.seen, expected);
		total += expected;
	}
	assert_true(total > 1000);
	sessions_free(t.all);
}

static void no_memory(void **state)
{
	struct sessions *all = NULL;
	struct session *s = NULL;
	char name[32];
	int i, refused = 0;

	(void)state;
	allocation_fails = 1;
	assert_int_equal(sessions_new(&all, &(struct session_opts){ 0 }), -ENOMEM);
	allocation_fails = 0;
	all = make(false);
	/* Each allocation in turn fails, also those of the hash table and of its growth. */
	for (i = 0; i < 2000; i++) {
		unsigned int before = sessions_count(all);

		snprintf(name, sizeof(name), "call-%d", i);
		allocation_fails = 1 + i % 7;
		if (session_create(all, span_of(name), span_of("A"), START_NS, &s) == 0) {
			assert_ptr_equal(sessions_of_call(all, span_of(name)), s);
			assert_int_equal(sessions_count(all), before + 1);
			continue;
		}
		refused++;
		assert_null(sessions_of_call(all, span_of(name)));
		assert_int_equal(sessions_count(all), before);
	}
	allocation_fails = 0;
	/* A session is one allocation, and the tables grow now and then. */
	assert_in_range(refused, 2000 * 1 / 7, 2000 * 2 / 7);
	assert_int_equal(sessions_count(all), 2000 - refused);
	sessions_free(all);
}

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static bool heard_again(void *arg, struct session *s)
{
	struct turn *t = arg;

	session_ttl_restart(s, t->now_ns);
	t->seen++;
	return true;
}

/*
 * Many calls: finding them, ending them in any order and expiry are cheap. The test prints the cost
 * for comparison.
 */
static void many(void **state)
{
	enum { CALLS = 50000, TURNS = 60 };
	struct turn t = { .all = make(false), .now_ns = START_NS };
	uint64_t began, worst = 0;
	uint32_t last = 0;
	char name[32];
	bool more;
	int i;

	(void)state;
	sessions_expired(t.all, START_NS, heard_again, &t);
	for (i = 0; i < CALLS; i++) {
		snprintf(name, sizeof(name), "call-%d@host", i);
		session_complete(t.all, add(t.all, name, "tag"),
				 START_NS + (uint64_t)i * TURNS * NSEC_PER_SEC / CALLS);
	}
	sessions_each(t.all, note_order, &last);
	for (i = 0; i < 2 * TURNS; i++) {
		t.now_ns += NSEC_PER_SEC;
		do {
			began = clock_ns();
			more = sessions_expired(t.all, t.now_ns, heard_again, &t);
			worst = MAX(worst, clock_ns() - began);
		} while (more);
	}
	assert_in_range(t.seen, CALLS - CALLS / TURNS, CALLS + CALLS / TURNS);
	printf("# %d sessions of %zu bytes, looked at for expiry in %llu us at worst\n", CALLS,
	       sizeof(struct session), (unsigned long long)worst / 1000);
	assert_true(worst < 5 * NSEC_PER_MSEC);
	for (i = 0; i < CALLS; i++) {
		struct dialog of = { .from_tag = span_of("tag") };
		struct leg *leg;

		snprintf(name, sizeof(name), "call-%d@host", i * 7919 % CALLS);
		of.call_id = span_of(name);
		leg = session_find(t.all, &of);
		assert_non_null(leg);
		session_destroy(t.all, leg_session(leg));
	}
	assert_int_equal(sessions_count(t.all), 0);
	sessions_free(t.all);
}

static bool looks_at(void *arg, struct session *s)
{
	s->leg[0].ndropped++;
	return s != arg;
}

/* Many watched sessions: a call visits some of them, the next one goes on, and none waits for ever. */
static void watched_in_parts(void **state)
{
	struct sessions *all = make(false);
	struct session *s[5];
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		s[i] = add(all, "call", (const char *[]){ "1", "2", "3", "4", "5" }[i]);
		session_watch(all, s[i]);
		session_watch(all, s[i]);
	}
	assert_int_equal(sessions_watched(all), 5);
	sessions_each_watched(all, 3, looks_at, s[1]);
	assert_int_equal(sessions_watched(all), 4);
	assert_false(s[1]->watched);
	for (i = 0; i < 5; i++)
		assert_int_equal(s[i]->leg[0].ndropped, i < 3);
	sessions_each_watched(all, 100, looks_at, NULL);
	for (i = 0; i < 5; i++)
		assert_int_equal(s[i]->leg[0].ndropped, i == 0 || i == 2 ? 2 : 1);
	session_destroy(all, s[3]);
	session_doom(all, s[4], 1);
	sessions_each_watched(all, 100, looks_at, NULL);
	assert_int_equal(s[4]->leg[0].ndropped, 1);
	assert_int_equal(sessions_watched(all), 2);
	sessions_free(all);
}

static bool ends(void *arg, struct session *s)
{
	struct turn *t = arg;

	session_destroy(t->all, s);
	t->seen++;
	return true;
}

/* All calls end at one time: in slices, and what is created meanwhile stays. */
static void an_outage(void **state)
{
	struct turn t = { .all = make(false), .now_ns = START_NS };
	unsigned int i, slices = 0;
	char name[32];
	int seen;

	(void)state;
	sessions_expired(t.all, START_NS, ends, &t);
	for (i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "call-%u", i);
		add(t.all, name, "tag");
	}
	t.now_ns += 20 * NSEC_PER_SEC;
	do {
		seen = t.seen;
		slices++;
		snprintf(name, sizeof(name), "new-%u", slices);
		assert_int_equal(session_create(t.all, span_of(name), span_of("tag"), t.now_ns,
						&t.alive[0]),
				 0);
	} while (sessions_expired(t.all, t.now_ns, ends, &t) && t.seen - seen <= LOOKS_MAX);
	assert_int_equal(t.seen, 5000);
	assert_in_range(slices, 5000 / LOOKS_MAX, 5000 / LOOKS_MAX + 2);
	assert_int_equal(sessions_count(t.all), slices);
	sessions_free(t.all);
}

static bool list_numbers(void *arg, struct session *s)
{
	char *text = arg;

	sprintf(text + strlen(text), "%u ", s->number);
	return true;
}

static const char *numbers(struct sessions *all, uint32_t after)
{
	static char text[200];

	text[0] = '\0';
	sessions_after(all, after, list_numbers, text);
	return text;
}

/* Doomed sessions are in no look-up, list or count; their call-id can be used again at once. */
static void doom(void **state)
{
	struct sessions *all = make(false);
	struct session *s[6];
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		s[i] = add(all, i < 3 ? "a" : "b", (const char *[]){ "1", "2", "3" }[i % 3]);
	assert_null(session_doomed_next(all));
	session_doom(all, s[1], 1);
	session_doom(all, s[1], 1);
	assert_int_equal(sessions_count(all), 5);
	assert_ptr_equal(s[0]->next_in_call, s[2]);
	assert_string_equal(numbers(all, 0), "1 3 4 5 6 ");
	assert_string_equal(numbers(all, 1), "3 4 5 6 ");
	assert_string_equal(numbers(all, 2), "3 4 5 6 ");
	assert_ptr_equal(session_doomed_next(all), s[1]);
	assert_int_equal(sessions_doomed_to(all), 0);

	sessions_doom_all(all, 1);
	assert_int_equal(sessions_count(all), 0);
	assert_int_equal(sessions_doomed_to(all), 6);
	assert_null(sessions_of_call(all, span_of("a")));
	assert_null(session_dirty_pop(all));
	assert_string_equal(numbers(all, 0), "");
	add(all, "a", "1");
	assert_int_equal(sessions_of_call(all, span_of("a"))->number, 7);
	assert_string_equal(numbers(all, 3), "7 ");
	session_doom(all, s[4], 1); /* it is doomed already */
	for (i = 0; i < 6; i++) {
		assert_non_null(session_doomed_next(all));
		session_destroy(all, session_doomed_next(all));
		assert_int_equal(sessions_count(all), 1);
	}
	assert_null(session_doomed_next(all));
	assert_int_equal(sessions_doomed_to(all), 0);
	assert_string_equal(numbers(all, 0), "7 ");
	sessions_free(all);
}

/* When numbers have wrapped, they do not rise along the list: the sessions are doomed one by one. */
static void doom_after_wrap(void **state)
{
	struct sessions *all = make(false);

	(void)state;
	add(all, "old", "1");
	all->last_number[0] = SESSION_NUMBER_MAX;
	add(all, "new", "1");
	assert_int_equal(sessions_count(all), 2);
	sessions_doom_all(all, 1);
	assert_int_equal(sessions_count(all), 0);
	assert_int_equal(sessions_doomed_to(all), 0);
	add(all, "later", "1");
	while (session_doomed_next(all))
		session_destroy(all, session_doomed_next(all));
	assert_int_equal(sessions_count(all), 1);
	sessions_free(all);
}

/* Thousands of sessions in one call: adding and removing one takes no walk along the others. */
static void one_call(void **state)
{
	struct sessions *all = make(false);
	struct session *s, *next;
	char tag[16];
	int i, n = 0;

	(void)state;
	for (i = 0; i < 20000; i++) {
		snprintf(tag, sizeof(tag), "tag;%d", i);
		add(all, "conference", tag);
	}
	for (s = sessions_of_call(all, span_of("conference")); s; s = next) {
		next = s->next_in_call;
		assert_int_equal(atoi(s->from_tag + 4), n++);
		if (n % 2)
			session_doom(all, s, 1);
	}
	for (s = sessions_of_call(all, span_of("conference")); s; s = s->next_in_call)
		n--;
	assert_int_equal(n, 10000);
	sessions_free(all);
}

/* The sessions of a call end in any order: the others are found, in the order of creation. */
static void ends_in_any_order(void **state)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					 { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	struct sessions *all = make(false);
	struct session *s[3], *at;
	size_t i;
	int k, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (k = 0; k < 3; k++)
			s[k] = add(all, "three", "tag");
		for (k = 0; k < 3; k++) {
			session_destroy(all, s[orders[i][k]]);
			s[orders[i][k]] = NULL;
			at = sessions_of_call(all, span_of("three"));
			for (j = 0; j < 3; j++) {
				if (!s[j])
					continue;
				assert_ptr_equal(at, s[j]);
				at = at->next_in_call;
			}
			assert_null(at);
		}
	}
	assert_int_equal(all->calls.n, 0);
	sessions_free(all);
}

/* 0 is not a number. After the highest number they begin again, without numbers in use. */
static void numbers_wrap(void **state)
{
	struct sessions *all = make(false);

	(void)state;
	assert_int_equal(add(all, "one", "tag")->number, 1);
	assert_int_equal(add(all, "two", "tag")->number, 2);
	all->last_number[0] = SESSION_NUMBER_MAX - 1;
	assert_int_equal(add(all, "last", "tag")->number, SESSION_NUMBER_MAX);
	assert_int_equal(add(all, "next", "tag")->number, 3);
	session_destroy(all, sessions_of_call(all, span_of("one")));
	all->last_number[0] = SESSION_NUMBER_MAX;
	assert_int_equal(add(all, "again", "tag")->number, 1);
	sessions_free(all);
}

static struct session *add_in(struct sessions *all, unsigned int group, const char *call_id)
{
	const struct dialog of = { .call_id = span_of(call_id), .from_tag = span_of("tag") };
	struct session *s;

	assert_int_equal(session_create_in(all, group, &of, START_NS, &s), 0);
	return s;
}

/* Each group has its own numbers, which X of one group leaves alone. */
static void groups_have_numbers(void **state)
{
	struct sessions *all = make(false);
	struct session *first = add(all, "first", "tag"), *a = add_in(all, 3, "a");
	struct session *b = add_in(all, 3, "b");

	(void)state;
	assert_int_equal(first->number, 1);
	assert_int_equal(a->number, session_number(3, 1));
	assert_int_equal(b->number, session_number(3, 2));
	assert_int_equal(session_group(b->number), 3);
	assert_int_equal(add(all, "second", "tag")->number, 2);
	assert_ptr_equal(session_numbered(all, a->number), a);
	sessions_doom_group(all, 3, 1);
	assert_int_equal(sessions_count(all), 2);
	assert_null(sessions_of_call(all, span_of("a")));
	assert_non_null(sessions_of_call(all, span_of("first")));
	sessions_free(all);
}

static bool count_each(void *arg, struct session *s)
{
	(void)s;
	++*(unsigned int *)arg;
	return true;
}

static void clear_doomed(struct sessions *all)
{
	while (session_doomed_next(all))
		session_destroy(all, session_doomed_next(all));
}

static unsigned int walked(struct sessions *all)
{
	unsigned int n = 0;

	sessions_each(all, count_each, &n);
	return n;
}

static bool never(void *arg, struct session *s)
{
	(void)arg, (void)s;
	fail();
	return true;
}

/* A sleeping session is in no list and in no count; it neither ends nor changes. */
static void sleeping(void **state)
{
	struct sessions *all = make(false);
	struct session *s = add_in(all, 1, "asleep"), *awake = add(all, "awake", "tag");
	struct session_cursor cursor;
	unsigned int n = 0;

	(void)state;
	session_sleep(all, s);
	assert_int_equal(sessions_count(all), 1);
	assert_null(sessions_of_call(all, span_of("asleep")));
	assert_ptr_equal(session_changed_pop(all), awake);
	session_changed(all, s);
	assert_null(session_changed_pop(all));
	assert_int_equal(walked(all), 1);
	sessions_after_sleeping(all, 0, count_each, &n);
	assert_int_equal(n, 2);
	session_cursor_begin(all, &cursor);
	assert_ptr_equal(session_cursor_next(all, &cursor), awake);
	assert_null(session_cursor_next(all, &cursor));
	session_cursor_end(all, &cursor);
	session_dirty(all, s);
	assert_ptr_equal(session_dirty_pop(all), s);
	sessions_doom_all(all, 1);
	assert_ptr_equal(session_doomed_next(all), awake);
	session_destroy(all, awake);
	assert_null(session_doomed_next(all));
	while (sessions_expired(all, START_NS + 10000 * NSEC_PER_SEC, never, NULL))
		;
	assert_int_equal(session_wake(all, s), 0);
	assert_int_equal(sessions_count(all), 1);
	assert_ptr_equal(sessions_of_call(all, span_of("asleep")), s);
	assert_ptr_equal(session_changed_pop(all), s);
	assert_int_equal(walked(all), 1);
	session_sleep(all, s);
	session_destroy(all, s);
	assert_int_equal(sessions_count(all), 0);
	sessions_free(all);
}

/* What a previous daemon left: numbers 7, 8 and 9, of which 8 and 9 are one call. */
struct left {
	struct sessions *all;
	bool made[3];
	struct sessions_expected e;
};

static void left_make(struct left *left, unsigned int i)
{
	static const char *const call_ids[] = { "a", "b", "b" };
	struct session *s;

	if (left->made[i])
		return;
	left->made[i] = true;
	left->e.n--;
	s = add(left->all, call_ids[i], "t");
	s->number = 7 + i;
	session_restored(left->all, s);
	sessions_expect(left->all, &left->e, 0);
}

static void left_wanted(void *arg, struct span call_id, uint32_t number)
{
	struct left *left = arg;
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (call_id.p ? span_eq(call_id, span_of(i ? "b" : "a"))
			      : !number || number == 7 + i)
			left_make(left, i);
}

static bool left_wanted_next(void *arg)
{
	struct left *left = arg;
	unsigned int i;

	for (i = 0; i < 3 && left->made[i]; i++)
		;
	if (i < 3)
		left_make(left, i);
	return i < 3;
}

static struct left left_behind(void)
{
	return (struct left){ .all = make(false), .e = { 3, left_wanted, left_wanted_next, NULL } };
}

static void left_begin(struct left *left)
{
	left->e.arg = left;
	sessions_expect(left->all, &left->e, 9);
}

/* Sessions of a previous daemon are made when somebody looks for them, and count before. */
static void expected(void **state)
{
	struct left left = left_behind();
	struct dialog of = { span_of("b"), span_of("t"), { 0 } };
	unsigned int visited = 0;
	struct session *new;

	(void)state;
	left_begin(&left);
	assert_int_equal(sessions_count(left.all), 3);
	new = add(left.all, "new", "t");
	assert_int_equal(new->number, 10);
	assert_null(sessions_of_call(left.all, span_of("nobody")));
	assert_int_equal(left.e.n, 3);
	assert_int_equal(leg_session(session_find(left.all, &of))->number, 8);
	assert_int_equal(left.e.n, 1);
	assert_int_equal(sessions_count(left.all), 4);
	assert_int_equal(sessions_of_call(left.all, span_of("b"))->next_in_call->number, 9);
	assert_int_equal(session_numbered(left.all, 10)->number, 10);
	assert_int_equal(left.e.n, 1);
	assert_int_equal(session_numbered(left.all, 7)->number, 7);
	assert_int_equal(left.e.n, 0);
	assert_int_equal(sessions_count(left.all), 4);
	/* Numbers do not rise in the order of the list now: no session is left out. */
	session_destroy(left.all, session_numbered(left.all, 8));
	sessions_after(left.all, 8, count_each, &visited);
	assert_in_range(visited, 2, 3);
	assert_int_equal(add(left.all, "next", "t")->number, 11);
	sessions_doom_all(left.all, 1);
	clear_doomed(left.all);
	sessions_free(left.all);
}

/* Note the number of a session; false for the second. */
static bool two_numbers(void *arg, struct session *s)
{
	uint32_t *numbers = arg;

	numbers[numbers[0] != 0] = s->number;
	return !numbers[1];
}

/* A list makes those that it shows. */
static void expected_listed(void **state)
{
	struct left left = left_behind();
	uint32_t numbers[2] = { 0 };
	unsigned int visited = 0;

	(void)state;
	left_begin(&left);
	sessions_after(left.all, 0, two_numbers, numbers);
	assert_int_equal(numbers[0], 7);
	assert_int_equal(numbers[1], 8);
	assert_int_equal(left.e.n, 1);
	sessions_after(left.all, 8, count_each, &visited);
	assert_int_equal(visited, 1);
	assert_int_equal(left.e.n, 0);
	sessions_doom_all(left.all, 1);
	clear_doomed(left.all);
	sessions_free(left.all);
}

/* The end of all sessions is that of the expected ones. They are made later, and end. */
static void expected_doomed(void **state)
{
	struct left left = left_behind();
	struct session *new;
	unsigned int visited = 0;

	(void)state;
	left_begin(&left);
	sessions_doom_all(left.all, 1);
	assert_int_equal(left.e.n, 3);
	assert_int_equal(sessions_count(left.all), 0);
	assert_int_equal(sessions_doomed_to(left.all), 9);
	assert_null(session_doomed_next(left.all));
	assert_null(sessions_of_call(left.all, span_of("a"))); /* makes 7 */
	assert_int_equal(left.e.n, 2);
	assert_int_equal(session_doomed_next(left.all)->number, 7);
	new = add(left.all, "b", "new");
	assert_int_equal(new->number, 10);
	clear_doomed(left.all); /* further ones are to come */
	assert_int_equal(sessions_doomed_to(left.all), 9);
	sessions_after(left.all, 0, count_each, &visited);
	assert_int_equal(visited, 1);
	assert_int_equal(left.e.n, 2);
	assert_ptr_equal(sessions_of_call(left.all, span_of("b")), new); /* makes 8 and 9 */
	assert_int_equal(left.e.n, 0);
	assert_int_equal(sessions_count(left.all), 1);
	assert_int_equal(session_doomed_next(left.all)->number, 9);
	clear_doomed(left.all);
	assert_int_equal(sessions_doomed_to(left.all), 0);
	assert_ptr_equal(sessions_of_call(left.all, span_of("b")), new);
	session_destroy(left.all, new);
	sessions_free(left.all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expected),
		cmocka_unit_test(expected_listed),
		cmocka_unit_test(expected_doomed),
		cmocka_unit_test(groups_have_numbers),
		cmocka_unit_test(sleeping),
		cmocka_unit_test(finding),
		cmocka_unit_test(matching),
		cmocka_unit_test(flags),
		cmocka_unit_test(time_to_live),
		cmocka_unit_test(independent_ttl),
		cmocka_unit_test(early_ttl_stays),
		cmocka_unit_test(expiry_misses_none),
		cmocka_unit_test(absence),
		cmocka_unit_test(dirty_list),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(numbers_wrap),
		cmocka_unit_test(watched_in_parts),
		cmocka_unit_test(an_outage),
		cmocka_unit_test(doom),
		cmocka_unit_test(doom_after_wrap),
		cmocka_unit_test(one_call),
		cmocka_unit_test(ends_in_any_order),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
