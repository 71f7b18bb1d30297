/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rewrite.h - new headers for a packet that is forwarded: Ethernet, 802.1Q, IP, UDP, checksums.
 *
 * The payload stays where it is; the headers in front of it are written anew, with room made or taken away when the
 * family or the tag changes. Everything is computed before the first byte is changed.
 */
#ifndef RTPX_BPF_REWRITE_H
#define RTPX_BPF_REWRITE_H

#include <bpf/bpf_helpers.h>

#include "parse.h"

#define CHUNK 512	 /* what bpf_csum_diff() takes at most */
#define MAX_CHUNKS 18	 /* of a 9,000-byte packet */
#define IP4_DONT_FRAGMENT 0x4000

/* What leaves, copied from the flow and the next hop. Ports in network order. */
struct leaving {
	__u8 src[16], dst[16];
	__be16 src_port, dst_port;
	__be16 udp_check;
	__u16 payload_bytes;
	__u8 tos, ttl;
	__u8 ip6;
	struct rtpx_nexthop nh;
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u64 sum_address(const __u8 *a, int ip6)
{
	const __u32 *w = (const __u32 *)a;

	return ip6 ? (__u64)w[0] + w[1] + w[2] + w[3] : w[0];
}

/* RFC 768, RFC 8200 section 8.1: addresses, protocol and length. The folded sums of both families agree in form. */
static __always_inline __u64 sum_pseudo(const __u8 *src, const __u8 *dst, int ip6, __u16 udp_bytes)
{
	return sum_address(src, ip6) + sum_address(dst, ip6) + bpf_htons(IPPROTO_UDP) + bpf_htons(udp_bytes);
}

/* Room for one chunk: bpf_csum_diff() wants whole words, so the last one is filled up with zeros here. */
struct scratch {
	__u8 bytes[CHUNK + 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* Sum of @bytes bytes from @offset of the frame on, or negative when they cannot be read. */
__noinline __s64 sum_bytes(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	__u32 zero = 0, sum = 0, i;
	struct scratch *room = bpf_map_lookup_elem(&scratch, &zero);

	if (!room)
		return -1;
	for (i = 0; i < MAX_CHUNKS && bytes; i++) {
		__u32 n = bytes < CHUNK ? bytes : CHUNK;

		*(__u32 *)&room->bytes[n & (CHUNK | (CHUNK - 4))] = 0;
		if (bpf_xdp_load_bytes(ctx, offset, room->bytes, n))
			return -1;
		sum = bpf_csum_diff(0, 0, (__be32 *)room->bytes, (n + 3) & ~3, sum);
		offset += n;
		bytes -= n;
	}
	return bytes ? -1 : (__s64)sum;
}

/*
 * The UDP checksum that leaves. A sender's field may be complete; absent (IPv4 only); or, from a stack that left it to the
 * hardware, hold the folded pseudo-header alone. The last two are computed in full. 0 or negative.
 */
static __always_inline int leaving_checksum(struct xdp_md *ctx, struct leaving *out, const struct frame *f,
					    const struct rtpx_packet *p)
{
	__u16 udp_bytes = p->payload_bytes + sizeof(struct udphdr), check = f->udp->check;
	__u64 before = sum_pseudo(p->src, p->dst, p->slot == RTPX_SLOT_IP6, udp_bytes);
	__u64 after = sum_pseudo(out->src, out->dst, out->ip6, udp_bytes);
	__u64 sum;

	if (!check && !out->ip6) {
		out->udp_check = 0;
		return 0;
	}
	if (!check || check == fold(before)) {
		__s64 payload = sum_bytes(ctx, (void *)(f->udp + 1) - f->data, p->payload_bytes);

		if (payload < 0)
			return -1;
		sum = after + payload + out->src_port + out->dst_port + f->udp->len;
	} else {
		/* RFC 1624, equation 3 */
		sum = (__u16)~check + (__u64)(__u16)~fold(before + f->udp->source + f->udp->dest) + after +
		      out->src_port + out->dst_port;
	}
	check = ~fold(sum);
	out->udp_check = check ? check : 0xffff;
	return 0;
}

static __always_inline void write_ip4(struct iphdr *ip, const struct leaving *out)
{
	__u16 *w = (__u16 *)ip;
	__u64 sum = 0;
	int i;

	*(__u8 *)ip = 0x45;
	ip->tos = out->tos;
	ip->tot_len = bpf_htons(out->payload_bytes + sizeof(struct udphdr) + sizeof(*ip));
	ip->id = 0; /* not needed with DF, RFC 6864 */
	ip->frag_off = bpf_htons(IP4_DONT_FRAGMENT);
	ip->ttl = out->ttl;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	__builtin_memcpy(&ip->saddr, out->src, 4);
	__builtin_memcpy(&ip->daddr, out->dst, 4);
#pragma unroll
	for (i = 0; i < 10; i++)
		sum += w[i];
	ip->check = ~fold(sum);
}

static __always_inline void write_ip6(struct ipv6hdr *ip, const struct leaving *out)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)out->tos << 20);
	ip->payload_len = bpf_htons(out->payload_bytes + sizeof(struct udphdr));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = out->ttl;
	__builtin_memcpy(&ip->saddr, out->src, 16);
	__builtin_memcpy(&ip->daddr, out->dst, 16);
}

/* Write Ethernet, tag, IP and UDP at the start of the frame, which is of the right size now. */
static __always_inline int write_headers(struct xdp_md *ctx, const struct leaving *out)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *l3;
	struct ethhdr *eth = data;
	struct udphdr *udp;

	l3 = eth + 1;
	if (l3 + sizeof(struct vlan_tag) > end)
		return -1;
	__builtin_memcpy(eth->h_dest, out->nh.dst_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, out->nh.src_mac, ETH_ALEN);
	eth->h_proto = out->ip6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (out->nh.vlan) {
		struct vlan_tag *tag = l3;

		tag->tci = bpf_htons(out->nh.vlan);
		tag->type = eth->h_proto;
		eth->h_proto = bpf_htons(ETH_P_8021Q);
		l3 += sizeof(*tag);
	}
	if (out->ip6) {
		udp = l3 + sizeof(struct ipv6hdr);
		if ((void *)(udp + 1) > end)
			return -1;
		write_ip6(l3, out);
	} else {
		udp = l3 + sizeof(struct iphdr);
		if ((void *)(udp + 1) > end)
			return -1;
		write_ip4(l3, out);
	}
	udp->source = out->src_port;
	udp->dest = out->dst_port;
	udp->check = out->udp_check;
	return 0;
}

#endif
