/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_table.c - the hash table against a plain list, and the work that one addition takes.
 * runs: together quick
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static bool no_memory;

static void *failing_realloc(void *p, size_t size)
{
	return no_memory ? NULL : realloc(p, size);
}

#define realloc failing_realloc
#include "../../daemon/base/table.c"
#undef realloc

#define ELEMENTS 50000

struct element {
	struct table_link link;
	uint32_t key;
	bool in;
};

static bool has(const struct table *t, const struct element *e)
{
	struct table_link *link = table_first(t, table_hash(&e->key, sizeof(e->key)));
	unsigned int found = 0;

	for (; link; link = table_next(link))
		found += container_of(link, struct element, link)->key == e->key;
	assert_true(found <= 1);
	return found;
}

static int add(struct table *t, struct element *e)
{
	int rc = table_add(t, &e->link, table_hash(&e->key, sizeof(e->key)));

	e->in = rc == 0;
	return rc;
}

/* Elements come and go in no order; after each round the table has exactly those that are in. */
static void has_what_was_added(void **state)
{
	static struct element e[ELEMENTS];
	struct table t = { 0 };
	unsigned int i, round, n = 0;

	(void)state;
	srandom(7);
	for (i = 0; i < ELEMENTS; i++)
		e[i].key = i;
	assert_false(has(&t, &e[0]));
	for (round = 0; round < 4; round++) {
		for (i = 0; i < ELEMENTS; i++) {
			if (random() % 3)
				continue;
			if (e[i].in) {
				table_del(&t, &e[i].link);
				e[i].in = false;
				n--;
			} else {
				assert_int_equal(add(&t, &e[i]), 0);
				n++;
			}
		}
		assert_int_equal(t.n, n);
		for (i = 0; i < ELEMENTS; i++)
			assert_int_equal(has(&t, &e[i]), e[i].in);
	}
	table_free(&t);
}

/* One addition moves elements of one bucket only, and buckets stay short. */
static void an_addition_is_small(void **state)
{
	static struct element e[ELEMENTS];
	struct table t = { 0 };
	unsigned int i, longest = 0;

	(void)state;
	for (i = 0; i < ELEMENTS; i++) {
		unsigned int before = t.n_buckets;

		e[i].key = i;
		assert_int_equal(add(&t, &e[i]), 0);
		assert_true(t.n_buckets <= before + 1);
	}
	for (i = 0; i < t.n_buckets; i++) {
		struct table_link *link;
		unsigned int n = 0;

		for (link = t.buckets[i]; link; link = link->next)
			n++;
		longest = MAX(longest, n);
	}
	assert_int_equal(t.n_buckets, ELEMENTS);
	assert_true(longest < 20);
	table_free(&t);
}

/* The same hash for different keys: all are found, and a removal takes the right one. */
static void one_hash_for_all(void **state)
{
	struct element e[5] = {
		{ .key = 0 }, { .key = 1 }, { .key = 2 }, { .key = 3 }, { .key = 4 }
	};
	struct table_link *link;
	struct table t = { 0 };
	unsigned int i, seen = 0;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(table_add(&t, &e[i].link, 9), 0);
	table_del(&t, &e[2].link);
	for (link = table_first(&t, 9); link; link = table_next(link))
		seen |= 1u << container_of(link, struct element, link)->key;
	assert_int_equal(seen, 1 + 2 + 8 + 16);
	assert_null(table_first(&t, 8));
	table_free(&t);
}

/* Without memory for the first bucket nothing is added; later the buckets just become longer. */
static void without_memory(void **state)
{
	struct element e[200] = { 0 };
	struct table t = { 0 };
	unsigned int i;

	(void)state;
	no_memory = true;
	assert_int_equal(add(&t, &e[0]), -ENOMEM);
	assert_int_equal(t.n, 0);
	no_memory = false;
	for (i = 0; i < 200; i++) {
		e[i].key = i;
		no_memory = i > 0;
		assert_int_equal(add(&t, &e[i]), 0);
	}
	no_memory = false;
	for (i = 0; i < 200; i++)
		assert_true(has(&t, &e[i]));
	table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_what_was_added),
		cmocka_unit_test(an_addition_is_small),
		cmocka_unit_test(one_hash_for_all),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
