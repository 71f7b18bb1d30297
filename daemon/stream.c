/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - the latch: from where a peer's packets are accepted, and where it is sent to.
 *
 * Three ways of learning; docs/nat-learning.md is their contract. `proof` and `strict` share one
 * state machine, `compat` is rtpproxy's.
 */
#include "stream.h"

void stream_init(struct stream *s, enum stream_kind kind)
{
	*s = (struct stream){ .kind = kind };
}

/* ---- what all ways share ---- */

/*
 * A packet may have arrived before the command that was executed before it: then no time has
 * passed.
 */
static uint64_t since(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

/* The RTCP port of an RTP address, RFC 3550 section 11; ADDR_NONE when there is no next port. */
static struct addr rtcp_of(const struct addr *rtp)
{
	if (rtp->port == UINT16_MAX)
		return (struct addr){ 0 };
	return addr_with_port(*rtp, rtp->port + 1);
}

static bool continues(const struct stream *s, const struct rtpx_packet *pkt)
{
	uint16_t ahead = pkt->rtp_seq - (uint16_t)s->stats.max_seq;

	return pkt->kind == RTPX_PAYLOAD_RTP && s->stats.segments && pkt->ssrc == s->stats.ssrc && ahead >= 1 &&
	       ahead <= RTPX_MAX_JUMP;
}

/* ---- proof and strict ---- */

static void forget_candidates(struct stream *s)
{
	memset(s->candidate, 0, sizeof(s->candidate));
}

static void learned_signal(struct stream *s, const struct addr *a, uint64_t now_ns)
{
	if (addr_eq(&s->signalled, a))
		return;
	s->signalled = *a;
	if (s->state == STREAM_LATCHED && addr_eq(&s->remote, a))
		return;
	if (s->state == STREAM_LATCHED)
		s->previous = s->remote;
	s->remote = *a;
	s->state = STREAM_SIGNALLED;
	s->updated_ns = now_ns;
	forget_candidates(s);
}

static void learned_asymmetric(struct stream *s, bool asymmetric)
{
	if (asymmetric && s->signalled.family != ADDR_NONE) {
		s->remote = s->signalled;
		s->state = STREAM_LATCHED;
	} else if (!asymmetric && s->asymmetric && s->state == STREAM_LATCHED) {
		s->state = STREAM_SIGNALLED;
	}
	s->asymmetric = asymmetric;
}

static bool candidate_is(const struct stream_candidate *c, const struct addr *src)
{
	return c->packets && addr_eq(&c->addr, src);
}

/*
 * The place of a source: its own, the first one when whoever held that has paused, else the
 * newest's.
 */
static struct stream_candidate *candidate_of(struct stream *s, const struct addr *src,
					     uint64_t now_ns)
{
	struct stream_candidate *first = &s->candidate[0], *newest = &s->candidate[1];

	if (candidate_is(first, src))
		return first;
	if (candidate_is(newest, src))
		return newest;
	if (first->packets && since(first->last_ns, now_ns) < STREAM_CANDIDATE_NS)
		first = newest;
	first->packets = 0;
	return first;
}

/* Three RTP packets in a row from one source, of one SSRC, rising. */
static bool candidate_proves(struct stream *s, const struct addr *src,
			     const struct rtpx_packet *pkt)
{
	struct stream_candidate *c = candidate_of(s, src, pkt->now_ns);
	uint16_t ahead = pkt->rtp_seq - c->seq;

	if (pkt->kind != RTPX_PAYLOAD_RTP) {
		c->packets = 0;
		return false;
	}
	if (pkt->ssrc != c->ssrc || ahead == 0 || ahead > RTPX_MAX_JUMP)
		c->packets = 0;
	c->addr = *src;
	c->ssrc = pkt->ssrc;
	c->seq = pkt->rtp_seq;
	c->last_ns = pkt->now_ns;
	return ++c->packets >= STREAM_PROOF_PACKETS;
}

/* RTP has latched: RTCP that is not latched on the same host is expected next to it. */
static void guess_rtcp(const struct stream *rtp, struct stream *rtcp)
{
	struct addr guess = rtcp_of(&rtp->remote);

	if (guess.family == ADDR_NONE || rtcp->asymmetric)
		return;
	if (rtcp->state != STREAM_EMPTY && addr_host_eq(&rtcp->remote, &guess) &&
	    (rtcp->state == STREAM_LATCHED || addr_eq(&rtp->remote, &rtp->signalled)))
		return;
	rtcp->remote = guess;
	rtcp->state = STREAM_SIGNALLED;
}

static void latch_on(struct stream *s, struct stream *companion, const struct addr *src)
{
	/* RTP that goes on from another port has got a new mapping of its NAT, and so has RTCP. */
	if (s->kind == STREAM_RTP && s->state == STREAM_LATCHED &&
	    companion->state == STREAM_LATCHED && !companion->asymmetric)
		companion->state = STREAM_SIGNALLED;
	s->remote = *src;
	s->state = STREAM_LATCHED;
	forget_candidates(s);
	if (s->kind == STREAM_RTP)
		guess_rtcp(s, companion);
}

/* May this source be latched at once? Its host was signalled, or has proven itself in this call. */
static bool is_trusted(const struct stream *s, const struct stream *companion,
		       const struct addr *src, const struct rtpx_packet *pkt, enum learning how)
{
	if (addr_host_eq(src, &s->signalled))
		return true;
	if (how == LEARN_STRICT)
		return false;
	if (s->kind == STREAM_RTCP)
		return companion->state == STREAM_LATCHED && addr_host_eq(src, &companion->remote);
	if (addr_host_eq(src, &s->previous))
		return !addr_eq(src, &s->previous) ||
		       since(s->updated_ns, pkt->now_ns) > STREAM_SETTLE_NS;
	return false;
}

static enum stream_verdict latched_packet(struct stream *s, struct stream *companion,
					  const struct addr *src, const struct rtpx_packet *pkt,
					  enum learning how)
{
	if (s->asymmetric)
		return addr_host_eq(src, &s->remote) ? STREAM_RELAY : STREAM_IGNORE;
	if (addr_eq(src, &s->remote))
		return STREAM_RELAY;
	if (s->kind != STREAM_RTP || !continues(s, pkt) ||
	    since(s->stats.last_ns, pkt->now_ns) < STREAM_SILENCE_NS)
		return STREAM_IGNORE;
	if (how == LEARN_STRICT && !addr_host_eq(src, &s->signalled))
		return STREAM_IGNORE;
	latch_on(s, companion, src);
	return STREAM_RELAY;
}

static enum stream_verdict learned_packet(struct stream *s, struct stream *companion,
					  const struct addr *src, const struct rtpx_packet *pkt,
					  enum learning how)
{
	if (s->state == STREAM_LATCHED)
		return latched_packet(s, companion, src, pkt, how);
	if (is_trusted(s, companion, src, pkt, how)) {
		latch_on(s, companion, src);
		return STREAM_RELAY;
	}
	if (how == LEARN_STRICT)
		return STREAM_IGNORE;
	/*
	 * The address before the last signalling may still speak, but not prove itself, while the
	 * new one is awaited.
	 */
	if (addr_eq(src, &s->previous))
		return STREAM_RELAY;
	if (s->kind == STREAM_RTP && candidate_proves(s, src, pkt)) {
		latch_on(s, companion, src);
		return STREAM_RELAY;
	}
	/* Nothing is known: a source that is about to prove itself is better than silence. */
	return s->state == STREAM_EMPTY && candidate_is(&s->candidate[0], src) ? STREAM_RELAY
									       : STREAM_IGNORE;
}

/* ---- compat: rtpproxy's rules ---- */

static bool compat_window(const struct stream *s, uint64_t now_ns)
{
	return s->updated_ns && since(s->updated_ns, now_ns) < STREAM_WINDOW_NS;
}

static void compat_signal(struct stream *s, const struct addr *a, uint64_t now_ns)
{
	if (s->remote.family != ADDR_NONE)
		s->updated_ns = now_ns;
	if (s->untrusted || addr_eq(&s->remote, a))
		return;
	if (s->state == STREAM_LATCHED)
		s->previous = s->remote;
	s->remote = *a;
	if (s->state == STREAM_EMPTY)
		s->state = STREAM_SIGNALLED;
}

static void compat_asymmetric(struct stream *s, bool asymmetric)
{
	s->asymmetric = asymmetric;
	if (asymmetric && s->remote.family != ADDR_NONE)
		s->state = STREAM_LATCHED;
}

static void compat_latch(struct stream *s, const struct rtpx_packet *pkt)
{
	if (compat_window(s, pkt->now_ns))
		return;
	s->has_ssrc = s->kind == STREAM_RTP && pkt->kind == RTPX_PAYLOAD_RTP;
	if (s->has_ssrc) {
		s->ssrc = pkt->ssrc;
		s->seq = pkt->rtp_seq;
	}
	s->state = s->has_ssrc && s->ssrc == 0 ? STREAM_SIGNALLED : STREAM_LATCHED;
}

static void compat_fill(struct stream *s, struct stream *companion, const struct addr *src)
{
	struct addr guess = rtcp_of(src);

	s->untrusted = true;
	s->remote = *src;
	if (s->previous.family == ADDR_NONE || !addr_eq(&s->previous, src))
		s->state = STREAM_LATCHED;
	else if (s->state == STREAM_EMPTY)
		s->state = STREAM_SIGNALLED;
	if (s->kind != STREAM_RTP || guess.family == ADDR_NONE)
		return;
	if (companion->remote.family == ADDR_NONE || !addr_host_eq(&companion->remote, src)) {
		companion->remote = guess;
		companion->state = companion->asymmetric ? STREAM_LATCHED : STREAM_SIGNALLED;
	}
}

/* A latched stream follows another source. */
static bool compat_override(struct stream *s, const struct rtpx_packet *pkt)
{
	if (s->kind != STREAM_RTP || !s->has_ssrc || pkt->kind != RTPX_PAYLOAD_RTP)
		return false;
	if (!compat_window(s, pkt->now_ns) &&
	    (pkt->ssrc != s->ssrc || (uint16_t)(pkt->rtp_seq - s->seq) > RTPX_MAX_JUMP))
		return false;
	s->seq = pkt->rtp_seq;
	return true;
}

static enum stream_verdict compat_symmetric(struct stream *s, struct stream *companion,
					    const struct addr *src, const struct rtpx_packet *pkt)
{
	if (addr_eq(src, &s->remote)) {
		if (s->state != STREAM_LATCHED)
			compat_latch(s, pkt);
		return STREAM_RELAY;
	}
	if (s->state != STREAM_LATCHED)
		compat_latch(s, pkt);
	else if (!compat_override(s, pkt))
		return STREAM_IGNORE;
	compat_fill(s, companion, src);
	return STREAM_RELAY;
}

/* An accepted RTP packet: once a second its number is noted, a new SSRC is latched. */
static void compat_hear(struct stream *s, const struct rtpx_packet *pkt)
{
	if (!s->asymmetric && s->has_ssrc && pkt->ssrc == s->ssrc &&
	    since(s->seq_ns, pkt->now_ns) >= NSEC_PER_SEC) {
		s->seq = pkt->rtp_seq;
		s->seq_ns = pkt->now_ns;
	}
	if (s->stats.segments && s->heard_ssrc != pkt->ssrc)
		compat_latch(s, pkt);
	s->heard_ssrc = pkt->ssrc;
}

/* A dataplane has counted packets since the last one that came here: the newest stands for them. */
static void compat_catch_up(struct stream *s)
{
	const struct rtpx_packet newest = {
		.now_ns = s->stats.last_ns,
		.kind = RTPX_PAYLOAD_RTP,
		.ssrc = s->stats.ssrc,
		.rtp_seq = s->stats.max_seq,
	};

	if (s->stats.segments && s->stats.packets != s->heard_packets)
		compat_hear(s, &newest);
}

static enum stream_verdict compat_packet(struct stream *s, struct stream *companion,
					 const struct addr *src, const struct rtpx_packet *pkt)
{
	enum stream_verdict v = STREAM_RELAY;

	compat_catch_up(s);
	if (s->remote.family == ADDR_NONE)
		compat_fill(s, companion, src);
	else if (s->asymmetric)
		v = addr_host_eq(src, &s->remote) ? STREAM_RELAY : STREAM_IGNORE;
	else
		v = compat_symmetric(s, companion, src, pkt);
	if (v == STREAM_RELAY && s->kind == STREAM_RTP && pkt->kind == RTPX_PAYLOAD_RTP)
		compat_hear(s, pkt);
	return v;
}

/* ---- events ---- */

void stream_signal(struct stream *s, const struct addr *a, bool asymmetric, enum learning how,
		   uint64_t now_ns)
{
	if (how == LEARN_COMPAT) {
		compat_signal(s, a, now_ns);
		s->signalled = *a;
	} else {
		learned_signal(s, a, now_ns);
	}
	stream_set_asymmetric(s, asymmetric, how);
}

void stream_set_asymmetric(struct stream *s, bool asymmetric, enum learning how)
{
	if (how == LEARN_COMPAT)
		compat_asymmetric(s, asymmetric);
	else
		learned_asymmetric(s, asymmetric);
}

enum stream_verdict stream_packet(struct stream *s, struct stream *companion,
				  const struct addr *src, const struct rtpx_packet *pkt,
				  enum learning how, bool *moved)
{
	struct addr remote = s->remote, companion_remote = companion->remote;
	uint8_t state = s->state, companion_state = companion->state;
	enum stream_verdict v;

	if (how == LEARN_COMPAT)
		v = compat_packet(s, companion, src, pkt);
	else
		v = learned_packet(s, companion, src, pkt, how);
	if (v == STREAM_RELAY)
		rtpx_stats_packet(&s->stats, pkt, s->kind == STREAM_RTP);
	else
		s->stats.strangers++;
	s->heard_packets = s->stats.packets;
	*moved = s->state != state || companion->state != companion_state ||
		 !addr_eq(&s->remote, &remote) || !addr_eq(&companion->remote, &companion_remote);
	return v;
}
