/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.h - the XDP dataplane.
 */
#ifndef RTPX_XDP_H
#define RTPX_XDP_H

#include "dataplane/dp.h"

/* dp_xdp_open - as struct dataplane.open. -EBUSY, -EPROTO, -ENODEV: see choice.h. */
int dp_xdp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);
/*
 * dp_xdp_abandon - call if XDP is not used this time. Removes the flows of the previous daemon of
 * this instance; XDP would forward them without the knowledge of this daemon. Does nothing if
 * another daemon has the pins.
 */
void dp_xdp_abandon(const struct dp_opts *opts);

#endif
