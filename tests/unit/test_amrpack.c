/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amrpack.c - the figures of RFC 4867, by hand, then every form, frame type and number of
 * frames there and back. Payloads lie in memory of their own size, so that the sanitizer sees a
 * byte read beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/media/amrpack.c"

static const struct amrpack_form narrow = { 0 }, wide = { .wide = true },
				 narrow_octets = { .octet_aligned = true },
				 wide_octets = { .wide = true, .octet_aligned = true };

static uint8_t frames[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME];

static int parse(struct amrpack_form form, const void *bytes, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);
	int n;

	assert_non_null(p);
	memcpy(p, bytes, len);
	n = amrpack_parse(form, p, len, frames);
	free(p);
	return n;
}

/* The frame @i is @head, then @bits ones. */
static void is_ones(int i, uint8_t head, int bits)
{
	size_t at = 8;
	int b;

	assert_int_equal(frames[i][0], head);
	for (b = 0; b < bits; b++)
		assert_int_equal(bits_get(frames[i], &at, 1), 1);
	while (at < 8 * AMRPACK_MAX_FRAME)
		assert_int_equal(bits_get(frames[i], &at, 1), 0);
}

/* Section 4.3.5.1: no request, AMR 7.4 kbit/s, 148 bits; the 2 bits of padding are ones here. */
static void figure_of_one_frame(void **state)
{
	uint8_t p[20];

	(void)state;
	memset(p, 0xff, sizeof(p));
	p[0] = 0xf2;
	p[1] = 0x7f;
	assert_int_equal(parse(narrow, p, sizeof(p)), 1);
	is_ones(0, 0x24, 148);
	assert_int_equal(amrpack_kind(false, frames[0]), AMRPACK_SPEECH);
	assert_true(amrpack_is_good(frames[0]));
	p[19] = 0xfc;
	{
		uint8_t out[AMRPACK_MAX_PAYLOAD];

		assert_int_equal(amrpack_write(narrow, frames[0], out), sizeof(p));
		assert_memory_equal(out, p, sizeof(p));
	}
}

/*
 * Section 4.3.5.2: AMR-WB 8.85 kbit/s is requested; frames of 6.60 kbit/s (132 bits), of silence
 * (40 bits), of nothing, and of 8.85 kbit/s (177 bits); 7 bits of padding.
 */
static void figure_of_four_frames(void **state)
{
	uint8_t p[48];

	(void)state;
	memset(p, 0xff, sizeof(p));
	p[0] = 0x18;
	p[1] = 0x73;
	p[2] = 0xfc;
	p[3] = 0x3f;
	p[47] = 0x80;
	assert_int_equal(parse(wide, p, sizeof(p)), 4);
	is_ones(0, 0x04, 132);
	is_ones(1, 0x4c, 40);
	is_ones(2, 0x7c, 0);
	is_ones(3, 0x0c, 177);
	assert_int_equal(amrpack_kind(true, frames[0]), AMRPACK_SPEECH);
	assert_int_equal(amrpack_kind(true, frames[1]), AMRPACK_SILENCE);
	assert_int_equal(amrpack_kind(true, frames[2]), AMRPACK_NOTHING);
}

/* Section 4.4: a request of 6 with its padding, AMR 5.9 kbit/s (118 bits), silence; a bad frame. */
static void octets(void **state)
{
	uint8_t p[3 + 15 + 5] = { 0x60, 0x94, 0x40 }, out[AMRPACK_MAX_PAYLOAD];

	(void)state;
	memset(p + 3, 0xff, 14);
	p[3 + 14] = 0xfc;
	memset(p + 3 + 15, 0xff, 4);
	p[3 + 15 + 4] = 0xfe;
	assert_int_equal(parse(narrow_octets, p, sizeof(p)), 2);
	is_ones(0, 0x14, 118);
	is_ones(1, 0x40, 39);
	assert_int_equal(amrpack_kind(false, frames[1]), AMRPACK_SILENCE);
	assert_true(amrpack_is_good(frames[0]) && !amrpack_is_good(frames[1]));
	assert_int_equal(amrpack_write(narrow_octets, frames[0], out), 2 + 15);
	assert_int_equal(out[0], 0xf0);
	assert_int_equal(out[1], 0x14);
	assert_memory_equal(out + 2, p + 3, 15);
}

static void fill(uint8_t *frame, bool is_wide, unsigned int type, unsigned int seed)
{
	int bits = bits_of_type[is_wide][type], b;
	size_t at = 8;

	memset(frame, 0, AMRPACK_MAX_FRAME);
	frame[0] = (uint8_t)(type << HEAD_TYPE_SHIFT | HEAD_GOOD);
	for (b = 0; b < bits; b++)
		bits_put(frame, &at, ((unsigned int)b + seed) * 2654435761u >> 31, 1);
}

/* A payload with the frames of @all, as section 4.3 and 4.4 have it. */
static size_t write_all(struct amrpack_form form, uint8_t (*all)[AMRPACK_MAX_FRAME], int n,
			uint8_t *out)
{
	size_t at = 0, from;
	int i;

	bits_put(out, &at, NO_REQUEST, 4);
	at = form.octet_aligned ? 8 : 4;
	for (i = 0; i < n; i++) {
		bits_put(out, &at, (i + 1 < n) << 5 | all[i][0] >> 2, 6);
		at += form.octet_aligned ? 2 : 0;
	}
	for (i = 0; i < n; i++) {
		from = 8;
		bits_copy(out, &at, all[i], &from, frame_bits(form.wide, all[i]));
		at = form.octet_aligned ? (at + 7) / 8 * 8 : at;
	}
	return (at + 7) / 8;
}

static void there_and_back(struct amrpack_form form, unsigned int type, int n)
{
	static uint8_t all[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME];
	uint8_t p[AMRPACK_MAX_FRAMES * AMRPACK_MAX_PAYLOAD] = { 0 }, one[AMRPACK_MAX_PAYLOAD];
	size_t len, cut;
	int i;

	for (i = 0; i < n; i++)
		fill(all[i], form.wide, i == 1 ? NOTHING : type, 31 * (unsigned int)i + type);
	len = write_all(form, all, n, p);
	assert_int_equal(parse(form, p, len), n);
	for (i = 0; i < n; i++)
		assert_memory_equal(frames[i], all[i], AMRPACK_MAX_FRAME);
	for (cut = 0; cut < len; cut += 1 + len / 100)
		assert_int_equal(parse(form, p, cut), -EBADMSG);
	assert_int_equal(parse(form, p, len + 1), -EBADMSG);
	if (n == 1) {
		assert_int_equal(amrpack_write(form, all[0], one), len);
		assert_memory_equal(one, p, len);
	}
}

static void every_form_type_and_number(void **state)
{
	static const struct amrpack_form *const forms[] = { &narrow, &wide, &narrow_octets,
							    &wide_octets };
	static const int numbers[] = { 1, 2, 3, 8, AMRPACK_MAX_FRAMES };
	unsigned int type;
	size_t f, i;

	(void)state;
	for (f = 0; f < ARRAY_SIZE(forms); f++)
		for (type = 0; type < TYPES; type++)
			for (i = 0; i < ARRAY_SIZE(numbers); i++)
				if (bits_of_type[forms[f]->wide][type] != RESERVED)
					there_and_back(*forms[f], type, numbers[i]);
}

/* Section 4.3.2: a payload with a reserved type is thrown away whole. */
static void refused(void **state)
{
	uint8_t p[64] = { 0xf0 }, many[2 + AMRPACK_MAX_FRAMES];

	(void)state;
	assert_int_equal(parse(narrow, p, 0), -EBADMSG);
	p[1] = 9 << HEAD_TYPE_SHIFT | HEAD_GOOD;
	assert_int_equal(parse(narrow_octets, p, 2 + 5), -EBADMSG);
	assert_int_equal(parse(wide_octets, p, 2 + 5), 1);
	p[1] = 13 << HEAD_TYPE_SHIFT | HEAD_GOOD;
	assert_int_equal(parse(wide_octets, p, 2), -EBADMSG);
	p[1] = 14 << HEAD_TYPE_SHIFT | HEAD_GOOD;
	assert_int_equal(parse(wide_octets, p, 2), 1);
	assert_int_equal(amrpack_kind(true, frames[0]), AMRPACK_NOTHING);
	memset(many, 0xfc, sizeof(many));
	many[1 + AMRPACK_MAX_FRAMES] = 0x7c;
	assert_int_equal(parse(wide_octets, many, 2 + AMRPACK_MAX_FRAMES), -EBADMSG);
	many[AMRPACK_MAX_FRAMES] = 0x7c;
	assert_int_equal(parse(wide_octets, many, 1 + AMRPACK_MAX_FRAMES), AMRPACK_MAX_FRAMES);
}

/* Any bytes: no crash, and nothing is read beyond. */
static void any_bytes(void **state)
{
	static const struct amrpack_form *const forms[] = { &narrow, &wide, &narrow_octets,
							    &wide_octets };
	uint32_t random = 1;
	uint8_t p[80];
	size_t i, f, len;
	int n;

	(void)state;
	for (i = 0; i < 20000; i++) {
		for (len = 0; len < sizeof(p); len++) {
			random = random * 1664525 + 1013904223;
			p[len] = (uint8_t)(random >> 24);
		}
		f = i % ARRAY_SIZE(forms);
		n = parse(*forms[f], p, random >> 16 & 63);
		assert_true(n == -EBADMSG || (n >= 1 && n <= AMRPACK_MAX_FRAMES));
	}
}

static void files(void **state)
{
	uint8_t p[2] = { 15 << HEAD_TYPE_SHIFT }, frame[32] = { 7 << HEAD_TYPE_SHIFT };

	(void)state;
	assert_string_equal(amrpack_magic(false), "#!AMR\n");
	assert_string_equal(amrpack_magic(true), "#!AMR-WB\n");
	assert_int_equal(amrpack_file_next(false, p, 2), 1);
	assert_int_equal(amrpack_file_next(false, p, 0), 0);
	assert_int_equal(amrpack_file_next(false, frame, 32), 32);
	assert_int_equal(amrpack_file_next(false, frame, 31), 0);
	p[0] = 10 << HEAD_TYPE_SHIFT;
	assert_int_equal(amrpack_file_next(true, p, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figure_of_one_frame),
		cmocka_unit_test(figure_of_four_frames),
		cmocka_unit_test(octets),
		cmocka_unit_test(every_form_type_and_number),
		cmocka_unit_test(refused),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
