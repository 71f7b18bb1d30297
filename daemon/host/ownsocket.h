/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ownsocket.h - how the host treats a UDP socket that this process opens: the device that it is
 * bound to (`ip vrf exec` has a BPF program do that), its mark and priority, and the defaults that
 * the kernel gives its packets. Found out by opening one and asking.
 */
#ifndef RTPX_OWNSOCKET_H
#define RTPX_OWNSOCKET_H

#include "base/addr.h"
#include "base/base.h"

struct ownsocket {
	unsigned int bound_dev; /* 0: none */
	uint32_t mark, priority;
	uint32_t uid, gid;
	uint32_t tos_priority[16]; /* see ownsocket_priority() */
	uint8_t ttl;	 /* IPv4's default */
	bool flow_labels; /* IPv6 packets have one */
	bool fragments;	 /* IPv4 packets leave without "don't fragment" */
	bool programs;	 /* BPF programs of its control group judge or change its packets */
};

/* ownsocket_read - costs some system calls; false: no socket can be opened, @o is as it was. */
bool ownsocket_read(struct ownsocket *o);

/*
 * ownsocket_priority - of packets that leave a socket of @family after its TOS was set to @tos
 * (0: it was not set): skb->priority, which a VLAN device maps to 802.1p.
 */
uint32_t ownsocket_priority(const struct ownsocket *o, enum addr_family family, uint8_t tos);

#endif
