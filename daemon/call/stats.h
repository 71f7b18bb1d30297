/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.h - the daemon's own counters (rtpproxy's G names), in one table.
 *
 * sync adds the packets that a dataplane forwarded before the counters are read.
 */
#ifndef RTPX_STATS_H
#define RTPX_STATS_H

#include "base/base.h"
#include "rtpx_verdict.h"

/* name, text, in the order of the protocol page, "G"; those from npkts_recorded on are ours. */
#define STATS_COUNTERS(X)                                                        \
	X(nsess_created, "sessions created")                                     \
	X(nsess_destroyed, "sessions ended")                                     \
	X(nsess_timeout, "sessions ended by time-out")                           \
	X(nsess_complete, "sessions of which both legs got ports")               \
	X(nsess_nortp, "complete sessions without RTP from either party")        \
	X(nsess_owrtp, "complete sessions with RTP from one party only")         \
	X(nsess_nortcp, "complete sessions without RTCP from either party")      \
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
	X(npkts_rec_lost, "packets lost before they were recorded or copied")     \
	X(nrec_complete, "recordings complete and described")                    \
	X(nrec_lost, "descriptions of recordings that the disk refused")         \
	X(nrec_made, "sound files made of recordings")                           \
	X(nrec_told, "recordings handed to the hook or the URL")                 \
	X(nrec_failed, "sound files, hooks and URLs of recordings given up")     \
	X(nrec_removed, "recordings removed by age or quota")                    \
	X(nsess_limited, "new sessions refused by --max-sessions and --max-cps") \
	X(nsess_drained, "new sessions refused while draining")                  \
	X(ndtmf_told, "digits of parties reported to a controller")              \
	X(ndtmf_left_out, "digits not reported: a party has sent too many")

struct stats {
#define STATS_FIELD(name, text) uint64_t name;
	STATS_COUNTERS(STATS_FIELD)
#undef STATS_FIELD
	double total_duration; /* s, sum of ended sessions' lifetimes */
	double pps_in;	       /* packets per second, refreshed by stats_tick() */
	double load;	       /* event loop's load, 0 to 1, over about LOAD_NS; likewise */
	uint64_t tick_rcvd;    /* npkts_rcvd at the latest refresh */
	uint64_t tick_ns, tick_cpu_ns;
	/*
	 * In living sessions: packets that a dataplane forwarded, and packets of wrong sources that
	 * it saw. The counters above include them.
	 */
	uint64_t live_relayed, live_strangers;
	bool shown; /* the counters were read since the keeper last wrote them */
};

#define LOAD_NS (10 * NSEC_PER_SEC)

/*
 * stats_tick - refresh pps_in and load; call about once a second. @cpu_ns: CPU time that the event
 * loop has used so far.
 */
void stats_tick(struct stats *s, uint64_t now_ns, uint64_t cpu_ns);

/*
 * stats_text - the value of the counter @name as the protocol prints it: an integer, or "%f" for
 * total_duration and pps_in. 0, -ENOENT for an unknown name, -ENOSPC.
 */
int stats_text(const struct stats *s, struct span name, char *buf, size_t size);

#define STATS_TEXT_MAX 4096

/*
 * stats_write - write each counter that is not zero as a line "NAME VALUE", for the journal. pps_in
 * is momentary and left out. Returns the number of bytes.
 */
size_t stats_write(const struct stats *s, char out[STATS_TEXT_MAX]);

/* stats_read - set the counters from a text of stats_write(). Other lines change nothing. */
void stats_read(struct stats *s, struct span text);

/* stats_add_rtp - add the analysis of an ended RTP direction to the rtpa_ counters. */
void stats_add_rtp(struct stats *s, const struct rtpx_flow_stats *fs);

#endif
