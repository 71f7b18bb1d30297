/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_keys.c - telephone events are found by their form or their payload type, with header
 * extensions and padding too, and audio is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/record/keys.c"

#define HEAD 12

/* A packet of payload type @type with @len bytes of payload; returns its length. */
static size_t packet(uint8_t p[64], uint8_t type, const void *payload, size_t len)
{
	memset(p, 0, HEAD);
	p[0] = 0x80;
	p[1] = type;
	memcpy(p + HEAD, payload, len);
	return HEAD + len;
}

static void finds_events_by_their_form(void **state)
{
	uint8_t p[64];

	(void)state;
	assert_true(keys_in(p, packet(p, 101, "\x05\x0a\x00\xa0", 4), 0));
	assert_true(keys_in(p, packet(p, 96, "\x0f\x8a\x03\x20", 4), 0));
	assert_true(keys_in(p, packet(p, 127 | 0x80, "\x10\x8a\x03\x20", 4), 0));
	assert_false(keys_in(p, packet(p, 101, "\x11\x0a\x00\xa0", 4), 0)); /* no key */
	assert_false(keys_in(p, packet(p, 101, "\x05\x4a\x00\xa0", 4), 0)); /* reserved flag */
	assert_false(keys_in(p, packet(p, 101, "\x05\x0a\x00\xa0\x00", 5), 0));
	assert_false(keys_in(p, packet(p, 0, "\x05\x0a\x00\xa0", 4), 0)); /* PCMU */
	assert_false(keys_in(p, 11, 0));
	p[0] = 0x00;
	assert_false(keys_in(p, 16, 0));
}

static void finds_named_types_of_any_form(void **state)
{
	const uint32_t types = 1u << (100 - RTP_FIRST_DYNAMIC) | 1u << 31;
	uint8_t p[64];

	(void)state;
	assert_true(keys_in(p, packet(p, 100, "encrypted events", 14), types));
	assert_true(keys_in(p, packet(p, 127, "", 0), types));
	assert_false(keys_in(p, packet(p, 99, "other audio", 11), types));
}

static void masks_each_event(void **state)
{
	uint8_t p[64];
	size_t len = packet(p, 101, "\x05\x0a\x00\xa0\x01\x8a\x03\x20", 8);

	(void)state;
	assert_true(keys_mask(p, len));
	assert_memory_equal(p + HEAD, "\x0a\x0a\x00\xa0\x0a\x8a\x03\x20", 8);
	assert_false(keys_mask(p, packet(p, 101, "", 0)));
	assert_false(keys_mask(p, packet(p, 101, "14 bytes of it", 14)));
}

/* One CSRC, an extension of one word, two bytes of padding. */
static void looks_behind_headers_and_before_padding(void **state)
{
	uint8_t p[] = { 0xb1, 101,  0,	  1, 0, 0, 0, 0, 0, 0, 0,  7, 0,   0, 0,
			8,    0xbe, 0xde, 0, 1, 1, 2, 3, 4, 9, 10, 0, 160, 0, 2 };

	(void)state;
	assert_true(keys_in(p, sizeof(p), 0));
	assert_true(keys_mask(p, sizeof(p)));
	assert_int_equal(p[24], 10);
	assert_int_equal(p[20], 1);
	assert_int_equal(p[28], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_events_by_their_form),
		cmocka_unit_test(finds_named_types_of_any_form),
		cmocka_unit_test(masks_each_event),
		cmocka_unit_test(looks_behind_headers_and_before_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
