/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - from a leg's stream to a flow that a dataplane can forward, or the reason why not. Pure.
 */
#ifndef RTPX_FLOW_H
#define RTPX_FLOW_H

#include "call/why.h"
#include "rtpx_abi.h"
#include "call/direction.h"

/* Facts that flow_compile() needs beside the session. */
struct flow_env {
	enum learning learning;
	bool dataplane;	   /* a dataplane is in use */
	bool mirror;	   /* the dataplane can hand copies of packets to the daemon */
	bool double_small; /* option -2: small packets are sent twice */
	uint8_t ttl;	   /* TTL or hop limit of outgoing packets */
	/*
	 * source address of outgoing packets when the other leg is bound to a wildcard; ADDR_NONE:
	 * unknown
	 */
	struct addr out_source;
	bool nexthop_usable;	   /* the next hop towards the other leg's peer is resolved */
	enum flow_why nexthop_why; /* reason when that next hop is not resolved */
	uint16_t nexthop;	   /* id of that next hop; 0: none */
};

/*
 * flow_wants - the addresses of the next hop's route, before compiling. FLOW_NO_OBJECTION: *@dest
 * (the receiver) and *@source (the local address of the leg that packets leave from, may be
 * any-address) are set; or a reason that already keeps the direction with the daemon.
 */
enum flow_why flow_wants(struct direction d, const struct flow_env *env, struct addr *dest,
			 struct addr *source);

/*
 * flow_compile - the flow of the direction. FLOW_NO_OBJECTION with *@flow filled (seq 0), or the
 * reason why the direction stays with the daemon.
 */
enum flow_why flow_compile(struct direction d, const struct flow_env *env, struct rtpx_flow *flow);

/* flow_why_text, flow_why_name - for people ("no route to …") and for machines ("NO_ROUTE"). */
const char *flow_why_text(enum flow_why why);
const char *flow_why_name(enum flow_why why);

#endif
