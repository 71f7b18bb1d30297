/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_survey.c - rounds over living sessions: slices, sessions that end meanwhile, and figures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../../daemon/observe/survey.c"
#include "dataplane/none.h"

static struct event_base *base;
static struct sessions *all;
static struct stats stats;
static struct sync *sync_;
static struct dp *dp;
static struct survey *survey;

static int begin(void **state)
{
	const struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct sync_opts sync_opts = { .stats = &stats };

	(void)state;
	base = event_base_new();
	assert_int_equal(sessions_new(&all, &opts), 0);
	assert_int_equal(dp_none_open(&dp, "test"), 0);
	sync_opts.sessions = all;
	sync_opts.dp = dp;
	assert_int_equal(sync_new(&sync_, base, &sync_opts), 0);
	assert_int_equal(survey_new(&survey, base, all, sync_), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	survey_free(survey);
	sync_free(sync_);
	dp->ops->close(dp, false);
	sessions_free(all);
	event_base_free(base);
	return 0;
}

static struct session *make(unsigned int n, uint64_t now_ns)
{
	struct session *s;
	char id[16];

	snprintf(id, sizeof(id), "call%u", n);
	assert_int_equal(session_create(all, span_of(id), span_of("f"), now_ns, &s), 0);
	return s;
}

/* @packets of a party until @end_ns; every @lose-th is lost, 0: none. */
static void talk(struct session *s, int leg, unsigned int packets, unsigned int lose,
		 uint64_t end_ns)
{
	struct rtpx_flow_stats *fs = stream_stats_set(&s->leg[leg].stream[STREAM_RTP]);
	struct rtpx_packet p = { .kind = RTPX_PAYLOAD_RTP, .ssrc = 5, .payload_bytes = 172 };
	unsigned int first = fs->max_seq ? (fs->max_seq & 0xffff) + 1 : 100;

	for (unsigned int n = 0; n < packets; n++) {
		p.rtp_seq = (uint16_t)(first + n);
		p.rtp_ts = 160 * (first + n);
		p.now_ns = end_ns - (packets - 1 - n) * 20 * NSEC_PER_MSEC;
		if (!lose || (n + 1) % lose || n == packets - 1)
			rtpx_stats_packet(fs, &p, 1);
	}
	fs->daemon_packets = fs->packets;
}

static void round_of(struct survey *v)
{
	uint64_t before = v->done.ended_ns;

	while (v->done.ended_ns == before)
		on_slice(-1, 0, v);
}

static void figures(void **state)
{
	uint64_t now_ns = clock_now(), old_ns = now_ns - 60 * NSEC_PER_SEC;
	struct session *both = make(1, old_ns), *one = make(2, old_ns), *none = make(3, old_ns),
		       *fresh = make(4, now_ns);
	const struct survey_view *view = survey_view(survey);

	(void)state;
	make(5, old_ns); /* not complete */
	both->complete = one->complete = none->complete = fresh->complete = true;
	talk(both, 0, 100, 0, now_ns);
	talk(both, 1, 100, 10, now_ns);
	talk(one, 1, 50, 0, now_ns);
	talk(one, 0, 50, 0, now_ns - 30 * NSEC_PER_SEC); /* spoke, but not lately */
	round_of(survey);
	assert_int_equal(view->sessions, 5);
	assert_int_equal(view->incomplete, 1);
	assert_int_equal(view->both_ways, 1);
	assert_int_equal(view->one_way, 1);
	assert_int_equal(view->silent, 1);
	assert_int_equal(view->fresh, 1);
	assert_int_equal(view->directions[STREAM_RTP][FLOW_WHY_NO_DATAPLANE], 10);
	assert_int_equal(view->n_worst, 4);
	assert_string_equal(view->worst[0].call_id, "call1");
	assert_int_equal(view->worst[0].party, SESSION_CALLER);
	assert_true(view->worst[0].quality.loss > 0.08f && view->worst[0].quality.mos < 3.6f);
	assert_true(view->worst[1].quality.mos > 4.4f);
	assert_int_equal(survey_samples(survey)->loss.count, 4);

	/* the next round has only the packets since */
	talk(both, 1, 100, 0, clock_now());
	round_of(survey);
	assert_int_equal(view->n_worst, 1);
	assert_true(view->worst[0].quality.loss == 0);
	assert_int_equal(survey_samples(survey)->loss.count, 5);
	assert_true(both->leg[0].recent.mos == 0);
}

/* Sessions end and begin between the slices of a round. */
static void changes_meanwhile(void **state)
{
	struct session *s[3000];
	unsigned int i, slices = 0;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(s); i++)
		s[i] = make(i, clock_now());
	do {
		on_slice(-1, 0, survey);
		if (!survey->walking || !survey->cursor.at)
			break;
		slices++;
		session_destroy(all, survey->cursor.at); /* the next one to visit */
		make(10000 + slices, clock_now());
	} while (slices < 100000);
	while (survey->walking)
		on_slice(-1, 0, survey);
	assert_int_equal(survey_view(survey)->sessions, ARRAY_SIZE(s));
	if (!slices)
		print_message("all sessions fitted one slice\n");
}

/* The worst SURVEY_WORST of many, in order. */
static void the_worst(void **state)
{
	const struct survey_view *view = survey_view(survey);

	(void)state;
	for (unsigned int i = 0; i < 60; i++) {
		struct session *s = make(i, clock_now());

		talk(s, 0, 200, 2 + (i * 7) % 60, clock_now());
	}
	round_of(survey);
	assert_int_equal(view->n_worst, SURVEY_WORST);
	for (unsigned int i = 1; i < view->n_worst; i++)
		assert_true(view->worst[i].quality.mos >= view->worst[i - 1].quality.mos);
	assert_true(view->worst[0].quality.loss > 0.4f);
}

/* The loop's time for 50,000 sessions, in slices. */
static void many(void **state)
{
	uint64_t longest_ns = 0, all_ns = 0;
	unsigned int slices = 0;

	(void)state;
	for (unsigned int i = 0; i < 50000; i++) {
		struct session *s = make(i, clock_now());

		s->complete = true;
		talk(s, 0, 2, 0, clock_now());
		talk(s, 1, 2, 0, clock_now());
	}
	do {
		uint64_t begin_ns = clock_cpu(), took_ns;

		on_slice(-1, 0, survey);
		took_ns = clock_cpu() - begin_ns;
		longest_ns = MAX(longest_ns, took_ns);
		all_ns += took_ns;
		slices++;
	} while (survey->walking);
	assert_int_equal(survey_view(survey)->both_ways, 50000);
	print_message(
		"# a round of 50000 sessions: %u slices, %llu us of CPU in all, %llu us at most\n",
		slices, (unsigned long long)all_ns / 1000, (unsigned long long)longest_ns / 1000);
}

/* Without a reader no round begins. */
static void only_with_a_reader(void **state)
{
	(void)state;
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(survey_view(survey)->ended_ns, 0);
	survey_keep(survey);
	while (!survey_view(survey)->ended_ns)
		event_base_loop(base, EVLOOP_ONCE);
	assert_in_range(next_ms(survey, clock_now()), 1, 5001);
	assert_int_equal(next_ms(survey, survey->until_ns + 1), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(figures, begin, end),
		cmocka_unit_test_setup_teardown(changes_meanwhile, begin, end),
		cmocka_unit_test_setup_teardown(the_worst, begin, end),
		cmocka_unit_test_setup_teardown(many, begin, end),
		cmocka_unit_test_setup_teardown(only_with_a_reader, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
