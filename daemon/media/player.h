/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * player.h - which prompt plays to which leg (rtpproxy protocol, "Playback"), each at its own pace.
 *
 * A prompt is heard by the leg's peer instead of what the other leg's peer sends: as long as
 * leg->player is set, also while the prompt waits, whoever relays drops that. RTCP, and RTP in the
 * other direction, are not touched.
 */
#ifndef RTPX_PLAYER_H
#define RTPX_PLAYER_H

#include "base/base.h"
#include "media/clips.h"
#include "media/pacer.h"
#include "call/session.h"
#include "call/snapshot.h"
#include "call/stats.h"

struct players;

struct players_opts {
	/* what is played keeps a call alive; begin and end make it dirty */
	struct sessions *sessions;
	struct stats *stats;
	struct pacer *pacer;
	const char *prompt_dir; /* as clips_new() */
	/* of packets, when the call asks for no other; 1 to PROMPT_MAX_MS */
	unsigned int ptime_ms;
	/*
	 * send - queue an RTP packet from the port of @leg to its peer, both of which are there; 0
	 * or -errno. The pacer's batch_end flushes.
	 */
	int (*send)(void *arg, struct session *s, int leg, const uint8_t *packet, size_t len);
	void *arg;
};

int players_new(struct players **out, struct event_base *base, const struct players_opts *opts);
void players_free(struct players *all); /* all calls have ended */
unsigned int players_count(const struct players *all);
struct clips_counts players_clips(const struct players *all);

/*
 * player_start - P: play what clips_take() finds to the peer of @leg @count times, negative: until
 * it is stopped, 0: only end what plays. What plays to this leg ends first, whatever becomes of the
 * new one. @codecs: payload types with one character of any kind between them; the first with a
 * file wins. @ptime_ms: packet length, rounded up to the codec's frame; 0: the usual one. 0,
 * -ENOENT: no file, or no number where one must be; -ENOMEM, -EIO. A file without one whole packet
 * in it, or of a codec whose frames are not known, ends at once: nothing is heard. As long as the
 * file is being loaded, the leg has no port or its peer no address, the prompt waits at its
 * beginning.
 */
int player_start(struct players *all, struct session *s, int leg, struct span name,
		 struct span codecs, int count, unsigned int ptime_ms, uint64_t now_ns);

/* player_take - for the next daemon; the span lives as long as it plays. */
void player_take(const struct leg *leg, struct snapshot_playing *out);
/*
 * player_resume - what an earlier daemon had begun goes on where it would be by now, as a new
 * stream. 0, also when its time is over, or -errno as player_start().
 */
int player_resume(struct players *all, struct session *s, int leg,
		  const struct snapshot_playing *from, uint64_t now_ns);

/* player_stop - S, and before a session is destroyed: nothing to do when nothing plays. */
void player_stop(struct session *s, int leg);

/*
 * player_describe - "ringback.0, 2 rounds to go" or "ringback.0, until it is stopped"; empty:
 * nothing plays to the peer of @leg. Returns @buf.
 */
const char *player_describe(const struct leg *leg, char *buf, size_t size);

#endif
