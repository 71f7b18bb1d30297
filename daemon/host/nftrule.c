/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nftrule.c - the expressions of nftables and the matches and targets of iptables, in tables.
 */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <stdlib.h>

#include "host/nftrule.h"
#include "host/attrs.h"

#define HEADER_BYTES 40

/* ---- attributes ---- */

/* data_of - the only attribute of a nest, if it is of @type. */
static const struct nlattr *data_of(const struct nlattr *nest, unsigned int type)
{
	const struct nlattr *a = nest ? mnl_attr_get_payload(nest) : NULL;

	if (!a || !mnl_attr_ok(a, mnl_attr_get_payload_len(nest)) || mnl_attr_get_type(a) != type)
		return NULL;
	return a;
}

static const struct nlattr *attr_value(const struct nlattr *nest)
{
	return data_of(nest, NFTA_DATA_VALUE);
}

static uint32_t attr_number(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static const char *attr_text(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(a) : "";
}

/* ---- registers ---- */

static void step_doubt(struct nft_step *r, unsigned int why)
{
	r->match = NFT_MATCH_MAYBE;
	r->doubts |= why;
}

static void step_matches(struct nft_step *r, enum nft_match m, unsigned int why)
{
	if (m == NFT_MATCH_NO)
		r->match = NFT_MATCH_NO;
	else if (m == NFT_MATCH_MAYBE)
		step_doubt(r, why);
}

/* reg_at - the byte where a register begins; -1: no such register, or fewer than @len bytes. */
static int reg_at(const struct nlattr *a, size_t len)
{
	uint32_t reg = attr_number(a);
	int at = reg >= NFT_REG32_00 ? (int)(reg - NFT_REG32_00) * 4 : (int)(reg - NFT_REG_1) * 16;

	return reg < NFT_REG_1 || at < 0 || at + len > NFT_REGISTERS ? -1 : at;
}

static void register_load(struct nft_step *r, const struct nlattr *dreg, const void *value,
			  const void *known, size_t len, unsigned int why)
{
	size_t all = (len + 3) & ~(size_t)3, i;
	int at = reg_at(dreg, all);

	if (at < 0) {
		step_doubt(r, NFT_UNKNOWABLE);
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

static void load_u32(struct nft_step *r, const struct nlattr *dreg, uint32_t value)
{
	register_load(r, dreg, &value, NULL, sizeof(value), 0);
}

static void load_u8(struct nft_step *r, const struct nlattr *dreg, uint8_t value)
{
	register_load(r, dreg, &value, NULL, sizeof(value), 0);
}

static void load_unknown(struct nft_step *r, const struct nlattr *dreg, size_t len,
			 unsigned int why)
{
	static const uint8_t none[NFT_REGISTERS];

	register_load(r, dreg, none, none, MIN(len, sizeof(none)), why);
}

static void forget_registers(struct nft_step *r)
{
	size_t i;

	memset(&r->regs, 0, sizeof(r->regs));
	for (i = 0; i < ARRAY_SIZE(r->reg_doubt); i++)
		r->reg_doubt[i] = NFT_UNKNOWABLE;
}

static unsigned int doubts_at(const struct nft_step *r, int at, size_t len)
{
	unsigned int why = 0;
	size_t i;

	for (i = at / 4; i < (at + len + 3) / 4; i++)
		why |= r->reg_doubt[i];
	return why ? why : NFT_UNKNOWABLE;
}

/* equals - compare register bytes with @to. YES: equal; NO: a known bit differs. */
static enum nft_match register_equals(const struct nft_step *r, int at, const uint8_t *to,
				      size_t len)
{
	enum nft_match m = NFT_MATCH_YES;
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t known = r->regs.known[at + i];

		if ((r->regs.value[at + i] ^ to[i]) & known)
			return NFT_MATCH_NO;
		if (known != 0xff)
			m = NFT_MATCH_MAYBE;
	}
	return m;
}

static bool is_known(const struct nft_step *r, int at, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (r->regs.known[at + i] != 0xff)
			return false;
	return true;
}

/* ---- loading ---- */

static void expr_payload(struct nft_step *r, const struct attrs *a)
{
	uint32_t base = attr_number(a->a[NFTA_PAYLOAD_BASE]),
		 at = attr_number(a->a[NFTA_PAYLOAD_OFFSET]);
	uint32_t len = attr_number(a->a[NFTA_PAYLOAD_LEN]);
	const struct nft_bits *from =
		base == NFT_PAYLOAD_NETWORK_HEADER ? &r->w->network : &r->w->transport;
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
		register_load(r, a->a[NFTA_PAYLOAD_DREG], from->value + at, from->known + at, len,
			      why);
}

static void set_mark(struct nft_step *r, const struct nlattr *sreg)
{
	int at = reg_at(sreg, 4);

	r->sets_mark = true;
	r->knows_mark = at >= 0 && is_known(r, at, 4);
	if (r->knows_mark)
		memcpy(&r->mark, r->regs.value + at, sizeof(r->mark));
	else
		r->mark_doubts = at >= 0 ? doubts_at(r, at, 4) : NFT_UNKNOWABLE;
}

static void meta_set(struct nft_step *r, const struct attrs *a)
{
	switch (attr_number(a->a[NFTA_META_KEY])) {
	case NFT_META_MARK:
		set_mark(r, a->a[NFTA_META_SREG]);
		break;
	case NFT_META_NFTRACE:
	case NFT_META_SECMARK:
		break;
	default:
		r->effect = FLOW_WHY_FIREWALL;
		break; /* priority: changes the tag or the queue */
	}
}

static void meta_load_mark(struct nft_step *r, const struct nlattr *dreg)
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
static void meta_load_device(struct nft_step *r, const struct nlattr *dreg, bool in, bool by_name)
{
	static const char none[IFNAMSIZ];
	bool here = in == r->w->inbound;

	if (here && in && r->w->nat)
		load_unknown(r, dreg, by_name ? IFNAMSIZ : 4, NFT_UNKNOWABLE);
	else if (by_name)
		register_load(r, dreg, here ? r->w->p->ifname : none, NULL, IFNAMSIZ, 0);
	else
		load_u32(r, dreg, here ? r->w->p->oif : 0);
}

static void expr_meta(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *dreg = a->a[NFTA_META_DREG];
	bool ip6 = r->w->p->dest.family == ADDR_IP6, inbound = r->w->inbound;
	uint16_t ethertype = htons(ip6 ? 0x86dd : 0x0800);
	uint32_t key = attr_number(a->a[NFTA_META_KEY]);

	if (!dreg) {
		meta_set(r, a);
		return;
	}
	switch (key) {
	case NFT_META_PROTOCOL:
		register_load(r, dreg, &ethertype, NULL, 2, 0);
		break;
	case NFT_META_NFPROTO:
		load_u8(r, dreg, ip6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
		break;
	case NFT_META_L4PROTO:
		load_u8(r, dreg, IPPROTO_UDP);
		break;
	case NFT_META_MARK:
		meta_load_mark(r, dreg);
		break;
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
			load_u32(r, dreg, key == NFT_META_SKUID ? r->w->p->uid : r->w->p->gid);
		break;
	default:
		load_unknown(r, dreg, IFNAMSIZ, NFT_UNKNOWABLE);
		break;
	}
}

/* The conntrack state of the packet. A packet of a media socket is never invalid or related. */
static uint32_t ct_state(const struct nft_walk *w, uint32_t *known)
{
	const uint32_t established = 1 << 1, fresh = 1 << 3, untracked = 1 << 6;
	const struct nft_ct *ct = w->ct;

	*known = ~0u;
	if (w->untracked == NFT_MATCH_YES)
		return untracked;
	if (w->untracked == NFT_MATCH_NO && ct && ct->known)
		return (w->inbound ? ct->answered : ct->established) ? established : fresh;
	*known = ~(established | fresh | (w->untracked == NFT_MATCH_MAYBE ? untracked : 0));
	return 0;
}

static void expr_ct(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *dreg = a->a[NFTA_CT_DREG];
	uint32_t key = attr_number(a->a[NFTA_CT_KEY]), known, state;
	const struct nft_ct *ct = r->w->ct;

	if (!dreg)
		return; /* sets a property of the connection, which changes no packet */
	if (r->w->nat && r->w->inbound) {
		load_unknown(r, dreg, 16, NFT_NEEDS_CT);
	} else if (key == NFT_CT_STATE) {
		state = ct_state(r->w, &known);
		register_load(r, dreg, &state, &known, sizeof(state), NFT_NEEDS_CT);
	} else if (key == NFT_CT_MARK && ct && ct->mark_known) {
		load_u32(r, dreg, ct->mark);
	} else {
		load_unknown(r, dreg, 16,
			     key == NFT_CT_MARK ? NFT_NEEDS_CT : NFT_NEEDS_CT | NFT_UNKNOWABLE);
	}
}

static void take_verdict(struct nft_step *r, const struct attrs *v)
{
	r->decided = true;
	r->verdict = (int32_t)attr_number(v->a[NFTA_VERDICT_CODE]);
	r->target = attr_text(v->a[NFTA_VERDICT_CHAIN]);
}

static void expr_immediate(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *value = attr_value(a->a[NFTA_IMMEDIATE_DATA]);
	const struct nlattr *verdict = data_of(a->a[NFTA_IMMEDIATE_DATA], NFTA_DATA_VERDICT);
	struct attrs v;

	if (verdict) {
		v = attrs_in(verdict);
		take_verdict(r, &v);
	} else if (value) {
		register_load(r, a->a[NFTA_IMMEDIATE_DREG], mnl_attr_get_payload(value), NULL,
			      MIN(mnl_attr_get_payload_len(value), NFT_REGISTERS), 0);
	}
}

/* ---- changing and comparing ---- */

static void expr_bitwise(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *m = attr_value(a->a[NFTA_BITWISE_MASK]);
	const struct nlattr *x = attr_value(a->a[NFTA_BITWISE_XOR]);
	uint32_t len = attr_number(a->a[NFTA_BITWISE_LEN]), i;
	int from = reg_at(a->a[NFTA_BITWISE_SREG], len);
	uint8_t value[NFT_REGISTERS], known[NFT_REGISTERS];

	if (attr_number(a->a[NFTA_BITWISE_OP]) || len > NFT_REGISTERS || from < 0 || !m || !x ||
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
	register_load(r, a->a[NFTA_BITWISE_DREG], value, known, len, doubts_at(r, from, len));
}

static enum nft_match order_match(uint32_t op, int order)
{
	bool fits = op == NFT_CMP_LT	? order < 0
		    : op == NFT_CMP_LTE ? order <= 0
		    : op == NFT_CMP_GT	? order > 0
					: order >= 0;

	return fits ? NFT_MATCH_YES : NFT_MATCH_NO;
}

static enum nft_match match_inverted(enum nft_match m)
{
	return m == NFT_MATCH_YES ? NFT_MATCH_NO : m == NFT_MATCH_NO ? NFT_MATCH_YES : m;
}

static void expr_cmp(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *v = attr_value(a->a[NFTA_CMP_DATA]);
	size_t len = v ? mnl_attr_get_payload_len(v) : 0;
	int at = reg_at(a->a[NFTA_CMP_SREG], len);
	uint32_t op = attr_number(a->a[NFTA_CMP_OP]);
	enum nft_match m = NFT_MATCH_MAYBE;

	if (at < 0 || !len) {
		step_doubt(r, NFT_UNKNOWABLE);
		return;
	}
	if (op == NFT_CMP_EQ || op == NFT_CMP_NEQ) {
		m = register_equals(r, at, mnl_attr_get_payload(v), len);
		m = op == NFT_CMP_EQ ? m : match_inverted(m);
	} else if (is_known(r, at, len)) {
		m = order_match(op, memcmp(r->regs.value + at, mnl_attr_get_payload(v), len));
	}
	step_matches(r, m, doubts_at(r, at, len));
}

static void expr_range(struct nft_step *r, const struct attrs *a)
{
	const struct nlattr *f = attr_value(a->a[NFTA_RANGE_FROM_DATA]);
	const struct nlattr *t = attr_value(a->a[NFTA_RANGE_TO_DATA]);
	size_t len = f ? mnl_attr_get_payload_len(f) : 0;
	int at = reg_at(a->a[NFTA_RANGE_SREG], len);
	const uint8_t *value = r->regs.value + at;
	enum nft_match m = NFT_MATCH_MAYBE;

	if (at < 0 || !len || !t || mnl_attr_get_payload_len(t) != len) {
		step_doubt(r, NFT_UNKNOWABLE);
		return;
	}
	if (is_known(r, at, len)) {
		m = memcmp(value, mnl_attr_get_payload(f), len) >= 0 &&
				    memcmp(value, mnl_attr_get_payload(t), len) <= 0
			    ? NFT_MATCH_YES
			    : NFT_MATCH_NO;
		if (attr_number(a->a[NFTA_RANGE_OP]) == NFT_RANGE_NEQ)
			m = match_inverted(m);
	}
	step_matches(r, m, doubts_at(r, at, len));
}

/* NFT_MATCH_YES, with the element in *@found, only when the whole key is known. */
static enum nft_match in_set(const struct nft_step *r, int at, const struct nft_set *s,
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
			return NFT_MATCH_YES;
		}
		may += memcmp(e->key, e->end, s->key_len) ||
		       register_equals(r, at, e->key, s->key_len) != NFT_MATCH_NO;
	}
	return may ? NFT_MATCH_MAYBE : NFT_MATCH_NO;
}

static void expr_lookup(struct nft_step *r, const struct attrs *a)
{
	struct nft_set *s = nft_set_find(r->w->rules, r->chain, attr_text(a->a[NFTA_LOOKUP_SET]));
	int at = s ? reg_at(a->a[NFTA_LOOKUP_SREG], s->key_len) : -1;
	bool map = a->a[NFTA_LOOKUP_DREG] != NULL;
	const struct nft_element *found = NULL;
	enum nft_match m = NFT_MATCH_MAYBE;
	struct attrs v;

	if (s && s->known && at >= 0)
		m = in_set(r, at, s, &found);
	if (attr_number(a->a[NFTA_LOOKUP_FLAGS]) & NFT_LOOKUP_F_INV)
		m = match_inverted(m);
	step_matches(r, m,
		     s && s->known && at >= 0 ? doubts_at(r, at, s->key_len) : NFT_UNKNOWABLE);
	if (m == NFT_MATCH_NO || !map)
		return;
	if (found && found->verdict) {
		v = attrs_at(found->verdict, found->verdict_len);
		take_verdict(r, &v);
	} else if (attr_number(a->a[NFTA_LOOKUP_DREG]) == NFT_REG_VERDICT) {
		r->decided = true;
		r->other = s && s->known ? s : NULL;
		r->effect = r->other ? r->effect : FLOW_WHY_FIREWALL;
		r->verdict = NFT_CONTINUE;
	} else {
		forget_registers(r);
	}
}

void nft_walk_ports(const struct nft_walk *w, uint16_t ports[2])
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
static void match_conntrack(struct nft_step *r, const uint8_t *info, size_t len, uint32_t rev)
{
	enum { FLAGS_AT = 146, INVERT_AT = 148, STATE_AT = 150, END_AT = 154, STATE = 1 };
	uint32_t known, state = ct_state(r->w, &known);
	uint16_t flags, invert, wanted;

	if (rev < 2 || len < END_AT) {
		step_doubt(r, NFT_NEEDS_CT | NFT_UNKNOWABLE);
		return;
	}
	memcpy(&flags, info + FLAGS_AT, 2);
	memcpy(&invert, info + INVERT_AT, 2);
	memcpy(&wanted, info + STATE_AT, 2);
	if (flags != STATE || (r->w->nat && r->w->inbound))
		step_doubt(r, NFT_NEEDS_CT | (flags != STATE ? NFT_UNKNOWABLE : 0));
	else if (known == ~0u)
		step_matches(r, !(state & wanted) == !!invert ? NFT_MATCH_YES : NFT_MATCH_NO, 0);
	else if ((wanted & ~known) == 0)
		step_matches(r, invert ? NFT_MATCH_YES : NFT_MATCH_NO, 0);
	else if ((wanted & ~known) == (uint16_t)~known)
		step_matches(r, invert ? NFT_MATCH_NO : NFT_MATCH_YES, 0);
	else
		step_doubt(r, NFT_NEEDS_CT);
}

/* The destination of an outgoing packet is another host (RTN_UNICAST). */
static void match_addrtype(struct nft_step *r, const uint8_t *info, size_t len)
{
	enum { UNICAST = 1 << 1, LOCAL = 1 << 2, INVERT_SOURCE = 1, INVERT_DEST = 2 };
	uint16_t source, dest;
	uint32_t flags;
	bool fits = true;

	if (len < 8 || r->w->inbound) {
		step_doubt(r, NFT_UNKNOWABLE);
		return;
	}
	memcpy(&source, info, 2);
	memcpy(&dest, info + 2, 2);
	memcpy(&flags, info + 4, 4);
	if (flags & ~(uint32_t)(INVERT_SOURCE | INVERT_DEST))
		step_doubt(r, NFT_UNKNOWABLE);
	if (source)
		fits &= !(source & LOCAL) == !!(flags & INVERT_SOURCE);
	if (dest)
		fits &= !(dest & UNICAST) == !!(flags & INVERT_DEST);
	step_matches(r, fits ? NFT_MATCH_YES : NFT_MATCH_NO, 0);
}

static void match_mark(struct nft_step *r, const uint8_t *info, size_t len)
{
	struct {
		uint32_t mark, mask;
		uint8_t invert;
	} m;
	const struct nft_answer *now = &r->w->answer;

	if (len < 9 || r->w->inbound || now->mark_doubts) {
		step_doubt(r, now->mark_doubts | NFT_UNKNOWABLE);
		return;
	}
	memcpy(&m, info, 9);
	step_matches(r, ((now->mark & m.mask) == m.mark) ^ m.invert ? NFT_MATCH_YES : NFT_MATCH_NO,
		     0);
}

/* xt_udp: the ranges of both ports, in host order, and two flags that invert them. */
static void match_udp(struct nft_step *r, const uint8_t *info, size_t len)
{
	uint16_t ports[2], range[4];
	bool full;
	int i;

	if (len < 9) {
		step_doubt(r, NFT_UNKNOWABLE);
		return;
	}
	nft_walk_ports(r->w, ports);
	memcpy(range, info, sizeof(range));
	for (i = 0; i < 2; i++) {
		const uint16_t *at = range + 2 * i;
		bool invert = info[8] >> i & 1;

		full = at[0] == 0 && at[1] == 0xffff;
		if (full)
			step_matches(r, invert ? NFT_MATCH_NO : NFT_MATCH_YES, 0);
		else if (!ports[i])
			step_matches(r, NFT_MATCH_MAYBE, NFT_NEEDS_PORTS);
		else
			step_matches(r,
				     (ports[i] >= at[0] && ports[i] <= at[1]) ^ invert
					     ? NFT_MATCH_YES
					     : NFT_MATCH_NO,
				     0);
	}
}

static void expr_match(struct nft_step *r, const struct attrs *a)
{
	static const char *const other_protocols[] = { "tcp",  "icmp",	  "icmp6", "sctp",
						       "dccp", "udplite", "esp",   "ah" };
	const char *name = attr_text(a->a[NFTA_MATCH_NAME]);
	const struct nlattr *info = a->a[NFTA_MATCH_INFO];
	const uint8_t *p = info ? mnl_attr_get_payload(info) : NULL;
	size_t len = info ? mnl_attr_get_payload_len(info) : 0, i;

	for (i = 0; i < ARRAY_SIZE(other_protocols); i++)
		if (!strcmp(name, other_protocols[i])) {
			r->match = NFT_MATCH_NO;
			return;
		}
	if (!strcmp(name, "comment"))
		return;
	if (!strcmp(name, "conntrack"))
		match_conntrack(r, p, len, attr_number(a->a[NFTA_MATCH_REV]));
	else if (!strcmp(name, "addrtype"))
		match_addrtype(r, p, attr_number(a->a[NFTA_MATCH_REV]) ? len : 0);
	else if (!strcmp(name, "mark"))
		match_mark(r, p, attr_number(a->a[NFTA_MATCH_REV]) ? len : 0);
	else if (!strcmp(name, "udp"))
		match_udp(r, p, len);
	else
		step_doubt(r, NFT_UNKNOWABLE);
}

static void target_mark(struct nft_step *r, const struct nlattr *info, uint32_t rev)
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
/* clang-format off */
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
/* clang-format on */

static void expr_target(struct nft_step *r, const struct attrs *a)
{
	const char *name = attr_text(a->a[NFTA_TARGET_NAME]);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		if (strcmp(name, targets[i].name))
			continue;
		switch (targets[i].does) {
		case GOES_ON:
			return;
		case UNTRACKS:
			r->untracks = true;
			return;
		case TRANSLATES:
			r->effect = FLOW_WHY_NAT;
			return;
		case MARKS:
			target_mark(r, a->a[NFTA_TARGET_INFO], attr_number(a->a[NFTA_TARGET_REV]));
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

static void expr_nothing(struct nft_step *r, const struct attrs *a)
{
	(void)r, (void)a;
}

static void expr_notrack(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	r->untracks = true;
}

static void expr_nat(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	r->effect = FLOW_WHY_NAT;
}

static void expr_acts(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	r->effect = FLOW_WHY_FIREWALL;
}

static void expr_counts(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	step_doubt(r, NFT_UNKNOWABLE);
}

static void expr_loads(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	forget_registers(r);
}

static const struct {
	const char *name;
	void (*run)(struct nft_step *r, const struct attrs *data);
} expressions[] = {
	{ "payload", expr_payload },
	{ "meta", expr_meta },
	{ "ct", expr_ct },
	{ "immediate", expr_immediate },
	{ "bitwise", expr_bitwise },
	{ "cmp", expr_cmp },
	{ "range", expr_range },
	{ "lookup", expr_lookup },
	{ "match", expr_match },
	{ "target", expr_target },
	{ "nat", expr_nat },
	{ "masq", expr_nat },
	{ "redir", expr_nat },
	{ "counter", expr_nothing },
	{ "log", expr_nothing },
	{ "last", expr_nothing },
	{ "notrack", expr_notrack },
	{ "objref", expr_counts },
	{ "flow_offload", expr_nothing },
	{ "limit", expr_counts },
	{ "quota", expr_counts },
	{ "connlimit", expr_counts },
	{ "dynset", expr_counts },
	{ "fib", expr_loads },
	{ "rt", expr_loads },
	{ "hash", expr_loads },
	{ "numgen", expr_loads },
	{ "socket", expr_loads },
	{ "osf", expr_loads },
	{ "xfrm", expr_loads },
	{ "tunnel", expr_loads },
	{ "byteorder", expr_loads },
	{ "reject", expr_acts },
	{ "queue", expr_acts },
	{ "dup", expr_acts },
	{ "fwd", expr_acts },
	{ "tproxy", expr_acts },
	{ "synproxy", expr_acts },
};

static void expr_unknown(struct nft_step *r, const struct attrs *a)
{
	(void)a;
	forget_registers(r);
	step_doubt(r, NFT_UNKNOWABLE);
	r->effect = FLOW_WHY_FIREWALL;
}

/* A rule with its expressions looked up; the attributes are those of nft_rule.exprs. */
struct ready {
	size_t n;
	struct {
		void (*run)(struct nft_step *r, const struct attrs *data);
		struct attrs data;
	} all[];
};

static void (*run_of(const char *name))(struct nft_step *r, const struct attrs *data)
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

	mnl_attr_for_each_payload(rule->exprs, rule->len) n++;
	y = calloc(1, sizeof(*y) + n * sizeof(y->all[0]));
	if (!y)
		return NULL;
	mnl_attr_for_each_payload(rule->exprs, rule->len)
	{
		e = attrs_in(attr);
		y->all[y->n].run = run_of(attr_text(e.a[NFTA_EXPR_NAME]));
		y->all[y->n++].data = attrs_in(e.a[NFTA_EXPR_DATA]);
	}
	return y;
}

void nft_step_run(struct nft_step *r, struct nft_rule *rule)
{
	const struct ready *y;
	size_t i;

	r->match = NFT_MATCH_YES;
	r->effect = FLOW_NO_OBJECTION;
	if (!rule->ready)
		rule->ready = make_ready(rule);
	y = rule->ready;
	if (!y)
		expr_unknown(r, NULL);
	for (i = 0; y && i < y->n && r->match != NFT_MATCH_NO && !r->decided; i++)
		y->all[i].run(r, &y->all[i].data);
}

int32_t nft_verdict_read(const void *bytes, size_t len, const char **chain)
{
	struct attrs v = attrs_at(bytes, len);

	*chain = attr_text(v.a[NFTA_VERDICT_CHAIN]);
	return (int32_t)attr_number(v.a[NFTA_VERDICT_CODE]);
}
