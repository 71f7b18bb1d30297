/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h - records in a file that outlive the process: an LMDB database in the state directory,
 * which one daemon at a time has. What is in a record is not the journal's business.
 *
 * The directory is meant to be in /run: its files outlive the process, not the machine, and so do
 * the calls. Nothing waits for a disk.
 *
 * A journal that another daemon left is only read, never written into: the new one is written
 * beside it and takes its name when it is whole. So whatever is wrong with the old one does no
 * harm, and until then it is all there.
 */
#ifndef RTPX_JOURNAL_H
#define RTPX_JOURNAL_H

#include <sys/types.h>

#include "base/base.h"

#define JOURNAL_VERSION 1   /* of records; a reader refuses a newer one */
#define JOURNAL_MAX 65536   /* bytes of a record */

struct journal;

/* journal_new - for the directory @dir; does nothing yet. 0 or -ENOMEM. */
int journal_new(struct journal **out, const char *dir);
/* journal_free - what was not committed is lost; the file stays. NULL is allowed. */
void journal_free(struct journal *j);

/*
 * journal_lock - make the directory, for user @uid ((uid_t)-1: leave it) when we make it or it is
 * root's, and keep others out of it. 0; -EBUSY when another daemon has it (@wait: and does not end,
 * see dirlock()); or -errno. With a sentence in @err.
 */
int journal_lock(struct journal *j, bool wait, uid_t uid, gid_t gid, char *err, size_t err_size);

struct journal_reader {
	/*
	 * record - called once for each key, by rising key; the bytes are valid during the call
	 * only. @stamp rises with each record that is written: of two, the higher is the newer.
	 */
	void (*record)(void *arg, uint64_t key, uint64_t stamp, struct span body);
	void *arg;
};

struct journal_found {
	unsigned int records;
	/* not empty: what was wrong with the file; records are those that could be saved */
	char damage[160];
};

/*
 * journal_load - what the daemon before left. A process of its own reads the file, as @uid and @gid
 * ((uid_t)-1 or 0: as no user) without any right; a damaged one is then searched for records. 0, also without a file; -EPROTO when a newer
 * version has written it: nothing was read; or -errno. With a sentence in @err.
 */
int journal_load(struct journal *j, uid_t uid, gid_t gid, const struct journal_reader *reader,
		 struct journal_found *found, char *err, size_t err_size);

/*
 * journal_begin - an empty journal beside the old one. Then journal_put() all there is, and
 * journal_commit() makes it the journal. 0 or -errno.
 */
int journal_begin(struct journal *j);

/*
 * journal_put, journal_del - in the open transaction, or a new one. 0 or -errno; then, and when
 * journal_commit() fails, the journal is closed and stays as it was: the next thing to do is
 * journal_begin(). A record that is not there is no error.
 */
int journal_put(struct journal *j, uint64_t key, struct span body);
int journal_del(struct journal *j, uint64_t key);
/* journal_commit - from now on it outlives the process. 0 when there was nothing to do. */
int journal_commit(struct journal *j);

bool journal_is_open(const struct journal *j);
/* journal_is_there - nobody has removed the file under us. */
bool journal_is_there(const struct journal *j);
/* journal_remove - nothing is to be left for another daemon. */
void journal_remove(struct journal *j);
/* journal_path, journal_dir - of the file and the directory, absolute. */
const char *journal_path(const struct journal *j);
const char *journal_dir(const struct journal *j);

#endif
