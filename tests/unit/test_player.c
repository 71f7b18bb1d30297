/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_player.c - prompts to legs without sockets, in invented time. At the end, many players in
 * real time; the test prints their jitter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/clock.h"

#include "../../daemon/media/player.c"

#define TTL_S 60
#define MS NSEC_PER_MSEC
#define CROWD 200
#define CROWD_MS 1500

static const char *const files[] = { "ringback.0",   "ringback.3", "ringback.8", "ringback.18",
				     "ringback.101", "short.0",	   "long.0" };
static char dir[] = "/tmp/rtpx-player-XXXXXX";

static struct event_base *base, *loader_base; /* loader_base runs without real time */
static struct sessions *sessions;
static struct pacer *pacer;
static struct players *players;
static struct stats stats;
static struct session *call;
static struct audio_codec_map named;
static uint64_t start_ns;
static struct {
	unsigned int packets;
	int leg, refuse;
	uint64_t ns;
	size_t len;
	uint8_t data[PROMPT_MAX_PACKET];
} last;

/* ---- setting ---- */

static int make_files(void **state)
{
	size_t i;

	(void)state;
	if (!mkdtemp(dir) || chdir(dir))
		return -1;
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *f = fopen(files[i], "we");

		/* "short" is no packet, "ringback" 80 ms of G.711, "long" 4 s */
		if (!f || ftruncate(fileno(f), *files[i] == 's'	  ? 79
					       : *files[i] == 'l' ? 32000
								  : 640))
			return -1;
		fclose(f);
	}
	return 0;
}

static int remove_files(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	return chdir("/") || rmdir(dir);
}

static uint64_t now_ns; /* time of the turn */

static int on_send(void *arg, struct leg *leg, const uint8_t *packet, size_t len)
{
	(void)arg;
	assert_non_null(leg->handle);
	assert_int_not_equal(leg->stream[STREAM_RTP].remote.family, ADDR_NONE);
	if (last.refuse)
		return last.refuse;
	last.packets++;
	last.leg = leg->party;
	last.ns = now_ns;
	last.len = len;
	memcpy(last.data, packet, len);
	return 0;
}

static void on_batch_end(void *arg)
{
	(void)arg;
}

static struct session *add_call(const char *id)
{
	static int port;
	struct session *s;
	struct leg *leg;

	assert_int_equal(session_create(sessions, span_of(id), span_of("A"), start_ns, &s), 0);
	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++) {
		leg->handle = &port;
		leg->stream[STREAM_RTP].remote =
			(struct addr){ .family = ADDR_IP4, .port = 5000, .ip = { 192, 0, 2, 1 } };
	}
	session_complete(sessions, s, start_ns);
	return s;
}

static int begin(void **state)
{
	const struct session_opts session_opts = { TTL_S, TTL_S, true };
	const struct pacer_opts pacer_opts = { .batch_end = on_batch_end };
	struct players_opts opts = {
		.stats = &stats,
		.send = on_send,
		.ptime_ms = 10,
		.prompt_dir = *state,
		.codecs = &named,
	};

	memset(&last, 0, sizeof(last));
	memset(&stats, 0, sizeof(stats));
	base = event_base_new();
	loader_base = event_base_new();
	assert_int_equal(sessions_new(&sessions, &session_opts), 0);
	assert_int_equal(pacer_new(&pacer, base, &pacer_opts), 0);
	opts.sessions = sessions;
	opts.pacer = pacer;
	assert_int_equal(players_new(&players, loader_base, &opts), 0);
	start_ns = now_ns = (clock_now() / MS + 5) * MS;
	call = add_call("call");
	return 0;
}

static int end(void **state)
{
	(void)state;
	player_stop(&call->leg[0]);
	player_stop(&call->leg[1]);
	assert_int_equal(players_count(players), 0);
	assert_int_equal(stats.nplrs_created, stats.nplrs_destroyed);
	players_free(players);
	pacer_free(pacer);
	sessions_free(sessions);
	event_base_free(base);
	event_base_free(loader_base);
	return 0;
}

static void wait_for_loader(void)
{
	while (players_clips(players).loading)
		event_base_loop(loader_base, EVLOOP_ONCE);
}

/* Start a prompt and wait until its clip is loaded. */
static int start_on(int leg, const char *name, const char *codecs, int count, unsigned int ptime_ms)
{
	int err = player_start(players, &call->leg[leg], span_of(name), span_of(codecs), count,
			       ptime_ms, now_ns);

	wait_for_loader();
	return err;
}

static int start(const char *name, const char *codecs, int count, unsigned int ptime_ms)
{
	return start_on(1, name, codecs, count, ptime_ms);
}

/* Let time pass, in steps of 0.1 ms. */
static void pass_ms(unsigned int ms)
{
	uint64_t until = now_ns + ms * MS;

	for (; now_ns < until; now_ns += MS / 10)
		pacer_run(pacer, now_ns);
}

static uint16_t seq_of(const uint8_t *p)
{
	return p[2] << 8 | p[3];
}

static uint32_t word(const uint8_t *p)
{
	return (uint32_t)seq_of(p - 2) << 16 | seq_of(p);
}

/* ---- P and S ---- */

struct file_row {
	const char *name, *codecs;
	int err;
	int type; /* payload type of the first packet; -1: no packet */
};

static const struct file_row file_rows[] = {
	{ "ringback", "0", 0, 0 },
	{ "ringback", "18", 0, 18 },
	{ "ringback", "9,99,0", 0, 0 },
	{ "ringback", "0,x", 0, 0 },
	{ "ringback", "8;0", 0, 8 },
	{ "ringback", "99x3", 0, 3 },
	{ "ringback", "0018", 0, 18 },
	{ "ringback", "99999999999999999999,8", 0, 8 },
	{ "ringback", "101", 0, -1 },
	{ "short", "0", 0, -1 },
	{ "nofile", "0", -ENOENT, -1 },
	{ "nofile", "0,8,18", -ENOENT, -1 },
	{ "ringback", "x", -ENOENT, -1 },
	{ "ringback", "99,x", -ENOENT, -1 },
	{ "ringback", "99,x,0", -ENOENT, -1 },
	{ "ringback", ",", -ENOENT, -1 },
	{ "ringback", "", -ENOENT, -1 },
	{ "ringback", "9", -ENOENT, -1 },
	{ "../", "0", -ENOENT, -1 },
};

static void files_and_codecs(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(file_rows); i++) {
		const struct file_row *row = &file_rows[i];
		unsigned int before = last.packets, created = stats.nplrs_created;

		assert_int_equal(start(row->name, row->codecs, 1, 0), row->err);
		assert_int_equal(stats.nplrs_created - created, row->err == 0);
		pass_ms(3);
		assert_int_equal(!!leg_rest(&call->leg[1])->player, row->type >= 0);
		assert_int_equal(last.packets - before, row->type >= 0);
		if (row->type >= 0)
			assert_int_equal(last.data[1], 0x80 | row->type);
	}
}

/* Dynamic payload types that --codec names: one with packets, one with the frames of PCMA. */
static void named_types(void **state)
{
	static const char amr[] = "#!AMR\n\x44\xff\xff\xff\xff\xfe\x7c";
	FILE *f = fopen("hold.amr", "we");
	uint32_t ts;

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite(amr, sizeof(amr) - 1, 1, f), 1);
	assert_int_equal(fclose(f), 0);
	assert_null(audio_codec_map_add(&named, "97=AMR;octet-align=1"));
	assert_null(audio_codec_map_add(&named, "98=PCMA"));
	assert_int_equal(start("hold", "96,98,97", 1, 10), 0);
	pass_ms(2);
	assert_int_equal(last.data[1], 0x80 | 97);
	assert_int_equal(last.len, 12 + 7);
	assert_memory_equal(last.data + 12, "\xf0\x44\xff\xff\xff\xff\xfe", 7);
	ts = word(last.data + 4);
	pass_ms(20);
	assert_int_equal(last.data[1], 97);
	assert_int_equal(last.len, 12 + 2);
	assert_int_equal(word(last.data + 4), ts + 160);
	pass_ms(21);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(start("ringback", "97,98", 1, 10), 0);
	pass_ms(2);
	assert_int_equal(last.data[1], 0x80 | 98);
	assert_int_equal(last.len, 12 + 80);
	unlink("hold.amr");
}

static void one_round(void **state)
{
	uint32_t ssrc, ts;
	uint16_t seq;
	unsigned int i;

	(void)state;
	assert_int_equal(start("ringback", "0", 1, 0), 0);
	assert_non_null(leg_rest(&call->leg[1])->player);
	assert_null(leg_rest(&call->leg[0])->player);
	assert_ptr_equal(session_dirty_pop(sessions), call);
	pass_ms(2);
	assert_int_equal(last.packets, 1);
	assert_int_equal(last.leg, 1);
	assert_int_equal(last.len, 92);
	ssrc = word(last.data + 8);
	ts = word(last.data + 4);
	seq = seq_of(last.data);
	for (i = 1; i < 8; i++) {
		uint64_t before_ns = last.ns;

		pass_ms(10);
		assert_int_equal(last.packets, i + 1);
		assert_int_equal(last.data[1], 0);
		assert_int_equal(word(last.data + 8), ssrc);
		assert_int_equal(word(last.data + 4), ts + 80 * i);
		assert_int_equal(seq_of(last.data), (uint16_t)(seq + i));
		assert_true(last.ns - before_ns == 10 * MS);
	}
	pass_ms(5); /* the last packet is still being heard */
	assert_non_null(leg_rest(&call->leg[1])->player);
	pass_ms(10);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_ptr_equal(session_dirty_pop(sessions), call);
	assert_int_equal(last.packets, 8);
	assert_int_equal(stats.npkts_played, 8);
	assert_int_equal(stats.nplrs_destroyed, 1);
}

static void two_streams_differ(void **state)
{
	uint8_t first[12];

	(void)state;
	assert_int_equal(start("ringback", "0", 1, 0), 0);
	pass_ms(2);
	memcpy(first, last.data, 12);
	assert_int_equal(start("ringback", "0", 1, 0), 0);
	pass_ms(2);
	assert_int_equal(last.packets, 2);
	assert_memory_not_equal(first + 4, last.data + 4, 4);
	assert_memory_not_equal(first + 8, last.data + 8, 4);
}

/* A new P ends the old prompt even if it fails; P0 and S only end it. */
static void what_ends_it(void **state)
{
	(void)state;
	assert_int_equal(start("ringback", "0", -1, 0), 0);
	assert_int_equal(start("nofile", "0", -1, 0), -ENOENT);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(start("ringback", "0", -1, 0), 0);
	assert_int_equal(start("ringback", "0", 0, 0), 0);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(start("ringback", "0", -1, 0), 0);
	player_stop(&call->leg[1]);
	player_stop(&call->leg[1]);
	assert_null(leg_rest(&call->leg[1])->player);
	pass_ms(100);
	assert_int_equal(last.packets, 0);
	assert_int_equal(stats.nplrs_created, 3);
	assert_int_equal(stats.nplrs_destroyed, 3);
}

static void ptimes(void **state)
{
	static const struct {
		const char *codec;
		unsigned int ptime_ms, packets;
	} rows[] = { { "0", 20, 50 }, { "0", 0, 100 }, { "3", 10, 50 }, { "18", 40, 25 } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		last.packets = 0;
		assert_int_equal(start("ringback", rows[i].codec, -1, rows[i].ptime_ms), 0);
		pass_ms(1000);
		assert_int_equal(last.packets, rows[i].packets);
	}
}

/* Without a port or an address the prompt waits at its beginning and counts as playing. */
static void waits_for_the_listener(void **state)
{
	struct leg *leg = &call->leg[1];
	struct addr remote = leg->stream[STREAM_RTP].remote;
	void *handle = leg->handle;

	(void)state;
	leg->stream[STREAM_RTP].remote = (struct addr){ 0 };
	assert_int_equal(start("ringback", "0", 1, 0), 0);
	pass_ms(500);
	leg->handle = NULL;
	leg->stream[STREAM_RTP].remote = remote;
	pass_ms(500);
	assert_int_equal(last.packets, 0);
	assert_non_null(leg_rest(&call->leg[1])->player);
	leg->handle = handle;
	pass_ms(10);
	assert_int_equal(last.packets, 1);
	assert_int_equal(last.data[1], 0x80);
	pass_ms(80);
	assert_int_equal(last.packets, 8);
	assert_null(leg_rest(&call->leg[1])->player);
}

/* Played packets restart the TTL; packets to a listener without address do not. */
static void keeps_the_replaced_partys_time(void **state)
{
	(void)state;
	assert_int_equal(start("ringback", "0", -1, 0), 0);
	pass_ms(5000);
	assert_true(call->leg[0].deadline_ns > now_ns + TTL_S * NSEC_PER_SEC - 20 * MS);
	assert_true(call->leg[1].deadline_ns == start_ns + TTL_S * NSEC_PER_SEC);
	last.refuse = -EAFNOSUPPORT;
	pass_ms(5000);
	assert_true(call->leg[0].deadline_ns < now_ns + (TTL_S - 4) * NSEC_PER_SEC);
	assert_int_equal(stats.npkts_played, last.packets);
}

/* After a pause of the process, a short delay is caught up, a long one is not. */
static void after_a_stop_of_the_process(void **state)
{
	(void)state;
	assert_int_equal(start("long", "0", -1, 20), 0);
	pass_ms(100);
	assert_int_equal(last.packets, 5);
	now_ns += 100 * MS;
	pass_ms(100);
	assert_int_equal(last.packets, 15);
	now_ns += 10000 * MS;
	pass_ms(100);
	assert_in_range(last.packets, 20, 21);
}

static void both_legs_at_once(void **state)
{
	(void)state;
	assert_int_equal(start("ringback", "0", -1, 20), 0);
	assert_int_equal(start_on(0, "ringback", "8", 1, 20), 0);
	pass_ms(400);
	assert_non_null(leg_rest(&call->leg[1])->player);
	assert_null(leg_rest(&call->leg[0])->player);
	assert_int_equal(last.packets, 20 + 4);
}

static const char *described(void)
{
	static char text[100];

	return player_describe(&call->leg[1], text, sizeof(text));
}

/* A prompt plays from its beginning once the clip is loaded; a file that is not sound ends it. */
static void waits_for_the_loader(void **state)
{
	FILE *f = fopen("noise.wav", "we");

	(void)state;
	assert_int_equal(player_start(players, &call->leg[1], span_of("ringback"), span_of("3"), 1,
				      0, now_ns),
			 0);
	pass_ms(50);
	assert_int_equal(last.packets, 0);
	assert_non_null(leg_rest(&call->leg[1])->player);
	assert_string_equal(described(), "ringback.3, which is being loaded");
	wait_for_loader();
	pass_ms(2);
	assert_int_equal(last.packets, 1);
	assert_int_equal(last.data[1], 0x83);
	assert_non_null(f);
	fputs("noise", f);
	fclose(f);
	assert_int_equal(start("noise.wav", "0", 1, 0), 0);
	unlink("noise.wav");
	pass_ms(2);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(last.packets, 1);
}

/* ---- a clip that is still being loaded ---- */

static struct clip *growing; /* the real one; the test plays the loader's part */

/* Start "ringback" for leg 1, of which only @len bytes are loaded so far. */
static void start_growing(size_t len, int count)
{
	size_t i;

	assert_int_equal(start("ringback", "0", count, 0), 0);
	growing = (struct clip *)leg_rest(&call->leg[1])->player->clip;
	assert_int_equal(growing->len, 640);
	for (i = 0; i < 640; i++)
		((uint8_t *)growing->data)[i] = (uint8_t)(i / 80); /* the number of its packet */
	growing->err = -EINPROGRESS;
	growing->len = len;
}

/* The next bytes come, and the data moves. */
static void grow(size_t len, int err)
{
	uint8_t *moved = malloc(640);

	assert_non_null(moved);
	memcpy(moved, growing->data, 640);
	memset((uint8_t *)growing->data, 0xee, 640);
	free((uint8_t *)growing->data);
	growing->data = moved;
	growing->len = len;
	growing->err = err;
}

static void is_time(uint64_t round_ms, int64_t left_ms)
{
	struct player_time t;

	player_time(&call->leg[1], &t);
	assert_int_equal(t.round_ms, round_ms);
	assert_int_equal(t.left_ms, left_ms);
}

/* It begins with the first packet, pauses when there is none, and goes on when there is. */
static void begins_before_the_end(void **state)
{
	uint32_t ts;
	uint16_t seq;

	(void)state;
	start_growing(0, 2);
	is_time(0, -1);
	pass_ms(30);
	assert_int_equal(last.packets, 0);
	assert_string_equal(described(), "ringback.0, which is being loaded");
	grow(160, -EINPROGRESS);
	pass_ms(12);
	assert_int_equal(last.packets, 2);
	assert_int_equal(last.data[12], 1);
	is_time(0, -1);
	seq = seq_of(last.data);
	ts = word(last.data + 4);
	pass_ms(30); /* three packets of silence */
	assert_int_equal(last.packets, 2);
	assert_int_equal(stats.npkts_prompt_late, 3);
	grow(320, -EINPROGRESS);
	pass_ms(10);
	assert_int_equal(last.packets, 3);
	assert_int_equal(last.data[12], 2);
	assert_int_equal(last.data[1], 0x80); /* the marker: a talkspurt begins */
	assert_int_equal(seq_of(last.data), (uint16_t)(seq + 1));
	assert_int_equal(word(last.data + 4), ts + 4 * 80);
	grow(640, 0);
	pass_ms(10);
	assert_int_equal(last.packets, 4);
	assert_int_equal(last.data[1], 0);
	is_time(80, 80 + 40);
	pass_ms(40 + 80 + 5);
	assert_int_equal(last.packets, 16);
	assert_int_equal(stats.npkts_prompt_late, 3);
	pass_ms(10);
	assert_null(leg_rest(&call->leg[1])->player);
}

/* The part before an error is played once, and that is the end. */
static void fails_in_the_middle(void **state)
{
	(void)state;
	start_growing(160, -1);
	pass_ms(2);
	assert_int_equal(last.packets, 1);
	grow(320, -EINVAL);
	pass_ms(35);
	assert_int_equal(last.packets, 4);
	assert_non_null(leg_rest(&call->leg[1])->player);
	pass_ms(10);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(last.packets, 4);
}

/* A file that has failed before its listener could hear it is not begun. */
static void failed_before_it_began(void **state)
{
	(void)state;
	start_growing(160, 1);
	grow(160, -EINVAL);
	pass_ms(5);
	assert_null(leg_rest(&call->leg[1])->player);
	assert_int_equal(last.packets, 0);
}

/* After a restart, a prompt waits until the file reaches as far as it had played. */
static void goes_on_when_loaded_so_far(void **state)
{
	(void)state;
	start_growing(160, 1);
	call->leg[1].rest->player->begun_ns = now_ns - 40 * MS;
	pass_ms(20);
	assert_int_equal(last.packets, 0);
	grow(640, -EINPROGRESS);
	pass_ms(2);
	assert_int_equal(last.packets, 1);
	assert_true(last.data[12] == 6);
	grow(640, 0);
}

static void says_what_plays(void **state)
{
	(void)state;
	assert_string_equal(described(), "");
	assert_int_equal(start("ringback", "8", 2, 0), 0);
	assert_string_equal(described(), "ringback.8, 2 rounds to go");
	pass_ms(100);
	assert_string_equal(described(), "ringback.8, 1 round to go");
	assert_int_equal(start("ringback", "8", -3, 0), 0);
	assert_string_equal(described(), "ringback.8, until it is stopped");
}

static void confined_to_a_directory(void **state)
{
	(void)state;
	assert_int_equal(start("ringback", "0", 1, 0), 0);
	assert_int_equal(start("../ringback", "0", 1, 0), -ENOENT);
	assert_int_equal(start("/etc/passwd", "0", 1, 0), -ENOENT);
}

/* ---- real time ---- */

static struct {
	struct session *call;
	uint64_t due_ns, packets;
} crowd[CROWD];
static uint64_t errors_ns[CROWD * (CROWD_MS / 20 + 10)];
static unsigned int n_errors;

static int on_crowd_send(void *arg, struct leg *leg, const uint8_t *packet, size_t len)
{
	uint64_t now = clock_now();
	unsigned int i = atoi(leg_session(leg)->call_id);

	(void)arg, (void)packet, (void)len;
	assert_true(now >= crowd[i].due_ns);
	errors_ns[n_errors++] = now - crowd[i].due_ns;
	assert_true(n_errors < ARRAY_SIZE(errors_ns));
	crowd[i].due_ns += 20 * MS;
	crowd[i].packets++;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void on_enough(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

/* Compares every packet of every player with its fixed schedule. */
static void a_crowd_keeps_time(void **state)
{
	const struct timeval enough = { CROWD_MS / 1000, CROWD_MS % 1000 * 1000 };
	uint64_t begun_ns;
	unsigned int i;
	char id[16];

	(void)state;
	players->o.send = on_crowd_send;
	n_errors = 0;
	for (i = 0; i < CROWD; i++) {
		snprintf(id, sizeof(id), "%u", i);
		crowd[i].call = add_call(id);
		crowd[i].packets = 0;
	}
	begun_ns = clock_now();
	for (i = 0; i < CROWD; i++) {
		crowd[i].due_ns = (begun_ns / MS + 1 + i % 20) * MS;
		assert_int_equal(player_start(players, &crowd[i].call->leg[1], span_of("long"),
					      span_of("0"), -1, 20, begun_ns + i % 20 * MS),
				 0);
	}
	wait_for_loader();
	event_base_once(base, -1, EV_TIMEOUT, on_enough, base, &enough);
	event_base_dispatch(base);
	for (i = 0; i < CROWD; i++) {
		assert_true(crowd[i].packets > 0);
		player_stop(&crowd[i].call->leg[1]);
	}
	qsort(errors_ns, n_errors, sizeof(errors_ns[0]), by_size);
	print_message(
		"%u players, %u packets: sent late by %.3f ms (median), %.3f ms (p99), %.3f ms (most)\n",
		CROWD, n_errors, errors_ns[n_errors / 2] / 1e6,
		errors_ns[n_errors * 99 / 100] / 1e6, errors_ns[n_errors - 1] / 1e6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_and_codecs, begin, end),
		cmocka_unit_test_setup_teardown(named_types, begin, end),
		cmocka_unit_test_setup_teardown(one_round, begin, end),
		cmocka_unit_test_setup_teardown(two_streams_differ, begin, end),
		cmocka_unit_test_setup_teardown(what_ends_it, begin, end),
		cmocka_unit_test_setup_teardown(ptimes, begin, end),
		cmocka_unit_test_setup_teardown(waits_for_the_listener, begin, end),
		cmocka_unit_test_setup_teardown(keeps_the_replaced_partys_time, begin, end),
		cmocka_unit_test_setup_teardown(after_a_stop_of_the_process, begin, end),
		cmocka_unit_test_setup_teardown(both_legs_at_once, begin, end),
		cmocka_unit_test_setup_teardown(waits_for_the_loader, begin, end),
		cmocka_unit_test_setup_teardown(begins_before_the_end, begin, end),
		cmocka_unit_test_setup_teardown(fails_in_the_middle, begin, end),
		cmocka_unit_test_setup_teardown(failed_before_it_began, begin, end),
		cmocka_unit_test_setup_teardown(goes_on_when_loaded_so_far, begin, end),
		cmocka_unit_test_setup_teardown(says_what_plays, begin, end),
		cmocka_unit_test_prestate_setup_teardown(confined_to_a_directory, begin, end, dir),
		cmocka_unit_test_setup_teardown(a_crowd_keeps_time, begin, end),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
