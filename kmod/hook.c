// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * hook.c - the forwarding path: parse, find the flow, decide, route, count, rewrite, send.
 *
 * It holds no policy. It leaves a packet that it does not fully understand alone; the stack
 * delivers it to the daemon. It changes a packet only when it is sure to send it. The packet then
 * leaves as if this host had made it: without traces of its arrival, without connection tracking,
 * through postrouting, queues and IPsec like any other packet.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/route.h>
#include <net/xfrm.h>

#include "hook.h"
#include "compat.h"
#include "copies.h"
#include "table.h"

static unsigned int header_bytes(bool ip6)
{
	return ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* ---- parse ---- */

/* The stack has already checked lengths and header checksum. */
static enum rtpx_reason check_ip4(const struct iphdr *ip)
{
	if (ip->protocol != IPPROTO_UDP)
		return RTPX_REASON_pass_not_udp;
	if (ip_is_fragment(ip))
		return RTPX_REASON_pass_fragment;
	return ip->ihl != 5 ? RTPX_REASON_pass_options : RTPX_GO_ON;
}

static enum rtpx_reason check_ip6(const struct ipv6hdr *ip)
{
	if (ip->nexthdr == IPPROTO_UDP)
		return RTPX_GO_ON;
	if (ip->nexthdr == NEXTHDR_FRAGMENT)
		return RTPX_REASON_pass_fragment;
	return ipv6_ext_hdr(ip->nexthdr) && ip->nexthdr != NEXTHDR_NONE ? RTPX_REASON_pass_options
									: RTPX_REASON_pass_not_udp;
}

/* Check the header extension of a probable RTP packet. It may lie anywhere in the buffer. */
static noinline bool extension_holds(const struct sk_buff *skb, unsigned int payload_at, u8 first,
				     const struct rtpx_packet *p)
{
	u8 room[4];
	const u8 *extension =
		skb_header_pointer(skb, payload_at + rtpx_rtp_extension(first), sizeof(room), room);

	return extension && rtpx_rtp_extension_holds(first, p->payload_bytes, extension);
}

/* @at: offset of the payload. Its first RTPX_RTP_HEADER bytes lie in one piece. */
static void parse_payload(const struct sk_buff *skb, unsigned int at, struct rtpx_packet *p)
{
	const u8 *b = skb->data + at;

	if (p->payload_bytes < RTPX_PAYLOAD_LOOK)
		return;
	p->kind = rtpx_payload_kind(b, p->payload_bytes);
	if (p->kind != RTPX_PAYLOAD_RTP)
		return;
	if (b[0] & RTPX_RTP_EXTENDED && !extension_holds(skb, at, b[0], p)) {
		p->kind = RTPX_PAYLOAD_OTHER;
		return;
	}
	p->payload_type = b[1] & 0x7f;
	p->marker = b[1] & 0x80;
	p->rtp_seq = rtpx_get16(b + 2);
	p->rtp_ts = rtpx_get32(b + 4);
	p->ssrc = rtpx_get32(b + 8);
}

/* Parse a packet to a port with a flow. Afterwards its headers, up to RTP, lie in one piece. */
static __always_inline enum rtpx_reason parse(struct sk_buff *skb, struct rtpx_packet *p)
{
	const bool ip6 = p->family == RTPX_FAMILY_IP6;
	const unsigned int header = header_bytes(ip6), udp_at = header + sizeof(struct udphdr);
	const struct udphdr *udp;

	/* IP takes a packet from a broadcast frame, but must not forward it (RFC 1812 5.3.4). */
	if (skb->pkt_type != PACKET_HOST)
		return RTPX_REASON_pass_other_mac;
	/* Merged by GRO, or reassembled from fragments. */
	if (skb_is_gso(skb) || skb_has_frag_list(skb))
		return RTPX_REASON_pass_merged;
	if (!pskb_may_pull(skb, min(udp_at + RTPX_RTP_HEADER, skb->len)))
		return RTPX_REASON_pass_malformed;
	udp = (const struct udphdr *)(skb->data + header);
	if (ip6) {
		p->src = ipv6_hdr(skb)->saddr.s6_addr;
		p->dst = ipv6_hdr(skb)->daddr.s6_addr;
		p->ttl = ipv6_hdr(skb)->hop_limit;
		p->ip_bytes = header + ntohs(ipv6_hdr(skb)->payload_len);
	} else {
		p->src = (const u8 *)&ip_hdr(skb)->saddr;
		p->dst = (const u8 *)&ip_hdr(skb)->daddr;
		p->ttl = ip_hdr(skb)->ttl;
		p->ip_bytes = ntohs(ip_hdr(skb)->tot_len);
	}
	p->src_port = ntohs(udp->source);
	if (skb->len != p->ip_bytes || p->ip_bytes < udp_at ||
	    p->ip_bytes != header + ntohs(udp->len))
		return RTPX_REASON_pass_malformed;
	if (ip6 && !udp->check) /* RFC 8200 section 8.1 */
		return RTPX_REASON_pass_no_checksum;
	p->payload_bytes = p->ip_bytes - udp_at;
	parse_payload(skb, udp_at, p);
	return RTPX_GO_ON;
}

/* ---- find ---- */

static __always_inline enum rtpx_reason find(const struct table *t, const struct sk_buff *skb,
					     struct rtpx_packet *p, struct flow **f)
{
	const struct udphdr *udp;
	struct udphdr copy;

	udp = skb_header_pointer(skb, header_bytes(p->family == RTPX_FAMILY_IP6), sizeof(copy),
				 &copy);
	if (!udp)
		return RTPX_REASON_pass_malformed;
	p->dst_port = ntohs(udp->dest);
	if (p->dst_port < t->config.port_min || p->dst_port > t->config.port_max)
		return RTPX_REASON_pass_not_media;
	*f = table_find(t, p->family, p->dst_port);
	return *f ? RTPX_GO_ON : RTPX_REASON_pass_no_flow;
}

/* ---- route ---- */

static struct dst_entry *route_ip4(struct net *net, const struct rtpx_entry *e)
{
	struct flowi4 fl = {
		.saddr = *(const __be32 *)e->out4,
		.daddr = *(const __be32 *)e->dest4,
		.flowi4_proto = IPPROTO_UDP,
		.fl4_sport = e->out_port,
		.fl4_dport = e->dest_port,
	};
	struct rtable *rt;

	flow_set_tos(&fl, e->tos);
	rt = ip_route_output_key(net, &fl);
	if (IS_ERR(rt))
		return NULL;
	if (rt->rt_type == RTN_UNICAST)
		return &rt->dst;
	ip_rt_put(rt); /* to this host, or to a group: left to the daemon */
	return NULL;
}

/* The flow label that a socket of this host would use: as ip6_make_flowlabel(). */
static __be32 label_of(struct net *net, const struct flowi6 *fl)
{
	struct flow_keys keys;
	u32 hash;

	if (!ip6_default_np_autolabel(net))
		return 0;
	hash = rol32(__get_hash_from_flowi6(fl, &keys), 16);
	return ((__force __be32)hash & IPV6_FLOWLABEL_MASK) |
	       (net->ipv6.sysctl.flowlabel_state_ranges ? IPV6_FLOWLABEL_STATELESS_FLAG : 0);
}

static struct dst_entry *route_ip6(struct net *net, struct flow *f)
{
	const struct rtpx_entry *e = &f->entry;
	const struct rtpx_entry_more *m = &f->more;
	struct flowi6 fl = {
		.saddr = *(const struct in6_addr *)m->out6,
		.daddr = *(const struct in6_addr *)m->dest6,
		.flowlabel = ip6_make_flowinfo(e->tos, 0),
		.flowi6_proto = IPPROTO_UDP,
		.fl6_sport = e->out_port,
		.fl6_dport = e->dest_port,
	};
	struct dst_entry *dst = ip6_route_output(net, NULL, &fl);

	if (dst->error || ipv6_addr_is_multicast(&fl.daddr) ||
	    ((struct rt6_info *)dst)->rt6i_flags & (RTF_LOCAL | RTF_ANYCAST)) {
		dst_release(dst);
		return NULL;
	}
	fl.flowlabel = 0;
	WRITE_ONCE(f->label, label_of(net, &fl));
	fl.flowlabel = ip6_make_flowinfo(e->tos, 0);
	dst = xfrm_lookup_route(net, dst, flowi6_to_flowi(&fl), NULL, 0);
	return IS_ERR(dst) ? NULL : dst;
}

/* Ask routing and keep the answer. Other CPUs may still use the old route: RCU keeps it until they
 * are done. */
static noinline struct dst_entry *route(struct net *net, struct flow *f)
{
	bool ip6 = f->entry.flags & RTPX_FLOW_OUT6;
	struct dst_entry *dst, *old;

	dst = ip6 ? route_ip6(net, f) : route_ip4(net, &f->entry);
	if (dst && dst->dev->flags & IFF_LOOPBACK) {
		dst_release(dst);
		dst = NULL;
	}
	/*
	 * Write the cookie first. A CPU that reads it together with the old route uses that route
	 * only if dst_check() still accepts it.
	 */
	if (dst && ip6)
		WRITE_ONCE(f->dst_cookie,
			   dst_xfrm(dst) ? 0 : rt6_get_cookie((struct rt6_info *)dst));
	old = unrcu_pointer(xchg(&f->dst, RCU_INITIALIZER(dst)));
	dst_release(old);
	return dst;
}

/* The flow's route, valid during the RCU read section. NULL: no route that the module may use. */
static struct dst_entry *flow_route(struct net *net, struct flow *f)
{
	struct dst_entry *dst = rcu_dereference(f->dst);

	if (likely(dst && dst_check(dst, READ_ONCE(f->dst_cookie))))
		return dst;
	return route(net, f);
}

/* ---- rewrite and send ---- */

/*
 * Change a complete checksum by the changed fields (RFC 1624, equation 3). Leave a checksum that is
 * not computed yet to the device, with the new pseudo-header. A packet without a checksum gets one
 * the same way.
 */
static void write_udp(struct sk_buff *skb, struct udphdr *udp, const struct flow *f)
{
	const struct rtpx_entry *e = &f->entry;
	const bool ip6 = e->flags & RTPX_FLOW_OUT6;
	const u16 check = (__force u16)udp->check;

	if (skb->ip_summed == CHECKSUM_PARTIAL || !check) {
		skb->ip_summed = CHECKSUM_PARTIAL;
		skb->csum_start = (u8 *)udp - skb->head;
		skb->csum_offset = offsetof(struct udphdr, check);
		udp->check = ip6 ? ~csum_ipv6_magic((const struct in6_addr *)f->more.out6,
						    (const struct in6_addr *)f->more.dest6,
						    ntohs(udp->len), IPPROTO_UDP, 0)
				 : ~csum_tcpudp_magic(*(const __be32 *)e->out4,
						      *(const __be32 *)e->dest4, ntohs(udp->len),
						      IPPROTO_UDP, 0);
	} else {
		skb->ip_summed = CHECKSUM_NONE;
		udp->check = (__force __sum16)rtpx_fold(e->sum_change + check +
							(__force u16)udp->source);
	}
	udp->source = e->out_port;
	udp->dest = e->dest_port;
}

static void write_ip4(struct iphdr *ip, const struct rtpx_entry *e, unsigned int bytes, u8 ecn)
{
	*(__be16 *)ip = htons(0x4500 | e->tos | ecn);
	ip->tot_len = htons(bytes);
	ip->id = 0; /* RFC 6864: DF needs no id */
	ip->frag_off = htons(IP_DF);
	ip->ttl = e->ttl;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->saddr = *(const __be32 *)e->out4;
	ip->daddr = *(const __be32 *)e->dest4;
	ip->check = ip_fast_csum(ip, 5);
}

static void write_ip6(struct ipv6hdr *ip, const struct flow *f, unsigned int bytes, u8 ecn)
{
	const struct rtpx_entry *e = &f->entry;
	const struct rtpx_entry_more *m = &f->more;

	ip6_flow_hdr(ip, e->tos | ecn, READ_ONCE(f->label));
	ip->payload_len = htons(bytes - sizeof(*ip));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = e->ttl;
	memcpy(&ip->saddr, m->out6, sizeof(ip->saddr));
	memcpy(&ip->daddr, m->dest6, sizeof(ip->daddr));
}

/* Write all headers anew in front of the payload. The caller has made room for them. */
static __always_inline void rewrite(struct sk_buff *skb, const struct flow *f, bool in6)
{
	const bool out6 = f->entry.flags & RTPX_FLOW_OUT6;
	const unsigned int in = header_bytes(in6), out = header_bytes(out6);
	/* Keep the congestion mark of routers for the receiver. */
	const u8 ecn = (in6 ? ipv6_get_dsfield(ipv6_hdr(skb)) : ip_hdr(skb)->tos) & RTPX_ECN_MASK;

	write_udp(skb, (struct udphdr *)(skb->data + in), f);
	if (out > in)
		skb_push(skb, out - in);
	else if (out < in)
		__skb_pull(skb, in - out);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, out);
	if (out6)
		write_ip6(ipv6_hdr(skb), f, skb->len, ecn);
	else
		write_ip4(ip_hdr(skb), &f->entry, skb->len, ecn);
	skb->protocol = out6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
}

/*
 * Send as if this host had made the packet. Device, route, mark, time stamp, queue, tracked
 * connection and control block belong to its arrival, so clear or replace them.
 */
static void send(struct net *net, struct sk_buff *skb, const struct flow *f, struct dst_entry *dst)
{
	skb_orphan(skb);
	skb_scrub_packet(skb, true);
	skb_set_queue_mapping(skb, 0);
	memset(skb->cb, 0, sizeof(skb->cb));
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	skb->priority = rt_tos2priority(f->entry.tos);
	skb_dst_set_noref(skb, dst);
	dst_output(net, NULL, skb);
}

/* ---- copies ---- */

/* The packet is already rewritten, so take its original addresses from the flow. */
static noinline void mirror(struct table *t, struct flow *f, const struct rtpx_packet *p,
			    const struct sk_buff *skb)
{
	unsigned int header = header_bytes(f->entry.flags & RTPX_FLOW_OUT6);

	if (copies_add(t, f, p, skb, header + sizeof(struct udphdr))) {
		this_cpu_inc(t->counters->mirrored);
		return;
	}
	this_cpu_inc(t->counters->mirror_full);
	flow_unmirrored(f);
}

/* ---- the whole ---- */

/* Decide about a packet from another source than the flow's peer. */
static noinline enum rtpx_reason stranger(const struct table *t, struct flow *f,
					  const struct rtpx_packet *p)
{
	enum rtpx_reason reason = rtpx_judge_stranger(&t->config, &f->entry, &f->more, p);

	if (reason == RTPX_REASON_drop_stranger)
		atomic64_inc(&f->strangers);
	return reason;
}

/* Do all steps that can fail first, then count, rewrite and send. */
static __always_inline enum rtpx_reason forward(struct table *t, struct sk_buff *skb,
						struct flow *f, struct rtpx_packet *p)
{
	const unsigned int in = header_bytes(p->family == RTPX_FAMILY_IP6),
			   out = header_bytes(f->entry.flags & RTPX_FLOW_OUT6);
	struct dst_entry *dst = flow_route(t->net, f);

	if (!dst)
		return RTPX_REASON_pass_nexthop;
	if (p->ip_bytes - in + out > dst_mtu(dst))
		return RTPX_REASON_pass_too_big;
	if (skb->ip_summed == CHECKSUM_PARTIAL && skb_checksum_start_offset(skb) != in)
		return RTPX_REASON_pass_checksum;
	if (skb_cow(skb, LL_RESERVED_SPACE(dst->dev) + (out > in ? out - in : 0)))
		return RTPX_REASON_pass_adjust;
	if (!flow_count(f, p))
		return RTPX_REASON_pass_busy;
	rewrite(skb, f, p->family == RTPX_FAMILY_IP6);
	if (unlikely(f->entry.flags & RTPX_FLOW_MIRROR))
		mirror(t, f, p, skb);
	send(t->net, skb, f, dst);
	return RTPX_REASON_relayed;
}

/* relay - handle a packet and return its reason. If it was relayed, @skb is not ours any more. */
static __always_inline enum rtpx_reason relay(struct table *t, struct sk_buff *skb, u32 family)
{
	struct rtpx_packet p = { .family = family };
	enum rtpx_reason reason;
	struct flow *f;

	reason = family == RTPX_FAMILY_IP6 ? check_ip6(ipv6_hdr(skb)) : check_ip4(ip_hdr(skb));
	if (reason != RTPX_GO_ON)
		return reason;
	reason = find(t, skb, &p, &f);
	if (reason != RTPX_GO_ON)
		return reason;
	reason = parse(skb, &p);
	if (reason != RTPX_GO_ON)
		return reason;
	p.now_ns = ktime_get_coarse_ns();
	reason = rtpx_judge(&f->entry, &f->more, &p);
	if (reason == RTPX_STRANGER)
		return stranger(t, f, &p);
	if (reason == RTPX_GO_ON)
		reason = rtpx_judge_event(&f->entry, &f->more, &p);
	if (reason != RTPX_GO_ON)
		return reason;
	return forward(t, skb, f, &p);
}

static __always_inline unsigned int hook(struct table *t, struct sk_buff *skb, u32 family)
{
	enum rtpx_reason reason = relay(t, skb, family);

	this_cpu_inc(((u64 __percpu *)t->counters)[reason]);
	switch (reason) {
	case RTPX_REASON_relayed:
		return NF_STOLEN;
	case RTPX_REASON_drop_stranger:
		return NF_DROP;
	default:
		return NF_ACCEPT;
	}
}

static unsigned int hook_ip4(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	return hook(priv, skb, RTPX_FAMILY_IP4);
}

static unsigned int hook_ip6(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	return hook(priv, skb, RTPX_FAMILY_IP6);
}

const struct nf_hook_ops hook_ops[RTPX_FAMILIES] = {
	/* After the table `raw`, where an operator may drop packets; before connection tracking. */
	{
		.hook = hook_ip4,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP_PRI_CONNTRACK - 1,
	},
	{
		.hook = hook_ip6,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP6_PRI_CONNTRACK - 1,
	},
};
