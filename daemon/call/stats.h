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

/*
 * member, metric without "rtpx_" (NULL: metrics.c shows it with labels), text. In the order of the
 * protocol page, "G"; those from npkts_recorded on are ours.
 */
#define STATS_COUNTERS(X)                                                                          \
	X(nsess_created, "sessions_created_total", "Sessions created.")                            \
	X(nsess_destroyed, NULL, "Sessions ended.")                                                \
	X(nsess_timeout, "sessions_timed_out_total", "Sessions that ended because media stopped.") \
	X(nsess_complete, "sessions_completed_total", "Sessions of which both legs got ports.")    \
	X(nsess_nortp, NULL, "Complete sessions without RTP from either party.")                   \
	X(nsess_owrtp, NULL, "Complete sessions with RTP from one party only.")                    \
	X(nsess_nortcp, NULL, "Complete sessions without RTCP from either party.")                 \
	X(nsess_owrtcp, NULL, "Complete sessions with RTCP from one party only.")                  \
	X(nplrs_created, "players_started_total", "Players of prompts that started.")              \
	X(nplrs_destroyed, "players_ended_total", "Players of prompts that ended.")                \
	X(npkts_rcvd, "packets_received_total", "Media packets received on all paths.")            \
	X(npkts_played, "packets_played_total", "Packets sent by players.")                        \
	X(npkts_relayed, "packets_relayed_total", "Media packets relayed on all paths.")           \
	X(npkts_resizer_in, "resizer_packets_in_total", "Packets into re-packetization.")          \
	X(npkts_resizer_out, "resizer_packets_out_total", "Packets out of re-packetization.")      \
	X(npkts_resizer_discard, "resizer_packets_discarded_total",                                \
	  "Packets discarded by re-packetization.")                                                \
	X(npkts_discard, "packets_discarded_total", "Media packets received and not relayed.")     \
	X(ncmds_rcvd, NULL, "Commands received.")                                                  \
	X(ncmds_rcvd_ndups, "commands_duplicate_total",                                            \
	  "Datagrams that repeated a command and were answered from the cache.")                   \
	X(ncmds_succd, NULL, "Commands that succeeded.")                                           \
	X(ncmds_errs, "commands_failed_total", "Commands that failed.")                            \
	X(ncmds_repld, NULL, "Commands replied to.")                                               \
	X(rtpa_nsent, "ended_rtp_packets_expected_total",                                          \
	  "RTP packets that parties of ended sessions sent, by sequence numbers.")                 \
	X(rtpa_nrcvd, "ended_rtp_packets_received_total",                                          \
	  "RTP packets of ended sessions that arrived, without duplicates.")                       \
	X(rtpa_ndups, "ended_rtp_packets_duplicate_total", "RTP duplicates of ended sessions.")    \
	X(rtpa_nlost, "ended_rtp_packets_lost_total",                                              \
	  "RTP packets of ended sessions that were lost.")                                         \
	X(rtpa_perrs, "ended_rtp_packets_unreadable_total",                                        \
	  "Packets of ended sessions on RTP ports that are not RTP.")                              \
	X(npkts_recorded, "recorded_packets_total", "Packets recorded, or copied to a receiver.")  \
	X(npkts_rec_lost, "recorded_packets_lost_total",                                           \
	  "Packets of recorded sessions that reached neither file nor receiver.")                  \
	X(nrec_complete, "recordings_complete_total", "Recordings complete and described.")        \
	X(nrec_lost, "recording_descriptions_lost_total",                                          \
	  "Descriptions of recordings that the disk refused.")                                     \
	X(nrec_made, "recording_sounds_total", "Sound files made of recordings.")                  \
	X(nrec_told, "recordings_handed_on_total", "Recordings handed to the hook or the URL.")    \
	X(nrec_failed, "recordings_failed_total",                                                  \
	  "Sound files, hooks and URLs of recordings given up.")                                   \
	X(nrec_removed, "recordings_removed_total", "Recordings removed by age or quota.")         \
	X(nsess_limited, "sessions_limited_total",                                                 \
	  "New sessions refused by --max-sessions and --max-cps.")                                 \
	X(nsess_drained, "sessions_drained_total", "New sessions refused while draining.")         \
	X(ndtmf_told, "digits_reported_total", "Digits of parties reported to a controller.")      \
	X(ndtmf_left_out, "digits_left_out_total",                                                 \
	  "Digits not reported, because a party had sent too many.")                               \
	X(npkts_prompt_late, "prompt_packets_late_total",                                          \
	  "Packets of pauses of prompts, because encoding fell behind.")

struct stats {
#define STATS_FIELD(name, metric, text) uint64_t name;
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
