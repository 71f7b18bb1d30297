/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * route.h - asks the kernel for the route of a packet of a media socket, by route netlink.
 */
#ifndef RTPX_ROUTE_H
#define RTPX_ROUTE_H

#include "base/addr.h"
#include "base/base.h"
#include "call/why.h"
#include "host/ownsocket.h"

struct netlink;

/* All inputs of routing for a packet. */
struct route_question {
	struct addr dest, source; /* port 0: none; source ADDR_NONE: the kernel chooses */
	uint8_t tos;
	uint32_t mark;
	const struct ownsocket *socket;
	bool tunnels; /* the dataplane can send into tunnels (struct dp.routes) */
};

struct route {
	struct addr gateway; /* ADDR_NONE: the destination is on link; may be of another family */
	struct addr source;  /* the address the kernel would send from */
	unsigned int oif;    /* outgoing interface; 0: none */
	unsigned int mtu;    /* 0: the device's */
	uint8_t ttl;	     /* 0: the host's */
};

/*
 * route_ask - FLOW_NO_OBJECTION, or the reason why no dataplane can use the route. *@out has the
 * members that are known.
 */
enum flow_why route_ask(struct netlink *nl, const struct route_question *q, struct route *out);

#endif
