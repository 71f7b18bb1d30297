/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio.h - encodes and decodes telephone audio with libraries: spandsp (G.711, GSM 06.10, G.722),
 * bcg729, opus. codec.h has the frames of codecs in RTP.
 *
 * Samples are signed 16-bit in host byte order. Only one thread at a time may use an object.
 */
#ifndef RTPX_AUDIO_H
#define RTPX_AUDIO_H

#include "base/base.h"

#define AUDIO_MAX_PACKET_MS 240
#define AUDIO_MAX_SAMPLES (48 * AUDIO_MAX_PACKET_MS * 2) /* in a packet: 48 kHz, two channels */

enum audio_kind {
	AUDIO_PCMU,
	AUDIO_PCMA,
	AUDIO_GSM,
	AUDIO_G722,
	AUDIO_G729,
	AUDIO_L16,
	AUDIO_OPUS
};

/* One way to carry audio in RTP. */
struct audio_codec {
	enum audio_kind kind;
	const char *name;   /* encoding name in SDP */
	int payload_type;   /* static type of RFC 3551; -1: none */
	unsigned int rate;  /* samples a second */
	unsigned int clock; /* RTP ticks a second; G.722: not its rate */
	unsigned int channels;
	unsigned int frame_samples; /* samples in a frame to encode */
	unsigned int frame_bytes;   /* longest encoded frame */
};

/* audio_codec_of - codec of a static payload type; NULL: no such type, or not supported here. */
const struct audio_codec *audio_codec_of(unsigned int payload_type);

/*
 * audio_codec_parse - parse "NAME[/RATE[/CHANNELS]]" as in an rtpmap of SDP, ignoring case. 0, or
 * -EINVAL for an unknown encoding, or one that has not this rate or number of channels.
 */
int audio_codec_parse(const char *text, struct audio_codec *out);

struct audio_encoder;

/* audio_encoder_new - for one channel. NULL: no memory. */
struct audio_encoder *audio_encoder_new(const struct audio_codec *codec);
void audio_encoder_free(struct audio_encoder *e);

/*
 * audio_encode - encode @n samples of one channel, in whole frames, to @out, which has room for
 * n / frame_samples * frame_bytes bytes. Returns the bytes written. An Opus packet stands behind
 * its length, which is two bytes, the higher one first.
 */
size_t audio_encode(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out);

struct audio_decoder;

struct audio_decoder *audio_decoder_new(const struct audio_codec *codec); /* NULL: no memory */
void audio_decoder_free(struct audio_decoder *d);

/*
 * audio_decode - decode the payload of a packet to @out. Returns the samples of all channels
 * together, or -EBADMSG for a payload that is not of this codec; @out is then undefined.
 */
int audio_decode(struct audio_decoder *d, const uint8_t *payload, size_t len,
		 int16_t out[AUDIO_MAX_SAMPLES]);

#endif
