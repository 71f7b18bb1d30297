/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - copies of packets that the dataplane has forwarded: from its ring to the recorder, as
 * if a socket had received them. They are neither sent on nor judged again.
 *
 * All functions take NULL: a dataplane without copies.
 */
#ifndef RTPX_MIRROR_H
#define RTPX_MIRROR_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "record/recorder.h"
#include "call/session.h"

struct event_base;
struct mirror;

struct mirror_opts {
	struct dp *dp;
	struct recorder *recorder;
	uint16_t port_min, port_max; /* media ports, RTCP included */
};

/* mirror_new - *@out stays NULL when the dataplane makes no copies. 0, -ENOMEM. */
int mirror_new(struct mirror **out, struct event_base *base, const struct mirror_opts *opts);
void mirror_free(struct mirror *m);

/*
 * mirror_leg_open, mirror_leg_close - the ports of leg->local are this session's; from the end on
 * they are not, after what has been copied of them is recorded. Flows of the leg are removed before.
 */
void mirror_leg_open(struct mirror *m, struct session *s, int leg);
void mirror_leg_close(struct mirror *m, struct session *s, int leg);

/* mirror_drain - record now what has been copied: before a recording ends, and to keep the order. */
void mirror_drain(struct mirror *m);

#endif
