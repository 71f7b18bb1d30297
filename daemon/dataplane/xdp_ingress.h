/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_ingress.h - fills the map `ingress`, which tells the frames of an interface that are for this
 * host. Its source are the links of this namespace. Does not watch links: the caller tells changes.
 */
#ifndef RTPX_XDP_INGRESS_H
#define RTPX_XDP_INGRESS_H

#include "base/base.h"

struct nl_cache;
struct xdp_ingress;
struct rtpx_plain_ingress;

/*
 * xdp_ingress_new - @map is the map's descriptor, @plain the program's array of RTPX_INGRESSES
 * elements. The caller still owns both. -ENOMEM.
 */
int xdp_ingress_new(struct xdp_ingress **out, int map, struct rtpx_plain_ingress *plain);
void xdp_ingress_free(struct xdp_ingress *in);
/* xdp_ingress_move - go on with another descriptor of the map, and the array of another program. */
void xdp_ingress_move(struct xdp_ingress *in, int map, struct rtpx_plain_ingress *plain);

/*
 * xdp_ingress_write - write the map for the @n interfaces in @ifindex, which have the program.
 * @links is a cache of all links. Frames of other interfaces are left to the stack from now on.
 */
void xdp_ingress_write(struct xdp_ingress *in, struct nl_cache *links, const unsigned int *ifindex,
		       unsigned int n);

/* xdp_ingress_has_vlans - true if a device of this namespace takes tagged frames of @ifindex. */
bool xdp_ingress_has_vlans(struct nl_cache *links, unsigned int ifindex);

#endif
