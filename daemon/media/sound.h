/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound.h - reads sound files of any kind as samples of one channel, at the wanted rate, in blocks:
 * memory does not grow with the length of a file.
 *
 * libsndfile reads, soxr resamples. Functions block and are slow: do not call them in the loop's
 * thread.
 */
#ifndef RTPX_SOUND_H
#define RTPX_SOUND_H

#include "base/base.h"

#define SOUND_MIN_RATE 4000 /* samples a second of a file; others are refused */
#define SOUND_MAX_RATE 384000

struct sound;

/*
 * sound_open - open the file at @path, average its channels and resample it to @rate. With @raw,
 * the file is raw samples: signed 16-bit little-endian, one channel, and the rate of its suffix, or
 * 8 kHz. 0, or -errno with a sentence in @err that names the file: -EINVAL if it is no sound or has
 * a rate out of range.
 */
int sound_open(struct sound **out, const char *path, bool raw, unsigned int rate, char *err,
	       size_t err_size);
void sound_close(struct sound *s); /* NULL is allowed */

/*
 * sound_raw_rate - the rate in Hz of raw samples with the suffix of @path: .sln, .sln16 and so on
 * up to .sln192 (Asterisk's), .slin, .raw, .pcm. 0: another suffix.
 * sound_raw_suffix - Asterisk's suffixes of raw samples, by numbers from 0; NULL behind the last.
 */
unsigned int sound_raw_rate(const char *path);
const char *sound_raw_suffix(unsigned int i);

/*
 * sound_read - the next samples, at most @max. Returns their number, 0 at the end, or -errno with a
 * sentence in @err: -ENODATA for a file without sound, -EINVAL if the file is damaged, -EIO if it
 * cannot be read; -ENOMEM without one.
 */
int sound_read(struct sound *s, int16_t *out, size_t max, char *err, size_t err_size);

/* sound_odd - samples so far that are no numbers, or infinite; they are silence. */
uint64_t sound_odd(const struct sound *s);
/* sound_length - samples of the whole at the wanted rate, as far as the file tells; 0: unknown. */
uint64_t sound_length(const struct sound *s);

#endif
