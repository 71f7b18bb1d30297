/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - a session as bytes, for the next daemon, and back. Pure.
 *
 * Left out are facts that the kernel knows better (neighbours, newer counts) and facts that a few
 * packets bring back (sources that are about to prove themselves).
 */
#ifndef RTPX_SNAPSHOT_H
#define RTPX_SNAPSHOT_H

#include "base/base.h"
#include "call/feed.h"
#include "call/session.h"

#define SNAPSHOT_MAX 65536   /* bytes; call-id, tags and codecs come in datagrams of 8 KiB */
#define SNAPSHOT_MAX_FEEDS 8 /* of one session; more are not kept */

/* A feed into the session; @source is the number of the other session, 0: no feed. */
struct snapshot_feed {
	uint32_t source;
	bool crossed;
};

/* The recording of a leg's packets. */
struct snapshot_recording {
	bool on, single;
	uint16_t part;	    /* of the files, from 1 */
	struct span target; /* target of C; empty: recorded by R */
};

/* The prompt that plays to a leg's peer. */
struct snapshot_playing {
	struct span name;
	uint8_t payload_type;
	uint32_t rounds; /* (uint32_t)-1: for ever; 0: nothing plays */
	uint16_t ptime_ms;
	uint64_t begun_ns; /* when its first packet was due; 0: not yet */
};

/* Detection of the digits of a leg's peer. */
struct snapshot_dtmf {
	bool on, hide;
	uint8_t payload_type;
	struct span tag, target; /* the target's name */
};

/* The state of a stream that is no plain member of struct stream. */
struct snapshot_stream {
	struct stream_rest rest; /* its pointer is not valid */
	struct rtpx_flow_stats stats;
};

/* The state of a leg that is no plain member of struct leg. */
struct snapshot_leg {
	struct snapshot_stream stream[STREAM_KINDS];
	/* in bytes: the RTCP stream is left out, because it is the RTP stream at the next ports */
	bool rtcp_follows;
	struct span advertised, codecs;
	struct snapshot_recording recording;
	struct snapshot_playing playing;
	struct snapshot_dtmf dtmf;
	struct leg_numbers numbers;
};

/* Text spans point into a session's strings, or into the bytes that were read. */
struct snapshot {
	struct session is; /* only the members in the tables of snapshot.c; no pointer is valid */
	struct span call_id, from_tag, to_tag, notify, notify_tag;
	struct snapshot_leg leg[2];
	struct snapshot_feed feed[SNAPSHOT_MAX_FEEDS];
};

/*
 * snapshot_take - copy the state of @s itself. The caller adds the state of other modules: the
 * targets of notifications and digits, recordings and prompts. It is for snapshot_write() only.
 */
void snapshot_take(struct snapshot *out, const struct session *s);

/* snapshot_write - write at most @size bytes to @out. Returns their number, or -E2BIG. */
int snapshot_write(const struct snapshot *snap, uint8_t *out, size_t size);

/* snapshot_read - 0, or -EBADMSG: this describes no session. Spans point into @bytes. */
int snapshot_read(struct snapshot *out, struct span bytes);

/*
 * snapshot_shift - add @shift_ns to all times: the session comes from a machine whose clock
 * differs. A time of 0 (never) stays.
 */
void snapshot_shift(struct snapshot *snap, int64_t shift_ns);

/*
 * snapshot_apply - copy to a new session all state that needs no socket, no listener and no other
 * session; the legs have no ports yet. Times are not adjusted. 0 or -ENOMEM. The caller goes on
 * with session_restored().
 */
int snapshot_apply(const struct snapshot *snap, struct session *s);

#endif
