/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netdev.h - what the kernel says about an interface's XDP abilities (generic netlink family
 * "netdev", Linux 6.3), and notices when they change. Knows nothing of programs or maps.
 *
 * These abilities change without a route netlink notice: a veth can be redirected to only while its
 * far end runs NAPI, and the far end may be in another namespace.
 */
#ifndef RTPX_NETDEV_H
#define RTPX_NETDEV_H

#include "base/base.h"

struct nl_sock;

/* From Linux' netdev family, whose header Debian 12 lacks: the driver implements ndo_xdp_xmit, and
 * it works now. */
#define NETDEV_XDP_XMIT (1ull << 2)

/*
 * netdev_xdp_features - NETDEV_XDP_… bits of an interface of this namespace. 0, -EOPNOTSUPP on
 * kernels that have no such family, -ENODEV, or another -errno.
 */
int netdev_xdp_features(unsigned int ifindex, uint64_t *features);

/*
 * netdev_notices - a non-blocking socket on which a message arrives whenever an interface's
 * abilities change. The caller polls its descriptor, discards what it reads, and ends it with
 * nl_socket_free(). Errors as above.
 */
int netdev_notices(struct nl_sock **out);

#endif
