/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * traffic.bpf.c - the bench's generator, its sink, and the bare redirect that relays are compared
 * with.
 *
 * None of it looks at more than it must: what it costs is part of every figure of the bench.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "traffic.h"

struct bench_shared shared SEC(".bss.shared");

const volatile __u32 bare_ifindex;

/* The interface of bare_ifindex at 0. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bare_port SEC(".maps");

struct frame {
	__u8 headers[BENCH_HEADERS];
	struct bench_rtp rtp;
} __attribute__((packed));

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* due - whether this lane's next packet may leave now. */
static __always_inline int due(struct bench_lane *l, __u64 now)
{
	if (now < l->next_ns)
		return 0;
	if (now - l->next_ns > BENCH_BACKLOG_NS) {
		l->skipped_ns += now - l->next_ns;
		l->next_ns = now;
	}
	l->next_ns += l->interval_ns;
	return 1;
}

static __always_inline __u64 write_hosts(struct iphdr *ip, __u32 flow)
{
	const struct bench_hosts *h = &shared.hosts[flow & (BENCH_MAX_FLOWS - 1)];
	__u64 change = (__u64)h->src + h->dst + (__u32)~ip->saddr + (__u32)~ip->daddr;

	ip->saddr = h->src;
	ip->daddr = h->dst;
	ip->check = ~fold((__u64)(__u16)~ip->check + change);
	return change;
}

/*
 * write_frame - the lane's next packet. One in 65,536 has a checksum that looks like one left to a
 * NIC, which a relay in the kernel has reason to leave to the stack; another time stamp spares the
 * bench packets that take another way than the one it measures.
 */
static __always_inline void write_frame(struct frame *f, const struct bench_lane *l, __u64 sent_ns)
{
	const struct bench_pair *p = &shared.pairs[l->flow & (BENCH_MAX_FLOWS - 1)];
	struct udphdr *udp = (void *)&f->headers[ETH_HLEN + sizeof(struct iphdr)];
	struct bench_rtp *r = &f->rtp;
	__u64 hosts = 0; /* the sum of new minus old addresses */
	__u16 check;

	__builtin_memcpy(f->headers, shared.headers, BENCH_HEADERS);
	if (shared.many)
		hosts = write_hosts((void *)&f->headers[ETH_HLEN], l->flow);
	r->version = 0x80;
	r->payload_type = 0;
	r->seq = bpf_htons(l->round);
	r->timestamp = bpf_htonl(l->round * BENCH_PAYLOAD);
	r->ssrc = bpf_htonl(l->flow);
	r->mark = bpf_htonl(BENCH_MAGIC);
	r->sent_ns = sent_ns;
	check = ~fold(shared.sum + hosts + p->src + p->dst + r->seq + r->timestamp +
		      (__u64)r->ssrc + (__u32)sent_ns + (sent_ns >> 32));
	if (check == fold(shared.unfinished + hosts)) {
		r->timestamp ^= bpf_htonl(1);
		check = ~fold((__u64)(__u16)~check + bpf_htonl(1));
	}
	udp->source = p->src;
	udp->dest = p->dst;
	udp->check = check ? check : 0xffff;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	struct bench_lane *l = &shared.lanes[bpf_get_smp_processor_id() & (BENCH_MAX_CPUS - 1)];
	struct frame *f = (void *)(long)ctx->data;
	__u64 now = 0;

	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (l->interval_ns || shared.stamp)
		now = bpf_ktime_get_ns();
	if (l->interval_ns && !due(l, now))
		return XDP_DROP;
	write_frame(f, l, shared.stamp ? now : 0);
	l->flow += l->step;
	if (l->flow >= shared.flows) {
		l->flow = l->first;
		l->round++;
	}
	l->sent++;
	return XDP_TX;
}

static __always_inline __u32 log2_of(__u64 v)
{
	__u32 r = 0;

	if (v >> 32) {
		v >>= 32;
		r += 32;
	}
	if (v >> 16) {
		v >>= 16;
		r += 16;
	}
	if (v >> 8) {
		v >>= 8;
		r += 8;
	}
	if (v >> 4) {
		v >>= 4;
		r += 4;
	}
	if (v >> 2) {
		v >>= 2;
		r += 2;
	}
	return r + (v >> 1);
}

/* The inverse is bucket_ns() in traffic.c. */
static __always_inline __u32 bucket(__u64 ns)
{
	__u32 e, b;

	if (ns < 16)
		return ns;
	e = log2_of(ns);
	b = (e - 3) * 16 + ((ns >> (e - 4)) & 15);
	return b < BENCH_BUCKETS ? b : BENCH_BUCKETS - 1;
}

/*
 * verify - count what a relay made wrong: the address, the flow's port, a checksum. A packet that
 * left a local stack over veth carries only the pseudo-header's sum, which its receiver's stack
 * would accept.
 */
static __always_inline void verify(struct bench_sink *s, struct frame *f)
{
	struct iphdr *ip = (void *)&f->headers[ETH_HLEN];
	struct udphdr *udp = (void *)(ip + 1);
	__u32 flow = bpf_ntohl(f->rtp.ssrc) & (BENCH_MAX_FLOWS - 1);
	__u64 pseudo, sum;

	pseudo = (__u64)ip->saddr + ip->daddr + bpf_htons(IPPROTO_UDP) + udp->len;
	sum = pseudo +
	      bpf_csum_diff(0, 0, (void *)udp, sizeof(*udp) + BENCH_RTP + BENCH_PAYLOAD, 0);
	if (fold(bpf_csum_diff(0, 0, (void *)ip, sizeof(*ip), 0)) != 0xffff ||
	    ip->daddr != (shared.many ? shared.hosts[flow].sink : shared.sink_ip) ||
	    ip->protocol != IPPROTO_UDP || udp->dest != shared.pairs[flow].src || !udp->check)
		s->wrong++;
	else if (fold(sum) == 0xffff)
		return;
	else if (udp->check == fold(pseudo))
		s->partial++;
	else
		s->wrong++;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	struct bench_sink *s = &shared.sinks[bpf_get_smp_processor_id() & (BENCH_MAX_CPUS - 1)];
	struct frame *f = (void *)(long)ctx->data;
	__u64 now;

	if ((void *)f + BENCH_FRAME > (void *)(long)ctx->data_end ||
	    f->rtp.mark != bpf_htonl(BENCH_MAGIC)) {
		s->foreign++;
		return XDP_DROP;
	}
	s->received++;
	if (f->rtp.sent_ns) {
		now = bpf_ktime_get_ns();
		s->latency[bucket(now - f->rtp.sent_ns)]++;
	}
	if (shared.verify)
		verify(s, f);
	return XDP_DROP;
}

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	return bpf_redirect_map(&bare_port, 0, 0);
}

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	return bpf_redirect(bare_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
