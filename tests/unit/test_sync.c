/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sync.c - flows that sync installs and removes, and its counts, with a dataplane and next
 * hops in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include "fake_dp.h"

#include "base/clock.h"

/* The clock of sync: the real one, until a test sets it. Each reading then adds @per_look_ns. */
static uint64_t sync_now_ns, per_look_ns;

static uint64_t test_clock(void)
{
	if (!sync_now_ns)
		return clock_now();
	sync_now_ns += per_look_ns;
	return sync_now_ns;
}

#define clock_now test_clock
#include "../../daemon/dataplane/sync.c"
#undef clock_now

#include "media/rtp.h"

#define CALLER "192.0.2.10" /* sends to leg 1 */
#define CALLEE "192.0.2.20" /* sends to leg 0 */
#define TTL_S 60

static struct event_base *base;
static struct sessions *sessions;
static struct fake_dp *fake;
static struct sync *sync_;
static struct stats stats;

static struct {
	const struct session *session;
	uint64_t packets;
} unmirrored;

/* The direction of packets that arrive at @leg. */
static struct direction direction(struct session *s, int leg, enum stream_kind kind)
{
	return (struct direction){ &s->leg[leg], kind };
}

static void on_unmirrored(void *arg, struct direction d, uint64_t packets)
{
	assert_ptr_equal(arg, &unmirrored);
	unmirrored.session = direction_session(d);
	unmirrored.packets += packets;
}

static int begin_with(bool active, bool double_small)
{
	const struct session_opts session_opts = { .ttl_s = TTL_S, .setup_ttl_s = TTL_S };
	struct sync_opts opts = {
		.stats = &stats,
		.learning = LEARN_PROOF,
		.double_small = double_small,
		.unmirrored = on_unmirrored,
		.arg = &unmirrored,
	};

	sync_now_ns = 0;
	memset(&stats, 0, sizeof(stats));
	base = event_base_new();
	fake = fake_dp_new();
	fake->dp.active = active;
	opts.dp = &fake->dp;
	if (sessions_new(&sessions, &session_opts))
		return -1;
	opts.sessions = sessions;
	return sync_new(&sync_, base, &opts);
}

static int begin(void **state)
{
	(void)state;
	return begin_with(true, false);
}

static int begin_without_dataplane(void **state)
{
	(void)state;
	return begin_with(false, false);
}

static int begin_double(void **state)
{
	(void)state;
	return begin_with(true, true);
}

static bool end_each(void *arg, struct session *s)
{
	(void)arg;
	sync_close(sync_, s);
	sync_close(sync_, s);
	session_destroy(sessions, s);
	return true;
}

static int end(void **state)
{
	unsigned int family, port, id;

	(void)state;
	if (!sessions || !sync_) /* no memory for the next daemon */
		return -1;
	sessions_each(sessions, end_each, NULL);
	for (family = 0; family < RTPX_FAMILIES; family++)
		for (port = 0; port < FAKE_PORTS; port++)
			if (fake->flows[family][port].flags)
				return -1; /* a flow outlived its session */
	for (id = 0; id < RTPX_MAX_NEXTHOPS; id++)
		if (fake->hops[id].mtu)
			return -1;
	sync_free(sync_);
	sessions_free(sessions);
	fake->dp.ops->close(&fake->dp, false);
	event_base_free(base);
	return 0;
}

/* ---- another daemon ---- */

static void open_sync(void)
{
	const struct session_opts session_opts = { .ttl_s = TTL_S, .setup_ttl_s = TTL_S };
	const struct sync_opts opts = { .stats = &stats, .learning = LEARN_PROOF, .dp = &fake->dp };
	struct sync_opts o = opts;

	memset(&stats, 0, sizeof(stats));
	assert_int_equal(sessions_new(&sessions, &session_opts), 0);
	o.sessions = sessions;
	assert_int_equal(sync_new(&sync_, base, &o), 0);
}

/* This daemon leaves its flows in the dataplane; the next daemon finds @inherited of them. */
static void next_daemon(unsigned int inherited)
{
	sync_leave(sync_);
	sessions_each(sessions, end_each, NULL);
	sync_free(sync_);
	sessions_free(sessions);
	sync_ = NULL;
	sessions = NULL;
	fake->dp.inherited = inherited;
	if (!inherited) /* a new dataplane */
		memset(fake->hops, 0, sizeof(fake->hops));
	fake->puts = fake->dels = fake->seeds = 0;
	open_sync();
}

/* Make a stream without blocks equal to another one. */
static void stream_like(struct stream *to, const struct stream *from)
{
	struct stream_kept kept;

	stream_keep(&kept, from);
	assert_non_null(stream_stats_set(to));
	assert_non_null(stream_rest_set(to));
	stream_go_back(to, &kept);
	stream_tidy(to);
}

/* Restore the session like a journal; @of is a copy of it from before. */
static struct session *restored(const struct session *of, const char *call_id, uint32_t number)
{
	struct session *s;
	int i, kind;

	assert_int_equal(session_create(sessions, span_of(call_id), span_of("tag"), 1, &s), 0);
	s->number = number;
	for (i = 0; i < 2; i++) {
		s->leg[i].local = of->leg[i].local;
		s->leg[i].tos = of->leg[i].tos;
		for (kind = 0; kind < STREAM_KINDS; kind++)
			stream_like(&s->leg[i].stream[kind], &of->leg[i].stream[kind]);
	}
	session_complete(sessions, s, 1);
	return s;
}

/* ---- calls ---- */

static struct session *call_on(const char *local0, const char *local1, uint16_t port)
{
	static unsigned int n;
	struct session *s;
	char id[16];

	snprintf(id, sizeof(id), "call%u", n++);
	assert_int_equal(session_create(sessions, span_of(id), span_of("tag"), 1, &s), 0);
	s->leg[0].local = at(local0, port);
	s->leg[1].local = at(local1, port + 2);
	s->leg[0].tos = 0x11;
	s->leg[1].tos = 0x22;
	session_complete(sessions, s, 1);
	session_dirty(sessions, s);
	return s;
}

static struct session *call(void)
{
	return call_on("198.51.100.1", "198.51.100.2", 4000);
}

/* The daemon receives a packet from the peer @host, and handles it like relay.c. */
static void hear(struct session *s, int leg, enum stream_kind kind, const char *host, uint16_t port,
		 uint16_t seq, uint64_t now_ns)
{
	struct stream *in = &s->leg[leg].stream[kind];
	struct rtpx_packet p = { .kind = kind == STREAM_RTP ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER,
				 .rtp_seq = seq,
				 .rtp_ts = seq * 160u,
				 .ssrc = leg + 1,
				 .payload_bytes = 172,
				 .now_ns = now_ns };
	struct addr src = at(host, port);
	bool moved = false;
	struct rtpx_flow_stats before;

	sync_pull(sync_, s);
	before = *stream_stats(in);
	if (stream_packet(in, &s->leg[leg].stream[!kind], &src, &p, LEARN_PROOF, &moved) ==
	    STREAM_RELAY)
		in->stats->daemon_packets++;
	sync_push_stats(sync_, direction(s, leg, kind), &before);
	if (moved)
		session_dirty(sessions, s);
}

static void signal_to(struct session *s, int leg, const char *host)
{
	struct addr rtp = at(host, 5000), rtcp = at(host, 5001);

	stream_signal(&s->leg[leg].stream[STREAM_RTP], &rtp, false, LEARN_PROOF, 1);
	stream_signal(&s->leg[leg].stream[STREAM_RTCP], &rtcp, false, LEARN_PROOF, 1);
	session_dirty(sessions, s);
}

static void answered(struct session *s, const char *callee, const char *caller)
{
	signal_to(s, 0, callee);
	signal_to(s, 1, caller);
	hear(s, 0, STREAM_RTP, callee, 5000, 1, 1000);
	hear(s, 1, STREAM_RTP, caller, 5000, 1, 1000);
	sync_run(sync_);
}

static const struct rtpx_flow *flow_of(struct session *s, int leg, enum stream_kind kind)
{
	struct direction d = direction(s, leg, kind);

	return &fake->flows[pool_of(sync_, d)][direction_port(d)];
}

/* The dataplane gets an RTP packet, or an RTCP one, from the peer of a leg. */
static enum rtpx_reason arrives(struct session *s, int leg, enum stream_kind kind, const char *host,
				uint16_t port, uint16_t seq, uint64_t now_ns)
{
	struct rtpx_packet p = { .kind = kind == STREAM_RTP ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER,
				 .rtp_seq = seq,
				 .rtp_ts = seq * 160u,
				 .ssrc = leg + 1,
				 .payload_bytes = 172,
				 .now_ns = now_ns };
	struct addr src = at(host, port),
		    dst = addr_with_port(s->leg[leg].local,
					 direction_port(direction(s, leg, kind)));

	return fake_forward(fake, &src, &dst, p);
}

static enum flow_why why(struct session *s, int leg, enum stream_kind kind)
{
	return sync_why(sync_, direction(s, leg, kind));
}

/* ---- installing ---- */

static void test_incomplete(void **state)
{
	struct session *s = call();

	(void)state;
	s->complete = false;
	sync_run(sync_);
	assert_int_equal(fake->puts, 0);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_INCOMPLETE);
	s->complete = true;
	session_dirty(sessions, s);
	sync_run(sync_);
	assert_int_equal(why(s, 1, STREAM_RTCP), FLOW_WHY_NOT_LATCHED);
	assert_int_equal(fake->puts, 0);
}

static void test_install(void **state)
{
	struct session *s = call();
	const struct rtpx_flow *f0 = flow_of(s, 0, STREAM_RTP), *f1 = flow_of(s, 1, STREAM_RTP);

	(void)state;
	signal_to(s, 0, CALLEE);
	signal_to(s, 1, CALLER);
	hear(s, 0, STREAM_RTP, CALLEE, 5000, 1, 1000);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL); /* since this turn */
	sync_run(sync_);
	assert_int_equal(fake->puts, 1);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_NOT_LATCHED);
	assert_int_equal(why(s, 0, STREAM_RTCP), FLOW_WHY_NOT_LATCHED);
	hear(s, 1, STREAM_RTP, CALLER, 5000, 1, 1000);
	sync_run(sync_);
	assert_memory_equal(f0->local4, ((uint8_t[]){ 198, 51, 100, 1 }), 4);
	assert_memory_equal(f0->peer4, ((uint8_t[]){ 192, 0, 2, 20 }), 4);
	assert_memory_equal(f0->out4, ((uint8_t[]){ 198, 51, 100, 2 }), 4);
	assert_memory_equal(f0->dest4, ((uint8_t[]){ 192, 0, 2, 10 }), 4);
	assert_int_equal(f0->out_port, 4002);
	assert_int_equal(f0->tos, 0x22);
	assert_memory_equal(f1->dest4, ((uint8_t[]){ 192, 0, 2, 20 }), 4);
	assert_int_equal(f1->out_port, 4000);
	assert_int_equal(f1->tos, 0x11);
	/* The dataplane continues the daemon's counts. */
	assert_int_equal(fake->stats[0][4000].packets, 1);
	assert_int_equal(fake->stats[0][4000].max_seq, 0x10001);
}

/* RTP and RTCP share one id per pair of hosts; the id is free after the last flow. */
static void test_next_hops(void **state)
{
	struct session *s = call(), *t = call_on("198.51.100.1", "198.51.100.2", 4100);
	uint16_t to_caller, to_callee;

	(void)state;
	answered(s, CALLEE, CALLER);
	to_caller = s->leg[1].nexthop[STREAM_RTP];
	to_callee = s->leg[0].nexthop[STREAM_RTP];
	assert_int_not_equal(to_caller, to_callee);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->nexthop, to_caller);
	assert_int_equal(flow_of(s, 1, STREAM_RTP)->nexthop, to_callee);
	assert_int_equal(fake->hops[to_caller].mtu, 1500);

	hear(s, 0, STREAM_RTCP, CALLEE, 5001, 0, 1000);
	answered(t, CALLEE, CALLER);
	assert_int_equal(s->leg[1].nexthop[STREAM_RTCP], to_caller);
	assert_int_equal(t->leg[1].nexthop[STREAM_RTP], to_caller);
	assert_int_equal(fake_hops.hops[to_caller].view.users, 3);

	sync_close(sync_, s);
	assert_int_equal(fake_hops.hops[to_caller].view.users, 1);
	sync_close(sync_, t);
	assert_int_equal(fake_hops.hops[to_caller].view.users, 0);
	assert_int_equal(fake->hops[to_caller].mtu, 0);
	on_tick(-1, 0, sync_); /* must not read unused ids */
}

/*
 * The other party moves: the flow gets the new address by a new id. The old id is free only after
 * that.
 */
static void test_peer_moves(void **state)
{
	struct session *s = call();
	uint16_t was;

	(void)state;
	answered(s, CALLEE, CALLER);
	was = s->leg[1].nexthop[STREAM_RTP];
	assert_int_equal(arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2, 2000), RTPX_REASON_relayed);
	signal_to(s, 1, "192.0.2.99");
	hear(s, 1, STREAM_RTP, "192.0.2.99", 5000, 1, 3000);
	sync_run(sync_);
	assert_int_not_equal(s->leg[1].nexthop[STREAM_RTP], was);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->nexthop, s->leg[1].nexthop[STREAM_RTP]);
	assert_memory_equal(flow_of(s, 0, STREAM_RTP)->dest4, ((uint8_t[]){ 192, 0, 2, 99 }), 4);
	assert_int_equal(fake_hops.hops[was].view.users, 0);
	assert_int_equal(fake->hops[was].mtu, 0);
	/* The flow's counts continue. */
	assert_int_equal(fake->stats[0][4000].packets, 2);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_memory_equal(flow_of(s, 1, STREAM_RTP)->peer4, ((uint8_t[]){ 192, 0, 2, 99 }), 4);
}

/*
 * No packet has come from a new address: the daemon sends to both addresses, until the known one
 * has been heard for 2 s. The kernel hands over packets from the new one, now and later.
 */
static void test_new_address_awaited(void **state)
{
	struct session *s = call();
	uint64_t ms, s1 = NSEC_PER_SEC;

	(void)state;
	answered(s, CALLEE, CALLER);
	signal_to(s, 1, "192.0.2.99");
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_SETTLING);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->flags, 0);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(flow_of(s, 1, STREAM_RTP)->second_port, 5000);
	assert_memory_equal(flow_of(s, 1, STREAM_RTP)->second, ((uint8_t[]){ 192, 0, 2, 99 }), 4);
	assert_true(s->watched);
	for (ms = 20; ms < 2500; ms += 20)
		assert_int_equal(arrives(s, 1, STREAM_RTP, CALLER, 5000, ms / 20 + 1,
					 ms * NSEC_PER_MSEC),
				 RTPX_REASON_relayed);
	assert_true(watch_awaited(sync_, s, s1 * 5 / 2));
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_memory_equal(flow_of(s, 0, STREAM_RTP)->dest4, ((uint8_t[]){ 192, 0, 2, 10 }), 4);
	assert_true(watch_awaited(sync_, s, 5 * s1)); /* both are silent */
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_SETTLING);
	assert_int_equal(arrives(s, 1, STREAM_RTP, "192.0.2.99", 5000, 1, 5 * s1),
			 RTPX_REASON_pass_second);
	hear(s, 1, STREAM_RTP, "192.0.2.99", 5000, 1, 5 * s1);
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_memory_equal(flow_of(s, 0, STREAM_RTP)->dest4, ((uint8_t[]){ 192, 0, 2, 99 }), 4);
	assert_int_equal(flow_of(s, 1, STREAM_RTP)->second_port, 0);
	assert_false(watch_awaited(sync_, s, 6 * s1));
}

/* The host's firewall begins to drop the callee's packets: they are left to the stack. */
static void test_answers(void **state)
{
	struct session *s = call();

	(void)state;
	answered(s, CALLEE, CALLER);
	fake_hop_answers(s->leg[0].nexthop[STREAM_RTP], FLOW_WHY_FIREWALL);
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_FIREWALL);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->flags, 0);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	fake_hop_answers(s->leg[0].nexthop[STREAM_RTP], FLOW_WHY_KERNEL);
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
}

static void test_refused(void **state)
{
	struct session *s = call();

	(void)state;
	fake->refuse = -ERANGE;
	answered(s, CALLEE, CALLER);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_REFUSED);
	assert_int_equal(s->leg[0].installed, 0);
	fake->refuse = 0;
	session_dirty(sessions, s);
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	/* A refused change must not leave the old flow. */
	fake->refuse = -EINVAL;
	signal_to(s, 1, "192.0.2.99");
	hear(s, 1, STREAM_RTP, "192.0.2.99", 5000, 1, 2000);
	sync_run(sync_);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->flags, 0);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_REFUSED);
}

static void test_table_full(void **state)
{
	struct session *s = call();

	(void)state;
	fake_hops.room = 1;
	answered(s, CALLEE, CALLER);
	assert_int_equal(fake->puts, 1);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_TABLE_FULL);
	assert_int_equal(s->leg[0].nexthop[STREAM_RTP], 0);

	/* The change is tried again each second, until there is room. */
	on_tick(-1, 0, sync_);
	sync_run(sync_);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_TABLE_FULL);
	fake_hops.room = 2;
	on_tick(-1, 0, sync_);
	assert_true(s->dirty);
	sync_run(sync_);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	on_tick(-1, 0, sync_);
	on_tick(-1, 0, sync_);
	assert_false(s->dirty);
	assert_false(sync_->left_out);
}

static void test_no_dataplane(void **state)
{
	struct session *s = call();

	(void)state;
	answered(s, CALLEE, CALLER);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_NO_DATAPLANE);
	assert_int_equal(fake->puts + fake->hop_puts, 0);
	assert_int_equal(s->leg[0].nexthop[STREAM_RTP], 0);
	sync_pull_all(sync_);
	sync_pull(sync_, s);
	sync_push_stats(sync_, direction(s, 0, STREAM_RTP),
			stream_stats(&s->leg[0].stream[STREAM_RTP]));
	assert_int_equal(fake->pushes, 0);
}

/* A flow whose packets all reach the sockets is not in the kernel, whatever the reason. */
static void test_by_sockets(void **state)
{
	struct session *s = call();
	unsigned int i;

	(void)state;
	answered(s, CALLEE, CALLER);
	for (i = 0; i < PASSED; i++) {
		assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
		sync_relayed(sync_, direction(s, 0, STREAM_RTP), 172);
	}
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_BY_SOCKETS);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	sync_pull(sync_, s);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_BY_SOCKETS);
	fake->stats[0][4000].packets++; /* one that the dataplane forwarded */
	sync_pull(sync_, s);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	for (i = 0; i < PASSED; i++)
		sync_relayed(sync_, direction(s, 0, STREAM_RTP), 172);
	session_dirty(sessions, s); /* compiled again: it is still so */
	sync_run(sync_);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_BY_SOCKETS);
}

static void test_double(void **state)
{
	struct session *s = call();

	(void)state;
	answered(s, CALLEE, CALLER);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_DOUBLE);
	assert_int_equal(fake->puts, 0);
}

static void test_families(void **state)
{
	struct session *s = call_on("2001:db8:1::1", "198.51.100.2", 4000);
	const struct rtpx_flow *f0 = flow_of(s, 0, STREAM_RTP), *f1 = flow_of(s, 1, STREAM_RTP);

	(void)state;
	answered(s, "2001:db8::20", CALLER);
	assert_ptr_equal(f0, &fake->flows[RTPX_FAMILY_IP6][4000]);
	assert_ptr_equal(f1, &fake->flows[RTPX_FAMILY_IP4][4002]);
	assert_false(f0->flags & RTPX_FLOW_OUT6);
	assert_true(f1->flags & RTPX_FLOW_OUT6);
	assert_memory_equal(f0->dest4, ((uint8_t[]){ 192, 0, 2, 10 }), 4);
	assert_int_equal(f1->dest6[15], 0x20);
}

/* ---- the network changes ---- */

static void test_nexthop_changes(void **state)
{
	struct session *s = call();
	unsigned int puts;
	uint16_t id;

	(void)state;
	answered(s, CALLEE, CALLER);
	id = s->leg[1].nexthop[STREAM_RTP];
	puts = fake->puts;
	fake_hop_turns(id, FLOW_WHY_NO_NEIGHBOUR, NULL);
	assert_false(s->dirty);
	sync_run(sync_);
	assert_int_equal(fake->puts, puts);
	assert_int_equal(fake->dels, 0);
	assert_int_equal(fake->hops[id].mtu, 0);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_NO_NEIGHBOUR);
	assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2, 2000),
			 RTPX_REASON_pass_nexthop);
	fake_hop_turns(id, FLOW_WHY_KERNEL, NULL);
	assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
	assert_int_equal(arrives(s, 0, STREAM_RTP, CALLEE, 5000, 3, 3000), RTPX_REASON_relayed);
}

static void test_links_change(void **state)
{
	(void)state;
	fake_hops.opts.links_changed(fake_hops.opts.arg);
	assert_int_equal(fake->rescans, 1);
	assert_true(fake_hops.opts.served(fake_hops.opts.arg, 1));
	assert_false(fake_hops.opts.served(fake_hops.opts.arg, 2));
}

/*
 * Ports on a wildcard: the peer sees the address that it sends to. Before it sends, it sees the
 * address that the kernel chooses.
 */
static void test_wildcard(void **state)
{
	struct session *s = call_on("0.0.0.0", "0.0.0.0", 4000);
	struct addr other = at("10.99.0.3", 0);
	const struct rtpx_flow *f0 = flow_of(s, 0, STREAM_RTP);

	(void)state;
	stream_rest_set(&s->leg[0].stream[STREAM_RTP])->local = at("198.51.100.7", 4000);
	signal_to(s, 0, CALLEE);
	signal_to(s, 1, CALLER);
	hear(s, 0, STREAM_RTP, CALLEE, 5000, 1, 1000);
	sync_run(sync_);
	assert_memory_equal(f0->local4, ((uint8_t[]){ 198, 51, 100, 7 }), 4);
	assert_memory_equal(f0->out4, fake_choice.ip, 4);
	/* The kernel chooses another address. */
	fake_hop_turns(s->leg[1].nexthop[STREAM_RTP], FLOW_WHY_KERNEL, &other);
	sync_run(sync_);
	assert_memory_equal(f0->out4, ((uint8_t[]){ 10, 99, 0, 3 }), 4);
	/* The caller sends, and so shows the address that it sends to. */
	stream_rest_set(&s->leg[1].stream[STREAM_RTP])->local = at("198.51.100.8", 4002);
	hear(s, 1, STREAM_RTP, CALLER, 5000, 1, 1000);
	sync_run(sync_);
	assert_memory_equal(f0->out4, ((uint8_t[]){ 198, 51, 100, 8 }), 4);
	assert_true(addr_host_eq(&fake_hops.hops[s->leg[1].nexthop[STREAM_RTP]].source,
				 &stream_rest(&s->leg[1].stream[0])->local));
	/* Before RTCP arrives, RTCP leaves from RTP's address. */
	hear(s, 0, STREAM_RTCP, CALLEE, 5001, 0, 1000);
	stream_rest_set(&s->leg[0].stream[STREAM_RTCP])->local = at("198.51.100.7", 4001);
	sync_run(sync_);
	assert_memory_equal(flow_of(s, 0, STREAM_RTCP)->out4, ((uint8_t[]){ 198, 51, 100, 8 }), 4);
}

/* ---- statistics ---- */

static void test_counts(void **state)
{
	const uint64_t t0 = 30 * NSEC_PER_SEC;
	struct session *s = call();
	unsigned int i;

	(void)state;
	answered(s, CALLEE, CALLER);
	hear(s, 1, STREAM_RTCP, CALLER, 5001, 0, 1000);
	sync_run(sync_);
	for (i = 0; i < 100; i++)
		assert_int_equal(arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2 + i, t0 + i),
				 RTPX_REASON_relayed);
	for (i = 0; i < 5; i++)
		assert_int_equal(arrives(s, 1, STREAM_RTCP, CALLER, 5001, 0, t0 + i),
				 RTPX_REASON_relayed);
	for (i = 0; i < 3; i++)
		assert_int_equal(arrives(s, 0, STREAM_RTP, "203.0.113.66", 5000, i, t0),
				 RTPX_REASON_drop_stranger);

	for (i = 0; i < 2; i++) { /* the second time adds no packets */
		sync_pull_all(sync_);
		assert_int_equal(stats.npkts_relayed, 105);
		assert_int_equal(stats.live_relayed, 105);
		assert_int_equal(s->kernel_relayed, 105);
		assert_int_equal(stats.live_strangers, 3);
		assert_int_equal(s->kernel_strangers, 3);
		assert_int_equal(stats.npkts_rcvd, 108);
		assert_int_equal(stats.npkts_discard, 3);
		assert_int_equal(s->leg[0].nrelayed, 100);
		assert_int_equal(s->leg[1].nrelayed, 0);
		assert_int_equal(stream_stats(&s->leg[0].stream[STREAM_RTP])->packets, 101);
		assert_int_equal(rtpx_stats_received(stream_stats(&s->leg[0].stream[STREAM_RTP])),
				 101);
		assert_int_equal(stream_stats(&s->leg[0].stream[STREAM_RTP])->strangers, 3);
		assert_int_equal(s->leg[0].deadline_ns, t0 + 99 + TTL_S * NSEC_PER_SEC);
	}
}

/* Packets of an installed flow that reach the daemon share the flow's count and sequence. */
static void test_both_count(void **state)
{
	struct session *s = call();
	unsigned int i;

	(void)state;
	answered(s, CALLEE, CALLER);
	for (i = 0; i < 100; i++) {
		if (i % 10 == 0)
			hear(s, 0, STREAM_RTP, CALLEE, 5000, 2 + i, 2000 + i);
		else
			arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2 + i, 2000 + i);
	}
	sync_pull(sync_, s);
	assert_int_equal(stream_stats(&s->leg[0].stream[STREAM_RTP])->packets, 101);
	assert_int_equal(rtpx_stats_kernel(stream_stats(&s->leg[0].stream[STREAM_RTP])), 90);
	assert_int_equal(rtpx_stats_lost(stream_stats(&s->leg[0].stream[STREAM_RTP])), 0);
	assert_int_equal(stats.npkts_relayed, 90); /* relay.c counts the others */
	assert_int_equal(fake->pushes, 10);
}

/* Packets forwarded since the previous pull stay counted when the ports of either leg close. */
static void test_close(void **state)
{
	struct session *s = call();
	int leg;

	(void)state;
	for (leg = 0; leg < 2; leg++) {
		answered(s, CALLEE, CALLER);
		arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2 + leg, 2000 + leg);
		arrives(s, 1, STREAM_RTP, CALLER, 5000, 2 + leg, 2000 + leg);
		sync_close(sync_, s);
		assert_int_equal(flow_of(s, 0, STREAM_RTP)->flags, 0);
		assert_int_equal(flow_of(s, 1, STREAM_RTP)->flags, 0);
		sync_close(sync_, s);
		assert_int_equal(stats.npkts_relayed, 2 * (leg + 1));
		assert_int_equal(s->leg[1].nrelayed, leg + 1);
		assert_int_equal(s->leg[0].installed | s->leg[1].installed, 0);
	}
}

/*
 * A dataplane counter may step back if statistics were pushed at the same time. Our counters never
 * step back.
 */
static void test_step_back(void **state)
{
	struct session *s = call();

	(void)state;
	answered(s, CALLEE, CALLER);
	arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2, 2000);
	arrives(s, 0, STREAM_RTP, CALLEE, 5000, 3, 3000);
	sync_pull(sync_, s);
	fake->stats[0][4000].packets--;
	sync_pull(sync_, s);
	assert_int_equal(stats.npkts_relayed, 2);
}

/* ---- many ---- */

/* More than one slice, and not a multiple of a slice. */
#define MANY (RUN_SESSIONS + RUN_GLANCE + 3)

/* run_of_many - each reading of the clock adds @look_ns, so sync_run() takes @slice sessions. */
static void run_of_many(uint64_t look_ns, unsigned int slice)
{
	unsigned int i, done;

	sync_now_ns = clock_now();
	per_look_ns = look_ns;
	event_del(sync_->tick); /* would visit sessions again after a second */
	event_del(sync_->look);
	for (i = 0; i < MANY; i++) {
		struct session *s = call_on("198.51.100.1", "198.51.100.2", 2000 + 4 * i);

		signal_to(s, 0, CALLEE);
		signal_to(s, 1, CALLER);
		hear(s, 0, STREAM_RTP, CALLEE, 5000, 1, 1000);
	}
	for (done = slice; done < MANY; done += slice) {
		sync_run(sync_);
		assert_int_equal(fake->puts, done);
		event_base_loop(base, EVLOOP_ONCE); /* does not sleep */
		assert_int_equal(event_pending(sync_->more, EV_TIMEOUT, NULL), 0);
	}
	sync_run(sync_);
	assert_int_equal(fake->puts, MANY);
	assert_int_equal(event_pending(sync_->more, EV_TIMEOUT, NULL), 0);
}

static void test_slices(void **state)
{
	(void)state;
	run_of_many(0, RUN_SESSIONS);
}

static void test_slices_end_in_time(void **state)
{
	(void)state;
	run_of_many(RUN_NS + 1, RUN_GLANCE + 1);
}

/* ---- flows of an earlier daemon ---- */

static bool has_flow(const struct session *s, int leg, enum stream_kind kind)
{
	return flow_of((struct session *)s, leg, kind)->flags & RTPX_FLOW_ACTIVE;
}

/* Leave a call with RTP both ways and RTCP of the callee in the dataplane; *@out: its session. */
static void leave_a_call(struct session *out)
{
	struct session *s = call();
	unsigned int i;

	answered(s, CALLEE, CALLER);
	hear(s, 0, STREAM_RTCP, CALLEE, 5001, 1, 1000);
	sync_run(sync_);
	assert_true(has_flow(s, 0, STREAM_RTP) && has_flow(s, 1, STREAM_RTP) &&
		    has_flow(s, 0, STREAM_RTCP));
	*out = *s;
	out->call_id = strdup(s->call_id);
	assert_non_null(out->call_id);
	for (i = 0; i < DIRECTIONS; i++) {
		struct stream *copy = &out->leg[i / STREAM_KINDS].stream[i % STREAM_KINDS];

		stream_init(copy, i % STREAM_KINDS);
		stream_like(copy, direction_sender(session_direction(s, i)));
	}
}

static void forget(struct session *left)
{
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++)
		stream_free(&left->leg[i / STREAM_KINDS].stream[i % STREAM_KINDS]);
	free(left->call_id);
}

static void test_adopt(void **state)
{
	uint16_t port, hop[2];
	struct session before, *s;
	int i;

	(void)state;
	leave_a_call(&before);
	for (i = 0; i < 2; i++)
		hop[i] = flow_of(&before, i, STREAM_RTP)->nexthop;
	next_daemon(3);
	/* The kernel keeps forwarding while no daemon runs. */
	for (i = 0; i < 5; i++)
		assert_int_equal(arrives(&before, 0, STREAM_RTP, CALLEE, 5000, 2 + i, 2000 + i),
				 RTPX_REASON_relayed);
	arrives(&before, 1, STREAM_RTP, "203.0.113.9", 9, 2, 2000);
	sync_adopt_begin(sync_);
	s = restored(&before, before.call_id, before.number);
	assert_int_equal(sync_adopt(sync_, s), 3);
	sync_count(sync_); /* counts nothing: other flows of the table may have sessions later */
	assert_int_equal(sync_adopt_end(sync_), 0);
	sync_run(sync_);
	assert_int_equal(fake->dels, 0);
	assert_int_equal(fake->seeds, 0); /* the dataplane's counts continue */
	assert_int_equal(s->leg[0].installed, 1 << STREAM_RTP | 1 << STREAM_RTCP);
	assert_int_equal(s->leg[1].installed, 1 << STREAM_RTP);
	for (i = 0; i < 2; i++) {
		assert_int_equal(why(s, i, STREAM_RTP), FLOW_WHY_KERNEL);
		assert_int_equal(flow_of(s, i, STREAM_RTP)->nexthop, hop[i]);
		assert_int_equal(s->leg[!i].nexthop[STREAM_RTP], hop[i]);
	}
	assert_int_equal(why(s, 0, STREAM_RTCP), FLOW_WHY_KERNEL);
	assert_int_equal(stream_stats(&s->leg[0].stream[STREAM_RTP])->packets, 6);
	assert_int_equal(stream_stats(&s->leg[1].stream[STREAM_RTP])->packets, 1);
	assert_int_equal(stream_stats(&s->leg[1].stream[STREAM_RTP])->strangers, 1);
	assert_int_equal(s->leg[0].nrelayed, 5);
	/* The caller knows which of these the counters had. */
	assert_int_equal(stats.live_relayed, 5);
	assert_int_equal(stats.live_strangers, 1);
	assert_int_equal(stats.npkts_relayed, 0);
	assert_int_equal(stats.npkts_discard, 0);
	arrives(s, 0, STREAM_RTP, CALLEE, 5000, 7, 3000);
	sync_count(sync_);
	assert_int_equal(stats.npkts_relayed, 1);
	assert_int_equal(stats.live_relayed, 6);
	/* These are normal flows now: they follow a moved party, and go at the end of the call. */
	for (port = 4000; port < 4004; port++)
		assert_int_equal(!!(fake->flows[0][port].flags & RTPX_FLOW_ACTIVE), port != 4003);
	sync_close(sync_, s);
	for (port = 4000; port < 4004; port++)
		assert_int_equal(fake->flows[0][port].flags, 0);
	forget(&before);
}

/* Port, number and the beginning of the call-id tell which flows belong to a session. */
static void test_adopt_whose(void **state)
{
	static const struct {
		const char *what;
		bool other_number, other_label, other_port;
	} rows[] = {
		{ .what = "another session of the call", .other_number = true },
		{ .what = "another call", .other_label = true },
		{ .what = "another port", .other_port = true },
	};
	struct session before, *s;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		leave_a_call(&before);
		next_daemon(3);
		sync_adopt_begin(sync_);
		if (rows[i].other_port)
			before.leg[0].local.port = before.leg[1].local.port = 5000;
		s = restored(&before, rows[i].other_label ? "another" : before.call_id,
			     before.number + rows[i].other_number);
		if (sync_adopt(sync_, s) || s->leg[0].installed || s->leg[1].installed)
			fail_msg("%s: adopted", rows[i].what);
		if (stream_stats(&s->leg[0].stream[STREAM_RTP])->packets != 1 || fake->dels ||
		    fake->puts)
			fail_msg("%s: something was changed", rows[i].what);
		assert_int_equal(sync_adopt_end(sync_), 3);
		assert_int_equal(fake->dels, 3);
		forget(&before);
		next_daemon(0);
	}
}

/* The label is cut: a call-id of any length is recognized by its beginning. */
static void test_adopt_long_call_id(void **state)
{
	char id[] =
		"0123456789012345678901234567890123456789012345678901234567890123456789-and-more";
	struct session before, *s;
	int i;

	(void)state;
	assert_true(sizeof(id) > RTPX_LABEL_LEN);
	leave_a_call(&before);
	for (i = 0; i < 3; i++)
		snprintf(fake->flows[0][4000 + i].label, RTPX_LABEL_LEN, "%s", id);
	next_daemon(3);
	sync_adopt_begin(sync_);
	s = restored(&before, id, before.number);
	assert_int_equal(sync_adopt(sync_, s), 3);
	assert_int_equal(sync_adopt_end(sync_), 0);
	sync_close(sync_, s);
	next_daemon(0);
	forget(&before);
	leave_a_call(&before);
	for (i = 0; i < 3; i++)
		snprintf(fake->flows[0][4000 + i].label, RTPX_LABEL_LEN, "%s", id);
	next_daemon(3);
	sync_adopt_begin(sync_);
	id[RTPX_LABEL_LEN - 2] ^= 1; /* the last byte of the label */
	s = restored(&before, id, before.number);
	assert_int_equal(sync_adopt(sync_, s), 0);
	assert_int_equal(sync_adopt_end(sync_), 3);
	next_daemon(0);
	forget(&before);
}

/* The bits tell the legs apart, and RTCP has none. */
static void test_adopt_some(void **state)
{
	struct session before, *s;
	int lacks;

	(void)state;
	for (lacks = 0; lacks < 4; lacks++) {
		leave_a_call(&before);
		next_daemon(3);
		if (lacks & 1)
			memset(&fake->flows[0][4000], 0, sizeof(fake->flows[0][0]));
		if (lacks & 2)
			memset(&fake->flows[0][4002], 0, sizeof(fake->flows[0][0]));
		sync_adopt_begin(sync_);
		s = restored(&before, before.call_id, before.number);
		assert_int_equal(sync_adopt(sync_, s), 3 & ~lacks);
		assert_true(s->leg[0].installed & 1 << STREAM_RTCP);
		assert_int_equal(sync_adopt_end(sync_), 0);
		sync_run(sync_); /* missing flows are installed as usual */
		assert_int_equal(why(s, 0, STREAM_RTP), FLOW_WHY_KERNEL);
		assert_int_equal(why(s, 1, STREAM_RTP), FLOW_WHY_KERNEL);
		sync_close(sync_, s);
		forget(&before);
		next_daemon(0);
	}
}

static void stray(enum rtpx_family family, uint16_t port, uint16_t hop)
{
	fake->flows[family][port] = (struct rtpx_flow){
		.flags = RTPX_FLOW_ACTIVE, .port = port, .call = 77, .nexthop = hop
	};
}

/* Exactly the flows that no session has taken over are removed, of any port and family. */
static void test_adopt_removes_the_rest(void **state)
{
	static const uint16_t ports[] = { 1, 2, 63, 64, 65, 4001, 32767, 32768, 65534, 65535 };
	struct session before, *s, *fresh;
	size_t i;

	(void)state;
	leave_a_call(&before);
	next_daemon(3 + 2 * ARRAY_SIZE(ports) - 1);
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		if (ports[i] != 4001) /* taken in IPv4 */
			stray(RTPX_FAMILY_IP4, ports[i], 900);
		stray(RTPX_FAMILY_IP6, ports[i], 901);
	}
	sync_adopt_begin(sync_);
	s = restored(&before, before.call_id, before.number);
	assert_int_equal(sync_adopt(sync_, s), 3);
	/*
	 * Installed before the end of adoption, on other ports: not a flow of the earlier daemon.
	 */
	fresh = call_on("198.51.100.1", "198.51.100.2", 5000);
	answered(fresh, CALLEE, CALLER);
	assert_int_equal(sync_adopt_end(sync_), 2 * ARRAY_SIZE(ports) - 1);
	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		assert_int_equal(fake->flows[RTPX_FAMILY_IP6][ports[i]].flags, 0);
		if (ports[i] != 4001)
			assert_int_equal(fake->flows[RTPX_FAMILY_IP4][ports[i]].flags, 0);
	}
	assert_true(has_flow(s, 0, STREAM_RTP) && has_flow(s, 1, STREAM_RTP) &&
		    has_flow(s, 0, STREAM_RTCP));
	assert_true(has_flow(fresh, 0, STREAM_RTP) && has_flow(fresh, 1, STREAM_RTP));
	assert_int_equal(sync_adopt_end(sync_), 0);
	forget(&before);
}

/* A next hop id of inherited flows belongs to their destination until the end of adoption. */
static void test_adopt_keeps_next_hops(void **state)
{
	struct session before, *first, *s;
	uint16_t hop;

	(void)state;
	leave_a_call(&before);
	hop = flow_of(&before, 0, STREAM_RTP)->nexthop;
	next_daemon(3);
	sync_adopt_begin(sync_);
	first = call_on("198.51.100.1", "198.51.100.2", 5000); /* else gets the lowest ids */
	answered(first, "192.0.2.30", "192.0.2.40");
	assert_int_not_equal(first->leg[0].nexthop[STREAM_RTP], hop);
	assert_int_not_equal(first->leg[1].nexthop[STREAM_RTP], hop);
	s = restored(&before, before.call_id, before.number);
	assert_int_equal(sync_adopt(sync_, s), 3);
	assert_int_equal(flow_of(s, 0, STREAM_RTP)->nexthop, hop);
	assert_int_equal(sync_adopt_end(sync_), 0);
	assert_false(fake_hops.reserved[hop]);
	forget(&before);
}

/* A new dataplane has no flows of an earlier daemon, so sync does not search for any. */
static void test_adopt_nothing_inherited(void **state)
{
	struct session *s;

	(void)state;
	next_daemon(0);
	stray(RTPX_FAMILY_IP4, 100, 900);
	sync_adopt_begin(sync_);
	s = call();
	assert_int_equal(sync_adopt(sync_, s), 0);
	assert_int_equal(sync_adopt_end(sync_), 0);
	assert_int_not_equal(fake->flows[RTPX_FAMILY_IP4][100].flags, 0);
	memset(&fake->flows[RTPX_FAMILY_IP4][100], 0, sizeof(fake->flows[0][0]));
}

/* A leg without a port owns no flow, even if the numbers match. */
static void test_adopt_without_port(void **state)
{
	struct session before = { 0 }, *s;

	(void)state;
	next_daemon(1);
	stray(RTPX_FAMILY_IP4, 0, 900);
	stray(RTPX_FAMILY_IP4, 1, 900);
	snprintf(fake->flows[0][0].label, RTPX_LABEL_LEN, "half");
	snprintf(fake->flows[0][1].label, RTPX_LABEL_LEN, "half");
	sync_adopt_begin(sync_);
	s = restored(&before, "half", 77);
	assert_int_equal(sync_adopt(sync_, s), 0);
	assert_int_equal(sync_adopt_end(sync_), 1);
	memset(&fake->flows[0][0], 0, sizeof(fake->flows[0][0]));
}

static int by_random(const void *a, const void *b)
{
	return *(const uint32_t *)a < *(const uint32_t *)b ? -1 : 1;
}

/*
 * G counts without a pull: whatever happens between, its counters are those of all packets, they
 * never go back, and a later pull adds nothing.
 */
static void test_count(void **state)
{
	enum { CALLS = 8, ROUNDS = 4000 };
	struct session *s[CALLS];
	uint64_t relayed = 0, strangers = 0, t = 1000;
	unsigned int i, n, seq = 1;

	(void)state;
	srand(3);
	for (i = 0; i < CALLS; i++) {
		s[i] = call_on("198.51.100.1", "198.51.100.2", 4000 + 4 * i);
		answered(s[i], CALLEE, CALLER);
	}
	for (n = 0; n < ROUNDS; n++) {
		unsigned int leg = rand() % 2;
		const char *host = leg ? CALLER : CALLEE;

		i = rand() % CALLS;
		t += 1000;
		seq++;
		switch (rand() % 12) {
		case 0: /* a packet on the sockets */
			hear(s[i], leg, STREAM_RTP, host, 5000, seq, t);
			break;
		case 1: /* a stranger's packet on the sockets: judged by the daemon alone */
			hear(s[i], leg, STREAM_RTP, "203.0.113.66", 5000, seq, t);
			break;
		case 2:
			arrives(s[i], leg, STREAM_RTP, "203.0.113.66", 5000, seq, t);
			strangers++;
			break;
		case 3:
			sync_pull(sync_, s[i]);
			break;
		case 4: /* the call ends, and another one gets its ports */
			sync_close(sync_, s[i]);
			stats.live_relayed -= s[i]->kernel_relayed;
			stats.live_strangers -= s[i]->kernel_strangers;
			session_destroy(sessions, s[i]);
			s[i] = call_on("198.51.100.1", "198.51.100.2", 4000 + 4 * i);
			answered(s[i], CALLEE, CALLER);
			break;
		case 5:
			fake->no_totals = rand() % 4 ? 0 : -ENOMEM;
			sync_count(sync_);
			fake->no_totals = 0;
			assert_int_equal(stats.npkts_relayed, relayed);
			assert_int_equal(stats.npkts_discard, strangers);
			assert_int_equal(stats.npkts_rcvd, relayed + strangers);
			break;
		default:
			assert_int_equal(arrives(s[i], leg, STREAM_RTP, host, 5000, seq, t),
					 RTPX_REASON_relayed);
			relayed++;
		}
		assert_in_range(stats.npkts_relayed, 0, relayed);
	}
	sync_count(sync_);
	sync_pull_all(sync_);
	assert_int_equal(stats.npkts_relayed, relayed);
	assert_int_equal(stats.npkts_discard, strangers);
	assert_int_equal(sync_->ahead_relayed + sync_->ahead_strangers, 0);
	for (i = 0, relayed = 0; i < CALLS; i++)
		relayed += s[i]->kernel_relayed;
	assert_int_equal(stats.live_relayed, relayed);
}

/* A pull takes the statistics of all flows: here 15,000 calls, on ports in random order. */
static unsigned int swept_at; /* of the flows of the first family, by port */
static int sweep_error;

/* As the module does: some flows in a call. */
static int fake_stats_sweep(struct dp *dp, uint64_t until_ns,
			    void (*take)(void *arg, const struct dp_swept *flow), void *arg)
{
	struct fake_dp *f = fake_of(dp);
	unsigned int n = 0;

	if (sweep_error)
		return sweep_error;
	for (; swept_at < FAKE_PORTS && (n < 3 || until_ns == UINT64_MAX); swept_at++) {
		struct rtpx_flow *flow = &f->flows[0][swept_at];

		if (!(flow->flags & RTPX_FLOW_ACTIVE))
			continue;
		take(arg, &(struct dp_swept){ 0, swept_at, flow->call, f->stats[0][swept_at] });
		n++;
	}
	swept_at %= FAKE_PORTS;
	return swept_at > 0;
}

static struct session *relayed_call(uint16_t port)
{
	struct session *s = call_on("198.51.100.1", "198.51.100.2", port);

	signal_to(s, 0, CALLEE);
	signal_to(s, 1, CALLER);
	hear(s, 0, STREAM_RTP, CALLEE, 5000, 1, 1000);
	hear(s, 1, STREAM_RTP, CALLER, 5000, 1, 1000);
	sync_run(sync_);
	return s;
}

static void each_arrives(struct session *s[], unsigned int n, unsigned int seq)
{
	for (unsigned int i = 0; i < n; i++) {
		arrives(s[i], 0, STREAM_RTP, CALLEE, 5000, seq, 1000 + seq);
		arrives(s[i], 1, STREAM_RTP, CALLER, 5000, seq, 1000 + seq);
	}
}

/* A dataplane that gives the statistics of all flows by one question, in parts or at once. */
static void test_sweep(void **state)
{
	static struct dp_ops ops; /* end() uses it if the test fails in the middle */
	const struct dp_ops *plain = fake->dp.ops;
	struct session *s[3];
	unsigned int i, turns = 0;

	(void)state;
	assert_false(sync_sweeps(sync_));
	ops = *plain;
	ops.stats_sweep = fake_stats_sweep;
	fake->dp.ops = &ops;
	assert_true(sync_sweeps(sync_));
	for (i = 0; i < 3; i++)
		s[i] = relayed_call(4000 + 4 * i);
	each_arrives(s, 3, 2);
	while (sync_sweep(sync_, 0) > 0)
		turns++;
	assert_in_range(turns, 1, 3);
	assert_int_equal(stats.npkts_relayed, 6);
	assert_int_equal(s[2]->leg[1].stream[STREAM_RTP].stats->packets, 2);

	/* A round that has begun is no reason to miss later packets. */
	each_arrives(s, 3, 3);
	assert_int_equal(sync_sweep(sync_, 0), 1);
	each_arrives(s, 3, 4);
	sync_pull_all(sync_);
	assert_int_equal(stats.npkts_relayed, 18);

	/* Without an answer each flow is asked for. */
	sweep_error = -ENOBUFS;
	each_arrives(s, 3, 5);
	sync_pull_all(sync_);
	assert_int_equal(stats.npkts_relayed, 24);
	sweep_error = 0;

	/* A flow that its session does not have is nobody's. */
	each_arrives(s, 1, 6);
	s[0]->leg[0].installed = 0;
	sync_pull_all(sync_);
	assert_int_equal(stats.npkts_relayed, 25);
	s[0]->leg[0].installed = 1 << STREAM_RTP;
	fake->dp.ops = plain;
}

static void test_pull_all(void **state)
{
	enum { CALLS = 15000 };
	static struct {
		uint32_t random;
		uint16_t port;
	} places[CALLS];
	static struct session *s[CALLS];
	uint64_t best = UINT64_MAX, packets = 0;
	unsigned int i, round;

	(void)state;
	for (i = 0; i < CALLS; i++) {
		places[i].random = rand();
		places[i].port = 4 + 4 * i;
	}
	qsort(places, CALLS, sizeof(places[0]), by_random);
	for (i = 0; i < CALLS; i++) {
		s[i] = call_on("198.51.100.1", "198.51.100.2", places[i].port);
		signal_to(s[i], 0, CALLEE);
		signal_to(s[i], 1, CALLER);
		hear(s[i], 0, STREAM_RTP, CALLEE, 5000, 1, 1000);
		hear(s[i], 0, STREAM_RTCP, CALLEE, 5001, 1, 1000);
		hear(s[i], 1, STREAM_RTP, CALLER, 5000, 1, 1000);
		hear(s[i], 1, STREAM_RTCP, CALLER, 5001, 1, 1000);
		sync_run(sync_);
	}
	assert_int_equal(fake->puts, 4 * CALLS);
	for (round = 0; round < 5; round++) {
		uint64_t start, took;

		for (i = 0; i < CALLS; i++) {
			arrives(s[i], 0, STREAM_RTP, CALLEE, 5000, 2 + round, 2000 + round);
			arrives(s[i], 1, STREAM_RTP, CALLER, 5000, 2 + round, 2000 + round);
		}
		packets += 2 * CALLS;
		start = test_now_ns();
		sync_pull_all(sync_);
		took = test_now_ns() - start;
		best = MIN(best, took);
		assert_int_equal(stats.npkts_relayed, packets);
	}
	print_message("%d flows pulled in %.2f ms, %.0f ns each\n", 4 * CALLS, best / 1e6,
		      best / 4.0 / CALLS);
	assert_true(best < 4 * CALLS * 2000ull);
}

/* Packets that the dataplane could not copy are reported once, at any pull and at the end. */
static void test_unmirrored(void **state)
{
	struct session *s = call();

	(void)state;
	memset(&unmirrored, 0, sizeof(unmirrored));
	answered(s, CALLEE, CALLER);
	arrives(s, 0, STREAM_RTP, CALLEE, 5000, 2, 2000);
	fake->stats[0][4000].unmirrored = 1;
	sync_pull(sync_, s);
	sync_pull_all(sync_);
	assert_ptr_equal(unmirrored.session, s);
	assert_int_equal(unmirrored.packets, 1);
	hear(s, 0, STREAM_RTP, CALLEE, 5000, 3, 3000);
	arrives(s, 0, STREAM_RTP, CALLEE, 5000, 4, 4000);
	fake->stats[0][4000].unmirrored++;
	sync_close(sync_, s);
	assert_int_equal(unmirrored.packets, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_incomplete, begin, end),
		cmocka_unit_test_setup_teardown(test_install, begin, end),
		cmocka_unit_test_setup_teardown(test_next_hops, begin, end),
		cmocka_unit_test_setup_teardown(test_peer_moves, begin, end),
		cmocka_unit_test_setup_teardown(test_new_address_awaited, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_table_full, begin, end),
		cmocka_unit_test_setup_teardown(test_no_dataplane, begin_without_dataplane, end),
		cmocka_unit_test_setup_teardown(test_by_sockets, begin, end),
		cmocka_unit_test_setup_teardown(test_double, begin_double, end),
		cmocka_unit_test_setup_teardown(test_families, begin, end),
		cmocka_unit_test_setup_teardown(test_nexthop_changes, begin, end),
		cmocka_unit_test_setup_teardown(test_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_links_change, begin, end),
		cmocka_unit_test_setup_teardown(test_wildcard, begin, end),
		cmocka_unit_test_setup_teardown(test_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_both_count, begin, end),
		cmocka_unit_test_setup_teardown(test_unmirrored, begin, end),
		cmocka_unit_test_setup_teardown(test_close, begin, end),
		cmocka_unit_test_setup_teardown(test_step_back, begin, end),
		cmocka_unit_test_setup_teardown(test_slices, begin, end),
		cmocka_unit_test_setup_teardown(test_slices_end_in_time, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_whose, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_long_call_id, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_some, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_removes_the_rest, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_keeps_next_hops, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_nothing_inherited, begin, end),
		cmocka_unit_test_setup_teardown(test_adopt_without_port, begin, end),
		cmocka_unit_test_setup_teardown(test_count, begin, end),
		cmocka_unit_test_setup_teardown(test_sweep, begin, end),
		cmocka_unit_test_setup_teardown(test_pull_all, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
