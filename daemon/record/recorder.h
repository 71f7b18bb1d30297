/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.h - which party's packets are recorded, and where: R, C, N, -r, -S, -P, -R and -a.
 *
 * A direction is recorded to files of the record directory or copied to a network receiver, one of
 * them at a time. Sets leg->recorded; the caller marks the session dirty.
 *
 * Everything here is called by the loop's thread, and nothing waits for a disk, a receiver or a
 * resolver longer than recwriter.h and copy.h say, and only recorder_start() and recorder_copy()
 * do.
 */
#ifndef RTPX_RECORDER_H
#define RTPX_RECORDER_H

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "record/format.h"
#include "call/session.h"
#include "call/snapshot.h"
#include "base/tally.h"

struct event_base;
struct recorder;

struct recorder_opts {
	const char *dir, *spool_dir; /* -r, -S; NULL: none */
	bool pcap, no_rtcp;	     /* -P, -R */
	bool no_resolve;
	struct ports *ports;	     /* of copies to the network */
	uint8_t tos;		     /* likewise */
	/*
	 * Called each few ms while a command waits for a disk or a name, so that no packet has to; begins
	 * and ends no recording.
	 */
	void (*meanwhile)(void *arg);
	void *arg;
};

int recorder_new(struct recorder **out, struct event_base *base, const struct recorder_opts *opts);
/* recorder_free - every session has ended; waits until files are complete, some seconds at most. */
void recorder_free(struct recorder *r);

/*
 * recorder_start - R: record what arrives at @leg under the session's name. @single: both
 * directions and RTCP in one file, which only pcap can do. Already recorded: 0, or -EALREADY with
 * @single. Else -errno, logged.
 */
int recorder_start(struct recorder *r, struct session *s, int leg, bool single);
/*
 * recorder_copy - C: the same under the name @target in the record directory, or to the network
 * with udp:HOST:PORT.
 */
int recorder_copy(struct recorder *r, struct session *s, int leg, struct span target, bool single,
		  uint64_t now_ns);
/* recorder_copy_local - the RTP face of a copy to the network; NULL: this leg has none. */
const struct addr *recorder_copy_local(const struct leg *leg);
/* recorder_stop - N: 0, or -ENOENT when nothing was recorded. */
int recorder_stop(struct recorder *r, struct session *s, int leg, uint64_t now_ns);
/* recorder_take - for the next daemon; spans live as long as the recording. */
void recorder_take(const struct leg *leg, struct snapshot_recording *out);
/*
 * recorder_resume - what an earlier daemon had begun goes on, in files of a new part: their names
 * say which, CALLID=TAG=2 and so on. 0 or -errno, logged.
 */
int recorder_resume(struct recorder *r, struct session *s, int leg,
		    const struct snapshot_recording *from, uint64_t now_ns);
/* recorder_end - the session ends: stop both and forget its counts. */
void recorder_end(struct recorder *r, struct session *s, uint64_t now_ns);

/*
 * recorder_packet - one that its stream has accepted arrived at @leg; recorded if leg->recorded has
 * the bit of @kind. Whoever took it from the network calls this: the relay for what came to a
 * socket, and who drains a dataplane's ring of copies for what was forwarded there, so one packet
 * comes here once. The bytes are copied; costs no system call.
 */
void recorder_packet(struct recorder *r, struct session *s, int leg, enum stream_kind kind,
		     const struct recformat_packet *p);
/* recorder_lost - so many packets of the session never came here. */
void recorder_lost(struct recorder *r, struct session *s, uint64_t packets);
/* recorder_flush - after a batch of packets: copies to the network leave. */
void recorder_flush(struct recorder *r);
void recorder_tick(struct recorder *r); /* about once a second: tells the log of losses */

/*
 * recorder_describe - "call=tag.o.rtp" or "udp:192.0.2.1:5000"; empty: not recorded. Returns @buf.
 */
const char *recorder_describe(const struct leg *leg, char *buf, size_t size);
struct tally_counts recorder_counts(const struct recorder *r); /* of all sessions, ended ones too */
/* recorder_count_on - the previous daemon's packets, recorded and lost, belong to the counts. */
void recorder_count_on(struct recorder *r, uint64_t packets, uint64_t lost);
unsigned int recorder_files(const struct recorder *r);

#endif
