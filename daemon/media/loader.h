/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.h - threads that load prompt files into memory: codec frames unchanged, or sound files
 * encoded, a second of sound at a time. Each second is handed over when it is encoded, and the file
 * comes next whose listener would run out of sound first.
 *
 * Only the loop's thread calls these functions, and more() and done() run in it.
 */
#ifndef RTPX_LOADER_H
#define RTPX_LOADER_H

#include "base/base.h"

#define LOADER_MAX_BYTES (64 << 20) /* of a loaded prompt: more than two hours of G.711 */
#define LOADER_MAX_JOBS 256	    /* waiting jobs */
#define LOADER_MAX_OPEN 16	    /* jobs that are encoded at once; others wait */
#define LOADER_THREADS 3

struct audio_codec;
struct event_base;
struct loader;
struct encoding;
struct promptcache;
struct stat;

/* Owned by the caller, who keeps it until done(). */
struct loader_job {
	const char *path;
	uint64_t bytes; /* of the file; 0: unknown */
	/* to encode the sound for, see audio_encode() for the bytes; NULL: load the bytes */
	const struct audio_codec *codec;
	bool packs; /* the file has frames of @codec, AMR or AMR-WB, which become payloads */
	/* more - there is more in @data, which may have moved. NULL: no receiver. */
	void (*more)(struct loader_job *job);
	/*
	 * done - the end of the job. @data is malloc()ed and the caller owns it. After an error it
	 * has the sound before the error, or is NULL.
	 */
	void (*done)(struct loader_job *job);
	int err; /* 0, -errno; -EINPROGRESS: not done yet */
	uint8_t *data;
	size_t len;
	/* the file that @path names, for the cache of encoded prompts; NULL: not from or to it */
	const struct stat *st;
	bool from_cache, to_cache; /* it came from the cache; it is there now */
	int cache_err;		   /* 0, or -errno; -EBADMSG: the file in the cache was not right */
	/* the reason for @err as a sentence, or a warning about the sound; else empty */
	char why[400];
	/* of the loader */
	uint64_t due_ms;	   /* when its listener runs out of sound */
	struct encoding *encoding; /* NULL: not begun */
	struct loader_job *next, *told_next;
	size_t room; /* of @data */
	bool broken; /* no memory for more in @data */
	/* of the loader, under its lock: encoded and not yet in @data */
	uint8_t *fresh;
	size_t fresh_len;
	bool told, ended; /* in the queue for the loop; nothing follows */
	int end;	  /* the coming @err */
};

/* loader_new - @cache may be NULL, and stays the caller's. 0 or -errno. */
int loader_new(struct loader **out, struct event_base *base, struct promptcache *cache);
/*
 * loader_free - end all jobs; calls done() with -ECANCELED for those that are not complete. Waits
 * for the second of sound that each thread encodes.
 */
void loader_free(struct loader *l);

/*
 * loader_add - queue a job. Returns 0, -EAGAIN if too many jobs wait, or -errno if the thread does
 * not start. After an error, done() is not called.
 */
int loader_add(struct loader *l, struct loader_job *job);

/* loader_can_encode - true if sound can be encoded for prompts of this codec. NULL is allowed. */
bool loader_can_encode(const struct audio_codec *codec);

#endif
