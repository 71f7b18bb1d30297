/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_child.c - real programs: their end, output, limits, and the descriptors that they do not get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../daemon/base/clock.h"
#include "../../daemon/record/child.c"

static const uint64_t LONG_NS = 600 * NSEC_PER_SEC;

/* Run a script to its end. Returns its exit code. */
static int run(struct child *c, const char *script, const struct child_opts *more)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct child_opts o = *more;
	int status = -1;

	o.argv = argv;
	o.dir = "/";
	assert_int_equal(child_start(c, &o, clock_now()), 0);
	do {
		struct pollfd fds[] = { { .fd = c->pid_fd, .events = POLLIN },
					{ .fd = c->output, .events = POLLIN } };

		poll(fds, ARRAY_SIZE(fds), 50);
		child_hear(c);
	} while (!child_reap(c, clock_now(), &status));
	return status;
}

static const struct child_opts plain = { .input = -1, .time_ns = 600 * NSEC_PER_SEC };

static void tells_the_end_and_the_last_words(void **state)
{
	struct child c;

	(void)state;
	assert_int_equal(run(&c, "echo one; echo 'two\tx' >&2; exit 3", &plain), 3);
	assert_string_equal(child_says(&c), "two?x");
	assert_int_equal(run(&c, "kill -9 $$", &plain), 128 + 9);
	assert_string_equal(child_says(&c), "it said nothing");
	assert_int_equal(run(&c, "seq 100000; pwd", &plain), 0);
	assert_string_equal(child_says(&c), "/");
}

/* The limits come when the child runs already. */
#define UNTIL_LIMITED "until [ $(ulimit -v) != unlimited ] && [ $(nice) = 19 ]; do :; done; "

static void has_its_limits(void **state)
{
	struct child_opts o = plain;
	struct child c;

	(void)state;
	assert_int_equal(run(&c, UNTIL_LIMITED "ulimit -v; nice",
			     &(struct child_opts){
				     .input = -1, .time_ns = LONG_NS, .memory_bytes = 512 << 20 }),
			 0);
	assert_string_equal(child_says(&c), "19");
	assert_true(strstr(c.words, "524288\n") == c.words);
	o.time_ns = 50 * NSEC_PER_MSEC;
	assert_int_equal(run(&c, "sleep 1000 & wait", &o), 128 + 9);
	assert_true(c.overdue);
}

static void has_its_input_and_no_other_descriptor(void **state)
{
	struct child_opts o = plain;
	struct child c;
	int ends[2], inherited;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	inherited = dup(ends[1]);
	assert_int_equal(write(ends[1], "hello\n", 6), 6);
	o.input = ends[0];
	assert_int_equal(run(&c, "read word; echo got $word", &o), 0);
	assert_string_equal(child_says(&c), "got hello");
	assert_int_equal(run(&c, "ls /proc/self/fd | sort -n | tail -1", &plain), 0);
	assert_string_equal(child_says(&c), "3"); /* ls's own */
	close(inherited);
	close(ends[0]);
	close(ends[1]);
}

static void fails_for_a_missing_program(void **state)
{
	const char *const argv[] = { "/nonexistent/program", NULL };
	struct child_opts o = plain;
	struct child c;

	(void)state;
	o.argv = argv;
	o.dir = "/";
	assert_int_equal(child_start(&c, &o, clock_now()), -ENOENT);
	assert_int_equal(c.pid, 0);
	child_kill(&c);
}

static void is_killed_with_its_children(void **state)
{
	const char *const argv[] = { "sh", "-c", "sleep 1000 & echo $!; wait", NULL };
	struct child_opts o = plain;
	struct child c;
	pid_t grandchild;
	int i;

	(void)state;
	o.argv = argv;
	o.dir = "/";
	assert_int_equal(child_start(&c, &o, clock_now()), 0);
	while (!strchr(c.words, '\n')) {
		struct pollfd fd = { .fd = c.output, .events = POLLIN };

		poll(&fd, 1, 1000);
		child_hear(&c);
	}
	grandchild = atoi(c.words);
	child_kill(&c);
	assert_int_equal(c.pid, 0);
	for (i = 0; i < 10000 && kill(grandchild, 0) == 0; i++) {
		char path[40], line[200] = "";
		FILE *f;

		/* A zombie that waits for its reaper has ended, too. */
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)grandchild);
		f = fopen(path, "r");
		if (!f || (fgets(line, sizeof(line), f) && strstr(line, ") Z")))
			i = 10000;
		if (f)
			fclose(f);
		usleep(1000);
	}
	assert_true(i >= 10000 || kill(grandchild, 0) != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_end_and_the_last_words),
		cmocka_unit_test(has_its_limits),
		cmocka_unit_test(has_its_input_and_no_other_descriptor),
		cmocka_unit_test(fails_for_a_missing_program),
		cmocka_unit_test(is_killed_with_its_children),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
