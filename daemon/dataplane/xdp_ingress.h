/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_ingress.h - which frames of an interface are for this host: the map `ingress`, written from the
 * links of this namespace. Listens to nothing: its owner says when links have changed.
 */
#ifndef RTPX_XDP_INGRESS_H
#define RTPX_XDP_INGRESS_H

#include "base/base.h"

struct nl_cache;
struct xdp_ingress;

/* xdp_ingress_new - @map is the descriptor of the map, and stays the caller's. -ENOMEM. */
int xdp_ingress_new(struct xdp_ingress **out, int map);
void xdp_ingress_free(struct xdp_ingress *in);

/*
 * xdp_ingress_write - the @n interfaces of @ifindex are those that have the program; @links is a
 * cache of all links. Frames of any other interface are left to the stack from now on.
 */
void xdp_ingress_write(struct xdp_ingress *in, struct nl_cache *links, const unsigned int *ifindex,
		       unsigned int n);

/* xdp_ingress_has_vlans - a device of this namespace takes tagged frames from this interface. */
bool xdp_ingress_has_vlans(struct nl_cache *links, unsigned int ifindex);

#endif
