/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.h - records in a file that outlive the process: an LMDB database in the state directory.
 * One daemon at a time holds the directory. The journal does not interpret the records.
 *
 * The directory is meant to be in /run: its files and the calls outlive the process, not the
 * machine. Nothing waits for a disk.
 *
 * The journal of the previous daemon is only read, never written. The new journal is written beside
 * it, and takes its name when it is complete. Until then the old journal is untouched, and damage
 * in it does not reach the new one.
 */
#ifndef RTPX_JOURNAL_H
#define RTPX_JOURNAL_H

#include <sys/types.h>

#include "base/base.h"

#define JOURNAL_VERSION 2 /* record format; a reader refuses a newer one, and reads older ones */
#define JOURNAL_MAX 65536 /* bytes of a record's body */

struct journal;

/* journal_new - a journal for the directory @dir. Touches no file yet. 0 or -ENOMEM. */
int journal_new(struct journal **out, const char *dir);
/* journal_free - close the journal. Loses uncommitted records; the file stays. NULL is allowed. */
void journal_free(struct journal *j);

/*
 * journal_lock - make the directory if it is missing, and lock it. A directory that root owns is
 * given to user @uid ((uid_t)-1: keep the owner). 0; -EBUSY when another daemon holds the lock
 * (with @wait: and does not end, see dirlock()); or -errno. Errors put a sentence in @err.
 */
int journal_lock(struct journal *j, bool wait, uid_t uid, gid_t gid, char *err, size_t err_size);

struct journal_reader {
	/*
	 * record - called once for each key, in rising order of keys. The bytes are valid during
	 * the call only. @stamp rises with each written record: the higher of two is the newer.
	 */
	void (*record)(void *arg, uint64_t key, uint64_t stamp, struct span body);
	void *arg;
};

struct journal_found {
	unsigned int records;
	/* not empty: describes the damage of the file; @records counts the rescued records */
	char damage[160];
};

/*
 * journal_load - read the journal of the previous daemon. A child process reads the file as @uid
 * and @gid ((uid_t)-1 or 0: as user or group 65534), without capabilities. A damaged file is then
 * searched for records. 0, also when there is no file; -EPROTO when a newer version wrote the file,
 * and @reader got no record; or -errno. Errors put a sentence in @err.
 */
int journal_load(struct journal *j, uid_t uid, gid_t gid, const struct journal_reader *reader,
		 struct journal_found *found, char *err, size_t err_size);

/*
 * journal_begin - start an empty journal beside the old one. The caller then writes every record
 * with journal_put(), and journal_commit() replaces the old journal. Key 0 must be among them: in
 * its record version 1 of the journal reads that the file is newer. 0 or -errno.
 */
int journal_begin(struct journal *j);

/*
 * journal_put, journal_del - write or delete a record in the open transaction, or in a new one. 0
 * or -errno. After an error of these or of journal_commit() the journal is closed, and the file
 * stays as the previous commit left it. The caller then starts again with journal_begin(). Only
 * -E2BIG (a body longer than JOURNAL_MAX) leaves it open. Deleting a missing record is no error.
 */
int journal_put(struct journal *j, uint64_t key, struct span body);
int journal_del(struct journal *j, uint64_t key);
/* journal_commit - make the records outlive the process. 0, also when there was nothing to do. */
int journal_commit(struct journal *j);
/* journal_is_pending - a transaction is open: there is something to commit. */
bool journal_is_pending(const struct journal *j);

bool journal_is_open(const struct journal *j);
/* journal_is_there - the file of the open journal has not been removed. */
bool journal_is_there(const struct journal *j);
/* journal_remove - delete the journal: the next daemon finds no calls. */
void journal_remove(struct journal *j);
/* journal_path, journal_dir - absolute paths of the file and of the directory. */
const char *journal_path(const struct journal *j);
const char *journal_dir(const struct journal *j);

#endif
