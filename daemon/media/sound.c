/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sound.c - reads with libsndfile and resamples with soxr.
 *
 * Files are read as floating point, because libsndfile then scales all formats alike. Read as
 * integers, a floating-point file would give silence. There is no dither: telephone codecs are far
 * noisier than 16 bits, and without dither a file gives the same samples each time.
 */
#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <soxr.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "media/sound.h"

#define BLOCK_FRAMES 4096
#define MAX_CHANNELS 64
#define UNKNOWN_FRAMES (SF_COUNT_MAX >> 16) /* libsndfile has larger numbers for a pipe */

struct sound {
	char path[300]; /* for sentences */
	SNDFILE *file;
	SF_INFO info;
	unsigned int rate;
	soxr_t resampler;	     /* NULL: the rate is that of the file */
	float *frames;		     /* BLOCK_FRAMES, of all channels */
	int16_t block[BLOCK_FRAMES]; /* averaged, not yet resampled */
	size_t at, n;
	bool ended; /* the file has no more frames */
	uint64_t odd, read;
};

static float finite_of(struct sound *s, float x)
{
	if (isfinite(x))
		return x;
	s->odd++;
	return 0;
}

static int16_t sample_of(float x)
{
	return (int16_t)lrintf(MAX(INT16_MIN, MIN(x * -(float)INT16_MIN, INT16_MAX)));
}

static void average(struct sound *s, size_t frames)
{
	const float *in = s->frames;
	int c, channels = s->info.channels;
	size_t i;

	for (i = 0; i < frames; i++) {
		float sum = 0;

		for (c = 0; c < channels; c++)
			sum += finite_of(s, *in++);
		s->block[i] = sample_of(sum / channels);
	}
	s->at = 0;
	s->n = frames;
}

/* Read the next block of the file. 0 or -errno, as sound_read(). */
static int refill(struct sound *s, char *err, size_t err_size)
{
	sf_count_t n = sf_readf_float(s->file, s->frames, BLOCK_FRAMES);

	if (sf_error(s->file) || n < 0) {
		snprintf(err, err_size, "cannot read %s beyond %llu samples: %s", s->path,
			 (unsigned long long)s->read, sf_strerror(s->file));
		return sf_error(s->file) == SF_ERR_SYSTEM ? -EIO : -EINVAL;
	}
	s->read += (uint64_t)n;
	s->ended = n == 0;
	average(s, (size_t)n);
	if (s->read)
		return 0;
	snprintf(err, err_size, "cannot read %s: there is no sound in it", s->path);
	return -ENODATA;
}

/* Put the block through the resampler. Returns the samples that came out, or -ENOMEM. */
static int resample(struct sound *s, int16_t *out, size_t max)
{
	const int16_t *in = s->ended ? NULL : s->block + s->at;
	size_t taken = 0, made = 0;

	if (soxr_process(s->resampler, in, s->n - s->at, &taken, out, max, &made))
		return -ENOMEM;
	s->at += taken;
	return (int)made;
}

static int copy(struct sound *s, int16_t *out, size_t max)
{
	size_t n = MIN(s->n - s->at, max);

	memcpy(out, s->block + s->at, n * sizeof(*out));
	s->at += n;
	return (int)n;
}

int sound_read(struct sound *s, int16_t *out, size_t max, char *err, size_t err_size)
{
	int n = 0, rc;

	while (n == 0) {
		if (s->at == s->n && !s->ended) {
			rc = refill(s, err, err_size);
			if (rc)
				return rc;
		}
		n = s->resampler ? resample(s, out, max) : copy(s, out, max);
		if (s->ended)
			break;
	}
	return n;
}

uint64_t sound_odd(const struct sound *s)
{
	return s->odd;
}

uint64_t sound_length(const struct sound *s)
{
	return s->info.frames > 0 && s->info.frames < UNKNOWN_FRAMES
		       ? (uint64_t)((double)s->info.frames * s->rate / s->info.samplerate)
		       : 0;
}

/* ---- begin and end ---- */

static int prepare(struct sound *s, char *err, size_t err_size)
{
	const soxr_io_spec_t io = { SOXR_INT16_I, SOXR_INT16_I, 1, NULL, SOXR_NO_DITHER };
	const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
	unsigned int rate = (unsigned int)s->info.samplerate;

	if (s->info.samplerate < SOUND_MIN_RATE || s->info.samplerate > SOUND_MAX_RATE) {
		snprintf(err, err_size, "cannot read %s: its rate of %d Hz is not from %d to %d",
			 s->path, s->info.samplerate, SOUND_MIN_RATE, SOUND_MAX_RATE);
		return -EINVAL;
	}
	if (s->info.channels > MAX_CHANNELS) {
		snprintf(err, err_size, "cannot read %s: it has more than %d channels", s->path,
			 MAX_CHANNELS);
		return -EINVAL;
	}
	s->frames = malloc(BLOCK_FRAMES * (size_t)s->info.channels * sizeof(*s->frames));
	if (rate != s->rate)
		s->resampler = soxr_create(rate, s->rate, 1, NULL, &io, &quality, NULL);
	if (s->frames && (rate == s->rate || s->resampler))
		return 0;
	snprintf(err, err_size, "cannot read %s: no memory", s->path);
	return -ENOMEM;
}

/* Suffixes of raw samples: Asterisk's, then others. */
/* clang-format off */
static const struct {
	const char *suffix;
	unsigned int rate;
} raws[] = {
	{ ".sln", 8000 },    { ".sln12", 12000 }, { ".sln16", 16000 }, { ".sln24", 24000 },
	{ ".sln32", 32000 }, { ".sln44", 44100 }, { ".sln48", 48000 }, { ".sln96", 96000 },
	{ ".sln192", 192000 }, { ".slin", 8000 }, { ".raw", 8000 },    { ".pcm", 8000 },
};
/* clang-format on */

const char *sound_raw_suffix(unsigned int i)
{
	return i < ARRAY_SIZE(raws) && !strncmp(raws[i].suffix, ".sln", 4) ? raws[i].suffix : NULL;
}

unsigned int sound_raw_rate(const char *path)
{
	size_t len = strlen(path), i;

	for (i = 0; i < ARRAY_SIZE(raws); i++) {
		size_t n = strlen(raws[i].suffix);

		if (len > n && !strcasecmp(path + len - n, raws[i].suffix))
			return raws[i].rate;
	}
	return 0;
}

/* The rate of raw samples in @path, which need not have a suffix. */
static unsigned int raw_rate(const char *path)
{
	unsigned int rate = sound_raw_rate(path);

	return rate ? rate : raws[0].rate;
}

int sound_open(struct sound **out, const char *path, bool raw, unsigned int rate, char *err,
	       size_t err_size)
{
	struct sound *s = calloc(1, sizeof(*s));
	int rc = -EINVAL;

	if (!s) {
		snprintf(err, err_size, "cannot read %.300s: no memory", path);
		return -ENOMEM;
	}
	s->rate = rate;
	snprintf(s->path, sizeof(s->path), "%s", path);
	if (raw)
		s->info =
			(SF_INFO){ .samplerate = (int)raw_rate(path),
				   .channels = 1,
				   .format = SF_FORMAT_RAW | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE };
	s->file = sf_open(path, SFM_READ, &s->info);
	if (s->file)
		rc = prepare(s, err, err_size);
	else
		snprintf(err, err_size, "cannot read %.300s: %s", path, sf_strerror(NULL));
	if (rc) {
		sound_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

void sound_close(struct sound *s)
{
	if (!s)
		return;
	if (s->file)
		sf_close(s->file);
	if (s->resampler)
		soxr_delete(s->resampler);
	free(s->frames);
	free(s);
}
