/* SPDX-License-Identifier: BSD-2-Clause */
/* runs: together quick */
/*
 * test_dirlock.c - the lock between processes. Its holder keeps running, exits, is killed, or has
 * left the lock to a child.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "../../daemon/base/dirlock.c"

static char dir[] = "/tmp/test_dirlock.XXXXXX";

static int open_dir(void)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* A process that holds the lock, and its steps. */
struct holder_process {
	pid_t pid;
	int tell; /* closing it starts the next step */
	int ends; /* end of file: it has ended, and its children too */
};

enum life { STAYS, ENDS_SLOWLY, BLOCKS_SIGNALS, LEAVES_IT_TO_A_CHILD };

static void wait_for_eof(int fd)
{
	char byte;

	while (read(fd, &byte, 1) > 0)
		;
}

static void live(enum life life, int told, int say)
{
	sigset_t all;

	if (life == BLOCKS_SIGNALS) {
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
	}
	if (dirlock(open_dir()) < 0)
		_exit(1);
	if (life == LEAVES_IT_TO_A_CHILD && fork())
		_exit(0);
	if (life == ENDS_SLOWLY)
		dirlock_ending();
	if (write(say, "x", 1) != 1)
		_exit(1);
	wait_for_eof(told);
	usleep(1500 * 1000); /* exiting takes a while */
	_exit(0);
}

static struct holder_process hold(enum life life)
{
	int told[2], say[2];
	struct holder_process h;
	char byte;

	assert_int_equal(pipe(told), 0);
	assert_int_equal(pipe(say), 0);
	h.pid = fork();
	if (h.pid == 0) {
		close(told[1]);
		close(say[0]);
		live(life, told[0], say[1]);
	}
	close(told[0]);
	close(say[1]);
	assert_int_equal(read(say[0], &byte, 1), 1);
	h.tell = told[1];
	h.ends = say[0];
	return h;
}

static void let_go(struct holder_process h)
{
	close(h.tell);
	close(h.ends);
	waitpid(h.pid, NULL, 0);
}

/* The time limit for @ms of an idle machine: longer with more processes than CPUs. */
static uint64_t within_ms(uint64_t ms)
{
	double load[1] = { 0 };

	getloadavg(load, 1);
	return ms + (uint64_t)((double)ms * load[0] / (double)sysconf(_SC_NPROCESSORS_ONLN));
}

/* Try to take the lock; returns the milliseconds that this took. */
static uint64_t take_ms(int want)
{
	uint64_t begin_ns = clock_now();
	int fd = open_dir();

	assert_int_equal(dirlock(fd), want);
	close(fd);
	return (clock_now() - begin_ns) / NSEC_PER_MSEC;
}

static void free_lock(void **state)
{
	(void)state;
	assert_in_range(take_ms(0), 0, within_ms(500));
}

static void holder_goes_on(void **state)
{
	struct holder_process h = hold(STAYS);

	(void)state;
	assert_in_range(take_ms(-EBUSY), 0, within_ms(500));
	kill(h.pid, SIGKILL);
	take_ms(0);
	let_go(h);
}

static void child_goes_on(void **state)
{
	struct holder_process h = hold(LEAVES_IT_TO_A_CHILD);

	(void)state;
	waitpid(h.pid, NULL, 0);
	assert_in_range(take_ms(-EBUSY), 0, within_ms(500));
	close(h.tell);
	wait_for_eof(h.ends);
	close(h.ends);
	assert_in_range(take_ms(0), 0, within_ms(500));
}

static void holder_ends(void **state)
{
	struct holder_process h = hold(ENDS_SLOWLY);

	(void)state;
	close(h.tell);
	assert_in_range(take_ms(0), 0, within_ms(9000));
	waitpid(h.pid, NULL, 0);
}

static void holder_has_a_signal_to_end(void **state)
{
	struct holder_process h = hold(BLOCKS_SIGNALS);

	(void)state;
	assert_in_range(take_ms(-EBUSY), 0, within_ms(500));
	kill(h.pid, SIGPWR);
	close(h.tell);
	assert_in_range(take_ms(0), 0, within_ms(9000));
	waitpid(h.pid, NULL, 0);
}

/* The event loop never waits for a holder, not even for an exiting one. */
static void loop_never_waits(void **state)
{
	struct holder_process h = hold(BLOCKS_SIGNALS);
	int fd = open_dir(), ready;

	(void)state;
	kill(h.pid, SIGPWR);
	assert_int_equal(dirlock_try(fd), -EBUSY);
	assert_int_equal(waitpid(h.pid, &ready, WNOHANG), 0); /* it still runs */
	close(h.tell);
	waitpid(h.pid, NULL, 0);
	assert_int_equal(dirlock_try(fd), 0);
	close(fd);
}

/* Two processes wait. One gets the lock and keeps it until both have a result; the other fails. */
static void two_wait_for_one(void **state)
{
	struct holder_process h = hold(ENDS_SLOWLY);
	int code, fd = open_dir(), mine, done[2];
	pid_t other;

	(void)state;
	assert_int_equal(pipe(done), 0);
	other = fork();
	if (other == 0) {
		close(h.tell);
		close(done[1]);
		code = dirlock(open_dir());
		wait_for_eof(done[0]);
		_exit(code ? 1 : 0);
	}
	close(h.tell);
	mine = dirlock(fd);
	waitpid(h.pid, NULL, 0);
	close(done[1]);
	close(done[0]);
	waitpid(other, &code, 0);
	close(fd);
	assert_true(mine == 0 || mine == -EBUSY);
	assert_int_equal(WEXITSTATUS(code), mine == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_lock),
		cmocka_unit_test(holder_goes_on),
		cmocka_unit_test(child_goes_on),
		cmocka_unit_test(holder_ends),
		cmocka_unit_test(loop_never_waits),
		cmocka_unit_test(two_wait_for_one),
		cmocka_unit_test(holder_has_a_signal_to_end),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
