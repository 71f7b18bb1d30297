/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_decrypt.c - streams that libsrtp has encrypted, in each suite: from their beginning, late,
 * with new keys in the middle, and without the right key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "../../tools/decrypt.c"

#define SSRC 0x11223344
#define BYTES 160
#define HEAD 12
#define ROOM (HEAD + BYTES + SRTP_MAX_TRAILER_LEN + DECRYPT_MAX_TRAILER)

/* A key and salt that @seed gives. */
static void key_of(const struct suite *suite, uint8_t seed, uint8_t key[64])
{
	size_t i;

	for (i = 0; i < suite->bytes; i++)
		key[i] = (uint8_t)(seed + 7 * i);
}

/* A crypto attribute of SDP with that key. */
static void spec_of(const struct suite *suite, uint8_t seed, char spec[200])
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t key[64] = { 0 };
	size_t len, i, chars = (suite->bytes * 8 + 5) / 6;

	key_of(suite, seed, key);
	len = (size_t)sprintf(spec, "a=crypto:1 %s inline:", suite->name);
	for (i = 0; i < chars; i++) {
		size_t bit = 6 * i, byte = bit / 8, shift = bit % 8;
		unsigned int two = key[byte] << 8 | key[byte + 1];

		spec[len++] = digits[two >> (10 - shift) & 63];
	}
	for (; i % 4; i++)
		spec[len++] = '=';
	strcpy(spec + len, "|2^20");
}

static srtp_t sender_of(const struct suite *suite, uint8_t seed, uint32_t roll_over)
{
	static uint8_t key[64];
	srtp_policy_t policy = { .ssrc = { ssrc_specific, SSRC }, .window_size = 1024, .key = key };
	srtp_t session = NULL;

	key_of(suite, seed, key);
	suite->set(&policy.rtp);
	suite->set(&policy.rtcp);
	assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
	assert_int_equal(srtp_set_stream_roc(session, SSRC, roll_over), srtp_err_status_ok);
	return session;
}

/* Packet number @seq of the sender. Returns its length. */
static size_t packet_of(srtp_t sender, uint16_t seq, uint8_t p[ROOM])
{
	const uint8_t head[HEAD] = { 0x80, 0, seq >> 8, seq & 0xff, 0,	  0,
				     0,	   0, 0x11,	0x22,	    0x33, 0x44 };
	int len = HEAD + BYTES;

	memcpy(p, head, HEAD);
	memset(p + HEAD, seq & 0xff, BYTES);
	assert_int_equal(srtp_protect(sender, p, &len), srtp_err_status_ok);
	assert_true(len > HEAD + BYTES);
	assert_true(p[HEAD] != (seq & 0xff) || p[HEAD + 1] != (seq & 0xff) ||
		    p[HEAD + 2] != (seq & 0xff));
	return (size_t)len;
}

static void opens(struct decrypt *d, srtp_t sender, uint16_t seq)
{
	uint8_t p[ROOM], want[BYTES];
	size_t len = packet_of(sender, seq, p);

	memset(want, seq & 0xff, sizeof(want));
	assert_int_equal(decrypt_packet(d, p, &len), 0);
	assert_int_equal(len, HEAD + BYTES);
	assert_memory_equal(p + HEAD, want, BYTES);
}

static struct decrypt *with_keys(const struct suite *suite, uint8_t first, uint8_t last)
{
	struct decrypt_key keys[DECRYPT_MAX_KEYS];
	struct decrypt *d;
	char spec[200];
	size_t n = 0;

	for (; first <= last; first++) {
		spec_of(suite, first, spec);
		assert_int_equal(decrypt_parse(spec, &keys[n]), 0);
		assert_int_equal(keys[n].key_and_salt[0], first);
		assert_int_equal(keys[n].key_and_salt[1], first + 7);
		n++;
	}
	assert_int_equal(decrypt_new(&d, keys, n), 0);
	return d;
}

/* From its beginning, and with the roll-over in the middle. */
static void opens_each_suite(void **state)
{
	size_t i;
	int seq;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		struct decrypt *d = with_keys(&suites[i], 1, 1);
		srtp_t sender = sender_of(&suites[i], 1, 0);

		for (seq = 65500; seq < 65536 + 40; seq++)
			opens(d, sender, (uint16_t)seq);
		srtp_dealloc(sender);
		decrypt_free(d);
	}
}

static void opens_a_stream_that_began_long_ago(void **state)
{
	static const uint32_t roll_overs[] = { 1, 3, ROLL_OVERS - 1 };
	size_t i, k;
	int seq;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		for (k = 0; k < ARRAY_SIZE(roll_overs); k++) {
			struct decrypt *d = with_keys(&suites[i], 1, 2);
			srtp_t sender = sender_of(&suites[i], 2, roll_overs[k]);

			for (seq = 65530; seq < 65536 + 10; seq++)
				opens(d, sender, (uint16_t)seq);
			srtp_dealloc(sender);
			decrypt_free(d);
		}
	}
}

static void follows_new_keys(void **state)
{
	size_t i;
	uint8_t seed;
	int seq;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		struct decrypt *d = with_keys(&suites[i], 1, 4);

		for (seed = 4; seed >= 1; seed--) {
			srtp_t sender = sender_of(&suites[i], seed, 0);

			for (seq = 1000 * (5 - seed); seq < 1000 * (5 - seed) + 30; seq++)
				opens(d, sender, (uint16_t)seq);
			srtp_dealloc(sender);
		}
		decrypt_free(d);
	}
}

static void refuses_other_packets(void **state)
{
	size_t i, len, searched;
	uint8_t p[ROOM], again[ROOM];
	int seq;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(suites); i++) {
		struct decrypt *d = with_keys(&suites[i], 1, 1);
		srtp_t sender = sender_of(&suites[i], 9, 0), right = sender_of(&suites[i], 1, 0);

		len = packet_of(right, 1, p);
		memcpy(again, p, sizeof(again));
		searched = len;
		assert_int_equal(decrypt_packet(d, p, &len), 0);
		assert_int_equal(decrypt_packet(d, again, &searched), -EALREADY);
		for (seq = 2; seq < 20; seq++) { /* beyond the searches of an SSRC */
			len = packet_of(sender, (uint16_t)seq, p);
			assert_int_equal(decrypt_packet(d, p, &len), -EBADMSG);
		}
		len = packet_of(right, 20, p);
		p[HEAD] ^= 1;
		assert_int_equal(decrypt_packet(d, p, &len), -EBADMSG);
		opens(d, right, 21);
		srtp_dealloc(sender);
		srtp_dealloc(right);
		decrypt_free(d);
	}
}

static void refuses_wrong_keys(void **state)
{
	static const char *const wrong[] = {
		"",
		"AES_CM_128_HMAC_SHA1_80",
		"AES_CM_128_HMAC_SHA1_80:short",
		"AES:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
		"AES_CM_128_HMAC_SHA1_80:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVzz",
		"AES_CM_128_HMAC_SHA1_80:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz=",
		"AEAD_AES_128_GCM:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
	};
	struct decrypt_key key;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(decrypt_parse(wrong[i], &key), -EINVAL);
}

static int begin(void **state)
{
	struct decrypt *d;

	(void)state;
	if (decrypt_new(&d, NULL, 0))
		return -1;
	decrypt_free(d);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_each_suite),
		cmocka_unit_test(opens_a_stream_that_began_long_ago),
		cmocka_unit_test(follows_new_keys),
		cmocka_unit_test(refuses_other_packets),
		cmocka_unit_test(refuses_wrong_keys),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
