/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spx.h - encodes and decodes RTP payloads of Speex (RFC 5574) with libspeex.
 *
 * Samples are signed 16-bit in host byte order. Only one thread at a time may use an object.
 */
#ifndef RTPX_SPX_H
#define RTPX_SPX_H

#include "media/speexpack.h"

struct spx_decoder;

/* spx_decoder_new - @rate is 8000, 16000 or 32000. NULL: no memory. */
struct spx_decoder *spx_decoder_new(unsigned int rate);
void spx_decoder_free(struct spx_decoder *d); /* NULL is allowed */

/*
 * spx_decode - decode a payload to @out, which has room for SPEEXPACK_MAX_FRAMES frames of 20 ms.
 * Returns the samples or -EBADMSG.
 */
int spx_decode(struct spx_decoder *d, const uint8_t *p, size_t len, int16_t *out);

struct spx_encoder;

struct spx_encoder *spx_encoder_new(unsigned int rate); /* NULL: no memory */
void spx_encoder_free(struct spx_encoder *e);		/* NULL is allowed */

/* spx_encode - the payload of 20 ms of samples. Returns its bytes. */
size_t spx_encode(struct spx_encoder *e, const int16_t *samples, uint8_t out[SPEEXPACK_MAX_FRAME]);

#endif
