/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_hops.h - the maps `nexthops` and `tx_ports`: next hops as the XDP program reads them, and the
 * interfaces through which packets may leave. Resolves no next hop, and does not decide which
 * interfaces may send.
 */
#ifndef RTPX_XDP_HOPS_H
#define RTPX_XDP_HOPS_H

#include "base/base.h"
#include "rtpx_abi.h"

struct xdp_hops;

/*
 * xdp_hops_new - the maps' descriptors are borrowed until xdp_hops_free(). What they hold, of a
 * previous daemon for example, stays, but for next hops through interfaces that are gone. 0 or
 * -errno.
 */
int xdp_hops_new(struct xdp_hops **out, int nexthops, int tx_ports);
void xdp_hops_free(struct xdp_hops *h);

/*
 * xdp_hops_put - write the next hop @id, which is not 0. Packets leave through nh->ifindex. If that
 * one is not allowed, the next hop is not usable. nh->tx_port and nh->plain_mtu are ignored.
 */
void xdp_hops_put(struct xdp_hops *h, uint16_t id, const struct rtpx_nexthop *nh);

/*
 * xdp_hops_allow - let packets leave through an interface. -ENOSPC: RTPX_MAX_TX_PORTS - 1 others
 * are allowed; or the kernel's -errno.
 */
int xdp_hops_allow(struct xdp_hops *h, uint32_t ifindex);
/*
 * xdp_hops_forbid - from now on no packet leaves through this interface, whether it is still there
 * or not. Its next hops become unusable: their packets go to the daemon.
 */
void xdp_hops_forbid(struct xdp_hops *h, uint32_t ifindex);
/* xdp_hops_allowed - write the allowed interfaces to @out; returns their number. */
unsigned int xdp_hops_allowed(const struct xdp_hops *h, uint32_t out[RTPX_MAX_TX_PORTS]);

#endif
