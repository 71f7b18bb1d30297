/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * ear.bpf.c - hears RTP packets where they come in, and drops them. A socket would cost as much as
 * the relay that sends them, on the same CPU.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ear.h"

struct ear ear SEC(".bss.ear");

struct frame {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
	__u8 version, type;
	__be16 seq;
	__be32 timestamp, ssrc;
} __attribute__((packed));

SEC("tc")
int ear_hear(struct __sk_buff *skb)
{
	const struct frame *f = (void *)(long)skb->data;
	struct ear_packet *p;

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_pull_data(skb, sizeof(*f)))
		return TC_ACT_OK;
	f = (void *)(long)skb->data;
	if ((void *)(f + 1) > (void *)(long)skb->data_end || f->ip.protocol != IPPROTO_UDP ||
	    f->ip.ihl != sizeof(f->ip) / 4 || f->udp.dest != bpf_htons(EAR_PORT))
		return TC_ACT_OK;
	p = &ear.packet[__sync_fetch_and_add(&ear.heard, 1) & (EAR_PLACES - 1)];
	p->at_ns = bpf_ktime_get_ns();
	p->ssrc = bpf_ntohl(f->ssrc);
	p->timestamp = bpf_ntohl(f->timestamp);
	__sync_lock_test_and_set(&p->seq, bpf_ntohs(f->seq) | EAR_WRITTEN); /* after the others */
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
