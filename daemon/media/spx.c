/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spx.c - libspeex decodes only payloads whose frames speexpack has counted, because it writes
 * about others on stderr.
 */
#include <errno.h>
#include <speex/speex.h>
#include <stdlib.h>

#include "media/spx.h"

#define MAX_SAMPLES 640 /* of a frame */
#define QUALITY 8	/* of 10: 15 kbit/s at 8 kHz, 28 kbit/s at 16 kHz */

struct spx_decoder {
	unsigned int rate;
	void *state;
	SpeexBits bits;
	int samples; /* of a frame */
};

struct spx_encoder {
	void *state;
	SpeexBits bits;
	int samples; /* of a frame */
};

static const SpeexMode *mode_of(unsigned int rate)
{
	return speex_lib_get_mode(rate == 8000	  ? SPEEX_MODEID_NB
				  : rate == 16000 ? SPEEX_MODEID_WB
						  : SPEEX_MODEID_UWB);
}

struct spx_decoder *spx_decoder_new(unsigned int rate)
{
	struct spx_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->rate = rate;
	d->state = speex_decoder_init(mode_of(rate));
	if (!d->state) {
		free(d);
		return NULL;
	}
	speex_bits_init(&d->bits);
	speex_decoder_ctl(d->state, SPEEX_GET_FRAME_SIZE, &d->samples);
	return d;
}

void spx_decoder_free(struct spx_decoder *d)
{
	if (!d)
		return;
	speex_bits_destroy(&d->bits);
	speex_decoder_destroy(d->state);
	free(d);
}

int spx_decode(struct spx_decoder *d, const uint8_t *p, size_t len, int16_t *out)
{
	int frames = speexpack_frames(d->rate, p, len), i;

	if (frames < 0)
		return frames;
	speex_bits_read_from(&d->bits, (const char *)p, (int)len);
	for (i = 0; i < frames; i++)
		if (speex_decode_int(d->state, &d->bits, out + i * d->samples))
			return -EBADMSG;
	return frames * d->samples;
}

struct spx_encoder *spx_encoder_new(unsigned int rate)
{
	struct spx_encoder *e = calloc(1, sizeof(*e));
	int quality = QUALITY;

	if (!e)
		return NULL;
	e->state = speex_encoder_init(mode_of(rate));
	if (!e->state) {
		free(e);
		return NULL;
	}
	speex_bits_init(&e->bits);
	speex_encoder_ctl(e->state, SPEEX_SET_QUALITY, &quality);
	speex_encoder_ctl(e->state, SPEEX_GET_FRAME_SIZE, &e->samples);
	return e;
}

void spx_encoder_free(struct spx_encoder *e)
{
	if (!e)
		return;
	speex_bits_destroy(&e->bits);
	speex_encoder_destroy(e->state);
	free(e);
}

/* libspeex may write to the samples that it encodes. */
size_t spx_encode(struct spx_encoder *e, const int16_t *samples, uint8_t out[SPEEXPACK_MAX_FRAME])
{
	int16_t copy[MAX_SAMPLES];

	memcpy(copy, samples, (size_t)e->samples * sizeof(*copy));
	speex_bits_reset(&e->bits);
	speex_encode_int(e->state, copy, &e->bits);
	return (size_t)speex_bits_write(&e->bits, (char *)out, SPEEXPACK_MAX_FRAME);
}
