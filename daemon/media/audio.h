/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio.h - encodes and decodes telephone audio with libraries: spandsp (G.711, GSM 06.10, G.722),
 * bcg729, opus, libspeex, and those of amr.h. codec.h has the frames of codecs in RTP.
 *
 * Samples are signed 16-bit in host byte order. Only one thread at a time may use an object.
 */
#ifndef RTPX_AUDIO_H
#define RTPX_AUDIO_H

#include "media/audio_codec.h"

#define AUDIO_MAX_PACKET_MS 240
#define AUDIO_MAX_SAMPLES (48 * AUDIO_MAX_PACKET_MS * 2) /* in a packet: 48 kHz, two channels */

/* audio_is_built - true if a library of this build encodes and decodes @c. */
bool audio_is_built(const struct audio_codec *c);

struct audio_encoder;

/* audio_encoder_new - for one channel. NULL: no memory. */
struct audio_encoder *audio_encoder_new(const struct audio_codec *codec);
void audio_encoder_free(struct audio_encoder *e);

/*
 * audio_encode - encode @n samples of one channel, in whole frames, to @out, which has room for
 * n / frame_samples * frame_bytes bytes. Returns the bytes written. Opus, AMR, AMR-WB and Speex
 * become payloads of one frame, each behind its length, which is two bytes, the higher one first.
 */
size_t audio_encode(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out);

struct audio_decoder;

struct audio_decoder *audio_decoder_new(const struct audio_codec *codec); /* NULL: no memory */
void audio_decoder_free(struct audio_decoder *d);

/*
 * audio_decode - decode the payload of a packet to @out. Returns the samples of all channels
 * together, or -EBADMSG for a payload that is not of this codec; @out is then undefined.
 * The first @known samples of the packet have been decoded from an earlier one, as with the
 * redundancy of RFC 4867 section 3.7.1: whole frames of AMR and AMR-WB among them are silent now.
 */
int audio_decode(struct audio_decoder *d, const uint8_t *payload, size_t len, size_t known,
		 int16_t out[AUDIO_MAX_SAMPLES]);

/*
 * audio_decode_noise - one more frame of the noise that the latest packet has described, for a
 * frame that the sender did not send. Returns the samples; 0: it has described none.
 */
int audio_decode_noise(struct audio_decoder *d, int16_t out[AUDIO_MAX_SAMPLES]);

#endif
