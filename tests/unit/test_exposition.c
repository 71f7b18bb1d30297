/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_exposition.c - lines of the text format, and the points of the plots.
 */
#include <event2/buffer.h>
#include <json-c/json.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/control/exposition.c"
#include "../../daemon/observe/history.c"

static struct evbuffer *out;

static int begin(void **state)
{
	(void)state;
	out = evbuffer_new();
	return out ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	evbuffer_free(out);
	return 0;
}

static void expect(const char *text)
{
	size_t len = evbuffer_get_length(out);
	char got[4096];

	assert_in_range(len, 0, sizeof(got) - 1);
	evbuffer_remove(out, got, len);
	got[len] = '\0';
	assert_string_equal(got, text);
}

static void lines(void **state)
{
	(void)state;
	exposition_family(out, "calls", METRIC_GAUGE, "Living calls.");
	exposition_value(out, "calls", NULL, 1.5);
	expect("# HELP rtpx_calls Living calls.\n# TYPE rtpx_calls gauge\nrtpx_calls 1.5\n");
	exposition_family(out, "process_open_fds", METRIC_COUNTER, "x");
	expect("# HELP process_open_fds x\n# TYPE process_open_fds counter\n");
	exposition_count(out, "a", LABELS({ "x", "1" }, { "y", "2" }), UINT64_MAX);
	expect("rtpx_a{x=\"1\",y=\"2\"} 18446744073709551615\n");
	exposition_value(out, "a", NULL, NAN);
	expect("rtpx_a NaN\n");
}

/* Labels come from names of interfaces and of peers. */
static void labels_of_any_bytes(void **state)
{
	char wide[1000];

	(void)state;
	exposition_count(out, "a", LABELS({ "x", "q\"b\\n\n\xc3\xbc\xff" }), 1);
	expect("rtpx_a{x=\"q\\\"b\\\\n\\n\xc3\xbc?\"} 1\n");
	memset(wide, '"', sizeof(wide) - 1);
	wide[sizeof(wide) - 1] = '\0';
	exposition_count(out, "a", LABELS({ "x", wide }), 1);
	assert_int_equal(evbuffer_get_length(out), strlen("rtpx_a{x=\"\"} 1\n") + 2 * VALUE_MAX);
}

static void histograms(void **state)
{
	static const double bounds[] = { 0.001, 5 };
	struct histogram h = HISTOGRAM(bounds);

	(void)state;
	histogram_add(&h, 0.0005, 2);
	histogram_add(&h, 1, 1);
	histogram_add(&h, 7, 1);
	exposition_histogram(out, "d", &h);
	expect("rtpx_d_bucket{le=\"0.001\"} 2\nrtpx_d_bucket{le=\"5\"} 3\n"
	       "rtpx_d_bucket{le=\"+Inf\"} 4\nrtpx_d_sum 8.001\nrtpx_d_count 4\n");
}

static void points(void **state)
{
	struct history_now now = { 0 };
	struct history *h;
	struct json_object *o, *list, *point;

	(void)state;
	assert_int_equal(history_new(&h), 0);
	assert_true(history_is_due(h, HISTORY_STEP_NS));
	for (unsigned int i = 0; i < HISTORY_POINTS + 3; i++) {
		now.column[HISTORY_sessions].value = i;
		now.column[HISTORY_commands].value = 50.0 * i;
		now.column[HISTORY_loss].value = 2.0 * i; /* a sum: 4 values a step, mean 0.5 */
		now.column[HISTORY_loss].count = 4.0 * i;
		history_add(h, &now, (i + 1) * HISTORY_STEP_NS, (1000 + i) * NSEC_PER_SEC);
		assert_false(history_is_due(h, (i + 2) * HISTORY_STEP_NS - 1));
	}
	o = history_json(h);
	list = json_object_object_get(o, "points");
	assert_int_equal(json_object_array_length(list), HISTORY_POINTS);
	point = json_object_array_get_idx(list, HISTORY_POINTS - 1);
	assert_int_equal(json_object_array_length(point), HISTORY_COLUMN_COUNT + 1);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(point, 0)),
			 1000 + HISTORY_POINTS + 2);
	assert_int_equal(json_object_get_int(
				 json_object_array_get_idx(point, 1 + HISTORY_sessions)),
			 HISTORY_POINTS + 2);
	assert_true(json_object_get_double(
			    json_object_array_get_idx(point, 1 + HISTORY_commands)) == 5);
	assert_true(json_object_get_double(json_object_array_get_idx(point, 1 + HISTORY_loss)) ==
		    0.5);
	assert_null(json_object_array_get_idx(point, 1 + HISTORY_mos)); /* no call: no value */
	point = json_object_array_get_idx(list, 0);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(point, 0)), 1003);
	json_object_put(o);
	history_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lines, begin, end),
		cmocka_unit_test_setup_teardown(labels_of_any_bytes, begin, end),
		cmocka_unit_test_setup_teardown(histograms, begin, end),
		cmocka_unit_test(points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
