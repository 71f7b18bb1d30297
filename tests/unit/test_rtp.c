/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rtp.c - the kind of payload of a datagram, byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/media/rtp.c"

#define NEITHER RTPX_PAYLOAD_OTHER
#define RTP RTPX_PAYLOAD_RTP
#define RTCP RTPX_PAYLOAD_RTCP
#define STUN RTPX_PAYLOAD_STUN
#define DTLS RTPX_PAYLOAD_DTLS
#define ZRTP RTPX_PAYLOAD_ZRTP

/* Sequence number, timestamp, SSRC. */
#define FIXED 0x12, 0x34, 0, 0, 0x10, 0x20, 0xde, 0xad, 0xbe, 0xef
#define WORDS2 0, 0, 0, 1, 0, 0, 0, 2

static const struct {
	const char *name;
	enum rtpx_payload is;
	size_t len;
	uint8_t bytes[40];
} rows[] = {
	{ "nothing", NEITHER, 0, { 0 } },
	{ "one byte", NEITHER, 1, { 0x80 } },
	{ "bare header", RTP, 12, { 0x80, 0, FIXED } },
	{ "header cut short", NEITHER, 11, { 0x80, 0, FIXED } },
	{ "version 0", NEITHER, 12, { 0x00, 0, FIXED } },
	{ "version 1", NEITHER, 12, { 0x40, 0, FIXED } },
	{ "version 3", NEITHER, 12, { 0xc0, 0, FIXED } },
	{ "marker, highest type", RTP, 12, { 0x80, 0xff, FIXED } },
	{ "type 63 with marker", RTP, 12, { 0x80, 0xbf, FIXED } },
	{ "RTCP 192", RTCP, 12, { 0x80, 192, FIXED } },
	{ "RTCP sender report", RTCP, 28, { 0x80, 200, FIXED } },
	{ "RTCP 223", RTCP, 12, { 0x80, 223, FIXED } },
	{ "type 96 with marker", RTP, 12, { 0x80, 0xe0, FIXED } },
	{ "type 72 without marker", RTP, 12, { 0x80, 72, FIXED } },
	{ "two CSRCs", RTP, 20, { 0x82, 0, FIXED, WORDS2 } },
	{ "two CSRCs, one byte short", NEITHER, 19, { 0x82, 0, FIXED, WORDS2 } },
	{ "15 CSRCs announced", NEITHER, 40, { 0x8f, 0, FIXED } },
	{ "extension without words", RTP, 16, { 0x90, 0, FIXED, 0xbe, 0xde, 0, 0 } },
	{ "extension of one word", RTP, 20, { 0x90, 0, FIXED, 0xbe, 0xde, 0, 1 } },
	{ "extension one byte short", NEITHER, 19, { 0x90, 0, FIXED, 0xbe, 0xde, 0, 1 } },
	{ "extension header cut short", NEITHER, 15, { 0x90, 0, FIXED, 0xbe, 0xde, 0 } },
	{ "extension of 65535 words", NEITHER, 40, { 0x90, 0, FIXED, 0xbe, 0xde, 0xff, 0xff } },
	{ "extension behind a CSRC", RTP, 20, { 0x91, 0, FIXED, 0, 0, 0, 1, 0xbe, 0xde, 0, 0 } },
	{ "all padding", RTP, 16, { 0xa0, 0, FIXED, 0, 0, 0, 4 } },
	{ "padding whose length is encrypted", RTP, 16, { 0xa0, 0, FIXED, 0, 0, 0, 0x95 } },
	{ "padding in a bare header", NEITHER, 12, { 0xa0, 0, FIXED } },
	{ "padding behind an extension", RTP, 17, { 0xb0, 0, FIXED, 0xbe, 0xde, 0, 0, 1 } },
	{ "no padding behind an extension", NEITHER, 16, { 0xb0, 0, FIXED, 0xbe, 0xde, 0, 0 } },
	{ "STUN binding request", STUN, 20, { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 } },
	{ "STUN response with attribute", STUN, 24, { 1, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42 } },
	{ "STUN cut short", NEITHER, 19, { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42 } },
	{ "STUN without its cookie", NEITHER, 20, { 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43 } },
	{ "empty RTCP receiver report", RTCP, 8, { 0x80, 201, 0, 1, 0xde, 0xad, 0xbe, 0xef } },
	{ "RTCP cut short", NEITHER, 7, { 0x80, 201, 0, 1, 0xde, 0xad, 0xbe } },
	{ "DTLS handshake", DTLS, 13, { 22, 254, 255 } },
	{ "DTLS 1.2 application data", DTLS, 20, { 23, 254, 253 } },
	{ "DTLS cut short", NEITHER, 12, { 22, 254, 255 } },
	{ "TLS over UDP", NEITHER, 20, { 22, 3, 3 } },
	{ "T.38 with the number of a DTLS record", NEITHER, 20, { 22, 0xfe, 0x06, 0xc0 } },
	{ "ZRTP Hello", ZRTP, 28, { 0x10, 0, 0, 1, 0x5a, 0x52, 0x54, 0x50 } },
	{ "ZRTP without its cookie", NEITHER, 28, { 0x10, 0, 0, 1, 0x5a, 0x52, 0x54, 0x51 } },
	{ "TURN channel data", NEITHER, 20, { 0x40, 0, 0, 16, 0x80, 0, FIXED } },
	{ "the cookie in RTP", RTP, 20, { 0x80, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42 } },
};

/* Uses a buffer of exactly @len bytes, so that a sanitizer finds a read past the end. */
static struct rtpx_packet describe(const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct rtpx_packet p = { .now_ns = 7 };

	memcpy(exact, bytes, len);
	rtp_describe(&p, exact, len);
	free(exact);
	return p;
}

static void every_row(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rtpx_packet p = describe(rows[i].bytes, rows[i].len);

		if (p.kind != rows[i].is)
			fail_msg("%s: kind %u, not %u", rows[i].name, p.kind, rows[i].is);
		assert_int_equal(p.payload_bytes, rows[i].len);
		assert_int_equal(p.now_ns, 7);
	}
}

static void fields(void **state)
{
	static const uint8_t bytes[] = { 0x80, 0x88, 0xfe, 0xdc, 0x89, 0xab,
					 0xcd, 0xef, 0x81, 0x23, 0x45, 0x67 };
	struct rtpx_packet p = describe(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(p.payload_type, 8);
	assert_int_equal(p.rtp_seq, 0xfedc);
	assert_int_equal(p.rtp_ts, 0x89abcdef);
	assert_int_equal(p.ssrc, 0x81234567);
}

/* No datagram is this long, but the length is a size_t. */
static void long_payload(void **state)
{
	uint8_t *bytes = calloc(1, 70000);
	struct rtpx_packet p;

	(void)state;
	bytes[0] = 0x80;
	p = describe(bytes, 70000);
	free(bytes);
	assert_int_equal(p.payload_bytes, UINT16_MAX);
	assert_int_equal(p.kind, RTPX_PAYLOAD_RTP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row),
		cmocka_unit_test(fields),
		cmocka_unit_test(long_payload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
