/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_pools.h - the table by which the XDP program finds the pool of ports of an address. Pure.
 */
#ifndef RTPX_XDP_POOLS_H
#define RTPX_XDP_POOLS_H

#include "base/addr.h"
#include "base/base.h"
#include "rtpx_abi.h"

/*
 * xdp_pools_make - fill in @out: address @own[i] has pool RTPX_FAMILIES + i. Addresses are not any
 * and not given twice; @n is at most RTPX_MAX_POOLS - RTPX_FAMILIES. False: two addresses cannot be
 * told apart.
 */
bool xdp_pools_make(struct rtpx_pools *out, const struct addr *own, unsigned int n);
/* xdp_pools_sum - a checksum over the addresses and their order; 0 without addresses. */
uint32_t xdp_pools_sum(const struct addr *own, unsigned int n);

#endif
