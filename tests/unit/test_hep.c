/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_hep.c - messages to a HEP collector, the RTCP reports in them, and round-trip times. The bytes of the messages
 * were written by hand from the table of chunks of the HEP3 protocol.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/observe/hep.c"
#include "../../daemon/observe/rtcp.c"
#include "../../daemon/observe/roundtrip.c"

/* ---- RTCP ---- */

static char reports[4][RTCP_JSON_MAX];
static int n_reports;

static void on_report(void *arg, const char *json, size_t len)
{
	assert_ptr_equal(arg, reports);
	assert_int_equal(json[len - 1], '}');
	snprintf(reports[n_reports++ % 4], RTCP_JSON_MAX, "%.*s", (int)len, json);
}

static int read_packet(const void *data, size_t len)
{
	uint8_t *exact = malloc(MAX(len, 1)); /* a sanitizer sees each byte beyond */
	int n;

	assert_non_null(exact);
	memcpy(exact, data, len);
	n_reports = 0;
	n = rtcp_reports(exact, len, on_report, reports);
	free(exact);
	assert_int_equal(n_reports, n < 0 ? 0 : n);
	return n;
}

static const uint8_t sender_report[] = "\x81\xc8\0\x0c"
				       "\0\0\0\1" /* one block, 12 words more; SSRC */
				       "\xe0\0\0\1"
				       "\x80\0\0\0"
				       "\0\0\0\xa0"
				       "\0\0\0\x32"
				       "\0\0\x1f\x40"
				       "\0\0\0\2"
				       "\x40\xff\xff\xfe"
				       "\0\1\0\2"
				       "\0\0\0\7"
				       "\1\2\3\4"
				       "\0\0\1\0"
				       "\x81\xca\0\3"
				       "\0\0\0\1"
				       "\1\3abc\0\0\0"; /* SDES */

static void reads_a_sender_report(void **state)
{
	(void)state;
	assert_int_equal(read_packet(sender_report, sizeof(sender_report) - 1), 1);
	assert_string_equal(reports[0],
			    "{\"ssrc\":1,\"sender_information\":{\"ntp_timestamp_sec\":3758096385,"
			    "\"ntp_timestamp_usec\":2147483648,\"rtp_timestamp\":160,"
			    "\"packets\":50,\"octets\":8000},\"type\":200,\"report_count\":1,"
			    "\"report_blocks\":[{\"source_ssrc\":2,\"fraction_lost\":64,"
			    "\"packets_lost\":-2,\"highest_seq_no\":65538,\"ia_jitter\":7,"
			    "\"lsr\":16909060,\"dlsr\":256}]}");
}

static void reads_receiver_reports(void **state)
{
	static const uint8_t two[] = "\x80\xc9\0\1"
				     "\0\0\0\1"
				     "\x80\xc9\0\1"
				     "\0\0\0\2";

	(void)state;
	assert_int_equal(read_packet(two, sizeof(two) - 1), 2);
	assert_string_equal(reports[0], "{\"ssrc\":1,\"type\":201,\"report_count\":0,"
					"\"report_blocks\":[]}");
	assert_string_equal(reports[1], "{\"ssrc\":2,\"type\":201,\"report_count\":0,"
					"\"report_blocks\":[]}");
}

/* 31 blocks of the longest numbers fit. */
static void reads_the_longest_report(void **state)
{
	uint8_t p[8 + SENDER_BYTES + 31 * BLOCK_BYTES];
	size_t words = sizeof(p) / 4 - 1;

	(void)state;
	memset(p, 0xff, sizeof(p));
	p[0] = 0x9f;
	p[1] = TYPE_SR;
	p[2] = (uint8_t)(words >> 8);
	p[3] = (uint8_t)words;
	for (int i = 0; i < 31; i++)
		p[8 + SENDER_BYTES + i * BLOCK_BYTES + 5] = 0x80; /* -8323073 lost */
	assert_int_equal(read_packet(p, sizeof(p)), 1);
	assert_true(strlen(reports[0]) < RTCP_JSON_MAX - 1);
	assert_non_null(strstr(reports[0], "\"packets_lost\":-8323073,"));
	assert_string_equal(reports[0] + strlen(reports[0]) - 3, "}]}");
}

static void refuses_other_packets(void **state)
{
	static const struct {
		const char *data;
		size_t len;
	} bad[] = {
		{ "", 0 },
		{ "\x80\xc9\0", 3 },
		{ "\x40\xc9\0\1\0\0\0\1", 8 },		      /* version 1 */
		{ "\x80\x08\0\1\0\0\0\1", 8 },		      /* RTP */
		{ "\x80\xc9\0\2\0\0\0\1", 8 },		      /* longer than the packet */
		{ "\x80\xc9\0\0", 4 },			      /* no SSRC */
		{ "\x81\xc9\0\1\0\0\0\1", 8 },		      /* a block too few */
		{ "\x80\xc8\0\1\0\0\0\1", 8 },		      /* no sender information */
		{ "\x80\xc9\0\1\0\0\0\1\x80\0\0\1tag!", 16 }, /* SRTCP: index and tag */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(read_packet(bad[i].data, bad[i].len), -EINVAL);
	for (size_t len = 0; len < sizeof(sender_report) - 1; len++)
		assert_int_equal(read_packet(sender_report, len), len == 52 ? 1 : -EINVAL);
}

static void skips_other_parts(void **state)
{
	static const uint8_t bye[] = "\x81\xcb\0\1\0\0\0\1";

	(void)state;
	assert_int_equal(read_packet(bye, sizeof(bye) - 1), 0);
}

/* ---- HEP ---- */

static uint8_t message[HEP_MAX];

static void writes_a_message(void **state)
{
	static const uint8_t want[] = "HEP3\0\x6d"
				      "\0\0\0\1\0\7\2"
				      "\0\0\0\2\0\7\x11" /* IPv4, UDP */
				      "\0\0\0\3\0\x0a\xc0\0\2\x0a"
				      "\0\0\0\4\0\x0a\xc0\0\2\1" /* addresses */
				      "\0\0\0\7\0\x08\x0f\xa1"
				      "\0\0\0\x08\0\x08\x88\xb9" /* ports */
				      "\0\0\0\x09\0\x0a\x65\x53\xf1\0"
				      "\0\0\0\x0a\0\x0a\0\0\0\x2a"
				      "\0\0\0\x0b\0\7\5"
				      "\0\0\0\x0c\0\x0a\0\1\0\x65" /* RTCP, agent */
				      "\0\0\0\x11\0\x08"
				      "c1"
				      "\0\0\0\x0f\0\x08{}";
	const struct hep_packet p = {
		.src = { ADDR_IP4, 0, 4001, { 192, 0, 2, 10 } },
		.dst = { ADDR_IP4, 0, 35001, { 192, 0, 2, 1 } },
		.realtime_ns = 1700000000 * NSEC_PER_SEC + 42999,
		.type = HEP_TYPE_RTCP,
		.agent = 65637,
		.correlation = span_of("c1"),
		.payload = span_of("{}"),
	};

	(void)state;
	assert_int_equal(hep_encode(&p, message), sizeof(want) - 1);
	assert_memory_equal(message, want, sizeof(want) - 1);
}

static void writes_ip6(void **state)
{
	const struct hep_packet p = {
		.src = { ADDR_IP6, 0, 1, { 0x20, 1, [15] = 1 } },
		.dst = { ADDR_IP6, 0, 2, { 0x20, 1, [15] = 2 } },
	};

	(void)state;
	assert_int_equal(hep_encode(&p, message),
			 HEAD + 7 + 7 + 22 + 22 + 8 + 8 + 10 + 10 + 7 + 10 + 6 + 6);
	assert_memory_equal(message + HEAD, "\0\0\0\1\0\7\x0a", 7);
	assert_memory_equal(message + HEAD + 14, "\0\0\0\5\0\x16\x20\1\0", 9);
	assert_memory_equal(message + HEAD + 36, "\0\0\0\6\0\x16\x20\1\0", 9);
}

/* The payload stays whole; the Call-ID gets what is left. */
static void fits_a_message(void **state)
{
	static char big[HEP_MAX];
	struct hep_packet p = {
		.src = { .family = ADDR_IP6 },
		.correlation = { big, sizeof(big) },
		.payload = { big, HEP_MAX - HEP_OVERHEAD - 10 },
	};
	int len;

	(void)state;
	len = hep_encode(&p, message);
	assert_in_range(len, HEP_MAX - HEP_OVERHEAD, HEP_MAX);
	assert_int_equal(message[4] << 8 | message[5], len);
	p.payload.len = HEP_MAX - HEP_OVERHEAD + 1;
	assert_int_equal(hep_encode(&p, message), -EMSGSIZE);
}

/* ---- round-trip times ---- */

#define MS NSEC_PER_MSEC
#define SR                                                                                       \
	0x80, 200, 0, 6, 0, 0, 0, 7, 9, 9, 0x11, 0x22, 0x33, 0x44, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, \
		0, 0, 0, 0

static struct roundtrip *trips;

/* An answer to the report 0x11223344 of source 7, or to another one, after @delay / 65536 s. */
static void answer(uint32_t ssrc, uint32_t ntp, uint32_t delay, uint64_t at_ns)
{
	uint8_t rr[] = { 0x81,
			 201,
			 0,
			 7,
			 0,
			 0,
			 0,
			 8,
			 0,
			 0,
			 0,
			 (uint8_t)ssrc,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 0,
			 (uint8_t)(ntp >> 24),
			 (uint8_t)(ntp >> 16),
			 (uint8_t)(ntp >> 8),
			 (uint8_t)ntp,
			 (uint8_t)(delay >> 24),
			 (uint8_t)(delay >> 16),
			 (uint8_t)(delay >> 8),
			 (uint8_t)delay };

	roundtrip_packet(trips, rr, sizeof(rr), at_ns);
}

static void is_measured(unsigned int count, double sum_s)
{
	assert_int_equal(roundtrip_seconds(trips)->count, count);
	assert_true(roundtrip_seconds(trips)->sum > sum_s - 1e-5 &&
		    roundtrip_seconds(trips)->sum < sum_s + 1e-5);
}

static void measures_round_trips(void **state)
{
	static const uint8_t sr[] = { SR };
	uint8_t cut[sizeof(sr)];

	(void)state;
	assert_int_equal(roundtrip_new(&trips), 0);
	answer(7, 0x11223344, 0, 50 * MS); /* to a report that this host has not seen */
	roundtrip_packet(trips, sr, sizeof(sr), 1000 * MS);
	answer(7, 0x11223345, 0, 1100 * MS); /* to another report */
	answer(9, 0x11223344, 0, 1100 * MS); /* of another source */
	answer(7, 0, 0, 1100 * MS);	     /* to none */
	is_measured(0, 0);
	answer(7, 0x11223344, 32768, 1580 * MS); /* half a second of it passed at the receiver */
	is_measured(1, 0.08);
	answer(7, 0x11223344, 32768, 1590 * MS); /* again */
	is_measured(1, 0.08);
	roundtrip_packet(trips, sr, sizeof(sr), 2000 * MS);
	answer(7, 0x11223344, 65536, 2999 * MS + MS / 2); /* its clock is slightly fast */
	is_measured(2, 0.08);
	roundtrip_packet(trips, sr, sizeof(sr), 3000 * MS);
	answer(7, 0x11223344, 65536, 3500 * MS);      /* it says more than the time that passed */
	answer(7, 0x11223344, 65536, 14500 * MS);     /* too long ago */
	answer(7, 0x11223344, 0xffffffff, 2900 * MS); /* before it */
	is_measured(2, 0.08);
	memcpy(cut, sr, sizeof(sr));
	cut[3] = 200; /* longer than the packet */
	roundtrip_packet(trips, cut, sizeof(cut), 20000 * MS);
	answer(7, 0x11223344, 0, 20001 * MS);
	is_measured(2, 0.08);
	roundtrip_free(trips);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_sender_report),
		cmocka_unit_test(reads_receiver_reports),
		cmocka_unit_test(reads_the_longest_report),
		cmocka_unit_test(refuses_other_packets),
		cmocka_unit_test(skips_other_parts),
		cmocka_unit_test(writes_a_message),
		cmocka_unit_test(writes_ip6),
		cmocka_unit_test(fits_a_message),
		cmocka_unit_test(measures_round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
