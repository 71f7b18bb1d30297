/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nft.c - reads nftables: tables, chains, rules, then the elements of the sets that rules refer to.
 * A table is kept only if one of its chains sees packets of media sockets.
 *
 * Not here: the meaning of rules (nftrule.c), flow tables, named objects.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/nft.h"
#include "base/log.h"
#include "host/attrs.h"
#include "net/netwatch.h"

#define MAX_ELEMENTS 4096 /* a larger set counts as unknown */
#define NETDEV_EGRESS 1	  /* NF_NETDEV_EGRESS; older headers lack it */

enum request { ASK_TABLES, ASK_CHAINS, ASK_RULES, ASK_SETS, ASK_ELEMENTS };

struct table {
	char key[NFT_KEY]; /* "family/name" */
	bool dormant;
	bool kept; /* one of its chains sees packets of media sockets */
	UT_hash_handle hh;
};

struct nft {
	struct follower follower;
	struct nft_rules now, next;
	struct table *tables;  /* found by the present reading */
	struct nft_set *asked; /* its elements are being read; NULL: the first set is next */
	bool refused;	       /* the latest reading failed with -EPERM */
};

/* ---- keys ---- */

/* put_key - write "family/table/name". Returns the bytes before @name; 0: it does not fit. */
static size_t put_key(char key[NFT_KEY], unsigned int family, const char *table, const char *name)
{
	int at = snprintf(key, NFT_KEY, "%u/%s/", family, table);

	if (at >= NFT_KEY || snprintf(key + at, NFT_KEY - at, "%s", name) >= NFT_KEY - at)
		return 0;
	return at;
}

static struct nft_chain *chain_by_key(const struct nft_rules *r, const char *key)
{
	struct nft_chain *c;

	HASH_FIND_STR(r->chains, key, c);
	return c;
}

static struct nft_set *set_by_key(const struct nft_rules *r, const char *key)
{
	struct nft_set *s;

	HASH_FIND_STR(r->sets, key, s);
	return s;
}

static bool sibling_key(char key[NFT_KEY], const struct nft_chain *of, const char *name)
{
	return snprintf(key, NFT_KEY, "%.*s%s", of->prefix, of->key, name) < NFT_KEY;
}

struct nft_chain *nft_chain_find(const struct nft_rules *r, const struct nft_chain *of,
				 const char *name)
{
	char key[NFT_KEY];

	return sibling_key(key, of, name) ? chain_by_key(r, key) : NULL;
}

struct nft_set *nft_set_find(const struct nft_rules *r, const struct nft_chain *of,
			     const char *name)
{
	char key[NFT_KEY];

	return sibling_key(key, of, name) ? set_by_key(r, key) : NULL;
}

static struct table *table_find(const struct nft *n, unsigned int family, const char *name)
{
	char key[NFT_KEY];
	struct table *t;

	put_key(key, family, name, "");
	HASH_FIND_STR(n->tables, key, t);
	return t;
}

/* ---- memory ---- */

static void rules_clear(struct nft_rules *r)
{
	struct nft_chain *c, *next;
	struct nft_set *s, *next_set;
	size_t i;

	HASH_ITER(hh, r->chains, c, next) {
		HASH_DEL(r->chains, c);
		for (i = 0; i < c->n_rules; i++) {
			free(c->rules[i].exprs);
			free(c->rules[i].ready);
		}
		free(c->rules);
		free(c);
	}
	HASH_ITER(hh, r->sets, s, next_set) {
		HASH_DEL(r->sets, s);
		for (i = 0; i < s->n; i++)
			free(s->elements[i].verdict);
		free(s->elements);
		free(s);
	}
	for (i = 0; i < NFT_NO_HOOK; i++)
		free(r->hooked[i]);
	*r = (struct nft_rules){ 0 };
}

static void tables_clear(struct nft *n)
{
	struct table *t, *next;

	HASH_ITER(hh, n->tables, t, next) {
		HASH_DEL(n->tables, t);
		free(t);
	}
}

/* grow - room for one more of @size bytes; false: out of memory. */
static bool array_grow(void **all, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 8;
	void *p;

	if (n < *room)
		return true;
	p = realloc(*all, more * size);
	if (!p)
		return false;
	*all = p;
	*room = more;
	return true;
}

static void *bytes_copy(const void *from, size_t len)
{
	void *p = malloc(len ? len : 1);

	if (p)
		memcpy(p, from, len);
	return p;
}

/* ---- attributes ---- */

static uint32_t attr_number(const struct nlattr *a)
{
	return a && mnl_attr_get_payload_len(a) >= 4 ? ntohl(mnl_attr_get_u32(a)) : 0;
}

static const char *attr_text(const struct nlattr *a)
{
	return a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0 ? mnl_attr_get_str(a) : "";
}

/* ---- reading ---- */

static void take_table(struct nft *n, unsigned int family, const struct attrs *a)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t || !put_key(t->key, family, attr_text(a->a[NFTA_TABLE_NAME]), "")) {
		n->next.broken = true;
		free(t);
		return;
	}
	t->dormant = attr_number(a->a[NFTA_TABLE_FLAGS]) & NFT_TABLE_F_DORMANT;
	HASH_ADD_STR(n->tables, key, t);
	if (!t->hh.tbl) {
		n->next.broken = true;
		free(t);
	}
}

static enum nft_hook hook_of(unsigned int family, uint32_t number_)
{
	switch (family) {
	case NFPROTO_IPV4:
	case NFPROTO_IPV6:
	case NFPROTO_INET:
		return number_ == NF_INET_PRE_ROUTING	 ? NFT_AT_PREROUTING
		       : number_ == NF_INET_LOCAL_IN	 ? NFT_AT_INPUT
		       : number_ == NF_INET_LOCAL_OUT	 ? NFT_AT_OUTPUT
		       : number_ == NF_INET_POST_ROUTING ? NFT_AT_POSTROUTING
							 : NFT_NO_HOOK;
	case NFPROTO_NETDEV:
		return number_ == NETDEV_EGRESS ? NFT_AT_EGRESS : NFT_NO_HOOK;
	}
	return NFT_NO_HOOK;
}

static void chain_hook(struct nft_chain *c, const struct attrs *a)
{
	struct attrs hook = attrs_in(a->a[NFTA_CHAIN_HOOK]);
	const char *type = attr_text(a->a[NFTA_CHAIN_TYPE]);

	c->hook = NFT_NO_HOOK;
	if (!a->a[NFTA_CHAIN_HOOK])
		return;
	c->type = !strcmp(type, "nat") ? NFT_NAT : !strcmp(type, "route") ? NFT_ROUTE : NFT_FILTER;
	c->hook = hook_of(c->family, attr_number(hook.a[NFTA_HOOK_HOOKNUM]));
	c->priority = (int32_t)attr_number(hook.a[NFTA_HOOK_PRIORITY]);
	c->drops = a->a[NFTA_CHAIN_POLICY] && attr_number(a->a[NFTA_CHAIN_POLICY]) == NF_DROP;
	snprintf(c->dev, sizeof(c->dev), "%.15s", attr_text(hook.a[NFTA_HOOK_DEV]));
	c->devs = hook.a[NFTA_HOOK_DEVS] && !hook.a[NFTA_HOOK_DEV];
}

static void take_chain(struct nft *n, unsigned int family, const struct attrs *a)
{
	struct table *t = table_find(n, family, attr_text(a->a[NFTA_CHAIN_TABLE]));
	struct nft_chain *c;

	if (!t || t->dormant)
		return;
	c = calloc(1, sizeof(*c));
	if (c)
		c->prefix = put_key(c->key, family, attr_text(a->a[NFTA_CHAIN_TABLE]),
				    attr_text(a->a[NFTA_CHAIN_NAME]));
	if (!c || !c->prefix) {
		n->next.broken = true;
		free(c);
		return;
	}
	c->family = family;
	chain_hook(c, a);
	t->kept |= c->hook != NFT_NO_HOOK;
	HASH_ADD_STR(n->next.chains, key, c);
	if (!c->hh.tbl) {
		n->next.broken = true;
		free(c);
	}
}

static void refer_to_set(struct nft *n, const struct nft_chain *c, const char *name)
{
	char key[NFT_KEY];
	struct nft_set *s;

	if (!sibling_key(key, c, name) || set_by_key(&n->next, key))
		return;
	s = calloc(1, sizeof(*s));
	if (!s) {
		n->next.broken = true;
		return;
	}
	memcpy(s->key, key, sizeof(s->key));
	HASH_ADD_STR(n->next.sets, key, s);
	if (!s->hh.tbl) {
		n->next.broken = true;
		free(s);
	}
}

static void refer_to_sets(struct nft *n, const struct nft_chain *c, const struct nlattr *exprs)
{
	struct attrs expr, data;
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, exprs) {
		expr = attrs_in(a);
		if (strcmp(attr_text(expr.a[NFTA_EXPR_NAME]), "lookup"))
			continue;
		data = attrs_in(expr.a[NFTA_EXPR_DATA]);
		refer_to_set(n, c, attr_text(data.a[NFTA_LOOKUP_SET]));
	}
}

static void take_rule(struct nft *n, unsigned int family, const struct attrs *a)
{
	const struct nlattr *exprs = a->a[NFTA_RULE_EXPRESSIONS];
	const char *table = attr_text(a->a[NFTA_RULE_TABLE]);
	struct table *t = table_find(n, family, table);
	struct nft_chain *c;
	struct nft_rule *r;
	char key[NFT_KEY];

	if (!t || !t->kept || !put_key(key, family, table, attr_text(a->a[NFTA_RULE_CHAIN])))
		return;
	c = chain_by_key(&n->next, key);
	if (!c || !exprs)
		return;
	if (!array_grow((void **)&c->rules, c->n_rules, &c->room, sizeof(*r))) {
		n->next.broken = true;
		return;
	}
	r = &c->rules[c->n_rules];
	r->ready = NULL;
	r->len = mnl_attr_get_payload_len(exprs);
	r->exprs = bytes_copy(mnl_attr_get_payload(exprs), r->len);
	if (!r->exprs) {
		n->next.broken = true;
		return;
	}
	c->n_rules++;
	refer_to_sets(n, c, exprs);
}

/*
 * Sets count as unknown if their elements come and go without a command (timeouts, packets), if
 * they hold objects or data other than verdicts, or if their keys are too long.
 */
static void take_set(struct nft *n, unsigned int family, const struct attrs *a)
{
	const uint32_t strange = NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_OBJECT;
	uint32_t flags = attr_number(a->a[NFTA_SET_FLAGS]);
	struct nft_set *s;
	char key[NFT_KEY];

	if (!put_key(key, family, attr_text(a->a[NFTA_SET_TABLE]), attr_text(a->a[NFTA_SET_NAME])))
		return;
	s = set_by_key(&n->next, key);
	if (!s)
		return;
	s->key_len = attr_number(a->a[NFTA_SET_KEY_LEN]);
	s->intervals = flags & NFT_SET_INTERVAL;
	s->known = !(flags & strange) && s->key_len <= sizeof(s->elements->key);
	if ((flags & NFT_SET_MAP) && attr_number(a->a[NFTA_SET_DATA_TYPE]) != NFT_DATA_VERDICT)
		s->known = false;
}

/*
 * The kernel sends an interval as two elements: its beginning, and the first key after it with a
 * flag. The largest key comes first, so an end is seen before its beginning.
 */
static void take_element(struct nft_set *s, const struct nlattr *element)
{
	struct attrs a = attrs_in(element), key = attrs_in(a.a[NFTA_SET_ELEM_KEY]);
	struct attrs end = attrs_in(a.a[NFTA_SET_ELEM_KEY_END]);
	struct attrs data = attrs_in(a.a[NFTA_SET_ELEM_DATA]);
	const struct nlattr *v = key.a[NFTA_DATA_VALUE], *last = end.a[NFTA_DATA_VALUE];
	uint32_t flags = attr_number(a.a[NFTA_SET_ELEM_FLAGS]);
	struct nft_element *e;

	if ((flags & NFT_SET_ELEM_CATCHALL) || !v || mnl_attr_get_payload_len(v) != s->key_len ||
	    (last && mnl_attr_get_payload_len(last) != s->key_len) || s->n >= MAX_ELEMENTS ||
	    !array_grow((void **)&s->elements, s->n, &s->room, sizeof(*e))) {
		s->known = false;
		return;
	}
	e = &s->elements[s->n++];
	*e = (struct nft_element){ 0 };
	memcpy(e->key, mnl_attr_get_payload(v), s->key_len);
	memcpy(e->end, mnl_attr_get_payload(last ? last : v), s->key_len);
	if (s->intervals && !last)
		e->verdict_len = flags & NFT_SET_ELEM_INTERVAL_END ? UINT32_MAX : 0;
	if (data.a[NFTA_DATA_VERDICT]) {
		e->verdict_len = mnl_attr_get_payload_len(data.a[NFTA_DATA_VERDICT]);
		e->verdict =
			bytes_copy(mnl_attr_get_payload(data.a[NFTA_DATA_VERDICT]), e->verdict_len);
		s->known &= e->verdict != NULL;
	}
}

static int element_by_key(const void *a, const void *b)
{
	const struct nft_element *x = a, *y = b;

	return memcmp(x->key, y->key, sizeof(x->key));
}

/* minus_one - subtract 1 from a number of @len bytes in network byte order. */
static void minus_one(uint8_t *key, uint32_t len)
{
	while (len-- && key[len]-- == 0)
		;
}

/* set_close - combine beginnings and ends into ranges. */
static void set_close(struct nft_set *s)
{
	size_t i, k, n = 0;

	if (!s->intervals)
		return;
	qsort(s->elements, s->n, sizeof(*s->elements), element_by_key);
	for (i = 0; i < s->n; i++) {
		struct nft_element e = s->elements[i];

		if (!e.verdict && e.verdict_len == UINT32_MAX)
			continue;
		if (memcmp(e.key, e.end, sizeof(e.key)) == 0) {
			for (k = i + 1; k < s->n && element_by_key(&s->elements[k], &e) == 0; k++)
				;
			if (k < s->n) {
				memcpy(e.end, s->elements[k].key, sizeof(e.end));
				minus_one(e.end, s->key_len);
			} else {
				memset(e.end, 0xff, s->key_len);
			}
		}
		s->elements[n++] = e;
	}
	s->n = n;
}

static void take_elements(struct nft *n, const struct attrs *a)
{
	const struct nlattr *e;

	if (!n->asked || !a->a[NFTA_SET_ELEM_LIST_ELEMENTS])
		return;
	mnl_attr_for_each_nested(e, a->a[NFTA_SET_ELEM_LIST_ELEMENTS])
		take_element(n->asked, e);
}

static void on_take(void *arg, unsigned int request, const struct nlmsghdr *h)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(h);
	struct attrs a = attrs_of(h);
	struct nft *n = arg;

	switch (request) {
	case ASK_TABLES:
		take_table(n, g->nfgen_family, &a);
		break;
	case ASK_CHAINS:
		take_chain(n, g->nfgen_family, &a);
		break;
	case ASK_RULES:
		take_rule(n, g->nfgen_family, &a);
		break;
	case ASK_SETS:
		take_set(n, g->nfgen_family, &a);
		break;
	default:
		take_elements(n, &a);
		break;
	}
}

static void put_request(struct nlmsghdr *h, uint16_t type, uint8_t family)
{
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | type;
	h->nlmsg_flags = NLM_F_DUMP;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
}

/* Ask for the elements of the next set that is not unknown. False: there is no further set. */
static bool ask_elements(struct nft *n, struct nlmsghdr *h)
{
	char table[NFT_KEY], *slash, *name;

	if (n->asked)
		set_close(n->asked);
	n->asked = n->asked ? n->asked->hh.next : n->next.sets;
	while (n->asked && !n->asked->known)
		n->asked = n->asked->hh.next;
	if (!n->asked)
		return false;
	memcpy(table, n->asked->key, sizeof(table));
	slash = strchr(table, '/');
	name = strrchr(table, '/');
	*name++ = '\0';
	put_request(h, NFT_MSG_GETSETELEM, atoi(table));
	if (mnl_nlmsg_get_payload_len(h) + strlen(slash) + strlen(name) + 16 > NETWATCH_REQUEST) {
		n->asked->known = false;
		h->nlmsg_len = MNL_NLMSG_HDRLEN;
		return ask_elements(n, h);
	}
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, slash + 1);
	mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, name);
	return true;
}

static bool on_ask(void *arg, unsigned int n, struct nlmsghdr *h)
{
	static const uint8_t types[] = {
		[ASK_TABLES] = NFT_MSG_GETTABLE,
		[ASK_CHAINS] = NFT_MSG_GETCHAIN,
		[ASK_RULES] = NFT_MSG_GETRULE,
		[ASK_SETS] = NFT_MSG_GETSET,
	};

	if (n >= ASK_ELEMENTS)
		return ask_elements(arg, h);
	put_request(h, types[n], AF_UNSPEC);
	return true;
}

static void on_begin(void *arg)
{
	struct nft *n = arg;

	rules_clear(&n->next);
	tables_clear(n);
	n->asked = NULL;
}

/* ---- the order of chains ---- */

static int by_priority(const void *a, const void *b)
{
	const struct nft_chain *x = *(struct nft_chain *const *)a,
			       *y = *(struct nft_chain *const *)b;

	return x->priority < y->priority ? -1 : x->priority > y->priority;
}

static void order_chains(struct nft_rules *r)
{
	struct nft_chain *c;
	unsigned int i;

	for (i = 0; i < NFT_NO_HOOK; i++)
		r->hooked[i] = calloc(HASH_COUNT(r->chains) + 1, sizeof(*r->hooked[i]));
	for (c = r->chains; c; c = c->hh.next) {
		if (c->hook == NFT_NO_HOOK)
			continue;
		if (r->hooked[c->hook])
			r->hooked[c->hook][r->n_hooked[c->hook]++] = c;
		else
			r->broken = true;
	}
	for (i = 0; i < NFT_NO_HOOK; i++)
		if (r->hooked[i])
			qsort(r->hooked[i], r->n_hooked[i], sizeof(*r->hooked[i]), by_priority);
}

static void on_done(void *arg, int err)
{
	struct nft *n = arg;
	bool nothing;

	/* -EINVAL: the kernel has no nf_tables. */
	if (err && err != -EINVAL && err != -EOPNOTSUPP && err != -ENOENT) {
		if (err != -EPERM)
			log_err("nftables: cannot be read: %s; calls stay with the sockets",
				strerror(-err));
		n->next.broken = true;
	}
	n->refused = err == -EPERM;
	order_chains(&n->next);
	tables_clear(n);
	nothing = !n->now.chains && !n->next.chains && n->now.broken == n->next.broken;
	rules_clear(&n->now);
	n->now = n->next;
	n->next = (struct nft_rules){ 0 };
	if (!nothing)
		follower_tell(&n->follower);
}

static bool on_concerns(void *arg, const struct nlmsghdr *h)
{
	const struct nft *n = arg;

	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return false;
	switch (h->nlmsg_type & 0xff) {
	case NFT_MSG_NEWGEN:
	case NFT_MSG_TRACE:
	case NFT_MSG_NEWOBJ:
	case NFT_MSG_DELOBJ:
	case NFT_MSG_NEWFLOWTABLE:
	case NFT_MSG_DELFLOWTABLE:
		return false;
	case NFT_MSG_NEWSETELEM:
	case NFT_MSG_DELSETELEM:
		return n->now.sets != NULL;
	}
	return true;
}

/* ---- beginning and end ---- */

static const unsigned int groups[] = { NFNLGRP_NFTABLES };

static const struct netwatch_table table = {
	.name = "nftables",
	.bus = NETLINK_NETFILTER,
	.groups = groups,
	.n_groups = ARRAY_SIZE(groups),
	.may_lack = true,
	.concerns = on_concerns,
	.begin = on_begin,
	.ask = on_ask,
	.take = on_take,
	.done = on_done,
};

int nft_new(struct nft **out, struct event_base *base, void (*changed)(void *arg), void *arg)
{
	int rc;

	*out = follower_new(sizeof(**out), &table, base, changed, arg, &rc);
	return rc;
}

void nft_free(struct nft *n)
{
	if (!n)
		return;
	follower_free(&n->follower);
	rules_clear(&n->now);
	rules_clear(&n->next);
	tables_clear(n);
	free(n);
}

bool nft_refused(const struct nft *n)
{
	return n->refused;
}

const struct nft_rules *nft_rules(const struct nft *n)
{
	return &n->now;
}
