/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_utf8.c - valid and broken UTF-8, and JSON of names with any bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/base/utf8.c"
#include "base/put.h"

#define BAD "\xef\xbf\xbd"

static const struct {
	const char *text, *repaired;
} texts[] = {
	{ "", "" },
	{ "a1b2@192.0.2.1", "a1b2@192.0.2.1" },
	{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	{ "\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "\xff\xfe", BAD BAD },
	{ "a\xc3", "a" BAD },			 /* cut off */
	{ "\xc0\xaf", BAD BAD },		 /* overlong */
	{ "\xe0\x9f\xbf", BAD BAD BAD },	 /* overlong */
	{ "\xed\xa0\x80", BAD BAD BAD },	 /* surrogate */
	{ "\xf4\x90\x80\x80", BAD BAD BAD BAD }, /* above U+10FFFF */
	{ "\xe2\x82z", BAD BAD "z" },
	{ "gr\xfc\xdf", "gr" BAD BAD }, /* Latin-1 */
};

static void every_text(void **state)
{
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_string_equal(utf8_repair(texts[i].text, out), texts[i].repaired);
		assert_true(utf8_is_valid(out, strlen(out)));
		assert_int_equal(utf8_is_valid(texts[i].text, strlen(texts[i].text)),
				 !strcmp(texts[i].text, texts[i].repaired));
	}
}

/* Every single byte, and every pair: what comes out is valid, and valid input stays. */
static void every_pair(void **state)
{
	char in[3] = { 0 }, out[16];

	(void)state;
	for (unsigned int a = 1; a < 256; a++) {
		for (unsigned int b = 0; b < 256; b++) {
			in[0] = (char)a;
			in[1] = (char)b;
			utf8_repair(in, out);
			assert_true(utf8_is_valid(out, strlen(out)));
			if (utf8_is_valid(in, strlen(in)))
				assert_string_equal(in, out);
		}
	}
}

static void tame(void **state)
{
	static const struct {
		const char *text, *tamed;
	} rows[] = {
		{ "a1@192.0.2.1", "a1@192.0.2.1" },
		{ "\x1b]0;title\x07\x1b[2Jx", "?]0;title??[2Jx" },
		{ "a\nb\tc\rd\x7f", "a?b?c?d?" },
		{ "\xc2\x9b"
		  "2J",
		  "?2J" }, /* CSI of C1 */
		{ "\xe2\x80\xae"
		  "gpj",
		  "?gpj" }, /* right-to-left override */
		{ "a\xe2\x80\x8b"
		  "b\xef\xbb\xbf",
		  "a?b?" }, /* zero width */
		{ "\xff"
		  "gr\xc3\xbc\xc3\x9f\xe2\x82\xac",
		  "?gr\xc3\xbc\xc3\x9f\xe2\x82\xac" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_string_equal(utf8_tame(rows[i].text, out), rows[i].tamed);
		strcpy(out, rows[i].text);
		assert_string_equal(utf8_tame(out, out), rows[i].tamed);
	}
}

static void json_of_any_bytes(void **state)
{
	struct json_object *o = json_object_new_object();
	const char *text;

	(void)state;
	put_text(o, "call_id", "a\"\\\n\x01\xff");
	put_text(o, "to_tag", NULL);
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
	assert_string_equal(text, "{\"call_id\":\"a\\\"\\\\\\n\\u0001" BAD "\",\"to_tag\":null}");
	json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_text),
		cmocka_unit_test(every_pair),
		cmocka_unit_test(tame),
		cmocka_unit_test(json_of_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
