/* SPDX-License-Identifier: BSD-2-Clause */
/* runs: together quick */
/*
 * test_systemd.c - messages to a service manager that is this test, over sockets with a path and
 * with an abstract name; sockets that it passes; environments that concern another process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/control/systemd.c"

#include "service_manager.h"

static char path[64];

static int ends(void **state)
{
	(void)state;
	manager_end();
	unlink(path);
	return 0;
}

/* Expect a message, and return the descriptor that came with it; -1: none. */
static int hears(const char *expected)
{
	int fds[MANAGER_FDS] = { -1 };

	assert_true(manager_hears(expected, fds) <= 1);
	return fds[0];
}

static void tells_states(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_systemd.%d", (int)getpid());
	manager_begin(path);
	assert_true(systemd_is_here());
	systemd_notify("READY=1");
	assert_int_equal(hears("READY=1"), -1);
	systemd_unstore(span_of("udp:127.0.0.1 7722"));
	assert_int_equal(hears("FDSTOREREMOVE=1\nFDNAME=rtpxd=udp_127.0.0.1_7722"), -1);
}

static void stores_descriptors(void **state)
{
	char name[64], long_name[2 * NAME_MAX_BYTES], expected[512];
	int ends_of[2], fd;
	char byte = 0;

	(void)state;
	snprintf(name, sizeof(name), "@test_systemd.%d", (int)getpid());
	manager_begin(name);
	assert_int_equal(pipe(ends_of), 0);
	systemd_store(ends_of, 1, span_of("unix:/a"));
	fd = hears("FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=unix_/a");
	assert_true(fd >= 0 && fd != ends_of[0]);
	assert_int_equal(write(ends_of[1], "x", 1), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	close(fd);

	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	systemd_store(ends_of, 1, span_of(long_name));
	snprintf(expected, sizeof(expected), "FDSTORE=1\nFDPOLL=0\nFDNAME=rtpxd=%.*s",
		 NAME_MAX_BYTES - 6, long_name);
	close(hears(expected));
	close(ends_of[0]);
	close(ends_of[1]);
}

/* A service manager that reads nothing delays no heartbeat: the full queue drops it. */
static void heartbeat_never_waits(void **state)
{
	unsigned int sent;
	char pid[16];

	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_systemd.%d", (int)getpid());
	manager_begin(path);
	systemd_alive();
	assert_true(manager_hears_nothing());
	setenv("WATCHDOG_USEC", "15000000", 1);
	systemd_alive();
	hears("WATCHDOG=1");
	setenv("WATCHDOG_PID", "1", 1);
	systemd_alive();
	assert_true(manager_hears_nothing());
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	systemd_alive();
	hears("WATCHDOG=1");
	for (sent = 0; send_state("WATCHDOG=1", NULL, 0, MSG_DONTWAIT) == 0; sent++)
		assert_true(sent < 100000);
	systemd_alive();
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	assert_int_equal(number_from_env("WATCHDOG_USEC", ULONG_MAX - 1), 0);
	unsetenv("WATCHDOG_USEC");
}

static void has_no_manager(void **state)
{
	char long_path[200];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_false(systemd_is_here());
	assert_int_equal(send_state("READY=1", NULL, 0, 0), 0);
	setenv("NOTIFY_SOCKET", "/nowhere/notify", 1);
	assert_int_equal(send_state("READY=1", NULL, 0, 0), -ENOENT);
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	assert_int_equal(send_state("READY=1", NULL, 0, 0), -EINVAL);
	memset(long_path, '/', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", long_path, 1);
	assert_int_equal(send_state("READY=1", NULL, 0, 0), -EINVAL);
}

/* @passed descriptors from 3 on, as environment of the process @pid. */
static unsigned int takes(struct systemd_fd *out, int pid, const char *n, const char *names)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	setenv("LISTEN_PID", text, 1);
	setenv("LISTEN_FDS", n, 1);
	if (names)
		setenv("LISTEN_FDNAMES", names, 1);
	else
		unsetenv("LISTEN_FDNAMES");
	return systemd_passed(out, 4);
}

static void takes_sockets(void **state)
{
	struct systemd_fd fd[4];
	int ours = getpid();

	(void)state;
	assert_int_equal(takes(fd, ours, "3", "rtpxd=unix_/a:rtpxd.socket:rtpxd=udp"), 3);
	assert_int_equal(fd[0].fd, 3);
	assert_int_equal(fd[2].fd, 5);
	assert_true(fd[0].stored && !fd[1].stored && fd[2].stored);
	assert_true(span_eq(fd[0].name, span_of("unix_/a")));
	assert_true(span_eq(fd[2].name, span_of("udp")));
	assert_int_equal(fd[1].name.len, 0);
	assert_int_equal(takes(fd, ours, "3", "a"), 3);
	assert_false(fd[0].stored || fd[1].stored || fd[2].stored);
	assert_int_equal(takes(fd, ours, "2", NULL), 2);
	assert_false(fd[0].stored || fd[1].stored);
	assert_int_equal(takes(fd, ours, "9", "::rtpxd=x"), 4);
	assert_true(!fd[1].stored && fd[2].stored && !fd[3].stored);
	assert_true(span_eq(fd[2].name, span_of("x")));
	assert_int_equal(takes(fd, ours + 1, "3", NULL), 0);
	assert_int_equal(takes(fd, ours, "0", NULL), 0);
	assert_int_equal(takes(fd, ours, "-1", NULL), 0);
	assert_int_equal(takes(fd, ours, "3x", NULL), 0);
	assert_int_equal(takes(fd, ours, "99999999999999999999999", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(tells_states, ends),
		cmocka_unit_test_teardown(stores_descriptors, ends),
		cmocka_unit_test_teardown(heartbeat_never_waits, ends),
		cmocka_unit_test_teardown(has_no_manager, ends),
		cmocka_unit_test(takes_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
