/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_hops.h - the maps `nexthops` and `tx_ports`: next hops as the XDP program reads them, and the
 * interfaces through which packets may leave. Resolves no next hop, and does not decide which
 * interfaces may send.
 *
 * The daemon knows a next hop by its id: one for each destination host, source host and TOS. Most
 * ids lead to the same few neighbours. All ids with equal content share one element of `nexthops`,
 * and each flow names that element. So the CPU keeps one element in its cache for all calls behind
 * one gateway. A new link address of the gateway is one write for all of them. Any other new
 * content of an id is another element, and the flows of the id are pointed there, each by one
 * write.
 */
#ifndef RTPX_XDP_HOPS_H
#define RTPX_XDP_HOPS_H

#include "base/base.h"
#include "rtpx_abi.h"

struct xdp_hops;

struct xdp_hops_opts {
	int nexthops, tx_ports;	  /* descriptors of the maps, borrowed until xdp_hops_free() */
	struct rtpx_entry *flows; /* memory of the map `flows`; borrowed likewise */
	unsigned int n_flows;
};

/*
 * xdp_hops_new - the maps keep what a previous daemon left in them, but for next hops through
 * interfaces that are gone. Call xdp_hops_inherit() then for each of its flows. 0 or -errno.
 */
int xdp_hops_new(struct xdp_hops **out, const struct xdp_hops_opts *opts);
void xdp_hops_free(struct xdp_hops *h);

/*
 * xdp_hops_move - go on with other descriptors of the same maps, and other memory of the flows, to
 * which the caller has copied them; @opts->n_flows is not smaller. 0; -ENOMEM: nothing has changed.
 */
int xdp_hops_move(struct xdp_hops *h, const struct xdp_hops_opts *opts);

/*
 * xdp_hops_put - write the next hop @id, which is not 0. Packets leave through nh->ifindex. If that
 * one is not allowed, the next hop is not usable. nh->tx_port and nh->plain_mtu are ignored.
 * nh->neigh is 0 or the number of the neighbour with nh->dst_mac: a new link address in one of its
 * ids is written for all of them. Flows of @id follow at once; no packet meets half of a change.
 * 0; -ENOSPC: all elements are in use, and the next hop is not usable.
 */
int xdp_hops_put(struct xdp_hops *h, uint16_t id, const struct rtpx_nexthop *nh);

/*
 * xdp_hops_join - from now on flow @i uses the next hop @id, which need not be usable yet. Returns
 * the element for the flow's `nexthop`.
 * xdp_hops_part - flow @i uses no next hop any more: it is not in the map now.
 * xdp_hops_id - the id of flow @i; 0: it has none, for example because a previous daemon wrote it.
 * xdp_hops_inherit - flow @i in the map is of a previous daemon. Its element stays as it is until
 * xdp_hops_join() or xdp_hops_part() for this flow.
 */
uint16_t xdp_hops_join(struct xdp_hops *h, uint32_t i, uint16_t id);
void xdp_hops_part(struct xdp_hops *h, uint32_t i);
uint16_t xdp_hops_id(const struct xdp_hops *h, uint32_t i);
void xdp_hops_inherit(struct xdp_hops *h, uint32_t i);

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
