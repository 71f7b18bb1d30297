/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.h - the checks of the programs that the daemon sends to, by rtpxctl doctor: targets of
 * notifications, and the HEP collector.
 */
#ifndef RTPX_TARGETS_H
#define RTPX_TARGETS_H

#include "findings.h"

#define TARGETS_WAIT_MS 2000 /* for one target */

/*
 * targets_check - connect to each target of the daemon's @status, and say nothing to it. A name
 * that no server answers takes as long as the resolver's own limits.
 */
void targets_check(struct findings *f, struct json_object *status);

#endif
