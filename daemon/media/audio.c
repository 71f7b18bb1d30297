/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio.c - a common interface to the libraries.
 */
#include <bcg729/decoder.h>
#include <bcg729/encoder.h>
#include <errno.h>
#include <opus/opus.h>
#include <spandsp.h>
#include <stdlib.h>

#include "media/audio.h"
#include "media/amr.h"
#include "media/spx.h"

#define G722_BITS 64000
#define G729_BYTES 10
#define G729_SAMPLES 80
#define G729_SILENCE_BYTES 2
#define OPUS_BITS 32000 /* a second, of one channel */
#define GSM_BYTES 33
#define LENGTH 2 /* bytes before a packet */

_Static_assert(AMRPACK_MAX_FRAMES *AMR_WIDE_SAMPLES <= AUDIO_MAX_SAMPLES, "a packet of AMR-WB");
_Static_assert(SPEEXPACK_MAX_FRAMES * 640 <= AUDIO_MAX_SAMPLES, "a packet of Speex at 32 kHz");

bool audio_is_built(const struct audio_codec *c)
{
	return amr_is_built() || (c->kind != AUDIO_AMR && c->kind != AUDIO_AMR_WB);
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
	struct amr_encoder *amr_encode;
	struct amr_decoder *amr;
	struct spx_encoder *spx_encode;
	struct spx_decoder *spx;
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

static bool is_wide(const struct audio_codec *c)
{
	return c->kind == AUDIO_AMR_WB;
}

static struct amrpack_form amr_form(const struct audio_codec *c)
{
	return (struct amrpack_form){ .wide = is_wide(c), .octet_aligned = c->octet_aligned };
}

/* Prompts are speech or music, made once and played often. NULL: no memory. */
static OpusEncoder *opus_new(const struct audio_codec *codec)
{
	int err;
	OpusEncoder *o = opus_encoder_create(codec->rate, 1, OPUS_APPLICATION_AUDIO, &err);

	if (o)
		opus_encoder_ctl(o, OPUS_SET_BITRATE(OPUS_BITS));
	return o;
}

/* A codec without state has no object: its own address stands for one. */
static void *encoder_state(const struct audio_codec *c)
{
	switch (c->kind) {
	case AUDIO_G722:
		return g722_encode_init(NULL, G722_BITS, 0);
	case AUDIO_GSM:
		return gsm0610_init(NULL, GSM0610_PACKING_VOIP);
	case AUDIO_G729:
		return initBcg729EncoderChannel(0);
	case AUDIO_OPUS:
		return opus_new(c);
	case AUDIO_AMR:
	case AUDIO_AMR_WB:
		return amr_encoder_new(is_wide(c));
	case AUDIO_SPEEX:
		return spx_encoder_new(c->rate);
	default:
		return (void *)c;
	}
}

struct audio_encoder *audio_encoder_new(const struct audio_codec *codec)
{
	struct audio_encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->codec = *codec;
	e->u.any = encoder_state(codec);
	if (e->u.any)
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
	else if (e->codec.kind == AUDIO_SPEEX)
		spx_encoder_free(e->u.spx_encode);
	else if (e->codec.kind == AUDIO_AMR || e->codec.kind == AUDIO_AMR_WB)
		amr_encoder_free(e->u.amr_encode);
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

static size_t encode_amr(struct audio_encoder *e, const int16_t *samples, uint8_t *out)
{
	uint8_t frame[AMRPACK_MAX_FRAME], payload[AMRPACK_MAX_PAYLOAD];
	size_t len;

	amr_encode(e->u.amr_encode, e->codec.mode, samples, frame);
	len = amrpack_write(amr_form(&e->codec), frame, payload);
	memcpy(out, payload, len);
	return len;
}

/* Encode one frame to the payload of a packet. 0: the library has refused it. */
static size_t encode_packet(struct audio_encoder *e, const int16_t *samples, uint8_t *out)
{
	int n;

	if (e->codec.kind == AUDIO_SPEEX)
		return spx_encode(e->u.spx_encode, samples, out);
	if (e->codec.kind != AUDIO_OPUS)
		return encode_amr(e, samples, out);
	n = opus_encode(e->u.opus_encode, samples, (int)e->codec.frame_samples, out,
			(int)e->codec.frame_bytes - LENGTH);
	return (size_t)MAX(n, 0);
}

static size_t encode_packets(struct audio_encoder *e, const int16_t *samples, size_t n,
			     uint8_t *out)
{
	const size_t frame = e->codec.frame_samples;
	size_t at, bytes = 0, len;

	for (at = 0; at + frame <= n; at += frame) {
		len = encode_packet(e, samples + at, out + bytes + LENGTH);
		if (!len)
			break;
		out[bytes] = len >> 8;
		out[bytes + 1] = len & 0xff;
		bytes += LENGTH + len;
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
	case AUDIO_AMR:
	case AUDIO_AMR_WB:
	case AUDIO_SPEEX:
		return encode_packets(e, samples, n, out);
	}
	return 0;
}

static void *decoder_state(const struct audio_codec *c)
{
	int err;

	switch (c->kind) {
	case AUDIO_G722:
		return g722_decode_init(NULL, G722_BITS, 0);
	case AUDIO_GSM:
		return gsm0610_init(NULL, GSM0610_PACKING_VOIP);
	case AUDIO_G729:
		return initBcg729DecoderChannel();
	case AUDIO_OPUS:
		return opus_decoder_create((int)c->rate, (int)c->channels, &err);
	case AUDIO_AMR:
	case AUDIO_AMR_WB:
		return amr_decoder_new(is_wide(c));
	case AUDIO_SPEEX:
		return spx_decoder_new(c->rate);
	default:
		return (void *)c;
	}
}

struct audio_decoder *audio_decoder_new(const struct audio_codec *codec)
{
	struct audio_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->codec = *codec;
	d->u.any = decoder_state(codec);
	if (d->u.any)
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
	else if (d->codec.kind == AUDIO_SPEEX)
		spx_decoder_free(d->u.spx);
	else if (d->codec.kind == AUDIO_AMR || d->codec.kind == AUDIO_AMR_WB)
		amr_decoder_free(d->u.amr);
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

/* A decoder must not take a frame twice. */
static int decode_amr(struct audio_decoder *d, const uint8_t *in, size_t len, size_t known,
		      int16_t *out)
{
	uint8_t frames[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME];
	const size_t samples = d->codec.frame_samples;
	int n = amrpack_parse(amr_form(&d->codec), in, len, frames), i;

	for (i = 0; i < n; i++) {
		if ((size_t)(i + 1) * samples <= known)
			memset(out + (size_t)i * samples, 0, samples * sizeof(*out));
		else
			amr_decode(d->u.amr, frames[i], out + (size_t)i * samples);
	}
	return n < 0 ? n : n * (int)samples;
}

/*
 * Check that the samples in @len bytes fit in AUDIO_MAX_SAMPLES: most libraries do not check the
 * size of the output. Decoders of packets do that tell the number of their frames.
 */
static bool packet_fits(const struct audio_codec *c, size_t len)
{
	return audio_codec_varies(c) ||
	       (len + c->frame_bytes - 1) / c->frame_bytes * c->frame_samples <= AUDIO_MAX_SAMPLES;
}

int audio_decode(struct audio_decoder *d, const uint8_t *payload, size_t len, size_t known,
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
	case AUDIO_AMR:
	case AUDIO_AMR_WB:
		return decode_amr(d, payload, len, known, out);
	case AUDIO_SPEEX:
		return spx_decode(d->u.spx, payload, len, out);
	}
	return -EBADMSG;
}

int audio_decode_noise(struct audio_decoder *d, int16_t out[AUDIO_MAX_SAMPLES])
{
	if (d->codec.kind != AUDIO_AMR && d->codec.kind != AUDIO_AMR_WB)
		return 0;
	return (int)amr_decode_noise(d->u.amr, out);
}
