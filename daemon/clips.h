/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clips.h - prompt files in memory, each read once for all calls that play it.
 *
 * A file is read whole, not mapped: one that is overwritten while it plays must neither end the
 * process nor be heard half new. Reading blocks; prompts are small and the page cache has them.
 */
#ifndef RTPX_CLIPS_H
#define RTPX_CLIPS_H

#include "base.h"

#define CLIPS_MAX_FILE_BYTES (64 << 20) /* two hours of G.711 */
#define CLIPS_IDLE_BYTES (64 << 20)     /* kept of files that nobody plays */

struct clips;

/* Never written while somebody holds it. */
struct clip {
	const uint8_t *data;
	size_t len;
};

/*
 * clips_new - @dir: names are looked up in it and cannot leave it (no absolute ones, no ".."),
 * symbolic links in it are the operator's; NULL: relative to the working directory, or absolute, as
 * with rtpproxy.
 */
int clips_new(struct clips **out, const char *dir);
void clips_free(struct clips *c); /* nothing may be held any more */

/*
 * clips_take - the file `name.<payload_type>`, from memory if it is still the same by device,
 * inode, size and time of change. -ENOENT and what else open and read report, -EACCES for a name that
 * leaves the directory, -EINVAL for what is no regular file, -EFBIG.
 */
int clips_take(struct clips *c, struct span name, unsigned int payload_type,
	       const struct clip **out);
void clips_give(struct clips *c, const struct clip *clip);
const char *clips_path(const struct clip *clip); /* of its file */

#endif
