/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_addr.c - converts addresses from and to text and sockets, and compares them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/base/addr.c"

static struct addr parsed(enum addr_family family, const char *text, uint16_t port)
{
	struct addr a;

	if (addr_parse(&a, family, text, strlen(text)))
		fail_msg("%s is refused", text);
	return addr_with_port(a, port);
}

static const struct {
	enum addr_family family;
	const char *text;
	const char *host; /* NULL: refused */
} texts[] = {
	{ ADDR_IP4, "192.0.2.1", "192.0.2.1" },
	{ ADDR_IP4, "255.255.255.255", "255.255.255.255" },
	{ ADDR_IP4, "127.1", "127.0.0.1" },
	{ ADDR_IP4, "127.1.1", "127.1.0.1" },
	{ ADDR_IP4, "0x7f.0.0.1", "127.0.0.1" },
	{ ADDR_IP4, "0300.0.2.1", "192.0.2.1" },
	{ ADDR_IP4, "3221225985", "192.0.2.1" },
	{ ADDR_IP4, "", NULL },
	{ ADDR_IP4, "256.1.1.1", NULL },
	{ ADDR_IP4, "1.2.3.4.5", NULL },
	{ ADDR_IP4, "1.2.3.", NULL },
	{ ADDR_IP4, "192.0.2.1 ", NULL },
	{ ADDR_IP4, " 192.0.2.1", NULL },
	{ ADDR_IP4, "192.0.2.1\tx", NULL },
	{ ADDR_IP4, "192.0.2.1x", NULL },
	{ ADDR_IP4, "localhost", NULL },
	{ ADDR_IP4, "2001:db8::1", NULL },
	{ ADDR_IP6, "2001:db8::1", "2001:db8::1" },
	{ ADDR_IP6, "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
	{ ADDR_IP6, "::", "::" },
	{ ADDR_IP6, "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
	{ ADDR_IP6, "192.0.2.1", NULL },
	{ ADDR_IP6, "", NULL },
	{ ADDR_IP6, "fe80::1%lo", NULL },
	{ ADDR_IP6, "[::1]", NULL },
	{ ADDR_IP6, "1:2:3:4:5:6:7:8:9", NULL },
	{ ADDR_IP6, "2001:db8:1111:2222:3333:4444:5555:666666666666666666", NULL },
};

static void parse_and_print(void **state)
{
	char buf[ADDR_TEXT];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct addr a = { .family = ADDR_IP4, .port = 99 }, before = a;
		int err = addr_parse(&a, texts[i].family, texts[i].text, strlen(texts[i].text));

		if (err != (texts[i].host ? 0 : -EINVAL))
			fail_msg("%s: %d", texts[i].text, err);
		if (err) {
			assert_memory_equal(&a, &before, sizeof(a));
			continue;
		}
		assert_int_equal(a.family, texts[i].family);
		assert_int_equal(a.port, 0);
		assert_string_equal(addr_host_text(&a, buf), texts[i].host);
	}
}

/* The text is a span: bytes behind it are not read, and a NUL inside is refused. */
static void parse_takes_only_its_length(void **state)
{
	char *exact = malloc(7), buf[ADDR_TEXT];
	struct addr a;

	(void)state;
	memcpy(exact, "1.2.3.4", 7);
	assert_int_equal(addr_parse(&a, ADDR_IP4, exact, 7), 0);
	free(exact);
	assert_string_equal(addr_host_text(&a, buf), "1.2.3.4");
	assert_int_equal(addr_parse(&a, ADDR_IP4, "1.2.3.45", 7), 0);
	assert_string_equal(addr_host_text(&a, buf), "1.2.3.4");
	assert_int_equal(addr_parse(&a, ADDR_IP4, "1.2.3.4\0junk", 12), -EINVAL);
	assert_int_equal(addr_parse(&a, ADDR_IP6, "::1\0junk", 8), -EINVAL);
}

static void text_with_port(void **state)
{
	struct addr a4 = parsed(ADDR_IP4, "192.0.2.1", 5000),
		    a6 = parsed(ADDR_IP6, "2001:db8::1", 65535);
	struct addr longest =
		parsed(ADDR_IP6, "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535);
	struct addr none = { 0 };
	char buf[ADDR_TEXT];

	(void)state;
	assert_string_equal(addr_text(&a4, buf), "192.0.2.1:5000");
	assert_string_equal(addr_text(&a6, buf), "[2001:db8::1]:65535");
	assert_string_equal(addr_text(&longest, buf),
			    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	assert_string_equal(addr_text(&none, buf), "none");
	assert_string_equal(addr_host_text(&none, buf), "none");
}

static void same_and_not(void **state)
{
	struct addr a = parsed(ADDR_IP4, "1.2.3.4", 5), b = parsed(ADDR_IP4, "1.2.3.4", 6);
	struct addr c = parsed(ADDR_IP4, "1.2.3.5", 5), none = { 0 };
	struct addr six = parsed(ADDR_IP6, "102:304::", 5); /* the bytes of a */

	(void)state;
	assert_true(addr_eq(&a, &a));
	assert_false(addr_eq(&a, &b));
	assert_true(addr_host_eq(&a, &b));
	assert_false(addr_host_eq(&a, &c));
	assert_false(addr_host_eq(&a, &six));
	assert_false(addr_eq(&a, &six));
	assert_false(addr_host_eq(&a, &none));
	assert_false(addr_host_eq(&none, &a));
	assert_true(addr_eq(&none, &none));
}

static void special_addresses(void **state)
{
	struct addr none = { 0 };
	unsigned int i;
	static const struct {
		enum addr_family family;
		const char *text;
		bool any, loopback;
	} rows[] = {
		{ ADDR_IP4, "0.0.0.0", true, false },	 { ADDR_IP4, "0.0.0.1", false, false },
		{ ADDR_IP4, "127.0.0.1", false, true },	 { ADDR_IP4, "127.255.0.9", false, true },
		{ ADDR_IP4, "128.0.0.1", false, false }, { ADDR_IP6, "::", true, false },
		{ ADDR_IP6, "::1", false, true },	 { ADDR_IP6, "::2", false, false },
		{ ADDR_IP6, "7f00::1", false, false },
	};

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct addr a = parsed(rows[i].family, rows[i].text, 5000);

		if (addr_is_any(&a) != rows[i].any || addr_is_loopback(&a) != rows[i].loopback)
			fail_msg("%s", rows[i].text);
	}
	assert_false(addr_is_any(&none));
	assert_false(addr_is_loopback(&none));
}

/* The first and the last address of each range, and their neighbours. */
static void hidden_addresses(void **state)
{
	static const char *const hidden[] = {
		"0.0.0.0", "127.0.0.1", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
		"192.168.0.0", "192.168.255.255", "100.64.0.0", "100.127.255.255", "169.254.0.0",
		"::", "::1", "fc00::", "fdff::1", "fe80::1", "febf::1",
	}, *const shown[] = {
		"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.0.1", "192.169.0.1",
		"100.63.255.255", "100.128.0.0", "169.253.0.1", "169.255.0.1", "203.0.113.1",
		"2001:db8::1", "fbff::1", "fe00::1", "fe7f::1", "fec0::1",
	};
	struct addr none = { 0 }, a;
	size_t i;

	(void)state;
	assert_true(addr_is_hidden(&none));
	for (i = 0; i < ARRAY_SIZE(hidden); i++) {
		a = parsed(strchr(hidden[i], ':') ? ADDR_IP6 : ADDR_IP4, hidden[i], 5000);
		if (!addr_is_hidden(&a))
			fail_msg("%s", hidden[i]);
	}
	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		a = parsed(strchr(shown[i], ':') ? ADDR_IP6 : ADDR_IP4, shown[i], 5000);
		if (addr_is_hidden(&a))
			fail_msg("%s", shown[i]);
	}
}

static void sockaddr_and_back(void **state)
{
	struct sockaddr_storage ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	struct addr a4 = parsed(ADDR_IP4, "192.0.2.1", 5000),
		    a6 = parsed(ADDR_IP6, "2001:db8::1", 5001), back;
	struct addr none = { 0 };

	(void)state;
	memset(&ss, 0xff, sizeof(ss));
	assert_int_equal(addr_to_sockaddr(&a4, &ss), sizeof(struct sockaddr_in));
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(5000));
	back = addr_from_sockaddr((struct sockaddr *)&ss);
	assert_memory_equal(&back, &a4, sizeof(back));

	memset(&ss, 0xff, sizeof(ss));
	assert_int_equal(addr_to_sockaddr(&a6, &ss), sizeof(struct sockaddr_in6));
	assert_int_equal(in6->sin6_scope_id, 0);
	assert_int_equal(in6->sin6_flowinfo, 0);
	back = addr_from_sockaddr((struct sockaddr *)&ss);
	assert_memory_equal(&back, &a6, sizeof(back));

	inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6->sin6_addr);
	in6->sin6_port = htons(5000);
	back = addr_from_sockaddr((struct sockaddr *)&ss);
	assert_memory_equal(&back, &a4, sizeof(back));

	assert_int_equal(addr_to_sockaddr(&none, &ss), 0);
	ss.ss_family = AF_UNIX;
	back = addr_from_sockaddr((struct sockaddr *)&ss);
	assert_memory_equal(&back, &none, sizeof(back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_and_print),   cmocka_unit_test(parse_takes_only_its_length),
		cmocka_unit_test(text_with_port),    cmocka_unit_test(same_and_not),
		cmocka_unit_test(special_addresses), cmocka_unit_test(hidden_addresses),
		cmocka_unit_test(sockaddr_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
