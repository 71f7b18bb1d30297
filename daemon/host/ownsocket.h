/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ownsocket.h - how the host treats a UDP socket that this process opens: its bound device (a BPF
 * program of `ip vrf exec` binds it), its mark and priority, and the kernel's defaults for its
 * packets. The module opens a socket and asks the kernel.
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
	uint8_t ttl;		   /* IPv4's default */
	bool flow_labels;	   /* IPv6 packets have a flow label */
	bool fragments;		   /* IPv4 packets leave without "don't fragment" */
	bool programs; /* BPF programs of the control group judge or change its packets */
};

/* ownsocket_read - fill @o with some system calls. False: no socket opens, @o is unchanged. */
bool ownsocket_read(struct ownsocket *o);

/* ownsocket_sendmsg_programs - BPF programs of the control group see sendmsg() of UDP sockets. */
bool ownsocket_sendmsg_programs(void);

/*
 * ownsocket_priority - the priority (skb->priority) of packets from a socket of @family with the
 * TOS @tos (0: not set). A VLAN device maps it to 802.1p.
 */
uint32_t ownsocket_priority(const struct ownsocket *o, enum addr_family family, uint8_t tos);

#endif
