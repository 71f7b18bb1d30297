/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound.h - reads sound files of any kind into samples of one channel, at the wanted rate.
 *
 * libsndfile reads, soxr resamples. Functions block and are slow on long files: do not call them in
 * the loop's thread.
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
 * sound_read - read the file at @path and average its channels. With @raw, a file that libsndfile
 * does not know is read as raw samples, signed 16-bit little-endian at 8 kHz. 0, or -errno with a
 * sentence in @err that names the file.
 */
int sound_read(const char *path, bool raw, struct sound *out, char *err, size_t err_size);
void sound_free(struct sound *s);

/* sound_at - resample @s to @rate; the caller frees @out with sound_free(). 0 or -ENOMEM. */
int sound_at(const struct sound *s, unsigned int rate, struct sound *out);

#endif
