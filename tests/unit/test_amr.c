/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_amr.c - a tone through AMR and AMR-WB, the noise of a pause, and packets that repeat frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "../../daemon/media/amr.c"
#include "tone.h"

static void each_form_and_mode(void **state)
{
	(void)state;
	packets_there_and_back("AMR", 0.95);
	packets_there_and_back("AMR/8000/1;octet-align=1", 0.95);
	packets_there_and_back("AMR;mode-set=0", 0.7);
	packets_there_and_back("AMR-WB/16000", 0.95);
	packets_there_and_back("amr-wb;octet-align=1;mode-set=0,2", 0.8);
}

static double loudness(const int16_t *s, size_t n)
{
	double sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += (double)s[i] * s[i];
	return sqrt(sum / n);
}

/* A sender that is silent describes the noise around it, and sends nothing else (TS 26.093). */
static void noise_in_a_pause(void **state)
{
	void *e = Encoder_Interface_init(1);
	struct audio_codec c;
	struct audio_decoder *d;
	const char *why;
	static int16_t got[AUDIO_MAX_SAMPLES];
	int16_t in[160];
	uint8_t frame[64], payload[AMRPACK_MAX_PAYLOAD];
	uint32_t random = 1;
	int i, k, described = 0, empty = 0;
	double noise = 0;

	(void)state;
	assert_int_equal(audio_codec_parse("AMR", &c, &why), 0);
	d = audio_decoder_new(&c);
	assert_true(e && d);
	for (i = 0; i < 200; i++) {
		for (k = 0; k < 160; k++) {
			random = random * 1664525 + 1013904223;
			in[k] = (int16_t)((int)(random >> 16 & 255) - 128);
		}
		Encoder_Interface_Encode(e, MR122, in, frame, 0);
		if (amrpack_kind(false, frame) == AMRPACK_SPEECH)
			assert_int_equal(audio_decode_noise(d, got), 0);
		if (amrpack_kind(false, frame) == AMRPACK_NOTHING) {
			empty++;
			assert_int_equal(audio_decode_noise(d, got), 160);
		} else {
			described += amrpack_kind(false, frame) == AMRPACK_SILENCE;
			k = (int)amrpack_write((struct amrpack_form){ 0 }, frame, payload);
			assert_int_equal(audio_decode(d, payload, (size_t)k, 0, got), 160);
		}
		if (i >= 150)
			noise += loudness(got, 160) / 50;
	}
	assert_true(described > 10 && empty > 5 * described);
	assert_true(noise > 30 && noise < 120); /* of 74 */
	Encoder_Interface_exit(e);
	audio_decoder_free(d);
}

/* Frames that an earlier packet had are not decoded again (RFC 4867 section 3.7.1). */
static void redundant_frames(void **state)
{
	struct audio_codec c;
	struct audio_encoder *e;
	struct audio_decoder *once, *twice;
	const char *why;
	int16_t *in = glide(8000);
	static int16_t want[AUDIO_MAX_SAMPLES], got[AUDIO_MAX_SAMPLES];
	uint8_t bytes[50 * 35];
	int i;

	(void)state;
	assert_int_equal(audio_codec_parse("AMR;octet-align=1", &c, &why), 0);
	e = audio_encoder_new(&c);
	once = audio_decoder_new(&c);
	twice = audio_decoder_new(&c);
	assert_true(e && once && twice && in);
	assert_int_equal(audio_encode(e, in, 8000, bytes), sizeof(bytes));
	for (i = 0; i < 50; i++) {
		const uint8_t *p = bytes + 35 * i + 2;

		assert_int_equal(audio_decode(once, p, 33, 0, want), 160);
		if (!i) {
			assert_int_equal(audio_decode(twice, p, 33, 0, got), 160);
			continue;
		}
		/* a request, the table of both frames, the frame before, this frame */
		uint8_t packet[3 + 2 * 31] = { 0xf0, 0x80 | 0x3c, 0x3c };

		memcpy(packet + 3, p - 35 + 2, 31);
		memcpy(packet + 3 + 31, p + 2, 31);
		assert_int_equal(audio_decode(twice, packet, sizeof(packet), 160, got), 320);
		assert_memory_equal(got + 160, want, 320);
	}
	audio_encoder_free(e);
	audio_decoder_free(once);
	audio_decoder_free(twice);
	free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_and_mode),
		cmocka_unit_test(noise_in_a_pause),
		cmocka_unit_test(redundant_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
