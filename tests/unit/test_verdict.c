/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_verdict.c - the packet table through the parser and the verdict, compiled as plain C. Then
 * tests that a table of single packets cannot express: the order of the checks, the bounds of
 * following a peer, and the statistics of whole streams.
 *
 * Deliberately not here: rewriting. tests/bpf compares its bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "packets.h" /* libc's network headers have to come before the kernel's */

#include "../../bpf/parse.h"
#include "verdict.h"

#define NOW_NS 1000000000000ull

/* Do the steps of a dataplane before rewriting, with the checks that need its next hop. */
static enum rtpx_reason judge(const struct packet_row *r, uint8_t *bytes, size_t len)
{
	struct rtpx_config c = packet_config();
	struct rtpx_flow flow = packet_flow(r), none = { 0 };
	struct rtpx_flow_stats stats = packet_stats(r, NOW_NS);
	struct rtpx_nexthop nh = packet_nexthop(r, 1);
	struct rtpx_packet p = { .now_ns = NOW_NS };
	const struct rtpx_ingress in = packet_ingress(1);
	struct frame f;
	enum rtpx_reason reason = parse_frame(bytes, bytes + len, &f, &p);
	size_t leaves = p.payload_bytes + 8 + (packet_out_is_6(r) ? 40 : 20);

	if (reason != RTPX_REASON_relayed)
		return reason;
	if (p.dst_port < c.port_min || p.dst_port > c.port_max)
		return RTPX_REASON_pass_not_media;
	reason = check_ingress(&in, &f);
	if (reason == RTPX_REASON_relayed)
		reason = check_sums(&f, &p);
	if (reason != RTPX_REASON_relayed)
		return reason;
	parse_payload(&f, &p);
	reason = verdict(&c, p.dst_port == flow.port ? &flow : &none, &stats, &p);
	if (reason != RTPX_REASON_relayed)
		return reason;
	if (flow.seq & 1)
		return RTPX_REASON_pass_busy;
	if (!nh.mtu)
		return RTPX_REASON_pass_nexthop;
	return leaves > nh.mtu ? RTPX_REASON_pass_too_big : RTPX_REASON_relayed;
}

static void every_row(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++) {
		const struct packet_row *r = &packet_rows[i];
		uint8_t frame[PACKET_MAX], *exact;
		size_t len = packet_in(r, frame);
		enum rtpx_reason got;

		/* Exact size, to find reads past the end; IP aligned to 4 bytes, as by drivers. */
		exact = malloc(2 + len);
		memcpy(exact + 2, frame, len);
		got = judge(r, exact + 2, len);
		free(exact);
		if (got != r->want)
			fail_msg("%s: reason %d, expected %d", r->name, got, r->want);
	}
}

/* The table covers every reason except those that only a dataplane has. */
static void every_reason(void **state)
{
	int seen[RTPX_REASON_COUNT] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(packet_rows) / sizeof(packet_rows[0]); i++)
		seen[packet_rows[i].want]++;
	seen[RTPX_REASON_pass_adjust]++;
	seen[RTPX_REASON_pass_checksum]++;
	seen[RTPX_REASON_pass_merged]++;
	for (i = 0; i < RTPX_REASON_COUNT; i++)
		if (!seen[i])
			fail_msg("no packet of the table ends with reason %zu", i);
}

/* ---- the verdict alone ---- */

/* The packet that the rows' flow expects, with the flow and its statistics. */
struct scene {
	struct rtpx_config config;
	struct rtpx_flow flow;
	struct rtpx_flow_stats stats;
	struct rtpx_packet packet;
	uint8_t other[16];
};

static void scene_set(struct scene *s)
{
	static const struct packet_row row = { .payload = PAYLOAD_RTP, .payload_bytes = 172 };

	*s = (struct scene){
		.config = packet_config(),
		.flow = packet_flow(&row),
		.stats = packet_stats(&row, NOW_NS),
		.other = { 203, 0, 113, 5 },
	};
	s->packet = (struct rtpx_packet){
		.family = RTPX_FAMILY_IP4,
		.src = s->flow.peer4,
		.dst = s->flow.local4,
		.src_port = PACKET_PEER_PORT,
		.dst_port = PACKET_PORT,
		.ip_bytes = 200,
		.payload_bytes = 172,
		.ttl = 64,
		.kind = RTPX_PAYLOAD_RTP,
		.rtp_seq = PACKET_SEQ,
		.ssrc = PACKET_SSRC,
		.now_ns = NOW_NS,
	};
}

static void expect(const struct scene *s, enum rtpx_reason want)
{
	assert_int_equal(verdict(&s->config, &s->flow, &s->stats, &s->packet), want);
}

/* A packet with every fault gets the reason of the first check; each step takes one fault away. */
static void order_of_checks(void **state)
{
	struct scene s;

	(void)state;
	scene_set(&s);
	s.flow.flags &= ~RTPX_FLOW_ACTIVE;
	s.packet.dst = s.packet.src = s.other;
	s.packet.ttl = 1;
	s.packet.kind = RTPX_PAYLOAD_STUN;
	expect(&s, RTPX_REASON_pass_no_flow);
	s.flow.flags |= RTPX_FLOW_ACTIVE;
	expect(&s, RTPX_REASON_pass_not_local);
	s.packet.dst = s.flow.local4;
	expect(&s, RTPX_REASON_pass_ttl);
	s.packet.ttl = 2;
	expect(&s, RTPX_REASON_drop_stranger);
	s.packet.src = s.flow.peer4;
	expect(&s, RTPX_REASON_pass_stun);
	s.packet.kind = RTPX_PAYLOAD_RTP;
	expect(&s, RTPX_REASON_relayed);
}

static void scene_relatch(struct scene *s)
{
	scene_set(s);
	s->flow.strangers |= RTPX_STRANGERS_CONTINUE;
	s->packet.src = s->other;
	s->packet.now_ns += PACKET_SILENCE_MS * 1000000ull + 1;
}

/* The bound on a stranger's sequence number ahead of the peer's, also across the wrap. */
static void bounds_of_following(void **state)
{
	static const struct {
		uint16_t max, seq;
		enum rtpx_reason want;
	} rows[] = {
		{ 1000, 1001, RTPX_REASON_pass_relatch },
		{ 1000, 1536, RTPX_REASON_pass_relatch },
		{ 1000, 1000, RTPX_REASON_drop_stranger },
		{ 1000, 1537, RTPX_REASON_drop_stranger },
		{ 1000, 999, RTPX_REASON_drop_stranger },
		{ 65535, 0, RTPX_REASON_pass_relatch },
		{ 65000, 0, RTPX_REASON_pass_relatch },
		{ 64999, 0, RTPX_REASON_drop_stranger },
		{ 0, 65535, RTPX_REASON_drop_stranger },
	};
	struct scene s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scene_relatch(&s);
		s.stats.max_seq = 0x10000 + rows[i].max;
		s.packet.rtp_seq = rows[i].seq;
		expect(&s, rows[i].want);
	}
}

static void who_is_not_followed(void **state)
{
	struct scene s;

	(void)state;
	scene_relatch(&s);
	expect(&s, RTPX_REASON_pass_relatch);
	s.packet.now_ns -= 2; /* the peer was heard within the time of silence */
	expect(&s, RTPX_REASON_drop_stranger);

	scene_relatch(&s);
	s.packet.kind = RTPX_PAYLOAD_OTHER;
	expect(&s, RTPX_REASON_drop_stranger);

	scene_relatch(&s);
	memset(&s.stats, 0, sizeof(s.stats)); /* no stream to continue */
	s.packet.ssrc = 0;
	s.packet.rtp_seq = 1;
	expect(&s, RTPX_REASON_drop_stranger);

	scene_relatch(&s);
	s.flow.strangers |= RTPX_STRANGERS_ALL;
	s.packet.ssrc++;
	expect(&s, RTPX_REASON_pass_open);
}

/* The clock that timed the peer's latest packet may be a tick ahead of this packet's clock. */
static void clock_ahead_is_no_silence(void **state)
{
	struct scene s;

	(void)state;
	scene_relatch(&s);
	s.stats.last_ns = s.packet.now_ns + 4000000;
	expect(&s, RTPX_REASON_drop_stranger);
}

/* ---- statistics ---- */

static struct rtpx_packet rtp_packet(uint16_t seq, uint32_t ssrc)
{
	return (struct rtpx_packet){
		.payload_bytes = 172,
		.kind = RTPX_PAYLOAD_RTP,
		.rtp_seq = seq,
		.ssrc = ssrc,
		.rtp_ts = 160u * seq,
		.now_ns = NOW_NS,
	};
}

/* Distinct packets that arrived: those that the sender sent, without the missing ones. */
static uint32_t unique(const struct rtpx_flow_stats *st)
{
	return st->packets - st->duplicates - st->errors;
}

#define SSRC2 0x80000000u /* in a sequence of the table: with another SSRC */
#define MARK 0x40000000u  /* in a sequence of the table: with the marker bit */
#define END 0xffffffffu

static void sequences(void **state)
{
	static const struct {
		const char *name;
		uint32_t seq[8];
		uint32_t segments, sent, duplicates, lost;
	} rows[] = {
		{ "in order", { 1, 2, 3, END }, 1, 3, 0, 0 },
		{ "one lost", { 1, 3, END }, 1, 3, 0, 1 },
		{ "wraps", { 65534, 65535, 0, 1, END }, 1, 4, 0, 0 },
		{ "wraps, one lost", { 65534, 0, END }, 1, 3, 0, 1 },
		{ "wraps, reordered", { 65534, 0, 65535, 1, END }, 1, 4, 0, 0 },
		{ "reordered", { 1, 3, 2, END }, 1, 3, 0, 0 },
		{ "before the first", { 5, 4, END }, 1, 2, 0, 0 },
		{ "before the first, across the wrap", { 0, 65535, END }, 1, 2, 0, 0 },
		{ "twice", { 1, 2, 2, END }, 1, 2, 1, 0 },
		{ "three times", { 1, 2, 2, 2, END }, 1, 2, 2, 0 },
		{ "twice, late", { 1, 2, 3, 1, END }, 1, 3, 1, 0 },
		{ "reordered, then twice", { 1, 3, 2, 2, END }, 1, 3, 1, 0 },
		{ "twice, at the end of the window", { 100, 163, 100, END }, 1, 64, 1, 62 },
		{ "twice, older than the window", { 100, 164, 100, END }, 1, 65, 1, 63 },
		{ "lost, and older than the window", { 100, 102, 166, 101, END }, 1, 67, 1, 64 },
		{ "before the first, older than the window", { 200, 100, END }, 1, 101, 0, 99 },
		{ "twice after the window moved as a whole", { 100, 164, 164, END }, 1, 65, 1, 63 },
		{ "furthest step ahead", { 1, 537, END }, 1, 537, 0, 535 },
		{ "jump ahead", { 1, 538, END }, 2, 2, 0, 0 },
		{ "furthest step back", { 1000, 464, END }, 1, 537, 0, 535 },
		{ "jump back", { 1000, 463, END }, 2, 2, 0, 0 },
		{ "another SSRC", { 1, 2, SSRC2 | 3, SSRC2 | 4, END }, 2, 4, 0, 0 },
		{ "another SSRC, same number", { 1, 2, SSRC2 | 2, END }, 2, 3, 0, 0 },
		{ "to and fro between two", { 1, SSRC2 | 9, 2, SSRC2 | 10, END }, 4, 4, 0, 0 },
		{ "loss before another SSRC", { 1, 3, SSRC2 | 1, END }, 2, 4, 0, 1 },
		{ "marker in order", { MARK | 1, MARK | 2, MARK | 3, END }, 1, 3, 0, 0 },
		{ "marker after a loss", { 1, MARK | 3, END }, 1, 3, 0, 1 },
		{ "marker after the wrap", { 65534, 65535, MARK | 0, END }, 1, 3, 0, 0 },
		{ "marker, twice in a row", { 1, MARK | 2, MARK | 2, END }, 1, 2, 1, 0 },
		{ "marker, reordered", { 1, 2, 4, MARK | 3, 5, END }, 1, 5, 0, 0 },
		{ "marker on a repeated number", { 1, 2, 3, MARK | 1, 2, END }, 2, 5, 0, 0 },
		{ "marker before the window", { 100, 200, MARK | 100, 101, END }, 2, 103, 0, 99 },
		{ "marker before the first", { 100, 101, MARK | 20, 21, END }, 2, 4, 0, 0 },
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rtpx_flow_stats st = { 0 };

		for (n = 0; rows[i].seq[n] != END; n++) {
			struct rtpx_packet p =
				rtp_packet(rows[i].seq[n], 5 + !!(rows[i].seq[n] & SSRC2));

			p.marker = !!(rows[i].seq[n] & MARK);
			rtpx_stats_packet(&st, &p, 1);
		}
		if (st.segments != rows[i].segments || rtpx_stats_expected(&st) != rows[i].sent ||
		    st.duplicates != rows[i].duplicates || rtpx_stats_lost(&st) != rows[i].lost)
			fail_msg("%s: segments %u, sent %u, duplicates %u, lost %u", rows[i].name,
				 st.segments, rtpx_stats_expected(&st), st.duplicates,
				 rtpx_stats_lost(&st));
		assert_int_equal(st.packets, n);
		assert_int_equal(st.bytes, 172 * n);
		assert_int_equal(unique(&st), rows[i].sent - rows[i].lost);
	}
}

/* A run of numbers in order. */
struct run {
	uint16_t first, count;
	bool marker; /* on the first one */
};

/* Streams with repeated parts, and rtpproxy's statistics of them. */
static void repeated_streams(void **state)
{
	static const struct {
		const char *name;
		struct run run[4];
		uint32_t sent, received, duplicates;
	} rows[] = {
		{ "again, without a marker", { { 1000, 120, 0 }, { 1000, 20, 0 } }, 120, 120, 20 },
		{ "again, with a marker", { { 1000, 120, 0 }, { 1000, 20, 1 } }, 140, 140, 0 },
		{ "three of the first again", { { 1, 149, 0 }, { 10, 3, 0 } }, 149, 149, 3 },
		{ "all again, over the wrap",
		  { { 65500, 200, 0 }, { 65500, 200, 0 } },
		  200,
		  200,
		  200 },
		{ "again after a loss",
		  { { 1, 100, 0 }, { 111, 100, 0 }, { 1, 100, 0 } },
		  210,
		  200,
		  100 },
		{ "again and again, with markers",
		  { { 1, 90, 1 }, { 1, 90, 1 }, { 1, 90, 1 } },
		  270,
		  270,
		  0 },
	};
	size_t i, n, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rtpx_flow_stats st = { 0 };

		for (n = 0; n < 4; n++) {
			for (k = 0; k < rows[i].run[n].count; k++) {
				struct rtpx_packet p = rtp_packet(rows[i].run[n].first + k, 5);

				p.marker = !k && rows[i].run[n].marker;
				rtpx_stats_packet(&st, &p, 1);
			}
		}
		if (rtpx_stats_expected(&st) != rows[i].sent ||
		    rtpx_stats_received(&st) != rows[i].received ||
		    st.duplicates != rows[i].duplicates ||
		    rtpx_stats_lost(&st) != rows[i].sent - rows[i].received)
			fail_msg("%s: sent %u, received %u, duplicates %u, lost %u", rows[i].name,
				 rtpx_stats_expected(&st), rtpx_stats_received(&st), st.duplicates,
				 rtpx_stats_lost(&st));
	}
}

/* 200,000 packets in segments, some lost, repeated or swapped, compared with plain bookkeeping. */
static void long_stream(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	uint32_t sent = 0, lost = 0, duplicates = 0, segments = 0, ssrc = 7, i, held = 0;
	uint64_t seed = 20261123;
	uint16_t seq = 65000;
	struct rtpx_packet p;
	int segment_began = 0;

	(void)state;
	for (i = 0; i < 200000; i++) {
		unsigned int dice;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		dice = (seed >> 33) % 1000;
		if (!held && dice == 0) { /* a new segment */
			segment_began = 0;
			seq += 30000;
			ssrc += seed >> 40 & 1;
		}
		sent++;
		p = rtp_packet(seq++, ssrc);
		if (!segment_began) {
			segment_began = 1;
			segments++;
		} else if (!held && dice < 20) { /* comes after the next one */
			held = 1;
			continue;
		} else if (!held && dice >= 100 && dice < 150 && i % 1000 < 900) {
			lost++;
			continue;
		}
		rtpx_stats_packet(&st, &p, 1);
		if (held) {
			p.rtp_seq--;
			rtpx_stats_packet(&st, &p, 1);
			held = 0;
		}
		if (dice >= 200 && dice < 220) {
			rtpx_stats_packet(&st, &p, 1);
			duplicates++;
		}
	}
	p = rtp_packet(seq, ssrc); /* makes a loss at the end count */
	rtpx_stats_packet(&st, &p, 1);
	sent++;
	assert_int_equal(st.segments, segments);
	assert_int_equal(st.duplicates, duplicates);
	/* Losses right before a new segment cannot be seen in the packets. */
	assert_true(sent - rtpx_stats_expected(&st) <= segments * 3);
	assert_int_equal(lost - rtpx_stats_lost(&st), sent - rtpx_stats_expected(&st));
	assert_int_equal(unique(&st), sent - lost);
}

static void what_is_not_rtp(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	struct rtpx_packet p = { .payload_bytes = 5, .now_ns = NOW_NS };

	(void)state;
	rtpx_stats_packet(&st, &p, 1);
	assert_int_equal(st.errors, 1);
	assert_int_equal(rtpx_stats_expected(&st), 0);
	assert_int_equal(rtpx_stats_lost(&st), 0);
	rtpx_stats_packet(&st, &p, 0); /* RTCP is not analysed, so it has no errors */
	assert_int_equal(st.errors, 1);
	assert_int_equal(st.packets, 2);
	assert_int_equal(st.bytes, 10);
	assert_int_equal(st.first_ns, NOW_NS);
	assert_int_equal(st.last_ns, NOW_NS);
}

/* ---- counting in the entry ---- */

/*
 * A dataplane counts almost every packet in the entry, and moves these counts now and then. A
 * reader always gets all counts, as if each packet had been counted in full.
 */
static void counts_in_short(void **state)
{
	struct rtpx_flow_stats want = { 0 }, is, old = { 0 };
	const struct rtpx_flow flow = { .flags = RTPX_FLOW_ACTIVE | RTPX_FLOW_RTP };
	struct rtpx_entry_more more = { 0 };
	unsigned int i, in_short = 0, row;
	struct rtpx_entry e = { 0 };

	(void)state;
	rtpx_entry_put_flow(&e, &more, &flow, RTPX_FAMILY_IP4);
	rtpx_entry_put_stats(&e, &more, &old);
	for (i = 0; i < 1000; i++) {
		struct rtpx_packet p =
			rtp_packet(100 + i + i / 100, 5); /* one in a hundred is lost */

		p.payload_bytes = 20 + i % 150;
		p.now_ns += i * 20000000ull + (i == 500) * 7000000;
		row = e.pending;
		if (rtpx_stats_next(&e, &p)) {
			in_short++;
			assert_int_equal(e.pending, row + 1);
		} else {
			rtpx_stats_in_full(&e, &more, &p);
			assert_int_equal(e.pending, 0);
			assert_int_equal(e.bytes, 0);
		}
		rtpx_stats_packet(&want, &p, 1);
		rtpx_entry_get_stats(&e, &more, &is);
		if (is.packets != want.packets || is.bytes != want.bytes ||
		    is.last_ns != want.last_ns || is.first_ns != want.first_ns ||
		    is.max_seq != want.max_seq || is.window != want.window ||
		    is.longest_us != want.longest_us || is.segments != want.segments)
			fail_msg("packet %u: %llu packets of %llu bytes, not %llu of %llu", i,
				 (unsigned long long)is.packets, (unsigned long long)is.bytes,
				 (unsigned long long)want.packets, (unsigned long long)want.bytes);
	}
	assert_int_equal(rtpx_stats_lost(&is), 9);
	assert_in_range(in_short, 1000 - 1000 / RTPX_TIMED_EVERY - 1,
			1000 - 1000 / RTPX_TIMED_EVERY);
}

/* Packets that rtpx_stats_next() leaves to rtpx_stats_in_full(), without changing any count. */
static void not_in_short(void **state)
{
	static const struct {
		const char *what;
		uint16_t flags;
		uint8_t pending;
		int16_t ahead;
		bool other_ssrc, no_rtp, counted;
	} rows[] = {
		{ .what = "the next one",
		  .flags = RTPX_FLOW_RTP,
		  .pending = 5,
		  .ahead = 1,
		  .counted = true },
		{ .what = "the last before its time is due",
		  .flags = RTPX_FLOW_RTP,
		  .pending = RTPX_TIMED_EVERY - 2,
		  .ahead = 1,
		  .counted = true },
		{ .what = "its time is due",
		  .flags = RTPX_FLOW_RTP,
		  .pending = RTPX_TIMED_EVERY - 1,
		  .ahead = 1 },
		{ .what = "the first one",
		  .flags = RTPX_FLOW_RTP,
		  .pending = RTPX_PENDING_NEW,
		  .ahead = 1 },
		{ .what = "counts are on their way",
		  .flags = RTPX_FLOW_RTP,
		  .pending = RTPX_PENDING_MOVING,
		  .ahead = 1 },
		{ .what = "a small gap",
		  .flags = RTPX_FLOW_RTP,
		  .pending = 5,
		  .ahead = 63,
		  .counted = true },
		{ .what = "a gap as long as the window",
		  .flags = RTPX_FLOW_RTP,
		  .pending = 5,
		  .ahead = 64 },
		{ .what = "twice", .flags = RTPX_FLOW_RTP, .pending = 5, .ahead = 0 },
		{ .what = "late", .flags = RTPX_FLOW_RTP, .pending = 5, .ahead = -1 },
		{ .what = "another SSRC",
		  .flags = RTPX_FLOW_RTP,
		  .pending = 5,
		  .ahead = 1,
		  .other_ssrc = true },
		{ .what = "no RTP",
		  .flags = RTPX_FLOW_RTP,
		  .pending = 5,
		  .ahead = 1,
		  .no_rtp = true },
		{ .what = "RTCP",
		  .flags = 0,
		  .pending = 5,
		  .ahead = 0,
		  .no_rtp = true,
		  .counted = true },
		{ .what = "RTCP, its time is due",
		  .flags = 0,
		  .pending = RTPX_TIMED_EVERY - 1,
		  .ahead = 0,
		  .no_rtp = true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rtpx_entry e = { .flags = RTPX_FLOW_ACTIVE | rows[i].flags,
					.pending = rows[i].pending,
					.ssrc = 5,
					.max_seq = 65535,
					.window = 0x8001,
					.bytes = 1000,
					.last_ns = NOW_NS - 5000000,
					.longest_us = 100 },
				  before = e;
		struct rtpx_packet p = rtp_packet(65535 + rows[i].ahead, 5 + rows[i].other_ssrc);

		p.kind = rows[i].no_rtp ? RTPX_PAYLOAD_OTHER : RTPX_PAYLOAD_RTP;
		if (rtpx_stats_next(&e, &p) != rows[i].counted)
			fail_msg("%s: %s", rows[i].what,
				 rows[i].counted ? "not counted" : "counted");
		if (!rows[i].counted) {
			assert_memory_equal(&e, &before, sizeof(e));
			continue;
		}
		assert_int_equal(e.bytes, 1000 + p.payload_bytes);
		assert_int_equal(e.pending, rows[i].pending + 1);
		assert_int_equal(e.last_ns, NOW_NS);
		assert_int_equal(e.longest_us, 5000);
		assert_int_equal(e.max_seq, (uint16_t)(65535 + rows[i].ahead));
		assert_true(e.window == (rows[i].flags ? 0x8001ull << rows[i].ahead | 1 : 0x8001));
	}
}

/* ---- jitter ---- */

/* Packets of 20 ms; the last one is @late_ns late. */
static struct rtpx_flow_stats timed_stream(uint8_t payload_type, uint32_t rate, uint64_t late_ns)
{
	struct rtpx_flow_stats st = { 0 };
	unsigned int i;

	for (i = 0; i < 500; i++) {
		struct rtpx_packet p = rtp_packet(i, 5);

		p.payload_type = payload_type;
		p.rtp_ts = 0xfffff000u + i * (rate / 50); /* it wraps */
		p.now_ns += i * 20000000ull + (i == 499 ? late_ns : 0);
		rtpx_stats_packet(&st, &p, 1);
	}
	return st;
}

static void jitter_by_payload_type(void **state)
{
	static const struct {
		uint8_t type;
		uint32_t rate;
	} rows[] = {
		/* RFC 3551, tables 4 and 5 */
		{ 0, 8000 },   { 3, 8000 },    { 4, 8000 },   { 5, 8000 },   { 6, 16000 },
		{ 7, 8000 },   { 8, 8000 },    { 9, 8000 },   { 10, 44100 }, { 11, 44100 },
		{ 12, 8000 },  { 13, 8000 },   { 14, 90000 }, { 15, 8000 },  { 16, 11025 },
		{ 17, 22050 }, { 18, 8000 },   { 25, 90000 }, { 26, 90000 }, { 28, 90000 },
		{ 31, 90000 }, { 32, 90000 },  { 33, 90000 }, { 34, 90000 }, { 101, 8000 },
		{ 96, 16000 }, { 111, 48000 }, { 97, 90000 }, { 98, 24000 }, { 99, 32000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rtpx_flow_stats even = timed_stream(rows[i].type, rows[i].rate, 0);
		struct rtpx_flow_stats late = timed_stream(rows[i].type, rows[i].rate, 100000000);
		uint32_t d = rows[i].rate / 10; /* RFC 3550 A.8: from 0, J times 16 is D */

		if (even.jitter_max_q4 > 16) /* one timestamp unit: rounding */
			fail_msg("type %u: jitter %u/16 of an even stream", rows[i].type,
				 even.jitter_max_q4);
		if (late.jitter_q4 < d - d / 500 - 2 || late.jitter_q4 > d + d / 500 + 16 ||
		    late.jitter_q4 != late.jitter_max_q4)
			fail_msg("type %u: jitter %u/16, expected %u/16", rows[i].type,
				 late.jitter_q4, d);
		/* the rate of a dynamic type is measured during the first second */
		assert_int_equal(late.jitter_count, rows[i].type < 96 ? 499 : 499 - 52);
	}
}

/* Every second packet late by 4 ms: |D| is 32 units for each, and so is J in the end. */
static void jitter_settles(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		struct rtpx_packet p = rtp_packet(i, 5);

		p.now_ns += i * 20000000ull + (i & 1) * 4000000;
		rtpx_stats_packet(&st, &p, 1);
	}
	assert_in_range(st.jitter_q4, 31 * 16, 33 * 16);
	assert_in_range(st.jitter_max_q4, st.jitter_q4, 33 * 16);
	assert_in_range(st.jitter_sum_q4 / st.jitter_count, 30 * 16, 33 * 16);
}

/* A new SSRC has its own timestamps: the step to them is not jitter. */
static void jitter_begins_anew(void **state)
{
	struct rtpx_flow_stats st = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		struct rtpx_packet p = rtp_packet(i, i < 50 ? 5 : 6);

		p.rtp_ts += i < 50 ? 0 : 500000;
		p.now_ns += i * 20000000ull;
		rtpx_stats_packet(&st, &p, 1);
	}
	assert_in_range(st.jitter_max_q4, 0, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(every_reason),
		cmocka_unit_test(order_of_checks),
		cmocka_unit_test(bounds_of_following),
		cmocka_unit_test(who_is_not_followed),
		cmocka_unit_test(clock_ahead_is_no_silence),
		cmocka_unit_test(sequences),
		cmocka_unit_test(repeated_streams),
		cmocka_unit_test(counts_in_short),
		cmocka_unit_test(not_in_short),
		cmocka_unit_test(long_stream),
		cmocka_unit_test(what_is_not_rtp),
		cmocka_unit_test(jitter_by_payload_type),
		cmocka_unit_test(jitter_settles),
		cmocka_unit_test(jitter_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
