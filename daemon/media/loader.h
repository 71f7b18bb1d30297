/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.h - prompt files into memory, by a thread: codec frames as they are, or sound encoded.
 *
 * All functions are for the loop's thread, and it is the one that is told.
 */
#ifndef RTPX_LOADER_H
#define RTPX_LOADER_H

#include "base/base.h"

#define LOADER_MAX_BYTES (64 << 20) /* of what is loaded: more than two hours of G.711 */
#define LOADER_MAX_JOBS 256	    /* that wait */

struct event_base;
struct loader;

/* The caller's, until it is told. */
struct loader_job {
	const char *path;
	int encode_type; /* payload type to encode the sound for; -1: load the bytes */
	/* done - from the loop: @data is malloc()ed and the caller's now, if @err is 0. */
	void (*done)(struct loader_job *job);
	int err; /* 0, -errno; -EINPROGRESS: not told yet */
	uint8_t *data;
	size_t len;
	char why[400]; /* with an @err of sound: a sentence */
	struct loader_job *next;
};

int loader_new(struct loader **out, struct event_base *base);
/*
 * loader_free - jobs that are left are done with -ECANCELED from here; one that is on may take
 * seconds.
 */
void loader_free(struct loader *l);

/* loader_add - 0, -EAGAIN: too many wait; -errno: no thread. Then done() is not called. */
int loader_add(struct loader *l, struct loader_job *job);

/* loader_can_encode - for payload types of codecs that a library here encodes. */
bool loader_can_encode(unsigned int payload_type);

#endif
