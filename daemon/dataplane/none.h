/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * none.h - the dataplane `none`: it refuses every flow, and the sockets carry the calls.
 */
#ifndef RTPX_NONE_H
#define RTPX_NONE_H

#include "dataplane/dp.h"

/* dp_none_open - @why becomes (*out)->choice. 0 or -ENOMEM. */
int dp_none_open(struct dp **out, const char *why);

#endif
