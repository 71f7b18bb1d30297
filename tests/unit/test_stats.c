/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stats.c - every counter of G by name, the format of values, packets a second, the load, and
 * the counts of an ended direction.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/call/stats.c"

/* The names of the protocol page, "G"; repeated here on purpose. */
static const char *const names[] = {
	"nsess_created",  "nsess_destroyed",  "nsess_timeout",	   "nsess_complete",
	"nsess_nortp",	  "nsess_owrtp",      "nsess_nortcp",	   "nsess_owrtcp",
	"nplrs_created",  "nplrs_destroyed",  "npkts_rcvd",	   "npkts_played",
	"npkts_relayed",  "npkts_resizer_in", "npkts_resizer_out", "npkts_resizer_discard",
	"npkts_discard",  "ncmds_rcvd",	      "ncmds_rcvd_ndups",  "ncmds_succd",
	"ncmds_errs",	  "ncmds_repld",      "rtpa_nsent",	   "rtpa_nrcvd",
	"rtpa_ndups",	  "rtpa_nlost",	      "rtpa_perrs",	   "npkts_recorded",
	"npkts_rec_lost", "nrec_complete",    "nrec_lost",	   "nrec_made",
	"nrec_told",	  "nrec_failed",      "nrec_removed",	   "nsess_limited",
	"nsess_drained",  "ndtmf_told",	      "ndtmf_left_out",	   "npkts_prompt_late",
};

static void expect(const struct stats *s, const char *name, const char *want)
{
	char buf[64];

	assert_int_equal(stats_text(s, span_of(name), buf, sizeof(buf)), 0);
	if (strcmp(buf, want))
		fail_msg("%s is %s, not %s", name, buf, want);
}

/* Each name reads a field of its own. */
static void every_name(void **state)
{
	struct stats s = { 0 };
	uint64_t *field = (uint64_t *)&s;
	char want[64];
	size_t i;

	(void)state;
	assert_int_equal(ARRAY_SIZE(names), ARRAY_SIZE(counters));
	for (i = 0; i < ARRAY_SIZE(names); i++)
		field[i] = 1000 + i;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(want, sizeof(want), "%zu", 1000 + i);
		expect(&s, names[i], want);
	}
}

static void formats(void **state)
{
	struct stats s = { .total_duration = 12.5, .pps_in = 1.0 / 3, .npkts_rcvd = UINT64_MAX };

	(void)state;
	expect(&s, "total_duration", "12.500000");
	expect(&s, "pps_in", "0.333333");
	expect(&s, "npkts_rcvd", "18446744073709551615");
}

static void refusals(void **state)
{
	static const char *const unknown[] = { "",	     "npkts",	    "npkts_rcvd ",
					       "NPKTS_RCVD", "npkts_rcvdx", "tick_ns" };
	struct stats s = { .npkts_rcvd = 123, .total_duration = 1 };
	char buf[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(stats_text(&s, span_of(unknown[i]), buf, sizeof(buf)), -ENOENT);
	assert_int_equal(stats_text(&s, span_of("npkts_rcvd"), buf, 4), 0);
	assert_int_equal(stats_text(&s, span_of("npkts_rcvd"), buf, 3), -ENOSPC);
	assert_int_equal(stats_text(&s, span_of("total_duration"), buf, 8), -ENOSPC);
	assert_int_equal(stats_text(&s, (struct span){ "npkts_rcvd=", 10 }, buf, sizeof(buf)), 0);
}

/* Written counters are read back. Bytes of another version, or none, change no counter. */
static void journals(void **state)
{
	struct stats s = {
		.total_duration = 12.5, .pps_in = 3, .npkts_rcvd = UINT64_MAX, .nsess_created = 7
	};
	struct stats back = { .nsess_created = 1 };
	char text[STATS_TEXT_MAX];
	struct span written = { text, stats_write(&s, text) };

	(void)state;
	stats_read(&back, written);
	s.pps_in = 0;
	assert_memory_equal(&back, &s, sizeof(s));
	stats_read(&back, span_of("unheard_of 5\nnsess_created\n\nnpkts_rcvd 9"));
	assert_memory_equal(&back, &s, sizeof(s));
	stats_read(&back, (struct span){ NULL, 0 });
	assert_memory_equal(&back, &s, sizeof(s));
	memset(&s, 0xff, sizeof(s)); /* the longest numbers */
	s.total_duration = 1e308;
	assert_in_range(stats_write(&s, text), 1, STATS_TEXT_MAX - 2);
}

static void packets_a_second(void **state)
{
	struct stats s = { .npkts_rcvd = 500 };
	uint64_t t = 77 * NSEC_PER_SEC;

	(void)state;
	stats_tick(&s, t, 0);
	expect(&s, "pps_in", "0.000000"); /* nothing to compare with */
	s.npkts_rcvd += 300;
	stats_tick(&s, t + 2 * NSEC_PER_SEC, 0);
	expect(&s, "pps_in", "150.000000");
	stats_tick(&s, t + 2 * NSEC_PER_SEC, 0); /* no time has passed: the value stays */
	expect(&s, "pps_in", "150.000000");
	stats_tick(&s, t + 3 * NSEC_PER_SEC, 0);
	expect(&s, "pps_in", "0.000000");
}

/* CPU time of the loop in each second, and the load that I shows afterwards. */
static void load_of_the_loop(void **state)
{
	struct stats s = { 0 };
	uint64_t now_ns = 77 * NSEC_PER_SEC, cpu_ns = 5 * NSEC_PER_SEC;
	int i;

	(void)state;
	stats_tick(&s, now_ns, cpu_ns);
	assert_true(s.load == 0); /* nothing to compare with, though it ran for 5 s before */
	for (i = 0; i < 100; i++) {
		now_ns += NSEC_PER_SEC;
		cpu_ns += NSEC_PER_SEC / 4;
		stats_tick(&s, now_ns, cpu_ns);
	}
	assert_true(s.load > 0.249 && s.load < 0.2501);
	stats_tick(&s, now_ns, cpu_ns + NSEC_PER_SEC); /* no time has passed */
	assert_true(s.load > 0.249 && s.load < 0.2501);
	for (i = 0; i < 10; i++)
		stats_tick(&s, now_ns += NSEC_PER_SEC, cpu_ns += NSEC_PER_SEC);
	assert_true(s.load > 0.65 && s.load < 0.75); /* 0.75 short of 1 before, 0.29 now */
	stats_tick(&s, now_ns += 1000 * NSEC_PER_SEC, cpu_ns);
	assert_true(s.load < 0.01);
	stats_tick(&s, now_ns += NSEC_PER_SEC, cpu_ns += 5 * NSEC_PER_SEC); /* clocks differ */
	assert_true(s.load <= 1);
}

static void hear(struct rtpx_flow_stats *fs, uint32_t ssrc, uint16_t seq, bool is_rtp)
{
	struct rtpx_packet p = { .kind = is_rtp ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER,
				 .ssrc = ssrc,
				 .rtp_seq = seq,
				 .payload_bytes = 172,
				 .now_ns = 1 };

	rtpx_stats_packet(fs, &p, 1);
}

/* Two ended directions, the second one without any packet. */
static void ended_directions(void **state)
{
	struct rtpx_flow_stats fs = { 0 }, silent = { 0 };
	struct stats s = { .rtpa_nsent = 10 };

	(void)state;
	hear(&fs, 1, 100, true);
	hear(&fs, 1, 101, true);
	hear(&fs, 1, 101, true);
	hear(&fs, 1, 105, true);
	hear(&fs, 2, 7, true);
	hear(&fs, 2, 0, false);
	stats_add_rtp(&s, &fs);
	stats_add_rtp(&s, &silent);
	expect(&s, "rtpa_nsent", "17");
	expect(&s, "rtpa_nrcvd", "4");
	expect(&s, "rtpa_ndups", "1");
	expect(&s, "rtpa_nlost", "3");
	expect(&s, "rtpa_perrs", "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name),	    cmocka_unit_test(formats),
		cmocka_unit_test(refusals),	    cmocka_unit_test(journals),
		cmocka_unit_test(packets_a_second), cmocka_unit_test(load_of_the_loop),
		cmocka_unit_test(ended_directions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
