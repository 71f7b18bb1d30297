/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promptcache.h - encoded prompts as files of one directory, so that the next daemon need not
 * encode them again. A file belongs to one sound file and codec; when the sound file has changed,
 * it is not used. It does not depend on the packet length.
 *
 * Several threads, and several daemons, may use one directory at the same time. All functions wait
 * for the disk.
 */
#ifndef RTPX_PROMPTCACHE_H
#define RTPX_PROMPTCACHE_H

#include <sys/stat.h>

#include "base/base.h"

#define PROMPTCACHE_MAX_FILE (64 << 20) /* bytes of a prompt */

struct promptcache;
struct promptcache_file;

/* Identity of an encoded prompt. */
struct promptcache_key {
	const char *path;  /* of the sound file */
	const char *codec; /* "18", "opus" */
	/* of the sound file: size, inode, times of modification and of change count */
	const struct stat *st;
};

/*
 * promptcache_new - use the directory @dir, for files of at most @max_bytes together; removes the
 * least recently used ones beyond that, and old files that a killed daemon has not completed. With
 * @dir NULL, *@out is NULL. 0 or -errno; -EPERM: other users could write there.
 */
int promptcache_new(struct promptcache **out, const char *dir, uint64_t max_bytes);
void promptcache_free(struct promptcache *c); /* NULL is allowed */

/*
 * promptcache_read - 0 with the bytes in *@data, which is malloc()ed; -ENOENT: there are none, or
 * those of an earlier version of the sound file; -EBADMSG: the file is damaged, of another user, or
 * of something else; another -errno.
 */
int promptcache_read(struct promptcache *c, const struct promptcache_key *key, uint8_t **data,
		     size_t *len);

/*
 * promptcache_begin - begin a file. promptcache_add - add bytes. 0 or -errno.
 * promptcache_end - complete the file, which now takes the place of an older one. 0 or -errno;
 * frees @f in any case. promptcache_drop - give the file up; NULL is allowed.
 */
int promptcache_begin(struct promptcache *c, const struct promptcache_key *key,
		      struct promptcache_file **out);
int promptcache_add(struct promptcache_file *f, const uint8_t *data, size_t len);
int promptcache_end(struct promptcache_file *f);
void promptcache_drop(struct promptcache_file *f);

#endif
