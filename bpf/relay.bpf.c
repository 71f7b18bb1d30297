/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * relay.bpf.c - the forwarding path: parse, find the flow, decide, rewrite, count, redirect.
 *
 * It holds no policy. The daemon writes flows and next hops; what this program does not fully understand goes to the
 * stack untouched, which delivers it to the daemon's socket. Every packet is counted by what became of it.
 */
#include "parse.h"
#include "rewrite.h"

/* Sized by the loader: RTPX_SLOTS times the ports of the range. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_SLOTS);
	__type(key, __u32);
	__type(value, struct rtpx_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_SLOTS);
	__type(key, __u32);
	__type(value, struct rtpx_flow_stats);
} flow_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RTPX_MAX_NEXTHOPS);
	__type(key, __u32);
	__type(value, struct rtpx_nexthop);
} nexthops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, RTPX_MAX_TX_PORTS);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} tx_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpx_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rtpx_config);
} config SEC(".maps");

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define barrier() asm volatile("" ::: "memory")

/* The two elements of a port. */
struct place {
	struct rtpx_flow *flow;
	struct rtpx_flow_stats *stats;
};

static __always_inline enum rtpx_reason find_flow(const struct rtpx_config *c, const struct rtpx_packet *p,
						  struct place *at)
{
	__u32 index;

	if (p->dst_port < c->port_min || p->dst_port > c->port_max)
		return RTPX_REASON_pass_not_media;
	index = rtpx_flow_index(c, p->slot, p->dst_port);
	at->flow = bpf_map_lookup_elem(&flows, &index);
	if (!at->flow || !(at->flow->flags & RTPX_FLOW_ACTIVE))
		return RTPX_REASON_pass_no_flow;
	at->stats = bpf_map_lookup_elem(&flow_stats, &index);
	return at->stats ? RTPX_REASON_relayed : RTPX_REASON_pass_no_flow;
}

/* Copy from the flow and its next hop what leaves, and compute the checksum. The frame is not touched. */
static __always_inline enum rtpx_reason prepare(struct xdp_md *ctx, struct leaving *out,
						const struct rtpx_flow *flow, const struct frame *f,
						const struct rtpx_packet *p)
{
	__u32 id = flow->nexthop, ip_bytes;
	struct rtpx_nexthop *nh = bpf_map_lookup_elem(&nexthops, &id);

	if (!nh)
		return RTPX_REASON_pass_nexthop;
	out->nh = *nh;
	if (!out->nh.mtu)
		return RTPX_REASON_pass_nexthop;
	out->ip6 = !!(flow->flags & RTPX_FLOW_OUT6);
	if (out->ip6) {
		__builtin_memcpy(out->src, flow->out6, 16);
		__builtin_memcpy(out->dst, flow->dest6, 16);
	} else {
		__builtin_memcpy(out->src, flow->out4, 4);
		__builtin_memcpy(out->dst, flow->dest4, 4);
	}
	out->src_port = bpf_htons(flow->out_port);
	out->dst_port = bpf_htons(flow->dest_port);
	out->tos = flow->tos;
	out->ttl = flow->ttl;
	out->payload_bytes = p->payload_bytes;
	ip_bytes = p->payload_bytes + sizeof(struct udphdr) +
		   (out->ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (ip_bytes > out->nh.mtu)
		return RTPX_REASON_pass_too_big;
	if (leaving_checksum(ctx, out, f, p) < 0)
		return RTPX_REASON_pass_too_big;
	return RTPX_REASON_relayed;
}

/* Make room for the headers that leave, and write them. */
static __always_inline int rewrite(struct xdp_md *ctx, const struct leaving *out, const struct frame *f,
				   const struct rtpx_packet *p)
{
	int before = f->l2_bytes + (p->slot == RTPX_SLOT_IP6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	int after = sizeof(struct ethhdr) + (out->nh.vlan ? sizeof(struct vlan_tag) : 0) +
		    (out->ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));

	if (before != after && bpf_xdp_adjust_head(ctx, before - after))
		return -1;
	return write_headers(ctx, out);
}

static __always_inline enum rtpx_reason relay(struct xdp_md *ctx, __u32 *tx_port)
{
	struct rtpx_packet p = { 0 };
	struct leaving out = { 0 };
	struct frame f;
	struct place at = { 0 };
	struct rtpx_config *c;
	enum rtpx_reason reason;
	__u32 zero = 0, seq;

	c = bpf_map_lookup_elem(&config, &zero);
	if (!c)
		return RTPX_REASON_pass_not_media;
	reason = parse_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &p);
	if (reason != RTPX_REASON_relayed)
		return reason;
	reason = find_flow(c, &p, &at);
	if (reason != RTPX_REASON_relayed)
		return reason;
	seq = READ_ONCE(at.flow->seq);
	barrier();
	if (seq & 1)
		return RTPX_REASON_pass_busy;
	parse_payload(&f, &p);
	p.now_ns = bpf_ktime_get_ns();
	reason = rtpx_verdict(c, at.flow, at.stats, &p);
	if (reason == RTPX_REASON_drop_stranger)
		at.stats->strangers++;
	if (reason != RTPX_REASON_relayed)
		return reason;
	reason = prepare(ctx, &out, at.flow, &f, &p);
	if (reason != RTPX_REASON_relayed)
		return reason;
	barrier();
	if (READ_ONCE(at.flow->seq) != seq)
		return RTPX_REASON_pass_busy;
	if (rewrite(ctx, &out, &f, &p) < 0)
		return RTPX_REASON_pass_adjust;
	rtpx_stats_packet(at.stats, &p, at.flow->flags & RTPX_FLOW_RTP);
	at.stats->kernel_packets++;
	*tx_port = out.nh.tx_port;
	return RTPX_REASON_relayed;
}

SEC("xdp")
int rtpx_relay(struct xdp_md *ctx)
{
	__u32 tx_port = 0, zero = 0;
	enum rtpx_reason reason = relay(ctx, &tx_port);
	__u64 *count = bpf_map_lookup_elem(&counters, &zero);

	if (count && reason < RTPX_REASON_COUNT)
		count[reason]++;
	switch (reason) {
	case RTPX_REASON_relayed:
		return bpf_redirect_map(&tx_ports, tx_port, 0);
	case RTPX_REASON_drop_stranger:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
