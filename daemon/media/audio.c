/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio.c - the table of codecs, and a common interface to the libraries.
 */
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
#include <errno.h>
#include <opus/opus.h>
#include <spandsp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "media/audio.h"

#define G722_BITS 64000
#define G729_BYTES 10
#define G729_SAMPLES 80
#define G729_SILENCE_BYTES 2
#define OPUS_BITS 32000 /* a second, of one channel */
#define GSM_BYTES 33
#define GSM_SAMPLES 160

static const struct audio_codec codecs[] = {
	/* kind, name, type, rate, clock, channels, frame in samples and bytes */
	{ AUDIO_PCMU, "PCMU", 0, 8000, 8000, 1, 1, 1 },
	{ AUDIO_GSM, "GSM", 3, 8000, 8000, 1, GSM_SAMPLES, GSM_BYTES },
	{ AUDIO_PCMA, "PCMA", 8, 8000, 8000, 1, 1, 1 },
	{ AUDIO_G722, "G722", 9, 16000, 8000, 1, 2, 1 },
	{ AUDIO_L16, "L16", 10, 44100, 44100, 2, 1, 2 },
	{ AUDIO_L16, "L16", 11, 44100, 44100, 1, 1, 2 },
	{ AUDIO_G729, "G729", 18, 8000, 8000, 1, G729_SAMPLES, G729_BYTES },
	{ AUDIO_OPUS, "opus", -1, 48000, 48000, 2, 960, 2 + 1275 },
};

const struct audio_codec *audio_codec_of(unsigned int payload_type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].payload_type == (int)payload_type)
			return &codecs[i];
	return NULL;
}

static const struct audio_codec *encoding_named(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codecs); i++)
		if (!strcasecmp(codecs[i].name, name))
			return &codecs[i];
	return NULL;
}

int audio_codec_parse(const char *text, struct audio_codec *out)
{
	const struct audio_codec *found;
	unsigned int rate = 0, channels = 0;
	char name[16], rest;
	int n = sscanf(text, "%15[A-Za-z0-9]/%u/%u%c", name, &rate, &channels, &rest);

	found = n >= 1 && n <= 3 ? encoding_named(name) : NULL;
	if (!found || (n == 1 && strlen(name) != strlen(text)))
		return -EINVAL;
	*out = *found;
	if (found->kind == AUDIO_L16) {
		out->channels = n == 3 ? channels : 1;
		out->rate = out->clock = n >= 2 ? rate : found->rate;
		return out->channels >= 1 && out->channels <= 2 && out->rate >= 8000 &&
				       out->rate <= 48000
			       ? 0
			       : -EINVAL;
	}
	return (n >= 2 && rate != found->clock) || (n == 3 && channels != found->channels) ? -EINVAL
											   : 0;
}

/* ---- encoders and decoders of the libraries ---- */

union coder {
	g722_encode_state_t *g722_encode;
	g722_decode_state_t *g722_decode;
	gsm0610_state_t *gsm;
	bcg729EncoderChannelContextStruct *g729_encode;
	bcg729DecoderChannelContextStruct *g729_decode;
	OpusDecoder *opus;
	OpusEncoder *opus_encode;
	void *any;
};

struct audio_encoder {
	struct audio_codec codec;
	union coder u;
};

struct audio_decoder {
	struct audio_codec codec;
	union coder u;
};

/* Prompts are speech or music, made once and played often. NULL: no memory. */
static OpusEncoder *opus_new(const struct audio_codec *codec)
{
	int err;
	OpusEncoder *o = opus_encoder_create(codec->rate, 1, OPUS_APPLICATION_AUDIO, &err);

	if (o)
		opus_encoder_ctl(o, OPUS_SET_BITRATE(OPUS_BITS));
	return o;
}

struct audio_encoder *audio_encoder_new(const struct audio_codec *codec)
{
	struct audio_encoder *e = calloc(1, sizeof(*e));
	bool whole = true;

	if (!e)
		return NULL;
	e->codec = *codec;
	if (codec->kind == AUDIO_G722)
		whole = (e->u.g722_encode = g722_encode_init(NULL, G722_BITS, 0));
	else if (codec->kind == AUDIO_GSM)
		whole = (e->u.gsm = gsm0610_init(NULL, GSM0610_PACKING_VOIP));
	else if (codec->kind == AUDIO_G729)
		whole = (e->u.g729_encode = initBcg729EncoderChannel(0));
	else if (codec->kind == AUDIO_OPUS)
		whole = (e->u.opus_encode = opus_new(codec));
	if (whole)
		return e;
	free(e);
	return NULL;
}

void audio_encoder_free(struct audio_encoder *e)
{
	if (!e)
		return;
	if (e->codec.kind == AUDIO_G722)
		g722_encode_free(e->u.g722_encode);
	else if (e->codec.kind == AUDIO_GSM)
		gsm0610_free(e->u.gsm);
	else if (e->codec.kind == AUDIO_G729)
		closeBcg729EncoderChannel(e->u.g729_encode);
	else if (e->codec.kind == AUDIO_OPUS)
		opus_encoder_destroy(e->u.opus_encode);
	free(e);
}

static size_t encode_g729(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out)
{
	size_t at, bytes = 0;
	uint8_t len;

	for (at = 0; at + G729_SAMPLES <= n; at += G729_SAMPLES) {
		bcg729Encoder(e->u.g729_encode, samples + at, out + bytes, &len);
		bytes += len;
	}
	return bytes;
}

static size_t encode_opus(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out)
{
	const size_t frame = e->codec.frame_samples;
	size_t at, bytes = 0;
	int len;

	for (at = 0; at + frame <= n; at += frame) {
		len = opus_encode(e->u.opus_encode, samples + at, frame, out + bytes + 2,
				  e->codec.frame_bytes - 2);
		if (len < 0)
			break;
		out[bytes] = len >> 8;
		out[bytes + 1] = len & 0xff;
		bytes += 2 + len;
	}
	return bytes;
}

size_t audio_encode(struct audio_encoder *e, const int16_t *samples, size_t n, uint8_t *out)
{
	size_t i;

	switch (e->codec.kind) {
	case AUDIO_PCMU:
		for (i = 0; i < n; i++)
			out[i] = linear_to_ulaw(samples[i]);
		return n;
	case AUDIO_PCMA:
		for (i = 0; i < n; i++)
			out[i] = linear_to_alaw(samples[i]);
		return n;
	case AUDIO_L16:
		for (i = 0; i < n; i++) {
			out[2 * i] = (uint16_t)samples[i] >> 8;
			out[2 * i + 1] = samples[i] & 0xff;
		}
		return 2 * n;
	case AUDIO_G722:
		return g722_encode(e->u.g722_encode, out, samples, n);
	case AUDIO_GSM:
		return gsm0610_encode(e->u.gsm, out, samples, n);
	case AUDIO_G729:
		return encode_g729(e, samples, n, out);
	case AUDIO_OPUS:
		return encode_opus(e, samples, n, out);
	}
	return 0;
}

struct audio_decoder *audio_decoder_new(const struct audio_codec *codec)
{
	struct audio_decoder *d = calloc(1, sizeof(*d));
	bool whole = true;
	int err;

	if (!d)
		return NULL;
	d->codec = *codec;
	if (codec->kind == AUDIO_G722)
		whole = (d->u.g722_decode = g722_decode_init(NULL, G722_BITS, 0));
	else if (codec->kind == AUDIO_GSM)
		whole = (d->u.gsm = gsm0610_init(NULL, GSM0610_PACKING_VOIP));
	else if (codec->kind == AUDIO_G729)
		whole = (d->u.g729_decode = initBcg729DecoderChannel());
	else if (codec->kind == AUDIO_OPUS)
		whole = (d->u.opus = opus_decoder_create(codec->rate, codec->channels, &err));
	if (whole)
		return d;
	free(d);
	return NULL;
}

void audio_decoder_free(struct audio_decoder *d)
{
	if (!d)
		return;
	if (d->codec.kind == AUDIO_G722)
		g722_decode_free(d->u.g722_decode);
	else if (d->codec.kind == AUDIO_GSM)
		gsm0610_free(d->u.gsm);
	else if (d->codec.kind == AUDIO_G729)
		closeBcg729DecoderChannel(d->u.g729_decode);
	else if (d->codec.kind == AUDIO_OPUS)
		opus_decoder_destroy(d->u.opus);
	free(d);
}

/* Frames have 10 bytes. A packet may end in a silence frame of 2 bytes (RFC 3551 section 4.5.6). */
static int decode_g729(struct audio_decoder *d, const uint8_t *in, size_t len, int16_t *out)
{
	size_t rest = len % G729_BYTES, at;
	int n = 0;

	if (rest && rest != G729_SILENCE_BYTES)
		return -EBADMSG;
	for (at = 0; at < len; at += G729_BYTES, n += G729_SAMPLES) {
		bool silence = len - at < G729_BYTES;

		bcg729Decoder(d->u.g729_decode, in + at, silence ? G729_SILENCE_BYTES : G729_BYTES,
			      0, silence, 0, out + n);
	}
	return n;
}

/*
 * The library does not check lengths, so refuse an incomplete frame here, and a frame without the
 * signature 0xd.
 */
static int decode_gsm(struct audio_decoder *d, const uint8_t *in, size_t len, int16_t *out)
{
	size_t at;

	for (at = 0; at < len; at += GSM_BYTES)
		if (len - at < GSM_BYTES || in[at] >> 4 != 0xd)
			return -EBADMSG;
	return gsm0610_decode(d->u.gsm, out, in, len);
}

static int decode_l16(const uint8_t *in, size_t len, unsigned int channels, int16_t *out)
{
	size_t i;

	if (len % (2 * channels))
		return -EBADMSG;
	for (i = 0; i < len / 2; i++)
		out[i] = (int16_t)(in[2 * i] << 8 | in[2 * i + 1]);
	return (int)i;
}

/*
 * Check that the samples in @len bytes fit in AUDIO_MAX_SAMPLES: most libraries do not check the
 * size of the output. opus_decode() does.
 */
static bool packet_fits(const struct audio_codec *c, size_t len)
{
	return c->kind == AUDIO_OPUS ||
	       (len + c->frame_bytes - 1) / c->frame_bytes * c->frame_samples <= AUDIO_MAX_SAMPLES;
}

int audio_decode(struct audio_decoder *d, const uint8_t *payload, size_t len,
		 int16_t out[AUDIO_MAX_SAMPLES])
{
	size_t i;
	int n;

	if (!len || !packet_fits(&d->codec, len))
		return -EBADMSG;
	switch (d->codec.kind) {
	case AUDIO_PCMU:
		for (i = 0; i < len; i++)
			out[i] = ulaw_to_linear(payload[i]);
		return (int)len;
	case AUDIO_PCMA:
		for (i = 0; i < len; i++)
			out[i] = alaw_to_linear(payload[i]);
		return (int)len;
	case AUDIO_L16:
		return decode_l16(payload, len, d->codec.channels, out);
	case AUDIO_G722:
		return g722_decode(d->u.g722_decode, out, payload, len);
	case AUDIO_GSM:
		return decode_gsm(d, payload, len, out);
	case AUDIO_G729:
		return decode_g729(d, payload, len, out);
	case AUDIO_OPUS:
		n = opus_decode(d->u.opus, payload, len, out, 48 * AUDIO_MAX_PACKET_MS, 0);
		return n < 0 ? -EBADMSG : n * (int)d->codec.channels;
	}
	return -EBADMSG;
}
