/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.h - hands the dataplane's copies of forwarded packets to the recorder and the taps, as if
 * a socket had received them. The copies are not forwarded, and not checked again.
 *
 * A NULL mirror stands for a dataplane without copies; every function accepts it.
 */
#ifndef RTPX_MIRROR_H
#define RTPX_MIRROR_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "record/recorder.h"
#include "record/taps.h"
#include "call/session.h"

struct event_base;
struct mirror;

struct mirror_opts {
	struct dp *dp;
	struct recorder *recorder;
	struct taps *taps;
	const struct sessions *sessions;
};

/* mirror_new - *@out stays NULL when the dataplane makes no copies. 0, -ENOMEM. */
int mirror_new(struct mirror **out, struct event_base *base, const struct mirror_opts *opts);
void mirror_free(struct mirror *m);

/*
 * mirror_leg_close - record the pending copies of a recorded session. The caller has removed the
 * flows of the leg, and takes its ports away afterwards.
 */
void mirror_leg_close(struct mirror *m, const struct leg *leg);

/*
 * mirror_drain - record all pending copies now. Called before a recording ends, and to keep packets
 * in order.
 */
void mirror_drain(struct mirror *m);

#endif
