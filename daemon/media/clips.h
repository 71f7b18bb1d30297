/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clips.h - prompts in memory, each loaded once for all calls that play it.
 *
 * A file is read whole, not mapped. A mapped file that is overwritten while it plays could kill the
 * process or mix old and new sound. The loader's thread reads files and encodes sound, so functions
 * here wait only for the opening of a file.
 */
#ifndef RTPX_CLIPS_H
#define RTPX_CLIPS_H

#include "base/base.h"
#include "media/loader.h"

#define CLIPS_IDLE_BYTES (64 << 20) /* kept in memory of prompts that no call plays */

struct event_base;
struct promptcache;
struct clips;

/*
 * While @err is -EINPROGRESS, more frames are added to @data, which may move, in each turn of the
 * loop. After that, nothing changes until clips_give().
 */
struct clip {
	/* 0: loaded; -EINPROGRESS: still loading; another -errno: loading failed, logged */
	int err;
	const uint8_t *data; /* codec frames; after an error, those before the error */
	size_t len;
};

/*
 * clips_new - @dir is an absolute path. Names are looked up in it and cannot leave it, except by
 * symbolic links, which the operator has made. Without @dir, names are absolute or relative to the
 * working directory, as with rtpproxy. @cache keeps encoded prompts on disk, and stays the
 * caller's; NULL: none. 0 or -errno.
 */
int clips_new(struct clips **out, struct event_base *base, const char *dir,
	      struct promptcache *cache);
void clips_free(struct clips *c); /* after clips_give() of every clip */

/*
 * clips_take - with @packets NULL, take the file `name.<payload_type>`, or the one with Asterisk's
 * suffix for that type (.ulaw, .alaw, .gsm, .g722, .g729, .g723). If neither exists, take raw
 * samples with Asterisk's suffix (.sln, .sln16 and so on) or the sound file `name` (.wav, .flac,
 * .ogg, .opus, .sln and so on), and encode it, if a library here encodes the codec.
 *
 * With @packets, a codec that audio_codec_varies(), take `name.amr` or `name.awb` for AMR and
 * AMR-WB, `name.opus` for Opus, or sound as above. The clip has payloads of 20 ms, each behind its
 * length of two bytes. @packets must live as long as the clip.
 *
 * The clip comes from memory if the file still has the same device, inode, size and time of
 * change. Returns 0, -errno of open(), -EACCES for a name that leaves the directory, -EINVAL for a
 * file that is not regular, -EINVAL or -ENODATA for a file that has turned out not to be sound,
 * -EFBIG for a file that is too large, -ENOTSUP for a sound file that no library here encodes for
 * the codec, or -EAGAIN when too many files are being loaded.
 */
int clips_take(struct clips *c, struct span name, unsigned int payload_type,
	       const struct audio_codec *packets, const struct clip **out);
void clips_give(struct clips *c, const struct clip *clip);
const char *clips_name(const struct clip *clip); /* "ringback.8", "hold.wav as 8" */

/* member, metric, text: since the start */
#define CLIPS_COUNTERS(X)                                                                       \
	X(failed, "prompts_failed_total", "Prompts that could not be loaded.")                  \
	X(cache_hits, "prompts_cached_total", "Prompts that came encoded from --prompt-cache.") \
	X(cache_stored, "prompts_stored_total", "Encoded prompts that went to --prompt-cache.") \
	X(cache_refused, "prompts_cache_refused_total",                                         \
	  "Files of --prompt-cache that were damaged or foreign.")                              \
	X(cache_failed, "prompts_cache_failed_total",                                           \
	  "Files of --prompt-cache that could not be read or written.")

struct clips_counts {
#define CLIPS_FIELD(name, metric, text) unsigned int name;
	CLIPS_COUNTERS(CLIPS_FIELD)
#undef CLIPS_FIELD
	unsigned int loading, loaded; /* now */
	uint64_t bytes;		      /* in loaded clips */
};
struct clips_counts clips_counts(const struct clips *c);

#endif
