/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_speexpack.c - frames of each mode, by hand; then those of libspeex of each rate and quality.
 * Payloads lie in memory of their own size, so that the sanitizer sees a byte read beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <speex/speex.h>

#include "../../daemon/media/speexpack.c"

static int frames(unsigned int rate, const void *bytes, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);
	int n;

	assert_non_null(p);
	memcpy(p, bytes, len);
	n = speexpack_frames(rate, p, len);
	free(p);
	return n;
}

/* A bit 0 and a mode of 4 bits begin a frame. */
static void by_hand(void **state)
{
	static const struct {
		size_t len;
		int frames;
		uint8_t head[2];
	} rows[] = {
		{ 0, -EBADMSG, { 0 } },
		{ 1, 1, { 0x00 | 3 } },	     /* mode 0, 5 bits; 3 of padding */
		{ 5, -EBADMSG, { 1 << 3 } }, /* mode 1 has 43 bits */
		{ 6, 1, { 1 << 3 } },	     /* and 5 zeros: mode 0 */
		{ 62, 1, { 7 << 3 } },	     /* 492 bits */
		{ 61, -EBADMSG, { 7 << 3 } },
		{ 20, -EBADMSG, { 9 << 3 } },	    /* no such mode */
		{ 20, -EBADMSG, { 15 << 3 } },	    /* the end, before a frame */
		{ 20, -EBADMSG, { 0x80 } },	    /* wide band, before a frame */
		{ 2, -EBADMSG, { 14 << 3, 0x1e } }, /* a message of 10 bits, then the end */
		{ 64, -EBADMSG, { 0 } },	    /* 102 frames of mode 0 */
	};
	uint8_t p[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		memset(p, 0, sizeof(p));
		memcpy(p, rows[i].head, 2);
		if (rows[i].len == 6)
			p[5] = 0x0f; /* 43 bits, then 01111: the end */
		assert_int_equal(frames(8000, p, rows[i].len), rows[i].frames);
	}
}

/* Wide-band parts: a bit 1 and a mode of 3 bits. Here mode 0, which has no more bits. */
static void parts(void **state)
{
	static const struct {
		unsigned int rate;
		int frames;
		uint8_t bytes[3];
		size_t len;
	} rows[] = {
		/* 00000 1000 00000 01 */
		{ 8000, -EBADMSG, { 0x04, 0x01 }, 2 },
		{ 16000, 2, { 0x04, 0x01 }, 2 },
		{ 32000, 2, { 0x04, 0x01 }, 2 },
		/* 00000 1000 1000 00000 011111 */
		{ 16000, -EBADMSG, { 0x04, 0x40, 0x1f }, 3 },
		{ 32000, 2, { 0x04, 0x40, 0x1f }, 3 },
		/* 00000 1000 1010 00000 011111: up to 32 kHz, there is no mode 2 */
		{ 32000, -EBADMSG, { 0x04, 0x50, 0x1f }, 3 },
		/* 00000 100: a part without its mode */
		{ 8000, 1, { 0x04 }, 1 },
		{ 16000, -EBADMSG, { 0x04 }, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(frames(rows[i].rate, rows[i].bytes, rows[i].len), rows[i].frames);
}

static void of_libspeex(unsigned int mode, int quality, int n)
{
	void *e = speex_encoder_init(speex_lib_get_mode((int)mode));
	int16_t samples[640];
	SpeexBits bits;
	char p[2000];
	int len, i, k, cut;

	assert_non_null(e);
	speex_encoder_ctl(e, SPEEX_SET_QUALITY, &quality);
	speex_bits_init(&bits);
	for (i = 0; i < n; i++) {
		for (k = 0; k < 640; k++)
			samples[k] = (int16_t)(k * 2654435761u >> 18);
		speex_encode_int(e, samples, &bits);
	}
	len = speex_bits_write(&bits, p, sizeof(p));
	/* A cut may leave a whole narrow-band frame without its wide-band part. */
	assert_int_equal(frames(8000u << mode, p, (size_t)len), n);
	for (cut = 0; cut < len; cut++)
		assert_true(frames(8000u << mode, p, (size_t)cut) < n + (mode > SPEEX_MODEID_NB));
	speex_bits_destroy(&bits);
	speex_encoder_destroy(e);
}

static void every_rate_and_quality(void **state)
{
	unsigned int mode;
	int quality, n;

	(void)state;
	for (mode = SPEEX_MODEID_NB; mode <= SPEEX_MODEID_UWB; mode++)
		for (quality = 0; quality <= 10; quality++)
			for (n = 1; n <= 3; n++)
				of_libspeex(mode, quality, n);
}

static void any_bytes(void **state)
{
	uint32_t random = 1;
	uint8_t p[64];
	size_t i, at;
	int n;

	(void)state;
	for (i = 0; i < 20000; i++) {
		for (at = 0; at < sizeof(p); at++) {
			random = random * 1664525 + 1013904223;
			p[at] = (uint8_t)(random >> 24);
		}
		n = frames(8000u << i % 3, p, random >> 16 & 63);
		assert_true(n == -EBADMSG || (n >= 1 && n <= SPEEXPACK_MAX_FRAMES));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_hand),
		cmocka_unit_test(parts),
		cmocka_unit_test(every_rate_and_quality),
		cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
