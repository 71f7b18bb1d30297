/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restore.h - sessions from their snapshots: ports, times, notifications, recordings, prompts and
 * feeds. The caller restores the ports of all sessions before recordings and feeds: a copy takes
 * any free port, and a feed needs its source sessions.
 */
#ifndef RTPX_RESTORE_H
#define RTPX_RESTORE_H

#include "base/base.h"
#include "call/snapshot.h"
#include "engine/engine.h"

struct kept;

struct restorer {
	struct kept *kept; /* of kept_begin() */
	/* the modules that a session touches */
	struct engine *engine;
	struct sessions *sessions;
	struct ports *ports;
	struct stats *stats;
	struct sync *sync;
	struct recorder *recorder;
	struct players *players;
	struct notify *notify;
	uint64_t now_ns;
	uint64_t patience_ns; /* until then, wait for a port in use */
	uint64_t away_ns;     /* age of the latest record: every deadline gets that much later */
	bool exact;	      /* the previous daemon left its deadlines as they were at its end */
	/* packets of dataplanes in the records of restored sessions */
	uint64_t recorded_relayed, recorded_strangers;
	/*
	 * the previous daemon runs on another machine: a missing address is no news, and the
	 * sessions sleep until restore_wake()
	 */
	bool elsewhere;
};

/*
 * restore_session - a new session with the snapshot's ports. 0 with *@out, or -errno after a line
 * in the log.
 */
int restore_session(struct restorer *r, const struct snapshot *snap, struct session **out);
/*
 * restore_update - bring a restored session up to date. 0; -ESTALE: a port, a TOS or a packet
 * length has changed, so the caller drops the session and restores it anew; or -errno.
 */
int restore_update(struct restorer *r, const struct snapshot *snap, struct session *s);
/* restore_drop - forget a sleeping session. */
void restore_drop(struct restorer *r, struct session *s);
/* restore_wake - this daemon serves a sleeping session from now on. 0 or -ENOMEM. */
int restore_wake(struct restorer *r, struct session *s);
/* restore_media - resume recordings and prompts. The call goes on when one of them cannot. */
void restore_media(struct restorer *r, struct session *s, const struct snapshot *snap);
/*
 * restore_silence - a killed daemon did not write the time of the latest packet that its sockets
 * relayed. Assume that one came just now, and restart the TTL. A leg with its bit in @counted needs
 * no assumption: the kernel relays it and counts its packets. Packets that were forwarded, but that
 * nothing here has counted, are not counted as lost.
 */
void restore_silence(struct restorer *r, struct session *s, unsigned int counted);
/* restore_feeds - connect a fed session to its sources. */
void restore_feeds(struct restorer *r, const struct snapshot *snap);

#endif
