/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_rtp.c - any datagrams from any sources, between any commands, through the recognition of RTP
 * and the latch of a leg, in each way of learning; beside it the verdict of a dataplane on the
 * compiled flow.
 *
 * The input is a list of events of four bytes and a payload: what, who, how much later, how long.
 * What must hold after each of them is written in promises_hold() and dataplane_agrees(). Other
 * legs, sockets and the frame around the datagram are not here.
 */
#include <assert.h>

#include "../../daemon/base/addr.c"
#include "../../daemon/call/flow.c"
#include "../../daemon/media/rtp.c"
#include "../../daemon/call/stream.c"
#include "verdict.h"

#define START_NS (1000 * NSEC_PER_SEC)
#define HOSTS 4
#define PORT 4000
#define EVENTS 64 /* of an input, so that a million inputs take minutes */

enum act {
	RAW,
	RAW_RTCP,
	RTP,
	RTP_AGAIN,
	SIGNAL,
	SIGNAL_ASYMMETRIC,
	ASYMMETRIC,
	SYMMETRIC,
	HOLD,
	OTHER_PARTY,
	TICK,
	ACTS
};

struct event {
	uint8_t act, who, later, len;
};

struct world {
	enum learning how;
	struct session s; /* the packets arrive at leg 0; leg 1's peer is known */
	uint64_t now_ns;
	bool signalled[HOSTS];	      /* hosts that a command has named */
	bool went_on[HOSTS];	      /* hosts that continued the SSRC of a silent peer */
	unsigned int rtp_sent[HOSTS]; /* RTP packets of a host */
	bool other_sent[HOSTS];	      /* hosts that sent something else to the RTP port */
	uint64_t relayed[STREAM_KINDS], ignored[STREAM_KINDS];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct addr place(uint8_t host, uint16_t port)
{
	return (struct addr){ .family = ADDR_IP4, .port = port, .ip = { 192, 0, 2, host } };
}

static struct addr place_of(uint8_t who, enum stream_kind kind)
{
	return place(who % HOSTS, 5000 + (who >> 4 & 3) * 2 + kind);
}

static void begin(struct world *w, enum learning how)
{
	int leg, kind;

	*w = (struct world){ .how = how, .now_ns = START_NS };
	w->s.call_id = "call";
	w->s.complete = true;
	legs_name(&w->s);
	for (leg = 0; leg < 2; leg++) {
		w->s.leg[leg].local = place(100 + leg, PORT + 2 * leg);
		for (kind = 0; kind < STREAM_KINDS; kind++)
			stream_init(&w->s.leg[leg].stream[kind], kind);
	}
	w->s.leg[1].stream[STREAM_RTP].remote = place(200, 6000);
	w->s.leg[1].stream[STREAM_RTCP].remote = place(200, 6001);
}

static struct stream *stream_of(struct world *w, enum stream_kind kind)
{
	return &w->s.leg[0].stream[kind];
}

/* ---- what must hold ---- */

/* May the relay send to this host? */
static bool is_entitled(const struct world *w, const struct addr *remote)
{
	uint8_t host = remote->ip[3];

	if (w->signalled[host])
		return true;
	switch (w->how) {
	case LEARN_STRICT:
		return false;
	case LEARN_PROOF:
		return w->rtp_sent[host] >= STREAM_PROOF_PACKETS || w->went_on[host] ||
		       w->other_sent[host];
	default:
		return true;
	}
}

static void promises_hold(struct world *w)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++) {
		const struct stream *s = stream_of(w, kind);

		assert((s->state == STREAM_EMPTY) == (s->remote.family == ADDR_NONE));
		assert(s->state == STREAM_EMPTY || is_entitled(w, &s->remote));
		assert(stream_stats(s)->packets == w->relayed[kind]);
		assert(stream_stats(s)->strangers == w->ignored[kind]);
		assert(rtpx_stats_lost(stream_stats(s)) <= rtpx_stats_expected(stream_stats(s)));
		assert(stream_stats(s)->jitter_q4 <= stream_stats(s)->jitter_max_q4);
	}
}

/* What a dataplane relays or drops by itself, the latch would have relayed or dropped. */
static void dataplane_agrees(const struct world *w, enum rtpx_reason reason, enum stream_verdict v,
			     bool remains)
{
	if (reason == RTPX_REASON_relayed)
		assert(v == STREAM_RELAY && (remains || w->how == LEARN_COMPAT));
	if (reason == RTPX_REASON_drop_stranger)
		assert(v == STREAM_IGNORE && remains);
}

static enum rtpx_reason ask_dataplane(struct world *w, enum stream_kind kind,
				      const struct addr *src, const struct rtpx_packet *pkt)
{
	const struct rtpx_config config = { .port_min = PORT,
					    .port_max = PORT + 1,
					    .silence_ms = STREAM_SILENCE_NS / NSEC_PER_MSEC };
	const struct flow_env env = {
		.learning = w->how, .dataplane = true, .ttl = 64, .nexthop = 1
	};
	struct rtpx_packet p = *pkt;
	struct rtpx_flow flow;
	__u32 from, to; /* aligned, as in a frame */

	if (flow_compile((struct direction){ &w->s.leg[0], kind }, &env, &flow) != FLOW_WHY_KERNEL)
		return RTPX_REASON_pass_no_flow;
	memcpy(&from, src->ip, 4);
	memcpy(&to, w->s.leg[0].local.ip, 4);
	p.family = RTPX_FAMILY_IP4;
	p.src = (const __u8 *)&from;
	p.dst = (const __u8 *)&to;
	p.src_port = src->port;
	p.dst_port = PORT + kind;
	p.ttl = 64;
	return verdict(&config, &flow, stream_stats(stream_of(w, kind)), &p);
}

/* ---- events ---- */

static void arrives(struct world *w, enum stream_kind kind, uint8_t who, const uint8_t *payload,
		    size_t len)
{
	struct stream *s = stream_of(w, kind), *companion = stream_of(w, !kind);
	struct addr src = place_of(who, kind), before = s->remote,
		    companion_before = companion->remote;
	uint8_t state = s->state, companion_state = companion->state;
	struct rtpx_packet pkt = { .now_ns = w->now_ns };
	enum stream_verdict v;
	enum rtpx_reason reason;
	bool moved;

	rtp_describe(&pkt, payload, len);
	if (kind == STREAM_RTP && pkt.kind == RTPX_PAYLOAD_RTP) {
		w->rtp_sent[who % HOSTS]++;
		w->went_on[who % HOSTS] |=
			s->state == STREAM_LATCHED && pkt.ssrc == stream_stats(s)->ssrc &&
			w->now_ns - stream_stats(s)->last_ns >= STREAM_SILENCE_NS;
	}
	w->other_sent[who % HOSTS] |= kind == STREAM_RTP && pkt.kind != RTPX_PAYLOAD_RTP;
	reason = ask_dataplane(w, kind, &src, &pkt);
	v = stream_packet(s, companion, &src, &pkt, w->how, &moved);
	stream_tidy(s);
	if (v == STREAM_RELAY)
		w->relayed[kind]++;
	else
		w->ignored[kind]++;
	if (!moved) {
		assert(addr_eq(&s->remote, &before) && s->state == state);
		assert(addr_eq(&companion->remote, &companion_before));
		assert(companion->state == companion_state);
	}
	if (w->how == LEARN_STRICT)
		assert(v == STREAM_IGNORE || w->signalled[who % HOSTS]);
	dataplane_agrees(w, reason, v, addr_eq(&s->remote, &before) && s->state == state);
}

static void signalled(struct world *w, uint8_t who, bool asymmetric)
{
	struct addr rtp = place_of(who, STREAM_RTP), rtcp = place_of(who, STREAM_RTCP);

	w->signalled[who % HOSTS] = true;
	stream_signal(stream_of(w, STREAM_RTP), &rtp, asymmetric, w->how, w->now_ns);
	stream_signal(stream_of(w, STREAM_RTCP), &rtcp, asymmetric, w->how, w->now_ns);
}

/* A sound RTP packet: the first byte is the SSRC, the next two the sequence number. */
static void rtp_arrives(struct world *w, uint8_t who, const uint8_t *seed, size_t len)
{
	uint8_t packet[32] = { 0x80 };

	if (len < 3)
		return;
	packet[2] = seed[1];
	packet[3] = seed[2];
	packet[11] = seed[0];
	arrives(w, STREAM_RTP, who, packet, sizeof(packet));
}

static void others_happen(struct world *w, enum act act)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++) {
		struct stream *s = stream_of(w, kind);

		if (act == HOLD)
			stream_hold(s, w->how, w->now_ns);
		else if (act == OTHER_PARTY)
			stream_other_party(s, w->how);
		else if (act == TICK && s->awaited)
			stream_tick(s, w->now_ns);
		else if (act == ASYMMETRIC || act == SYMMETRIC)
			stream_set_asymmetric(s, act == ASYMMETRIC, w->how);
	}
}

static void happens(struct world *w, const struct event *e, const uint8_t *payload, size_t len)
{
	uint8_t act = e->act % ACTS;

	w->now_ns += (e->later < 128 ? e->later : (e->later - 127) * 100) * NSEC_PER_MSEC;
	switch (act) {
	case RAW:
	case RAW_RTCP:
		arrives(w, act == RAW_RTCP, e->who, payload, len);
		break;
	case RTP:
	case RTP_AGAIN:
		rtp_arrives(w, e->who, payload, len);
		break;
	case SIGNAL:
	case SIGNAL_ASYMMETRIC:
		signalled(w, e->who, act == SIGNAL_ASYMMETRIC);
		break;
	default:
		others_happen(w, act);
	}
	promises_hold(w);
}

static void play(enum learning how, const uint8_t *data, size_t size)
{
	struct event e;
	struct world w;
	int n;

	begin(&w, how);
	for (n = 0; n < EVENTS && size >= sizeof(e); n++) {
		size_t len;

		memcpy(&e, data, sizeof(e));
		data += sizeof(e);
		size -= sizeof(e);
		len = MIN(e.len, size);
		happens(&w, &e, data, len);
		data += len;
		size -= len;
	}
	stream_free(stream_of(&w, STREAM_RTP));
	stream_free(stream_of(&w, STREAM_RTCP));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	play(LEARN_PROOF, data, size);
	play(LEARN_STRICT, data, size);
	play(LEARN_COMPAT, data, size);
	return 0;
}
