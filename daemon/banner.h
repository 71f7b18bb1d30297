/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * banner.h - prints the state of a daemon that has started, for the operator at a terminal.
 */
#ifndef RTPX_BANNER_H
#define RTPX_BANNER_H

#include "config.h"
#include "control/listen.h"
#include "dataplane/dp.h"

/*
 * banner - print version, sockets, addresses, dataplane and learning. @admin: rtpxctl can connect.
 */
void banner(const struct config *c, const struct listen *listen, struct dp *dp, bool admin);

#endif
