/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finisher.h - a thread that writes the descriptions of recordings, and has them handed on.
 *
 * Descriptions of recordings that are not complete, or not handed on, are also in a directory of
 * this daemon in the record directory. The next daemon finishes them, without a journal. The loop
 * never waits for the thread, except at the end. Only the loop's thread calls these functions.
 */
#ifndef RTPX_FINISHER_H
#define RTPX_FINISHER_H

#include "base/base.h"
#include "record/jobs.h"
#include "record/sheet.h"

#define FINISHER_EXIT_MS 5000

struct finisher_opts {
	const char *dir, *spool_dir; /* @spool_dir NULL: none */
	const char *instance;	     /* names this daemon and the next ones: the state directory */
	struct sheet_opts sheet;
	struct jobs_opts jobs; /* without directories */
	uint32_t keep_days;    /* 0: recordings are kept */
	uint64_t quota_bytes;  /* likewise */
};

struct finisher_counts {
	uint64_t complete; /* descriptions of complete recordings */
	uint64_t lost;	   /* descriptions that could not be written */
	uint64_t orphans;  /* files in the spool that belong to no recording */
	uint64_t removed;  /* recordings removed by age and quota */
	struct jobs_counts jobs;
};

struct finisher;

/* finisher_new - 0 or -errno. The thread starts at once. */
int finisher_new(struct finisher **out, const struct finisher_opts *opts);
/* finisher_free - writes the descriptions that wait; gives up after FINISHER_EXIT_MS. */
void finisher_free(struct finisher *f);

/*
 * finisher_begin - the recording named by @key is not complete yet; @text is its description, which
 * is freed here; NULL is allowed. @first: the first call of this process for the recording. Then
 * files and losses that an earlier process has written for @key belong to it.
 */
void finisher_begin(struct finisher *f, const char *key, char *text, bool first);
/* finisher_complete - the recording is complete. As finisher_begin(). */
void finisher_complete(struct finisher *f, const char *key, char *text);
/*
 * finisher_restored - all sessions of the previous daemon have begun their recordings again.
 * Recordings that it has left besides are complete.
 */
void finisher_restored(struct finisher *f);
struct finisher_counts finisher_counts(const struct finisher *f);

#endif
