/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfteval.c - walks chains as nft_do_chain() of the kernel does. It notes each statement that
 * changes or drops a packet, with the doubts under which the packet reaches it. After a doubtful
 * verdict it follows both ways.
 */
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "host/nfteval.h"

#define MAX_DEPTH 16	/* nested jumps, as in the kernel */
#define MAX_STEPS 20000 /* rules run for one packet */
#define DSCP_BITS 0xfc

/* ---- chains ---- */

/* note - record the effect @why with its doubts. A certain effect stays certain. */
static void walk_note(struct nft_walk *w, enum flow_why why, unsigned int doubts)
{
	struct nft_answer *a = &w->answer;

	if (a->why != FLOW_NO_OBJECTION && !a->doubts)
		return;
	a->doubts = doubts && a->why != FLOW_NO_OBJECTION ? a->doubts | doubts : doubts;
	a->why = why;
}

static void note_mark(struct nft_walk *w, const struct nft_step *r, unsigned int doubts)
{
	struct nft_answer *a = &w->answer;

	if (doubts) {
		if (!r->knows_mark || a->mark_doubts || r->mark != a->mark)
			a->mark_doubts |= doubts | r->mark_doubts;
	} else if (r->knows_mark) {
		a->mark = r->mark;
		a->mark_doubts = 0;
	} else {
		a->mark_doubts = r->mark_doubts ? r->mark_doubts : NFT_UNKNOWABLE;
	}
}

struct way {
	bool stops;	     /* the packet leaves this base chain */
	unsigned int doubts; /* it may have left before; enum nft_doubt */
};

static struct way walk_chain(struct nft_walk *w, const struct nft_chain *c, unsigned int doubts,
			     unsigned int depth);

static struct way chain_jump(struct nft_walk *w, const struct nft_chain *from, const char *name,
			     unsigned int doubts, unsigned int depth)
{
	const struct nft_chain *to = nft_chain_find(w->rules, from, name);

	if (!to || depth >= MAX_DEPTH) {
		walk_note(w, FLOW_WHY_FIREWALL, doubts | NFT_UNKNOWABLE);
		return (struct way){ .doubts = NFT_UNKNOWABLE };
	}
	return walk_chain(w, to, doubts, depth + 1);
}

/*
 * act - carry out a verdict of a rule of @c. @doubts: that the packet reaches the rule; @own: that
 * the rule matches. Returns how the packet goes on after the rule. *@leaves: it leaves this chain.
 */
static struct way verdict_apply(struct nft_walk *w, const struct nft_chain *c, int32_t verdict,
				const char *target, unsigned int doubts, unsigned int own,
				unsigned int depth, bool *leaves)
{
	struct way to = { .stops = true };

	*leaves = false;
	switch (verdict) {
	case NF_ACCEPT:
		break;
	case NFT_RETURN:
		to.stops = false;
		*leaves = !own;
		break;
	case NFT_CONTINUE:
	case NFT_BREAK:
		return (struct way){ 0 };
	case NFT_JUMP:
		to = chain_jump(w, c, target, doubts | own, depth);
		break;
	case NFT_GOTO:
		to = chain_jump(w, c, target, doubts | own, depth);
		*leaves = !own;
		break;
	default:
		walk_note(w, FLOW_WHY_FIREWALL, doubts | own);
		break; /* drop, queue */
	}
	if (!own)
		return to;
	if (verdict == NFT_JUMP && !to.stops && !to.doubts)
		return to;
	return (struct way){ .doubts = own | to.doubts };
}

/* Carry out every verdict of the map, each with a doubt: the key is not known. */
static struct way act_any(struct nft_walk *w, const struct nft_chain *c, const struct nft_set *map,
			  unsigned int doubts, unsigned int own, unsigned int depth)
{
	unsigned int all = 0, any = own ? own : NFT_UNKNOWABLE;
	bool leaves;
	size_t i;

	for (i = 0; i < map->n; i++) {
		const struct nft_element *e = &map->elements[i];
		const char *target;
		int32_t verdict = nft_verdict_read(e->verdict, e->verdict_len, &target);
		struct way to = verdict_apply(w, c, verdict, target, doubts, any, depth, &leaves);

		all |= to.doubts;
	}
	return (struct way){ .doubts = all };
}

static struct way walk_chain(struct nft_walk *w, const struct nft_chain *c, unsigned int doubts,
			     unsigned int depth)
{
	struct way way = { 0 }, to;
	bool leaves = false;
	size_t i;

	for (i = 0; i < c->n_rules; i++) {
		struct nft_step r = { .w = w, .chain = c };
		unsigned int here = doubts | way.doubts;

		if (++w->steps > MAX_STEPS) {
			walk_note(w, FLOW_WHY_FIREWALL, NFT_UNKNOWABLE);
			return (struct way){ .stops = true };
		}
		nft_step_run(&r, &c->rules[i]);
		if (r.match == NFT_MATCH_NO)
			continue;
		if (r.effect != FLOW_NO_OBJECTION)
			walk_note(w, r.effect, here | r.doubts);
		if (r.untracks)
			w->untracked = here | r.doubts ? NFT_MATCH_MAYBE : NFT_MATCH_YES;
		if (r.sets_mark)
			note_mark(w, &r, here | r.doubts);
		if (!r.decided)
			continue;
		to = r.other ? act_any(w, c, r.other, here, r.doubts, depth)
			     : verdict_apply(w, c, r.verdict, r.target, here, r.doubts, depth,
					     &leaves);
		way.doubts |= to.doubts;
		if (to.stops && !r.other) {
			way.stops = true;
			return way;
		}
		if (leaves)
			return way;
	}
	return way;
}

/* ---- the packet ---- */

static void known_bytes(struct nft_bits *b, size_t at, const void *value, size_t len)
{
	memcpy(b->value + at, value, len);
	memset(b->known + at, 0xff, len);
}

static void known_byte(struct nft_bits *b, size_t at, uint8_t value, uint8_t known)
{
	b->value[at] = value & known;
	b->known[at] = known;
}

static void describe_ip4(struct nft_walk *w)
{
	static const uint8_t first = 0x45, udp = IPPROTO_UDP, dont_fragment[] = { 0x40, 0 };
	const struct outgoing *p = w->p;

	known_bytes(&w->network, 0, &first, 1);
	known_bytes(&w->network, 9, &udp, 1);
	if (w->inbound) {
		known_bytes(&w->network, 12, p->dest.ip, 4);
		if (!w->nat)
			known_bytes(&w->network, 16, p->source.ip, 4);
		return;
	}
	known_byte(&w->network, 1, p->tos, DSCP_BITS);
	known_bytes(&w->network, 6, dont_fragment, 2);
	known_byte(&w->network, 8, p->ttl, p->ttl ? 0xff : 0);
	known_bytes(&w->network, 12, p->source.ip, 4);
	known_bytes(&w->network, 16, p->dest.ip, 4);
}

static void describe_ip6(struct nft_walk *w)
{
	static const uint8_t udp = IPPROTO_UDP;
	const struct outgoing *p = w->p;

	known_byte(&w->network, 0, 0x60, 0xf0);
	known_bytes(&w->network, 6, &udp, 1);
	if (w->inbound) {
		known_bytes(&w->network, 8, p->dest.ip, 16);
		if (!w->nat)
			known_bytes(&w->network, 24, p->source.ip, 16);
		return;
	}
	known_byte(&w->network, 0, 0x60 | p->tos >> 4, 0xff);
	known_byte(&w->network, 1, p->tos << 4, DSCP_BITS << 4 & 0xff);
	known_byte(&w->network, 7, p->ttl, p->ttl ? 0xff : 0);
	known_bytes(&w->network, 8, p->source.ip, 16);
	known_bytes(&w->network, 24, p->dest.ip, 16);
}

static void walk_describe(struct nft_walk *w)
{
	uint16_t ports[2], from, to;

	nft_walk_ports(w, ports);
	from = htons(ports[0]);
	to = htons(ports[1]);

	if (w->p->dest.family == ADDR_IP6)
		describe_ip6(w);
	else
		describe_ip4(w);
	if (from)
		known_bytes(&w->transport, 0, &from, 2);
	if (to)
		known_bytes(&w->transport, 2, &to, 2);
}

static bool chain_sees(const struct nft_walk *w, const struct nft_chain *c)
{
	unsigned int family = w->p->dest.family == ADDR_IP6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

	if (w->hook == NFT_AT_EGRESS)
		return c->devs || !strcmp(c->dev, w->p->ifname);
	return c->family == NFPROTO_INET || c->family == family;
}

struct nft_answer nfteval(const struct nft_rules *rules, enum nft_hook hook, bool nat,
			  const struct outgoing *p, const struct nft_ct *ct)
{
	struct nft_walk w = {
		.rules = rules,
		.p = p,
		.ct = ct,
		.hook = hook,
		.inbound = hook == NFT_AT_PREROUTING || hook == NFT_AT_INPUT,
		.nat = nat,
		.answer = { .why = FLOW_NO_OBJECTION, .mark = p->mark },
	};
	size_t i;

	if (rules->broken) {
		w.answer.why = FLOW_WHY_FIREWALL;
		w.answer.doubts = NFT_UNKNOWABLE;
		return w.answer;
	}
	if (!rules->n_hooked[hook])
		return w.answer;
	walk_describe(&w);
	for (i = 0; i < rules->n_hooked[hook]; i++) {
		const struct nft_chain *c = rules->hooked[hook][i];
		struct way way;

		if ((c->type == NFT_NAT) != nat || !chain_sees(&w, c))
			continue;
		way = walk_chain(&w, c, 0, 0);
		if (!way.stops && c->drops)
			walk_note(&w, FLOW_WHY_FIREWALL, way.doubts);
	}
	return w.answer;
}
