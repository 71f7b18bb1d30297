/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rewrite.h - new headers for a packet that is forwarded: Ethernet, 802.1Q, IP, UDP, checksums.
 *
 * The payload does not move. The headers in front of it are written anew. If the family or the tag
 * changes, the frame grows or shrinks at its head. All values are read and computed before the
 * first byte changes.
 */
#ifndef RTPX_BPF_REWRITE_H
#define RTPX_BPF_REWRITE_H

#include <bpf/bpf_helpers.h>

#include "parse.h"
#include "rtpx_entry.h"

#define CHUNK 512     /* most bytes that bpf_csum_diff() takes */
#define MAX_CHUNKS 18 /* for a 9,000-byte packet */
#define IP4_DONT_FRAGMENT 0x4000

/*
 * Room for one chunk. bpf_csum_diff() takes only whole words, so the last word is filled up with
 * zeros here.
 */
struct scratch {
	__u8 bytes[CHUNK + 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

/* The sum of @bytes bytes of the frame from @offset on. Negative: they cannot be read. */
__noinline __s64 sum_bytes(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	__u32 zero = 0, sum = 0, i;
	struct scratch *room = bpf_map_lookup_elem(&scratch, &zero);

	if (!room)
		return -1;
	for (i = 0; i < MAX_CHUNKS && bytes; i++) {
		__u32 n = bytes < CHUNK ? bytes : CHUNK;

		/*
		 * Bound n once more, by arithmetic: from the comparison above, the verifier of
		 * Linux 6.1 does not conclude that 1 <= n <= CHUNK.
		 */
		asm volatile("" : "+r"(n));
		n = ((n - 1) & (CHUNK - 1)) + 1;
		*(__u32 *)&room->bytes[n & (CHUNK | (CHUNK - 4))] = 0;
		if (bpf_xdp_load_bytes(ctx, offset, room->bytes, n))
			return -1;
		sum = bpf_csum_diff(0, 0, (__be32 *)room->bytes, (n + 3) & ~3, sum);
		offset += n;
		bytes -= n;
	}
	return bytes ? -1 : (__s64)sum;
}

/* Send a computed checksum of 0 as all ones: 0 means no checksum (RFC 768). */
static __always_inline __u16 finish_checksum(__u32 sum)
{
	__u16 check = ~rtpx_fold(sum);

	return check ? check : 0xffff;
}

/*
 * is_unfinished - true if the sender's stack left the checksum to the hardware. The field then has
 * only the folded sum of the pseudo-header.
 */
static __always_inline int is_unfinished(const struct rtpx_entry *flow, const struct udphdr *udp)
{
	return udp->check == rtpx_fold(flow->sum_pseudo + udp->len);
}

/*
 * changed_checksum - compute the checksum from the arriving complete one: RFC 1624, equation 3, in
 * its negative. Never 0, because the arriving one is not 0.
 */
static __always_inline __u16 changed_checksum(const struct rtpx_entry *flow,
					      const struct udphdr *udp)
{
	return rtpx_fold(flow->sum_change + udp->check + udp->source);
}

/*
 * leaving_checksum - the checksum of the leaving packet. A complete checksum is changed. An
 * unfinished one is finished. A missing one (IPv4 only) is computed, as a socket does. Negative:
 * the payload cannot be read.
 */
static __always_inline int leaving_checksum(struct xdp_md *ctx, const struct rtpx_entry *flow,
					    const struct frame *f, const struct rtpx_packet *p)
{
	struct udphdr *udp = f->udp;
	__s64 payload;

	if (udp->check && !is_unfinished(flow, udp))
		return changed_checksum(flow, udp);
	payload = sum_bytes(ctx, (void *)(udp + 1) - f->data, p->payload_bytes);
	if (payload < 0)
		return -1;
	return finish_checksum((__u16)~flow->sum_change + flow->sum_pseudo + udp->dest +
			       2 * udp->len + rtpx_fold(payload));
}

/*
 * The header fields of the leaving packet, taken from flow and next hop before the frame changes.
 * ip4, ip6, ports and udp_check are in network order, as they are written.
 */
struct leaving {
	__u64 ip4; /* source and destination */
	__u64 ip6[4];
	__u32 ports;
	__u16 udp_check;
	__u16 payload_bytes;
	__u8 tos, ttl;
	__u8 is_ip6;
	__u16 vlan;
	__u32 label; /* IPv6's flow label, in host order */
};

/*
 * The arriving packet's explicit congestion notification (ECN), which the leaving packet keeps.
 * Routers mark packets, and the receiver reacts to the mark. A relay that writes the header anew
 * must not lose it (RFC 6040).
 */
static __always_inline __u8 arriving_ecn(const struct frame *f, __u32 family)
{
	const __u8 *ip = f->l3;

	return family == RTPX_FAMILY_IP6 ? ip[1] >> 4 & RTPX_ECN_MASK : ip[1] & RTPX_ECN_MASK;
}

/* @ecn: 0 to 3. */
static __always_inline void leaving_take(struct leaving *out, const struct rtpx_entry *flow,
					 __u16 payload_bytes, __u16 udp_check, __u8 ecn)
{
	out->ip4 = *(__u64 *)flow->out4;
	out->ports = *(const __u32 *)&flow->out_port;
	out->udp_check = udp_check;
	out->payload_bytes = payload_bytes;
	out->tos = flow->tos | ecn;
	out->ttl = flow->ttl;
}

/* Copy by words: else clang stores only single bytes into the packet. */
static __always_inline void write_macs(void *eth, const struct rtpx_nexthop *nh)
{
	const void *from = nh->dst_mac;

	*(__u64 *)eth = *(const __u64 *)from;
	*(__u32 *)(eth + 8) = *(const __u32 *)(from + 8);
}

static __always_inline void write_ip4(struct iphdr *ip, const struct leaving *out)
{
	__u16 tos = bpf_htons(0x4500 | out->tos), ttl = bpf_htons(out->ttl << 8 | IPPROTO_UDP);
	__u16 bytes = bpf_htons(out->payload_bytes + sizeof(struct udphdr) + sizeof(*ip));
	__u64 sum = (out->ip4 & 0xffffffff) + (out->ip4 >> 32);

	sum = (sum & 0xffff) + (sum >> 16) + tos + bytes + bpf_htons(IP4_DONT_FRAGMENT) + ttl;
	*(__u16 *)ip = tos;
	ip->tot_len = bytes;
	*(__u32 *)&ip->id = bpf_htonl(IP4_DONT_FRAGMENT); /* no id, RFC 6864 */
	*(__u16 *)&ip->ttl = ttl;
	ip->check = ~rtpx_fold(sum);
	*(__u64 *)&ip->saddr = out->ip4;
}

static __always_inline void write_ip6(struct ipv6hdr *ip, const struct leaving *out)
{
	*(__be32 *)ip = bpf_htonl(6u << 28 | (__u32)out->tos << 20 | out->label);
	ip->payload_len = bpf_htons(out->payload_bytes + sizeof(struct udphdr));
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = out->ttl;
	__builtin_memcpy(&ip->saddr, out->ip6, sizeof(out->ip6));
}

static __always_inline void write_udp(struct udphdr *udp, const struct leaving *out)
{
	*(__u32 *)udp = out->ports;
	udp->check = out->udp_check;
}

/*
 * Write Ethernet, tag, IP and UDP in front of the payload. The new headers have @grow bytes more
 * than the old ones.
 */
static __always_inline int write_moved(struct xdp_md *ctx, const struct leaving *out,
				       const struct rtpx_nexthop *nh, int grow)
{
	struct vlan_tag *tag;
	struct ethhdr *eth;
	void *l3, *end;

	if (grow && bpf_xdp_adjust_head(ctx, -grow))
		return -1;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	tag = l3 = eth + 1;
	if ((void *)(tag + 1) > end)
		return -1;
	write_macs(eth, nh);
	eth->h_proto = out->is_ip6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (out->vlan) {
		tag->tci = bpf_htons(out->vlan);
		tag->type = eth->h_proto;
		eth->h_proto = bpf_htons(ETH_P_8021Q);
		l3 = tag + 1;
	}
	if (out->is_ip6) {
		struct ipv6hdr *ip = l3;

		if ((void *)(ip + 1) + sizeof(struct udphdr) > end)
			return -1;
		write_ip6(ip, out);
		write_udp((void *)(ip + 1), out);
	} else {
		struct iphdr *ip = l3;

		if ((void *)(ip + 1) + sizeof(struct udphdr) > end)
			return -1;
		write_ip4(ip, out);
		write_udp((void *)(ip + 1), out);
	}
	return 0;
}

/* Longer frames that leave were not padded when they arrived, whatever the families and tags. */
#define PADDED_MAX 96

static const __u8 zeros[64];

/*
 * clear_padding - zero the bytes behind the IP packet of a short frame: they come from the memory
 * of the host that sent it.
 */
static __noinline int clear_padding(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan_tag *tag = (void *)(eth + 1);
	__u64 bytes = end - data, l3 = sizeof(*eth), behind;
	struct ipv6hdr *ip6;
	struct iphdr *ip;
	__be16 type;

	if ((void *)(tag + 1) > end)
		return 0;
	type = eth->h_proto;
	if (type == bpf_htons(ETH_P_8021Q)) {
		type = tag->type;
		l3 += sizeof(*tag);
	}
	ip = data + l3;
	ip6 = data + l3;
	if ((void *)(ip + 1) > end)
		return 0;
	l3 += type == bpf_htons(ETH_P_IP) ? bpf_ntohs(ip->tot_len)
					  : bpf_ntohs(ip6->payload_len) + sizeof(*ip6);
	asm volatile("" : "+r"(bytes), "+r"(l3)); /* numbers, and no pointers, see sum_bytes() */
	behind = bytes - l3;
	if (behind - 1 >= sizeof(zeros))
		return 0;
	asm volatile("" : "+r"(behind));
	return bpf_xdp_store_bytes(ctx, l3, (void *)zeros,
				   ((behind - 1) & (sizeof(zeros) - 1)) + 1);
}

#endif
