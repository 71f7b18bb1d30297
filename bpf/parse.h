/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * parse.h - parses a frame into struct rtpx_packet. Checks each access against the end of the
 * frame.
 *
 * A frame that is not plain UDP in IPv4 or IPv6, with at most one 802.1Q tag, gets a reason and is
 * left alone.
 */
#ifndef RTPX_BPF_PARSE_H
#define RTPX_BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>

#include "rtpx_verdict.h"

#define IP4_FRAGMENT 0x3fff /* more fragments, and the offset */

struct vlan_tag {
	__be16 tci;
	__be16 type; /* EtherType of the payload */
};

/* The positions of the headers in a frame. */
struct frame {
	void *data, *end;
	void *l3;
	struct udphdr *udp;
	__u32 l2_bytes; /* 14, or 18 with a tag */
	__u32 vlan;	/* id in the tag; 0: no tag, or a tag with a priority only */
};

/* True for a header that may stand between IPv6 and UDP (RFC 8200 section 4). */
static __always_inline int is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_AH || next == IPPROTO_ESP || next == IPPROTO_MH;
}

static __always_inline enum rtpx_reason parse_ip4(struct frame *f, struct rtpx_packet *p)
{
	struct iphdr *ip = f->l3;

	if ((void *)(ip + 1) > f->end)
		return RTPX_REASON_pass_malformed;
	if (ip->protocol != IPPROTO_UDP)
		return RTPX_REASON_pass_not_udp;
	if (ip->frag_off & bpf_htons(IP4_FRAGMENT))
		return RTPX_REASON_pass_fragment;
	if (*(__u8 *)ip != 0x45)
		return ip->version == 4 ? RTPX_REASON_pass_options : RTPX_REASON_pass_malformed;
	f->udp = (void *)(ip + 1);
	p->family = RTPX_FAMILY_IP4;
	p->src = (__u8 *)&ip->saddr;
	p->dst = (__u8 *)&ip->daddr;
	p->ttl = ip->ttl;
	p->ip_bytes = bpf_ntohs(ip->tot_len);
	return RTPX_GO_ON;
}

static __always_inline enum rtpx_reason parse_ip6(struct frame *f, struct rtpx_packet *p)
{
	struct ipv6hdr *ip = f->l3;

	if ((void *)(ip + 1) > f->end)
		return RTPX_REASON_pass_malformed;
	if (ip->version != 6)
		return RTPX_REASON_pass_malformed;
	if (ip->nexthdr == IPPROTO_FRAGMENT)
		return RTPX_REASON_pass_fragment;
	if (is_extension(ip->nexthdr))
		return RTPX_REASON_pass_options;
	if (ip->nexthdr != IPPROTO_UDP)
		return RTPX_REASON_pass_not_udp;
	f->udp = (void *)(ip + 1);
	p->family = RTPX_FAMILY_IP6;
	p->src = (__u8 *)&ip->saddr;
	p->dst = (__u8 *)&ip->daddr;
	p->ttl = ip->hop_limit;
	p->ip_bytes = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	return RTPX_GO_ON;
}

/* Parse the UDP header. The lengths in UDP, IP and the frame must agree. They do not in a packet
 * that GRO merged. */
static __always_inline enum rtpx_reason parse_udp(struct frame *f, struct rtpx_packet *p)
{
	struct udphdr *udp = f->udp;
	__u32 ip_header =
		p->family == RTPX_FAMILY_IP6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if ((void *)(udp + 1) > f->end)
		return RTPX_REASON_pass_malformed;
	p->src_port = bpf_ntohs(udp->source);
	p->dst_port = bpf_ntohs(udp->dest);
	if (p->ip_bytes != ip_header + bpf_ntohs(udp->len) || bpf_ntohs(udp->len) < sizeof(*udp) ||
	    f->l3 + p->ip_bytes > f->end)
		return RTPX_REASON_pass_malformed;
	p->payload_bytes = p->ip_bytes - ip_header - sizeof(*udp);
	return RTPX_GO_ON;
}

/* mac_eq - compare two link addresses. Both end on a 4-byte boundary, because IP after Ethernet
 * begins on one. */
static __always_inline int mac_eq(const void *a, const void *b)
{
	return *(const __u32 *)(a + 2) == *(const __u32 *)(b + 2) &&
	       *(const __u16 *)a == *(const __u16 *)b;
}

static __always_inline int is_other_of_ours(const struct rtpx_ingress *in, const void *mac)
{
	__u32 i;

	for (i = 0; i < RTPX_INGRESS_OTHERS; i++)
		if (mac_eq(mac, in->others[i].mac))
			return 1;
	return 0;
}

/*
 * check_ingress - RTPX_GO_ON: the link address and the VLAN of the frame from @in are of
 * this host. Leave any other frame to the stack, which discards it or gives it to a device above.
 */
static __always_inline enum rtpx_reason check_ingress(const struct rtpx_ingress *in,
						      const struct frame *f)
{
	__u32 vlan = f->vlan;

	if (!mac_eq(f->data, in->mac) && (vlan || !is_other_of_ours(in, f->data)))
		return RTPX_REASON_pass_other_mac;
	/* The verifier of Linux 6.1 forgets the bounds of values on the stack: set them anew. */
	asm volatile("" : "+r"(vlan));
	vlan &= 0xfff;
	if (vlan && !(in->vlans[vlan / 8] & 1 << vlan % 8))
		return RTPX_REASON_pass_no_vlan;
	return RTPX_GO_ON;
}

/*
 * ip4_sum_holds - true if the sum over a header without options is all ones (RFC 1812 section
 * 5.2.2). The sum is folded to 16 bits only once, so all ones have two forms.
 */
static __always_inline int ip4_sum_holds(const struct iphdr *ip)
{
	const __u32 *w = (const void *)ip;
	__u64 sum = (__u64)w[0] + w[1] + w[2] + w[3] + w[4];

	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff || sum == 0x1fffe;
}

/*
 * check_sums - RTPX_GO_ON unless the stack would discard the packet for its checksums.
 * Does not compute the sum over the payload: an error in it is passed on to the receiver.
 */
static __always_inline enum rtpx_reason check_sums(const struct frame *f,
						   const struct rtpx_packet *p)
{
	if (p->family == RTPX_FAMILY_IP4)
		return ip4_sum_holds(f->l3) ? RTPX_GO_ON : RTPX_REASON_pass_ip_checksum;
	/* RFC 8200 section 8.1 */
	return f->udp->check ? RTPX_GO_ON : RTPX_REASON_pass_no_checksum;
}

/*
 * parse_stun - find out whether the payload is STUN, which is left to the daemon. parse_rtp() tells
 * RTP from other payloads.
 */
static __always_inline void parse_stun(const struct frame *f, struct rtpx_packet *p)
{
	__u8 *b = (void *)(f->udp + 1);

	p->kind = RTPX_PAYLOAD_OTHER;
	if ((void *)(b + RTPX_PAYLOAD_LOOK) <= f->end &&
	    rtpx_is_stun(b[0], bpf_ntohl(*(__be32 *)(b + 4)), p->payload_bytes))
		p->kind = RTPX_PAYLOAD_STUN;
}

/* parse_rtp - if the payload is RTP, set the kind and the RTP members of @p. */
static __always_inline void parse_rtp(const struct frame *f, struct rtpx_packet *p)
{
	__u8 *b = (void *)(f->udp + 1), *extension;

	p->payload_type = 0;
	p->marker = 0;
	p->rtp_seq = 0;
	p->rtp_ts = 0;
	p->ssrc = 0;
	if ((void *)(b + RTPX_RTP_HEADER) > f->end || !rtpx_is_rtp(b, p->payload_bytes))
		return;
	extension = b + rtpx_rtp_extension(b[0]);
	if (b[0] & RTPX_RTP_EXTENDED &&
	    ((void *)(extension + 4) > f->end ||
	     !rtpx_rtp_extension_holds(b[0], p->payload_bytes, extension)))
		return;
	p->kind = RTPX_PAYLOAD_RTP;
	p->payload_type = b[1] & 0x7f;
	p->marker = b[1] & 0x80;
	p->rtp_seq = bpf_ntohs(*(__be16 *)(b + 2));
	p->rtp_ts = bpf_ntohl(*(__be32 *)(b + 4));
	p->ssrc = bpf_ntohl(*(__be32 *)(b + 8));
}

static __always_inline void parse_payload(const struct frame *f, struct rtpx_packet *p)
{
	parse_stun(f, p);
	parse_rtp(f, p);
}

/*
 * parse_frame - parse the frame from @data to @end. RTPX_GO_ON: @f and @p describe a UDP
 * packet, except for the members of the payload and the time.
 */
static __always_inline enum rtpx_reason parse_frame(void *data, void *end, struct frame *f,
						    struct rtpx_packet *p)
{
	struct ethhdr *eth = data;
	struct vlan_tag *tag;
	enum rtpx_reason reason;
	__be16 type;

	f->data = data;
	f->end = end;
	f->vlan = 0;
	f->l3 = eth + 1;
	if (f->l3 > f->end)
		return RTPX_REASON_pass_malformed;
	type = eth->h_proto;
	if (type == bpf_htons(ETH_P_8021Q)) {
		tag = f->l3;
		if ((void *)(tag + 1) > f->end)
			return RTPX_REASON_pass_malformed;
		type = tag->type;
		f->vlan = bpf_ntohs(tag->tci) & 0xfff;
		f->l3 = tag + 1;
	}
	f->l2_bytes = f->l3 - f->data;
	if (type == bpf_htons(ETH_P_IP))
		reason = parse_ip4(f, p);
	else if (type == bpf_htons(ETH_P_IPV6))
		reason = parse_ip6(f, p);
	else
		return RTPX_REASON_pass_not_ip;
	if (reason != RTPX_GO_ON)
		return reason;
	return parse_udp(f, p);
}

#endif
