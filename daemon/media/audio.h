/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio.h - telephone audio, encoded and decoded by the libraries of the field: spandsp (G.711,
 * GSM 06.10, G.722), bcg729, opus. How codecs are cut into frames on the way is codec.h's.
 *
 * Samples are signed 16-bit in the machine's byte order. No object is for two threads at a time.
 */
#ifndef RTPX_AUDIO_H
#define RTPX_AUDIO_H

#include "base/base.h"

#define AUDIO_MAX_PACKET_MS 240
#define AUDIO_MAX_SAMPLES (48 * AUDIO_MAX_PACKET_MS * 2) /* of a packet: 48 kHz, two channels */

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
	const char *name;    /* of the encoding in SDP */
	int payload_type;    /* static one of RFC 3551; -1: there is none */
	unsigned int rate;   /* samples a second */
	unsigned int clock;  /* RTP ticks a second; G.722's is not its rate */
	unsigned int channels;
	unsigned int frame_samples; /* what encoding works in */
	unsigned int frame_bytes;   /* what comes of it at most */
};

/* audio_codec_of - by static payload type; NULL: none, or one that is not decoded here. */
const struct audio_codec *audio_codec_of(unsigned int payload_type);

/*
 * audio_codec_parse - "NAME[/RATE[/CHANNELS]]" as in an rtpmap of SDP, letters of any case.
 * -EINVAL: no such encoding, or not with this rate.
 */
int audio_codec_parse(const char *text, struct audio_codec *out);

struct audio_encoder;

/* audio_encoder_new - for all but Opus, whose packets are no prompt; NULL: no memory. */
struct audio_encoder *audio_encoder_new(const struct audio_codec *codec);
void audio_encoder_free(struct audio_encoder *e);

/*
 * audio_encode - @n samples of one channel, whole frames, into @out, which has room for
 * n / frame_samples * frame_bytes; returns bytes.
 */
size_t audio_encode(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out);

struct audio_decoder;

struct audio_decoder *audio_decoder_new(const struct audio_codec *codec); /* NULL: no memory */
void audio_decoder_free(struct audio_decoder *d);

/*
 * audio_decode - the payload of a packet, into @out; returns samples, of all channels together.
 * -EBADMSG: not of this codec, and nothing is in @out.
 */
int audio_decode(struct audio_decoder *d, const uint8_t *payload, size_t len,
		 int16_t out[AUDIO_MAX_SAMPLES]);

#endif
