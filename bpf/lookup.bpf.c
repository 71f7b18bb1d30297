/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * lookup.bpf.c - brings the packets of all media ports to a few shared sockets, and says whether a
 * socket of another program has a port.
 *
 * It knows nothing about calls: the daemon marks the ports in use. One port gives at most its share
 * of packets to a shared socket, so a flood to one port leaves room for the packets of the others.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "rtpx_lookup.h"

#define AF_INET6 10

/* An array of struct floor_port for each local address; the daemon makes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct floor_place);
	__type(value, __u32);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, FLOOR_RECEIVERS);
	__type(key, __u32);
	__type(value, __u64);
} receivers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOOR_SOCKETS);
	__type(key, __u32);
	__type(value, struct floor_turn);
} turns SEC(".maps");

/* The media ports, set by the loader. */
const volatile __u32 media_first, media_ports;

/* The port's element, or NULL: this daemon has no such port. */
static __always_inline struct floor_port *port_of(const struct floor_place *place, __u32 i)
{
	void *ports = bpf_map_lookup_elem(&places, place);
	struct floor_port *port = ports ? bpf_map_lookup_elem(ports, &i) : NULL;

	return port && port->state != FLOOR_CLOSED ? port : NULL;
}

/* Count the packet in the port's share of the turn; false: it exceeds the share. */
static __always_inline bool has_room(struct floor_port *port, struct floor_turn *turn)
{
	__u32 now = *(volatile __u32 *)&turn->turn;

	if (port->turn != now) {
		port->turn = now;
		port->count = 0;
	}
	if (port->count >= *(volatile __u32 *)&turn->share) {
		__sync_fetch_and_add(&turn->refused, 1);
		return false;
	}
	port->count++;
	return true;
}

static __always_inline __u32 receiver_of(struct floor_port *port, __u32 group)
{
	__u32 shard = group * FLOOR_SHARDS + port->shard % FLOOR_SHARDS;
	struct floor_turn *turn = bpf_map_lookup_elem(&turns, &shard);

	if (!turn || port->state == FLOOR_DEAF || !has_room(port, turn))
		return FLOOR_SOCKETS + group;
	return shard;
}

SEC("sk_lookup")
int rtpx_lookup(struct bpf_sk_lookup *ctx)
{
	__u32 i = ctx->local_port - media_first, receiver;
	struct floor_place place = { .group = ctx->family == AF_INET6 };
	struct floor_port *port;
	struct bpf_sock *sk;

	if (ctx->protocol != IPPROTO_UDP || i >= media_ports)
		return SK_PASS;
	if (place.group) {
		place.ip[0] = ctx->local_ip6[0];
		place.ip[1] = ctx->local_ip6[1];
		place.ip[2] = ctx->local_ip6[2];
		place.ip[3] = ctx->local_ip6[3];
	} else {
		place.ip[0] = ctx->local_ip4;
	}
	port = port_of(&place, i);
	if (!port) {
		place = (struct floor_place){ .group = place.group };
		port = port_of(&place, i);
	}
	if (!port)
		return SK_PASS;
	receiver = receiver_of(port, place.group);
	sk = bpf_map_lookup_elem(&receivers, &receiver);
	if (!sk)
		return SK_PASS;
	bpf_sk_assign(ctx, sk, 0); /* fails if a program before this one has chosen a socket */
	bpf_sk_release(sk);
	return SK_PASS;
}

/*
 * Run by the daemon only: the frame is an Ethernet header and a struct floor_question. Returns a
 * bit for each of the ports that a socket has.
 */
SEC("tc")
int rtpx_taken(struct __sk_buff *skb)
{
	struct floor_question q;
	struct bpf_sock_tuple tuple = {};
	__u32 i, size, taken = 0;
	struct bpf_sock *sk;

	if (bpf_skb_load_bytes(skb, ETH_HLEN, &q, sizeof(q)))
		return -1;
	for (i = 0; i < FLOOR_ASKED && i < q.n; i++) {
		if (q.place.group) {
			__builtin_memcpy(tuple.ipv6.daddr, q.place.ip, sizeof(q.place.ip));
			tuple.ipv6.dport = q.port[i];
			size = sizeof(tuple.ipv6);
		} else {
			tuple.ipv4.daddr = q.place.ip[0];
			tuple.ipv4.dport = q.port[i];
			size = sizeof(tuple.ipv4);
		}
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
		if (!sk)
			continue;
		/* A shared socket is bound to another port than the one that it is asked for. */
		if (!q.shared || sk->src_port != bpf_ntohs(q.port[i]))
			taken |= 1u << i;
		bpf_sk_release(sk);
	}
	return taken;
}

char _license[] SEC("license") = "Dual BSD/GPL";
