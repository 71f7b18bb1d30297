/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * ingress.h - the map of interfaces that run the program, with their link addresses and VLANs.
 */
#ifndef RTPX_BPF_INGRESS_H
#define RTPX_BPF_INGRESS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "parse.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RTPX_INGRESSES);
	__type(key, __u32);
	__type(value, struct rtpx_ingress);
} ingress SEC(".maps");

/* is_plainly_ours - true if the interface is in its first place of the map, and the frame is for
 * its own link address. */
static __always_inline int is_plainly_ours(const struct xdp_md *ctx)
{
	__u32 ifindex = ctx->ingress_ifindex, at = ifindex % RTPX_INGRESSES;
	struct rtpx_ingress *in = bpf_map_lookup_elem(&ingress, &at);
	struct ethhdr *eth = (void *)(long)ctx->data;

	return in && in->ifindex == ifindex && (void *)(eth + 1) <= (void *)(long)ctx->data_end &&
	       mac_eq(eth, in->mac);
}

/* ingress_find - the element of an interface. NULL: leave its frames to the stack. */
static __always_inline struct rtpx_ingress *ingress_find(__u32 ifindex)
{
	struct rtpx_ingress *in;
	__u32 at, i;

	for (i = 0; i < RTPX_INGRESS_TRIES; i++) {
		at = (ifindex + i) % RTPX_INGRESSES;
		in = bpf_map_lookup_elem(&ingress, &at);
		if (in && in->ifindex == ifindex)
			return in;
	}
	return NULL;
}

#endif
