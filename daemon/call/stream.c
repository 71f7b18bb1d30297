/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - the latch: the source that a peer's packets are accepted from, and the address that
 * packets for the peer are sent to.
 *
 * There are three ways of learning; docs/nat-learning.md is their contract. `proof` and `strict`
 * share one state machine, `compat` follows rtpproxy's rules.
 */
#include <stdlib.h>

#include "call/stream.h"

const char *const stream_kind_words[STREAM_KINDS] = {
	[STREAM_RTP] = "rtp",
	[STREAM_RTCP] = "rtcp",
};

const char *const learning_words[LEARNINGS] = {
	[LEARN_PROOF] = "proof",
	[LEARN_STRICT] = "strict",
	[LEARN_COMPAT] = "compat",
};

void stream_init(struct stream *s, enum stream_kind kind)
{
	*s = (struct stream){ .kind = kind };
}

/* ---- memory ---- */

struct rtpx_flow_stats *stream_stats_set(struct stream *s)
{
	if (!s->stats)
		s->stats = calloc(1, sizeof(*s->stats));
	return s->stats;
}

struct stream_rest *stream_rest_set(struct stream *s)
{
	if (!s->rest)
		s->rest = calloc(1, sizeof(*s->rest));
	return s->rest;
}

static struct stream_trial *trial_of(const struct stream *s)
{
	return s->rest ? s->rest->trial : NULL;
}

static struct stream_trial *trial_set(struct stream *s)
{
	struct stream_rest *rest = stream_rest_set(s);

	if (rest && !rest->trial)
		rest->trial = calloc(1, sizeof(*rest->trial));
	return rest ? rest->trial : NULL;
}

void stream_free(struct stream *s)
{
	free(s->stats);
	free(trial_of(s));
	free(s->rest);
	s->stats = NULL;
	s->rest = NULL;
}

void stream_tidy(struct stream *s)
{
	static const struct stream_trial no_trial;
	static const struct stream_rest no_rest;
	struct stream_trial *trial = trial_of(s);

	if (trial && memcmp(trial, &no_trial, sizeof(no_trial)) == 0) {
		free(trial);
		s->rest->trial = NULL;
	}
	if (s->rest && memcmp(s->rest, &no_rest, sizeof(no_rest)) == 0) {
		free(s->rest);
		s->rest = NULL;
	}
}

void stream_keep(struct stream_kept *to, const struct stream *s)
{
	*to = (struct stream_kept){ .is = *s, .stats = *stream_stats(s), .rest = *stream_rest(s) };
	if (to->rest.trial)
		to->trial = *to->rest.trial;
}

/* stream_packet() may have allocated blocks, and frees none. */
void stream_go_back(struct stream *s, const struct stream_kept *to)
{
	struct stream_trial *trial = trial_of(s);
	struct stream is = to->is;

	is.stats = s->stats;
	is.rest = s->rest;
	*s = is;
	if (s->stats)
		*s->stats = to->stats;
	if (s->rest) {
		*s->rest = to->rest;
		s->rest->trial = trial;
	}
	if (trial)
		*trial = to->trial;
}

/* ---- shared by all ways ---- */

/*
 * Time between two events. A packet may have arrived before a command that ran before it; then the
 * result is 0.
 */
static uint64_t ns_since(uint64_t then_ns, uint64_t now_ns)
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

static bool candidate_continues(const struct stream *s, const struct rtpx_packet *pkt)
{
	const struct rtpx_flow_stats *st = stream_stats(s);
	uint16_t ahead = pkt->rtp_seq - (uint16_t)st->max_seq;

	return pkt->kind == RTPX_PAYLOAD_RTP && st->segments && pkt->ssrc == st->ssrc &&
	       ahead >= 1 && ahead <= RTPX_MAX_JUMP;
}

/* ---- proof and strict ---- */

/* A packet from a source other than the known one, and the relation of that source to the call. */
struct visit {
	struct stream *s, *companion;
	const struct addr *src;
	const struct rtpx_packet *pkt;
	enum learning how;
	bool signalled_port; /* the source is exactly the signalled address */
	bool signalled_host;
	bool close; /* signalled_host or, in proof, a host that has proven itself in this call */
};

/* The right of a visitor to take the stream over. */
enum claim {
	CLAIM_NOTHING,
	CLAIM_PROOF, /* take the stream over by a proof */
	CLAIM_WEAK,  /* take it over at once, by packets that are no RTP */
	CLAIM_FRESH, /* take it over at once, and be firm after three packets */
	CLAIM_FIRM,  /* take it over at once */
};

static struct visit visit_of(struct stream *s, struct stream *companion, const struct addr *src,
			     const struct rtpx_packet *pkt, enum learning how)
{
	bool known_host = s->state == STREAM_LATCHED && addr_host_eq(src, &s->remote);
	bool rtp_host = s->kind == STREAM_RTCP && companion->state == STREAM_LATCHED &&
			(s->open || s->state != STREAM_LATCHED) &&
			addr_host_eq(src, &companion->remote);
	bool signalled_host = addr_host_eq(src, &s->signalled);

	return (struct visit){
		.s = s,
		.companion = companion,
		.src = src,
		.pkt = pkt,
		.how = how,
		.signalled_port = addr_eq(src, &s->signalled),
		.signalled_host = signalled_host,
		.close = signalled_host || (how == LEARN_PROOF && (known_host || rtp_host)),
	};
}

/* The packet is of the stream's own kind. */
static bool is_evidence(const struct stream *s, const struct rtpx_packet *pkt)
{
	return pkt->kind == (s->kind == STREAM_RTP ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_RTCP);
}

static bool is_silent(const struct stream *s, uint64_t now_ns)
{
	return ns_since(stream_stats(s)->last_ns, now_ns) >= STREAM_SILENCE_NS;
}

/* Packets of the stream's kind. In an RTCP stream, every packet counts as RTCP. */
static uint64_t evidence_count(const struct stream *s)
{
	return stream_stats(s)->packets - stream_stats(s)->errors;
}

/* The same since the remote was latched. */
static uint32_t evidence_since_latch(const struct stream *s)
{
	return (uint32_t)evidence_count(s) - s->latched_evidence;
}

/* Time for which the remote was heard since its latch and since the last U or L. */
static uint64_t heard_for(const struct stream *s)
{
	return ns_since(MAX(s->updated_ns, s->latched_ns), stream_stats(s)->last_ns);
}

static void forget_candidates(struct stream *s)
{
	struct stream_trial *trial = trial_of(s);

	if (trial)
		memset(trial, 0, sizeof(*trial));
}

static const struct addr *previous_of(const struct stream *s)
{
	return &stream_rest(s)->previous;
}

static void forget_previous(struct stream *s)
{
	if (s->rest)
		s->rest->previous = (struct addr){ 0 };
	s->replaced = false;
}

/* Keep the remote as the previous one. False: no memory. */
static bool keep_previous(struct stream *s)
{
	struct stream_rest *rest = stream_rest_set(s);

	if (rest)
		rest->previous = s->remote;
	return rest;
}

static void end_awaiting(struct stream *s)
{
	s->awaited = s->twice = s->roams = false;
}

/* ---- proof and strict: commands ---- */

/* A new address was signalled. The party that is heard stays until another source is believed. */
static void learned_move(struct stream *s, const struct addr *a)
{
	bool new_host = !addr_host_eq(&s->signalled, a);

	s->signalled = *a;
	forget_candidates(s);
	forget_previous(s);
	end_awaiting(s);
	s->unproven = 0;
	if (s->state == STREAM_LATCHED && !s->asymmetric) {
		s->awaited = s->twice = !addr_eq(&s->remote, a);
		s->roams = s->awaited && new_host && addr_is_hidden(a);
		return;
	}
	s->remote = *a;
	s->state = STREAM_SIGNALLED;
}

static void learned_signal(struct stream *s, const struct addr *a, uint64_t now_ns)
{
	s->updated_ns = now_ns;
	s->open = true;
	if (!addr_eq(&s->signalled, a))
		learned_move(s, a);
}

static void learned_asymmetric(struct stream *s, bool asymmetric)
{
	if (asymmetric && s->signalled.family != ADDR_NONE) {
		s->remote = s->signalled;
		s->state = STREAM_LATCHED;
		s->open = s->weak = false;
		s->unproven = 0;
		end_awaiting(s);
	} else if (!asymmetric && s->asymmetric && s->state == STREAM_LATCHED) {
		s->state = STREAM_SIGNALLED;
	}
	s->asymmetric = asymmetric;
}

/* ---- proof and strict: time ---- */

/* The party that the last U or L named has sent three packets from its signalled address. */
static bool has_arrived(const struct stream *s)
{
	return addr_eq(&s->remote, &s->signalled) && !s->weak && s->latched_ns >= s->updated_ns &&
	       evidence_since_latch(s) >= STREAM_PROOF_PACKETS;
}

bool stream_is_open(const struct stream *s)
{
	if (!s->open || s->state != STREAM_LATCHED)
		return s->open;
	return heard_for(s) < (s->awaited ? STREAM_AWAIT_NS : STREAM_SETTLE_NS);
}

/* Make a weak latch firm when a dataplane has forwarded RTP from the remote. */
static void firm_up(struct stream *s)
{
	if (!s->weak || s->kind != STREAM_RTP || evidence_since_latch(s) < STREAM_PROOF_PACKETS)
		return;
	s->weak = false;
	end_awaiting(s);
}

static void grow_older(struct stream *s, uint64_t now_ns)
{
	if (s->open && !stream_is_open(s)) {
		s->open = s->roams = false;
		forget_previous(s);
	}
	if (ns_since(s->updated_ns, now_ns) >= STREAM_AWAIT_NS)
		s->roams = false;
	firm_up(s);
}

/*
 * A public address was signalled, and the known party has fallen silent: assume that it has left.
 * If it has not, it proves itself again.
 */
static void give_up_remote(struct stream *s, uint64_t now_ns)
{
	uint64_t last_ns = MAX(MAX(s->updated_ns, s->latched_ns), stream_stats(s)->last_ns);
	uint64_t longest = s->kind == STREAM_RTP ? STREAM_LEAVE_NS : STREAM_RTCP_NS;

	if (!s->awaited || s->weak || addr_is_hidden(&s->signalled) ||
	    ns_since(last_ns, now_ns) < longest)
		return;
	s->remote = s->signalled;
	s->state = STREAM_SIGNALLED;
	s->unproven = 0;
	end_awaiting(s);
	forget_previous(s);
}

bool stream_tick(struct stream *s, uint64_t now_ns)
{
	bool settled = !s->unproven && heard_for(s) >= STREAM_SETTLE_NS &&
		       ns_since(stream_stats(s)->last_ns, now_ns) < STREAM_SETTLE_NS;
	bool open = s->open, twice = s->twice, weak = s->weak;

	grow_older(s, now_ns);
	give_up_remote(s, now_ns);
	s->twice = s->awaited && !settled;
	stream_tidy(s);
	return s->open != open || s->twice != twice || s->weak != weak ||
	       s->state != STREAM_LATCHED;
}

/* ---- proof and strict: proofs ---- */

static bool candidate_is(const struct stream_candidate *c, const struct addr *src)
{
	return c->packets && addr_eq(&c->addr, src);
}

/*
 * The place of a source among two. A source keeps its place. A new one gets the first place if the
 * holder has paused for @pause_ns, else the second.
 */
static struct stream_candidate *candidate_of(struct stream_candidate places[2],
					     const struct visit *v, uint64_t pause_ns)
{
	struct stream_candidate *first = &places[0], *newest = &places[1];
	uint64_t now_ns = v->pkt->now_ns;

	if (candidate_is(first, v->src))
		return first;
	if (candidate_is(newest, v->src))
		return newest;
	if (first->packets && ns_since(first->last_ns, now_ns) < pause_ns)
		first = newest;
	first->packets = 0;
	return first;
}

/* Three RTP packets in a row from one source, of one SSRC, with rising numbers. */
static bool visit_proves(const struct visit *v)
{
	struct stream_trial *trial = trial_set(v->s);
	const struct rtpx_packet *pkt = v->pkt;
	struct stream_candidate *c;
	uint16_t ahead;

	if (!trial)
		return false;
	c = candidate_of(trial->candidate, v, STREAM_CANDIDATE_NS);
	ahead = pkt->rtp_seq - c->seq;
	if (pkt->ssrc != c->ssrc || ahead == 0 || ahead > RTPX_MAX_JUMP)
		c->packets = 0;
	c->addr = *v->src;
	c->ssrc = pkt->ssrc;
	c->seq = pkt->rtp_seq;
	c->last_ns = pkt->now_ns;
	return ++c->packets >= STREAM_PROOF_PACKETS;
}

/* Number of packets not of RTP that prove a source other than the signalled port; 0: none do. */
static unsigned int weak_proof(const struct stream *s, const struct rtpx_packet *pkt)
{
	bool hidden = addr_is_hidden(&s->signalled);

	if (!pkt->payload_bytes || pkt->kind == RTPX_PAYLOAD_RTCP)
		return 0;
	switch (pkt->kind) {
	case RTPX_PAYLOAD_DTLS:
		return hidden ? 1 : 2;
	case RTPX_PAYLOAD_STUN:
		return hidden ? 2 : 4;
	default:
		return 4;
	}
}

static bool proves_weakly(const struct visit *v)
{
	unsigned int needed = weak_proof(v->s, v->pkt);
	struct stream_trial *trial;
	struct stream_candidate *c;

	if (!needed || v->signalled_port)
		return needed;
	trial = trial_set(v->s);
	if (!trial)
		return false;
	c = candidate_of(trial->weak_candidate, v, STREAM_WEAK_NS);
	if (ns_since(c->last_ns, v->pkt->now_ns) >= STREAM_WEAK_NS)
		c->packets = 0;
	c->addr = *v->src;
	c->last_ns = v->pkt->now_ns;
	if (c->packets < UINT8_MAX)
		c->packets++;
	return c->packets >= needed;
}

/* ---- proof and strict: taking over ---- */

/*
 * RTP has latched on a port other than the signalled one. Assume RTCP at the next port, unless RTCP
 * is latched on the same host.
 */
static void guess_rtcp(const struct stream *rtp, struct stream *rtcp)
{
	struct addr guess = rtcp_of(&rtp->remote);

	if (guess.family == ADDR_NONE ||
	    (rtcp->state == STREAM_LATCHED && addr_host_eq(&rtcp->remote, &guess)))
		return;
	rtcp->remote = guess;
	rtcp->state = STREAM_SIGNALLED;
}

/*
 * RTP has latched on the signalled port. Expect RTCP at its own signalled address. Where RTCP was
 * known, other ports of the host are ignored until a silence.
 */
static void expect_rtcp(struct stream *rtcp, bool moved, uint64_t now_ns)
{
	if (rtcp->state == STREAM_LATCHED && !moved &&
	    addr_host_eq(&rtcp->remote, &rtcp->signalled))
		return;
	if (rtcp->state == STREAM_LATCHED)
		rtcp->latched_ns = now_ns;
	rtcp->remote = rtcp->signalled;
	if (rtcp->state == STREAM_EMPTY)
		rtcp->state = STREAM_SIGNALLED;
}

/* @moved: RTP goes on from another address. Its NAT has a new mapping, for RTCP as well. */
static void lead_rtcp(const struct stream *rtp, struct stream *rtcp, bool moved, uint64_t now_ns)
{
	if (rtcp->asymmetric)
		return;
	if (addr_eq(&rtp->remote, &rtp->signalled) && rtcp->signalled.family != ADDR_NONE) {
		expect_rtcp(rtcp, moved, now_ns);
	} else {
		if (moved && rtcp->state == STREAM_LATCHED)
			rtcp->state = STREAM_SIGNALLED;
		guess_rtcp(rtp, rtcp);
	}
	if (rtcp->state != STREAM_LATCHED || addr_eq(&rtcp->remote, &rtcp->signalled)) {
		rtcp->weak = false;
		end_awaiting(rtcp);
	}
}

/*
 * The remote loses the stream and becomes the previous source. When the stream goes back to the
 * previous source, none is kept, so the stream cannot go to and fro.
 */
static void leave_remote(const struct visit *v)
{
	struct stream *s = v->s;
	bool returns = addr_eq(v->src, previous_of(s));

	forget_previous(s);
	if (s->state != STREAM_LATCHED || returns)
		return;
	s->replaced = keep_previous(s) && s->awaited;
}

static void visit_take_over(const struct visit *v, enum claim claim)
{
	struct stream *s = v->s;
	bool moved = s->state == STREAM_LATCHED;

	leave_remote(v);
	end_awaiting(s);
	forget_candidates(s);
	s->remote = *v->src;
	s->state = STREAM_LATCHED;
	s->open = true;
	s->latched_ns = v->pkt->now_ns;
	s->latched_evidence = (uint32_t)evidence_count(s);
	s->weak = claim == CLAIM_WEAK;
	s->unproven = claim == CLAIM_FRESH ? STREAM_PROOF_PACKETS - 1 : 0;
	if ((s->weak || s->unproven) && !v->signalled_port && s->signalled.family != ADDR_NONE)
		s->awaited = s->twice = true;
	if (s->kind == STREAM_RTP && claim != CLAIM_WEAK)
		lead_rtcp(s, v->companion, moved, v->pkt->now_ns);
}

/* Silence of RTCP after which another port of its host may take over. */
static uint64_t rtcp_patience(const struct stream *s)
{
	const struct rtpx_flow_stats *st = stream_stats(s);
	uint64_t longest = STREAM_RTCP_NS, patience = STREAM_RTCP_NS;

	if (st->packets > 1)
		patience = ns_since(st->first_ns, st->last_ns) / (st->packets - 1) * 3;
	if (s->open) {
		longest /= 2;
		patience /= 2;
	}
	return MAX(STREAM_SILENCE_NS, MIN(patience, longest));
}

/* Late packets of a party that a newly signalled party has replaced. */
static bool is_tail(const struct visit *v)
{
	const struct stream *s = v->s;
	uint64_t silence_ns = s->weak ? STREAM_SETTLE_NS : STREAM_SILENCE_NS;

	return s->replaced && addr_eq(v->src, previous_of(s)) &&
	       ns_since(stream_stats(s)->last_ns, v->pkt->now_ns) < silence_ns;
}

/* No source is latched yet. */
static enum claim claim_first(const struct visit *v)
{
	if (v->signalled_port || (v->close && v->s->kind == STREAM_RTCP))
		return CLAIM_FIRM;
	if (v->close)
		return CLAIM_FRESH;
	return v->how == LEARN_PROOF && v->s->kind == STREAM_RTP ? CLAIM_PROOF : CLAIM_NOTHING;
}

/* RTP from another source while the remote still sends. */
static enum claim claim_of_rival(const struct visit *v)
{
	const struct stream *s = v->s;
	bool elsewhere = !addr_host_eq(&s->signalled, &s->remote);

	if (!s->open)
		return CLAIM_NOTHING;
	if (s->awaited && ((v->signalled_host && elsewhere) || s->roams))
		return CLAIM_PROOF;
	if (addr_eq(v->src, previous_of(s)) && !s->replaced && !addr_eq(&s->remote, &s->signalled))
		return CLAIM_PROOF;
	return CLAIM_NOTHING;
}

/* RTP from a source other than the latched one. */
static enum claim claim_of_rtp(const struct visit *v)
{
	const struct stream *s = v->s;
	bool silent = is_silent(s, v->pkt->now_ns);

	if (s->weak && addr_eq(v->src, previous_of(s)))
		return CLAIM_FIRM;
	if (s->weak && v->close)
		return CLAIM_FRESH;
	if (s->weak || s->unproven)
		return CLAIM_PROOF;
	if (silent && candidate_continues(s, v->pkt))
		return CLAIM_FIRM;
	if (silent && s->open)
		return v->close && !has_arrived(s) ? CLAIM_FRESH : CLAIM_PROOF;
	return claim_of_rival(v);
}

/* RTCP from a source other than the latched one. A closed leg accepts the same host only. */
static enum claim claim_of_rtcp(const struct visit *v)
{
	const struct stream *s = v->s;

	if (!v->close || (!s->open && !s->weak && !addr_host_eq(v->src, &s->remote)))
		return CLAIM_NOTHING;
	if (!s->weak && ns_since(stream_stats(s)->last_ns, v->pkt->now_ns) < rtcp_patience(s))
		return CLAIM_NOTHING;
	return CLAIM_FIRM;
}

/* A packet of the stream's kind from a source other than the latched one. */
static enum claim claim_of(const struct visit *v)
{
	const struct stream *s = v->s;

	if (s->state != STREAM_LATCHED)
		return claim_first(v);
	if (v->signalled_port)
		return CLAIM_FIRM;
	if ((v->how == LEARN_STRICT && !v->signalled_host) || is_tail(v))
		return CLAIM_NOTHING;
	return s->kind == STREAM_RTP ? claim_of_rtp(v) : claim_of_rtcp(v);
}

/* While no address is known, relay a source that is about to prove itself: it beats silence. */
static enum stream_verdict wait_for_proof(const struct visit *v, bool weak)
{
	const struct stream_trial *trial = trial_of(v->s);

	if (!trial || v->s->state != STREAM_EMPTY)
		return STREAM_IGNORE;
	return candidate_is(weak ? &trial->weak_candidate[0] : &trial->candidate[0], v->src)
		       ? STREAM_RELAY
		       : STREAM_IGNORE;
}

static enum stream_verdict visitor_packet(const struct visit *v)
{
	enum claim claim = claim_of(v);

	if (claim == CLAIM_NOTHING)
		return STREAM_IGNORE;
	if (claim == CLAIM_PROOF && !visit_proves(v))
		return wait_for_proof(v, false);
	visit_take_over(v, claim);
	return STREAM_RELAY;
}

/* A packet not of the stream's kind from a source other than the latched one. */
static enum stream_verdict visitor_other(const struct visit *v)
{
	const struct stream *s = v->s;
	bool silent = is_silent(s, v->pkt->now_ns);
	bool vacant = s->state != STREAM_LATCHED || (s->open && silent);
	bool welcome = v->signalled_port || (v->close && vacant);
	bool foreign = v->how == LEARN_PROOF && s->kind == STREAM_RTP && vacant;

	if (v->signalled_port && s->awaited && silent)
		vacant = true;
	if (!welcome && !foreign)
		return STREAM_IGNORE;
	if (vacant && proves_weakly(v)) {
		visit_take_over(v, CLAIM_WEAK);
		return STREAM_RELAY;
	}
	return welcome ? STREAM_RELAY : wait_for_proof(v, true);
}

/* A packet from the known address. */
static void hear_remote(struct stream *s, struct stream *companion, const struct rtpx_packet *pkt)
{
	if (!is_evidence(s, pkt))
		return;
	if (s->weak) {
		s->weak = false;
		s->latched_ns = pkt->now_ns;
		s->latched_evidence = (uint32_t)evidence_count(s);
		if (s->kind == STREAM_RTP && !addr_eq(&s->remote, &s->signalled))
			s->unproven = STREAM_PROOF_PACKETS;
		if (s->kind == STREAM_RTP)
			lead_rtcp(s, companion, false, pkt->now_ns);
	}
	if (s->unproven && --s->unproven == 0)
		end_awaiting(s);
}

static enum stream_verdict learned_packet(struct stream *s, struct stream *companion,
					  const struct addr *src, const struct rtpx_packet *pkt,
					  enum learning how)
{
	struct visit v;

	if (s->state == STREAM_LATCHED && s->asymmetric)
		return addr_host_eq(src, &s->remote) ? STREAM_RELAY : STREAM_IGNORE;
	grow_older(s, pkt->now_ns);
	if (s->state == STREAM_LATCHED && addr_eq(src, &s->remote)) {
		hear_remote(s, companion, pkt);
		return STREAM_RELAY;
	}
	v = visit_of(s, companion, src, pkt, how);
	return is_evidence(s, pkt) ? visitor_packet(&v) : visitor_other(&v);
}

/* ---- compat: rtpproxy's rules; an RTP stream that gets a packet has a rest ---- */

static bool compat_window(const struct stream *s, uint64_t now_ns)
{
	return s->updated_ns && ns_since(s->updated_ns, now_ns) < STREAM_WINDOW_NS;
}

static void compat_signal(struct stream *s, const struct addr *a, uint64_t now_ns)
{
	if (s->remote.family != ADDR_NONE)
		s->updated_ns = now_ns;
	if (s->untrusted || addr_eq(&s->remote, a))
		return;
	if (s->state == STREAM_LATCHED)
		keep_previous(s);
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
	bool has_ssrc = s->kind == STREAM_RTP && pkt->kind == RTPX_PAYLOAD_RTP;

	if (compat_window(s, pkt->now_ns))
		return;
	if (s->rest)
		s->rest->has_ssrc = has_ssrc;
	if (has_ssrc) {
		s->rest->ssrc = pkt->ssrc;
		s->rest->seq = pkt->rtp_seq;
	}
	s->state = has_ssrc && pkt->ssrc == 0 ? STREAM_SIGNALLED : STREAM_LATCHED;
}

static void compat_fill(struct stream *s, struct stream *companion, const struct addr *src)
{
	struct addr guess = rtcp_of(src);

	s->untrusted = true;
	s->remote = *src;
	if (previous_of(s)->family == ADDR_NONE || !addr_eq(previous_of(s), src))
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

/* True when a latched stream follows another source. */
static bool compat_override(struct stream *s, const struct rtpx_packet *pkt)
{
	struct stream_rest *rest = s->rest;

	if (s->kind != STREAM_RTP || !rest->has_ssrc || pkt->kind != RTPX_PAYLOAD_RTP)
		return false;
	if (!compat_window(s, pkt->now_ns) &&
	    (pkt->ssrc != rest->ssrc || (uint16_t)(pkt->rtp_seq - rest->seq) > RTPX_MAX_JUMP))
		return false;
	rest->seq = pkt->rtp_seq;
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

/* An accepted RTP packet: note its number once a second, and latch a new SSRC. */
static void compat_hear(struct stream *s, const struct rtpx_packet *pkt)
{
	struct stream_rest *rest = s->rest;

	if (!s->asymmetric && rest->has_ssrc && pkt->ssrc == rest->ssrc &&
	    ns_since(rest->seq_ns, pkt->now_ns) >= NSEC_PER_SEC) {
		rest->seq = pkt->rtp_seq;
		rest->seq_ns = pkt->now_ns;
	}
	if (stream_stats(s)->segments && rest->heard_ssrc != pkt->ssrc)
		compat_latch(s, pkt);
	rest->heard_ssrc = pkt->ssrc;
}

/*
 * A dataplane may have counted packets since the daemon's last one: hear the newest for them all.
 */
static void compat_catch_up(struct stream *s)
{
	const struct rtpx_flow_stats *st = stream_stats(s);
	const struct rtpx_packet newest = {
		.now_ns = st->last_ns,
		.kind = RTPX_PAYLOAD_RTP,
		.ssrc = st->ssrc,
		.rtp_seq = st->max_seq,
	};

	if (st->segments && st->packets != s->rest->heard_packets)
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
	stream_tidy(s);
}

void stream_other_party(struct stream *s, enum learning how)
{
	if (how != LEARN_COMPAT)
		s->signalled = (struct addr){ 0 };
}

void stream_hold(struct stream *s, enum learning how, uint64_t now_ns)
{
	if (how == LEARN_COMPAT)
		return;
	s->updated_ns = now_ns;
	s->open = true;
}

void stream_set_asymmetric(struct stream *s, bool asymmetric, enum learning how)
{
	if (how == LEARN_COMPAT)
		compat_asymmetric(s, asymmetric);
	else
		learned_asymmetric(s, asymmetric);
}

uint8_t stream_strangers(const struct stream *s, enum learning how)
{
	uint8_t pass = s->kind == STREAM_RTP ? RTPX_STRANGERS_CONTINUE : RTPX_STRANGERS_HOST;
	bool elsewhere = !addr_host_eq(&s->signalled, &s->remote);

	if (s->asymmetric)
		return 0;
	if (how == LEARN_COMPAT || s->weak)
		return RTPX_STRANGERS_ALL;
	if (!s->open)
		return pass;
	pass |= how == LEARN_PROOF ? RTPX_STRANGERS_SILENT : RTPX_STRANGERS_HOST;
	if (elsewhere)
		pass |= RTPX_STRANGERS_SECOND_HOST;
	if (s->roams || (previous_of(s)->family != ADDR_NONE && !s->replaced &&
			 !addr_eq(&s->remote, &s->signalled)))
		pass |= RTPX_STRANGERS_ALL;
	return pass;
}

const struct addr *stream_second(const struct stream *s, enum learning how)
{
	static const struct addr none;

	if (how == LEARN_COMPAT || s->asymmetric || addr_eq(&s->remote, &s->signalled))
		return &none;
	return &s->signalled;
}

/* The members of a stream that its flows are made of. */
struct outlook {
	struct addr remote;
	uint8_t state, strangers;
	bool twice, unproven;
};

static struct outlook outlook_of(const struct stream *s, enum learning how)
{
	return (struct outlook){
		.remote = s->remote,
		.state = s->state,
		.strangers = stream_strangers(s, how),
		.twice = s->twice,
		.unproven = s->unproven,
	};
}

static bool outlook_eq(const struct outlook *a, const struct outlook *b)
{
	return addr_eq(&a->remote, &b->remote) && a->state == b->state &&
	       a->strangers == b->strangers && a->twice == b->twice && a->unproven == b->unproven;
}

/* Count an accepted packet. Only packets of the remote end its silence. */
static void count_accepted(struct stream *s, const struct addr *src, const struct rtpx_packet *pkt,
			   enum learning how)
{
	struct rtpx_flow_stats *st = s->stats;
	uint64_t last_ns = st->last_ns;
	bool other = how != LEARN_COMPAT && s->state == STREAM_LATCHED && !s->asymmetric &&
		     !addr_eq(src, &s->remote);

	rtpx_stats_packet(st, pkt, s->kind == STREAM_RTP);
	if (other && last_ns)
		st->last_ns = last_ns;
}

/* Almost every packet: it is from the known party, in a closed leg, and teaches nothing. */
static bool is_ordinary(const struct stream *s, const struct addr *src,
			const struct rtpx_packet *pkt, enum learning how)
{
	return how != LEARN_COMPAT && s->state == STREAM_LATCHED && !s->open && !s->weak &&
	       !s->unproven && addr_eq(src, &s->remote) && is_evidence(s, pkt);
}

/* The blocks that a packet writes to are there. */
static bool has_memory(struct stream *s, enum learning how)
{
	return stream_stats_set(s) &&
	       (how != LEARN_COMPAT || s->kind != STREAM_RTP || stream_rest_set(s));
}

enum stream_verdict stream_packet(struct stream *s, struct stream *companion,
				  const struct addr *src, const struct rtpx_packet *pkt,
				  enum learning how, bool *moved)
{
	struct outlook before, after, companion_before, companion_after;
	enum stream_verdict v;

	*moved = false;
	if (!has_memory(s, how))
		return STREAM_IGNORE;
	if (is_ordinary(s, src, pkt, how)) {
		rtpx_stats_packet(s->stats, pkt, s->kind == STREAM_RTP);
		return STREAM_RELAY;
	}
	before = outlook_of(s, how);
	companion_before = outlook_of(companion, how);
	if (how == LEARN_COMPAT)
		v = compat_packet(s, companion, src, pkt);
	else
		v = learned_packet(s, companion, src, pkt, how);
	if (v == STREAM_RELAY)
		count_accepted(s, src, pkt, how);
	else
		s->stats->strangers++;
	if (s->rest)
		s->rest->heard_packets = how == LEARN_COMPAT ? s->stats->packets : 0;
	after = outlook_of(s, how);
	companion_after = outlook_of(companion, how);
	*moved = !outlook_eq(&before, &after) || !outlook_eq(&companion_before, &companion_after);
	return v;
}
