/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.h - keeps the dataplane equal to the model: writes the difference between wanted and
 * installed flows, and reads counters back.
 */
#ifndef RTPX_SYNC_H
#define RTPX_SYNC_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "call/direction.h"
#include "call/stats.h"
#include "dataplane/usage.h"

struct event_base;
struct nexthops;
struct iptables;
struct pathmtu;
struct ports;
struct sync;

struct sync_opts {
	struct sessions *sessions;
	struct stats *stats;
	struct dp *dp;
	const struct ports *ports; /* its pools name the flows; NULL: those of the families */
	struct pathmtu *pathmtu;   /* see struct nexthops_opts; NULL: none */
	struct iptables *iptables;
	enum learning learning;
	bool double_small; /* -2 */
	bool judge;	   /* next hops are judged by the host's rules even without a dataplane */
	/* @packets were forwarded without their copies; NULL: not reported */
	void (*unmirrored)(void *arg, struct direction d, uint64_t packets);
	void *arg;
};

/* sync_new - makes its own nexthops over @base and registers for their changes. */
int sync_new(struct sync **out, struct event_base *base, const struct sync_opts *opts);
void sync_free(struct sync *y);

/* sync_run - compile and install dirty sessions; call before the loop sleeps. */
void sync_run(struct sync *y);

/*
 * sync_pull - copy the dataplane's statistics of this session into its streams and add them to the
 * G counters. Cheap.
 */
void sync_pull(struct sync *y, struct session *s);
/* sync_pull_all - sync_pull for all sessions. Takes milliseconds with thousands of sessions. */
void sync_pull_all(struct sync *y);
/*
 * sync_sweeps - this dataplane gives the statistics of all flows by one question.
 * sync_sweep - ask it, and do sync_pull() with the answers, until @until_ns of clock_now(). 1: call
 * again to go on; 0: the round is over, and all sessions were pulled; or -errno.
 */
bool sync_sweeps(const struct sync *y);
int sync_sweep(struct sync *y, uint64_t until_ns);
/*
 * sync_count - bring the G counters up to date, without the sessions: call before I and G are
 * answered. Takes a tenth of the time of sync_pull_all(), so the loop may do it at any time.
 */
void sync_count(struct sync *y);
/*
 * sync_push_stats - write the stream's statistics to the dataplane. Call after the daemon counted a
 * packet of an installed flow; the statistics were *@before then. False: the dataplane has counted
 * packets since sync_pull() and keeps its own statistics.
 */
bool sync_push_stats(struct sync *y, struct direction d, const struct rtpx_flow_stats *before);

/*
 * sync_close - remove the flows of both directions: a leg is about to close its ports, and both use
 * them. Takes their final statistics and gives their next hops back. May be called again.
 */
void sync_close(struct sync *y, struct session *s);

/*
 * sync_why - the reason why the dataplane does not forward packets of the direction.
 * FLOW_WHY_KERNEL: it forwards them. A flow stays installed while its next hop is not usable, and
 * the dataplane then passes its packets to the stack. leg->why does not show that, so call this.
 * FLOW_WHY_BY_SOCKETS: packets arrive where the dataplane does not see them, or it passes them all.
 * Call sync_pull() first.
 */
enum flow_why sync_why(struct sync *y, struct direction d);

/*
 * sync_adopt_begin - find the flows that a previous daemon left. Call before any other function.
 * sync_adopt - take over the flows of this session, whose ports are open again. The flows stay as
 * they are or are corrected, and their statistics become the session's. Returns a bit for each leg
 * whose RTP flow the dataplane still has.
 * sync_adopt_end - remove flows that no session has taken over; returns their number.
 * Packets that are counted in between are added to live_relayed and live_strangers of the counters,
 * and to no other: some of them were counted by the previous daemon.
 */
void sync_adopt_begin(struct sync *y);
unsigned int sync_adopt(struct sync *y, struct session *s);
unsigned int sync_adopt_end(struct sync *y);
/* sync_leave - keep everything that is installed, and write nothing to the dataplane any more. */
void sync_leave(struct sync *y);

/*
 * sync_relayed - the sockets have sent a packet of @bytes UDP payload.
 * sync_usage - forwarded packets by interface and path. Those of a dataplane are counted when its
 * statistics are read, see sync_pull().
 */
void sync_relayed(struct sync *y, struct direction d, size_t bytes);
const struct usage *sync_usage(const struct sync *y);

struct nexthops *sync_nexthops(struct sync *y); /* for admin */

#endif
