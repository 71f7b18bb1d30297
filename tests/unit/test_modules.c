/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_modules.c - configurations of rtpproxy: the settings in them, and the sentence about each
 * fault. The faulty ones include those that rtpproxy's own tests refuse.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/modules.c"
#include "../../daemon/ucl.c"

static struct modules m;
static char said[256];

static int parse(const char *text, size_t len)
{
	char *exact = malloc(MAX(len, 1)); /* a sanitizer sees each byte beyond */
	int r;

	assert_non_null(exact);
	memcpy(exact, text, len);
	modules_defaults(&m);
	*said = '\0';
	r = modules_parse(&m, exact, len, "/start", said, sizeof(said));
	free(exact);
	return r;
}

static void take_text(const char *text)
{
	if (parse(text, strlen(text)) != 0)
		fail_msg("%s\nsaid: %s", text, said);
}

static void takes_samples(void **state)
{
	(void)state;
	take_text("# Example rtpproxy configuration\n"
		  "modules {\n"
		  "    acct_csv {\n"
		  "        logfile = /var/log/rtpproxy/rtpproxy.csv\n"
		  "    }\n"
		  "\n"
		  "    # Forward RTCP reports\n"
		  "    acct_rtcp_hep {\n"
		  "        capt_host = 127.0.0.1\n"
		  "        capt_port = 9061\n"
		  "        capt_ptype = TCP\n"
		  "        capt_id = 0xffffffff\n"
		  "    }\n"
		  "}\n");
	assert_true(m.csv && m.hep && m.collector.tcp);
	assert_string_equal(m.csv_file, "/var/log/rtpproxy/rtpproxy.csv");
	assert_string_equal(m.collector.host, "127.0.0.1");
	assert_int_equal(m.collector.port, 9061);
	assert_int_equal(m.hep_agent, UINT32_MAX);
	/* the file of `load` names the module; nothing else is set */
	take_text("modules { a { load = ../.libs/rtpp_acct_rtcp_hep_debug.so }\n"
		  "b { load = \"/usr/lib/rtpproxy/rtpp_catch_dtmf.so\" } }");
	assert_true(m.hep && !m.csv && !m.collector.tcp);
	assert_string_equal(m.collector.host, "10.0.0.1");
	assert_int_equal(m.collector.port, 9060);
	assert_int_equal(m.hep_agent, 101);
}

/* The same configuration in each way in which UCL may write it. */
static void takes_ways_of_writing(void **state)
{
	static const char *const ways[] = {
		"modules{acct_csv{logfile=a.csv}}",
		"modules \"acct_csv\" { logfile : 'a.csv'; }",
		"modules acct_csv\n{\nlogfile\n=\ta.csv # the file\n}",
		"MODULES = { acct_csv: { LogFile: \"a.csv\", }, }",
		"{\"modules\": {\"acct_csv\": {\"logfile\": \"a.csv\"}}}\n# the end",
		"/* a /* comment */ in a comment */ modules { acct_csv { logfile = a.csv/* x */ } }",
		"modules { /* } */ acct_csv { logfile = \"\\u\" \n",
		"modules { acct_csv { logfile = \"\\x61.csv\" } }",
	};

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		take_text(ways[i]);
		assert_true(m.csv && !m.hep);
		assert_string_equal(m.csv_file, "/start/a.csv");
	}
	for (size_t i = 6; i < ARRAY_SIZE(ways); i++) {
		assert_int_equal(parse(ways[i], strlen(ways[i])), -EINVAL);
		assert_string_equal(said, "line 1: this escape is not known");
	}
	take_text("modules { acct_csv { logfile = \"/a \\\"b\\\\\" } }");
	assert_string_equal(m.csv_file, "/a \"b\\");
	take_text("");
	take_text("modules {}");
	assert_false(m.csv || m.hep);
}

#define HEP(text) "modules {\n acct_rtcp_hep {\n  " text "\n }\n}\n"

static void refuses_faults(void **state)
{
	static const struct {
		const char *text, *sentence;
	} faults[] = {
		{ HEP("capt_port = -9060"),
		  "line 3: capt_port '-9060': must be a number, 1 to 65535" },
		{ HEP("capt_port = 0"), "line 3: capt_port '0': must be a number, 1 to 65535" },
		{ HEP("capt_port = 65536"),
		  "line 3: capt_port '65536': must be a number, 1 to 65535" },
		{ HEP("capt_port = \"9060\""),
		  "line 3: capt_port '9060': must be a number, 1 to 65535" },
		{ HEP("capt_port = garbage"),
		  "line 3: capt_port 'garbage': must be a number, 1 to 65535" },
		{ HEP("capt_id = -101"),
		  "line 3: capt_id '-101': must be a number, 0 to 4294967295" },
		{ HEP("capt_id = 0x"), "line 3: capt_id '0x': must be a number, 0 to 4294967295" },
		{ HEP("capt_id = 99999999999999999999"),
		  "line 3: capt_id '99999999999999999999': must be a number, 0 to 4294967295" },
		{ HEP("capt_ptype = typo"), "line 3: capt_ptype 'typo': must be udp or tcp" },
		{ HEP("capt_host = \"\""), "line 3: capt_host '': must be a name or an address" },
		{ HEP("unknown = 123"), "line 3: acct_rtcp_hep: unknown key 'unknown'" },
		{ HEP("logfile = /a"), "line 3: acct_rtcp_hep has no key 'logfile'" },
		{ HEP("capt_port"), "line 3: after the key comes '=' or '{'" },
		{ HEP("capt_port 9060"), "line 3: after the key comes '=' or '{'" },
		{ HEP("capt_port ="), "line 3: the key has no value" },
		{ HEP("capt_port = [9060]"),
		  "line 3: lists and values of several lines are not known" },
		{ HEP("capt_host = <<EOD\n"),
		  "line 3: lists and values of several lines are not known" },
		{ HEP(".include \"other.conf\""),
		  "line 3: macros such as .include are not known; write all into this file" },
		{ HEP("capt_host = \"homer"), "line 3: the text has no closing quote" },
		{ HEP("sub { a = 1 }"), "line 3: 'sub' cannot stand here" },
		{ "modules {:\n acct_csv {\n }\n}\n", "line 1: a key must stand here" },
		{ "modules {\n acct_csv {\n }\n", "line 4: a closing brace is missing" },
		{ "modules {\n acct_csv {\n }\n}\n}\n", "line 5: a key must stand here" },
		{ "{ modules { } }\nmodules { }", "line 2: nothing may follow the last brace" },
		{ "/* modules {\n }", "line 2: the comment has no end" },
		{ "modules {\n acct_csv = /a.csv\n}", "line 2: 'acct_csv' cannot stand here" },
		{ "module {\n acct_csv {\n }\n}\n",
		  "line 1: 'module' is not known; a configuration has the section modules" },
		{ "modules {\n dtls_gw {\n }\n}\n",
		  "line 3: dtls_gw: this module of rtpproxy cannot be loaded; catch_dtmf, acct_csv "
		  "and acct_rtcp_hep are built in" },
		{ "a { a { a { a { a { a { a { a { a {",
		  "line 1: 'a' is not known; a configuration "
		  "has the section modules" },
		{ "a a a a a a a a a {", "line 1: too many sections in each other" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
		assert_int_equal(parse(faults[i].text, strlen(faults[i].text)), -EINVAL);
		assert_string_equal(said, faults[i].sentence);
	}
	assert_int_equal(parse("modules\0{}", 10), -EINVAL);
	assert_string_equal(said, "line 1: the file has a NUL byte, so it is no text");
}

/* Each prefix of a configuration, and each one with a byte that does not belong there. */
static void survives_any_text(void **state)
{
	static const char text[] =
		"modules \"acct_csv\" { logfile = '/a' } /* x */ # y\n"
		"modules { acct_rtcp_hep = { capt_host: \"h\\n\"; capt_id = 5 } }";
	static const char bytes[] = "\n\"'\\{}[]=:;,#/*.<\x80\x01";
	char copy[sizeof(text)];
	bool refused;

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++)
		parse(text, len);
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		for (size_t b = 0; b + 1 < sizeof(bytes); b++) {
			memcpy(copy, text, sizeof(text));
			copy[i] = bytes[b];
			refused = parse(copy, strlen(copy)) < 0;
			assert_int_equal(refused, *said != '\0');
		}
	}
}

static void limits_lengths(void **state)
{
	char text[4096];

	(void)state;
	snprintf(text, sizeof(text), "modules { acct_csv { logfile = /%01023d } }", 0);
	assert_int_equal(parse(text, strlen(text)), -EINVAL);
	assert_string_equal(said, "line 1: the value is too long");
	snprintf(text, sizeof(text), "modules { acct_csv { logfile = \"/%01023d\" } }", 0);
	assert_int_equal(parse(text, strlen(text)), -EINVAL);
	assert_string_equal(said, "line 1: the text is too long");
	snprintf(text, sizeof(text), "modules { acct_rtcp_hep { capt_host = %0256d } }", 0);
	assert_int_equal(parse(text, strlen(text)), -EINVAL);
	snprintf(text, sizeof(text), "modules { %064d { } }", 0);
	assert_int_equal(parse(text, strlen(text)), -EINVAL);
	assert_string_equal(said, "line 1: the key is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_samples),  cmocka_unit_test(takes_ways_of_writing),
		cmocka_unit_test(refuses_faults), cmocka_unit_test(survives_any_text),
		cmocka_unit_test(limits_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
