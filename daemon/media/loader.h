/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.h - threads that load prompt files into memory: codec frames unchanged, or sound files
 * encoded. The shortest file comes first, and long ones leave a thread to the others.
 *
 * Only the loop's thread calls these functions, and done() runs in it.
 */
#ifndef RTPX_LOADER_H
#define RTPX_LOADER_H

#include "base/base.h"

#define LOADER_MAX_BYTES (64 << 20) /* of a loaded prompt: more than two hours of G.711 */
#define LOADER_MAX_JOBS 256	    /* waiting jobs */
#define LOADER_THREADS 3
#define LOADER_LONG_COST (32 << 20) /* two minutes of 8 kHz to G.729 */

#define LOADER_OPUS 256 /* in place of a payload type; see audio_encode() for the bytes */

struct event_base;
struct loader;

/* Owned by the caller, who keeps it until done(). */
struct loader_job {
	const char *path;
	uint64_t bytes; /* of the file; 0: unknown */
	/* payload type to encode the sound for, or LOADER_OPUS; -1: load the bytes */
	int encode_type;
	/* done - called by the loop. If @err is 0, @data is malloc()ed and the caller owns it. */
	void (*done)(struct loader_job *job);
	int err; /* 0, -errno; -EINPROGRESS: not done yet */
	uint8_t *data;
	size_t len;
	/* the reason for @err as a sentence, or a warning about the sound; else empty */
	char why[400];
	/* of the loader */
	uint64_t cost;
	struct loader_job *next;
};

int loader_new(struct loader **out, struct event_base *base);
/*
 * loader_free - end all jobs; calls done() with -ECANCELED for those that are not complete. A job
 * that is running may take seconds.
 */
void loader_free(struct loader *l);

/*
 * loader_add - queue a job. Returns 0, -EAGAIN if too many jobs wait, or -errno if the thread does
 * not start. After an error, done() is not called.
 */
int loader_add(struct loader *l, struct loader_job *job);

/* loader_can_encode - true if sound can be encoded for this payload type, or for LOADER_OPUS. */
bool loader_can_encode(unsigned int payload_type);

#endif
