/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_flow.c - the streams that become flows, and the reasons of those that do not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "../../daemon/call/feed.h"
#include "../../daemon/call/flow.c"

static struct addr address(const char *text, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, strchr(text, ':') ? ADDR_IP6 : ADDR_IP4, text,
				    strlen(text)),
			 0);
	return addr_with_port(a, port);
}

static char call_id[] =
	"a-call-id-that-is-quite-a-bit-longer-than-any-label-that-fits-into-a-flow@host.example.com";

/* A complete call: the caller (leg 1) at 192.0.2.10, the callee (leg 0) at @callee. */
static struct session call(const char *callee, const char *callee_local)
{
	struct session s = { .call_id = call_id, .number = 77, .complete = true };
	int kind;

	s.leg[1].local = address("192.0.2.1", 40000);
	s.leg[0].local = address(callee_local, 40002);
	s.leg[0].tos = s.leg[1].tos = 184;
	for (kind = 0; kind < STREAM_KINDS; kind++) {
		stream_init(&s.leg[0].stream[kind], kind);
		stream_init(&s.leg[1].stream[kind], kind);
		s.leg[1].stream[kind].remote = address("192.0.2.10", 5000 + kind);
		s.leg[1].stream[kind].state = STREAM_LATCHED;
		s.leg[0].stream[kind].remote = address(callee, 6000 + kind);
		s.leg[0].stream[kind].state = STREAM_LATCHED;
	}
	return s;
}

/* The direction of packets that the caller sends. */
static struct direction caller(struct session *s, enum stream_kind kind)
{
	legs_name(s);
	return (struct direction){ &s->leg[SESSION_CALLER], kind };
}

static struct direction callee(struct session *s, enum stream_kind kind)
{
	legs_name(s);
	return (struct direction){ &s->leg[SESSION_CALLEE], kind };
}

static const struct flow_env usual = { .dataplane = true, .ttl = 64, .nexthop = 5 };

static void a_flow(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct rtpx_flow f;

	(void)state;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.flags, RTPX_FLOW_ACTIVE | RTPX_FLOW_RTP);
	assert_int_equal(f.strangers, RTPX_STRANGERS_CONTINUE);
	assert_int_equal(f.port, 40000);
	assert_int_equal(f.peer_port, 5000);
	assert_int_equal(f.out_port, 40002);
	assert_int_equal(f.dest_port, 6000);
	assert_int_equal(f.nexthop, 5);
	assert_int_equal(f.tos, 184);
	assert_int_equal(f.ttl, 64);
	assert_int_equal(f.call, 77);
	assert_memory_equal(f.local4, ((uint8_t[]){ 192, 0, 2, 1 }), 4);
	assert_memory_equal(f.peer4, ((uint8_t[]){ 192, 0, 2, 10 }), 4);
	assert_memory_equal(f.out4, ((uint8_t[]){ 198, 51, 100, 1 }), 4);
	assert_memory_equal(f.dest4, ((uint8_t[]){ 198, 51, 100, 10 }), 4);
	assert_int_equal(strncmp(f.label, call_id, sizeof(f.label) - 1), 0);
	assert_int_equal(f.label[sizeof(f.label) - 1], '\0');

	assert_int_equal(flow_compile(callee(&s, STREAM_RTCP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.flags, RTPX_FLOW_ACTIVE);
	assert_int_equal(f.port, 40003);
	assert_int_equal(f.peer_port, 6001);
	assert_int_equal(f.out_port, 40001);
	assert_int_equal(f.dest_port, 5001);
}

static void between_families(void **state)
{
	struct session s = call("2001:db8::10", "2001:db8::1");
	struct rtpx_flow f;

	(void)state;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_true(f.flags & RTPX_FLOW_OUT6);
	assert_int_equal(f.peer4[3], 10);
	assert_int_equal(f.dest6[15], 0x10);
	assert_int_equal(f.out6[0], 0x20);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_false(f.flags & RTPX_FLOW_OUT6);
	assert_int_equal(f.peer6[15], 0x10);
	assert_int_equal(f.dest4[3], 10);
}

static void flags_by_learning(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct flow_env env = usual;
	struct rtpx_flow f;

	(void)state;
	env.learning = LEARN_COMPAT;
	flow_compile(caller(&s, STREAM_RTP), &env, &f);
	assert_int_equal(f.strangers, RTPX_STRANGERS_ALL);
	env.learning = LEARN_STRICT;
	flow_compile(caller(&s, STREAM_RTP), &env, &f);
	assert_int_equal(f.flags & RTPX_FLOW_ANY_PORT, 0);
	assert_int_equal(f.strangers, RTPX_STRANGERS_CONTINUE);
	s.leg[1].stream[STREAM_RTP].asymmetric = true;
	flow_compile(caller(&s, STREAM_RTP), &env, &f);
	assert_int_equal(f.flags & RTPX_FLOW_ANY_PORT, RTPX_FLOW_ANY_PORT);
	assert_int_equal(f.strangers, 0);
}

/* One party has been signalled at a new address; the address of another is not certain yet. */
static void moving_parties(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct stream *in = &s.leg[1].stream[STREAM_RTP];
	struct rtpx_flow f;

	(void)state;
	in->signalled = address("203.0.113.7", 7000);
	in->open = in->awaited = in->twice = true;
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &usual, &f), FLOW_WHY_SETTLING);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.second_port, 7000);
	assert_memory_equal(f.second, ((uint8_t[]){ 203, 0, 113, 7 }), 4);
	assert_int_equal(f.strangers, RTPX_STRANGERS_CONTINUE | RTPX_STRANGERS_SILENT |
					      RTPX_STRANGERS_SECOND_HOST);
	in->signalled = address("2001:db8::7", 7000); /* IPv6, so it cannot send to this port */
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.second_port, 0);
	in->unproven = 1;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_NOT_LATCHED);
}

/* Telephone events of the caller leave the fast path; her RTCP and the callee's media have none. */
static void telephone_events(void **state)
{
	struct dtmf dtmf = { .payload_type = 97 };
	struct leg_rest rest = { .dtmf = &dtmf };
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct rtpx_flow f;

	(void)state;
	s.leg[1].rest = &rest;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_true(f.flags & RTPX_FLOW_EVENTS);
	assert_int_equal(f.event_type, 97);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &usual, &f), FLOW_NO_OBJECTION);
	assert_false(f.flags & RTPX_FLOW_EVENTS);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_false(f.flags & RTPX_FLOW_EVENTS);
}

/* A recorded direction needs a dataplane that makes copies; the other direction does not. */
static void recorded(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct flow_env env = usual;
	struct rtpx_flow f;

	(void)state;
	s.leg[1].recorded = 1 << STREAM_RTP;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_RECORDED);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &env, &f), FLOW_NO_OBJECTION);
	env.mirror = true;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.flags, RTPX_FLOW_ACTIVE | RTPX_FLOW_RTP | RTPX_FLOW_MIRROR);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.flags, RTPX_FLOW_ACTIVE);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.flags & RTPX_FLOW_MIRROR, 0);
}

/*
 * In compat, SSRC 0 clears the latch; an asymmetric leg ignores that. In other modes, an asymmetric
 * leg is not latched while its address is a guess.
 */
static void asymmetric_is_settled(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct stream *in = &s.leg[1].stream[STREAM_RTP];
	struct flow_env env = usual;
	struct rtpx_flow f;

	(void)state;
	in->asymmetric = true;
	in->state = STREAM_SIGNALLED;
	env.learning = LEARN_COMPAT;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	env.learning = LEARN_PROOF;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_NOT_LATCHED);
	env.learning = LEARN_COMPAT;
	in->state = STREAM_EMPTY;
	in->remote = (struct addr){ 0 };
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_NOT_LATCHED);
}

static void wildcards(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct stream_rest rest = { .local = address("192.0.2.99", 40000) };
	struct flow_env env = usual;
	struct addr dest, source;
	struct rtpx_flow f;

	(void)state;
	s.leg[1].local = address("0.0.0.0", 40000);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_NO_LOCAL);
	s.leg[1].stream[STREAM_RTP].rest = &rest;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.local4[3], 99);
	s.leg[0].local = address("0.0.0.0", 40002);
	assert_int_equal(flow_wants(caller(&s, STREAM_RTP), &env, &dest, &source),
			 FLOW_NO_OBJECTION);
	assert_true(addr_is_any(&source));
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_NO_ROUTE);
	env.out_source = address("198.51.100.7", 0);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(f.out4[3], 7);
}

static void reasons(void **state)
{
	struct session s, good = call("198.51.100.10", "198.51.100.1");
	struct flow_env env = usual;
	struct rtpx_flow f;

	(void)state;
	s = good;
	s.complete = false;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_INCOMPLETE);
	s = good;
	s.leg[1].stream[STREAM_RTP].state = STREAM_SIGNALLED;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_NOT_LATCHED);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &usual, &f), FLOW_NO_OBJECTION);
	s = good;
	s.leg[0].stream[STREAM_RTP].remote = (struct addr){ 0 };
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_NO_REMOTE);
	s = good;
	s.leg[0].stream[STREAM_RTP].remote = address("2001:db8::1", 6000);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_FAMILY);
	s = good;
	s.leg[0].stream[STREAM_RTP].remote = address("127.0.0.2", 6000);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_LOOPBACK);
	env.dataplane = false;
	assert_int_equal(flow_compile(caller(&good, STREAM_RTP), &env, &f), FLOW_WHY_NO_DATAPLANE);
	env = usual;
	env.double_small = true;
	assert_int_equal(flow_compile(caller(&good, STREAM_RTP), &env, &f), FLOW_WHY_DOUBLE);
}

/* RTP or RTCP of one direction is recorded, and the dataplane cannot make copies. */
static void recordings(void **state)
{
	struct session s = call("198.51.100.10", "198.51.100.1");
	struct flow_env env = usual;
	struct rtpx_flow f;

	(void)state;
	s.leg[1].recorded = 1 << STREAM_RTP;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_WHY_RECORDED);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &env, &f), FLOW_NO_OBJECTION);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
	env.mirror = true;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &env, &f), FLOW_NO_OBJECTION);
}

/* A feed concerns RTP and RTCP of both directions in both sessions, until the target ends. */
static void feeds(void **state)
{
	struct session_opts opts = { .ttl_s = 60, .setup_ttl_s = 60 };
	struct session source = call("198.51.100.10", "198.51.100.1"), target = source;
	struct sessions *all;
	struct rtpx_flow f;
	unsigned int i;

	(void)state;
	legs_name(&source);
	legs_name(&target);
	assert_int_equal(sessions_new(&all, &opts), 0);
	assert_int_equal(feed_add(all, &source.leg[0], &source.leg[0]), -EINVAL);
	assert_int_equal(feed_add(all, &source.leg[0], &target.leg[1]), 0);
	assert_int_equal(feed_add(all, &source.leg[0], &target.leg[1]), 0);
	assert_true(source.dirty && target.dirty);
	assert_ptr_equal(source.rest->feeds, target.rest->fed_by);
	assert_null(source.rest->feeds->next_out);
	assert_ptr_equal(feed_leg(source.rest->feeds, &source.leg[0]), &target.leg[1]);
	assert_ptr_equal(feed_leg(source.rest->feeds, &source.leg[1]), &target.leg[0]);
	for (i = 0; i < DIRECTIONS; i++) {
		assert_int_equal(flow_compile(session_direction(&source, i), &usual, &f),
				 FLOW_WHY_FED);
		assert_int_equal(flow_compile(session_direction(&target, i), &usual, &f),
				 FLOW_WHY_FED);
	}
	feed_end(all, &target);
	assert_int_equal(flow_compile(caller(&source, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(flow_compile(caller(&target, STREAM_RTP), &usual, &f), FLOW_WHY_FED);
	while (session_dirty_pop(all))
		;
	sessions_free(all);
	free(source.rest);
	free(target.rest);
}

/* A prompt or a packet length concerns RTP in one direction only. */
static void prompts_and_lengths(void **state)
{
	const struct session good = call("198.51.100.10", "198.51.100.1");
	struct leg_rest callee_rest = { .player = (void *)&callee_rest }, caller_rest = { 0 };
	struct session s = good;
	struct rtpx_flow f;

	(void)state;
	s.leg[0].rest = &callee_rest;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_PLAYING);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &usual, &f), FLOW_NO_OBJECTION);
	s = good;
	s.leg[1].rest = &caller_rest;
	caller_rest.resizing = (void *)&s;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_RESIZED);
	caller_rest.renumbered = true;
	assert_int_equal(flow_compile(caller(&s, STREAM_RTP), &usual, &f), FLOW_WHY_RENUMBERED);
	assert_int_equal(flow_compile(callee(&s, STREAM_RTP), &usual, &f), FLOW_NO_OBJECTION);
	assert_int_equal(flow_compile(caller(&s, STREAM_RTCP), &usual, &f), FLOW_NO_OBJECTION);
}

static void every_reason_has_words(void **state)
{
	int why;

	(void)state;
	for (why = 0; why < FLOW_WHY_COUNT; why++) {
		assert_true(strlen(flow_why_name(why)) > 2);
		assert_true(strlen(flow_why_text(why)) > 5);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow),
		cmocka_unit_test(between_families),
		cmocka_unit_test(flags_by_learning),
		cmocka_unit_test(moving_parties),
		cmocka_unit_test(telephone_events),
		cmocka_unit_test(recorded),
		cmocka_unit_test(asymmetric_is_settled),
		cmocka_unit_test(wildcards),
		cmocka_unit_test(reasons),
		cmocka_unit_test(recordings),
		cmocka_unit_test(feeds),
		cmocka_unit_test(prompts_and_lengths),
		cmocka_unit_test(every_reason_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
