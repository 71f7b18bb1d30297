/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * relay.bpf.c - the forwarding path: parse, find the flow, decide, rewrite, count, redirect.
 *
 * It holds no policy. The daemon writes flows and next hops. A frame that this program does not
 * fully understand passes unchanged to the stack, which delivers it to the daemon's socket. Every
 * packet is counted by its reason.
 */
#include "ingress.h"
#include "mirror.h"
#include "parse.h"
#include "plain.h"
#include "rewrite.h"

/* The loader sets the size: the number of pools times the number of ports in the range. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_FAMILIES);
	__type(key, __u32);
	__type(value, struct rtpx_entry);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_FAMILIES);
	__type(key, __u32);
	__type(value, struct rtpx_entry_more);
} flows_more SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, RTPX_MAX_NEXTHOPS);
	__type(key, __u32);
	__type(value, struct rtpx_nexthop);
} nexthops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
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

/*
 * Set by the loader: `port_min`, the number of ports in a pool, the number of pools, and the pools
 * of single addresses. The verifier knows their values, and removes the code for such pools where
 * there are none.
 */
const volatile __u32 media_first, media_ports, media_pools = RTPX_FAMILIES;
const volatile struct rtpx_pools pools;

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define barrier() asm volatile("" ::: "memory")

/*
 * The coarse clock at the most recent kernel tick with a packet. Reading this copy costs less than
 * calling the helper.
 */
static volatile __u64 clock_tick, clock_ns;

static __always_inline __u64 coarse_now(void)
{
	__u64 tick = bpf_jiffies64();

	if (clock_tick != tick) {
		clock_ns = bpf_ktime_get_coarse_ns();
		barrier(); /* another CPU that reads this tick must not read an older time */
		clock_tick = tick;
	}
	return clock_ns;
}

/* The flow and the next hop of a port. */
struct place {
	struct rtpx_entry *entry;
	struct rtpx_nexthop *nh;
	__u32 index;
	__u16 seq; /* the entry's, read before its other members */
};

/* pool_of - the pool of the ports of a local address. */
static __always_inline __u32 pool_of(__u32 family, const void *ip)
{
	__u32 key, slot;

	if (media_pools == RTPX_FAMILIES)
		return family;
	key = rtpx_pool_key(family, ip);
	slot = rtpx_pool_slot(pools.factor, key);
	/* The verifier of Linux 6.1 forgets the bounds of values on the stack: set them anew. */
	asm volatile("" : "+r"(slot), "+r"(family));
	slot &= RTPX_POOL_SLOTS - 1;
	family &= RTPX_FAMILIES - 1;
	return pools.at[family][slot].pool && pools.at[family][slot].key == key
		       ? pools.at[family][slot].pool
		       : family;
}

/*
 * find - find the flow of a local port and its next hop. Needs only the port and its pool, so the
 * CPU fetches their memory while the packet is parsed.
 */
static __always_inline enum rtpx_reason find(__u32 pool, __u32 port, struct place *at)
{
	__u32 id;

	at->index = port - media_first;
	if (at->index >= media_ports)
		return RTPX_REASON_pass_not_media;
	at->index += pool * media_ports;
	at->entry = bpf_map_lookup_elem(&flows, &at->index);
	if (!at->entry)
		return RTPX_REASON_pass_no_flow;
	at->seq = READ_ONCE(at->entry->seq);
	barrier();
	id = at->entry->nexthop;
	at->nh = bpf_map_lookup_elem(&nexthops, &id);
	return at->nh ? RTPX_GO_ON : RTPX_REASON_pass_no_flow;
}

/*
 * is_whole - true if no write of the flow was in progress since at->seq was read. The values taken
 * from the flow are then consistent.
 */
static __always_inline int is_whole(const struct place *at)
{
	barrier();
	return !(at->seq & 1) && READ_ONCE(at->entry->seq) == at->seq;
}

/* Check that the next hop is resolved and takes a packet of this size. */
static __always_inline enum rtpx_reason judge_nexthop(const struct place *at,
						      const struct rtpx_packet *p)
{
	__u32 ip_bytes = p->payload_bytes + sizeof(struct udphdr);

	if (!at->nh->mtu)
		return RTPX_REASON_pass_nexthop;
	ip_bytes +=
		at->entry->flags & RTPX_FLOW_OUT6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	return ip_bytes > at->nh->mtu ? RTPX_REASON_pass_too_big : RTPX_GO_ON;
}

/* The slow part of counting: out of line, with the precise time. */
static __noinline int count_in_full(struct rtpx_entry *entry, __u32 index, struct rtpx_packet *p)
{
	struct rtpx_entry_more *more = bpf_map_lookup_elem(&flows_more, &index);

	if (!more)
		return -1;
	p->now_ns = bpf_ktime_get_ns();
	rtpx_stats_in_full(entry, more, p);
	return 0;
}

static __always_inline void count(const struct place *at, const struct rtpx_packet *p)
{
	if (!rtpx_stats_next(at->entry, p)) {
		/* Copying the whole struct would make the compiler keep @p in memory always. */
		struct rtpx_packet copy = { .payload_bytes = p->payload_bytes,
					    .kind = p->kind,
					    .payload_type = p->payload_type,
					    .marker = p->marker,
					    .rtp_seq = p->rtp_seq,
					    .rtp_ts = p->rtp_ts,
					    .ssrc = p->ssrc };

		count_in_full(at->entry, at->index, &copy);
	}
}

/*
 * plain_rtp - parse the RTP header of a plain frame. Not inline: almost all RTP packets have
 * neither sources nor extension, and count_plain() knows those by their first byte.
 */
static __noinline int plain_rtp(struct xdp_md *ctx, struct rtpx_packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct frame f = { .data = data, .end = end, .udp = data + AT_SOURCE };

	p->payload_bytes = end - data - AT_PAYLOAD;
	p->kind = RTPX_PAYLOAD_OTHER;
	parse_rtp(&f, p);
	return p->kind == RTPX_PAYLOAD_RTP;
}

/* The slow part of counting a plain frame, whose payload is where it was. */
static __noinline int count_plain_in_full(struct xdp_md *ctx, struct rtpx_entry *entry, __u32 index)
{
	struct rtpx_packet p;

	plain_rtp(ctx, &p);
	return count_in_full(entry, index, &p);
}

/* is_plain_rtp - true if the payload is RTP. */
static __always_inline int is_plain_rtp(struct xdp_md *ctx, const void *frame)
{
	__u16 first = GET16(frame, AT_PAYLOAD);
	struct rtpx_packet p;

	if ((first & bpf_htons(0xff00)) == bpf_htons(0x8000))
		return (first & bpf_htons(0xe0)) != bpf_htons(0xc0);
	return plain_rtp(ctx, &p);
}

/* The clock is read first, because a call costs the compiler its registers. */
static __always_inline void count_plain(struct xdp_md *ctx, const struct place *at,
					const void *frame, __u32 payload_bytes)
{
	struct rtpx_packet p = { .now_ns = coarse_now(), .payload_bytes = payload_bytes };

	if (!(at->entry->flags & RTPX_FLOW_RTP) || is_plain_rtp(ctx, frame)) {
		p.kind = RTPX_PAYLOAD_RTP;
		p.rtp_seq = bpf_ntohs(GET16(frame, AT_PAYLOAD + 2));
		p.ssrc = bpf_ntohl(GET32(frame, AT_PAYLOAD + 8));
		if (rtpx_stats_next(at->entry, &p))
			return;
	}
	count_plain_in_full(ctx, at->entry, at->index);
}

/* Flows whose packets take the long way. */
#define NOT_PLAIN (RTPX_FLOW_OUT6 | RTPX_FLOW_EVENTS | RTPX_FLOW_MIRROR)

/*
 * relay_plain - forward a plain frame (plain.h) of a flow that leaves as such. It touches only one
 * cache line of the call. False: another case, nothing is changed; call relay_any().
 */
static __always_inline int relay_plain(struct xdp_md *ctx, __u32 *tx_port)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 ip_bytes = end - frame - AT_IP;
	const struct rtpx_entry *flow;
	struct plain_out out;
	struct place at;

	if (frame + PLAIN_BYTES > end || find(pool_of(RTPX_FAMILY_IP4, frame + AT_ADDRESSES + 4),
					      bpf_ntohs(GET16(frame, AT_DEST)), &at) != RTPX_GO_ON)
		return 0;
	flow = at.entry;
	if ((flow->flags & (RTPX_FLOW_ACTIVE | NOT_PLAIN)) != RTPX_FLOW_ACTIVE ||
	    ip_bytes > at.nh->plain_mtu || !is_plainly_ours(ctx->ingress_ifindex, frame) ||
	    !is_plain_ip4(frame, ip_bytes, flow) || !is_plain_udp(frame, ip_bytes, flow) ||
	    !is_plain_payload(frame, ip_bytes - PLAIN_HEADERS))
		return 0;
	plain_take(&out, flow, frame);
	if (!is_whole(&at))
		return 0;
	plain_write(frame, &out, at.nh);
	*tx_port = at.nh->tx_port;
	count_plain(ctx, &at, frame, ip_bytes - PLAIN_HEADERS);
	return 1;
}

/* Decide about a packet from another source than the flow's peer. */
static __always_inline enum rtpx_reason stranger(const struct place *at,
						 struct rtpx_entry_more *more,
						 const struct rtpx_packet *p)
{
	__u32 zero = 0;
	const struct rtpx_config *c = bpf_map_lookup_elem(&config, &zero);
	enum rtpx_reason reason =
		c ? rtpx_judge_stranger(c, at->entry, more, p) : RTPX_REASON_pass_open;

	if (reason == RTPX_REASON_drop_stranger)
		more->stats.strangers++;
	return reason;
}

/* Write all headers anew in front of the payload. The frame grows or shrinks at its head. */
static __always_inline enum rtpx_reason rewrite(struct xdp_md *ctx, const struct place *at,
						const struct rtpx_entry_more *more,
						const struct frame *f, const struct rtpx_packet *p,
						__u16 udp_check)
{
	struct leaving out = { .is_ip6 = !!(at->entry->flags & RTPX_FLOW_OUT6),
			       .vlan = at->nh->vlan };
	int before = (void *)f->udp - f->data;
	int after = sizeof(struct ethhdr) + (out.vlan ? sizeof(struct vlan_tag) : 0) +
		    (out.is_ip6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));

	leaving_take(&out, at->entry, p->payload_bytes, udp_check, arriving_ecn(f, p->family));
	out.label =
		rtpx_flow_label(bpf_ntohs(at->entry->out_port), bpf_ntohs(at->entry->dest_port)) &
		at->nh->label_mask;
	__builtin_memcpy(&out.ip6[0], more->out6, 16);
	__builtin_memcpy(&out.ip6[2], more->dest6, 16);
	if (!is_whole(at))
		return RTPX_REASON_pass_busy;
	return write_moved(ctx, &out, at->nh, after - before) < 0 ? RTPX_REASON_pass_adjust
								  : RTPX_GO_ON;
}

/* The packet is sure to leave: hand over its copy. @taken: the result of mirror_take(). */
static __always_inline void mirror_hand_over(struct rtpx_entry_more *more,
					     const struct rtpx_packet *p, int taken)
{
	__u32 zero = 0;
	struct rtpx_counters *counted = bpf_map_lookup_elem(&counters, &zero);
	int lost = taken < 0 || mirror_put(p->payload_bytes) < 0;

	more->stats.unmirrored += lost;
	if (counted && lost)
		counted->mirror_full++;
	else if (counted)
		counted->mirrored++;
}

/*
 * Handle any frame. @generic: the frame belongs to a socket buffer. If its checksum is unfinished,
 * the buffer may hold several datagrams of one sender, and not every device finishes checksums.
 * Such a frame is left to the stack.
 */
static __noinline int relay_any(struct xdp_md *ctx, __u32 *tx_port, int generic)
{
	struct rtpx_packet p = { .now_ns = coarse_now() };
	struct rtpx_entry_more *more;
	struct rtpx_ingress *from;
	enum rtpx_reason reason;
	int udp_check, mirrored, taken = 0;
	struct place at;
	struct frame f;

	reason = parse_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &p);
	if (reason != RTPX_GO_ON)
		return reason;
	reason = find(pool_of(p.family, p.dst), p.dst_port, &at);
	if (reason != RTPX_GO_ON)
		return reason;
	more = bpf_map_lookup_elem(&flows_more, &at.index);
	if (!more)
		return RTPX_REASON_pass_no_flow;
	if (at.seq & 1)
		return RTPX_REASON_pass_busy;
	from = ingress_find(ctx->ingress_ifindex);
	reason = from ? check_ingress(from, &f) : RTPX_REASON_pass_other_mac;
	if (reason == RTPX_GO_ON)
		reason = check_sums(&f, &p);
	if (reason != RTPX_GO_ON)
		return reason;
	parse_stun(&f, &p);
	parse_rtp(&f, &p);
	reason = rtpx_judge(at.entry, more, &p);
	if (reason == RTPX_STRANGER)
		return stranger(&at, more, &p);
	if (reason == RTPX_GO_ON)
		reason = rtpx_judge_event(at.entry, more, &p);
	if (reason == RTPX_GO_ON)
		reason = judge_nexthop(&at, &p);
	if (reason != RTPX_GO_ON)
		return reason;
	if (generic && f.udp->check && is_unfinished(at.entry, f.udp))
		return RTPX_REASON_pass_checksum;
	udp_check = leaving_checksum(ctx, at.entry, &f, &p);
	if (udp_check < 0)
		return RTPX_REASON_pass_checksum;
	mirrored = at.entry->flags & RTPX_FLOW_MIRROR;
	if (mirrored)
		taken = mirror_take(ctx, more, &f, &p);
	reason = rewrite(ctx, &at, more, &f, &p, udp_check);
	if (reason != RTPX_GO_ON)
		return reason;
	*tx_port = at.nh->tx_port;
	if (mirrored)
		mirror_hand_over(more, &p, taken);
	count(&at, &p);
	return RTPX_REASON_relayed;
}

static __always_inline void count_reason(enum rtpx_reason reason)
{
	__u32 zero = 0;
	__u64 *counted = bpf_map_lookup_elem(&counters, &zero);

	if (counted && reason < RTPX_REASON_COUNT)
		counted[reason]++;
}

/* All other frames than plain ones. */
static __noinline int relay_rest(struct xdp_md *ctx, int generic)
{
	__u32 tx_port = 0;
	enum rtpx_reason reason = relay_any(ctx, &tx_port, generic);

	count_reason(reason);
	switch (reason) {
	case RTPX_REASON_relayed:
		if (ctx->data_end - ctx->data <= PADDED_MAX)
			clear_padding(ctx);
		return bpf_redirect_map(&tx_ports, tx_port, 0);
	case RTPX_REASON_drop_stranger:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

static __always_inline int relay(struct xdp_md *ctx, int generic)
{
	__u32 tx_port;

	if (!relay_plain(ctx, &tx_port))
		return relay_rest(ctx, generic);
	count_reason(RTPX_REASON_relayed);
	return bpf_redirect_map(&tx_ports, tx_port, 0);
}

/* The program for native mode: there is no socket buffer. */
SEC("xdp")
int rtpx_relay(struct xdp_md *ctx)
{
	return relay(ctx, 0);
}

/* The program for generic mode, behind the driver. */
SEC("xdp")
int rtpx_generic(struct xdp_md *ctx)
{
	return relay(ctx, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
