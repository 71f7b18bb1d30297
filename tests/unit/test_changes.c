/* SPDX-License-Identifier: BSD-2-Clause */
/* test_changes.c - changes that wait for Redis: the latest of each record, in order, bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "../../daemon/replicate/changes.c"

static struct changes *fresh(void)
{
	struct changes *c;

	assert_int_equal(changes_new(&c), 0);
	return c;
}

/* The next change is @name with @body; frees it. */
static void takes(struct changes *c, const char *name, const char *body)
{
	struct change *change = changes_take(c);

	assert_non_null(change);
	assert_string_equal(change->name, name);
	assert_int_equal(change->len, strlen(body));
	assert_memory_equal(change->body, body, strlen(body));
	free(change);
}

static void test_latest(void **state)
{
	struct changes *c = fresh();

	(void)state;
	assert_int_equal(changes_add(c, CHANGE_PUT, 5, span_of("first")), 0);
	assert_int_equal(changes_add(c, CHANGE_PUT, 7, span_of("other")), 0);
	assert_int_equal(changes_add(c, CHANGE_PUT, 5, span_of("second")), 0);
	assert_int_equal(changes_add(c, CHANGE_PASSING, 9, span_of("reply")), 0);
	assert_int_equal(changes_count(c), 3);
	assert_true(changes_has(c, 5));
	assert_false(changes_has(c, 6));
	takes(c, "p5", "second");
	assert_false(changes_has(c, 5));
	assert_int_equal(changes_add(c, CHANGE_GONE, 7, span_of("")), 0);
	takes(c, "d7", "");
	takes(c, "r9", "reply");
	assert_null(changes_take(c));
	changes_free(c);
}

/* Beyond the bound everything is dropped: the reader has to read all records again anyway. */
static void test_bound(void **state)
{
	static char big[1u << 20];
	struct changes *c = fresh();
	uint64_t key = 0;

	(void)state;
	while (changes_add(c, CHANGE_PUT, key, (struct span){ big, sizeof(big) }) == 0)
		key++;
	assert_in_range(key, CHANGES_MAX_BYTES / sizeof(big) - 1, CHANGES_MAX_BYTES / sizeof(big));
	assert_int_equal(changes_count(c), 0);
	assert_int_equal(changes_add(c, CHANGE_PUT, 1, span_of("small")), 0);
	takes(c, "p1", "small");
	changes_free(c);
}

static void test_names(void **state)
{
	enum change_kind kind;
	uint64_t key;

	(void)state;
	assert_true(change_parse(span_of("p18446744073709551615"), &kind, &key));
	assert_int_equal(kind, CHANGE_PUT);
	assert_true(key == UINT64_MAX);
	assert_false(change_parse(span_of("p18446744073709551616"), &kind, &key));
	assert_false(change_parse(span_of("x1"), &kind, &key));
	assert_false(change_parse(span_of("p"), &kind, &key));
	assert_false(change_parse(span_of("p1x"), &kind, &key));
	assert_false(change_parse(span_of(""), &kind, &key));
	assert_false(change_key(span_of(""), &key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
