/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conntrack.c - asks for the entry by the addresses and ports that our socket's packets have before
 * any translation. The kernel finds an entry by the addresses of either direction.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>

#include "host/conntrack.h"
#include "host/attrs.h"
#include "net/netlink.h"

#define MAX_STALE 4 /* late answers to earlier questions, skipped before the awaited one */

struct conntrack {
	struct mnl_socket *nl;
	uint32_t seq;
	char buf[8192] __attribute__((aligned(8)));
};

struct tuple {
	struct addr source, dest;
};

struct entry {
	struct tuple original, reply;
	uint32_t status, mark;
};

int conntrack_new(struct conntrack **out)
{
	struct conntrack *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return -ENOMEM;
	c->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!c->nl || mnl_socket_bind(c->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		rc = -errno;
		conntrack_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void conntrack_free(struct conntrack *c)
{
	if (c && c->nl)
		mnl_socket_close(c->nl);
	free(c);
}

/* ---- the question ---- */

static void put_tuple(struct nlmsghdr *h, const struct outgoing *p)
{
	bool ip6 = p->dest.family == ADDR_IP6;
	struct nlattr *tuple, *nest;
	size_t len = addr_ip_len(&p->dest);

	tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG);
	nest = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put(h, ip6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, len, p->source.ip);
	mnl_attr_put(h, ip6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, len, p->dest.ip);
	mnl_attr_nest_end(h, nest);
	nest = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, IPPROTO_UDP);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(p->source.port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(p->dest.port));
	mnl_attr_nest_end(h, nest);
	mnl_attr_nest_end(h, tuple);
}

static int send_question(struct conntrack *c, const struct outgoing *p)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(c->buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = ++c->seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = netlink_af(p->dest.family);
	g->version = NFNETLINK_V0;
	put_tuple(h, p);
	return mnl_socket_sendto(c->nl, h, h->nlmsg_len) < 0 ? -errno : 0;
}

/* ---- the answer ---- */

static bool read_host(struct addr *a, enum addr_family family, const struct nlattr *ip,
		      const struct nlattr *port)
{
	if (!ip || !port || mnl_attr_get_payload_len(port) < 2 ||
	    !netlink_host(a, family, mnl_attr_get_payload(ip), mnl_attr_get_payload_len(ip)))
		return false;
	a->port = ntohs(mnl_attr_get_u16(port));
	return true;
}

static bool read_tuple(struct tuple *t, enum addr_family family, const struct nlattr *nest)
{
	struct attrs a = attrs_in(nest), ip = attrs_in(a.a[CTA_TUPLE_IP]);
	struct attrs proto = attrs_in(a.a[CTA_TUPLE_PROTO]);
	bool ip6 = family == ADDR_IP6;

	return read_host(&t->source, family, ip.a[ip6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC],
			 proto.a[CTA_PROTO_SRC_PORT]) &&
	       read_host(&t->dest, family, ip.a[ip6 ? CTA_IP_V6_DST : CTA_IP_V4_DST],
			 proto.a[CTA_PROTO_DST_PORT]);
}

static int read_entry(struct entry *e, enum addr_family family, const struct nlmsghdr *h)
{
	const struct attrs a = attrs_of(h);

	if (!read_tuple(&e->original, family, a.a[CTA_TUPLE_ORIG]) ||
	    !read_tuple(&e->reply, family, a.a[CTA_TUPLE_REPLY]))
		return -EPROTO;
	e->status = a.a[CTA_STATUS] ? ntohl(mnl_attr_get_u32(a.a[CTA_STATUS])) : 0;
	e->mark = a.a[CTA_MARK] ? ntohl(mnl_attr_get_u32(a.a[CTA_MARK])) : 0;
	return 0;
}

static int read_answer(struct conntrack *c, enum addr_family family, struct entry *e)
{
	const struct nlmsghdr *h = (const void *)c->buf;
	ssize_t n;
	int i;

	for (i = 0; i < MAX_STALE; i++) {
		n = recv(mnl_socket_get_fd(c->nl), c->buf, sizeof(c->buf), MSG_DONTWAIT);
		if (n < 0)
			return -errno;
		if (!mnl_nlmsg_ok(h, n) || h->nlmsg_seq != c->seq)
			continue;
		if (h->nlmsg_type == NLMSG_ERROR)
			return *(const int *)mnl_nlmsg_get_payload(h);
		return read_entry(e, family, h);
	}
	return -EPROTO;
}

static bool is_same_addr(const struct addr *a, const struct addr *b)
{
	return addr_host_eq(a, b) && a->port == b->port;
}

/* The packets have the entry's original direction, or its reply direction. */
int conntrack_ask(struct conntrack *c, const struct outgoing *p, struct nft_ct *ct,
		  bool *translated)
{
	struct entry e = { 0 };
	bool replies;
	int rc;

	*ct = (struct nft_ct){ 0 };
	*translated = false;
	rc = send_question(c, p);
	if (rc == 0)
		rc = read_answer(c, p->dest.family, &e);
	if (rc)
		return rc;
	replies = !is_same_addr(&e.original.source, &p->source) ||
		  !is_same_addr(&e.original.dest, &p->dest);
	*translated = !is_same_addr(&e.original.source, &e.reply.dest) ||
		      !is_same_addr(&e.original.dest, &e.reply.source);
	*ct = (struct nft_ct){
		.known = true,
		.established = replies || e.status & IPS_SEEN_REPLY,
		.answered = !replies || e.status & IPS_SEEN_REPLY,
		.mark_known = true,
		.mark = e.mark,
	};
	return 0;
}
