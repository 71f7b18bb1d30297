/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tone.h - a tone, encoded and decoded, compared with itself. Include it behind cmocka.h.
 */
#ifndef RTPX_TONE_H
#define RTPX_TONE_H

#include <math.h>
#include <stdlib.h>

#include "media/audio.h"

/* Normalized cross-correlation of @out with @in delayed by at most @delay samples; the best one. */
static double likeness(const int16_t *in, const int16_t *out, size_t n, size_t delay)
{
	double best = 0;
	size_t shift, i;

	for (shift = 0; shift <= delay; shift++) {
		double xy = 0, xx = 1, yy = 1;

		for (i = 0; i + shift < n; i++) {
			xy += (double)in[i] * out[i + shift];
			xx += (double)in[i] * in[i];
			yy += (double)out[i + shift] * out[i + shift];
		}
		best = MAX(best, xy / sqrt(xx * yy));
	}
	return best;
}

/* A gliding tone, which has one best delay only. */
static int16_t *glide(unsigned int rate)
{
	int16_t *s = malloc(rate * sizeof(*s));
	unsigned int i;

	assert_non_null(s);
	for (i = 0; i < rate; i++)
		s[i] = (int16_t)(8000 * sin(2 * M_PI * (300.0 + 200.0 * i / rate) * i / rate));
	return s;
}

/* Encode a second to payloads, and decode each. */
static void packets_there_and_back(const char *name, double want)
{
	struct audio_codec c;
	const char *why;
	struct audio_encoder *e;
	struct audio_decoder *d;
	int16_t *in, *out;
	static int16_t got[AUDIO_MAX_SAMPLES];
	static uint8_t bytes[65536];
	size_t len, at, n = 0;

	assert_int_equal(audio_codec_parse(name, &c, &why), 0);
	assert_true(audio_is_built(&c));
	e = audio_encoder_new(&c);
	d = audio_decoder_new(&c);
	in = glide(c.rate);
	out = calloc(c.rate, sizeof(*out));
	assert_true(e && d && in && out);
	len = audio_encode(e, in, c.rate, bytes);
	assert_true(len <= c.rate / c.frame_samples * c.frame_bytes);
	for (at = 0; at < len; n += c.frame_samples) {
		size_t packet = bytes[at] << 8 | bytes[at + 1];

		assert_int_equal(audio_decode(d, bytes + at + 2, packet, 0, got), c.frame_samples);
		memcpy(out + n, got, c.frame_samples * sizeof(*out));
		at += 2 + packet;
	}
	assert_int_equal(n, c.rate);
	assert_int_equal(at, len);
	assert_true(likeness(in, out, n, c.rate / 50) >= want);
	audio_encoder_free(e);
	audio_decoder_free(d);
	free(in);
	free(out);
}

#endif
