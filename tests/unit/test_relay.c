/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_relay.c - calls through real sockets in a network namespace of the test's own, with the real
 * model and sync, and a dataplane in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include "fake_dp.h"

#include "../../daemon/engine/relay.c"

#define TTL_S 60
#define PAYLOAD 160

static struct event_base *base;
static struct sessions *sessions;
static struct fake_dp *fake;
static struct sync *sync_;
static struct relay *relay;
static struct stats stats;

struct setting {
	enum learning learning;
	bool active, double_small;
};

static int begin(void **state)
{
	static const struct setting usual = { .learning = LEARN_PROOF };
	const struct session_opts session_opts = { .ttl_s = TTL_S,
						   .setup_ttl_s = TTL_S,
						   .independent_ttl = true };
	const struct setting *set = *state ? *state : &usual;
	struct sync_opts sync_opts = { .stats = &stats, .learning = set->learning };
	struct relay_opts relay_opts = { .stats = &stats,
					 .learning = set->learning,
					 .double_small = set->double_small };

	memset(&stats, 0, sizeof(stats));
	base = event_base_new();
	fake = fake_dp_new();
	fake->dp.active = set->active;
	sync_opts.dp = &fake->dp;
	assert_int_equal(sessions_new(&sessions, &session_opts), 0);
	sync_opts.sessions = relay_opts.sessions = sessions;
	assert_int_equal(sync_new(&sync_, base, &sync_opts), 0);
	relay_opts.sync = sync_;
	return relay_new(&relay, base, &relay_opts);
}

static bool end_each(void *arg, struct session *s)
{
	(void)arg;
	relay_leg_close(relay, &s->leg[0]);
	relay_leg_close(relay, &s->leg[1]);
	relay_session_end(relay, s);
	session_destroy(sessions, s);
	return true;
}

static int end(void **state)
{
	struct sockets_counts c;

	(void)state;
	sessions_each(sessions, end_each, NULL);
	relay_counts(relay, &c);
	relay_free(relay);
	sync_free(sync_);
	sessions_free(sessions);
	fake->dp.ops->close(&fake->dp, false);
	event_base_free(base);
	return c.ports;
}

/* ---- a call and its two parties, each with sockets on ports 5000 and 5001 ---- */

struct party {
	int leg; /* the leg that it sends to */
	const char *host;
	int fd[STREAM_KINDS];
	uint16_t seq;
	uint32_t ssrc;
};

struct call {
	struct session *s;
	struct party callee, caller; /* legs 0 and 1 */
};

static void party_open(struct party *p, int leg, const char *host, uint16_t port)
{
	*p = (struct party){ .leg = leg, .host = host, .ssrc = 0x1000 + leg };
	p->fd[STREAM_RTP] = peer_open(host, port);
	p->fd[STREAM_RTCP] = peer_open(host, port + 1);
}

static void party_close(struct party *p)
{
	close(p->fd[STREAM_RTP]);
	close(p->fd[STREAM_RTCP]);
}

/* @local0 and @local1 may be wildcards. No address is signalled yet. */
static struct call call_on(const char *local0, const char *callee, const char *local1,
			   const char *caller)
{
	struct call c;
	int leg;

	assert_int_equal(session_create(sessions, span_of("call"), span_of("tag"), test_now_ns(),
					&c.s),
			 0);
	c.s->leg[0].local = at(local0, 4000);
	c.s->leg[1].local = at(local1, 4002);
	for (leg = 0; leg < 2; leg++) {
		c.s->leg[leg].tos = 0xb8 + 4 * leg;
		assert_int_equal(relay_leg_open(relay, &c.s->leg[leg]), 0);
	}
	session_complete(sessions, c.s, test_now_ns());
	party_open(&c.callee, 0, callee, 5000);
	party_open(&c.caller, 1, caller, 5000);
	return c;
}

static void call_close(struct call *c)
{
	party_close(&c->callee);
	party_close(&c->caller);
}

static void signal_to(struct session *s, int leg, const char *host)
{
	struct addr rtp = at(host, 5000), rtcp = at(host, 5001);

	stream_signal(&s->leg[leg].stream[STREAM_RTP], &rtp, false, relay->o.learning,
		      test_now_ns());
	stream_signal(&s->leg[leg].stream[STREAM_RTCP], &rtcp, false, relay->o.learning,
		      test_now_ns());
	session_dirty(sessions, s);
}

static struct call call4(void)
{
	struct call c = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");

	signal_to(c.s, 0, c.callee.host);
	signal_to(c.s, 1, c.caller.host);
	return c;
}

static size_t rtp_of(struct party *p, uint8_t data[12 + PAYLOAD])
{
	uint16_t seq = ++p->seq;
	unsigned int i;

	memset(data, 0, 12);
	data[0] = 0x80;
	data[2] = seq >> 8;
	data[3] = seq;
	data[6] = seq * 160 >> 8;
	data[7] = seq * 160;
	memcpy(data + 8, &p->ssrc, 4);
	for (i = 0; i < PAYLOAD; i++)
		data[12 + i] = seq + i;
	return 12 + PAYLOAD;
}

/* RTP from the callee. */
static struct direction from_callee(const struct call *c)
{
	return (struct direction){ &c->s->leg[SESSION_CALLEE], STREAM_RTP };
}

/* The address that a party sends to: that of its leg, or @local if the leg is on a wildcard. */
static struct addr target(const struct call *c, const struct party *p, enum stream_kind kind,
			  const char *local)
{
	struct addr a = c->s->leg[p->leg].local;

	return local ? at(local, a.port + kind) : addr_with_port(a, a.port + kind);
}

/*
 * Send one packet from @from. @to gets the same bytes, from the address that @to sends to, and with
 * its leg's TOS.
 */
static void passes(struct call *c, struct party *from, struct party *to, enum stream_kind kind,
		   const char *local_from, const char *local_to)
{
	struct addr in = target(c, from, kind, local_from), out = target(c, to, kind, local_to);
	uint8_t data[12 + PAYLOAD] = { 0x80, 200, 0, 6 };
	size_t len = kind == STREAM_RTP ? rtp_of(from, data) : 28;
	struct peer_got *got;

	peer_send(from->fd[kind], &in, data, len);
	got = turn_for(base, to->fd[kind]);
	assert_int_equal(got->len, len);
	assert_memory_equal(got->data, data, len);
	assert_true(addr_eq(&got->src, &out));
	assert_int_equal(got->tos, c->s->leg[to->leg].tos);
	assert_false(peer_has(to->fd[kind]));
	sync_run(sync_);
}

static void sends(struct call *c, struct party *from, enum stream_kind kind)
{
	struct addr in = target(c, from, kind, NULL);
	uint8_t data[12 + PAYLOAD];

	peer_send(from->fd[kind], &in, data, rtp_of(from, data));
}

/* ---- both directions, both protocols ---- */

static void both_ways(struct call *c, const char *local0, const char *local1)
{
	int i, kind;

	for (i = 0; i < 20; i++) {
		for (kind = 0; kind < STREAM_KINDS; kind++) {
			passes(c, &c->callee, &c->caller, kind, local0, local1);
			passes(c, &c->caller, &c->callee, kind, local1, local0);
		}
	}
	assert_int_equal(stats.npkts_rcvd, 80);
	assert_int_equal(stats.npkts_relayed, 80);
	assert_int_equal(stats.npkts_discard, 0);
	assert_int_equal(c->s->leg[0].nrelayed, 20);
	assert_int_equal(c->s->leg[1].nrelayed, 20);
	assert_int_equal(c->s->leg[0].ndropped + c->s->leg[1].ndropped, 0);
	assert_int_equal(rtpx_stats_received(stream_stats(&c->s->leg[0].stream[STREAM_RTP])), 20);
	assert_int_equal(stream_stats(&c->s->leg[0].stream[STREAM_RTCP])->packets, 20);
	call_close(c);
}

static void test_ip4(void **state)
{
	struct call c = call4();

	(void)state;
	both_ways(&c, NULL, NULL);
}

static void test_ip6(void **state)
{
	struct call c = call_on("fd99::1", "fd99::3", "fd99::2", "fd99::4");

	(void)state;
	signal_to(c.s, 0, c.callee.host);
	signal_to(c.s, 1, c.caller.host);
	both_ways(&c, NULL, NULL);
}

static void test_ip6_ip4(void **state)
{
	struct call c = call_on("fd99::1", "fd99::3", "10.99.0.2", "10.99.0.4");

	(void)state;
	signal_to(c.s, 0, c.callee.host);
	signal_to(c.s, 1, c.caller.host);
	both_ways(&c, NULL, NULL);
}

/* Both legs on a wildcard: each party sees the address that it sends to as source. */
static void test_wildcard(void **state)
{
	struct call c = call_on("0.0.0.0", "10.99.0.3", "::", "fd99::4");
	struct addr first = at("10.99.0.2", 4000);

	(void)state;
	signal_to(c.s, 0, c.callee.host);
	signal_to(c.s, 1, c.caller.host);
	/* RTCP also shows the address that the party sends to. */
	peer_send(c.callee.fd[STREAM_RTCP], &(struct addr){ ADDR_IP4, 0, 4001, { 10, 99, 0, 2 } },
		  "x", 1);
	turn_for(base, c.caller.fd[STREAM_RTCP]);
	peer_send(c.caller.fd[STREAM_RTP],
		  &(struct addr){ ADDR_IP6, 0, 4002, { 0xfd, 0x99, [15] = 1 } }, "x", 1);
	assert_true(addr_eq(&turn_for(base, c.callee.fd[STREAM_RTP])->src, &first));
	memset(&stats, 0, sizeof(stats));
	c.s->leg[0].stream[STREAM_RTCP].stats->packets = c.s->leg[1].nrelayed = 0;
	both_ways(&c, "10.99.0.2", "fd99::1");
}

/* The relay passes any payload. */
static void test_any_payload(void **state)
{
	static const size_t lengths[] = { 0, 1, 11, 12, 13, 1472, 8192, 9000, 40000 };
	struct call c = call4();
	struct addr in = target(&c, &c.callee, STREAM_RTP, NULL);
	static uint8_t data[40000];
	unsigned int i;

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 7 + 3;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct peer_got *got;

		peer_send(c.callee.fd[STREAM_RTP], &in, data, lengths[i]);
		got = turn_for(base, c.caller.fd[STREAM_RTP]);
		assert_int_equal(got->len, lengths[i]);
		assert_memory_equal(got->data, data, got->len);
	}
	call_close(&c);
}

static void test_double_small(void **state)
{
	struct call c = call4();
	struct addr in = target(&c, &c.callee, STREAM_RTP, NULL);

	(void)state;
	peer_send(c.callee.fd[STREAM_RTP], &in, "small", 5);
	assert_int_equal(turn_for(base, c.caller.fd[STREAM_RTP])->len, 5);
	assert_int_equal(turn_for(base, c.caller.fd[STREAM_RTP])->len, 5);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	assert_int_equal(stats.npkts_relayed, 2);
	assert_int_equal(c.s->leg[0].nrelayed, 2);
	call_close(&c);
}

/* ---- packets that are not relayed, and their counters ---- */

static void test_incomplete(void **state)
{
	struct call c = call4();
	uint64_t deadline = c.s->leg[0].deadline_ns;

	(void)state;
	c.s->complete = false;
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_discard, 1);
	assert_int_equal(stats.npkts_rcvd, 0);
	assert_int_equal(c.s->leg[0].stream[STREAM_RTP].state, STREAM_SIGNALLED);
	assert_int_equal(c.s->leg[0].deadline_ns, deadline);
	assert_int_equal(c.s->leg[0].ndropped, 0);
	assert_false(peer_has(c.caller.fd[STREAM_RTP]));
	call_close(&c);
}

static void test_stranger(void **state)
{
	struct call c = call4();
	struct addr in = target(&c, &c.callee, STREAM_RTP, NULL);
	int fd = peer_open("10.99.0.2", 6666);
	uint64_t deadline;
	int i;

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	deadline = c.s->leg[0].deadline_ns;
	for (i = 0; i < 10; i++)
		peer_send(fd, &in, "stranger", 8);
	turn_until(base, &stats.npkts_discard, 10);
	assert_int_equal(stats.npkts_rcvd, 11);
	assert_int_equal(stats.npkts_relayed, 1);
	assert_int_equal(stream_stats(&c.s->leg[0].stream[STREAM_RTP])->strangers, 10);
	assert_int_equal(c.s->leg[0].ndropped, 0);
	assert_int_equal(c.s->leg[0].deadline_ns, deadline);
	assert_false(peer_has(c.caller.fd[STREAM_RTP]));
	close(fd);
	call_close(&c);
}

/*
 * The other party has no address: the packet is dropped, but restarts the TTL of the leg that
 * received it (rtpproxy protocol, "TTL").
 */
static void test_no_remote(void **state)
{
	struct call c = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");
	uint64_t deadline = c.s->leg[0].deadline_ns, other = c.s->leg[1].deadline_ns;

	(void)state;
	signal_to(c.s, 0, c.callee.host);
	sends(&c, &c.callee, STREAM_RTP);
	sends(&c, &c.callee, STREAM_RTCP);
	turn_until(base, &stats.npkts_discard, 2);
	assert_int_equal(stats.npkts_rcvd, 2);
	assert_int_equal(stats.npkts_relayed, 0);
	assert_int_equal(c.s->leg[0].ndropped, 1);
	assert_true(c.s->leg[0].deadline_ns > deadline);
	assert_int_equal(c.s->leg[1].deadline_ns, other);
	call_close(&c);
}

/* A remote address of another family than the leg's socket. */
static void test_wrong_family(void **state)
{
	struct call c = call4();

	(void)state;
	signal_to(c.s, 1, "fd99::4");
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_discard, 1);
	assert_int_equal(c.s->leg[0].ndropped, 1);
	call_close(&c);
}

/* A party's port is closed: its host answers with ICMP a thousand times. */
static void test_closed_peer(void **state)
{
	struct call c = call4();
	int i;

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	party_close(&c.caller);
	for (i = 0; i < 1000; i++) {
		sends(&c, &c.callee, STREAM_RTP);
		turn_until(base, &stats.npkts_relayed, 2 + i);
	}
	party_open(&c.caller, 1, c.caller.host, 5000);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	passes(&c, &c.caller, &c.callee, STREAM_RTP, NULL, NULL);
	assert_int_equal(stats.npkts_discard, 0);
	call_close(&c);
}

/* ---- learning ---- */

/*
 * A party behind a NAT sends from another address than the signalled one. Three packets prove it;
 * then the other direction works too.
 */
static void test_nat(void **state)
{
	struct call c = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");
	struct addr in;
	uint8_t data[12 + PAYLOAD];
	int i;

	(void)state;
	signal_to(c.s, 0, "192.0.2.1");
	signal_to(c.s, 1, c.caller.host);
	in = target(&c, &c.callee, STREAM_RTP, NULL);
	for (i = 0; i < STREAM_PROOF_PACKETS; i++)
		peer_send(c.callee.fd[STREAM_RTP], &in, data, rtp_of(&c.callee, data));
	turn_until(base, &stats.npkts_relayed, 1);
	turn_for(base, c.caller.fd[STREAM_RTP]);
	passes(&c, &c.caller, &c.callee, STREAM_RTP, NULL, NULL);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	call_close(&c);
}

static void test_compat(void **state)
{
	struct call c = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");

	(void)state;
	signal_to(c.s, 0, "192.0.2.1");
	signal_to(c.s, 1, "192.0.2.1");
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_rcvd, 1);
	passes(&c, &c.caller, &c.callee, STREAM_RTP, NULL, NULL);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	call_close(&c);
}

static void test_strict(void **state)
{
	struct call c = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");
	int i;

	(void)state;
	signal_to(c.s, 0, "192.0.2.1");
	signal_to(c.s, 1, c.caller.host);
	for (i = 0; i < 10; i++)
		sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_discard, 10);
	assert_false(peer_has(c.caller.fd[STREAM_RTP]));
	call_close(&c);
}

/* ---- beside a dataplane ---- */

/*
 * A call in the kernel: the daemon relays packets that the dataplane passes. Daemon and dataplane
 * each continue the other's counts.
 */
static void test_with_dataplane(void **state)
{
	struct call c = call4();
	struct addr peer = at(c.callee.host, 5000), local = target(&c, &c.callee, STREAM_RTP, NULL);
	const struct rtpx_flow_stats *st = stream_stats_set(&c.s->leg[0].stream[STREAM_RTP]);
	int i;

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	passes(&c, &c.caller, &c.callee, STREAM_RTP, NULL, NULL);
	assert_int_equal(sync_why(sync_, from_callee(&c)), FLOW_WHY_KERNEL);
	for (i = 0; i < 50; i++) {
		uint8_t data[12 + PAYLOAD];
		struct rtpx_packet p = { .now_ns = test_now_ns() };

		if (i % 5 == 0) {
			passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
			continue;
		}
		rtp_describe(&p, data, rtp_of(&c.callee, data));
		assert_int_equal(fake_forward(fake, &peer, &local, p), RTPX_REASON_relayed);
	}
	sync_pull(sync_, c.s);
	assert_int_equal(st->packets, 51);
	assert_int_equal(rtpx_stats_received(st), 51);
	assert_int_equal(rtpx_stats_kernel(st), 40);
	assert_int_equal(rtpx_stats_lost(st), 0);
	assert_int_equal(stats.npkts_rcvd, 52);
	assert_int_equal(stats.npkts_relayed, 52);
	assert_int_equal(c.s->leg[0].nrelayed, 51);
	/* The flows are removed before the ports close, and the ports are free at once. */
	relay_leg_close(relay, &c.s->leg[0]);
	assert_int_equal(fake->flows[RTPX_FAMILY_IP4][4000].flags, 0);
	assert_int_equal(fake->flows[RTPX_FAMILY_IP4][4002].flags, 0);
	assert_int_equal(relay_leg_open(relay, &c.s->leg[0]), 0);
	call_close(&c);
}

/* Packets that the dataplane counts while the daemon counts another one stay counted. */
static void test_counted_meanwhile(void **state)
{
	struct call c = call4();
	const struct rtpx_flow_stats *st = stream_stats_set(&c.s->leg[0].stream[STREAM_RTP]);

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	passes(&c, &c.caller, &c.callee, STREAM_RTP, NULL, NULL);
	assert_int_equal(sync_why(sync_, from_callee(&c)), FLOW_WHY_KERNEL);
	fake->between = 3;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	sync_pull(sync_, c.s);
	assert_int_equal(fake->between, 0);
	assert_int_equal(st->packets, 5);
	assert_int_equal(rtpx_stats_kernel(st), 3);
	assert_int_equal(stats.npkts_rcvd, 6);
	call_close(&c);
}

/* A packet read after the dataplane has forwarded later ones does not set times back. */
static void test_late_packet(void **state)
{
	struct call c = call4();
	struct addr local = target(&c, &c.callee, STREAM_RTP, NULL),
		    stranger = at("10.99.0.2", 6666);
	struct rtpx_flow_stats *st = &fake->stats[RTPX_FAMILY_IP4][4000];
	int fd = peer_open("10.99.0.2", 6666);
	uint8_t data[12 + PAYLOAD];

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	peer_send(fd, &local, data, rtp_of(&c.callee, data));
	st->last_ns = test_now_ns() + NSEC_PER_SEC;
	st->packets++;
	/* A stranger continues the sequence; refused, because the party has not been silent. */
	turn_until(base, &stats.npkts_discard, 1);
	assert_false(addr_eq(&c.s->leg[0].stream[STREAM_RTP].remote, &stranger));
	close(fd);
	call_close(&c);
}

/* ---- prompts and re-packetization ---- */

/* @leg receives the packets. */
static enum flow_why why(const struct call *c, int leg, enum stream_kind kind)
{
	sync_run(sync_);
	return sync_why(sync_, (struct direction){ &c->s->leg[leg], kind });
}

static struct call call_in_kernel(void)
{
	struct call c = call4();
	int leg, kind;

	for (kind = 0; kind < STREAM_KINDS; kind++) {
		passes(&c, &c.callee, &c.caller, kind, NULL, NULL);
		passes(&c, &c.caller, &c.callee, kind, NULL, NULL);
	}
	for (leg = 0; leg < 2; leg++)
		for (kind = 0; kind < STREAM_KINDS; kind++)
			assert_int_equal(why(&c, leg, kind), FLOW_WHY_KERNEL);
	return c;
}

/* A prompt to the caller replaces the callee's RTP; all other flows stay in the kernel. */
static void test_playing(void **state)
{
	struct call c = call_in_kernel();
	uint64_t deadline = c.s->leg[0].deadline_ns, relayed = stats.npkts_relayed;
	uint8_t prompt[12 + 80] = { 0x80, 0x80 };
	struct addr from = target(&c, &c.caller, STREAM_RTP, NULL);
	struct peer_got *got;

	(void)state;
	assert_non_null(leg_rest_set(&c.s->leg[1]));
	c.s->leg[1].rest->player = (void *)&c;
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_PLAYING);
	assert_int_equal(why(&c, 0, STREAM_RTCP), FLOW_WHY_KERNEL);
	assert_int_equal(why(&c, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(fake->flows[RTPX_FAMILY_IP4][4000].flags, 0);
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_discard, 1);
	assert_int_equal(c.s->leg[0].ndropped, 1);
	assert_int_equal(stream_stats(&c.s->leg[0].stream[STREAM_RTP])->packets, 2);
	assert_true(c.s->leg[0].deadline_ns == deadline);
	assert_int_equal(stats.npkts_relayed, relayed);
	assert_int_equal(relay_play(relay, &c.s->leg[1], prompt, sizeof(prompt)), 0);
	on_batch_end(relay);
	got = turn_for(base, c.caller.fd[STREAM_RTP]);
	assert_int_equal(got->len, sizeof(prompt));
	assert_true(addr_eq(&got->src, &from));
	assert_false(peer_has(c.caller.fd[STREAM_RTP]));
	c.s->leg[1].rest->player = NULL;
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	call_close(&c);
}

/* Two packets of 20 ms become one of 40 ms; a third one leaves alone at its deadline. */
static void test_resizing(void **state)
{
	struct call c = call_in_kernel();
	struct peer_got *got;
	uint64_t begun_ns;

	(void)state;
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 40), 0);
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_RESIZED);
	assert_int_equal(why(&c, 0, STREAM_RTCP), FLOW_WHY_KERNEL);
	assert_int_equal(why(&c, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	sends(&c, &c.callee, STREAM_RTP);
	sends(&c, &c.callee, STREAM_RTP);
	got = turn_for(base, c.caller.fd[STREAM_RTP]);
	assert_int_equal(got->len, 12 + 2 * PAYLOAD);
	assert_int_equal(got->data[7], 2 * 160 & 0xff);
	begun_ns = test_now_ns();
	sends(&c, &c.callee, STREAM_RTP);
	got = turn_for(base, c.caller.fd[STREAM_RTP]);
	assert_int_equal(got->len, 12 + PAYLOAD);
	assert_true(test_now_ns() - begun_ns >= 40 * NSEC_PER_MSEC - NSEC_PER_MSEC);
	/* A packet still waits when re-packetization ends; then packets pass unchanged. */
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_rcvd, 8);
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 0), 0);
	assert_int_equal(turn_for(base, c.caller.fd[STREAM_RTP])->len, 12 + PAYLOAD);
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	assert_int_equal(stats.npkts_resizer_in, 4);
	assert_int_equal(stats.npkts_resizer_out, 3);
	call_close(&c);
}

static uint16_t number_of(const struct peer_got *got)
{
	return got->data[2] << 8 | got->data[3];
}

/*
 * Cut packets lead ahead in the numbers, so the direction stays with the daemon, also after a
 * restart, until the party begins another stream.
 */
static void test_renumbering(void **state)
{
	struct call c = call_in_kernel();
	struct leg *leg = &c.s->leg[0];
	uint16_t seq = c.callee.seq + 1;
	unsigned int i;

	(void)state;
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 10), 0);
	leg->ptime_ms = 10;
	session_dirty(sessions, c.s);
	sends(&c, &c.callee, STREAM_RTP);
	for (i = 0; i < 2; i++)
		assert_int_equal(number_of(turn_for(base, c.caller.fd[STREAM_RTP])), seq + i);
	assert_int_equal(leg_rest(leg)->numbers.ahead, 1);
	leg->rest->numbers.ahead +=
		leg->rest->numbers.reserve; /* a daemon was killed, and this is the next */
	assert_int_equal(relay_leg_resume(relay, &c.s->leg[0]), 0);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_RESIZED);
	sends(&c, &c.callee, STREAM_RTP);
	for (i = 0; i < 2; i++)
		assert_int_equal(number_of(turn_for(base, c.caller.fd[STREAM_RTP])), seq + 502 + i);
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 0), 0);
	leg->ptime_ms = 0;
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_RENUMBERED);
	relay_leave(relay);
	assert_int_equal(relay_leg_resume(relay, &c.s->leg[0]), 0);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_RENUMBERED);
	sends(&c, &c.callee, STREAM_RTP);
	assert_int_equal(number_of(turn_for(base, c.caller.fd[STREAM_RTP])), seq + 504);
	c.callee.ssrc++;
	for (i = 0; i < 50; i++) {
		sends(&c, &c.callee, STREAM_RTP);
		assert_int_equal(number_of(turn_for(base, c.caller.fd[STREAM_RTP])), c.callee.seq);
	}
	session_dirty(sessions, c.s);
	assert_int_equal(why(&c, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_null(leg_rest(leg)->resizing);
	assert_false(leg_rest(leg)->numbers.known);
	call_close(&c);
}

/* A call ends while audio waits; its ports are closed already. */
static void test_resizing_ends(void **state)
{
	struct call c = call4();

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 30), 0);
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 900), 0);
	sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_rcvd, 2);
	relay_leg_close(relay, &c.s->leg[0]);
	relay_leg_close(relay, &c.s->leg[1]);
	relay_session_end(relay, c.s);
	assert_int_equal(stats.npkts_resizer_discard, 1);
	assert_false(peer_has(c.caller.fd[STREAM_RTP]));
	assert_int_equal(relay_leg_resize(relay, &c.s->leg[0], 0), 0);
	call_close(&c);
}

/* ---- legs ---- */

static void test_open_is_all_or_nothing(void **state)
{
	int taken = peer_open("10.99.0.1", 4001);
	struct sockets_counts counts;
	struct session *s;

	(void)state;
	assert_int_equal(session_create(sessions, span_of("call"), span_of("tag"), 1, &s), 0);
	s->leg[0].local = at("10.99.0.1", 4000);
	assert_int_equal(relay_leg_open(relay, &s->leg[0]), -EADDRINUSE);
	assert_null(s->leg[0].handle);
	relay_counts(relay, &counts);
	assert_int_equal(counts.ports, 0);
	close(taken);
	assert_int_equal(relay_leg_open(relay, &s->leg[0]), 0);
}

static void test_set_tos(void **state)
{
	struct call c = call4();

	(void)state;
	assert_int_equal(relay_leg_set_tos(relay, &c.s->leg[1], 0x20), 0);
	assert_int_equal(c.s->leg[1].tos, 0x20);
	assert_true(c.s->leg[1].tos_set);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	passes(&c, &c.callee, &c.caller, STREAM_RTCP, NULL, NULL);
	/* A leg without ports keeps the TOS for later; an IPv6 leg refuses it. */
	relay_leg_close(relay, &c.s->leg[1]);
	assert_int_equal(relay_leg_set_tos(relay, &c.s->leg[1], 0x28), 0);
	assert_int_equal(relay_leg_open(relay, &c.s->leg[1]), 0);
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	c.s->leg[1].local.family = ADDR_IP6;
	assert_int_equal(relay_leg_set_tos(relay, &c.s->leg[1], 0x28), -EAFNOSUPPORT);
	c.s->leg[1].local.family = ADDR_IP4;
	call_close(&c);
}

/* ---- a flood beside a call ---- */

static void test_flood(void **state)
{
	struct call c = call4();
	struct addr in = target(&c, &c.callee, STREAM_RTCP, NULL);
	int fd = peer_open("10.99.0.2", 6666), i, k;

	(void)state;
	passes(&c, &c.callee, &c.caller, STREAM_RTP, NULL, NULL);
	for (i = 0; i < 100; i++) {
		for (k = 0; k < 100; k++)
			peer_send(fd, &in, "flood", 5);
		/* One turn is enough for the call's packet, however many other packets wait. */
		sends(&c, &c.caller, STREAM_RTP);
		event_base_loop(base, EVLOOP_ONCE);
		assert_true(peer_has(c.callee.fd[STREAM_RTP]));
		peer_take(c.callee.fd[STREAM_RTP]);
	}
	assert_false(peer_has(c.caller.fd[STREAM_RTCP]));
	close(fd);
	call_close(&c);
}

/* ---- packets that the kernel refuses, and circles ---- */

/* A party without a route to it: no packet is relayed. */
static void test_refused(void **state)
{
	struct call c = call4();
	int i;

	(void)state;
	signal_to(c.s, 1, "192.0.2.1");
	for (i = 0; i < 10; i++)
		sends(&c, &c.callee, STREAM_RTP);
	turn_until(base, &stats.npkts_discard, 10);
	assert_int_equal(stats.npkts_rcvd, 10);
	assert_int_equal(stats.npkts_relayed, 0);
	assert_int_equal(c.s->leg[0].ndropped, 10);
	assert_int_equal(c.s->leg[0].nrelayed, 0);
	call_close(&c);
}

static void names(struct session *s, int leg, const struct addr *a)
{
	stream_signal(&s->leg[leg].stream[STREAM_RTP], a, true, relay->o.learning, test_now_ns());
	session_dirty(sessions, s);
}

/*
 * Two calls are each other's parties on both sides: a packet circles until its TTL is used up.
 */
static void test_circle(void **state)
{
	struct call x = call_on("10.99.0.1", "10.99.0.3", "10.99.0.2", "10.99.0.4");
	struct session *y;
	const struct addr *from;
	int leg;

	(void)state;
	assert_int_equal(session_create(sessions, span_of("other"), span_of("tag"), test_now_ns(),
					&y),
			 0);
	for (leg = 0; leg < 2; leg++) {
		y->leg[leg].local = at("10.99.0.1", 4010 + 2 * leg);
		assert_int_equal(relay_leg_open(relay, &y->leg[leg]), 0);
	}
	session_complete(sessions, y, test_now_ns());
	fake_all_local = true;
	for (leg = 0; leg < 2; leg++) {
		names(x.s, leg, &y->leg[!leg].local);
		names(y, leg, &x.s->leg[!leg].local);
	}
	from = &y->leg[1].local;
	assert_int_equal(sockets_port_send(relay->user, sockets_port(y->leg[1].handle, STREAM_RTP),
					   &x.s->leg[0].local, from, (const uint8_t *)"x", 1),
			 0);
	sockets_flush(relay->user);
	turn_until(base, &relay->circled, 1);
	assert_int_equal(stats.npkts_relayed, 63);
	assert_int_equal(stats.npkts_discard, 1);
	assert_int_equal(relay_circled(relay), 1);
	fake_all_local = false;
	call_close(&x);
}

int main(void)
{
	static struct setting doubled = { LEARN_PROOF, false, true },
			      compat = { LEARN_COMPAT, false, false },
			      strict = { LEARN_STRICT, false, false },
			      kernel = { LEARN_PROOF, true, false };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ip4, begin, end),
		cmocka_unit_test_setup_teardown(test_ip6, begin, end),
		cmocka_unit_test_setup_teardown(test_ip6_ip4, begin, end),
		cmocka_unit_test_setup_teardown(test_wildcard, begin, end),
		cmocka_unit_test_setup_teardown(test_any_payload, begin, end),
		cmocka_unit_test_prestate_setup_teardown(test_double_small, begin, end, &doubled),
		cmocka_unit_test_setup_teardown(test_incomplete, begin, end),
		cmocka_unit_test_setup_teardown(test_stranger, begin, end),
		cmocka_unit_test_setup_teardown(test_no_remote, begin, end),
		cmocka_unit_test_setup_teardown(test_wrong_family, begin, end),
		cmocka_unit_test_setup_teardown(test_closed_peer, begin, end),
		cmocka_unit_test_setup_teardown(test_nat, begin, end),
		cmocka_unit_test_prestate_setup_teardown(test_compat, begin, end, &compat),
		cmocka_unit_test_prestate_setup_teardown(test_strict, begin, end, &strict),
		cmocka_unit_test_prestate_setup_teardown(test_with_dataplane, begin, end, &kernel),
		cmocka_unit_test_prestate_setup_teardown(test_counted_meanwhile, begin, end,
							 &kernel),
		cmocka_unit_test_prestate_setup_teardown(test_late_packet, begin, end, &kernel),
		cmocka_unit_test_prestate_setup_teardown(test_playing, begin, end, &kernel),
		cmocka_unit_test_prestate_setup_teardown(test_resizing, begin, end, &kernel),
		cmocka_unit_test_prestate_setup_teardown(test_renumbering, begin, end, &kernel),
		cmocka_unit_test_setup_teardown(test_resizing_ends, begin, end),
		cmocka_unit_test_setup_teardown(test_open_is_all_or_nothing, begin, end),
		cmocka_unit_test_setup_teardown(test_set_tos, begin, end),
		cmocka_unit_test_setup_teardown(test_flood, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_circle, begin, end),
	};

	if (!own_net()) {
		printf("needs root for a network namespace of its own\n");
		return 4;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
