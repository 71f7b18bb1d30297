/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outgoing.h - a UDP packet of a media socket, described by the inputs of the host's rules and
 * policies. A plain value; hostpath.h lists the inputs.
 */
#ifndef RTPX_OUTGOING_H
#define RTPX_OUTGOING_H

#include <net/if.h>

#include "base/addr.h"
#include "base/base.h"

struct outgoing {
	struct addr source, dest; /* port 0: unknown */
	uint8_t tos;
	uint8_t ttl;	    /* 0: unknown */
	unsigned int oif;   /* the route's device */
	unsigned int lower; /* the device that sends the frames: below a VLAN device, else oif */
	char ifname[IFNAMSIZ];
	uint32_t mark;		/* the socket's mark, until a rule sets another */
	uint32_t uid, gid;	/* the socket's owner */
	unsigned int bound_dev; /* device that the socket is bound to; 0: none */
};

#endif
