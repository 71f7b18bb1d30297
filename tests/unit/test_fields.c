/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fields.c - structs as bytes: the present encoding, and the one of version 1, which is only
 * read. Bytes may come from a damaged or forged file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../daemon/base/fields.c"

struct inner {
	uint64_t number;
	struct span text;
};

struct outer {
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	bool flag;
	struct span text, text_30, text_31, text_64, text_255;
	struct addr addr, second;
	struct inner inner, inner_31;
};

static const struct field inner_fields[] = {
	FIELD(1, FIELD_UINT, inner, number),
	FIELD(2, FIELD_SPAN, inner, text),
	{ 0 },
};

static const struct field outer_fields[] = {
	FIELD(1, FIELD_UINT, outer, u8),
	FIELD(2, FIELD_UINT, outer, u16),
	FIELD(3, FIELD_UINT, outer, u32),
	FIELD(4, FIELD_UINT, outer, u64),
	FIELD(5, FIELD_BOOL, outer, flag),
	FIELD(6, FIELD_SPAN, outer, text),
	FIELD(7, FIELD_ADDR, outer, addr),
	FIELD(9, FIELD_ADDR, outer, second),
	FIELD_OF(8, outer, inner, inner_fields),
	FIELD(30, FIELD_SPAN, outer, text_30),
	FIELD(31, FIELD_SPAN, outer, text_31),
	FIELD_OF(32, outer, inner_31, inner_fields),
	FIELD(64, FIELD_SPAN, outer, text_64),
	FIELD(255, FIELD_SPAN, outer, text_255),
	{ 0 },
};

static uint8_t bytes[70000];
static char letters[70000];

static int setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(letters); i++)
		letters[i] = (char)('a' + i % 23);
	return 0;
}

static struct span text_of(size_t len)
{
	return (struct span){ letters, len };
}

static int write_outer(const struct outer *o)
{
	return fields_write(outer_fields, o, bytes, sizeof(bytes));
}

/* Read a copy of exact size: a sanitizer finds a read past its end. */
static int read_copy(struct outer *o, const uint8_t *p, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, p, len);
	*o = (struct outer){ 0 };
	rc = fields_read(outer_fields, o, (struct span){ copy, len });
	free(copy);
	return rc;
}

static int read_outer(struct outer *o, const uint8_t *p, size_t len)
{
	*o = (struct outer){ 0 };
	return fields_read(outer_fields, o, (struct span){ (const char *)p, len });
}

#define REFUSES(...)                                                        \
	do {                                                                \
		static const uint8_t p_[] = { __VA_ARGS__ };                \
		struct outer o_;                                            \
		assert_int_equal(read_copy(&o_, p_, sizeof(p_)), -EBADMSG); \
	} while (0)

#define READS(o, ...)                                                  \
	do {                                                           \
		static const uint8_t p_[] = { __VA_ARGS__ };           \
		assert_int_equal(read_outer(&(o), p_, sizeof(p_)), 0); \
	} while (0)

#define H(tag, len) ((tag) << 3 | ((len)-1)) /* a head; length 8: it follows */

static struct addr host_of(const char *text)
{
	struct addr a = { 0 };

	if (*text)
		assert_int_equal(addr_parse(&a, strchr(text, ':') ? ADDR_IP6 : ADDR_IP4, text,
					    strlen(text)),
				 0);
	a.port = *text ? 40000 : 0;
	return a;
}

/* ---- the present encoding ---- */

/* These bytes are in files and in Redis: later versions must be able to read them. */
static void writes_these_bytes(void **state)
{
	/* clang-format off */
	static const uint8_t want[] = {
		0,
		H(1, 1), 200,
		H(2, 2), 0x34, 0x12,
		H(3, 3), 3, 2, 1,
		H(4, 8), 8, 8, 7, 6, 5, 4, 3, 2, 1,
		H(5, 1), 1,
		H(6, 4), 'a', 'b', 'c', 'd',
		H(7, 7), ADDR_IP4, 0x40, 0x9c, 192, 0, 2, 1,
		H(9, 2), 0x41, 0x9c,
		H(8, 4), H(1, 1), 9, H(2, 1), 'a',
		H(30, 1), 'a',
		H(31, 2), 31, 'a', 'b',
		H(31, 2), 32, H(1, 1), 7,
		H(31, 8), 64, 8, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h',
		H(31, 1), 255, 'a',
	};
	/* clang-format on */
	struct outer o = {
		.u8 = 200, .u16 = 0x1234, .u32 = 0x10203, .u64 = 0x102030405060708ull, .flag = true,
		.text = text_of(4), .text_30 = text_of(1), .text_31 = text_of(2),
		.text_64 = text_of(8), .text_255 = text_of(1),
		.inner = { 9, text_of(1) }, .inner_31 = { .number = 7 },
	}, back;

	(void)state;
	assert_int_equal(addr_parse(&o.addr, ADDR_IP4, "192.0.2.1", 9), 0);
	o.addr = addr_with_port(o.addr, 40000);
	o.second = addr_with_port(o.addr, 40001);
	assert_int_equal(write_outer(&o), sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
	assert_int_equal(read_outer(&back, want, sizeof(want)), 0);
	assert_int_equal(back.u32, 0x10203);
	assert_true(back.u64 == o.u64);
	assert_true(back.flag);
	assert_true(addr_eq(&back.addr, &o.addr));
	assert_true(addr_eq(&back.second, &o.second));
	assert_int_equal(back.inner.number, 9);
	assert_int_equal(back.inner_31.number, 7);
	assert_true(span_eq(back.text_31, text_of(2)));
	assert_true(span_eq(back.text_64, text_of(8)));
	assert_true(span_eq(back.text_255, text_of(1)));
}

/* An address comes back whole if the first one is at another host, of another family, or absent. */
static void addresses_of_all_kinds(void **state)
{
	static const char *const hosts[] = { "", "192.0.2.1", "192.0.2.2", "2001:db8::1",
					     "2001:db8::2" };
	struct outer o = { 0 }, back;
	size_t i, k;
	int len;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(hosts); i++) {
		for (k = 0; k < ARRAY_SIZE(hosts); k++) {
			o.addr = host_of(hosts[i]);
			o.second = host_of(hosts[k]);
			len = write_outer(&o);
			assert_int_equal(read_copy(&back, bytes, (size_t)len), 0);
			assert_true(addr_eq(&back.addr, &o.addr));
			assert_true(addr_eq(&back.second, &o.second));
		}
	}
}

static void writes_nothing_for_zeros(void **state)
{
	struct outer o = { .text = { "", 0 } };

	(void)state;
	assert_int_equal(write_outer(&o), 1);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(fields_write(outer_fields, &o, bytes, 0), -E2BIG);
}

/* Each length of a number comes back. */
static void numbers_of_all_lengths(void **state)
{
	uint64_t v = 1;
	struct outer back;
	int i;

	(void)state;
	for (i = 0; i < 64; i++, v = v << 1 | (i & 1)) {
		struct outer o = { .u64 = v };
		int len = write_outer(&o);

		assert_int_equal(len, 3 + i / 8 + (i >= 56));
		assert_int_equal(read_copy(&back, bytes, (size_t)len), 0);
		assert_true(back.u64 == v);
	}
}

/* At each border of the lengths: the head of a text and the head of a struct around it. */
static void values_of_all_lengths(void **state)
{
	static const struct {
		size_t len, head;
	} rows[] = {
		{ 1, 1 },   { 2, 1 },	{ 6, 1 },     { 7, 1 },	    { 8, 2 },	  { 9, 2 },
		{ 253, 2 }, { 254, 2 }, { 255, 4 },   { 256, 4 },   { 257, 4 },	  { 1000, 4 },
		{ 511, 4 }, { 512, 4 }, { 65534, 4 }, { 65535, 4 }, { 65000, 4 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct outer o = { .text = text_of(rows[i].len) }, back;
		size_t len = 1 + rows[i].head + rows[i].len;

		assert_int_equal(write_outer(&o), len);
		assert_int_equal(read_outer(&back, bytes, len), 0);
		assert_true(span_eq(back.text, o.text));
		assert_int_equal(fields_write(outer_fields, &o, bytes, len - 1), -E2BIG);
		assert_int_equal(fields_write(outer_fields, &o, bytes, len), len);

		o = (struct outer){ .text_64 = text_of(rows[i].len) };
		assert_int_equal(write_outer(&o), len + 1);
		assert_int_equal(read_outer(&back, bytes, len + 1), 0);
		assert_true(span_eq(back.text_64, o.text_64));
	}
	assert_int_equal(write_outer(&(struct outer){ .text = text_of(65536) }), -E2BIG);
}

/* The members of a struct move by as many bytes as its head needs, and no neighbour is hit. */
static void structs_of_all_lengths(void **state)
{
	size_t n, was = 0;

	(void)state;
	for (n = 0; n < 600; n++) {
		struct outer o = { .inner = { .text = text_of(n) },
				   .inner_31 = { n, text_of(n) },
				   .text_31 = text_of(3),
				   .u8 = 5 },
			     back;
		int len = write_outer(&o);

		assert_true(len > (int)was);
		was = (size_t)len;
		assert_int_equal(read_copy(&back, bytes, was), 0);
		assert_int_equal(read_outer(&back, bytes, was), 0);
		assert_true(span_eq(back.inner.text, o.inner.text));
		assert_true(span_eq(back.inner_31.text, o.inner_31.text));
		assert_int_equal(back.inner_31.number, n);
		assert_true(span_eq(back.text_31, o.text_31));
		/* No byte more than it needs, and none past the end. */
		memset(bytes, 0xee, sizeof(bytes));
		assert_int_equal(fields_write(outer_fields, &o, bytes, was - 1), -E2BIG);
		assert_int_equal(bytes[was - 1], 0xee);
		assert_int_equal(fields_write(outer_fields, &o, bytes, was), was);
		assert_int_equal(bytes[was], 0xee);
	}
	assert_int_equal(write_outer(&(struct outer){
				 .inner = { .number = 1, .text = text_of(65535) } }),
			 -E2BIG);
}

/* Each number of bytes less than needed is refused, and no byte past them is written. */
static void refuses_what_has_no_room(void **state)
{
	struct outer o = { .u64 = UINT64_MAX,
			   .inner = { 5, text_of(300) },
			   .text_64 = text_of(20),
			   .inner_31 = { .number = 300 } };
	int len = write_outer(&o), n;

	(void)state;
	for (n = 0; n < len; n++) {
		memset(bytes, 0xee, sizeof(bytes));
		assert_int_equal(fields_write(outer_fields, &o, bytes, (size_t)n), -E2BIG);
		assert_int_equal(bytes[n], 0xee);
	}
}

/* Members that this version does not know, in front of, between and behind the others. */
static void skips_unknown_tags(void **state)
{
	struct outer o;

	(void)state;
	READS(o, 0, H(20, 2), 1, 2, H(1, 1), 7, H(31, 8), 200, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9,
	      H(2, 2), 0x34, 0x12, H(8, 4), H(9, 1), 0, H(1, 1), 3, 0);
	assert_int_equal(o.u8, 7);
	assert_int_equal(o.u16, 0x1234);
	assert_int_equal(o.inner.number, 3);
}

static void several_tables_follow_each_other(void **state)
{
	struct outer one = { .u8 = 1 }, two = { .text = text_of(9) }, back;
	int len = write_outer(&one);

	(void)state;
	len += fields_write(outer_fields, &two, bytes + len, sizeof(bytes) - (size_t)len);
	assert_int_equal(read_outer(&back, bytes, (size_t)len), 0);
	assert_int_equal(back.u8, 1);
	assert_true(span_eq(back.text, two.text));
}

static void refuses_malformed_bytes(void **state)
{
	struct outer o;

	(void)state;
	READS(o, 0);
	REFUSES(0, H(1, 2), 1, 1); /* too wide for the member */
	REFUSES(0, H(4, 8), 9, 1, 1, 1, 1, 1, 1, 1, 1, 1);
	REFUSES(0, H(5, 1), 2); /* no bool */
	REFUSES(0, H(5, 2), 1, 1);
	REFUSES(0, H(7, 7), 9, 0, 0, 1, 1, 1, 1); /* no family of addresses */
	REFUSES(0, H(7, 6), ADDR_IP4, 0, 0, 1, 1, 1);
	REFUSES(0, H(7, 2), 1, 1); /* a port alone, without an address before it */
	REFUSES(0, H(9, 2), 1, 1);
	REFUSES(0, H(9, 2), 1, 1, H(7, 7), ADDR_IP4, 0, 0, 1, 1, 1, 1);
	REFUSES(0, 7); /* tag 0 */
	REFUSES(0, H(0, 2), 1, 1);
	REFUSES(0, H(31, 1), 0, 1);
	REFUSES(0, H(8, 2), 0, 0);	 /* tag 0 inside a struct */
	REFUSES(0, H(8, 2), H(1, 2), 1); /* longer than the struct around it */
	REFUSES(0, H(8, 1), H(1, 1));
	REFUSES(0, H(6, 8)); /* cut */
	REFUSES(0, H(6, 8), 255);
	REFUSES(0, H(6, 8), 255, 1);
	REFUSES(0, H(6, 8), 255, 1, 0);
	REFUSES(0, H(31, 1));
	REFUSES(0, H(31, 8), 64);
}

/* A cut is refused, except where a member ends. */
static void refuses_cut_ones(void **state)
{
	struct outer o = { .u8 = 1,
			   .u64 = UINT64_MAX,
			   .inner = { 5, text_of(300) },
			   .text_31 = text_of(7),
			   .text_64 = text_of(20) },
		     back;
	int len = write_outer(&o), n, whole = 0;

	(void)state;
	for (n = 0; n < len; n++)
		whole += read_copy(&back, bytes, (size_t)n) == 0;
	assert_int_equal(whole, 6); /* nothing, the byte 0, and behind four of five members */
}

/* Random bytes, and random changes of good ones. */
static void stands_random_bytes(void **state)
{
	struct outer o = { .u8 = 1,
			   .u64 = UINT64_MAX,
			   .inner = { 5, text_of(30) },
			   .text_31 = text_of(7),
			   .text_64 = text_of(20) },
		     back;
	int len = write_outer(&o), i, refused = 0;
	uint64_t random = 88172645463325252ull;
	uint8_t copy[200];

	(void)state;
	assert_in_range(len, 1, sizeof(copy));
	for (i = 0; i < 200000; i++) {
		size_t n, at;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memcpy(copy, bytes, (size_t)len);
		n = i & 1 ? (size_t)len : random % 40;
		if (i & 1)
			copy[random % n] = (uint8_t)(random >> 32);
		for (at = 0; !(i & 1) && at < n; at++)
			copy[at] = (uint8_t)(random >> at % 57) & (at & 2 ? 0x3f : 0xff);
		if (i & 2)
			copy[0] = 0;
		refused += read_copy(&back, copy, n) == -EBADMSG;
	}
	assert_in_range(refused, 1000, 199000);
}

/* ---- the encoding of version 1 ---- */

static void reads_version_1(void **state)
{
	struct outer o;

	(void)state;
	READS(o, 1, 1, 0, 200, 2, 2, 0, 0x34, 0x12, 4, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1, 5, 1, 0, 1, 6,
	      3, 0, 'a', 'b', 'c', 7, 7, 0, ADDR_IP4, 0x40, 0x9c, 192, 0, 2, 1, 8, 8, 0, 1, 1, 0, 9,
	      2, 1, 0, 'x', 32, 4, 0, 1, 1, 0, 7, 200, 2, 0, 1, 2, 64, 1, 0, 'y');
	assert_int_equal(o.u8, 200);
	assert_int_equal(o.u16, 0x1234);
	assert_true(o.u64 == 0x102030405060708ull);
	assert_true(o.flag);
	assert_true(span_eq(o.text, span_of("abc")));
	assert_int_equal(o.addr.port, 40000);
	assert_int_equal(o.inner.number, 9);
	assert_true(span_eq(o.inner.text, span_of("x")));
	assert_int_equal(o.inner_31.number, 7);
	assert_true(span_eq(o.text_64, span_of("y")));
}

static void refuses_malformed_bytes_of_version_1(void **state)
{
	(void)state;
	REFUSES(1);
	REFUSES(1, 1);
	REFUSES(1, 1, 0);
	REFUSES(1, 2, 0, 1, 1);
	REFUSES(6, 2, 0, 'a');
	REFUSES(6, 0, 1, 'a');
	REFUSES(5, 1, 0, 2);
	REFUSES(8, 3, 0, 0, 0, 0);	 /* tag 0 inside a struct */
	REFUSES(8, 3, 0, 0, H(1, 1), 1); /* no other encoding inside a struct */
	REFUSES(8, 4, 0, 1, 2, 0, 1);
	REFUSES(7, 7, 0, ADDR_IP4, 0, 0, 1, 1, 1, 1, 9, 2, 0, 1, 1); /* a port alone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_these_bytes),
		cmocka_unit_test(addresses_of_all_kinds),
		cmocka_unit_test(writes_nothing_for_zeros),
		cmocka_unit_test(numbers_of_all_lengths),
		cmocka_unit_test(values_of_all_lengths),
		cmocka_unit_test(structs_of_all_lengths),
		cmocka_unit_test(refuses_what_has_no_room),
		cmocka_unit_test(skips_unknown_tags),
		cmocka_unit_test(several_tables_follow_each_other),
		cmocka_unit_test(refuses_malformed_bytes),
		cmocka_unit_test(refuses_cut_ones),
		cmocka_unit_test(stands_random_bytes),
		cmocka_unit_test(reads_version_1),
		cmocka_unit_test(refuses_malformed_bytes_of_version_1),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
