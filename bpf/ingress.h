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

struct rtpx_plain_ingress plain_ingress[RTPX_INGRESSES];

/* is_plainly_ours - true if the frame is for the link address of its interface. */
static __always_inline int is_plainly_ours(__u32 ifindex, const void *frame)
{
	const struct rtpx_plain_ingress *in = &plain_ingress[ifindex % RTPX_INGRESSES];

	return in->ifindex == ifindex && in->mac == rtpx_mac(*(const __u64 *)frame);
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
