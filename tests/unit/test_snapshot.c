/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_snapshot.c - a session is restored from its bytes unchanged. Bytes of another version are
 * read as far as possible; bytes that do not describe a session are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../daemon/call/snapshot.c"

static uint8_t bytes[SNAPSHOT_MAX];

static struct addr address(const char *text, uint16_t port)
{
	enum addr_family family = strchr(text, ':') ? ADDR_IP6 : ADDR_IP4;
	struct addr a;

	assert_int_equal(addr_parse(&a, family, text, strlen(text)), 0);
	return addr_with_port(a, port);
}

/* Every member has a value of its own. */
static struct snapshot full(void)
{
	struct snapshot s = {
		.is = {
			.number = 77, .strong = true, .complete = true, .fed = true, .told = true,
			.created_ns = 123456789012345ull, .kernel_relayed = 5,
			.kernel_strangers = 6,
		},
		.call_id = span_of("a call"), .from_tag = span_of("tag;1"), .to_tag = span_of("other"),
		.notify = span_of("tcp:127.0.0.1:7"), .notify_tag = span_of("who"),
		.feed = { { 12, true }, { 13, false } },
	};
	uint64_t n = 1000;
	int i, kind;

	for (i = 0; i < 2; i++) {
		struct snapshot_leg *state = &s.leg[i];
		struct leg *leg = &s.is.leg[i];

		leg->local = address(i ? "2001:db8::1" : "192.0.2.1", 40000 + 2 * i);
		state->advertised = span_of("198.51.100.7");
		state->codecs = span_of("8,0,101");
		leg->weak = leg->tos_set = leg->ttl_fixed = true;
		leg->tos = 0xb8;
		leg->ptime_ms = 60;
		leg->on_hold = true;
		leg->holds = 3;
		state->numbers = (struct leg_numbers){
			.known = true, .ssrc = 0xfeedu, .next = 65535, .ahead = -7, .reserve = 500
		};
		leg->ttl_s = 90;
		leg->deadline_ns = ++n;
		leg->ndropped = ++n;
		leg->nrelayed = ++n;
		state->recording = (struct snapshot_recording){ true, true, 3, span_of("target") };
		state->playing =
			(struct snapshot_playing){ span_of("hold"), 8, (uint32_t)-1, 20, ++n };
		state->dtmf = (struct snapshot_dtmf){ true, true, 97, span_of("digits"),
						      span_of("unix:/notify") };
		for (kind = 0; kind < STREAM_KINDS; kind++) {
			struct stream *t = &leg->stream[kind];
			struct stream_rest *rest = &state->stream[kind].rest;
			struct rtpx_flow_stats *stats = &state->stream[kind].stats;

			t->state = STREAM_LATCHED;
			t->asymmetric = t->untrusted = rest->has_ssrc = true;
			t->open = t->awaited = t->twice = t->roams = true;
			t->weak = t->replaced = true;
			t->unproven = 2;
			t->latched_ns = ++n;
			t->latched_evidence = ++n;
			rest->seq = (uint16_t)++n;
			rest->ssrc = (uint32_t)++n;
			rest->seq_ns = ++n;
			t->updated_ns = ++n;
			t->remote = address("192.0.2.9", (uint16_t)++n);
			t->signalled = address("2001:db8::9", (uint16_t)++n);
			stats->packets = UINT64_MAX - n;
			stats->last_ns = ++n;
			stats->jitter_sum_q4 = ++n;
		}
	}
	return s;
}

/* Compare two snapshots: spans by their text, all other members byte by byte. */
static void assert_alike(const struct snapshot *a, const struct snapshot *b)
{
	static uint8_t one[SNAPSHOT_MAX], two[SNAPSHOT_MAX];
	int len = snapshot_write(a, one, sizeof(one));

	assert_true(len > 0);
	assert_int_equal(snapshot_write(b, two, sizeof(two)), len);
	assert_memory_equal(one, two, len);
}

static struct span written(const struct snapshot *s)
{
	int len = snapshot_write(s, bytes, sizeof(bytes));

	assert_true(len > 0);
	return (struct span){ (char *)bytes, (size_t)len };
}

static void comes_back(void **state)
{
	struct snapshot s = full(), back;
	int i;

	(void)state;
	assert_int_equal(snapshot_read(&back, written(&s)), 0);
	assert_alike(&s, &back);
	for (i = 0; i < 4; i++)
		assert_memory_equal(&back.is.leg[i / 2].stream[i % 2],
				    &s.is.leg[i / 2].stream[i % 2], sizeof(struct stream));
	assert_int_equal(back.leg[1].stream[STREAM_RTCP].stats.packets,
			 s.leg[1].stream[STREAM_RTCP].stats.packets);
	assert_int_equal(back.leg[0].numbers.ahead, -7);
	assert_true(addr_eq(&back.is.leg[1].local, &s.is.leg[1].local));
	assert_int_equal(back.leg[0].playing.rounds, (uint32_t)-1);
	assert_true(span_eq(back.leg[0].recording.target, span_of("target")));
	assert_int_equal(back.leg[1].dtmf.payload_type, 97);
	assert_true(span_eq(back.leg[1].dtmf.tag, span_of("digits")));
	assert_int_equal(back.feed[1].source, 13);
}

/* Members that the session itself holds survive restoring a session and taking its snapshot. */
static void comes_back_as_a_session(void **state)
{
	const struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct snapshot s = full(), back;
	struct sessions *all;
	struct session *made;
	int i;

	(void)state;
	assert_int_equal(sessions_new(&all, &opts), 0);
	assert_int_equal(session_create(all, s.call_id, s.from_tag, 5, &made), 0);
	assert_int_equal(snapshot_apply(&s, made), 0);
	session_restored(all, made);
	for (i = 0; i < 2; i++) {
		/* other modules restore ports and further state */
		assert_int_equal(made->leg[i].local.port, 0);
		made->leg[i].local.port = s.is.leg[i].local.port;
		made->leg[i].advertised = "198.51.100.7";
		s.leg[i].recording = (struct snapshot_recording){ 0 };
		s.leg[i].playing = (struct snapshot_playing){ 0 };
		s.leg[i].dtmf = (struct snapshot_dtmf){ 0 };
	}
	memset(s.feed, 0, sizeof(s.feed));
	s.notify = (struct span){ 0 };
	snapshot_take(&back, made);
	assert_alike(&s, &back);
	session_destroy(all, made);
	assert_int_equal(session_create(all, s.call_id, s.from_tag, 5, &made), 0);
	assert_true(made->number > s.is.number);
	sessions_free(all);
}

/* The journal gives a record room to grow: zeros behind it. */
static void reads_past_the_room(void **state)
{
	struct snapshot s = full(), back;
	struct span with_room = written(&s);

	(void)state;
	memset(bytes + with_room.len, 0, 64);
	with_room.len += 64;
	assert_int_equal(snapshot_read(&back, with_room), 0);
	assert_alike(&s, &back);
}

static void is_small_when_there_is_little(void **state)
{
	struct snapshot s = { .is.number = 1, .call_id = span_of("c"), .from_tag = span_of("f") },
			back;

	(void)state;
	assert_true(written(&s).len < 20);
	assert_int_equal(snapshot_read(&back, written(&s)), 0);
	assert_alike(&s, &back);
}

static void refuses_what_does_not_fit(void **state)
{
	struct snapshot s = full();
	int len = (int)written(&s).len;

	(void)state;
	assert_int_equal(snapshot_write(&s, bytes, len - 1), -E2BIG);
	assert_int_equal(snapshot_write(&s, bytes, len), len);
}

/* A member unknown to this version, between known ones. */
static void skips_what_a_later_version_adds(void **state)
{
	static const uint8_t more[] = { 0, 31 << 3 | 2, 200, 'n', 'e', 'w' };
	struct snapshot s = full(), back;
	struct span b = written(&s);
	static uint8_t with[SNAPSHOT_MAX];

	(void)state;
	memcpy(with, more, sizeof(more));
	memcpy(with + sizeof(more), b.p, b.len);
	memcpy(with + sizeof(more) + b.len, more, sizeof(more));
	assert_int_equal(snapshot_read(&back,
				       (struct span){ (char *)with, b.len + 2 * sizeof(more) }),
			 0);
	assert_alike(&s, &back);
}

static void refuses_cut_ones(void **state)
{
	struct snapshot s = full(), back;
	struct span b = written(&s);
	size_t len, whole = 0;

	(void)state;
	for (len = 0; len < b.len; len++) {
		/* of exact size, so that a sanitizer finds a read past the end */
		char *copy = malloc(len ? len : 1);

		memcpy(copy, b.p, len);
		whole += snapshot_read(&back, (struct span){ copy, len }) == 0;
		free(copy);
	}
	/* a snapshot cut between two members is valid, with fewer members */
	assert_true(whole > 0 && whole < 30);
}

static void refuses_nonsense(void **state)
{
	struct snapshot s, back;

	(void)state;
	s = full();
	s.is.number = 0;
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
	s = full();
	s.call_id = (struct span){ "a\0b", 3 };
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
	s = full();
	s.is.leg[0].local.port = 40001;
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
	s = full();
	s.is.leg[1].local.port = 0;
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
	s = full();
	s.is.leg[1].stream[STREAM_RTP].state = STREAM_LATCHED + 1;
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
	s = full();
	s.leg[1].recording.target = (struct span){ "\0", 1 };
	assert_int_equal(snapshot_read(&back, written(&s)), -EBADMSG);
}

/* A number that grew in a later version, and one that is too large for its member here. */
static void numbers_may_grow(void **state)
{
	static const uint8_t small[] = { 1, 1, 0, 5 }, large[] = { 1, 5, 0, 1, 2, 3, 4, 5 };
	struct snapshot back = { 0 };

	(void)state;
	assert_int_equal(fields_read(session_fields, &back.is,
				     (struct span){ (char *)small, sizeof(small) }),
			 0);
	assert_int_equal(back.is.number, 5);
	assert_int_equal(fields_read(session_fields, &back.is,
				     (struct span){ (char *)large, sizeof(large) }),
			 -EBADMSG);
}

/* Earlier versions wrote all members of a leg behind one tag. */
static void reads_a_leg_in_one_piece(void **state)
{
	static const uint8_t old[] = {
		1, 1, 0, 7,	   2,	 1,    0,   'c', 3, 1, 0, 't', 9, 25,  0, /* leg 0 */
		1, 7, 0, ADDR_IP4, 0x40, 0x9c, 192, 0,	 2, 1, 2, 1,   0, 'a', 6,
		1, 0, 1, 15,	   4,	 0,    1,   1,	 0, 1,
	};
	struct snapshot back;

	(void)state;
	assert_int_equal(snapshot_read(&back, (struct span){ (char *)old, sizeof(old) }), 0);
	assert_int_equal(back.is.leg[0].local.port, 40000);
	assert_true(back.is.leg[0].weak);
	assert_true(span_eq(back.leg[0].advertised, span_of("a")));
	assert_true(back.leg[0].recording.on);
}

/* They also wrote all members of a stream behind one tag. */
static void reads_a_stream_in_one_piece(void **state)
{
	static const uint8_t old[] = {
		1,   1,	 0, 7,	  2,	1,  0,
		'c', 3,	 1, 0,	  't',	10, 38,
		0, /* leg 1 */
		4,   24, 0, 1,	  1,	0,  STREAM_LATCHED,
		5,   2,	 0, 0x34, 0x12, /* seq */
		15,  8,	 0, 1,	  1,	0,  9,
		6,   1,	 0, 5,	  16,	1,  0,
		1, /* statistics, open */
		20,  8,	 0, 1,	  1,	0,  1,
		4,   1,	 0, 3, /* numbers */
	};
	struct snapshot back;

	(void)state;
	assert_int_equal(snapshot_read(&back, (struct span){ (char *)old, sizeof(old) }), 0);
	assert_int_equal(back.is.leg[1].stream[STREAM_RTP].state, STREAM_LATCHED);
	assert_true(back.is.leg[1].stream[STREAM_RTP].open);
	assert_int_equal(back.leg[1].stream[STREAM_RTP].rest.seq, 0x1234);
	assert_int_equal(back.leg[1].stream[STREAM_RTP].stats.packets, 9);
	assert_int_equal(back.leg[1].stream[STREAM_RTP].stats.ssrc, 5);
	assert_int_equal(back.leg[1].numbers.ahead, 3);
}

/* An RTCP stream that is the RTP stream at the next ports needs no bytes, and comes back. */
static void leaves_out_an_rtcp_stream_that_follows(void **state)
{
	const struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct snapshot snap, back;
	struct sessions *all;
	struct session *s;
	struct stream *rtp, *rtcp;
	size_t len;
	int i;

	(void)state;
	assert_int_equal(sessions_new(&all, &opts), 0);
	assert_int_equal(session_create(all, span_of("c"), span_of("f"), 5, &s), 0);
	rtp = &s->leg[1].stream[STREAM_RTP];
	rtcp = &s->leg[1].stream[STREAM_RTCP];
	rtp->state = STREAM_SIGNALLED;
	rtp->updated_ns = 7;
	rtp->remote = (struct addr){ .family = ADDR_IP4, .port = 65535, .ip = { 192, 0, 2, 1 } };
	*rtcp = *rtp;
	rtcp->kind = STREAM_RTCP;
	rtcp->remote.port = 0; /* after 65535 */
	snapshot_take(&snap, s);
	len = written(&snap).len;
	assert_int_equal(snapshot_read(&back, written(&snap)), 0);
	for (i = 0; i < 2; i++)
		assert_memory_equal(&back.is.leg[1].stream[i], &s->leg[1].stream[i],
				    sizeof(struct stream));
	rtcp->state = STREAM_LATCHED;
	snapshot_take(&snap, s);
	assert_true(written(&snap).len > len);
	assert_int_equal(snapshot_read(&back, written(&snap)), 0);
	assert_int_equal(back.is.leg[1].stream[STREAM_RTCP].state, STREAM_LATCHED);
	sessions_free(all);
}

/* A stream or leg without statistics, numbers and the like gets no memory for them. */
static void gets_the_blocks_that_it_needs(void **state)
{
	const struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct snapshot snap = { .is.number = 1 };
	struct session *s;
	struct sessions *all;

	(void)state;
	snap.leg[0].stream[STREAM_RTP].stats.packets = 1;
	snap.leg[1].stream[STREAM_RTP].rest.seq = 1;
	snap.leg[1].numbers.known = true;
	assert_int_equal(sessions_new(&all, &opts), 0);
	assert_int_equal(session_create(all, span_of("c"), span_of("f"), 5, &s), 0);
	assert_int_equal(snapshot_apply(&snap, s), 0);
	assert_int_equal(s->leg[0].stream[STREAM_RTP].stats->packets, 1);
	assert_null(s->leg[0].stream[STREAM_RTP].rest);
	assert_null(s->leg[0].stream[STREAM_RTCP].stats);
	assert_null(s->leg[0].rest);
	assert_int_equal(s->leg[1].stream[STREAM_RTP].rest->seq, 1);
	assert_null(s->leg[1].stream[STREAM_RTP].stats);
	assert_true(s->leg[1].rest->numbers.known);
	/* Again, as a standby daemon does with each change. */
	snap.leg[0].stream[STREAM_RTP].stats.packets = 0;
	snap.leg[1].numbers.known = false;
	assert_int_equal(snapshot_apply(&snap, s), 0);
	assert_null(s->leg[0].stream[STREAM_RTP].stats);
	assert_false(s->leg[1].rest->numbers.known);
	sessions_free(all);
}

/* Times move with the difference of two clocks; a time that never was stays so. */
static void moves_to_another_clock(void **state)
{
	struct snapshot snap = { .is.created_ns = 1000 };

	(void)state;
	snap.is.leg[0].deadline_ns = 5000;
	snap.leg[0].stream[STREAM_RTP].stats.last_ns = 700;
	snapshot_shift(&snap, 50);
	assert_int_equal(snap.is.created_ns, 1050);
	assert_int_equal(snap.is.leg[0].deadline_ns, 5050);
	assert_int_equal(snap.leg[0].stream[STREAM_RTP].stats.last_ns, 750);
	assert_int_equal(snap.is.leg[1].deadline_ns, 0);
	assert_int_equal(snap.is.leg[0].stream[STREAM_RTP].latched_ns, 0);
	snapshot_shift(&snap, -1000);
	assert_int_equal(snap.is.created_ns, 50);
	assert_int_equal(snap.leg[0].stream[STREAM_RTP].stats.last_ns, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(comes_back_as_a_session),
		cmocka_unit_test(reads_past_the_room),
		cmocka_unit_test(is_small_when_there_is_little),
		cmocka_unit_test(refuses_what_does_not_fit),
		cmocka_unit_test(skips_what_a_later_version_adds),
		cmocka_unit_test(refuses_cut_ones),
		cmocka_unit_test(refuses_nonsense),
		cmocka_unit_test(numbers_may_grow),
		cmocka_unit_test(reads_a_leg_in_one_piece),
		cmocka_unit_test(reads_a_stream_in_one_piece),
		cmocka_unit_test(leaves_out_an_rtcp_stream_that_follows),
		cmocka_unit_test(gets_the_blocks_that_it_needs),
		cmocka_unit_test(moves_to_another_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
