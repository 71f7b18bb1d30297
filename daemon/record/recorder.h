/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recorder.h - which party's packets are recorded, and where: R, C, N, -r, -S, -P, -R and -a.
 *
 * A direction is either recorded to files in the record directory or copied to a network receiver.
 * Functions here set leg->recorded; the caller marks the session dirty.
 *
 * All functions run in the loop's thread. While calls run, only recorder_start(), recorder_copy()
 * and recorder_resume() wait for a disk or a resolver, and no longer than writer.h and copies.h
 * say.
 */
#ifndef RTPX_RECORDER_H
#define RTPX_RECORDER_H

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "record/keys.h"
#include "record/format.h"
#include "record/finisher.h"
#include "call/direction.h"
#include "call/stats.h"
#include "call/snapshot.h"
#include "base/tally.h"

struct event_base;
struct recorder;
struct switchboard;

struct recorder_opts {
	const char *dir, *spool_dir; /* -r, -S; NULL: none */
	bool pcap, no_rtcp;	     /* -P, -R */
	bool replace;		     /* --record-replace */
	bool as_rtpproxy;	     /* pcap files do not name the party, byte for byte as there */
	const char *name;	     /* --record-name; NULL: NAMING_DEFAULT */
	/* What is done with complete recordings; without directories. @instance NULL: nothing. */
	struct finisher_opts finish;
	enum keys keys;	     /* --record-dtmf */
	uint32_t dtmf_types; /* --dtmf-type: a bit for each payload type from 96 up */
	bool no_resolve;
	struct ports *ports;		 /* for copies to the network */
	struct switchboard *switchboard; /* likewise; NULL: a socket for each port */
	uint8_t tos;			 /* likewise */
	/*
	 * Called every few ms while a command waits for a disk or a name, so packets need not wait.
	 * Must not begin or end a recording.
	 */
	void (*meanwhile)(void *arg);
	void *arg;
};

int recorder_new(struct recorder **out, struct event_base *base, const struct recorder_opts *opts);
/*
 * recorder_free - called after every session has ended. Waits until the files are complete, at most
 * WRITER_EXIT_MS.
 */
void recorder_free(struct recorder *r);

/*
 * recorder_start - R: record packets that arrive at @leg, in files named after the session. If the
 * session, or an earlier one of that name, was recorded before, these are files of a next part.
 * @single puts both directions and RTCP in one file; only pcap can do that, other formats ignore
 * it. A leg that is recorded already stays as it is and gives 0, or -EALREADY for a single file.
 * Other errors are -errno, logged.
 */
int recorder_start(struct recorder *r, struct leg *leg, bool single);
/*
 * recorder_copy - C: like recorder_start(), to files named @target in the record directory, or to
 * the network if @target is udp:HOST:PORT.
 */
int recorder_copy(struct recorder *r, struct leg *leg, struct span target, bool single,
		  uint64_t now_ns);
/* recorder_copy_local - local RTP address of the leg's copy to the network; NULL: no such copy. */
const struct addr *recorder_copy_local(const struct leg *leg);
/* recorder_stop - N: end the leg's recording or copy. 0, or -ENOENT if there is none. */
int recorder_stop(struct recorder *r, struct leg *leg, uint64_t now_ns);
/* recorder_take - state for the next daemon; spans live as long as the recording. */
void recorder_take(const struct leg *leg, struct snapshot_recording *out);
/*
 * recorder_resume - continue the recording @from of the previous daemon, in files of a new part.
 * Their names hold the part's number: CALLID=TAG=2 and so on. 0 or -errno, logged.
 */
int recorder_resume(struct recorder *r, struct leg *leg, const struct snapshot_recording *from,
		    uint64_t now_ns);
/* recorder_end - the session ends: stop both legs and drop the session's counts. */
void recorder_end(struct recorder *r, struct session *s, uint64_t now_ns);
/*
 * recorder_leave - called before recorder_end() of sessions that go on in the next daemon: their
 * recordings are not complete.
 */
void recorder_leave(struct recorder *r);
/* recorder_restored - called once, after recorder_resume() of all sessions. */
void recorder_restored(struct recorder *r);

/*
 * recorder_packet - record a packet that its stream has accepted, if its leg and kind are
 * recorded (leg->recorded). Called once per packet: by relay for socket packets, by
 * mirror for forwarded ones. @arrival_ns is on the monotonic clock; @p's time is ignored. Copies
 * the bytes; makes no system call.
 */
void recorder_packet(struct recorder *r, struct direction d, uint64_t arrival_ns,
		     const struct format_packet *p);
/* recorder_lost - count @packets of the session as lost before they reached the recorder. */
void recorder_lost(struct recorder *r, struct session *s, uint64_t packets);
/* recorder_flush - called after a batch of packets: queued ones go to the network and the disk. */
void recorder_flush(struct recorder *r);
void recorder_tick(struct recorder *r); /* about once a second: log new losses */

/*
 * recorder_describe - write "call=tag.o.rtp" or "udp:192.0.2.1:5000" to @buf, or the empty string
 * if the leg is not recorded. Returns @buf.
 */
const char *recorder_describe(const struct leg *leg, char *buf, size_t size);
struct tally_counts recorder_counts(const struct recorder *r); /* all sessions, with ended ones */
/* recorder_count - set the recorder's counters in @stats. */
void recorder_count(const struct recorder *r, struct stats *stats);
/* recorder_count_on - add the previous daemon's counts. */
void recorder_count_on(struct recorder *r, const struct stats *before);
/* recorder_finished - the counts of descriptions and of what is done with recordings. */
struct finisher_counts recorder_finished(const struct recorder *r);
unsigned int recorder_files(const struct recorder *r);

#endif
