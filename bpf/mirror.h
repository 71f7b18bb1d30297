/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * mirror.h - copies of forwarded packets for the daemon, which records them.
 *
 * mirror_take() copies the packet before it is rewritten. mirror_put() hands the copy over once the
 * packet is sure to leave. A copy without room in the ring is lost, and the loss is counted.
 */
#ifndef RTPX_BPF_MIRROR_H
#define RTPX_BPF_MIRROR_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "parse.h"

/* The loader makes this map, in the size of --mirror-bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} mirror SEC(".maps");

/*
 * Room to assemble a copy. A program can reserve only a constant size in a ring buffer, so it
 * assembles the copy here and then outputs it.
 */
struct mirror_room {
	struct rtpx_mirrored head;
	__u8 payload[RTPX_MIRROR_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mirror_room);
} mirror_room SEC(".maps");

static __always_inline void mirror_address(__u8 to[16], const __u8 *from, __u32 family)
{
	__u32 *t = (__u32 *)to;
	const __u32 *f = (const __u32 *)from;

	t[0] = f[0];
	t[1] = family == RTPX_FAMILY_IP6 ? f[1] : 0;
	t[2] = family == RTPX_FAMILY_IP6 ? f[2] : 0;
	t[3] = family == RTPX_FAMILY_IP6 ? f[3] : 0;
}

/* The number of payload bytes to copy. */
static __always_inline __u32 mirror_bytes(__u32 payload_bytes)
{
	return payload_bytes < RTPX_MIRROR_MAX ? payload_bytes : RTPX_MIRROR_MAX;
}

/* @bytes, in a form that the verifier knows as 1 to RTPX_MIRROR_MAX; see sum_bytes(). */
static __always_inline __u32 mirror_bounded(__u32 bytes)
{
	asm volatile("" : "+r"(bytes));
	return ((bytes - 1) & (RTPX_MIRROR_MAX - 1)) + 1;
}

__noinline int mirror_load(struct xdp_md *ctx, __u32 offset, __u32 payload_bytes)
{
	__u32 zero = 0, bytes = mirror_bytes(payload_bytes);
	struct mirror_room *room = bpf_map_lookup_elem(&mirror_room, &zero);

	if (!room)
		return -1;
	if (!bytes)
		return 0;
	return bpf_xdp_load_bytes(ctx, offset, room->payload, mirror_bounded(bytes));
}

/* mirror_take - copy the packet as it arrived. Negative: it cannot be read. */
static __always_inline int mirror_take(struct xdp_md *ctx, const struct rtpx_entry_more *more,
				       const struct frame *f, const struct rtpx_packet *p)
{
	__u32 zero = 0;
	struct mirror_room *room = bpf_map_lookup_elem(&mirror_room, &zero);

	if (!room)
		return -1;
	room->head.arrival_ns = bpf_ktime_get_ns();
	room->head.call = more->call;
	room->head.port = p->dst_port;
	room->head.peer_port = p->src_port;
	room->head.family = p->family;
	mirror_address(room->head.local, p->dst, p->family);
	mirror_address(room->head.peer, p->src, p->family);
	return mirror_load(ctx, (void *)(f->udp + 1) - f->data, p->payload_bytes);
}

/* mirror_put - hand over the copy that mirror_take() made. Negative: no room in the ring. */
__noinline int mirror_put(__u32 payload_bytes)
{
	__u32 zero = 0, bytes = mirror_bytes(payload_bytes);
	struct mirror_room *room = bpf_map_lookup_elem(&mirror_room, &zero);

	if (!room)
		return -1;
	if (!bytes)
		return bpf_ringbuf_output(&mirror, room, sizeof(room->head), 0);
	return bpf_ringbuf_output(&mirror, room, sizeof(room->head) + mirror_bounded(bytes), 0);
}

#endif
