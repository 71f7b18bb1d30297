/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pacer.c - compares the wheel with a plain list, in invented time; and one turn of the real
 * timer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/media/pacer.c"

#define ITEMS 200

struct waiter {
	struct pacer_item item;
	uint64_t due_ns, ran_ns; /* due_ns 0: not waiting */
	unsigned int runs;
};

static struct event_base *base;
static struct pacer *pacer;
static unsigned int batches;
static uint64_t start_ns;

static void on_batch_end(void *arg)
{
	(void)arg;
	batches++;
}

static int begin(void **state)
{
	const struct pacer_opts opts = { .batch_end = on_batch_end };

	(void)state;
	batches = 0;
	base = event_base_new();
	assert_int_equal(pacer_new(&pacer, base, &opts), 0);
	start_ns = (pacer->tick + 10) * TICK_NS;
	return 0;
}

static int end(void **state)
{
	(void)state;
	pacer_free(pacer);
	event_base_free(base);
	return 0;
}

static void on_run(struct pacer_item *item, uint64_t now_ns)
{
	struct waiter *w = container_of(item, struct waiter, item);

	assert_null(item->next);
	w->runs++;
	w->ran_ns = now_ns;
	w->due_ns = 0;
}

static void runs_once_and_never_early(void **state)
{
	struct waiter w = { 0 };

	(void)state;
	pacer_add(pacer, &w.item, start_ns + 1, on_run);
	pacer_run(pacer, start_ns + TICK_NS - 1);
	assert_int_equal(w.runs, 0);
	assert_int_equal(batches, 0);
	pacer_run(pacer, start_ns + TICK_NS);
	pacer_run(pacer, start_ns + 5 * TICK_NS);
	assert_int_equal(w.runs, 1);
	assert_int_equal(batches, 1);
}

static void past_and_far(void **state)
{
	struct waiter past = { 0 }, far = { 0 };

	(void)state;
	pacer_run(pacer, start_ns);
	pacer_add(pacer, &past.item, 5, on_run);
	pacer_add(pacer, &far.item, start_ns + 10 * SLOTS * TICK_NS, on_run);
	pacer_run(pacer, start_ns);
	assert_int_equal(past.runs, 0);
	pacer_run(pacer, start_ns + TICK_NS);
	assert_int_equal(past.runs, 1);
	pacer_run(pacer, start_ns + 10 * SLOTS * TICK_NS - 1);
	assert_int_equal(far.runs, 0);
	pacer_run(pacer, start_ns + 10 * SLOTS * TICK_NS);
	assert_int_equal(far.runs, 1);
}

static struct waiter pair[2];

static void on_run_ends_both(struct pacer_item *item, uint64_t now_ns)
{
	on_run(item, now_ns);
	pacer_del(pacer, &pair[0].item);
	pacer_del(pacer, &pair[1].item);
}

/* An item that runs may remove an item due in the same turn. */
static void the_first_removes_the_second(void **state)
{
	(void)state;
	memset(pair, 0, sizeof(pair));
	pacer_add(pacer, &pair[0].item, start_ns, on_run_ends_both);
	pacer_add(pacer, &pair[1].item, start_ns, on_run_ends_both);
	pacer_run(pacer, start_ns);
	assert_int_equal(pair[0].runs + pair[1].runs, 1);
}

static void on_run_again(struct pacer_item *item, uint64_t now_ns)
{
	on_run(item, now_ns);
	pacer_add(pacer, item, now_ns - 20 * TICK_NS, on_run_again);
}

/* A late item catches up one tick at a time, and lets other items run in between. */
static void again_is_the_next_tick(void **state)
{
	struct waiter w = { 0 };
	unsigned int i;

	(void)state;
	pacer_add(pacer, &w.item, start_ns, on_run_again);
	for (i = 0; i < 100; i++)
		pacer_run(pacer, start_ns + i * TICK_NS);
	assert_int_equal(w.runs, 100);
	pacer_del(pacer, &w.item);
}

static void like_a_plain_list(void **state)
{
	static struct waiter w[ITEMS];
	uint64_t now = start_ns;
	unsigned int step, i;

	(void)state;
	srand(1);
	for (step = 0; step < 20000; step++) {
		struct waiter *one = &w[rand() % ITEMS];

		if (rand() % 4) {
			one->due_ns = now + TICK_NS + rand() % (3 * SLOTS * TICK_NS);
			pacer_add(pacer, &one->item, one->due_ns, on_run);
		} else {
			one->due_ns = 0;
			pacer_del(pacer, &one->item);
		}
		now += rand() % (rand() % 50 ? 20 * TICK_NS : 3 * SLOTS * TICK_NS);
		pacer_run(pacer, now);
		for (i = 0; i < ITEMS; i++)
			assert_true(!w[i].due_ns || w[i].due_ns > now - now % TICK_NS);
		for (i = 0; i < ITEMS; i++)
			assert_true(!w[i].due_ns == !w[i].item.next);
	}
	for (i = 0; i < ITEMS; i++)
		pacer_del(pacer, &w[i].item);
	assert_true(next_tick(pacer) == NOT_ARMED);
}

static void on_run_slowly(struct pacer_item *item, uint64_t now_ns)
{
	uint64_t end_ns = clock_now() + 10000;

	on_run(item, now_ns);
	while (clock_now() < end_ns)
		;
}

/* Thousands of items are run in several turns, each once. */
static void a_turn_ends(void **state)
{
	enum { MANY = 2000 };
	static struct waiter w[MANY];
	unsigned int i, turns = 0, ran;

	(void)state;
	for (i = 0; i < MANY; i++)
		pacer_add(pacer, &w[i].item, start_ns + i % 2 * TICK_NS, on_run_slowly);
	do {
		pacer_run(pacer, start_ns + (2 + turns++) * TICK_NS);
		for (ran = i = 0; i < MANY; i++)
			ran += w[i].runs;
		assert_true((ran == MANY) == (next_tick(pacer) == NOT_ARMED));
	} while (ran < MANY);
	assert_true(turns > 1);
	assert_int_equal(batches, turns);
	for (i = 0; i < MANY; i++)
		assert_int_equal(w[i].runs, 1);
}

static void the_timer_wakes(void **state)
{
	struct waiter w[2] = { 0 };
	uint64_t now = clock_now();

	(void)state;
	pacer_add(pacer, &w[1].item, now + 30 * TICK_NS, on_run);
	pacer_add(pacer, &w[0].item, now + 5 * TICK_NS, on_run); /* before the timer */
	while (!w[1].runs)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(w[0].runs, 1);
	/* On a busy machine one turn of the loop may run both. */
	assert_true(w[0].ran_ns >= now + 5 * TICK_NS && w[0].ran_ns <= w[1].ran_ns);
	assert_true(w[1].ran_ns >= now + 30 * TICK_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(runs_once_and_never_early, begin, end),
		cmocka_unit_test_setup_teardown(past_and_far, begin, end),
		cmocka_unit_test_setup_teardown(the_first_removes_the_second, begin, end),
		cmocka_unit_test_setup_teardown(again_is_the_next_tick, begin, end),
		cmocka_unit_test_setup_teardown(like_a_plain_list, begin, end),
		cmocka_unit_test_setup_teardown(a_turn_ends, begin, end),
		cmocka_unit_test_setup_teardown(the_timer_wakes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
