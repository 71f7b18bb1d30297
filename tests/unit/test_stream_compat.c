/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stream_compat.c - compares `compat` with a second model of rtpproxy's rules, over random
 * events. The model follows the protocol page ("Where packets are sent") step by step. It has no
 * states, statistics or dataplanes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/call/stream.c"

#define START_NS (1000 * NSEC_PER_SEC)

/* ---- the rules ---- */

struct rules {
	bool rtp, asymmetric;
	struct addr remote, prev; /* family ADDR_NONE: none */
	bool untrusted, latched;
	bool has_ssrc, has_seq_time, updated;
	uint32_t ssrc;
	uint16_t seq;
	uint64_t seq_time, last_update;
	bool analysed;		/* the analyser has seen a packet … */
	uint32_t analysed_ssrc; /* … of this SSRC last */
};

static bool known(const struct addr *a)
{
	return a->family != ADDR_NONE;
}

static bool in_window(const struct rules *r, uint64_t now)
{
	return r->updated && now - r->last_update < 10 * NSEC_PER_SEC;
}

static void rules_prefill(struct rules *r, const struct addr *a, bool asymmetric, uint64_t now)
{
	r->asymmetric = asymmetric;
	if (known(&r->remote)) {
		r->updated = true;
		r->last_update = now;
	}
	if (!r->untrusted && !addr_eq(&r->remote, a)) {
		if (known(&r->remote) && r->latched)
			r->prev = r->remote;
		r->remote = *a;
	}
	if (asymmetric)
		r->latched = true;
}

static void rules_latch(struct rules *r, const struct rtpx_packet *p)
{
	if (in_window(r, p->now_ns))
		return;
	r->has_ssrc = r->rtp && p->kind == RTPX_PAYLOAD_RTP;
	if (r->has_ssrc) {
		r->ssrc = p->ssrc;
		r->seq = p->rtp_seq;
	}
	r->latched = !(r->has_ssrc && r->ssrc == 0);
}

static void rules_fill(struct rules *r, struct rules *rtcp, const struct addr *src)
{
	r->untrusted = true;
	r->remote = *src;
	if (!known(&r->prev) || !addr_eq(&r->prev, src))
		r->latched = true;
	if (!r->rtp || src->port == 65535)
		return;
	if (!known(&rtcp->remote) || !addr_host_eq(&rtcp->remote, src)) {
		rtcp->remote = addr_with_port(*src, src->port + 1);
		rtcp->latched = rtcp->asymmetric;
	}
}

static bool rules_override(struct rules *r, const struct rtpx_packet *p)
{
	if (!r->rtp || !r->has_ssrc || p->kind != RTPX_PAYLOAD_RTP)
		return false;
	if (!in_window(r, p->now_ns) &&
	    (p->ssrc != r->ssrc || (uint16_t)(p->rtp_seq - r->seq) > 536))
		return false;
	r->seq = p->rtp_seq;
	return true;
}

static bool rules_symmetric(struct rules *r, struct rules *rtcp, const struct addr *src,
			    const struct rtpx_packet *p)
{
	if (!known(&r->remote)) {
		rules_fill(r, rtcp, src);
	} else if (!addr_eq(src, &r->remote)) {
		if (r->latched) {
			if (!rules_override(r, p))
				return false;
			rules_fill(r, rtcp, src);
		} else {
			rules_latch(r, p);
			rules_fill(r, rtcp, src);
		}
	} else if (!r->latched) {
		rules_latch(r, p);
	}
	if (r->rtp && p->kind == RTPX_PAYLOAD_RTP && r->has_ssrc && r->ssrc == p->ssrc &&
	    (!r->has_seq_time || p->now_ns - r->seq_time >= NSEC_PER_SEC)) {
		r->seq = p->rtp_seq;
		r->seq_time = p->now_ns;
		r->has_seq_time = true;
	}
	return true;
}

/* Returns true if the packet is relayed. */
static bool rules_packet(struct rules *r, struct rules *rtcp, const struct addr *src,
			 const struct rtpx_packet *p)
{
	if (r->asymmetric && known(&r->remote)) {
		if (!addr_host_eq(src, &r->remote))
			return false;
	} else if (!rules_symmetric(r, rtcp, src, p)) {
		return false;
	}
	if (!r->rtp || p->kind != RTPX_PAYLOAD_RTP)
		return true;
	if (r->analysed && r->analysed_ssrc != p->ssrc)
		rules_latch(r, p);
	r->analysed = true;
	r->analysed_ssrc = p->ssrc;
	return true;
}

/* ---- random events ---- */

struct world {
	struct rules rules[STREAM_KINDS];
	struct stream stream[STREAM_KINDS];
	uint64_t now_ns;
	uint16_t seq;
	char story[8192]; /* the events so far, to print at a failure */
	size_t told;
};

static void tell(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void tell(struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	w->told += vsnprintf(w->story + w->told, sizeof(w->story) - w->told, fmt, ap);
	va_end(ap);
	assert_true(w->told < sizeof(w->story));
}

/* Print the whole story; cmocka would cut its message. */
static void fail_with(const struct world *w)
{
	fputs(w->story, stderr);
	fail();
}

static struct addr somebody(int kind)
{
	static const uint16_t ports[] = { 1000, 1010, 65534, 65535 };
	struct addr a = { .family = ADDR_IP4, .ip = { 192, 0, 2, 1 + rand() % 3 } };

	a.port = ports[rand() % (rand() % 4 ? 2 : 4)];
	if (kind == STREAM_RTCP && a.port != 65535)
		a.port++;
	return a;
}

static void pass_time(struct world *w)
{
	static const unsigned int ms[] = {
		0, 20, 20, 20, 20, 20, 300, 999, 1000, 1500, 9999, 10000
	};

	w->now_ns += ms[rand() % (rand() % 4 ? 6 : ARRAY_SIZE(ms))] * NSEC_PER_MSEC;
}

static void command(struct world *w)
{
	struct addr a = somebody(STREAM_RTP);
	bool asymmetric = rand() % 4 == 0;
	char text[ADDR_TEXT];
	int kind;

	tell(w, "signalled %s%s\n", addr_text(&a, text), asymmetric ? ", asymmetric" : "");
	for (kind = 0; kind < STREAM_KINDS; kind++, a.port++) {
		if (!a.port)
			return; /* RTCP has no port */
		stream_signal(&w->stream[kind], &a, asymmetric, LEARN_COMPAT, w->now_ns);
		rules_prefill(&w->rules[kind], &a, asymmetric, w->now_ns);
	}
}

static uint16_t next_seq(struct world *w)
{
	static const int steps[] = { 1, 1, 1, 1, 2, -1, 0, 20, 536, 537, -537, 5000 };

	w->seq += steps[rand() % (rand() % 4 ? 4 : ARRAY_SIZE(steps))];
	return w->seq;
}

static void packet(struct world *w)
{
	int kind = rand() % 4 == 0 ? STREAM_RTCP : STREAM_RTP;
	struct addr src = somebody(kind);
	struct rtpx_packet p = {
		.kind = kind == STREAM_RTP && rand() % 8 ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER,
		.ssrc = rand() % 6 ? 1 : rand() % 3,
		.now_ns = w->now_ns,
		.payload_bytes = 172,
	};
	bool moved, want, got;
	char text[ADDR_TEXT];

	if (known(&w->stream[kind].remote) && rand() % 3)
		src = w->stream[kind].remote;
	if (p.kind == RTPX_PAYLOAD_RTP)
		p.rtp_seq = next_seq(w);
	got = stream_packet(&w->stream[kind], &w->stream[!kind], &src, &p, LEARN_COMPAT, &moved) ==
	      STREAM_RELAY;
	want = rules_packet(&w->rules[kind], &w->rules[!kind], &src, &p);
	tell(w, "%s from %s, SSRC %u, number %u: %s\n",
	     kind			  ? "RTCP"
	     : p.kind == RTPX_PAYLOAD_RTP ? "RTP"
					  : "UDP",
	     addr_text(&src, text), p.ssrc, p.rtp_seq, got ? "relayed" : "ignored");
	if (got != want) {
		tell(w, "it should have been %s\n", want ? "relayed" : "ignored");
		fail_with(w);
	}
}

static void compare(struct world *w, int kind)
{
	const struct rules *r = &w->rules[kind];
	const struct stream *s = &w->stream[kind];
	char got[ADDR_TEXT], want[ADDR_TEXT];

	if (addr_eq(&s->remote, &r->remote) && (s->state == STREAM_LATCHED) == r->latched &&
	    s->untrusted == r->untrusted)
		return;
	tell(w, "%s: to %s, latched %d, untrusted %d; should be to %s, %d, %d\n",
	     kind ? "RTCP" : "RTP", addr_text(&s->remote, got), s->state == STREAM_LATCHED,
	     s->untrusted, addr_text(&r->remote, want), r->latched, r->untrusted);
	fail_with(w);
}

static void same_as_the_rules(void **state)
{
	static struct world w;
	int call, event;

	(void)state;
	srand(11);
	for (call = 0; call < 30000; call++) {
		w = (struct world){ .now_ns = START_NS, .seq = rand() };
		w.rules[STREAM_RTP].rtp = true;
		stream_init(&w.stream[STREAM_RTP], STREAM_RTP);
		stream_init(&w.stream[STREAM_RTCP], STREAM_RTCP);
		for (event = 0; event < 60; event++) {
			pass_time(&w);
			tell(&w, "%5.2f s: ", (double)(w.now_ns - START_NS) / 1e9);
			if (rand() % 10 == 0)
				command(&w);
			else
				packet(&w);
			compare(&w, STREAM_RTP);
			compare(&w, STREAM_RTCP);
		}
		stream_free(&w.stream[STREAM_RTP]);
		stream_free(&w.stream[STREAM_RTCP]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(same_as_the_rules) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
