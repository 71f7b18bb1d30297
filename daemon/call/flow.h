/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - from a leg's stream to a flow that a dataplane can forward, or the reason why not. Pure.
 */
#ifndef RTPX_FLOW_H
#define RTPX_FLOW_H

#include "call/why.h"
#include "rtpx_abi.h"
#include "call/session.h"

/* What flow_compile() must know beside the session. */
struct flow_env {
	enum learning learning;
	bool dataplane;	     /* one is in use */
	bool mirror;	     /* it can hand copies of packets to the daemon */
	bool double_small;   /* -2 */
	uint8_t ttl;	     /* TTL or hop limit of what leaves */
	/*
	 * source address for what leaves when the other leg is bound to a wildcard; ADDR_NONE:
	 * unknown
	 */
	struct addr out_source;
	bool nexthop_usable; /* the next hop towards the other leg's peer is resolved */
	enum flow_why nexthop_why; /* when it is not */
	uint16_t nexthop;    /* its id */
};

/*
 * flow_wants - what to ask of nexthop before compiling: FLOW_WHY_KERNEL with *@dest (the other
 * leg's peer) and *@source (the other leg's local address, may be any-address) set, or the reason
 * that already stands in the way.
 */
enum flow_why flow_wants(const struct session *s, int leg, enum stream_kind kind,
			 const struct flow_env *env, struct addr *dest, struct addr *source);

/*
 * flow_compile - the flow for packets that arrive at @leg. FLOW_WHY_KERNEL with *@out filled (seq
 * 0), or the reason why the direction stays with the daemon.
 */
enum flow_why flow_compile(const struct session *s, int leg, enum stream_kind kind,
			   const struct flow_env *env, struct rtpx_flow *out);

/* flow_why_text, flow_why_name - for people ("no route to …") and for machines ("NO_ROUTE"). */
const char *flow_why_text(enum flow_why why);
const char *flow_why_name(enum flow_why why);

#endif
