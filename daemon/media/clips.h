/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clips.h - prompts in memory, each loaded once for all calls that play it.
 *
 * A file is read whole, not mapped: one that is overwritten while it plays must neither end the
 * process nor be heard half new. That and the encoding of sound files is the loader's, so nothing
 * here waits for more than the opening of a file.
 */
#ifndef RTPX_CLIPS_H
#define RTPX_CLIPS_H

#include "base/base.h"

#define CLIPS_IDLE_BYTES (64 << 20) /* kept of prompts that nobody plays */

struct event_base;
struct clips;

/* Once @err is 0, @data and @len stay as they are until it is given back. */
struct clip {
	/* -EINPROGRESS: not there yet; another -errno: it never will be, which is logged */
	int err;
	const uint8_t *data; /* codec frames */
	size_t len;
};

/*
 * clips_new - @dir: an absolute path; names are looked up in it and cannot leave it,
 * symbolic links in it are the operator's; NULL: relative to the working directory, or absolute, as
 * with rtpproxy.
 */
int clips_new(struct clips **out, struct event_base *base, const char *dir);
void clips_free(struct clips *c); /* nothing may be held any more */

/*
 * clips_take - the file `name.<payload_type>`; or the file `name`, encoded, when it has the suffix
 * of sound (.wav, .flac, .ogg, .opus and so on) and the codec is one that is encoded here. From
 * memory if the file is still the same by device, inode, size and time of change. -ENOENT and what
 * else open reports, -EACCES for a name that leaves the directory, -EINVAL for what is no regular
 * file, that or -ENODATA for what was found to be no sound, -EFBIG, -EAGAIN when too much is being
 * loaded.
 */
int clips_take(struct clips *c, struct span name, unsigned int payload_type,
	       const struct clip **out);
void clips_give(struct clips *c, const struct clip *clip);
const char *clips_name(const struct clip *clip); /* "ringback.8", "hold.wav as 8" */

struct clips_counts {
	unsigned int loading, loaded, failed; /* the failed: since the start */
	uint64_t bytes;			      /* of the loaded */
};
struct clips_counts clips_counts(const struct clips *c);

#endif
