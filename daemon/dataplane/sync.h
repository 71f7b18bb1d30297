/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.h - keeps the dataplane equal to the model: pushes wanted minus installed, reads counters
 * back.
 */
#ifndef RTPX_SYNC_H
#define RTPX_SYNC_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "call/session.h"
#include "call/stats.h"

struct event_base;
struct nexthops;
struct iptables;
struct pathmtu;
struct sync;

struct sync_opts {
	struct sessions *sessions;
	struct stats *stats;
	struct dp *dp;
	struct pathmtu *pathmtu; /* see struct nexthops_opts; NULL: none */
	struct iptables *iptables;
	enum learning learning;
	bool double_small; /* -2 */
	/* so many packets of a recorded session were forwarded without a copy; NULL: nobody asks */
	void (*unmirrored)(void *arg, struct session *s, uint64_t packets);
	void *arg;
};

/* sync_new - makes its own nexthops over @base; registers itself for their changes. */
int sync_new(struct sync **out, struct event_base *base, const struct sync_opts *opts);
void sync_free(struct sync *y);

/* sync_run - compile and push every dirty session; call before the loop sleeps. */
void sync_run(struct sync *y);

/*
 * sync_pull - bring the dataplane's statistics of this session into its streams (and into the G
 * counters). Cheap.
 */
void sync_pull(struct sync *y, struct session *s);
/* sync_pull_all - the same for all; before I and G answer. */
void sync_pull_all(struct sync *y);
/*
 * sync_push_stats - the daemon has counted a packet of an installed flow itself: hand the stream's
 * statistics back. False: the dataplane has counted others since sync_pull(), and keeps its own.
 */
bool sync_push_stats(struct sync *y, struct session *s, int leg, enum stream_kind kind);

/*
 * sync_leg_close - remove the flows that use the leg's ports, which is both directions; take their
 * last statistics and give their next hops back. Before its ports close; may be called again.
 */
void sync_leg_close(struct sync *y, struct session *s, int leg);

/*
 * sync_why - why packets of @kind that arrive at @leg are not forwarded by the dataplane now,
 * FLOW_WHY_KERNEL when they are. A flow stays installed while its next hop is not usable (the
 * dataplane then passes its packets), so ask here, not leg->why.
 */
enum flow_why sync_why(struct sync *y, const struct session *s, int leg, enum stream_kind kind);

/*
 * sync_adopt_begin - before anything else, when the dataplane has flows of an earlier daemon.
 * sync_adopt - take over those of this session, which has its ports again: they go on as they are,
 * or as they ought to be now, and their statistics become the session's. Returns a bit for each leg
 * whose RTP the dataplane has gone on to count. sync_adopt_end - remove flows that nobody has taken
 * over; returns how many.
 */
void sync_adopt_begin(struct sync *y);
unsigned int sync_adopt(struct sync *y, struct session *s);
unsigned int sync_adopt_end(struct sync *y);
/* sync_leave - whatever is installed stays, from now on nothing is written any more. */
void sync_leave(struct sync *y);

struct nexthops *sync_nexthops(struct sync *y); /* for admin */

#endif
