/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfteval.c - walks chains as nft_do_chain() of the kernel does, with registers whose bits may be
 * unknown. A statement that changes or drops a packet is noted, with the doubts under which the
 * packet reaches it. After a doubtful verdict both ways are followed.
 *
 * An unknown expression makes its rule doubtful, and counts as an effect. A call may therefore stay
 * with the sockets needlessly, but a dataplane never sends a frame that the socket would not send.
 */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <stdlib.h>

#include "host/nfteval.h"

#define REGISTERS 64 /* bytes: sixteen words, four of them for each of the old ones */
#define MAX_DEPTH 16 /* nested jumps, as in the kernel */
#define MAX_STEPS 20000 /* rules run for one packet */
#define ATTRS	  16
#define HEADER_BYTES 40
#define DSCP_BITS 0xfc

enum match { MATCH_NO, MATCH_YES, MATCH_MAYBE };

struct bits {
	uint8_t value[REGISTERS], known[REGISTERS];
};

struct walk {
	const struct nft_rules *rules;
	const struct outgoing *p;
	const struct nft_ct *ct;
	enum nft_hook hook;
	bool inbound; /* judge the peer's packets, the answers to @p */
	bool nat;
	struct bits network, transport;
	unsigned int steps;
	enum match untracked; /* a rule excluded the packet from conntrack (notrack) */
	struct nft_answer answer;
};

/* The state of one rule while it runs. */
struct rule {
	struct walk *w;
	const struct nft_chain *chain;
	struct bits regs;
	unsigned int reg_doubt[REGISTERS / 4]; /* enum nft_doubt of the word's unknown bits */
	enum match match;
	unsigned int doubts; /* enum nft_doubt of MATCH_MAYBE */
	bool decided;	     /* the rule gave a verdict */
	int32_t verdict;
	const char *target; /* chain of a jump */
	const void *other;  /* NULL, or a map whose verdicts are all possible */
	enum flow_why effect;
	bool untracks;
	bool sets_mark, knows_mark;
	uint32_t mark;
	unsigned int mark_doubts;
};

/* ---- attributes ---- */

struct attrs {
	const struct nlattr *a[ATTRS];
};

static int keep_attr(const struct nlattr *a, void *arg)
{
	struct attrs *all = arg;

	if (mnl_attr_get_type(a) < ATTRS)
		all->a[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct attrs attrs_in(const struct nlattr *nest)
{
	struct attrs all = { { NULL } };

	if (nest)
		mnl_attr_parse_nested(nest, keep_attr, &all);
	return all;
}

static struct attrs attrs_of(const void *payload, size_t len)
{
	struct attrs all = { { NULL } };

	mnl_attr_parse_payload(payload, len, keep_attr, &all);
	return all;
}

/* data_of - the only attribute of a nest, if it is of @type. */
static const struct nlattr *data_of(const struct nlattr *nest, unsigned int type)
{
	const struct nlattr *a = nest ? mnl_attr_get_payload(nest) : NULL;

	if (!a || !mnl_attr_ok(a, mnl_attr_get_payload_len(nest)) || mnl_attr_get_type(a) != type)
		return NULL;
	return a;
}

static const struct nlattr *value_of(const struct nlattr *nest)
{
	return data_of(nest, NFTA_DATA_VALUE);
}

static uint32_t number(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static const char *text(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(a) : "";
}

/* ---- registers ---- */

static void doubt(struct rule *r, unsigned int why)
{
	r->match = MATCH_MAYBE;
	r->doubts |= why;
}

static void matches(struct rule *r, enum match m, unsigned int why)
{
	if (m == MATCH_NO)
		r->match = MATCH_NO;
	else if (m == MATCH_MAYBE)
		doubt(r, why);
}

/* reg_at - the byte where a register begins; -1: no such register, or fewer than @len bytes. */
static int reg_at(const struct nlattr *a, size_t len)
{
	uint32_t reg = number(a);
	int at = reg >= NFT_REG32_00 ? (int)(reg - NFT_REG32_00) * 4 : (int)(reg - NFT_REG_1) * 16;

	return reg < NFT_REG_1 || at < 0 || at + len > REGISTERS ? -1 : at;
}

static void load(struct rule *r, const struct nlattr *dreg, const void *value, const void *known,
		 size_t len, unsigned int why)
{
	size_t all = (len + 3) & ~(size_t)3, i;
	int at = reg_at(dreg, all);

	if (at < 0) {
		doubt(r, NFT_UNKNOWABLE);
		return;
	}
	memset(r->regs.value + at, 0, all);
	memset(r->regs.known + at, 0xff, all);
	memcpy(r->regs.value + at, value, len);
	if (known)
		memcpy(r->regs.known + at, known, len);
	for (i = 0; i < len; i++)
		r->regs.value[at + i] &= r->regs.known[at + i];
	for (i = 0; i < all / 4; i++)
		r->reg_doubt[at / 4 + i] = why;
}

static void load_u32(struct rule *r, const struct nlattr *dreg, uint32_t value)
{
	load(r, dreg, &value, NULL, sizeof(value), 0);
}

static void load_u8(struct rule *r, const struct nlattr *dreg, uint8_t value)
{
	load(r, dreg, &value, NULL, sizeof(value), 0);
}

static void load_unknown(struct rule *r, const struct nlattr *dreg, size_t len, unsigned int why)
{
	static const uint8_t none[REGISTERS];

	load(r, dreg, none, none, MIN(len, sizeof(none)), why);
}

static void forget_registers(struct rule *r)
{
	size_t i;

	memset(&r->regs, 0, sizeof(r->regs));
	for (i = 0; i < ARRAY_SIZE(r->reg_doubt); i++)
		r->reg_doubt[i] = NFT_UNKNOWABLE;
}

static unsigned int doubts_at(const struct rule *r, int at, size_t len)
{
	unsigned int why = 0;
	size_t i;

	for (i = at / 4; i < (at + len + 3) / 4; i++)
		why |= r->reg_doubt[i];
	return why ? why : NFT_UNKNOWABLE;
}

/* equals - compare register bytes with @to. YES: equal; NO: a known bit differs. */
static enum match equals(const struct rule *r, int at, const uint8_t *to, size_t len)
{
	enum match m = MATCH_YES;
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t known = r->regs.known[at + i];

		if ((r->regs.value[at + i] ^ to[i]) & known)
			return MATCH_NO;
		if (known != 0xff)
			m = MATCH_MAYBE;
	}
	return m;
}

static bool is_known(const struct rule *r, int at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (r->regs.known[at + i] != 0xff)
			return false;
	return true;
}

/* ---- loading ---- */

static void expr_payload(struct rule *r, const struct attrs *a)
{
	uint32_t base = number(a->a[NFTA_PAYLOAD_BASE]), at = number(a->a[NFTA_PAYLOAD_OFFSET]);
	uint32_t len = number(a->a[NFTA_PAYLOAD_LEN]);
	const struct bits *from = base == NFT_PAYLOAD_NETWORK_HEADER ? &r->w->network
							      : &r->w->transport;
	unsigned int why = NFT_UNKNOWABLE;

	if (a->a[NFTA_PAYLOAD_SREG]) {
		r->effect = FLOW_WHY_FIREWALL; /* writes into the packet */
		return;
	}
	if (base == NFT_PAYLOAD_TRANSPORT_HEADER && at < 4)
		why = NFT_NEEDS_PORTS;
	if ((base != NFT_PAYLOAD_NETWORK_HEADER && base != NFT_PAYLOAD_TRANSPORT_HEADER) ||
	    at > HEADER_BYTES || len > HEADER_BYTES || at + len > HEADER_BYTES)
		load_unknown(r, a->a[NFTA_PAYLOAD_DREG], len, why);
	else
		load(r, a->a[NFTA_PAYLOAD_DREG], from->value + at, from->known + at, len, why);
}

static void set_mark(struct rule *r, const struct nlattr *sreg)
{
	int at = reg_at(sreg, 4);

	r->sets_mark = true;
	r->knows_mark = at >= 0 && is_known(r, at, 4);
	if (r->knows_mark)
		memcpy(&r->mark, r->regs.value + at, sizeof(r->mark));
	else
		r->mark_doubts = at >= 0 ? doubts_at(r, at, 4) : NFT_UNKNOWABLE;
}

static void meta_set(struct rule *r, const struct attrs *a)
{
	switch (number(a->a[NFTA_META_KEY])) {
	case NFT_META_MARK: set_mark(r, a->a[NFTA_META_SREG]); break;
	case NFT_META_NFTRACE:
	case NFT_META_SECMARK: break;
	default: r->effect = FLOW_WHY_FIREWALL; break; /* priority: changes the tag or the queue */
	}
}

static void meta_load_mark(struct rule *r, const struct nlattr *dreg)
{
	uint32_t mark = r->w->answer.mark;

	if (r->w->inbound || r->w->answer.mark_doubts)
		load_unknown(r, dreg, 4, r->w->answer.mark_doubts);
	else
		load_u32(r, dreg, mark);
}

/*
 * An outgoing packet has no incoming device, and an incoming one no outgoing device: the index is
 * 0, the name empty. The peer's packets are assumed to arrive by the device of the route.
 */
static void meta_load_device(struct rule *r, const struct nlattr *dreg, bool in, bool by_name)
{
	static const char none[IFNAMSIZ];
	bool here = in == r->w->inbound;

	if (here && in && r->w->nat)
		load_unknown(r, dreg, by_name ? IFNAMSIZ : 4, NFT_UNKNOWABLE);
	else if (by_name)
		load(r, dreg, here ? r->w->p->ifname : none, NULL, IFNAMSIZ, 0);
	else
		load_u32(r, dreg, here ? r->w->p->oif : 0);
}

static void expr_meta(struct rule *r, const struct attrs *a)
{
	const struct nlattr *dreg = a->a[NFTA_META_DREG];
	bool ip6 = r->w->p->dest.family == ADDR_IP6, inbound = r->w->inbound;
	uint16_t ethertype = htons(ip6 ? 0x86dd : 0x0800);
	uint32_t key = number(a->a[NFTA_META_KEY]);

	if (!dreg) {
		meta_set(r, a);
		return;
	}
	switch (key) {
	case NFT_META_PROTOCOL: load(r, dreg, &ethertype, NULL, 2, 0); break;
	case NFT_META_NFPROTO: load_u8(r, dreg, ip6 ? NFPROTO_IPV6 : NFPROTO_IPV4); break;
	case NFT_META_L4PROTO: load_u8(r, dreg, IPPROTO_UDP); break;
	case NFT_META_MARK: meta_load_mark(r, dreg); break;
	case NFT_META_IIF:
	case NFT_META_IIFNAME:
		meta_load_device(r, dreg, true, key == NFT_META_IIFNAME);
		break;
	case NFT_META_OIF:
	case NFT_META_OIFNAME:
		meta_load_device(r, dreg, false, key == NFT_META_OIFNAME);
		break;
	case NFT_META_SKUID:
	case NFT_META_SKGID:
		if (inbound)
			load_unknown(r, dreg, 4, NFT_UNKNOWABLE);
		else
			load_u32(r, dreg,
				 key == NFT_META_SKUID ? r->w->p->uid : r->w->p->gid);
		break;
	default: load_unknown(r, dreg, IFNAMSIZ, NFT_UNKNOWABLE); break;
	}
}

/* The conntrack state of the packet. A packet of a media socket is never invalid or related. */
static uint32_t ct_state(const struct walk *w, uint32_t *known)
{
	const uint32_t established = 1 << 1, fresh = 1 << 3, untracked = 1 << 6;
	const struct nft_ct *ct = w->ct;

	*known = ~0u;
	if (w->untracked == MATCH_YES)
		return untracked;
	if (w->untracked == MATCH_NO && ct && ct->known)
		return (w->inbound ? ct->answered : ct->established) ? established : fresh;
	*known = ~(established | fresh | (w->untracked == MATCH_MAYBE ? untracked : 0));
	return 0;
}

static void expr_ct(struct rule *r, const struct attrs *a)
{
	const struct nlattr *dreg = a->a[NFTA_CT_DREG];
	uint32_t key = number(a->a[NFTA_CT_KEY]), known, state;
	const struct nft_ct *ct = r->w->ct;

	if (!dreg)
		return; /* sets a property of the connection, which changes no packet */
	if (r->w->nat && r->w->inbound) {
		load_unknown(r, dreg, 16, NFT_NEEDS_CT);
	} else if (key == NFT_CT_STATE) {
		state = ct_state(r->w, &known);
		load(r, dreg, &state, &known, sizeof(state), NFT_NEEDS_CT);
	} else if (key == NFT_CT_MARK && ct && ct->mark_known) {
		load_u32(r, dreg, ct->mark);
	} else {
		load_unknown(r, dreg, 16,
			     key == NFT_CT_MARK ? NFT_NEEDS_CT : NFT_NEEDS_CT | NFT_UNKNOWABLE);
	}
}

static void take_verdict(struct rule *r, const struct attrs *v)
{
	r->decided = true;
	r->verdict = (int32_t)number(v->a[NFTA_VERDICT_CODE]);
	r->target = text(v->a[NFTA_VERDICT_CHAIN]);
}

static void expr_immediate(struct rule *r, const struct attrs *a)
{
	const struct nlattr *value = value_of(a->a[NFTA_IMMEDIATE_DATA]);
	const struct nlattr *verdict = data_of(a->a[NFTA_IMMEDIATE_DATA], NFTA_DATA_VERDICT);
	struct attrs v;

	if (verdict) {
		v = attrs_in(verdict);
		take_verdict(r, &v);
	} else if (value) {
		load(r, a->a[NFTA_IMMEDIATE_DREG], mnl_attr_get_payload(value), NULL,
		     MIN(mnl_attr_get_payload_len(value), REGISTERS), 0);
	}
}

/* ---- changing and comparing ---- */

static void expr_bitwise(struct rule *r, const struct attrs *a)
{
	const struct nlattr *m = value_of(a->a[NFTA_BITWISE_MASK]);
	const struct nlattr *x = value_of(a->a[NFTA_BITWISE_XOR]);
	uint32_t len = number(a->a[NFTA_BITWISE_LEN]), i;
	int from = reg_at(a->a[NFTA_BITWISE_SREG], len);
	uint8_t value[REGISTERS], known[REGISTERS];

	if (number(a->a[NFTA_BITWISE_OP]) || len > REGISTERS || from < 0 || !m || !x ||
	    mnl_attr_get_payload_len(m) < len || mnl_attr_get_payload_len(x) < len) {
		forget_registers(r);
		return;
	}
	for (i = 0; i < len; i++) {
		uint8_t keep = ((const uint8_t *)mnl_attr_get_payload(m))[i];

		known[i] = r->regs.known[from + i] | (uint8_t)~keep;
		value[i] = (r->regs.value[from + i] & keep) ^
			   ((const uint8_t *)mnl_attr_get_payload(x))[i];
	}
	load(r, a->a[NFTA_BITWISE_DREG], value, known, len, doubts_at(r, from, len));
}

static enum match ordered(uint32_t op, int order)
{
	bool fits = op == NFT_CMP_LT	? order < 0
		    : op == NFT_CMP_LTE ? order <= 0
		    : op == NFT_CMP_GT	? order > 0
					: order >= 0;

	return fits ? MATCH_YES : MATCH_NO;
}

static enum match inverted(enum match m)
{
	return m == MATCH_YES ? MATCH_NO : m == MATCH_NO ? MATCH_YES : m;
}

static void expr_cmp(struct rule *r, const struct attrs *a)
{
	const struct nlattr *v = value_of(a->a[NFTA_CMP_DATA]);
	size_t len = v ? mnl_attr_get_payload_len(v) : 0;
	int at = reg_at(a->a[NFTA_CMP_SREG], len);
	uint32_t op = number(a->a[NFTA_CMP_OP]);
	enum match m = MATCH_MAYBE;

	if (at < 0 || !len) {
		doubt(r, NFT_UNKNOWABLE);
		return;
	}
	if (op == NFT_CMP_EQ || op == NFT_CMP_NEQ) {
		m = equals(r, at, mnl_attr_get_payload(v), len);
		m = op == NFT_CMP_EQ ? m : inverted(m);
	} else if (is_known(r, at, len)) {
		m = ordered(op, memcmp(r->regs.value + at, mnl_attr_get_payload(v), len));
	}
	matches(r, m, doubts_at(r, at, len));
}

static void expr_range(struct rule *r, const struct attrs *a)
{
	const struct nlattr *f = value_of(a->a[NFTA_RANGE_FROM_DATA]);
	const struct nlattr *t = value_of(a->a[NFTA_RANGE_TO_DATA]);
	size_t len = f ? mnl_attr_get_payload_len(f) : 0;
	int at = reg_at(a->a[NFTA_RANGE_SREG], len);
	const uint8_t *value = r->regs.value + at;
	enum match m = MATCH_MAYBE;

	if (at < 0 || !len || !t || mnl_attr_get_payload_len(t) != len) {
		doubt(r, NFT_UNKNOWABLE);
		return;
	}
	if (is_known(r, at, len)) {
		m = memcmp(value, mnl_attr_get_payload(f), len) >= 0 &&
				    memcmp(value, mnl_attr_get_payload(t), len) <= 0
			    ? MATCH_YES
			    : MATCH_NO;
		if (number(a->a[NFTA_RANGE_OP]) == NFT_RANGE_NEQ)
			m = inverted(m);
	}
	matches(r, m, doubts_at(r, at, len));
}

/* MATCH_YES, with the element in *@found, only when the whole key is known. */
static enum match in_set(const struct rule *r, int at, const struct nft_set *s,
			 const struct nft_element **found)
{
	const uint8_t *key = r->regs.value + at;
	size_t i, may = 0;

	for (i = 0; i < s->n; i++) {
		const struct nft_element *e = &s->elements[i];

		if (is_known(r, at, s->key_len)) {
			if (memcmp(key, e->key, s->key_len) < 0 ||
			    memcmp(key, e->end, s->key_len) > 0)
				continue;
			*found = e;
			return MATCH_YES;
		}
		may += memcmp(e->key, e->end, s->key_len) ||
		       equals(r, at, e->key, s->key_len) != MATCH_NO;
	}
	return may ? MATCH_MAYBE : MATCH_NO;
}

static void expr_lookup(struct rule *r, const struct attrs *a)
{
	struct nft_set *s =
		nft_set_find(r->w->rules, r->chain, text(a->a[NFTA_LOOKUP_SET]));
	int at = s ? reg_at(a->a[NFTA_LOOKUP_SREG], s->key_len) : -1;
	bool map = a->a[NFTA_LOOKUP_DREG] != NULL;
	const struct nft_element *found = NULL;
	enum match m = MATCH_MAYBE;
	struct attrs v;

	if (s && s->known && at >= 0)
		m = in_set(r, at, s, &found);
	if (number(a->a[NFTA_LOOKUP_FLAGS]) & NFT_LOOKUP_F_INV)
		m = inverted(m);
	matches(r, m, s && s->known && at >= 0 ? doubts_at(r, at, s->key_len) : NFT_UNKNOWABLE);
	if (m == MATCH_NO || !map)
		return;
	if (found && found->verdict) {
		v = attrs_of(found->verdict, found->verdict_len);
		take_verdict(r, &v);
	} else if (number(a->a[NFTA_LOOKUP_DREG]) == NFT_REG_VERDICT) {
		r->decided = true;
		r->other = s && s->known ? s : NULL;
		r->effect = r->other ? r->effect : FLOW_WHY_FIREWALL;
		r->verdict = NFT_CONTINUE;
	} else {
		forget_registers(r);
	}
}

/* The source and destination port; 0: unknown. */
static void ports_of(const struct walk *w, uint16_t ports[2])
{
	const struct outgoing *p = w->p;

	ports[0] = w->inbound ? p->dest.port : p->source.port;
	ports[1] = !w->inbound ? p->dest.port : w->nat ? 0 : p->source.port;
}

/* ---- iptables' own matches and targets ---- */

/*
 * xt_conntrack has the same state bits as nftables. A match with other conditions than states is
 * doubtful.
 */
static void match_conntrack(struct rule *r, const uint8_t *info, size_t len, uint32_t rev)
{
	enum { FLAGS_AT = 146, INVERT_AT = 148, STATE_AT = 150, END_AT = 154, STATE = 1 };
	uint32_t known, state = ct_state(r->w, &known);
	uint16_t flags, invert, wanted;

	if (rev < 2 || len < END_AT) {
		doubt(r, NFT_NEEDS_CT | NFT_UNKNOWABLE);
		return;
	}
	memcpy(&flags, info + FLAGS_AT, 2);
	memcpy(&invert, info + INVERT_AT, 2);
	memcpy(&wanted, info + STATE_AT, 2);
	if (flags != STATE || (r->w->nat && r->w->inbound))
		doubt(r, NFT_NEEDS_CT | (flags != STATE ? NFT_UNKNOWABLE : 0));
	else if (known == ~0u)
		matches(r, !(state & wanted) == !!invert ? MATCH_YES : MATCH_NO, 0);
	else if ((wanted & ~known) == 0)
		matches(r, invert ? MATCH_YES : MATCH_NO, 0);
	else if ((wanted & ~known) == (uint16_t)~known)
		matches(r, invert ? MATCH_NO : MATCH_YES, 0);
	else
		doubt(r, NFT_NEEDS_CT);
}

/* The destination of an outgoing packet is another host (RTN_UNICAST). */
static void match_addrtype(struct rule *r, const uint8_t *info, size_t len)
{
	enum { UNICAST = 1 << 1, LOCAL = 1 << 2, INVERT_SOURCE = 1, INVERT_DEST = 2 };
	uint16_t source, dest;
	uint32_t flags;
	bool fits = true;

	if (len < 8 || r->w->inbound) {
		doubt(r, NFT_UNKNOWABLE);
		return;
	}
	memcpy(&source, info, 2);
	memcpy(&dest, info + 2, 2);
	memcpy(&flags, info + 4, 4);
	if (flags & ~(uint32_t)(INVERT_SOURCE | INVERT_DEST))
		doubt(r, NFT_UNKNOWABLE);
	if (source)
		fits &= !(source & LOCAL) == !!(flags & INVERT_SOURCE);
	if (dest)
		fits &= !(dest & UNICAST) == !!(flags & INVERT_DEST);
	matches(r, fits ? MATCH_YES : MATCH_NO, 0);
}

static void match_mark(struct rule *r, const uint8_t *info, size_t len)
{
	struct {
		uint32_t mark, mask;
		uint8_t invert;
	} m;
	const struct nft_answer *now = &r->w->answer;

	if (len < 9 || r->w->inbound || now->mark_doubts) {
		doubt(r, now->mark_doubts | NFT_UNKNOWABLE);
		return;
	}
	memcpy(&m, info, 9);
	matches(r, ((now->mark & m.mask) == m.mark) ^ m.invert ? MATCH_YES : MATCH_NO, 0);
}

/* xt_udp: the ranges of both ports, in host order, and two flags that invert them. */
static void match_udp(struct rule *r, const uint8_t *info, size_t len)
{
	uint16_t ports[2], range[4];
	bool full;
	int i;

	if (len < 9) {
		doubt(r, NFT_UNKNOWABLE);
		return;
	}
	ports_of(r->w, ports);
	memcpy(range, info, sizeof(range));
	for (i = 0; i < 2; i++) {
		const uint16_t *at = range + 2 * i;
		bool invert = info[8] >> i & 1;

		full = at[0] == 0 && at[1] == 0xffff;
		if (full)
			matches(r, invert ? MATCH_NO : MATCH_YES, 0);
		else if (!ports[i])
			matches(r, MATCH_MAYBE, NFT_NEEDS_PORTS);
		else
			matches(r,
				(ports[i] >= at[0] && ports[i] <= at[1]) ^ invert ? MATCH_YES
										  : MATCH_NO,
				0);
	}
}

static void expr_match(struct rule *r, const struct attrs *a)
{
	static const char *const other_protocols[] = { "tcp",	 "icmp",  "icmp6", "sctp",
						       "dccp",	 "udplite", "esp", "ah" };
	const char *name = text(a->a[NFTA_MATCH_NAME]);
	const struct nlattr *info = a->a[NFTA_MATCH_INFO];
	const uint8_t *p = info ? mnl_attr_get_payload(info) : NULL;
	size_t len = info ? mnl_attr_get_payload_len(info) : 0, i;

	for (i = 0; i < ARRAY_SIZE(other_protocols); i++)
		if (!strcmp(name, other_protocols[i])) {
			r->match = MATCH_NO;
			return;
		}
	if (!strcmp(name, "comment"))
		return;
	if (!strcmp(name, "conntrack"))
		match_conntrack(r, p, len, number(a->a[NFTA_MATCH_REV]));
	else if (!strcmp(name, "addrtype"))
		match_addrtype(r, p, number(a->a[NFTA_MATCH_REV]) ? len : 0);
	else if (!strcmp(name, "mark"))
		match_mark(r, p, number(a->a[NFTA_MATCH_REV]) ? len : 0);
	else if (!strcmp(name, "udp"))
		match_udp(r, p, len);
	else
		doubt(r, NFT_UNKNOWABLE);
}

static void target_mark(struct rule *r, const struct nlattr *info, uint32_t rev)
{
	const struct nft_answer *now = &r->w->answer;
	uint32_t m[2]; /* mark, mask */

	r->sets_mark = true;
	r->mark_doubts = NFT_UNKNOWABLE;
	if (rev != 2 || !info || mnl_attr_get_payload_len(info) < sizeof(m))
		return;
	memcpy(m, mnl_attr_get_payload(info), sizeof(m));
	r->knows_mark = !now->mark_doubts || m[1] == ~0u;
	r->mark_doubts = now->mark_doubts;
	r->mark = (now->mark & ~m[1]) ^ m[0];
}

/* The target is the end of a rule. A target that is not in the table counts as an effect. */
static const struct {
	const char *name;
	enum { GOES_ON, TRANSLATES, MARKS, MARKS_BY_CT, UNTRACKS } does;
} targets[] = {
	{ "LOG", GOES_ON },	      { "NFLOG", GOES_ON },	{ "TRACE", GOES_ON },
	{ "CT", UNTRACKS },	      { "NOTRACK", UNTRACKS },	{ "SECMARK", GOES_ON },
	{ "CONNSECMARK", GOES_ON },   { "RATEEST", GOES_ON },	{ "AUDIT", GOES_ON },
	{ "SET", GOES_ON },	      { "MASQUERADE", TRANSLATES }, { "SNAT", TRANSLATES },
	{ "DNAT", TRANSLATES },	      { "NETMAP", TRANSLATES }, { "REDIRECT", TRANSLATES },
	{ "MARK", MARKS },	      { "CONNMARK", MARKS_BY_CT },
};

static void expr_target(struct rule *r, const struct attrs *a)
{
	const char *name = text(a->a[NFTA_TARGET_NAME]);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		if (strcmp(name, targets[i].name))
			continue;
		switch (targets[i].does) {
		case GOES_ON: return;
		case UNTRACKS: r->untracks = true; return;
		case TRANSLATES: r->effect = FLOW_WHY_NAT; return;
		case MARKS:
			target_mark(r, a->a[NFTA_TARGET_INFO], number(a->a[NFTA_TARGET_REV]));
			return;
		case MARKS_BY_CT:
			r->sets_mark = true;
			r->mark_doubts = NFT_NEEDS_CT | NFT_UNKNOWABLE;
			return;
		}
	}
	r->effect = FLOW_WHY_FIREWALL;
}

/* ---- one rule ---- */

static void expr_nothing(struct rule *r, const struct attrs *a)
{
	(void)r, (void)a;
}

static void expr_notrack(struct rule *r, const struct attrs *a)
{
	(void)a;
	r->untracks = true;
}

static void expr_nat(struct rule *r, const struct attrs *a)
{
	(void)a;
	r->effect = FLOW_WHY_NAT;
}

static void expr_acts(struct rule *r, const struct attrs *a)
{
	(void)a;
	r->effect = FLOW_WHY_FIREWALL;
}

static void expr_counts(struct rule *r, const struct attrs *a)
{
	(void)a;
	doubt(r, NFT_UNKNOWABLE);
}

static void expr_loads(struct rule *r, const struct attrs *a)
{
	(void)a;
	forget_registers(r);
}

static const struct {
	const char *name;
	void (*run)(struct rule *r, const struct attrs *data);
} expressions[] = {
	{ "payload", expr_payload }, { "meta", expr_meta },	{ "ct", expr_ct },
	{ "immediate", expr_immediate }, { "bitwise", expr_bitwise }, { "cmp", expr_cmp },
	{ "range", expr_range },     { "lookup", expr_lookup }, { "match", expr_match },
	{ "target", expr_target },   { "nat", expr_nat },	{ "masq", expr_nat },
	{ "redir", expr_nat },	     { "counter", expr_nothing }, { "log", expr_nothing },
	{ "last", expr_nothing },    { "notrack", expr_notrack }, { "objref", expr_counts },
	{ "flow_offload", expr_nothing }, { "limit", expr_counts }, { "quota", expr_counts },
	{ "connlimit", expr_counts }, { "dynset", expr_counts }, { "fib", expr_loads },
	{ "rt", expr_loads },	     { "hash", expr_loads },	{ "numgen", expr_loads },
	{ "socket", expr_loads },    { "osf", expr_loads },	{ "xfrm", expr_loads },
	{ "tunnel", expr_loads },    { "byteorder", expr_loads }, { "reject", expr_acts },
	{ "queue", expr_acts },	     { "dup", expr_acts },	{ "fwd", expr_acts },
	{ "tproxy", expr_acts },     { "synproxy", expr_acts },
};

static void expr_unknown(struct rule *r, const struct attrs *a)
{
	(void)a;
	forget_registers(r);
	doubt(r, NFT_UNKNOWABLE);
	r->effect = FLOW_WHY_FIREWALL;
}

/* A rule with its expressions looked up; the attributes are those of nft_rule.exprs. */
struct ready {
	size_t n;
	struct {
		void (*run)(struct rule *r, const struct attrs *data);
		struct attrs data;
	} all[];
};

static void (*run_of(const char *name))(struct rule *r, const struct attrs *data)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(expressions); i++)
		if (!strcmp(name, expressions[i].name))
			return expressions[i].run;
	return expr_unknown;
}

static struct ready *make_ready(const struct nft_rule *rule)
{
	const struct nlattr *attr;
	struct attrs e;
	struct ready *y;
	size_t n = 0;

	mnl_attr_for_each_payload(rule->exprs, rule->len)
		n++;
	y = calloc(1, sizeof(*y) + n * sizeof(y->all[0]));
	if (!y)
		return NULL;
	mnl_attr_for_each_payload(rule->exprs, rule->len) {
		e = attrs_in(attr);
		y->all[y->n].run = run_of(text(e.a[NFTA_EXPR_NAME]));
		y->all[y->n++].data = attrs_in(e.a[NFTA_EXPR_DATA]);
	}
	return y;
}

/* Run the expressions of a rule, up to the first that does not match or gives a verdict. */
static void run_rule(struct rule *r, struct nft_rule *rule)
{
	const struct ready *y;
	size_t i;

	r->match = MATCH_YES;
	r->effect = FLOW_WHY_KERNEL;
	if (!rule->ready)
		rule->ready = make_ready(rule);
	y = rule->ready;
	if (!y)
		expr_unknown(r, NULL);
	for (i = 0; y && i < y->n && r->match != MATCH_NO && !r->decided; i++)
		y->all[i].run(r, &y->all[i].data);
}

/* ---- chains ---- */

/* note - record the effect @why with its doubts. A certain effect stays certain. */
static void note(struct walk *w, enum flow_why why, unsigned int doubts)
{
	struct nft_answer *a = &w->answer;

	if (a->why != FLOW_WHY_KERNEL && !a->doubts)
		return;
	a->doubts = doubts && a->why != FLOW_WHY_KERNEL ? a->doubts | doubts : doubts;
	a->why = why;
}

static void note_mark(struct walk *w, const struct rule *r, unsigned int doubts)
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

static struct way walk_chain(struct walk *w, const struct nft_chain *c, unsigned int doubts,
			     unsigned int depth);

static struct way jump(struct walk *w, const struct nft_chain *from, const char *name,
		       unsigned int doubts, unsigned int depth)
{
	const struct nft_chain *to = nft_chain_find(w->rules, from, name);

	if (!to || depth >= MAX_DEPTH) {
		note(w, FLOW_WHY_FIREWALL, doubts | NFT_UNKNOWABLE);
		return (struct way){ .doubts = NFT_UNKNOWABLE };
	}
	return walk_chain(w, to, doubts, depth + 1);
}

/*
 * act - carry out a verdict of a rule of @c. @doubts: that the packet reaches the rule; @own: that
 * the rule matches. Returns how the packet goes on after the rule. *@leaves: it leaves this chain.
 */
static struct way act(struct walk *w, const struct nft_chain *c, int32_t verdict,
		      const char *target, unsigned int doubts, unsigned int own,
		      unsigned int depth, bool *leaves)
{
	struct way to = { .stops = true };

	*leaves = false;
	switch (verdict) {
	case NF_ACCEPT: break;
	case NFT_RETURN: to.stops = false; *leaves = !own; break;
	case NFT_CONTINUE:
	case NFT_BREAK: return (struct way){ 0 };
	case NFT_JUMP: to = jump(w, c, target, doubts | own, depth); break;
	case NFT_GOTO:
		to = jump(w, c, target, doubts | own, depth);
		*leaves = !own;
		break;
	default: note(w, FLOW_WHY_FIREWALL, doubts | own); break; /* drop, queue */
	}
	if (!own)
		return to;
	if (verdict == NFT_JUMP && !to.stops && !to.doubts)
		return to;
	return (struct way){ .doubts = own | to.doubts };
}

/* Carry out every verdict of the map, each with a doubt: the key is not known. */
static struct way act_any(struct walk *w, const struct nft_chain *c, const struct nft_set *map,
			  unsigned int doubts, unsigned int own, unsigned int depth)
{
	unsigned int all = 0, any = own ? own : NFT_UNKNOWABLE;
	bool leaves;
	size_t i;

	for (i = 0; i < map->n; i++) {
		struct attrs v = attrs_of(map->elements[i].verdict, map->elements[i].verdict_len);
		struct way to = act(w, c, (int32_t)number(v.a[NFTA_VERDICT_CODE]),
				    text(v.a[NFTA_VERDICT_CHAIN]), doubts, any, depth, &leaves);

		all |= to.doubts;
	}
	return (struct way){ .doubts = all };
}

static struct way walk_chain(struct walk *w, const struct nft_chain *c, unsigned int doubts,
			     unsigned int depth)
{
	struct way way = { 0 }, to;
	bool leaves = false;
	size_t i;

	for (i = 0; i < c->n_rules; i++) {
		struct rule r = { .w = w, .chain = c };
		unsigned int here = doubts | way.doubts;

		if (++w->steps > MAX_STEPS) {
			note(w, FLOW_WHY_FIREWALL, NFT_UNKNOWABLE);
			return (struct way){ .stops = true };
		}
		run_rule(&r, &c->rules[i]);
		if (r.match == MATCH_NO)
			continue;
		if (r.effect != FLOW_WHY_KERNEL)
			note(w, r.effect, here | r.doubts);
		if (r.untracks)
			w->untracked = here | r.doubts ? MATCH_MAYBE : MATCH_YES;
		if (r.sets_mark)
			note_mark(w, &r, here | r.doubts);
		if (!r.decided)
			continue;
		to = r.other ? act_any(w, c, r.other, here, r.doubts, depth)
			     : act(w, c, r.verdict, r.target, here, r.doubts, depth, &leaves);
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

static void known_bytes(struct bits *b, size_t at, const void *value, size_t len)
{
	memcpy(b->value + at, value, len);
	memset(b->known + at, 0xff, len);
}

static void known_byte(struct bits *b, size_t at, uint8_t value, uint8_t known)
{
	b->value[at] = value & known;
	b->known[at] = known;
}

static void describe_ip4(struct walk *w)
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

static void describe_ip6(struct walk *w)
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

static void describe(struct walk *w)
{
	uint16_t ports[2], from, to;

	ports_of(w, ports);
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

static bool chain_sees(const struct walk *w, const struct nft_chain *c)
{
	unsigned int family = w->p->dest.family == ADDR_IP6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

	if (w->hook == NFT_AT_EGRESS)
		return c->devs || !strcmp(c->dev, w->p->ifname);
	return c->family == NFPROTO_INET || c->family == family;
}

struct nft_answer nfteval(const struct nft_rules *rules, enum nft_hook hook, bool nat,
			  const struct outgoing *p, const struct nft_ct *ct)
{
	struct walk w = {
		.rules = rules,
		.p = p,
		.ct = ct,
		.hook = hook,
		.inbound = hook == NFT_AT_PREROUTING || hook == NFT_AT_INPUT,
		.nat = nat,
		.answer = { .why = FLOW_WHY_KERNEL, .mark = p->mark },
	};
	size_t i;

	if (rules->broken) {
		w.answer.why = FLOW_WHY_FIREWALL;
		w.answer.doubts = NFT_UNKNOWABLE;
		return w.answer;
	}
	if (!rules->n_hooked[hook])
		return w.answer;
	describe(&w);
	for (i = 0; i < rules->n_hooked[hook]; i++) {
		const struct nft_chain *c = rules->hooked[hook][i];
		struct way way;

		if ((c->type == NFT_NAT) != nat || !chain_sees(&w, c))
			continue;
		way = walk_chain(&w, c, 0, 0);
		if (!way.stops && c->drops)
			note(&w, FLOW_WHY_FIREWALL, way.doubts);
	}
	return w.answer;
}
