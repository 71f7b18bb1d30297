/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.h - XDP abilities of an interface, as the kernel states them (generic netlink family
 * "netdev", Linux 6.3), and notices of their changes. Knows nothing of programs or maps.
 *
 * These abilities change without a route netlink notice. For example, a veth can be redirected to
 * only while its far end runs NAPI, and the far end may be in another namespace.
 */
#ifndef RTPX_NETDEV_H
#define RTPX_NETDEV_H

#include "base/base.h"

/*
 * A bit of Linux' netdev family; Debian 12 lacks the header. The driver implements ndo_xdp_xmit,
 * and it works now.
 */
#define NETDEV_XDP_XMIT (1ull << 2)

/*
 * netdev_xdp_features - NETDEV_XDP_… bits of an interface of this namespace. 0, -EOPNOTSUPP on
 * kernels that have no such family, -ENODEV, or another -errno.
 */
int netdev_xdp_features(unsigned int ifindex, uint64_t *features);

/*
 * netdev_notices - a non-blocking socket that gets a message whenever an interface's abilities
 * change. The caller polls it, discards the messages, and closes it. Errors as above.
 */
int netdev_notices(int *out);

#endif
