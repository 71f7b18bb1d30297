/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_mirror.c - copies from a dataplane in memory reach the recorder, with the right session,
 * source and time of arrival.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include "fake_dp.h"

static unsigned int fake_mirrored(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max)
{
	struct fake_dp *f = fake_of(dp);
	unsigned int n;

	for (n = 0; n < max && n < f->copies; n++)
		to->take(to->arg, &f->copy[n], (const uint8_t *)"payload", 7);
	f->copies -= n;
	memmove(f->copy, f->copy + n, f->copies * sizeof(f->copy[0]));
	return n;
}

#include "../../daemon/record/mirror.c"

#define PORT_MIN 30000
#define PORT_MAX 30009

static struct event_base *base;
static struct fake_dp *fake;
static struct mirror *mirror;
static struct sessions *sessions;
static int wake[2]; /* a pipe instead of the ring's descriptor */

static struct {
	unsigned int n, flushes;
	struct session *session;
	int leg;
	enum stream_kind kind;
	struct format_packet packet;
	uint64_t arrival_ns;
} recorded;

void recorder_packet(struct recorder *r, struct direction d, uint64_t arrival_ns,
		     const struct format_packet *p)
{
	(void)r;
	recorded.arrival_ns = arrival_ns;
	recorded.n++;
	recorded.session = direction_session(d);
	recorded.leg = d.in->party;
	recorded.kind = d.kind;
	recorded.packet = *p;
}

void recorder_flush(struct recorder *r)
{
	(void)r;
	recorded.flushes++;
}

static int begin(void **state)
{
	const struct session_opts sessions_opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct mirror_opts opts = { 0 };

	(void)state;
	memset(&recorded, 0, sizeof(recorded));
	base = event_base_new();
	fake = fake_dp_new();
	fake->dp.mirrored = fake_mirrored;
	if (pipe(wake))
		return -1;
	fake->dp.mirror_fd = wake[0];
	if (sessions_new(&sessions, &sessions_opts))
		return -1;
	opts.dp = &fake->dp;
	opts.sessions = sessions;
	return mirror_new(&mirror, base, &opts);
}

static int end(void **state)
{
	(void)state;
	mirror_free(mirror);
	sessions_free(sessions);
	fake->dp.ops->close(&fake->dp, false);
	event_base_free(base);
	close(wake[0]);
	close(wake[1]);
	return 0;
}

static struct session *call(uint32_t number, const char *local0, uint16_t port0, const char *local1,
			    uint16_t port1)
{
	struct session *s;

	assert_int_equal(session_create(sessions, span_of("call"), span_of("tag"), 1, &s), 0);
	s->number = number;
	session_restored(sessions, s);
	s->leg[0].local = at(local0, port0);
	s->leg[1].local = at(local1, port1);
	s->leg[0].recorded = s->leg[1].recorded = 1 << STREAM_RTP | 1 << STREAM_RTCP;
	return s;
}

static struct session *call7(void)
{
	return call(7, "192.0.2.1", PORT_MIN + 2, "2001:db8::1", PORT_MAX - 1);
}

static void copy_made(uint32_t number, enum rtpx_family family, uint16_t port, uint64_t arrival_ns)
{
	struct addr from = family == RTPX_FAMILY_IP6 ? at("2001:db8::7", 0) : at("192.0.2.7", 0);
	struct addr to = family == RTPX_FAMILY_IP6 ? at("2001:db8::1", 0) : at("192.0.2.1", 0);
	struct rtpx_mirrored *c = &fake->copy[fake->copies++];

	*c = (struct rtpx_mirrored){ .arrival_ns = arrival_ns,
				     .call = number,
				     .port = port,
				     .peer_port = 5004,
				     .family = family };
	memcpy(c->peer, from.ip, 16);
	memcpy(c->local, to.ip, 16);
}

static void whose_it_is(void **state)
{
	static const struct {
		uint32_t number;
		enum rtpx_family family;
		uint16_t port;
		int leg; /* -1: of no session */
		enum stream_kind kind;
	} rows[] = {
		{ 7, RTPX_FAMILY_IP4, PORT_MIN + 2, 0, STREAM_RTP },
		{ 7, RTPX_FAMILY_IP4, PORT_MIN + 3, 0, STREAM_RTCP },
		{ 7, RTPX_FAMILY_IP6, PORT_MAX - 1, 1, STREAM_RTP },
		{ 7, RTPX_FAMILY_IP6, PORT_MAX, 1, STREAM_RTCP },
		{ 8, RTPX_FAMILY_IP4, PORT_MIN + 2, -1, 0 },
		{ 7, RTPX_FAMILY_IP6, PORT_MIN + 2, -1, 0 },
		{ 7, RTPX_FAMILY_IP4, PORT_MIN, -1, 0 },
		{ 7, RTPX_FAMILY_IP4, PORT_MAX, -1, 0 },
	};
	struct session *s;
	size_t i;

	(void)state;
	s = call7();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bool is_6 = rows[i].family == RTPX_FAMILY_IP6;
		struct addr src = at(is_6 ? "2001:db8::7" : "192.0.2.7", 5004);
		struct addr dst = at(is_6 ? "2001:db8::1" : "192.0.2.1", rows[i].port);

		recorded.n = 0;
		copy_made(rows[i].number, rows[i].family, rows[i].port, 1000);
		mirror_drain(mirror);
		assert_int_equal(recorded.n, rows[i].leg >= 0);
		if (rows[i].leg < 0)
			continue;
		assert_ptr_equal(recorded.session, s);
		assert_int_equal(recorded.leg, rows[i].leg);
		assert_int_equal(recorded.kind, rows[i].kind);
		assert_true(addr_eq(&recorded.packet.src, &src));
		assert_true(addr_eq(&recorded.packet.dst, &dst));
		assert_int_equal(recorded.packet.len, 7);
		assert_memory_equal(recorded.packet.data, "payload", 7);
	}
	assert_int_equal(recorded.flushes, ARRAY_SIZE(rows));
	mirror_leg_close(mirror, &s->leg[0]);
	mirror_leg_close(mirror, &s->leg[1]);
}

static void copy_to(uint32_t number, const char *local, uint16_t port)
{
	struct addr to = at(local, 0);

	recorded.n = 0;
	copy_made(number, RTPX_FAMILY_IP4, port, 1000);
	memcpy(fake->copy[0].local, to.ip, 16);
	mirror_drain(mirror);
}

/* Two calls, and both legs of one, have the same port on different addresses. */
static void same_port(void **state)
{
	struct session *a, *b, *any;

	(void)state;
	a = call(7, "192.0.2.1", PORT_MIN, "192.0.2.2", PORT_MIN);
	b = call(8, "192.0.2.3", PORT_MIN, "192.0.2.4", PORT_MIN);
	any = call(9, "0.0.0.0", PORT_MIN + 2, "0.0.0.0", PORT_MIN + 4);
	copy_to(7, "192.0.2.1", PORT_MIN);
	assert_int_equal(recorded.n, 1);
	assert_ptr_equal(recorded.session, a);
	assert_int_equal(recorded.leg, 0);
	copy_to(7, "192.0.2.2", PORT_MIN + 1);
	assert_int_equal(recorded.n, 1);
	assert_int_equal(recorded.leg, 1);
	assert_int_equal(recorded.kind, STREAM_RTCP);
	copy_to(8, "192.0.2.4", PORT_MIN);
	assert_int_equal(recorded.n, 1);
	assert_ptr_equal(recorded.session, b);
	copy_to(9, "192.0.2.77", PORT_MIN + 4);
	assert_int_equal(recorded.n, 1);
	assert_ptr_equal(recorded.session, any);
	copy_to(7, "192.0.2.3", PORT_MIN);
	assert_int_equal(recorded.n, 0);
}

/* The time is that of arrival, not of reading. */
static void when(void **state)
{
	struct session *s;

	(void)state;
	s = call7();
	copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 2, 1000);
	mirror_drain(mirror);
	assert_int_equal(recorded.arrival_ns, 1000);
	mirror_leg_close(mirror, &s->leg[0]);
}

/* Copies from before the ports close are recorded; later copies are not. */
static void to_the_end(void **state)
{
	struct session *s;

	(void)state;
	s = call7();
	copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 2, 1);
	copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 3, 2);
	mirror_leg_close(mirror, &s->leg[0]);
	s->leg[0].local.port = 0;
	assert_int_equal(recorded.n, 2);
	copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 2, 3);
	mirror_drain(mirror);
	assert_int_equal(recorded.n, 2);
}

/* The loop drains copies by itself, repeatedly. */
static void by_the_loop(void **state)
{
	struct session *s;
	unsigned int round;
	char byte = 0;

	(void)state;
	s = call7();
	for (round = 1; round <= 3; round++) {
		copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 2, round);
		copy_made(7, RTPX_FAMILY_IP4, PORT_MIN + 2, round);
		assert_int_equal(write(wake[1], &byte, 1), 1);
		while (recorded.n < 2 * round)
			assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
		assert_int_equal(read(wake[0], &byte, 1), 1);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(recorded.n, 6);
	mirror_leg_close(mirror, &s->leg[0]);
}

/* A dataplane without copies gives a NULL mirror, which all functions accept. */
static void none(void **state)
{
	const struct mirror_opts opts = { .dp = &fake->dp };
	struct session *s;
	struct mirror *m;

	(void)state;
	s = call7();
	fake->dp.mirrored = NULL;
	assert_int_equal(mirror_new(&m, base, &opts), 0);
	assert_null(m);
	mirror_drain(m);
	mirror_leg_close(m, &s->leg[0]);
	mirror_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whose_it_is, begin, end),
		cmocka_unit_test_setup_teardown(same_port, begin, end),
		cmocka_unit_test_setup_teardown(when, begin, end),
		cmocka_unit_test_setup_teardown(to_the_end, begin, end),
		cmocka_unit_test_setup_teardown(by_the_loop, begin, end),
		cmocka_unit_test_setup_teardown(none, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
