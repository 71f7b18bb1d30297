/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * player.h - plays prompts to legs (rtpproxy protocol, "Playback"), each at its own pace.
 *
 * The leg's peer hears the prompt instead of the other party. As long as leg_rest()->player is set,
 * also while the prompt waits, the relay drops RTP from the other party. RTCP, and RTP in the other
 * direction, pass as usual.
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
	/* each played packet restarts a TTL; begin and end of playing mark the session dirty */
	struct sessions *sessions;
	struct stats *stats;
	struct pacer *pacer;
	const char *prompt_dir; /* as clips_new() */
	const char *cache_dir;	/* of encoded prompts, as promptcache_new() */
	uint64_t cache_bytes;
	/* packet length if P gives none; 1 to PROMPT_MAX_MS */
	unsigned int ptime_ms;
	const struct audio_codec_map *codecs; /* of dynamic payload types; kept by the caller */
	/*
	 * send - queue an RTP packet from the port of @leg to its peer; called only if both are
	 * known. 0 or -errno. The pacer's batch_end flushes.
	 */
	int (*send)(void *arg, struct leg *leg, const uint8_t *packet, size_t len);
	void *arg;
	/*
	 * ended - a prompt has played all its rounds to the peer of @leg, or could not be played.
	 * @name is the name of P, and valid during the call. @ms: duration of a round; 0: it could
	 * not be played. Must not start or stop a prompt. NULL: no receiver.
	 */
	void (*ended)(void *arg, struct leg *leg, const char *name, uint64_t ms);
	void *ended_arg;
};

/* players_new - 0 or -errno; the log says why the cache of encoded prompts cannot be used. */
int players_new(struct players **out, struct event_base *base, const struct players_opts *opts);
void players_free(struct players *all); /* after all calls have ended */
unsigned int players_count(const struct players *all);
struct clips_counts players_clips(const struct players *all);

/*
 * player_start - P: play the clip of @name to the peer of @leg, @count times; negative: until it is
 * stopped. First ends the prompt that plays to this leg, even if the new one fails; @count 0 does
 * only that. @codecs is a list of payload types with one character of any kind between them; the
 * first with a file is used. @ptime_ms is the packet length, rounded up to the codec's frame; 0:
 * the default of players_opts. Returns 0, -ENOENT without a file or with a malformed @codecs,
 * -ENOMEM, or -EIO. A file without one whole packet, or with a codec of unknown frames, ends at
 * once and in silence. While the first second of the file is loading, the leg has no port or its
 * peer no address, the prompt waits at its beginning. If a later second is not loaded in time, the
 * prompt pauses.
 */
int player_start(struct players *all, struct leg *leg, struct span name, struct span codecs,
		 int count, unsigned int ptime_ms, uint64_t now_ns);

/* player_take - state for the next daemon; the span lives as long as the prompt plays. */
void player_take(const struct leg *leg, struct snapshot_playing *out);
/*
 * player_resume - continue a prompt of the previous daemon, as a new stream, at the position that
 * it would have reached by now. Returns 0, also if the prompt would have ended, or -errno like
 * player_start().
 */
int player_resume(struct players *all, struct leg *leg, const struct snapshot_playing *from,
		  uint64_t now_ns);

/* player_stop - S, and before a session is destroyed. Does nothing if no prompt plays. */
void player_stop(struct leg *leg);

/* Durations of the prompt that plays to the peer of a leg, in ms. */
struct player_time {
	uint64_t round_ms; /* of a round; 0: no prompt plays, or its file is not yet whole */
	int64_t left_ms;   /* until its end; -1: for ever, or not known yet; 0: none plays */
};
void player_time(const struct leg *leg, struct player_time *out);

/*
 * player_describe - write "ringback.0, 2 rounds to go" or "ringback.0, until it is stopped" to
 * @buf, or the empty string if no prompt plays to the peer of @leg. Returns @buf.
 */
const char *player_describe(const struct leg *leg, char *buf, size_t size);

#endif
