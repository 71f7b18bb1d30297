/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.c - asks with all inputs of the host's routing (hostpath.h), so the kernel applies rules,
 * metrics and multipath.
 */
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "host/route.h"
#include "net/netlink.h"

#define TOS_DSCP 0xfc /* in the TOS; the other bits are ECN, which routing ignores */

/* Put the inputs of routing beside the addresses. */
static int put_socket(struct nl_msg *msg, const struct route_question *q)
{
	int rc = nla_put_u8(msg, RTA_IP_PROTO, IPPROTO_UDP) |
		 nla_put_u32(msg, RTA_UID, q->socket->uid);

	if (q->source.port)
		rc |= nla_put_u16(msg, RTA_SPORT, htons(q->source.port));
	if (q->dest.port)
		rc |= nla_put_u16(msg, RTA_DPORT, htons(q->dest.port));
	if (q->socket->bound_dev)
		rc |= nla_put_u32(msg, RTA_OIF, q->socket->bound_dev);
	if (q->mark)
		rc |= nla_put_u32(msg, RTA_MARK, q->mark);
	return rc;
}

static struct nl_msg *route_request(const struct route_question *q)
{
	size_t len = addr_ip_len(&q->dest);
	struct rtmsg rt = {
		.rtm_family = netlink_af(q->dest.family),
		.rtm_dst_len = len * 8,
		.rtm_tos = q->tos & TOS_DSCP,
	};
	struct nl_msg *msg;

	if (q->source.family != ADDR_NONE)
		rt.rtm_src_len = len * 8;
	msg = netlink_request(RTM_GETROUTE, 0, &rt, sizeof(rt));
	if (msg &&
	    (nla_put(msg, RTA_DST, len, q->dest.ip) ||
	     (rt.rtm_src_len && nla_put(msg, RTA_SRC, len, q->source.ip)) || put_socket(msg, q))) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* The gateway may be of the other family (RTA_VIA). */
static void read_gateway(struct route *out, enum addr_family family, struct nlattr **a)
{
	const struct rtvia *via;
	struct addr h;

	if (a[RTA_GATEWAY] &&
	    netlink_host(&h, family, nla_data(a[RTA_GATEWAY]), nla_len(a[RTA_GATEWAY]))) {
		out->gateway = h;
	} else if (a[RTA_VIA] && nla_len(a[RTA_VIA]) > (int)sizeof(*via)) {
		via = nla_data(a[RTA_VIA]);
		if (netlink_host(&h, netlink_family(via->rtvia_family), via->rtvia_addr,
				 nla_len(a[RTA_VIA]) - sizeof(*via)))
			out->gateway = h;
	}
}

/* A locked MTU makes the host send without "don't fragment" (ip_dont_fragment()): refuse it. */
static enum flow_why read_metrics(struct route *out, enum addr_family family,
				  struct nlattr *metrics)
{
	struct nlattr *m[RTAX_MAX + 1];

	if (nla_parse_nested(m, RTAX_MAX, metrics, NULL))
		return FLOW_NO_OBJECTION;
	if (m[RTAX_MTU])
		out->mtu = nla_get_u32(m[RTAX_MTU]);
	if (m[RTAX_HOPLIMIT])
		out->ttl = MIN(nla_get_u32(m[RTAX_HOPLIMIT]), 255u);
	if (m[RTAX_LOCK] && nla_get_u32(m[RTAX_LOCK]) & 1 << RTAX_MTU && family == ADDR_IP4)
		return FLOW_WHY_FRAGMENTS;
	return FLOW_NO_OBJECTION;
}

static enum flow_why read_reply(struct route *out, const struct route_question *q,
				struct nlmsghdr *reply)
{
	const struct rtmsg *rt = nlmsg_data(reply);
	struct nlattr *a[RTA_MAX + 1];
	struct addr h;

	if (reply->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(reply, sizeof(*rt), a, RTA_MAX, NULL))
		return FLOW_WHY_NO_ROUTE;
	if (rt->rtm_type == RTN_LOCAL)
		return FLOW_WHY_LOOPBACK;
	if (rt->rtm_type != RTN_UNICAST || !a[RTA_OIF])
		return FLOW_WHY_NO_ROUTE;
	out->oif = nla_get_u32(a[RTA_OIF]);
	if ((a[RTA_ENCAP] || a[RTA_ENCAP_TYPE] || a[RTA_NEWDST]) && !q->tunnels)
		return FLOW_WHY_ENCAP;
	read_gateway(out, q->dest.family, a);
	if (out->source.family == ADDR_NONE && a[RTA_PREFSRC] &&
	    netlink_host(&h, q->dest.family, nla_data(a[RTA_PREFSRC]), nla_len(a[RTA_PREFSRC])))
		out->source = h;
	if (a[RTA_METRICS])
		return read_metrics(out, q->dest.family, a[RTA_METRICS]);
	return FLOW_NO_OBJECTION;
}

enum flow_why route_ask(struct netlink *nl, const struct route_question *q, struct route *out)
{
	struct nl_msg *msg = route_request(q);
	struct nlmsghdr *reply;

	*out = (struct route){ .source = addr_with_port(q->source, 0) };
	if (!msg || netlink_ask(nl, msg, &reply) || !reply)
		return FLOW_WHY_NO_ROUTE;
	return read_reply(out, q, reply);
}
