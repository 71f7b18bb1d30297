/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amr.c - opencore-amr decodes AMR and AMR-WB and encodes AMR, vo-amrwbenc encodes AMR-WB.
 */
#include <opencore-amrnb/interf_dec.h>
#include <opencore-amrnb/interf_enc.h>
#include <opencore-amrwb/dec_if.h>
#include <stdlib.h>
#include <vo-amrwbenc/enc_if.h>

#include "media/amr.h"

#define NO_DATA 0x7c /* a frame of type 15 */

struct amr_decoder {
	bool wide, pauses; /* the latest frame that was not empty described noise */
	void *state;
};

struct amr_encoder {
	bool wide;
	void *state;
};

bool amr_is_built(void)
{
	return true;
}

/* ---- decoding ---- */

struct amr_decoder *amr_decoder_new(bool wide)
{
	struct amr_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->wide = wide;
	d->state = wide ? D_IF_init() : Decoder_Interface_init();
	if (d->state)
		return d;
	free(d);
	return NULL;
}

void amr_decoder_free(struct amr_decoder *d)
{
	if (!d)
		return;
	if (d->wide)
		D_IF_exit(d->state);
	else
		Decoder_Interface_exit(d->state);
	free(d);
}

static size_t decode_frame(struct amr_decoder *d, const uint8_t *frame, int16_t *out)
{
	if (d->wide)
		D_IF_decode(d->state, frame, out, 0);
	else
		Decoder_Interface_Decode(d->state, frame, out, 0);
	return d->wide ? AMR_WIDE_SAMPLES : AMR_NARROW_SAMPLES;
}

static size_t decode_nothing(struct amr_decoder *d, int16_t *out)
{
	static const uint8_t nothing[AMRPACK_MAX_FRAME] = { NO_DATA };

	return decode_frame(d, nothing, out);
}

size_t amr_decode(struct amr_decoder *d, const uint8_t *frame, int16_t *out)
{
	enum amrpack_kind kind = amrpack_kind(d->wide, frame);

	if (kind == AMRPACK_NOTHING || !amrpack_is_good(frame))
		return decode_nothing(d, out);
	d->pauses = kind == AMRPACK_SILENCE;
	return decode_frame(d, frame, out);
}

size_t amr_decode_noise(struct amr_decoder *d, int16_t *out)
{
	return d->pauses ? decode_nothing(d, out) : 0;
}

/* ---- encoding ---- */

struct amr_encoder *amr_encoder_new(bool wide)
{
	struct amr_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->wide = wide;
	e->state = wide ? E_IF_init() : Encoder_Interface_init(0);
	if (e->state)
		return e;
	free(e);
	return NULL;
}

void amr_encoder_free(struct amr_encoder *e)
{
	if (!e)
		return;
	if (e->wide)
		E_IF_exit(e->state);
	else
		Encoder_Interface_exit(e->state);
	free(e);
}

void amr_encode(struct amr_encoder *e, unsigned int mode, const int16_t *samples,
		uint8_t out[AMRPACK_MAX_FRAME])
{
	if (e->wide)
		E_IF_encode(e->state, (int)mode, samples, out, 0);
	else
		Encoder_Interface_Encode(e->state, (enum Mode)mode, samples, out, 0);
}
