/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pathmtu.c - finds the destination that an ICMP message is about, also in messages cut
 * anywhere. tests/netns/nexthop_host.sh tests with real messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../daemon/host/pathmtu.c"

#define OUTER4 24 /* an IP header with an option */

static void ip4(void **state)
{
	uint8_t b[OUTER4 + 8 + 28] = { 0x46 }, *icmp = b + OUTER4;
	static const uint8_t want[4] = { 203, 0, 113, 10 };
	struct addr dest;
	size_t len;

	(void)state;
	icmp[0] = ICMP_DEST_UNREACH;
	icmp[1] = ICMP_FRAG_NEEDED;
	icmp[8] = 0x45;
	memcpy(icmp + 8 + 16, want, 4);
	for (len = 0; len < OUTER4 + 8 + 20; len++)
		assert_false(icmp4_message(b, len, &dest));
	assert_true(icmp4_message(b, len, &dest));
	assert_int_equal(dest.family, ADDR_IP4);
	assert_memory_equal(dest.ip, want, 4);
	icmp[1] = ICMP_PORT_UNREACH;
	assert_false(icmp4_message(b, len, &dest));
	icmp[0] = ICMP_REDIRECT;
	assert_true(icmp4_message(b, len, &dest));
	b[0] = 0x44; /* a header of 16 bytes */
	assert_false(icmp4_message(b, sizeof(b), &dest));
}

static void ip6(void **state)
{
	uint8_t b[8 + 48] = { ICMPV6_PKT_TOOBIG }, r[40] = { REDIRECT6 };
	struct addr dest;
	size_t len;

	(void)state;
	memset(b + 8 + 24, 0xab, 16);
	for (len = 0; len < 8 + 40; len++)
		assert_false(icmp6_message(b, len, &dest));
	assert_true(icmp6_message(b, len, &dest));
	assert_int_equal(dest.family, ADDR_IP6);
	assert_int_equal(dest.ip[15], 0xab);
	memset(r + 24, 0xcd, 16);
	assert_false(icmp6_message(r, sizeof(r) - 1, &dest));
	assert_true(icmp6_message(r, sizeof(r), &dest));
	assert_int_equal(dest.ip[0], 0xcd);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ip4), cmocka_unit_test(ip6) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
