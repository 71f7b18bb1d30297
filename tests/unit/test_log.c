/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_log.c - the form of a line on stderr, what is left out, and what strangers can put into it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../daemon/log.c"

static char got[4096];

/* One line with stderr in a file; what it wrote is in @got. */
static void line(enum log_level level, const char *call, const char *text)
{
	FILE *file = tmpfile();
	int err = dup(STDERR_FILENO);
	size_t n;

	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	log_line(level, call, "function", 7, "%s", text);
	fflush(stderr);
	dup2(err, STDERR_FILENO);
	close(err);
	rewind(file);
	n = fread(got, 1, sizeof(got) - 1, file);
	got[n] = '\0';
	fclose(file);
}

static void form(void **state)
{
	(void)state;
	unsetenv("RTPP_LOG_TFORM");
	log_open(LOG_LVL_DBUG, true, false, 0);
	line(LOG_LVL_INFO, "call@host", "text");
	assert_string_equal(got, "INFO:call@host:function:7: text\n");
	line(LOG_LVL_ERR, NULL, "text");
	assert_string_equal(got, "ERR:GLOBAL:function:7: text\n");
	line(LOG_LVL_CRIT, "", "text");
	assert_string_equal(got, "CRIT:GLOBAL:function:7: text\n");
}

static void relative_time(void **state)
{
	double seconds;
	int at = 0;

	(void)state;
	setenv("RTPP_LOG_TFORM", "rel", 1);
	setenv("RTPP_LOG_TSTART", "0", 1);
	log_open(LOG_LVL_DBUG, true, false, 0);
	line(LOG_LVL_INFO, NULL, "text");
	unsetenv("RTPP_LOG_TFORM");
	unsetenv("RTPP_LOG_TSTART");
	assert_int_equal(sscanf(got, "%lf/%n", &seconds, &at), 1);
	assert_true(seconds > 0 && at > 0);
	assert_string_equal(got + at, "INFO:GLOBAL:function:7: text\n");
	log_open(LOG_LVL_DBUG, true, false, 0);
}

static void levels_and_sinks(void **state)
{
	(void)state;
	log_open(LOG_LVL_WARN, true, false, 0);
	line(LOG_LVL_INFO, NULL, "text");
	assert_string_equal(got, "");
	line(LOG_LVL_WARN, NULL, "text");
	assert_string_equal(got, "WARN:GLOBAL:function:7: text\n");
	log_open(LOG_LVL_DBUG, false, false, 0);
	line(LOG_LVL_CRIT, NULL, "text");
	assert_string_equal(got, "");
	log_open(LOG_LVL_DBUG, true, false, 0);
}

static void hostile_text(void **state)
{
	char call[9000], *end;

	(void)state;
	line(LOG_LVL_INFO, "\033[2Jcall\r\nCRIT:x", "a\tb\n\x7f \xc3\xa4");
	assert_string_equal(got, "INFO:?[2Jcall??CRIT:x:function:7: a?b?? \xc3\xa4\n");
	memset(call, 'c', sizeof(call));
	call[sizeof(call) - 1] = '\0';
	line(LOG_LVL_INFO, call, call);
	end = strchr(got, '\n');
	assert_non_null(end);
	assert_int_equal(end[1], '\0');
	assert_non_null(strstr(got, ":function:7: cc"));
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(log_level_of("dbug"), LOG_LVL_DBUG);
	assert_int_equal(log_level_of("Crit"), LOG_LVL_CRIT);
	assert_int_equal(log_level_of("debug"), -1);
	assert_int_equal(log_level_of(""), -1);
	assert_int_equal(log_facility_of("local3"), LOG_LOCAL3);
	assert_int_equal(log_facility_of("LOG_DAEMON"), LOG_DAEMON);
	assert_int_equal(log_facility_of("log_"), -1);
	assert_int_equal(log_facility_of("local8"), -1);
}

static void once_a_second(void **state)
{
	uint64_t last = 0, now = 5 * NSEC_PER_SEC;

	(void)state;
	assert_true(log_allowed(&last, now));
	assert_false(log_allowed(&last, now));
	assert_false(log_allowed(&last, now + NSEC_PER_SEC - 1));
	assert_true(log_allowed(&last, now + NSEC_PER_SEC));
	assert_false(log_allowed(&last, now + NSEC_PER_SEC + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(form),		    cmocka_unit_test(relative_time),
		cmocka_unit_test(levels_and_sinks), cmocka_unit_test(hostile_text),
		cmocka_unit_test(names),	    cmocka_unit_test(once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
