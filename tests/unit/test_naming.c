/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_naming.c - names of recordings: no text of a call leads out of the directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/record/naming.c"

#define BEGUN_NS 1700000000250000000ull /* 2023-11-14 22:13:20 */

static const char *name(const char *pattern, const char *call_id, const char *from, const char *to)
{
	static char stem[NAME_MAX + 1];
	const struct naming_call call = { call_id, from, to, BEGUN_NS };

	naming_of(pattern, &call, stem);
	return stem;
}

static void names_as_rtpproxy(void **state)
{
	(void)state;
	assert_string_equal(name(NAMING_DEFAULT, "c1", "tag", NULL), "c1=tag");
	assert_string_equal(name(NAMING_DEFAULT, "c1", "tag;1", "b"), "c1=tag");
	assert_string_equal(name(NAMING_DEFAULT, "c1", "tag;2", "b"), "c1=tag;2");
}

static void names_by_pattern(void **state)
{
	(void)state;
	assert_string_equal(name("%Y/%m-%d/%H%M%S %c", "c1", "a", "b"), "2023/11-14/221320 c1");
	assert_string_equal(name("%c_%f_%t%%", "c1", "a;1", "b;1"), "c1_a_b%");
	assert_string_equal(name("%t/%c", "c1", "a", NULL), "c1");
	assert_string_equal(name("x/%t/%c", "c1", "a", ""), "x/c1");
}

static void stays_in_the_directory(void **state)
{
	(void)state;
	assert_string_equal(name("%c=%f", "../../x", "a/b", NULL), "%2E.%2F..%2Fx=a%2Fb");
	assert_string_equal(name("%f/%c", "..", "..", NULL), "%2E./%2E.");
	assert_string_equal(name("%t../%c", "x", "", NULL), "%2E./x");
	assert_string_equal(name("%c", "%2f", "", NULL), "%252f");
	assert_string_equal(name("%c", "a\nb\x7f", "", NULL), "a%0Ab%7F");
}

static void cuts_long_names(void **state)
{
	char id[400], other[400];
	const char *stem;

	(void)state;
	memset(id, 'x', sizeof(id));
	id[sizeof(id) - 1] = '\0';
	stem = name("%Y/%c", id, "a", NULL);
	assert_int_equal(strlen(stem), STEM_KEPT + 17);
	assert_memory_equal(stem, "2023/xxx", 8);
	snprintf(other, sizeof(other), "%s", stem);
	id[sizeof(id) - 2] = 'y';
	assert_string_not_equal(name("%Y/%c", id, "a", NULL), other);
}

static void judges_patterns(void **state)
{
	static const char *const right[] = { "%c", "%c=%f", "%Y/%m/%d/%c-%t", "a b/%c%%" };
	static const char *const wrong[] = { "",   "%c/", "/%c",  "a//%c", "../%c", "%c/.x",
					     "%f", "%c%", "%c%x", "%c\n",  "x/./%c" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(right); i++)
		assert_null(naming_check(right[i]));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_non_null(naming_check(wrong[i]));
}

static void judges_given_names(void **state)
{
	char stem[NAME_MAX + 1];

	(void)state;
	assert_int_equal(naming_given(span_of("call.rtp"), stem), 0);
	assert_string_equal(stem, "call.rtp");
	assert_int_equal(naming_given(span_of(""), stem), -EINVAL);
	assert_int_equal(naming_given(span_of("a/b"), stem), -EINVAL);
	assert_int_equal(naming_given(span_of(".a"), stem), -EINVAL);
	assert_int_equal(naming_given(span_of("a.json"), stem), -EINVAL);
	assert_int_equal(naming_given(span_of("tcp:192.0.2.1:5"), stem), -EPROTONOSUPPORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_as_rtpproxy),	  cmocka_unit_test(names_by_pattern),
		cmocka_unit_test(stays_in_the_directory), cmocka_unit_test(cuts_long_names),
		cmocka_unit_test(judges_patterns),	  cmocka_unit_test(judges_given_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
