/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amr.h - encodes and decodes frames of AMR and AMR-WB, in the form of amrpack.h. The Makefile
 * chooses amr.c, which calls opencore-amr and vo-amrwbenc, or amr_none.c.
 *
 * Samples are signed 16-bit in host byte order. Only one thread at a time may use an object.
 */
#ifndef RTPX_AMR_H
#define RTPX_AMR_H

#include "media/amrpack.h"

#define AMR_NARROW_SAMPLES 160
#define AMR_WIDE_SAMPLES 320

/* amr_is_built - false in a build without the libraries; amr_decoder_new() then gives NULL. */
bool amr_is_built(void);

struct amr_decoder;

struct amr_decoder *amr_decoder_new(bool wide); /* NULL: no memory */
void amr_decoder_free(struct amr_decoder *d);	/* NULL is allowed */

/*
 * amr_decode - decode a frame to AMR_NARROW_SAMPLES or AMR_WIDE_SAMPLES at @out, and return their
 * number. A frame that is not good sounds like one that was lost: like the one before it.
 */
size_t amr_decode(struct amr_decoder *d, const uint8_t *frame, int16_t *out);

/*
 * amr_decode_noise - one more frame of the noise in a pause; returns its samples. 0: the latest
 * frame was speech.
 */
size_t amr_decode_noise(struct amr_decoder *d, int16_t *out);

struct amr_encoder;

struct amr_encoder *amr_encoder_new(bool wide); /* NULL: no memory */
void amr_encoder_free(struct amr_encoder *e);	/* NULL is allowed */

/*
 * amr_encode - encode one frame of samples in @mode, the number of a frame type: 0 to 7, or to 8
 * for AMR-WB. Pauses are encoded as speech.
 */
void amr_encode(struct amr_encoder *e, unsigned int mode, const int16_t *samples,
		uint8_t out[AMRPACK_MAX_FRAME]);

#endif
