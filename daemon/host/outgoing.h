/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * outgoing.h - a UDP packet of one of our media sockets, as the host's rules and policies see it on
 * its way out. A value; the tables that judge it are named in hostpath.h.
 */
#ifndef RTPX_OUTGOING_H
#define RTPX_OUTGOING_H

#include <net/if.h>

#include "base/addr.h"
#include "base/base.h"

struct outgoing {
	struct addr source, dest; /* port 0: not known */
	uint8_t tos;
	uint8_t ttl; /* 0: not known */
	unsigned int oif; /* the route's device */
	unsigned int lower; /* the device that frames leave through: below a VLAN, else oif */
	char ifname[IFNAMSIZ];
	uint32_t mark; /* of the packet: the socket's, until a rule sets another */
	uint32_t uid, gid; /* of the socket */
	unsigned int bound_dev; /* device that the socket is bound to; 0: none */
};

#endif
