/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_resizer.c - packets in, packets out: the observed behaviour of rtpproxy, other codecs,
 * markers and events. Then random streams with loss, reordering and jitter, checked byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <opus/opus.h>

#include "../../daemon/media/resizer.c"

#define SSRC 0x1234u
#define START_NS (1000 * NSEC_PER_SEC)
#define MS NSEC_PER_MSEC
#define OPUS 111
#define OPUS_TYPES (1u << (OPUS - RTP_FIRST_DYNAMIC))

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* ---- packets out ---- */

struct seen {
	uint8_t type;
	bool marker;
	uint16_t seq;
	uint32_t ts, ssrc;
	size_t len; /* payload bytes */
	uint8_t data[MAX_PACKET];
};

static struct seen seen[64];
static unsigned int n_seen;
static struct stats stats;

static void on_out(void *arg, const uint8_t *p, size_t len, uint64_t arrival_ns)
{
	struct seen *s = &seen[n_seen++];

	(void)arg, (void)arrival_ns;
	assert_true(n_seen <= ARRAY_SIZE(seen));
	*s = (struct seen){ .type = p[1] & 0x7f,
			    .marker = p[1] >> 7,
			    .seq = get16(p + 2),
			    .ts = get32(p + 4),
			    .ssrc = get32(p + 8),
			    .len = len - RTP_HEADER };
	memcpy(s->data, p + RTP_HEADER, s->len);
}

static const struct resizer_sink sink = { .out = on_out };

static struct resizer *begin(unsigned int target_ms)
{
	struct resizer *r = NULL;

	n_seen = 0;
	memset(&stats, 0, sizeof(stats));
	assert_int_equal(resizer_new(&r, target_ms, OPUS_TYPES, &stats), 0);
	return r;
}

static size_t packet(uint8_t *p, uint8_t type, bool marker, uint16_t seq, uint32_t ts,
		     uint32_t ssrc, size_t len)
{
	p[0] = 0x80;
	p[1] = type | marker << 7;
	put16(p + 2, seq);
	put32(p + 4, ts);
	put32(p + 8, ssrc);
	return RTP_HEADER + len;
}

static void in(struct resizer *r, uint8_t type, bool marker, uint16_t seq, uint32_t ts, size_t len,
	       uint64_t ms)
{
	uint8_t p[MAX_PACKET] = { 0 };

	memset(p + RTP_HEADER, seq, len);
	resizer_in(r, p, packet(p, type, marker, seq, ts, SSRC, len), START_NS + ms * MS, &sink);
}

static void saw(unsigned int i, uint16_t seq, uint32_t ts, size_t len, bool marker)
{
	assert_true(i < n_seen);
	assert_int_equal(seen[i].seq, seq);
	assert_int_equal(seen[i].ts, ts);
	assert_int_equal(seen[i].len, len);
	assert_int_equal(seen[i].marker, marker);
}

/* ---- observed behaviour of rtpproxy, except for late packets ---- */

static void joins_20_to_40(void **state)
{
	struct resizer *r = begin(40);
	unsigned int i;

	(void)state;
	for (i = 0; i < 12; i++)
		in(r, 0, i == 0, 100 + i, 160 * i, 160, 20 * i);
	assert_int_equal(n_seen, 6);
	for (i = 0; i < 6; i++) {
		saw(i, 100 + i, 320 * i, 320, i == 0);
		assert_int_equal(seen[i].data[159], 100 + 2 * i);
		assert_int_equal(seen[i].data[160], 101 + 2 * i);
	}
	assert_int_equal(stats.npkts_resizer_in, 12);
	assert_int_equal(stats.npkts_resizer_out, 6);
	assert_int_equal(stats.npkts_resizer_discard, 0);
	resizer_free(r);
}

static void splits_20_to_10(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 0, true, 7, 1000, 160, 0);
	assert_int_equal(n_seen, 2);
	saw(0, 7, 1000, 80, true);
	saw(1, 8, 1080, 80, false);
	resizer_free(r);
}

/* rtpproxy drops the late packet, and leaves no number free for it. */
static void late_ones_leave_and_double_ones_go(void **state)
{
	static const uint8_t order[] = { 0, 2, 1, 3, 4, 4, 5, 2, 1 },
			     expected[] = { 0, 2, 1, 3, 4, 5 };
	struct resizer *r = begin(20);
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(order); i++)
		in(r, 0, false, 100 + order[i], 160 * order[i], 160, 20 * i);
	assert_int_equal(n_seen, ARRAY_SIZE(expected));
	for (i = 0; i < n_seen; i++)
		saw(i, 100 + expected[i], 160 * expected[i], 160, false);
	assert_int_equal(stats.npkts_resizer_in, 6);
	assert_int_equal(stats.npkts_resizer_discard, 3);
	resizer_free(r);
}

/* ---- the queue ---- */

static void sorts_what_waits(void **state)
{
	struct resizer *r = begin(60);

	(void)state;
	in(r, 8, false, 2, 160, 160, 0);
	in(r, 8, false, 1, 0, 160, 1);
	in(r, 8, false, 2, 160, 160, 2); /* again */
	assert_int_equal(stats.npkts_resizer_discard, 1);
	in(r, 8, false, 3, 320, 160, 3);
	assert_int_equal(n_seen, 1);
	saw(0, 1, 0, 480, false);
	assert_int_equal(seen[0].data[0], 1);
	assert_int_equal(seen[0].data[479], 3);
	resizer_free(r);
}

static void a_hole_ends_a_packet(void **state)
{
	struct resizer *r = begin(40);

	(void)state;
	in(r, 0, false, 1, 0, 160, 0);
	in(r, 0, false, 3, 320, 160, 40);
	in(r, 0, false, 4, 480, 160, 60);
	assert_int_equal(n_seen, 2);
	saw(0, 1, 0, 160, false);
	saw(1, 3, 320, 320, false); /* number 2 is kept for the missing one */
	in(r, 0, true, 2, 160, 160, 61);
	saw(2, 2, 160, 160, true);
	resizer_free(r);
}

/* Two numbers for each packet that is missing. A pause of the sender, if short, has none. */
static void a_late_packet_is_cut(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 0, true, 10, 0, 160, 0);
	in(r, 0, false, 13, 480 + 400, 160, 60);
	saw(2, 16, 880, 80, false);
	saw(3, 17, 960, 80, false);
	in(r, 0, true, 12, 320, 160, 61);
	assert_int_equal(n_seen, 6);
	saw(4, 14, 320, 80, true);
	saw(5, 15, 400, 80, false);
	in(r, 0, false, 12, 320, 160, 62);
	in(r, 0, false, 11, 160, 160, 63);
	assert_int_equal(n_seen, 8);
	saw(6, 12, 160, 80, false);
	saw(7, 13, 240, 80, false);
	in(r, 0, false, 14, 20000, 160, 63);
	saw(8, 18, 20000, 80, false);
	assert_int_equal(stats.npkts_resizer_discard, 1);
	resizer_free(r);
}

static void pauses_and_many_lost_packets_keep_no_numbers(void **state)
{
	struct resizer *r = begin(20);

	(void)state;
	in(r, 0, false, 8, 0, 160, 0);
	in(r, 0, false, 10, 8000, 160, 0);
	saw(1, 9, 8000, 160, false);
	resizer_free(r);
	r = begin(20);
	in(r, 0, false, 10, 0, 160, 0);
	in(r, 0, false, 10 + MAX_HOLE + 2, 160 * (MAX_HOLE + 2), 160, 0);
	saw(1, 11, 160 * (MAX_HOLE + 2), 160, false);
	in(r, 0, false, 10 + MAX_HOLE, 160 * MAX_HOLE, 160, 0);
	assert_int_equal(n_seen, 2);
	assert_int_equal(stats.npkts_resizer_discard, 1);
	resizer_free(r);
}

/* ---- begin and end in mid-call ---- */

static void saw_no_number_twice(void)
{
	static bool used[UINT16_MAX + 1];
	unsigned int i;

	memset(used, 0, sizeof(used));
	for (i = 0; i < n_seen; i++) {
		assert_false(used[seen[i].seq]);
		used[seen[i].seq] = true;
	}
}

/* Cut packets: the numbers lead ahead of the sender's, and go on from there. */
static void numbers_go_on_after_the_end(void **state)
{
	struct resizer *r = begin(10);
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++)
		in(r, 0, i == 0, 100 + i, 160 * i, 160, 20 * i);
	assert_int_equal(n_seen, 20);
	resizer_stop(r, &sink);
	assert_false(resizer_is_over(r));
	in(r, 0, false, 110, 1600, 160, 200);
	saw(20, 120, 1600, 160, false);
	in(r, 0, false, 112, 1920, 160, 240); /* a gap stays one */
	saw(21, 122, 1920, 160, false);
	in(r, 101, true, 113, 1920, 4, 250); /* any RTP of this source */
	saw(22, 123, 1920, 4, true);
	in(r, 0, false, 111, 1760, 160, 251); /* late, after the end */
	saw(23, 121, 1760, 160, false);
	in(r, 0, false, 108, 1280, 160, 252); /* doubled, from before the end */
	assert_int_equal(n_seen, 24);
	assert_int_equal(stats.npkts_resizer_discard, 1);
	saw_no_number_twice();
	resizer_retarget(r, 10);
	in(r, 0, false, 114, 2080, 160, 260);
	saw(24, 124, 2080, 80, false);
	saw(25, 125, 2160, 80, false);
	resizer_free(r);
}

/* A late packet from before the end has its numbers still. */
static void late_ones_leave_after_the_end(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 0, false, 100, 0, 160, 0);
	in(r, 0, false, 102, 320, 160, 40);
	resizer_stop(r, &sink);
	in(r, 0, false, 101, 160, 160, 41);
	in(r, 0, false, 103, 480, 160, 60);
	assert_int_equal(n_seen, 7);
	saw(4, 102, 160, 80, false);
	saw(5, 103, 240, 80, false);
	saw(6, 106, 480, 160, false);
	saw_no_number_twice();
	resizer_free(r);
}

/* Joined packets: the sender's numbers lead ahead, so they are used again. */
static void numbers_of_the_sender_lead(void **state)
{
	struct resizer *r = begin(40);

	(void)state;
	assert_false(resizer_is_over(r));
	in(r, 0, false, 100, 0, 160, 0);
	in(r, 0, false, 101, 160, 160, 20);
	resizer_stop(r, &sink);
	assert_true(resizer_is_over(r));
	in(r, 0, false, 102, 320, 160, 40);
	saw(1, 102, 320, 160, false);
	resizer_free(r);
	r = begin(20);
	resizer_stop(r, &sink);
	assert_true(resizer_is_over(r)); /* nothing was numbered */
	resizer_free(r);
	r = begin(20);
	in(r, 0, false, 100, 0, 160, 0);
	resizer_stop(r, &sink);
	assert_true(resizer_is_over(r)); /* the numbers are the sender's */
	resizer_free(r);
}

static void a_gap_may_take_the_lead(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 0, false, 100, 0, 160, 0);
	in(r, 0, false, 101, 160, 160, 20);
	resizer_stop(r, &sink);
	in(r, 0, false, 103, 480, 160, 60);
	saw(4, 105, 480, 160, false);
	assert_false(resizer_is_over(r));
	in(r, 0, false, 106, 960, 160, 120);
	saw(5, 106, 960, 160, false);
	assert_true(resizer_is_over(r));
	resizer_free(r);
}

static void another_source_ends_renumbering(void **state)
{
	struct resizer *r = begin(10);
	uint8_t p[RTP_HEADER + 160] = { 0 };
	unsigned int i;

	(void)state;
	in(r, 0, false, 100, 0, 160, 0);
	resizer_stop(r, &sink);
	for (i = 0; i < MAX_OTHERS; i++) {
		assert_false(resizer_is_over(r));
		resizer_in(r, p, packet(p, 0, false, 100 + i, 160 * i, SSRC + 1, 160), START_NS,
			   &sink);
		saw(2 + i, 100 + i, 160 * i, 160, false);
	}
	assert_true(resizer_is_over(r));
	resizer_free(r);
}

/* The sender begins its numbers anew: the receiver sees them go on. */
static void numbers_set_back_go_on(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 0, false, 1000, 0, 160, 0);
	resizer_stop(r, &sink);
	in(r, 0, false, 5, 160, 160, 20);
	in(r, 0, false, 6, 320, 160, 40);
	saw(2, 1002, 160, 160, false);
	saw(3, 1003, 320, 160, false);
	in(r, 0, false, 999, 480, 160, 60);
	assert_int_equal(n_seen, 5);
	saw_no_number_twice();
	resizer_free(r);
}

/* Packets were relayed up to number 99 before. */
static void begins_in_mid_call(void **state)
{
	const struct leg_numbers before = {
		.known = true, .ssrc = SSRC, .next = 100, .stale = true
	};
	struct resizer *r = begin(20);

	(void)state;
	resizer_resume(r, &before);
	in(r, 0, false, 101, 160, 160, 0);
	saw(0, 101, 160, 160, false);
	in(r, 0, false, 98, 0, 160, 1); /* late: as it is */
	saw(1, 98, 0, 160, false);
	in(r, 0, false, 102, 320, 160, 20);
	saw(2, 102, 320, 160, false);
	resizer_free(r);
	r = begin(20);
	resizer_resume(r, &before); /* and then another source */
	r->ssrc++;
	in(r, 0, false, 7, 160, 160, 0);
	saw(0, 7, 160, 160, false);
	resizer_free(r);
}

static void the_next_daemon_goes_on(void **state)
{
	struct resizer *r = begin(10);
	struct leg_numbers n;

	(void)state;
	assert_false(resizer_has_moved(r));
	in(r, 0, false, 100, 0, 160, 0);
	assert_true(resizer_has_moved(r)); /* a written state has no reserve yet */
	in(r, 0, false, 101, 160, 160, 20);
	resizer_kept(r);
	assert_false(resizer_has_moved(r));
	resizer_numbers(r, &n);
	assert_true(n.known && n.ssrc == SSRC && n.next == 102 && n.ahead == 2 &&
		    n.reserve == RESERVE);
	resizer_free(r);
	r = begin(10);
	resizer_resume(r, &n);
	in(r, 101, true, 102, 320, 4, 40);
	saw(0, 104, 320, 4, true);
	in(r, 0, false, 103, 640, 160, 80);
	saw(1, 105, 640, 80, false);
	saw(2, 106, 720, 80, false);
	resizer_free(r);
	r = begin(10);
	resizer_resume(r, &n);
	resizer_stop(r, &sink);
	assert_false(resizer_is_over(r));
	in(r, 0, false, 102, 320, 160, 40);
	saw(0, 104, 320, 160, false);
	resizer_free(r);
}

static void what_is_written_is_soon_old(void **state)
{
	struct resizer *r = begin(10);
	unsigned int i;

	(void)state;
	in(r, 0, false, 0, 0, 160, 0);
	resizer_kept(r);
	for (i = 1; i < RESERVE / 2; i++) {
		assert_false(resizer_has_moved(r));
		n_seen = 0;
		in(r, 0, false, i, 160 * i, 160, 20 * i);
	}
	n_seen = 0;
	in(r, 0, false, i, 160 * i, 160, 20 * i);
	assert_true(resizer_has_moved(r));
	resizer_free(r);
}

/* ---- the queue, again ---- */

static void another_codec_ends_a_packet(void **state)
{
	struct resizer *r = begin(40);

	(void)state;
	in(r, 0, false, 1, 0, 160, 0);
	in(r, 8, false, 2, 160, 160, 20);
	assert_int_equal(n_seen, 1);
	saw(0, 1, 0, 160, false);
	resizer_flush(r, &sink);
	saw(1, 2, 160, 160, false);
	assert_int_equal(seen[1].type, 8);
	resizer_free(r);
}

static void the_deadline_ends_waiting(void **state)
{
	struct resizer *r = begin(60);

	(void)state;
	assert_true(resizer_deadline(r) == RESIZER_NEVER);
	in(r, 0, false, 1, 0, 160, 5);
	in(r, 0, false, 2, 160, 160, 25);
	assert_true(resizer_deadline(r) == START_NS + 65 * MS);
	resizer_run(r, START_NS + 65 * MS - 1, &sink);
	assert_int_equal(n_seen, 0);
	resizer_run(r, START_NS + 65 * MS, &sink);
	assert_int_equal(n_seen, 1);
	saw(0, 1, 0, 320, false);
	assert_true(resizer_deadline(r) == RESIZER_NEVER);
	resizer_free(r);
}

static void the_rest_counts_as_discarded(void **state)
{
	struct resizer *r = begin(100);

	(void)state;
	in(r, 0, false, 1, 0, 160, 0);
	in(r, 0, false, 2, 160, 160, 20);
	resizer_free(r);
	assert_int_equal(n_seen, 0);
	assert_int_equal(stats.npkts_resizer_discard, 2);
}

static void memory_is_bounded(void **state)
{
	struct resizer *r = begin(999);
	unsigned int i;

	(void)state;
	for (i = 0; i < 60 * MAX_PIECES; i++) {
		n_seen = 0;
		in(r, 0, false, i, 2 * i, 1, 0); /* one sample, then a hole of one */
		assert_true(r->pieces <= MAX_PIECES);
	}
	resizer_free(r);
}

/* ---- markers, events, sources ---- */

static void a_talk_spurt_keeps_its_marker(void **state)
{
	struct resizer *r = begin(40);

	(void)state;
	in(r, 0, true, 1, 0, 160, 0);
	in(r, 0, true, 2, 160, 160, 20); /* the first packet that rtpproxy would lose */
	assert_int_equal(n_seen, 1);
	saw(0, 1, 0, 320, true);
	in(r, 0, false, 3, 320, 160, 40);
	in(r, 0, true, 4, 480, 160, 60);
	in(r, 0, false, 5, 640, 160, 80);
	assert_int_equal(n_seen, 3);
	saw(1, 2, 320, 160, false);
	saw(2, 3, 480, 320, true);
	resizer_free(r);
}

/* Three packets of one telephone event between audio. */
static void events_pass_in_order(void **state)
{
	struct resizer *r = begin(60);

	(void)state;
	in(r, 0, false, 10, 0, 160, 0);
	in(r, 0, false, 11, 160, 160, 20);
	in(r, 101, true, 12, 320, 4, 40);
	in(r, 101, false, 13, 320, 4, 60);
	in(r, 101, false, 14, 320, 4, 80);
	in(r, 0, true, 15, 800, 480, 100);
	assert_int_equal(n_seen, 5);
	saw(0, 10, 0, 320, false);
	saw(1, 11, 320, 4, true);
	saw(2, 12, 320, 4, false);
	saw(3, 13, 320, 4, false);
	saw(4, 14, 800, 480, true);
	assert_int_equal(seen[1].data[3], 12);
	assert_int_equal(seen[1].type, 101);
	resizer_free(r);
}

static void another_source_begins_anew(void **state)
{
	struct resizer *r = begin(40);
	uint8_t p[MAX_PACKET] = { 0 };

	(void)state;
	in(r, 0, false, 10, 100000, 160, 0);
	resizer_in(r, p, packet(p, 0, true, 900, 40, 77, 160), START_NS + 20 * MS, &sink);
	resizer_in(r, p, packet(p, 0, false, 901, 200, 77, 160), START_NS + 40 * MS, &sink);
	assert_int_equal(n_seen, 2);
	saw(0, 10, 100000, 160, false);
	saw(1, 11, 40, 320, true);
	assert_int_equal(seen[1].ssrc, 77);
	resizer_free(r);
}

/* The same source continues with another clock, as after a transfer: it is not muted. */
static void a_clock_set_back_begins_anew(void **state)
{
	struct resizer *r = begin(20);

	(void)state;
	in(r, 0, false, 1, 1000000, 160, 0);
	in(r, 0, false, 2, 160, 160, 20);
	assert_int_equal(n_seen, 2);
	saw(1, 2, 160, 160, false);
	resizer_free(r);
}

/* Packets that are not the stream's audio leave unchanged and do not change the state. */
static void others_pass_untouched(void **state)
{
	static const uint8_t junk[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct resizer *r = begin(40);
	uint8_t p[MAX_PACKET] = { 0 };
	size_t len;

	(void)state;
	resizer_in(r, junk, sizeof(junk), START_NS, &sink);
	assert_int_equal(n_seen, 1);
	assert_memory_equal(seen[0].data, junk + RTP_HEADER, 3);
	in(r, 112, true, 500, 3, 200, 0);
	saw(1, 500, 3, 200, true);
	in(r, 0, false, 10, 0, 160, 0);
	len = packet(p, 112, false, 4711, 9, 99, 20);
	resizer_in(r, p, len, START_NS, &sink);
	assert_int_equal(n_seen, 3);
	saw(2, 4711, 9, 20, false);
	in(r, 3, false, 11, 160, 34, 20); /* no whole number of GSM frames */
	assert_int_equal(n_seen, 5);
	saw(3, 10, 0, 160, false);
	saw(4, 11, 160, 34, false);
	resizer_free(r);
}

static void header_and_padding(void **state)
{
	struct resizer *r = begin(40);
	uint8_t p[400] = { 0 };
	size_t header = RTP_HEADER + 4 + 8;

	(void)state;
	packet(p, 0, false, 1, 0, SSRC, 0);
	p[0] |= 1 | RTP_EXTENSION | RTP_PADDING; /* CSRC, one-word extension, two bytes */
	p[header - 5] = 1;
	memset(p + header, 0xaa, 160);
	p[header + 161] = 2;
	resizer_in(r, p, header + 162, START_NS, &sink);
	in(r, 0, false, 0xbb, 160, 160, 20);
	assert_int_equal(n_seen, 1);
	saw(0, 1, 0, header - RTP_HEADER + 320, false);
	assert_int_equal(seen[0].data[header - RTP_HEADER + 159], 0xaa);
	assert_int_equal(seen[0].data[header - RTP_HEADER + 160], 0xbb);
	resizer_free(r);
}

/* ---- codecs ---- */

static void g729_with_silence(void **state)
{
	struct resizer *r = begin(40);

	(void)state;
	in(r, 18, false, 1, 0, 20, 0);
	in(r, 18, false, 2, 160, 12, 20); /* a frame and a silence frame */
	in(r, 18, false, 3, 320, 20, 40);
	in(r, 18, false, 4, 480, 20, 60);
	assert_int_equal(n_seen, 2);
	saw(0, 1, 0, 32, false);
	saw(1, 2, 320, 40, false);
	resizer_free(r);
}

static void g729_splits_between_frames(void **state)
{
	struct resizer *r = begin(10);

	(void)state;
	in(r, 18, true, 1, 0, 22, 0);
	assert_int_equal(n_seen, 3);
	saw(0, 1, 0, 10, true);
	saw(1, 2, 80, 10, false);
	saw(2, 3, 160, 2, false);
	resizer_free(r);
}

static void gsm_and_g723_round_up(void **state)
{
	static const uint8_t kinds[] = { 24, 20, 4 };
	struct resizer *r = begin(10);
	uint8_t p[100] = { 0 };
	unsigned int i;
	size_t at = RTP_HEADER;

	(void)state;
	in(r, 3, false, 1, 0, 66, 0);
	assert_int_equal(n_seen, 2);
	saw(0, 1, 0, 33, false);
	saw(1, 2, 160, 33, false);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		p[at] = i;
		at += kinds[i];
	}
	packet(p, 4, false, 3, 320, SSRC, 0);
	resizer_in(r, p, at, START_NS, &sink);
	assert_int_equal(n_seen, 5);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		saw(2 + i, 3 + i, 320 + 240 * i, kinds[i], false);
	resizer_free(r);
}

/* One Opus packet with @n frames of @bytes each, filled with @fill and the values after it. */
static size_t opus_of(uint8_t *out, uint8_t toc, int n, size_t bytes, uint8_t fill)
{
	static uint8_t frame[OPUSPACK_MAX_FRAMES][1 + 1275];
	OpusRepacketizer *rp = opus_repacketizer_create();
	int i, len;

	for (i = 0; i < n; i++) {
		memset(frame[i], fill + i, 1 + bytes);
		frame[i][0] = toc;
		assert_int_equal(opus_repacketizer_cat(rp, frame[i], 1 + bytes), OPUS_OK);
	}
	len = opus_repacketizer_out(rp, out, MAX_PACKET - RTP_HEADER);
	assert_true(len > 0);
	opus_repacketizer_destroy(rp);
	return len;
}

static void opus_in(struct resizer *r, uint8_t toc, int n, size_t bytes, uint16_t seq, uint32_t ts,
		    uint64_t ms)
{
	uint8_t p[MAX_PACKET] = { 0 };
	size_t len = opus_of(p + RTP_HEADER, toc, n, bytes, seq);

	resizer_in(r, p, packet(p, OPUS, false, seq, ts, SSRC, len), START_NS + ms * MS, &sink);
}

#define OPUS_20_MS 0xf8 /* CELT, full band */
#define OPUS_10_MS 0xf0
#define OPUS_60_MS 0x18 /* SILK */

static void saw_opus(unsigned int i, uint16_t seq, uint32_t ts, uint8_t toc, int n, size_t bytes,
		     uint8_t fill)
{
	static uint8_t expected[MAX_PACKET];
	size_t len = opus_of(expected, toc, n, bytes, fill);

	saw(i, seq, ts, len, false);
	assert_memory_equal(seen[i].data, expected, len);
}

static void opus_joins_and_splits(void **state)
{
	struct resizer *r = begin(60);

	(void)state;
	opus_in(r, OPUS_20_MS, 1, 50, 1, 0, 0);
	opus_in(r, OPUS_20_MS, 1, 50, 2, 960, 20);
	opus_in(r, OPUS_20_MS, 1, 50, 3, 1920, 40);
	assert_int_equal(n_seen, 1);
	saw_opus(0, 1, 0, OPUS_20_MS, 3, 50, 1);
	resizer_retarget(r, 20);
	opus_in(r, OPUS_20_MS, 3, 70, 4, 2880, 60);
	assert_int_equal(n_seen, 4);
	saw_opus(1, 2, 2880, OPUS_20_MS, 1, 70, 4);
	saw_opus(2, 3, 3840, OPUS_20_MS, 1, 70, 5);
	saw_opus(3, 4, 4800, OPUS_20_MS, 1, 70, 6);
	assert_int_equal(stats.npkts_resizer_in, 4);
	assert_int_equal(stats.npkts_resizer_out, 4);
	opus_in(r, OPUS_20_MS, 3, 70, 4, 2880, 61); /* again, too late */
	assert_int_equal(stats.npkts_resizer_discard, 1);
	resizer_free(r);
}

/*
 * A new mode begins a new packet. A frame is never cut. A packet has at most 120 ms. Other payload
 * types pass unchanged.
 */
static void opus_within_its_limits(void **state)
{
	struct resizer *r = begin(100);
	unsigned int i;

	(void)state;
	opus_in(r, OPUS_20_MS, 2, 50, 1, 0, 0);
	opus_in(r, OPUS_10_MS, 10, 50, 2, 1920, 40);
	assert_int_equal(n_seen, 2);
	saw_opus(0, 1, 0, OPUS_20_MS, 2, 50, 1);
	saw_opus(1, 2, 1920, OPUS_10_MS, 10, 50, 2);
	resizer_retarget(r, 999);
	for (i = 0; i < 6; i++)
		opus_in(r, OPUS_20_MS, 1, 1275, 3 + i, 6720 + 960 * i, 140 + 20 * i);
	assert_int_equal(n_seen, 3);
	assert_int_equal(seen[2].len, 6 * 1275 + 2);
	resizer_retarget(r, 10);
	opus_in(r, OPUS_60_MS, 1, 50, 9, 12480, 260);
	assert_int_equal(n_seen, 4);
	saw_opus(3, 4, 12480, OPUS_60_MS, 1, 50, 9);
	in(r, OPUS, false, 10, 15360, 3, 320); /* code 2, whose frames do not fit: invalid */
	assert_int_equal(n_seen, 5);
	resizer_free(r);
}

/* With large frames, no packet gets longer than a datagram may be. */
static void opus_is_not_too_big(void **state)
{
	struct resizer *r = begin(120);
	unsigned int i;

	(void)state;
	for (i = 0; i < 12; i++)
		opus_in(r, OPUS_10_MS, 1, 1275, 1 + i, 480 * i, 10 * i);
	resizer_flush(r, &sink);
	assert_int_equal(n_seen, 2);
	assert_int_equal(seen[0].len, 6 * 1275 + 2);
	assert_int_equal(seen[1].len, 6 * 1275 + 2);
	resizer_free(r);
}

static void a_new_length_holds_at_once(void **state)
{
	struct resizer *r = begin(60), *none;

	(void)state;
	in(r, 9, false, 1, 0, 160, 0);
	resizer_retarget(r, 20);
	in(r, 9, false, 2, 160, 160, 20);
	assert_int_equal(n_seen, 2);
	saw(1, 2, 160, 160, false);
	resizer_free(r);
	assert_int_equal(resizer_new(&none, 0, 0, &stats), -EINVAL);
	assert_int_equal(resizer_new(&none, RESIZER_MAX_MS + 1, 0, &stats), -EINVAL);
}

/* ---- random streams ---- */

#define PACKETS 300
#define PER_PACKET_MAX 100
#define FRAMES_MAX (PACKETS * PER_PACKET_MAX * 4)

struct sent {
	uint64_t arrival_ns;
	uint32_t frame, frames; /* in frames of the codec, from 0 */
	uint16_t seq;
	bool marker, event;
};

enum fate { NOT_HERE, WAITS, LEFT };

static struct trial {
	const struct codec *codec;
	struct resizer *r;
	uint32_t base_ts, frame_bytes, frame_ticks;
	uint8_t toc; /* first byte of an Opus packet */
	uint64_t now_ns, target_ns;
	struct sent sent[PACKETS];
	unsigned int n, out, events_in, events_out;
	uint64_t bytes_in, bytes_out;
	uint8_t fate[FRAMES_MAX];
	bool begins_spurt[FRAMES_MAX]; /* frame is the first of a marked packet */
	bool in_marked[FRAMES_MAX];    /* frame is in a marked packet */
	uint64_t arrival_ns[FRAMES_MAX];
	unsigned int waiting;	   /* frames */
	uint32_t next_frame;	   /* the frame after those that have left in order */
	bool late;		   /* the packet that arrives is behind next_frame */
	bool used[UINT16_MAX + 1]; /* sequence numbers */
} t;

static bool is_opus(void)
{
	return t.codec == &codec_opus;
}

static size_t bytes_of(uint32_t frame)
{
	return is_opus() ? 1 + frame * 7 % t.frame_bytes : t.frame_bytes;
}

static uint32_t target_ticks(void)
{
	return target_of(t.r, &(struct piece){ .codec = t.codec, .ticks = t.frame_ticks });
}

/* Write a frame with its number as content. PCM counts a millisecond as a frame. */
static void write_frame(uint8_t *p, uint32_t frame)
{
	uint32_t i;

	for (i = 0; i < bytes_of(frame); i++)
		p[i] = (frame * 2654435761u >> 13) + i * 7;
	if (t.codec->payload_type == 4)
		p[0] &= 0xfc; /* a frame of 24 bytes */
}

/* Write @n frames as a payload; returns its length. */
static size_t write_payload(uint8_t *p, uint32_t frame, uint32_t n)
{
	static uint8_t frames[OPUSPACK_MAX_FRAMES][256];
	OpusRepacketizer *rp = opus_repacketizer_create();
	int len = n * t.frame_bytes;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (!is_opus()) {
			write_frame(p + i * t.frame_bytes, frame + i);
			continue;
		}
		frames[i][0] = t.toc;
		write_frame(frames[i] + 1, frame + i);
		assert_int_equal(opus_repacketizer_cat(rp, frames[i], 1 + bytes_of(frame + i)),
				 OPUS_OK);
	}
	if (is_opus())
		len = opus_repacketizer_out(rp, p, MAX_PACKET - RTP_HEADER);
	assert_true(len > 0);
	opus_repacketizer_destroy(rp);
	return len;
}

/* Find the frames of a payload; returns their number. */
static int read_payload(const uint8_t *p, size_t len, const uint8_t *at[MAX_PACKET])
{
	opus_int16 size[OPUSPACK_MAX_FRAMES];
	uint8_t toc;
	int i, n;

	if (is_opus()) {
		n = opus_packet_parse(p, len, &toc, at, size, NULL);
		assert_true(n > 0);
		assert_int_equal(toc & 0xfc, t.toc);
		return n;
	}
	assert_int_equal(len % t.frame_bytes, 0);
	n = len / t.frame_bytes;
	for (i = 0; i < n; i++)
		at[i] = p + i * t.frame_bytes;
	return n;
}

static void frames_leave(uint32_t ts, bool marker, const uint8_t *p, size_t len)
{
	static const uint8_t *at[MAX_PACKET];
	uint32_t frame = (ts - t.base_ts) / t.frame_ticks;
	int n = read_payload(p, len, at), i;
	uint8_t expected[256];

	assert_int_equal((ts - t.base_ts) % t.frame_ticks, 0);
	assert_true(n > 0);
	assert_true(t.late == (frame < t.next_frame)); /* in order */
	assert_true(n * t.frame_ticks <= target_ticks());
	assert_int_equal(marker, t.begins_spurt[frame]);
	for (i = 0; i < n; i++, frame++) {
		write_frame(expected, frame);
		assert_memory_equal(at[i], expected, bytes_of(frame));
		assert_int_equal(t.fate[frame], WAITS);
		assert_true(t.now_ns <= t.arrival_ns[frame] + t.target_ns);
		t.fate[frame] = LEFT;
		t.bytes_out += bytes_of(frame);
		assert_true(!t.begins_spurt[frame] || marker);
		marker = t.in_marked[frame];
		t.waiting--;
	}
	t.next_frame = MAX(frame, t.next_frame);
}

static void on_trial_out(void *arg, const uint8_t *p, size_t len, uint64_t arrival_ns)
{
	(void)arg;
	assert_true(arrival_ns <= t.now_ns);
	assert_false(t.used[get16(p + 2)]);
	t.used[get16(p + 2)] = true;
	t.out++;
	if ((p[1] & 0x7f) == 101) {
		assert_int_equal(t.waiting, 0); /* audio before an event leaves before it */
		t.events_out++;
		return;
	}
	frames_leave(get32(p + 4), p[1] >> 7, p + RTP_HEADER, len - RTP_HEADER);
}

static const struct resizer_sink trial_sink = { .out = on_trial_out };

static int by_arrival(const void *a, const void *b)
{
	const struct sent *x = a, *y = b;

	if (x->arrival_ns != y->arrival_ns)
		return x->arrival_ns < y->arrival_ns ? -1 : 1;
	return (int16_t)(x->seq - y->seq);
}

static bool chance(unsigned int percent)
{
	return (unsigned int)rand() % 100 < percent;
}

/* A call with talk spurts and pauses, events, and packets lost, late or doubled. */
static void make_trial(unsigned int per_packet, unsigned int loss, unsigned int late,
		       unsigned int doubled)
{
	uint64_t frame_ns = t.frame_ticks * MS / t.codec->ticks_per_ms;
	uint32_t frame = 0, i;
	uint16_t seq = rand();

	for (i = 0, t.n = 0; t.n < PACKETS - 1 && i < PACKETS; i++) {
		struct sent s = { .frame = frame, .frames = per_packet, .seq = seq++ };

		s.event = chance(3);
		s.marker = i == 0 || chance(2);
		s.arrival_ns = START_NS + (frame + per_packet) * frame_ns + rand() % (3 * MS);
		if (chance(late))
			s.arrival_ns += rand() % (80 * MS);
		frame += per_packet + (chance(3) ? per_packet : 0);
		if (chance(loss))
			continue;
		t.sent[t.n++] = s;
		if (!chance(doubled))
			continue;
		s.arrival_ns += rand() % (40 * MS);
		t.sent[t.n++] = s;
	}
	qsort(t.sent, t.n, sizeof(t.sent[0]), by_arrival);
}

/* Play the event loop: call the resizer at each deadline. */
static void wait_until(uint64_t ns)
{
	while (resizer_deadline(t.r) <= ns) {
		t.now_ns = MAX(t.now_ns, resizer_deadline(t.r));
		resizer_run(t.r, t.now_ns, &trial_sink);
	}
	t.now_ns = ns;
}

static unsigned int late_ones, late_lost; /* of all trials */

/* No numbers were kept for a late packet, because a pause and an event are beside it. */
static void late_is_lost(const struct sent *s)
{
	uint32_t i;

	for (i = 0; i < s->frames; i++) {
		assert_int_equal(t.fate[s->frame + i], WAITS);
		t.bytes_in -= bytes_of(s->frame + i);
		t.fate[s->frame + i] = LEFT;
		t.waiting--;
	}
	late_lost++;
}

static void audio_arrives(const struct sent *s)
{
	uint64_t discarded = stats.npkts_resizer_discard;
	uint32_t ts = t.base_ts + s->frame * t.frame_ticks, i;
	bool is_double = t.fate[s->frame] != NOT_HERE;
	uint8_t p[MAX_PACKET];
	size_t len = write_payload(p + RTP_HEADER, s->frame, s->frames);

	t.late = s->frame < t.next_frame;
	for (i = 0; i < s->frames && !is_double; i++) {
		t.bytes_in += bytes_of(s->frame + i);
		t.fate[s->frame + i] = WAITS;
		t.waiting++;
		t.in_marked[s->frame + i] = s->marker;
		t.begins_spurt[s->frame + i] = s->marker && i == 0;
		t.arrival_ns[s->frame + i] = s->arrival_ns;
	}
	resizer_in(t.r, p,
		   packet(p, is_opus() ? OPUS : t.codec->payload_type, s->marker, s->seq, ts, SSRC,
			  len),
		   s->arrival_ns, &trial_sink);
	t.late &= !is_double;
	late_ones += t.late;
	if (t.late && stats.npkts_resizer_discard != discarded)
		late_is_lost(s);
	else /* Only duplicate packets are lost. */
		assert_int_equal(stats.npkts_resizer_discard - discarded, is_double);
	assert_true(!t.late || t.fate[s->frame] == LEFT);
	t.late = false;
}

static void event_arrives(const struct sent *s)
{
	uint8_t p[RTP_HEADER + 4] = { 0 };

	if (!t.r->has_ssrc) /* it passes unchanged, outside the numbering */
		return;
	t.events_in++;
	resizer_in(t.r, p,
		   packet(p, 101, s->marker, s->seq, t.base_ts + s->frame * t.frame_ticks, SSRC, 4),
		   s->arrival_ns, &trial_sink);
}

static void run_trial(unsigned int target_ms)
{
	unsigned int i;

	t.r = begin(target_ms);
	t.target_ns = target_ticks() * MS / t.codec->ticks_per_ms;
	t.now_ns = START_NS;
	for (i = 0; i < t.n; i++) {
		wait_until(t.sent[i].arrival_ns);
		if (t.sent[i].event)
			event_arrives(&t.sent[i]);
		else
			audio_arrives(&t.sent[i]);
	}
	wait_until(t.now_ns + NSEC_PER_SEC);
	assert_null(t.r->queue);
	assert_true(t.bytes_in == t.bytes_out && t.bytes_in > 0);
	assert_int_equal(t.waiting, 0);
	assert_int_equal(t.events_in, t.events_out);
	resizer_free(t.r);
}

/* Choose the codec of the @i-th trial, and its frames. */
static void choose_codec(unsigned int i)
{
	static const uint8_t types[] = { 0, 8, 9, 18, 3, 4 };
	static const uint8_t tocs[] = { OPUS_10_MS, OPUS_20_MS, OPUS_60_MS, OPUS_20_MS | 4,
					0xe8 /* 5 ms */ };
	unsigned int which = i % (ARRAY_SIZE(types) + 1);

	if (which == ARRAY_SIZE(types)) {
		t.codec = &codec_opus;
		t.toc = tocs[rand() % ARRAY_SIZE(tocs)];
		t.frame_ticks = opus_packet_get_samples_per_frame(&t.toc, 48000);
		t.frame_bytes = 1 + rand() % 200;
		return;
	}
	t.codec = codec_of(types[which]);
	t.frame_ticks = MAX(t.codec->frame_ticks, CODEC_TICKS_PER_MS);
	t.frame_bytes = t.codec->frame_ticks > 1 ? t.codec->frame_bytes : t.frame_ticks;
}

static void random_streams(void **state)
{
	unsigned int i;

	(void)state;
	srand(20040107);
	for (i = 0; i < 1400; i++) {
		unsigned int in_ms = 10 * (1 + rand() % 10), target_ms = 10 * (1 + rand() % 10);
		unsigned int hard = i % 4;

		memset(&t, 0, sizeof(t));
		choose_codec(i);
		t.base_ts =
			rand() % 3 ? (uint32_t)rand() * 2654435761u : 0u - 8000; /* near the wrap */
		make_trial(MIN(MAX(in_ms * t.codec->ticks_per_ms / t.frame_ticks, 1),
			       PER_PACKET_MAX),
			   hard * 4, hard * 10, hard * 2);
		run_trial(target_ms);
	}
	assert_true(late_ones > 1000 && late_lost < late_ones / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(joins_20_to_40),
		cmocka_unit_test(splits_20_to_10),
		cmocka_unit_test(late_ones_leave_and_double_ones_go),
		cmocka_unit_test(a_late_packet_is_cut),
		cmocka_unit_test(pauses_and_many_lost_packets_keep_no_numbers),
		cmocka_unit_test(numbers_go_on_after_the_end),
		cmocka_unit_test(late_ones_leave_after_the_end),
		cmocka_unit_test(numbers_of_the_sender_lead),
		cmocka_unit_test(a_gap_may_take_the_lead),
		cmocka_unit_test(another_source_ends_renumbering),
		cmocka_unit_test(numbers_set_back_go_on),
		cmocka_unit_test(begins_in_mid_call),
		cmocka_unit_test(the_next_daemon_goes_on),
		cmocka_unit_test(what_is_written_is_soon_old),
		cmocka_unit_test(sorts_what_waits),
		cmocka_unit_test(a_hole_ends_a_packet),
		cmocka_unit_test(another_codec_ends_a_packet),
		cmocka_unit_test(the_deadline_ends_waiting),
		cmocka_unit_test(the_rest_counts_as_discarded),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(a_talk_spurt_keeps_its_marker),
		cmocka_unit_test(events_pass_in_order),
		cmocka_unit_test(another_source_begins_anew),
		cmocka_unit_test(a_clock_set_back_begins_anew),
		cmocka_unit_test(others_pass_untouched),
		cmocka_unit_test(header_and_padding),
		cmocka_unit_test(g729_with_silence),
		cmocka_unit_test(g729_splits_between_frames),
		cmocka_unit_test(gsm_and_g723_round_up),
		cmocka_unit_test(opus_joins_and_splits),
		cmocka_unit_test(opus_within_its_limits),
		cmocka_unit_test(opus_is_not_too_big),
		cmocka_unit_test(a_new_length_holds_at_once),
		cmocka_unit_test(random_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
