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
	__type(value, struct rtpx_entry);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_SLOTS);
	__type(key, __u32);
	__type(value, struct rtpx_entry_more);
} flows_more SEC(".maps");

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

/* The coarse clock as of the last tick of the kernel that saw a packet: reading it costs less than asking for it. */
static volatile __u64 clock_tick, clock_ns;

static __always_inline __u64 coarse_now(void)
{
	__u64 tick = bpf_jiffies64();

	if (clock_tick != tick) {
		clock_ns = bpf_ktime_get_coarse_ns();
		barrier(); /* so that who finds this tick finds a time that is not older */
		clock_tick = tick;
	}
	return clock_ns;
}

/* A packet whose headers change their size or form. */
struct moving {
	const struct rtpx_entry *entry;
	const struct rtpx_nexthop *nh;
	__u32 index;
	__u32 seq;
	__u32 header_bytes; /* up to UDP, as it arrived */
	__u16 payload_bytes;
	__u16 udp_check;
};

/* The next hop, when it is resolved and takes a packet of this size. */
static __always_inline enum rtpx_reason find_nexthop(const struct rtpx_flow_head *flow, const struct rtpx_packet *p,
						     struct rtpx_nexthop **nh)
{
	__u32 id = flow->nexthop, ip_bytes = p->payload_bytes + sizeof(struct udphdr);

	*nh = bpf_map_lookup_elem(&nexthops, &id);
	if (!*nh || !(*nh)->mtu)
		return RTPX_REASON_pass_nexthop;
	ip_bytes += flow->flags & RTPX_FLOW_OUT6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	return ip_bytes > (*nh)->mtu ? RTPX_REASON_pass_too_big : RTPX_REASON_relayed;
}

/* The flow has not been written since @seq was read, so that what was taken out of it belongs together. */
static __always_inline int is_whole(const struct rtpx_flow_head *flow, __u32 seq)
{
	barrier();
	return READ_ONCE(flow->seq) == seq;
}

/* An IPv4 frame without a tag that leaves as such: everything stays where it is. */
static __always_inline enum rtpx_reason rewrite_in_place(const struct rtpx_flow_head *flow, __u32 seq, const struct frame *f,
							 const struct rtpx_packet *p, const struct rtpx_nexthop *nh,
							 __u16 udp_check)
{
	struct leaving out;

	leaving_take(&out, flow, p->payload_bytes, udp_check);
	if (!is_whole(flow, seq))
		return RTPX_REASON_pass_busy;
	write_macs(f->data, nh);
	write_ip4(f->l3, &out);
	write_udp(f->udp, &out);
	return RTPX_REASON_relayed;
}

/* Another family, a tag, or IPv6: out of line, so that the common case keeps its registers. */
static __noinline int rewrite_moved(struct xdp_md *ctx, const struct moving *m)
{
	const struct rtpx_flow_head *flow = &m->entry->flow;
	struct leaving out = { .is_ip6 = !!(flow->flags & RTPX_FLOW_OUT6), .vlan = m->nh->vlan };
	struct rtpx_entry_more *more;
	__u32 index = m->index;
	int after;

	more = bpf_map_lookup_elem(&flows_more, &index);
	if (!more)
		return RTPX_REASON_pass_no_flow;
	leaving_take(&out, flow, m->payload_bytes, m->udp_check);
	__builtin_memcpy(out.ip6, more->flow.out6, sizeof(out.ip6));
	if (!is_whole(flow, m->seq))
		return RTPX_REASON_pass_busy;
	after = sizeof(struct ethhdr) + (out.vlan ? sizeof(struct vlan_tag) : 0) +
		(out.is_ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	return write_moved(ctx, &out, m->nh, after - m->header_bytes) < 0 ? RTPX_REASON_pass_adjust : RTPX_REASON_relayed;
}

/* Those members that functions out of line need: copying all would keep them in memory on the common path. */
static __always_inline struct rtpx_packet payload_of(const struct rtpx_packet *p)
{
	return (struct rtpx_packet){ .payload_bytes = p->payload_bytes, .is_rtp = p->is_rtp, .payload_type = p->payload_type,
				     .rtp_seq = p->rtp_seq, .coarse = p->coarse, .rtp_ts = p->rtp_ts, .ssrc = p->ssrc,
				     .now_ns = p->now_ns };
}

/* What rtpx_stats_next() leaves, one packet in RTPX_TIMED_EVERY among it: its arrival is timed precisely. */
static __noinline int count_in_full(struct rtpx_entry *entry, __u32 index, const struct rtpx_packet *p)
{
	struct rtpx_entry_more *more = bpf_map_lookup_elem(&flows_more, &index);
	struct rtpx_packet timed = *p;

	if (!more)
		return -1;
	timed.now_ns = bpf_ktime_get_ns();
	timed.coarse = 0;
	rtpx_stats_count(&entry->stats, &more->stats, &timed, entry->flow.flags & RTPX_FLOW_RTP);
	return 0;
}

/* A packet from another source than the flow's peer. */
static __noinline int stranger(const struct rtpx_entry *entry, __u32 index, const struct rtpx_packet *p)
{
	struct rtpx_config *c;
	struct rtpx_entry_more *more;
	enum rtpx_reason reason;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&config, &zero);
	more = bpf_map_lookup_elem(&flows_more, &index);
	if (!c || !more)
		return RTPX_REASON_drop_stranger;
	reason = rtpx_judge_stranger(c, &entry->flow, &entry->stats, p);
	if (reason == RTPX_REASON_drop_stranger)
		more->stats.strangers++;
	return reason;
}

#define NOT_PLAIN RTPX_REASON_COUNT /* of relay_plain_ip4(): nothing has happened, ask relay_any() */

/*
 * What becomes of the UDP packet @p in the frame @f. RTPX_REASON_relayed: it is rewritten, and leaves through *@tx_port.
 * @plain is a constant: only what is rewritten in place is wanted.
 */
static __always_inline enum rtpx_reason relay(struct xdp_md *ctx, const struct rtpx_config *c, const struct frame *f,
					      struct rtpx_packet *p, int plain, __u32 *tx_port)
{
	struct rtpx_entry_more *more = NULL;
	struct rtpx_flow_head *flow;
	struct rtpx_entry *entry;
	struct rtpx_packet copy;
	struct rtpx_nexthop *nh;
	enum rtpx_reason reason;
	__u32 seq, index;
	__u64 packets;
	int udp_check;

	if (p->dst_port < c->port_min || p->dst_port > c->port_max)
		return RTPX_REASON_pass_not_media;
	index = rtpx_flow_index(c, p->slot, p->dst_port);
	if (p->slot == RTPX_SLOT_IP6) {
		more = bpf_map_lookup_elem(&flows_more, &index);
		if (!more)
			return RTPX_REASON_pass_no_flow;
	}
	entry = bpf_map_lookup_elem(&flows, &index);
	if (!entry)
		return RTPX_REASON_pass_no_flow;
	flow = &entry->flow;
	seq = READ_ONCE(flow->seq);
	packets = READ_ONCE(entry->stats.packets); /* the second cache line comes while the first is on its way */
	barrier();
	if (seq & 1)
		return RTPX_REASON_pass_busy;
	parse_stun(f, p);
	reason = rtpx_judge(flow, &more->flow, p);
	if (reason == RTPX_REASON_drop_stranger) {
		parse_rtp(f, p);
		copy = payload_of(p);
		return stranger(entry, index, &copy);
	}
	if (reason != RTPX_REASON_relayed)
		return reason;
	reason = find_nexthop(flow, p, &nh);
	if (reason != RTPX_REASON_relayed)
		return reason;
	udp_check = leaving_checksum(ctx, flow, f, p);
	if (udp_check < 0)
		return RTPX_REASON_pass_too_big;
	*tx_port = nh->tx_port;
	parse_rtp(f, p);
	if (p->slot == RTPX_SLOT_IP4 && !(flow->flags & RTPX_FLOW_OUT6) && f->l2_bytes == sizeof(struct ethhdr) && !nh->vlan) {
		reason = rewrite_in_place(flow, seq, f, p, nh, udp_check);
	} else if (plain) {
		return NOT_PLAIN;
	} else {
		struct moving m = { .entry = entry, .nh = nh, .index = index, .seq = seq,
				    .header_bytes = (void *)f->udp - f->data,
				    .payload_bytes = p->payload_bytes, .udp_check = udp_check };

		reason = rewrite_moved(ctx, &m);
	}
	if (reason == RTPX_REASON_relayed && !rtpx_stats_next(&entry->stats, packets, p, flow->flags & RTPX_FLOW_RTP)) {
		copy = payload_of(p);
		count_in_full(entry, index, &copy);
	}
	return reason;
}

/* IPv4 without a tag: offsets known when this is compiled save a third of the time. */
static __noinline int relay_plain_ip4(struct xdp_md *ctx, __u32 *tx_port)
{
	struct rtpx_packet p = { .coarse = 1, .now_ns = coarse_now() };
	struct rtpx_config *c;
	enum rtpx_reason reason;
	struct frame f;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&config, &zero);
	if (!c)
		return NOT_PLAIN;
	reason = parse_plain_ip4((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &p);
	return reason == RTPX_REASON_relayed ? relay(ctx, c, &f, &p, 1, tx_port) : NOT_PLAIN;
}

/* Any frame. */
static __noinline int relay_any(struct xdp_md *ctx, __u32 *tx_port)
{
	struct rtpx_packet p = { .coarse = 1, .now_ns = coarse_now() };
	struct rtpx_config *c;
	enum rtpx_reason reason;
	struct frame f;
	__u32 zero = 0;

	c = bpf_map_lookup_elem(&config, &zero);
	if (!c)
		return RTPX_REASON_pass_not_media;
	reason = parse_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &p);
	return reason == RTPX_REASON_relayed ? relay(ctx, c, &f, &p, 0, tx_port) : reason;
}

SEC("xdp")
int rtpx_relay(struct xdp_md *ctx)
{
	__u32 tx_port = 0, zero = 0;
	enum rtpx_reason reason = relay_plain_ip4(ctx, &tx_port);
	__u64 *counted;

	if (reason == NOT_PLAIN)
		reason = relay_any(ctx, &tx_port);
	counted = bpf_map_lookup_elem(&counters, &zero);
	if (counted && reason < RTPX_REASON_COUNT)
		counted[reason]++;
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
