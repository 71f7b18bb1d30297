/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_audio.c - encodes and decodes a tone with every codec. Lossless codecs must return it
 * exactly. The tests of the tools compare with other programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../daemon/media/audio.c"
#include "tone.h"

#define SECOND_PARTS 10

static void there_and_back(unsigned int payload_type, double want)
{
	const struct audio_codec *c = audio_codec_of(payload_type);
	struct audio_encoder *e = audio_encoder_new(c);
	struct audio_decoder *d = audio_decoder_new(c);
	unsigned int part = c->rate / SECOND_PARTS, i, n = 0;
	int16_t *in = glide(c->rate), *out = calloc(c->rate, sizeof(*out));
	static int16_t got[AUDIO_MAX_SAMPLES];
	uint8_t bytes[AUDIO_MAX_SAMPLES * 2];

	assert_true(e && d && in && out);
	part -= part % (2 * c->frame_samples);
	for (i = 0; i + part <= c->rate; i += part) {
		size_t len = audio_encode(e, in + i, part, bytes);
		int k = audio_decode(d, bytes, len, 0, got);

		assert_int_equal(k, part);
		memcpy(out + n, got, k * sizeof(*out));
		n += k;
	}
	assert_true(likeness(in, out, n, c->rate / 100) >= want);
	audio_encoder_free(e);
	audio_decoder_free(d);
	free(in);
	free(out);
}

static void test_pcmu(void **state)
{
	(void)state;
	there_and_back(0, 0.999);
}

static void test_pcma(void **state)
{
	(void)state;
	there_and_back(8, 0.999);
}

static void test_gsm(void **state)
{
	(void)state;
	there_and_back(3, 0.95);
}

static void test_g722(void **state)
{
	(void)state;
	there_and_back(9, 0.99);
}

static void test_g729(void **state)
{
	(void)state;
	there_and_back(18, 0.8);
}

static void test_l16(void **state)
{
	(void)state;
	there_and_back(11, 1 - 1e-9);
}

/* ITU-T G.711: decoding a byte and encoding the result gives the same byte. */
static void test_g711_is_exact(void **state)
{
	static const unsigned int types[] = { 0, 8 };
	size_t t;
	int b;

	(void)state;
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		struct audio_encoder *e = audio_encoder_new(audio_codec_of(types[t]));
		struct audio_decoder *d = audio_decoder_new(audio_codec_of(types[t]));
		static int16_t s[AUDIO_MAX_SAMPLES];

		assert_true(e && d);
		for (b = 0; b < 256; b++) {
			uint8_t in = b, out;

			assert_int_equal(audio_decode(d, &in, 1, 0, s), 1);
			audio_encode(e, s, 1, &out);
			assert_true(out == in || s[0] == 0); /* zero has two signs */
		}
		audio_encoder_free(e);
		audio_decoder_free(d);
	}
}

/* The code of a magnitude. Code c begins at decision_value(c); that value itself may be c - 1. */
static uint8_t magnitude_code(unsigned int (*decision_value)(unsigned int), unsigned int magnitude,
			      bool *tie)
{
	unsigned int code = 0;

	while (code < 127 && decision_value(code + 1) < magnitude)
		code++;
	*tie = code < 127 && decision_value(code + 1) == magnitude;
	return code;
}

/* ITU-T G.711 table 2a, in 16 bits. */
static unsigned int ulaw_decision(unsigned int code)
{
	return 4 * (((2 * (code & 15) + 32) << (code >> 4)) - 33);
}

/* ITU-T G.711 table 1a, in 16 bits. */
static unsigned int alaw_decision(unsigned int code)
{
	return code < 16 ? 16 * code : (16 + (code & 15)) << (3 + (code >> 4));
}

/* Every sample, negative or not, falls between G.711's decision values. */
static void test_g711_decides_as_its_tables(void **state)
{
	static const struct {
		unsigned int payload_type;
		unsigned int (*decision_value)(unsigned int code);
		uint8_t inverted; /* inverted bits; for non-negative samples also the sign */
	} laws[] = { { 0, ulaw_decision, 0xff }, { 8, alaw_decision, 0xd5 } };
	size_t i;
	int v;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(laws); i++) {
		struct audio_encoder *e = audio_encoder_new(audio_codec_of(laws[i].payload_type));

		assert_non_null(e);
		for (v = INT16_MIN; v <= INT16_MAX; v++) {
			int16_t sample = v;
			uint8_t want, out;
			bool tie;

			want = magnitude_code(laws[i].decision_value, abs(v), &tie);
			audio_encode(e, &sample, 1, &out);
			out ^= laws[i].inverted;
			if (v) /* zero has two signs */
				assert_int_equal(out >> 7, v < 0);
			out &= 0x7f;
			assert_true(out == want || (tie && out == want + 1));
		}
		audio_encoder_free(e);
	}
}

static void test_opus(void **state)
{
	OpusEncoder *e;
	struct audio_codec c;
	const char *why;
	struct audio_decoder *d;
	int16_t *in = glide(48000), *out = calloc(48000, sizeof(*out));
	static int16_t got[AUDIO_MAX_SAMPLES];
	uint8_t bytes[1500];
	int i, k, len, err;

	(void)state;
	assert_int_equal(audio_codec_parse("opus/48000/2", &c, &why), 0);
	d = audio_decoder_new(&c);
	e = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, &err);
	assert_true(in && out && d && e);
	for (i = 0; i < 48000; i += 960) {
		len = opus_encode(e, in + i, 960, bytes, sizeof(bytes));
		k = audio_decode(d, bytes, len, 0, got);
		assert_int_equal(k, 960 * 2);
		for (k = 0; k < 960; k++)
			out[i + k] = got[2 * k];
	}
	assert_true(likeness(in, out, 48000, 480) > 0.9);
	opus_encoder_destroy(e);
	audio_decoder_free(d);
	free(in);
	free(out);
}

/* No payload from the network overflows the buffer; malformed payloads are refused. */
static void test_bad_payloads(void **state)
{
	static const unsigned int types[] = { 0, 3, 8, 9, 10, 11, 18 };
	static uint8_t junk[65536];
	static int16_t s[AUDIO_MAX_SAMPLES];
	size_t t, len;

	(void)state;
	memset(junk, 0x5a, sizeof(junk));
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		struct audio_decoder *d = audio_decoder_new(audio_codec_of(types[t]));

		assert_non_null(d);
		assert_int_equal(audio_decode(d, junk, 0, 0, s), -EBADMSG);
		assert_int_equal(audio_decode(d, junk, sizeof(junk), 0, s), -EBADMSG);
		for (len = 1; len < 300; len++)
			assert_true(audio_decode(d, junk, len, 0, s) <= AUDIO_MAX_SAMPLES);
		audio_decoder_free(d);
	}
}

static void test_speex(void **state)
{
	(void)state;
	packets_there_and_back("speex", 0.9);
	packets_there_and_back("speex/16000", 0.9);
	packets_there_and_back("speex/32000", 0.9);
}

/* Any payload ends in samples or in an error. */
static void test_bad_packets(void **state)
{
	static const char *const names[] = { "AMR",	    "AMR;octet-align=1",
					     "AMR-WB",	    "AMR-WB;octet-align=1",
					     "speex",	    "speex/16000",
					     "speex/32000", "opus" };
	static int16_t s[AUDIO_MAX_SAMPLES];
	uint32_t random = 7;
	uint8_t junk[130];
	size_t t, i, len;

	(void)state;
	for (t = 0; t < ARRAY_SIZE(names); t++) {
		struct audio_codec c;
		struct audio_decoder *d;
		const char *why;

		assert_int_equal(audio_codec_parse(names[t], &c, &why), 0);
		if (!audio_is_built(&c))
			continue;
		d = audio_decoder_new(&c);
		assert_non_null(d);
		assert_int_equal(audio_decode(d, junk, 0, 0, s), -EBADMSG);
		for (i = 0; i < 1000; i++) {
			for (len = 0; len < sizeof(junk); len++) {
				random = random * 1664525 + 1013904223;
				junk[len] = (uint8_t)(random >> 24);
			}
			assert_true(audio_decode(d, junk, random % sizeof(junk), 0, s) <=
				    AUDIO_MAX_SAMPLES);
		}
		audio_decoder_free(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcmu),
		cmocka_unit_test(test_pcma),
		cmocka_unit_test(test_gsm),
		cmocka_unit_test(test_g722),
		cmocka_unit_test(test_g729),
		cmocka_unit_test(test_l16),
		cmocka_unit_test(test_g711_is_exact),
		cmocka_unit_test(test_g711_decides_as_its_tables),
		cmocka_unit_test(test_opus),
		cmocka_unit_test(test_bad_payloads),
		cmocka_unit_test(test_speex),
		cmocka_unit_test(test_bad_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
