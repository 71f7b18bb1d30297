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

#include "media/sound.h"

#define RAW_RATE 8000
#define BLOCK_FRAMES 8192
#define MAX_SAMPLES (1u << 30) /* 2 GiB of samples: a day and a half at 8 kHz */

static int grow(struct sound *s, size_t *room, size_t n)
{
	size_t want = *room ? *room : 4 * BLOCK_FRAMES;
	int16_t *p;

	if (n > MAX_SAMPLES)
		return -EFBIG;
	while (want < n)
		want *= 2;
	if (want == *room)
		return 0;
	p = realloc(s->samples, want * sizeof(*p));
	if (!p)
		return -ENOMEM;
	s->samples = p;
	*room = want;
	return 0;
}

static int16_t sample_of(float x)
{
	return (int16_t)lrintf(MAX(INT16_MIN, MIN(x * -(float)INT16_MIN, INT16_MAX)));
}

static void average(const float *in, size_t frames, unsigned int channels, int16_t *out)
{
	size_t i;
	unsigned int c;

	for (i = 0; i < frames; i++) {
		float sum = 0;

		for (c = 0; c < channels; c++)
			sum += *in++;
		out[i] = sample_of(sum / channels);
	}
}

static int read_all(SNDFILE *f, unsigned int channels, struct sound *out)
{
	float *block = malloc(BLOCK_FRAMES * channels * sizeof(*block));
	size_t room = 0;
	sf_count_t n;
	int rc = block ? 0 : -ENOMEM;

	while (!rc && (n = sf_readf_float(f, block, BLOCK_FRAMES)) > 0) {
		rc = grow(out, &room, out->n + n);
		if (rc)
			break;
		average(block, n, channels, out->samples + out->n);
		out->n += n;
	}
	free(block);
	return rc;
}

int sound_read(const char *path, bool raw, struct sound *out, char *err, size_t err_size)
{
	SF_INFO info = { 0 };
	SNDFILE *f = sf_open(path, SFM_READ, &info);
	int rc;

	*out = (struct sound){ 0 };
	if (!f && raw && sf_error(NULL) == SF_ERR_UNRECOGNISED_FORMAT) {
		info = (SF_INFO){ .samplerate = RAW_RATE, .channels = 1,
				  .format = SF_FORMAT_RAW | SF_FORMAT_PCM_16 | SF_ENDIAN_LITTLE };
		f = sf_open(path, SFM_READ, &info);
	}
	if (!f) {
		snprintf(err, err_size, "cannot read %.300s: %s", path, sf_strerror(NULL));
		return -EINVAL;
	}
	out->rate = info.samplerate;
	rc = read_all(f, info.channels, out);
	sf_close(f);
	if (!rc && out->n)
		return 0;
	snprintf(err, err_size, "cannot read %.300s: %s", path,
		 rc ? strerror(-rc) : "there is no sound in it");
	sound_free(out);
	return rc ? rc : -ENODATA;
}

void sound_free(struct sound *s)
{
	free(s->samples);
	*s = (struct sound){ 0 };
}

int sound_at(const struct sound *s, unsigned int rate, struct sound *out)
{
	const soxr_io_spec_t io = { SOXR_INT16_I, SOXR_INT16_I, 1, NULL, SOXR_NO_DITHER };
	const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
	size_t room = (size_t)((double)s->n * rate / s->rate + 1), done = 0;

	*out = (struct sound){ .rate = rate, .samples = malloc(room * sizeof(int16_t)) };
	if (!out->samples)
		return -ENOMEM;
	if (rate == s->rate) {
		memcpy(out->samples, s->samples, s->n * sizeof(int16_t));
		out->n = s->n;
		return 0;
	}
	if (soxr_oneshot(s->rate, rate, 1, s->samples, s->n, NULL, out->samples, room, &done, &io,
			 &quality, NULL)) {
		sound_free(out);
		return -ENOMEM;
	}
	out->n = done;
	return 0;
}
