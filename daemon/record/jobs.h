/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs.h - hands complete recordings on: to extractaudio, to a hook, and to a URL, in this order.
 * Each is a child process.
 *
 * A job is a file NAME.done in the directory of the queue: the description of a recording. It is
 * removed after the last step, so jobs outlive the process. All functions run in one thread.
 */
#ifndef RTPX_JOBS_H
#define RTPX_JOBS_H

#include <limits.h>

#include "base/base.h"
#include "media/audio_codec.h"
#include "record/sheet.h"

#define JOBS_MAX_WORKERS 16

struct jobs_opts {
	enum sheet_sound sound; /* of all recordings; SHEET_NONE: only where a command wants it */
	bool mono, remove_raw;
	const char *hook, *url;		      /* NULL: none */
	unsigned int workers;		      /* children at once, from 1 */
	unsigned int hook_time_s;	      /* of the hook and of a POST */
	const char *dir;		      /* of the recordings */
	const char *queue_dir;		      /* below it */
	const struct audio_codec_map *codecs; /* of dynamic payload types */
};

struct jobs_counts {
	uint64_t made;	  /* sound files */
	uint64_t told;	  /* hooks and POSTs that succeeded */
	uint64_t failed;  /* sound files that could not be made; hooks and POSTs given up */
	uint64_t waiting; /* recordings that are not handed on */
};

struct jobs;

/*
 * jobs_check - NULL, or a sentence: a program that the options need is missing. The buffer is
 * static.
 */
const char *jobs_check(const struct jobs_opts *opts);

int jobs_new(struct jobs **out, const struct jobs_opts *opts); /* 0 or -ENOMEM; @opts is kept */
void jobs_free(struct jobs *j); /* kills the children; their jobs are left to the next process */
/* jobs_wants - true if the recording @sheet must be handed on. */
bool jobs_wants(const struct jobs *j, struct json_object *sheet);
/* jobs_recover - take over the jobs of earlier processes. Called once, before jobs_add(). */
void jobs_recover(struct jobs *j);
/* jobs_add - the file NAME.done is there. */
void jobs_add(struct jobs *j, const char *name);
/*
 * jobs_run - start and end children; wait for them, or until @wake_fd is readable, but not longer
 * than @timeout_ms.
 */
void jobs_run(struct jobs *j, int wake_fd, int timeout_ms);
struct jobs_counts jobs_counts(const struct jobs *j); /* from any thread */

#endif
