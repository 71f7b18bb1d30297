/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_dtmf.c - telephone events of a party: where an event stands in its packet, and the limit of
 * reports. tests/golden/dtmf.txt has rtpproxy's rules.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../daemon/call/dtmf.c"

#define EVENT(digit, end, duration) (digit), (end) << 7 | 10, (duration) >> 8, (duration)&0xff
#define STAMP(n) 0, 0, (n) >> 8, (n)&0xff
#define SSRC 0, 0, 0, 7

static struct dtmf *dtmf;

static int begin(void **state)
{
	(void)state;
	dtmf = dtmf_new(span_of("tag"), 0);
	return dtmf ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	dtmf_free(dtmf);
	return 0;
}

static enum dtmf_outcome take(const uint8_t *packet, size_t len, struct dtmf_press *press)
{
	assert_true(dtmf_is_event(dtmf, packet, len));
	return dtmf_packet(dtmf, packet, len, NSEC_PER_SEC, press);
}

static void a_digit(void **state)
{
	const uint8_t first[] = { 0x80, 101, 0, 1, STAMP(1), SSRC, EVENT(11, 0, 160) };
	const uint8_t last[] = { 0x80, 101, 0, 2, STAMP(1), SSRC, EVENT(11, 1, 800) };
	struct dtmf_press press;

	(void)state;
	assert_int_equal(take(first, sizeof(first), &press), DTMF_GOES_ON);
	assert_int_equal(take(last, sizeof(last), &press), DTMF_PRESSED);
	assert_int_equal(press.digit, '#');
	assert_int_equal(press.volume, 10);
	assert_int_equal(press.duration, 800);
	assert_int_equal(take(last, sizeof(last), &press), DTMF_GOES_ON);
}

/* Behind a source and an extension of one word. */
static void behind_sources(void **state)
{
	const uint8_t first[] = { 0x91, 101, 0, 1, STAMP(1),	    SSRC, 5, 0x8a, 0, 1, 0, 0, 0, 1,
				  9,	9,   9, 9, EVENT(6, 0, 160) };
	const uint8_t last[] = { 0x91, 101, 0, 2, STAMP(1),	   SSRC, 5, 0x8a, 0, 1, 0, 0, 0, 1,
				 9,    9,   9, 9, EVENT(6, 1, 320) };
	struct dtmf_press press;

	(void)state;
	assert_int_equal(take(first, sizeof(first), &press), DTMF_GOES_ON);
	assert_int_equal(take(last, sizeof(last), &press), DTMF_PRESSED);
	assert_int_equal(press.digit, '6');
}

/* A packet that ends within the event changes nothing; another type, RTCP and no RTP are no events. */
static void no_events(void **state)
{
	const uint8_t shorter[] = { 0x80, 101, 0, 1, STAMP(1), SSRC, 5, 0x8a, 0 };
	const uint8_t other[] = { 0x80, 100, 0, 1, STAMP(1), SSRC, EVENT(6, 1, 320) };
	const uint8_t rtcp[] = { 0x80, 200, 0, 1, STAMP(1), SSRC, EVENT(6, 1, 320) };
	const uint8_t overlong[] = { 0x90, 101, 0, 1, STAMP(1), SSRC, 0, 0, 0, 9 };
	struct dtmf_press press;

	(void)state;
	assert_int_equal(take(shorter, sizeof(shorter), &press), DTMF_GOES_ON);
	assert_int_equal(take(shorter, sizeof(shorter), &press), DTMF_GOES_ON);
	assert_int_equal(dtmf->seen[0].digit, '\0');
	assert_false(dtmf_is_event(dtmf, other, sizeof(other)));
	assert_false(dtmf_is_event(dtmf, rtcp, sizeof(rtcp)));
	assert_false(dtmf_is_event(dtmf, overlong, sizeof(overlong)));
	assert_false(dtmf_is_event(dtmf, other, 4));
}

/* @n digits at the time @now_ns; returns the number of those to report. */
static unsigned int press_many(unsigned int n, uint64_t now_ns)
{
	static uint16_t stamp;
	struct dtmf_press press;
	unsigned int reported = 0;

	while (n--) {
		const uint8_t packet[] = {
			0x80, 101, 0, 1, STAMP(++stamp), SSRC, EVENT(1, 1, 160)
		};

		dtmf_packet(dtmf, packet, sizeof(packet), now_ns, &press);
		reported +=
			dtmf_packet(dtmf, packet, sizeof(packet), now_ns, &press) == DTMF_PRESSED;
	}
	return reported;
}

static void a_limit(void **state)
{
	(void)state;
	assert_int_equal(press_many(100, 10 * NSEC_PER_SEC), DTMF_BURST);
	assert_int_equal(press_many(100, 10 * NSEC_PER_SEC + NSEC_PER_SEC / 5), DTMF_BURST / 5);
	assert_int_equal(press_many(100, 20 * NSEC_PER_SEC), DTMF_BURST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_digit, begin, end),
		cmocka_unit_test_setup_teardown(behind_sources, begin, end),
		cmocka_unit_test_setup_teardown(no_events, begin, end),
		cmocka_unit_test_setup_teardown(a_limit, begin, end),
	};

	return cmocka_run_group_tests_name("dtmf", tests, NULL, NULL);
}
