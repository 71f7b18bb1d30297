/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound.h - sound files of any kind as samples of one channel at the rate that is asked for.
 *
 * libsndfile reads, soxr resamples. Blocking, and slow on long files: nothing for the relay's loop.
 */
#ifndef RTPX_SOUND_H
#define RTPX_SOUND_H

#include "base/base.h"

struct sound {
	int16_t *samples; /* owned, sound_free() */
	size_t n;
	unsigned int rate;
};

/*
 * sound_read - the file at @path, its channels averaged. A file that libsndfile does not know is
 * taken for raw samples, signed 16-bit little-endian at 8 kHz, if @raw. Negative, with a sentence
 * in @err, which names the file.
 */
int sound_read(const char *path, bool raw, struct sound *out, char *err, size_t err_size);
void sound_free(struct sound *s);

/* sound_at - the same at another rate, likewise to be freed. -ENOMEM. */
int sound_at(const struct sound *s, unsigned int rate, struct sound *out);

#endif
