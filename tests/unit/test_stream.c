/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stream.c - what each way of learning makes of a sequence of events, and a storm of strangers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/stream.c"

#define START_NS (1000 * NSEC_PER_SEC)
#define PACKET_NS (20 * NSEC_PER_MSEC)

/* Hosts and ports by a letter and a number: "A1" is host 10.0.0.A, port 1000 + 1. */
static struct addr place(const char *name)
{
	if (!name || !*name)
		return (struct addr){ 0 };
	return (struct addr){ .family = ADDR_IP4, .port = 1000 + atoi(name + 1), .ip = { 10, 0, 0, name[0] } };
}

enum act { END, RTP, RTCP, UDP, FORWARDED, SIGNAL, SIGNAL_ASYMMETRIC, WAIT_MS };

struct event {
	enum act act;
	const char *who; /* source, or signalled address */
	uint32_t ssrc;	 /* WAIT_MS: how long */
	uint16_t seq;
	const char *verdict; /* "+" relayed, "-" ignored; "" for commands */
	const char *remote;  /* of the RTP stream afterwards; "" none, NULL: not looked at */
	const char *rtcp;    /* of the RTCP stream afterwards */
};

struct scenario {
	const char *name;
	enum learning how;
	struct event events[16];
};

static const struct scenario scenarios[] = {
	{ "proof: the signalled address latches at once", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "-", "A0", "A1" } } },
	{ "proof: another port of the signalled host latches at once, RTCP beside it", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A40", 7, 1, "+", "A40", "A41" },
		{ RTP, "A0", 7, 2, "-", "A40", NULL } } },
	{ "proof: three packets from elsewhere", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B50", 7, 1, "-", "A0", "A1" },
		{ RTP, "B50", 7, 2, "-", "A0", "A1" },
		{ RTP, "B50", 7, 3, "+", "B50", "B51" },
		{ RTP, "A0", 7, 4, "-", "B50", "B51" } } },
	{ "proof: a sequence that does not rise proves nothing", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 5, "-", "A0", NULL },
		{ RTP, "B0", 7, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 3, "-", "A0", NULL },
		{ RTP, "B0", 8, 4, "-", "A0", NULL },
		{ RTP, "B0", 7, 5, "-", "A0", NULL },
		{ RTP, "B0", 7, 1000, "-", "A0", NULL },
		{ RTP, "B0", 7, 1001, "-", "A0", NULL },
		{ RTP, "B0", 7, 1002, "+", "B0", NULL } } },
	{ "proof: a candidate keeps its place against others", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ RTP, "C0", 9, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "D0", 9, 2, "-", "A0", NULL },
		{ RTP, "B0", 7, 3, "+", "B0", NULL } } },
	{ "proof: a candidate that pauses loses its place", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ WAIT_MS, NULL, 150, 0, "", NULL, NULL },
		{ RTP, "C0", 9, 1, "-", "A0", NULL },
		{ RTP, "C0", 9, 2, "-", "A0", NULL },
		{ RTP, "C0", 9, 3, "+", "C0", NULL } } },
	{ "proof: nothing known, a candidate is relayed", LEARN_PROOF, {
		{ RTP, "B0", 7, 1, "+", "", "" },
		{ RTP, "C0", 8, 1, "-", "", "" },
		{ RTP, "B0", 7, 2, "+", "", "" },
		{ RTP, "B0", 7, 3, "+", "B0", "B1" } } },
	{ "proof: what is not RTP proves nothing", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ UDP, "B0", 0, 0, "-", "A0", NULL },
		{ UDP, "B0", 0, 0, "-", "A0", NULL },
		{ UDP, "B0", 0, 0, "-", "A0", NULL },
		{ UDP, "A0", 0, 0, "+", "A0", NULL } } },
	{ "proof: fax after audio, from a host that was proven", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", NULL, NULL },
		{ RTP, "B0", 7, 2, "-", NULL, NULL },
		{ RTP, "B0", 7, 3, "+", "B0", NULL },
		{ SIGNAL, "A8", 0, 0, "", "A8", NULL },
		{ UDP, "B9", 0, 0, "+", "B9", NULL } } },
	{ "proof: the same SSRC from elsewhere is followed only after silence", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "B0", 8, 3, "-", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 600, "-", "A0", NULL },
		{ RTP, "B0", 7, 30, "+", "B0", "B1" } } },
	{ "proof: a new signalled address is used at once, the old one does not pull back", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ SIGNAL, "C0", 0, 0, "", "C0", "C1" },
		{ RTP, "A0", 7, 2, "+", "C0", "C1" },
		{ RTP, "A0", 7, 3, "+", "C0", "C1" },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" },
		{ RTP, "A0", 7, 4, "-", "C0", "C1" } } },
	{ "proof: the old address comes back when the new one stays silent", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ SIGNAL, "C0", 0, 0, "", "C0", NULL },
		{ WAIT_MS, NULL, 2100, 0, "", NULL, NULL },
		{ RTP, "A0", 7, 60, "+", "A0", NULL } } },
	{ "proof: the same address signalled again changes nothing", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", NULL, NULL },
		{ RTP, "B0", 7, 2, "-", NULL, NULL },
		{ RTP, "B0", 7, 3, "+", "B0", NULL },
		{ SIGNAL, "A0", 0, 0, "", "B0", NULL },
		{ RTP, "A0", 7, 4, "-", "B0", NULL } } },
	{ "proof: RTCP is trusted on the host that RTP has latched", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTCP, "B7", 7, 0, "-", "A0", "A1" },
		{ RTP, "B0", 7, 1, "-", NULL, NULL },
		{ RTP, "B0", 7, 2, "-", NULL, NULL },
		{ RTP, "B0", 7, 3, "+", "B0", "B1" },
		{ RTCP, "C1", 7, 0, "-", "B0", "B1" },
		{ RTCP, "B7", 7, 0, "+", "B0", "B7" },
		{ RTCP, "B1", 7, 0, "-", "B0", "B7" } } },
	{ "proof: asymmetric, any port of the host, nothing learned", LEARN_PROOF, {
		{ SIGNAL_ASYMMETRIC, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A9", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "-", "A0", "A1" },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A9", 7, 3, "+", "A9", NULL } } },
	{ "proof: the old address speaks on for long, and does not pull back meanwhile", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ SIGNAL, "C0", 0, 0, "", "C0", "C1" },
		{ RTP, "A0", 7, 2, "+", "C0", "C1" },
		{ RTP, "A0", 7, 3, "+", "C0", "C1" },
		{ RTP, "A0", 7, 4, "+", "C0", "C1" },
		{ RTP, "A0", 7, 5, "+", "C0", "C1" },
		{ RTP, "C0", 9, 1, "+", "C0", "C1" },
		{ RTP, "A0", 7, 6, "-", "C0", "C1" } } },
	{ "proof: strangers of one packet do not keep a source from proving itself", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "X0", 5, 1, "-", "A0", NULL },
		{ RTP, "Y0", 6, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 1, "-", "A0", NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "B0", 7, 3, "+", "B0", NULL } } },
	{ "proof: RTCP follows RTP to another port of the same NAT", LEARN_PROOF, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A0", 7, 1, "+", "A0", "A1" },
		{ RTCP, "A1", 7, 0, "+", "A0", "A1" },
		{ RTCP, "A61", 7, 0, "-", "A0", "A1" },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "A60", 7, 30, "+", "A60", "A61" },
		{ RTCP, "A71", 7, 0, "+", "A60", "A71" },
		{ RTCP, "A61", 7, 0, "-", "A60", "A71" } } },

	{ "strict: nobody but the signalled host", LEARN_STRICT, {
		{ RTP, "B0", 7, 1, "-", "", "" },
		{ RTP, "B0", 7, 2, "-", "", "" },
		{ RTP, "B0", 7, 3, "-", "", "" },
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 4, "-", "A0", "A1" },
		{ RTP, "B0", 7, 5, "-", "A0", "A1" },
		{ RTP, "B0", 7, 6, "-", "A0", "A1" },
		{ RTP, "A9", 7, 7, "+", "A9", "A10" },
		{ RTCP, "B1", 7, 0, "-", NULL, "A10" } } },
	{ "strict: the SSRC goes on elsewhere, on the signalled host only", LEARN_STRICT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ WAIT_MS, NULL, 600, 0, "", NULL, NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "A5", 7, 3, "+", "A5", NULL } } },

	{ "compat: the first packet from anywhere wins", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "B0", 7, 1, "+", "B0", "B1" },
		{ RTP, "C0", 9, 1, "-", "B0", "B1" },
		{ SIGNAL, "A4", 0, 0, "", "B0", "A5" } } }, /* no RTCP has come, so its address is not learned */
	{ "compat: the same SSRC is followed at once, within 536", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ RTP, "B0", 7, 538, "-", "A0", NULL },
		{ RTP, "B0", 7, 537, "+", "B0", "B1" } } },
	{ "compat: handover is judged by the number noted up to a second ago", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 100, "+", "A0", NULL },
		{ RTP, "A0", 7, 140, "+", "A0", NULL },
		{ RTP, "B0", 7, 139, "+", "B0", NULL } } },
	{ "compat: a new SSRC that only the dataplane has seen is followed too", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ FORWARDED, NULL, 9, 4000, "", "A0", NULL },
		{ RTP, "B0", 7, 2, "-", "A0", NULL },
		{ RTP, "B0", 9, 4001, "+", "B0", NULL } } },
	{ "compat: handover after seconds in the dataplane", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ WAIT_MS, NULL, 20000, 0, "", NULL, NULL },
		{ FORWARDED, NULL, 7, 1000, "", "A0", NULL },
		{ RTP, "B0", 7, 1001, "+", "B0", NULL } } },
	{ "compat: for ten seconds after a second U anyone takes over", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "B0", 9, 50, "+", "B0", "B1" },
		{ WAIT_MS, NULL, 10100, 0, "", NULL, NULL },
		{ RTP, "C0", 11, 5, "-", "B0", NULL } } },
	{ "compat: learned without prefill, locked until the SSRC changes", LEARN_COMPAT, {
		{ RTP, "B0", 7, 1, "+", "B0", "B1" },
		{ RTP, "C0", 7, 2, "-", "B0", NULL },
		{ RTP, "B0", 8, 1, "+", "B0", NULL },
		{ RTP, "C0", 8, 2, "+", "C0", "C1" } } },
	{ "compat: a new trusted address is used, packets from the old one pull back", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", NULL },
		{ RTP, "A0", 7, 1, "+", "A0", NULL },
		{ SIGNAL, "C0", 0, 0, "", "C0", NULL },
		{ RTP, "A0", 7, 2, "+", "A0", NULL } } },
	{ "compat: RTCP latches by itself and is held", LEARN_COMPAT, {
		{ SIGNAL, "A0", 0, 0, "", "A0", "A1" },
		{ RTCP, "B1", 7, 0, "+", "A0", "B1" },
		{ RTCP, "C1", 7, 0, "-", "A0", "B1" },
		{ RTP, "D0", 7, 1, "+", "D0", "D1" } } },
	{ "compat: asymmetric, host only", LEARN_COMPAT, {
		{ SIGNAL_ASYMMETRIC, "A0", 0, 0, "", "A0", "A1" },
		{ RTP, "A9", 7, 1, "+", "A0", "A1" },
		{ RTP, "B0", 7, 2, "-", "A0", "A1" } } },
};

struct pair {
	struct stream rtp, rtcp;
	uint64_t now_ns;
};

static void pair_init(struct pair *p)
{
	stream_init(&p->rtp, STREAM_RTP);
	stream_init(&p->rtcp, STREAM_RTCP);
	p->now_ns = START_NS;
}

static enum stream_verdict arrive(struct pair *p, enum act act, const struct addr *src, uint32_t ssrc, uint16_t seq,
				  enum learning how)
{
	struct rtpx_packet pkt = {
		.now_ns = p->now_ns += PACKET_NS, .payload_bytes = 172, .kind = act == RTP ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER, .ssrc = ssrc,
		.rtp_seq = seq, .rtp_ts = seq * 160u,
	};
	struct stream *s = act == RTCP ? &p->rtcp : &p->rtp, *companion = act == RTCP ? &p->rtp : &p->rtcp;
	struct stream before = *s, companion_before = *companion;
	enum stream_verdict v;
	bool moved, differs;

	v = stream_packet(s, companion, src, &pkt, how, &moved);
	differs = s->state != before.state || !addr_eq(&s->remote, &before.remote) ||
		  companion->state != companion_before.state ||
		  !addr_eq(&companion->remote, &companion_before.remote);
	assert_int_equal(moved, differs);
	return v;
}

/* A dataplane has relayed a packet from the peer, and its statistics were pulled. */
static void forwarded(struct pair *p, uint32_t ssrc, uint16_t seq)
{
	const struct rtpx_packet pkt = {
		.now_ns = p->now_ns += PACKET_NS, .payload_bytes = 172, .kind = RTPX_PAYLOAD_RTP, .ssrc = ssrc, .rtp_seq = seq,
	};

	rtpx_stats_packet(&p->rtp.stats, &pkt, 1);
}

static void signal_both(struct pair *p, const struct addr *a, bool asymmetric, enum learning how)
{
	struct addr rtcp = addr_with_port(*a, a->port + 1);

	stream_signal(&p->rtp, a, asymmetric, how, p->now_ns);
	stream_signal(&p->rtcp, &rtcp, asymmetric, how, p->now_ns);
}

static void expect_remote(const struct scenario *sc, int i, const char *what, const struct stream *s, const char *want)
{
	struct addr a = place(want);
	char got[ADDR_TEXT];

	if (want && !addr_eq(&s->remote, &a))
		fail_msg("%s, event %d: %s goes to %s, not to %s", sc->name, i, what, addr_text(&s->remote, got), want);
}

static void play(const struct scenario *sc)
{
	struct pair p;
	int i;

	pair_init(&p);
	for (i = 0; sc->events[i].act != END; i++) {
		const struct event *e = &sc->events[i];
		struct addr a = place(e->who);
		enum stream_verdict v;

		if (e->act == FORWARDED) {
			forwarded(&p, e->ssrc, e->seq);
		} else if (e->act == WAIT_MS) {
			p.now_ns += e->ssrc * NSEC_PER_MSEC;
		} else if (e->act == SIGNAL || e->act == SIGNAL_ASYMMETRIC) {
			signal_both(&p, &a, e->act == SIGNAL_ASYMMETRIC, sc->how);
		} else {
			v = arrive(&p, e->act, &a, e->ssrc, e->seq, sc->how);
			if ((v == STREAM_RELAY) != (*e->verdict == '+'))
				fail_msg("%s, event %d: %s", sc->name, i, v == STREAM_RELAY ? "relayed" : "ignored");
		}
		expect_remote(sc, i, "RTP", &p.rtp, e->remote);
		expect_remote(sc, i, "RTCP", &p.rtcp, e->rtcp);
	}
}

static void every_scenario(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		play(&scenarios[i]);
}

/*
 * Packets from very many strangers who know the SSRC, @each of a stranger in a row, a millisecond apart. The peer, when it has latched,
 * talks on. Returns how many were relayed.
 */
static int storm(struct pair *p, enum learning how, int each, const struct addr *peer, uint16_t *seq)
{
	int host, n, relayed = 0;

	for (host = 0; host < 5000; host++) {
		struct addr src = { .family = ADDR_IP4, .port = 5000, .ip = { 172, 16, host >> 8, host } };

		for (n = 0; n < each; n++) {
			relayed += arrive(p, RTP, &src, 7, *seq + 1 + n, how) == STREAM_RELAY;
			relayed += arrive(p, RTCP, &src, 7, 0, how) == STREAM_RELAY;
			p->now_ns -= 2 * PACKET_NS - NSEC_PER_MSEC;
		}
		if (peer && host % 10 == 0)
			assert_int_equal(arrive(p, RTP, peer, 7, ++*seq, how), STREAM_RELAY);
	}
	return relayed;
}

static void strangers_learn_nothing(enum learning how, int each)
{
	struct addr signalled = place("A0"), peer = place("A30");
	uint16_t seq = 100;
	struct pair p;

	pair_init(&p);
	signal_both(&p, &signalled, false, how);
	assert_int_equal(storm(&p, how, each, NULL, &seq), 0);
	assert_true(addr_eq(&p.rtp.remote, &signalled));
	p.now_ns += NSEC_PER_SEC;
	assert_int_equal(arrive(&p, RTP, &peer, 7, ++seq, how), STREAM_RELAY);
	assert_int_equal(storm(&p, how, each, &peer, &seq), 0);
	assert_true(addr_eq(&p.rtp.remote, &peer));
	assert_true(p.rtp.stats.strangers >= 10000);
}

static void storms(void **state)
{
	(void)state;
	strangers_learn_nothing(LEARN_STRICT, 20);
	strangers_learn_nothing(LEARN_PROOF, 2);
}

/* A packet that was in the socket before the command gives no stranger an advantage. */
static void early_packet(void **state)
{
	struct addr a = place("A0"), c = place("C0");
	struct pair p;

	(void)state;
	pair_init(&p);
	signal_both(&p, &a, false, LEARN_PROOF);
	arrive(&p, RTP, &a, 7, 1, LEARN_PROOF);
	p.now_ns += NSEC_PER_SEC;
	signal_both(&p, &c, false, LEARN_PROOF);
	p.now_ns -= NSEC_PER_SEC / 2;
	arrive(&p, RTP, &a, 7, 2, LEARN_PROOF);
	assert_true(addr_eq(&p.rtp.remote, &c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scenario), cmocka_unit_test(storms), cmocka_unit_test(early_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
