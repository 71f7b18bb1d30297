/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_prompt.c - checks the bytes of the prompt in each packet, over rounds and for each codec.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/media/prompt.c"
#include "rtpx_verdict.h"

static uint8_t file[100000], packet[PROMPT_MAX_PACKET];

static struct prompt_opts usual(uint8_t type, size_t len, unsigned int ptime_ms, int count)
{
	return (struct prompt_opts){ .data = file,
				     .len = len,
				     .payload_type = type,
				     .frames_type = type,
				     .ptime_ms = ptime_ms,
				     .count = count,
				     .ssrc = 0xfedcba98,
				     .ts = 0xffffffb0,
				     .seq = 0xfffe };
}

static int fill_file(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(file); i++)
		file[i] = i * 2654435761u >> 11;
	return 0;
}

/* Check the packet just made. */
static void is_packet(size_t len, uint8_t type, bool marker, uint16_t seq, uint32_t ts, size_t at)
{
	const uint8_t expected[RTP_HEADER] = {
		0x80,		type | marker << 7, seq >> 8, seq & 0xff, ts >> 24, ts >> 16 & 0xff,
		ts >> 8 & 0xff, ts & 0xff,	    0xfe,     0xdc,	  0xba,	    0x98
	};

	assert_memory_equal(packet, expected, RTP_HEADER);
	assert_memory_equal(packet + RTP_HEADER, file + at, len - RTP_HEADER);
}

struct codec_row {
	uint8_t type;
	unsigned int ptime_ms, packet_ms;
	size_t bytes;
};

/* ptime is rounded up to the codec's frame. */
static const struct codec_row codec_rows[] = {
	{ 0, 10, 10, 80 },    { 0, 20, 20, 160 }, { 8, 15, 15, 120 }, { 9, 20, 20, 160 },
	{ 9, 100, 100, 800 }, { 18, 10, 10, 10 }, { 18, 25, 30, 30 }, { 3, 10, 20, 33 },
	{ 3, 50, 60, 99 },    { 4, 10, 30, 24 },  { 4, 60, 60, 48 },  { 0, 999, 999, 7992 },
};

static void each_codec(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(codec_rows); i++) {
		const struct codec_row *row = &codec_rows[i];
		struct prompt_opts o = usual(row->type, 2 * row->bytes, row->ptime_ms, 1);
		size_t len = RTP_HEADER + row->bytes;
		struct prompt p;

		assert_int_equal(prompt_start(&p, &o), 0);
		assert_true(prompt_packet_ns(&o) == row->packet_ms * NSEC_PER_MSEC);
		assert_int_equal(prompt_next(&p, packet), len);
		is_packet(len, row->type, true, o.seq, o.ts, 0);
		assert_int_equal(prompt_next(&p, packet), len);
		is_packet(len, row->type, false, o.seq + 1, o.ts + row->packet_ms * 8, row->bytes);
		assert_int_equal(prompt_next(&p, packet), 0);
		assert_int_equal(prompt_next(&p, packet), 0);
	}
}

/* Three rounds of two packets and a rest too short for one. Sequence and time stamp wrap. */
static void rounds_drop_the_rest(void **state)
{
	struct prompt_opts o = usual(0, 2 * 80 + 79, 10, 3);
	struct prompt p;
	unsigned int i;

	(void)state;
	assert_int_equal(prompt_start(&p, &o), 0);
	assert_int_equal(prompt_round_ms(&p), 20);
	for (i = 0; i < 6; i++) {
		assert_int_equal(prompt_left_ms(&p), 60 - 10 * (int)i);
		assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 80);
		is_packet(RTP_HEADER + 80, 0, i == 0, o.seq + i, o.ts + 80 * i, i % 2 * 80);
	}
	assert_int_equal(prompt_next(&p, packet), 0);
}

static void endless(void **state)
{
	struct prompt_opts o = usual(3, 33, 20, -5);
	struct prompt p;
	unsigned int i;

	(void)state;
	assert_int_equal(prompt_start(&p, &o), 0);
	assert_int_equal(prompt_left_ms(&p), -1);
	for (i = 0; i < 200000; i++) {
		assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 33);
		is_packet(RTP_HEADER + 33, 3, i == 0, o.seq + i, o.ts + 160 * i, 0);
	}
}

/* Frames of G.723.1 tell their length: 24, 20 and 4 bytes, RFC 3551 section 4.5.3. */
static void g723_of_several_lengths(void **state)
{
	static const uint8_t kinds[] = { 0, 1, 1, 2, 0 }, bytes[] = { 24, 20, 20, 4, 24 };
	static uint8_t frames[24 + 20 + 20 + 4 + 24];
	struct prompt_opts o = usual(4, sizeof(frames), 30, 2);
	struct prompt p;
	size_t i, at;

	(void)state;
	for (i = at = 0; i < ARRAY_SIZE(kinds); at += bytes[i++])
		frames[at] = kinds[i];
	o.data = frames;
	assert_int_equal(prompt_start(&p, &o), 0);
	for (i = 0; i < 2 * ARRAY_SIZE(kinds); i++) {
		assert_int_equal(prompt_next(&p, packet),
				 RTP_HEADER + bytes[i % ARRAY_SIZE(kinds)]);
		assert_int_equal(packet[RTP_HEADER], kinds[i % ARRAY_SIZE(kinds)]);
		assert_int_equal(packet[7], (uint8_t)(o.ts + 240 * i));
	}
	assert_int_equal(prompt_next(&p, packet), 0);
	assert_int_equal(prompt_start(&p, &o), 0);
	assert_int_equal(prompt_round_ms(&p), 150);
	assert_int_equal(prompt_left_ms(&p), 300);
	prompt_skip(&p, 6);
	assert_int_equal(prompt_left_ms(&p), 120);
	assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 20);
	o.ptime_ms = 60; /* two frames a packet; the last one is alone, and left out */
	assert_int_equal(prompt_start(&p, &o), 0);
	assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 44);
	assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 24);
	assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 44);
}

static void payloads_behind_lengths(void **state)
{
	static const uint8_t bytes[] = { 0, 3, 'a', 'b', 'c', 0, 1, 'd', 0, 9, 'e' };
	struct prompt_opts o = usual(111, sizeof(bytes), 60, 2);
	struct prompt p;
	int i;

	(void)state;
	o.data = bytes;
	o.packet_khz = 48;
	assert_true(prompt_packet_ns(&o) == 20 * NSEC_PER_MSEC);
	assert_int_equal(prompt_start(&p, &o), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 3);
		assert_memory_equal(packet + RTP_HEADER, "abc", 3);
		assert_int_equal(packet[1], i ? 111 : 111 | RTP_MARKER);
		assert_int_equal(prompt_next(&p, packet), RTP_HEADER + 1);
		assert_int_equal(packet[RTP_HEADER], 'd');
		assert_int_equal(rtpx_get16(packet + 6), (uint16_t)(o.ts + 960 * (2 * i + 1)));
	}
	assert_int_equal(prompt_next(&p, packet), 0);
	o.len = 4; /* cut */
	assert_int_equal(prompt_start(&p, &o), -ENODATA);
	o.len = 1;
	assert_int_equal(prompt_start(&p, &o), -ENODATA);
}

static void what_cannot_be_played(void **state)
{
	struct prompt p;

	(void)state;
	assert_int_equal(prompt_start(&p, &(struct prompt_opts){ 0 }), -EINVAL);
	assert_int_equal(prompt_packet_ns(
				 &(struct prompt_opts){ .frames_type = 99, .ptime_ms = 10 }),
			 0);
	assert_int_equal(prompt_start(&p, (struct prompt_opts[]){ usual(99, 1000, 20, 1) }),
			 -EINVAL);
	assert_int_equal(prompt_start(&p, (struct prompt_opts[]){ usual(0, 1000, 1000, 1) }),
			 -EINVAL);
	assert_int_equal(prompt_start(&p, (struct prompt_opts[]){ usual(0, 79, 10, 1) }), -ENODATA);
	assert_int_equal(prompt_next(&p, packet), 0);
	assert_int_equal(prompt_start(&p, (struct prompt_opts[]){ usual(0, 0, 10, -1) }), -ENODATA);
	assert_int_equal(prompt_start(&p, (struct prompt_opts[]){ usual(0, 80, 10, 0) }), -ENODATA);
	assert_int_equal(prompt_next(&p, packet), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_codec),
		cmocka_unit_test(rounds_drop_the_rest),
		cmocka_unit_test(endless),
		cmocka_unit_test(g723_of_several_lengths),
		cmocka_unit_test(payloads_behind_lengths),
		cmocka_unit_test(what_cannot_be_played),
	};

	return cmocka_run_group_tests(tests, fill_file, NULL);
}
