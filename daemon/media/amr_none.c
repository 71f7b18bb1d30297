/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amr_none.c - the twin of amr.c for a build without AMR. Prompts whose frames are in files play
 * all the same, because amrpack needs no library.
 */
#include "media/amr.h"

bool amr_is_built(void)
{
	return false;
}

struct amr_decoder *amr_decoder_new(bool wide)
{
	(void)wide;
	return NULL;
}

void amr_decoder_free(struct amr_decoder *d)
{
	(void)d;
}

size_t amr_decode(struct amr_decoder *d, const uint8_t *frame, int16_t *out)
{
	(void)d, (void)frame, (void)out;
	return 0;
}

size_t amr_decode_noise(struct amr_decoder *d, int16_t *out)
{
	(void)d, (void)out;
	return 0;
}

struct amr_encoder *amr_encoder_new(bool wide)
{
	(void)wide;
	return NULL;
}

void amr_encoder_free(struct amr_encoder *e)
{
	(void)e;
}

void amr_encode(struct amr_encoder *e, unsigned int mode, const int16_t *samples,
		uint8_t out[AMRPACK_MAX_FRAME])
{
	(void)e, (void)mode, (void)samples;
	memset(out, 0, AMRPACK_MAX_FRAME);
}
