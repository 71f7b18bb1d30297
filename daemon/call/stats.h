/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - the daemon's own counters (rtpproxy's G names), in one table.
 *
 * Packets that a dataplane forwards are folded in by sync before anybody reads.
 */
#ifndef RTPX_STATS_H
#define RTPX_STATS_H

#include "base/base.h"
#include "rtpx_verdict.h"

/* name, text. The order is that of the protocol page, "G"; the last two are ours. */
#define STATS_COUNTERS(X)                                                        \
	X(nsess_created, "sessions created")                                     \
	X(nsess_destroyed, "sessions ended")                                     \
	X(nsess_timeout, "sessions ended by time-out")                           \
	X(nsess_complete, "sessions of which both legs got ports")               \
	X(nsess_nortp, "complete sessions without RTP from anybody")             \
	X(nsess_owrtp, "complete sessions with RTP from one party only")         \
	X(nsess_nortcp, "complete sessions without RTCP from anybody")           \
	X(nsess_owrtcp, "complete sessions with RTCP from one party only")       \
	X(nplrs_created, "players started")                                      \
	X(nplrs_destroyed, "players ended")                                      \
	X(npkts_rcvd, "media packets received")                                  \
	X(npkts_played, "packets sent by players")                               \
	X(npkts_relayed, "packets relayed")                                      \
	X(npkts_resizer_in, "packets into re-packetization")                     \
	X(npkts_resizer_out, "packets out of re-packetization")                  \
	X(npkts_resizer_discard, "packets discarded by re-packetization")        \
	X(npkts_discard, "packets received and not relayed")                     \
	X(ncmds_rcvd, "commands received")                                       \
	X(ncmds_rcvd_ndups, "duplicate commands answered from the cache")        \
	X(ncmds_succd, "commands that succeeded")                                \
	X(ncmds_errs, "commands that failed")                                    \
	X(ncmds_repld, "commands replied to")                                    \
	X(rtpa_nsent, "RTP packets expected")                                    \
	X(rtpa_nrcvd, "RTP packets received, unique")                            \
	X(rtpa_ndups, "RTP duplicates")                                          \
	X(rtpa_nlost, "RTP packets lost")                                        \
	X(rtpa_perrs, "RTP packets not parsable")                                \
	X(npkts_recorded, "packets recorded or copied")                          \
	X(npkts_rec_lost, "packets that were to be, and were not")

struct stats {
#define STATS_FIELD(name, text) uint64_t name;
	STATS_COUNTERS(STATS_FIELD)
#undef STATS_FIELD
	double total_duration; /* s, sum of ended sessions' lifetimes */
	double pps_in;	       /* packets per second, refreshed by stats_tick() */
	double load;	       /* likewise: of the event loop, 0 to 1, over about LOAD_NS */
	uint64_t tick_rcvd;    /* npkts_rcvd at the last refresh */
	uint64_t tick_ns, tick_cpu_ns;
	/*
	 * Of sessions that live now: packets that a dataplane forwarded, and packets of wrong
	 * sources that it saw. The counters above have them.
	 */
	uint64_t live_relayed, live_strangers;
	bool shown; /* somebody has read the counters since the keeper last wrote them */
};

#define LOAD_NS (10 * NSEC_PER_SEC)

/*
 * stats_tick - refresh pps_in and load; call about once a second. @cpu_ns: for how long the event
 * loop has run on a CPU.
 */
void stats_tick(struct stats *s, uint64_t now_ns, uint64_t cpu_ns);

/*
 * stats_text - the value of the counter @name as the protocol prints it: an integer, or "%f" for
 * total_duration and pps_in. 0, -ENOENT for an unknown name, -ENOSPC.
 */
int stats_text(const struct stats *s, struct span name, char *buf, size_t size);

#define STATS_TEXT_MAX 4096

/*
 * stats_write - every counter that is not zero, a line "NAME VALUE" each, for the journal; not
 * pps_in, which is of this minute. Returns how many bytes that is.
 */
size_t stats_write(const struct stats *s, char out[STATS_TEXT_MAX]);

/* stats_read - what stats_write() has written; other counters, and other lines, change nothing. */
void stats_read(struct stats *s, struct span text);

/* stats_add_rtp - fold an ended RTP direction's analysis into the rtpa_ counters. */
void stats_add_rtp(struct stats *s, const struct rtpx_flow_stats *fs);

#endif
