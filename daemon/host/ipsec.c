/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipsec.c - outgoing XFRM policies, matched as in xfrm_lookup() of the kernel: among the policies
 * with a fitting selector, mark and interface id, the least priority number decides.
 *
 * Not here: states (they act through policies only), policies of sockets (ours have none), and the
 * encryption itself.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/ipsec.h"
#include "base/log.h"
#include "net/netlink.h"
#include "net/netwatch.h"

/* XFRM_MSG_GETDEFAULT came with Linux 5.14; earlier kernels answer -EINVAL. */
enum request { ASK_POLICIES, ASK_DEFAULT, REQUESTS };

struct policy {
	struct xfrm_selector sel;
	uint32_t priority;
	struct xfrm_mark mark;
	bool takes; /* it encrypts or drops */
};

struct policies {
	struct policy *all;
	size_t n, room;
	bool block; /* the default: packets without a policy are dropped */
	bool by_port;
	bool broken; /* out of memory, or not readable */
};

struct ipsec {
	struct follower follower;
	struct policies now, next;
	bool refused; /* the latest reading failed with -EPERM */
};

/* ---- reading ---- */

static void policies_clear(struct policies *p)
{
	free(p->all);
	*p = (struct policies){ 0 };
}

static void policies_add(struct policies *p, const struct policy *one)
{
	size_t room = p->room ? 2 * p->room : 16;
	struct policy *all = p->all;

	if (p->n == p->room) {
		all = realloc(all, room * sizeof(*all));
		if (!all) {
			p->broken = true;
			return;
		}
		p->all = all;
		p->room = room;
	}
	p->all[p->n++] = *one;
	p->by_port |= one->sel.sport_mask || one->sel.dport_mask;
}

static void take_policy(struct policies *all, const struct nlmsghdr *h)
{
	struct xfrm_userpolicy_info info; /* netlink aligns to 4 bytes, this struct wants 8 */
	struct policy p = { 0 };
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(info))
		return;
	memcpy(&info, mnl_nlmsg_get_payload(h), sizeof(info));
	if (info.dir != XFRM_POLICY_OUT)
		return;
	p.sel = info.sel;
	p.priority = info.priority;
	p.takes = info.action != XFRM_POLICY_ALLOW;
	mnl_attr_for_each(a, h, sizeof(info)) {
		switch (mnl_attr_get_type(a)) {
		case XFRMA_TMPL:
			p.takes |= mnl_attr_get_payload_len(a) > 0;
			break;
		case XFRMA_MARK:
			if (mnl_attr_get_payload_len(a) >= sizeof(p.mark))
				memcpy(&p.mark, mnl_attr_get_payload(a), sizeof(p.mark));
			break;
		case XFRMA_IF_ID:
			/* A policy of an XFRM device, which is no Ethernet device: not served. */
			if (mnl_attr_get_u32(a))
				return;
			break;
		}
	}
	policies_add(all, &p);
}

static void on_take(void *arg, unsigned int request, const struct nlmsghdr *h)
{
	const struct xfrm_userpolicy_default *d = mnl_nlmsg_get_payload(h);
	struct ipsec *i = arg;

	if (request == ASK_POLICIES && h->nlmsg_type == XFRM_MSG_NEWPOLICY)
		take_policy(&i->next, h);
	else if (request == ASK_DEFAULT && h->nlmsg_type == XFRM_MSG_GETDEFAULT &&
		 mnl_nlmsg_get_payload_len(h) >= sizeof(*d))
		i->next.block = d->out == XFRM_USERPOLICY_BLOCK;
}

static bool on_ask(void *arg, unsigned int n, struct nlmsghdr *h)
{
	(void)arg;
	switch (n) {
	case ASK_POLICIES:
		h->nlmsg_type = XFRM_MSG_GETPOLICY;
		h->nlmsg_flags = NLM_F_DUMP;
		mnl_nlmsg_put_extra_header(h, sizeof(struct xfrm_userpolicy_id));
		return true;
	case ASK_DEFAULT:
		h->nlmsg_type = XFRM_MSG_GETDEFAULT;
		h->nlmsg_flags = NLM_F_ACK;
		mnl_nlmsg_put_extra_header(h, sizeof(struct xfrm_userpolicy_default));
		return true;
	}
	return false;
}

static void on_begin(void *arg)
{
	policies_clear(&((struct ipsec *)arg)->next);
}

static bool policies_equal(const struct policies *a, const struct policies *b)
{
	return a->n == b->n && a->block == b->block && a->broken == b->broken &&
	       (a->n == 0 || memcmp(a->all, b->all, a->n * sizeof(*a->all)) == 0);
}

static void on_done(void *arg, int err)
{
	struct ipsec *i = arg;
	bool same;

	if (err && err != -EINVAL && err != -EOPNOTSUPP) {
		if (err != -EPERM)
			log_err("IPsec policies: cannot be read: %s; calls stay with the sockets",
				strerror(-err));
		i->next.broken = true;
	}
	i->refused = err == -EPERM;
	same = policies_equal(&i->now, &i->next);
	policies_clear(&i->now);
	i->now = i->next;
	i->next = (struct policies){ 0 };
	if (!same)
		follower_tell(&i->follower);
}

static const unsigned int groups[] = { XFRMNLGRP_POLICY };

static const struct netwatch_table table = {
	.name = "IPsec policies",
	.bus = NETLINK_XFRM,
	.groups = groups,
	.n_groups = ARRAY_SIZE(groups),
	.begin = on_begin,
	.ask = on_ask,
	.take = on_take,
	.done = on_done,
};

int ipsec_new(struct ipsec **out, struct event_base *base, void (*changed)(void *arg), void *arg)
{
	int rc;

	*out = follower_new(sizeof(**out), &table, base, changed, arg, &rc);
	return rc;
}

void ipsec_free(struct ipsec *i)
{
	if (!i)
		return;
	follower_free(&i->follower);
	policies_clear(&i->now);
	policies_clear(&i->next);
	free(i);
}

/* ---- judging ---- */

static bool prefix_fits(const xfrm_address_t *net, unsigned int bits, const uint8_t *ip)
{
	const uint8_t *p = (const uint8_t *)net;
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(p, ip, whole))
		return false;
	return rest == 0 || ((p[whole] ^ ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* Ports of a selector are in network byte order. An unknown @port (0) fits every selector. */
static bool port_fits(uint16_t port, uint16_t wanted, uint16_t mask)
{
	return !port || ((port ^ ntohs(wanted)) & ntohs(mask)) == 0;
}

static bool policy_fits(const struct policy *p, const struct outgoing *o)
{
	const struct xfrm_selector *s = &p->sel;

	if (s->family != AF_UNSPEC && s->family != netlink_af(o->dest.family))
		return false;
	if (s->prefixlen_d > 8 * addr_ip_len(&o->dest) ||
	    s->prefixlen_s > 8 * addr_ip_len(&o->source))
		return false;
	return prefix_fits(&s->daddr, s->prefixlen_d, o->dest.ip) &&
	       prefix_fits(&s->saddr, s->prefixlen_s, o->source.ip) &&
	       port_fits(o->dest.port, s->dport, s->dport_mask) &&
	       port_fits(o->source.port, s->sport, s->sport_mask) &&
	       (!s->proto || s->proto == IPPROTO_UDP) &&
	       (!s->ifindex || (unsigned int)s->ifindex == o->oif) &&
	       (o->mark & p->mark.m) == p->mark.v;
}

/*
 * Doubts count as taken. Among policies of equal priority the kernel applies the oldest; here one
 * that takes the packet wins. If the ports are unknown and a policy names ports, any fitting policy
 * that takes the packet decides.
 */
bool ipsec_takes(const struct ipsec *i, const struct outgoing *o)
{
	const struct policy *best = NULL, *p;
	bool known = o->dest.port && o->source.port, takes = false;

	for (p = i->now.all; p < i->now.all + i->now.n; p++) {
		if (!policy_fits(p, o))
			continue;
		takes |= p->takes;
		if (!best || p->priority < best->priority ||
		    (p->priority == best->priority && p->takes))
			best = p;
	}
	if (i->now.broken)
		return true;
	if (i->now.by_port && !known)
		return takes || i->now.block;
	return best ? best->takes : i->now.block;
}

bool ipsec_refused(const struct ipsec *i)
{
	return i->refused;
}

bool ipsec_by_port(const struct ipsec *i)
{
	return i->now.by_port;
}

const char *ipsec_describe(const struct ipsec *i, char *buf, size_t size)
{
	size_t n = 0, k;

	for (k = 0; k < i->now.n; k++)
		n += i->now.all[k].takes;
	buf[0] = '\0';
	if (i->now.broken)
		snprintf(buf, size, "IPsec policies that cannot be read");
	else if (i->now.block)
		snprintf(buf, size, "an IPsec default policy that blocks packets");
	else if (n)
		snprintf(buf, size, "%zu outgoing IPsec policies that encrypt or block", n);
	return buf;
}
