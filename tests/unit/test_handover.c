/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_handover.c - a process that exits hands its sockets to the next process. That process finds
 * each socket that it wants to open, with the data that waits in it. Other users get no socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/wait.h>

#include "../../daemon/control/handover.c"

#include "base/addr.h"
#include "control/passed.h"

static char dir[32];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/rtpx-handover-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir); /* fails unless the directory is empty */
}

static int udp_on(uint16_t port, struct sockaddr_storage *ss)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*ss);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ss, &len), 0);
	return fd;
}

/* Start a process that offers @fds and exits like a daemon. */
static void leave(const int *fds, unsigned int n)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int offer = handover_offer(dir);

		if (offer >= 0)
			handover_hold(offer, fds, n);
		_exit(offer < 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void waits_in_the_socket(void **state)
{
	struct sockaddr_storage ss[2];
	int fds[2] = { udp_on(0, &ss[0]), udp_on(0, &ss[1]) }, got[HANDOVER_MAX];
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct passed passed = { 0 };
	struct passed_socket found;
	char text[PASSED_TEXT], byte;

	(void)state;
	leave(fds, 2);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(connect(client, (struct sockaddr *)&ss[1], sizeof(struct sockaddr_in)), 0);
	assert_int_equal(send(client, "x", 1, 0), 1);
	assert_int_equal(handover_take(dir, geteuid(), got), 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
		passed_add(&passed, got[i], PASSED_PREVIOUS);
	}
	assert_false(passed_take(&passed, SOCK_STREAM, (struct sockaddr *)&ss[1], &found));
	assert_true(passed_take(&passed, SOCK_DGRAM, (struct sockaddr *)&ss[1], &found));
	assert_int_equal(found.origin, PASSED_PREVIOUS);
	assert_int_equal(strncmp(passed_text(found.fd, text), "udp:127.0.0.1:", 14), 0);
	assert_int_equal(recv(found.fd, &byte, 1, MSG_DONTWAIT), 1);
	close(found.fd);
	assert_false(passed_take(&passed, SOCK_DGRAM, (struct sockaddr *)&ss[1], &found));
	assert_false(passed_take_unit(&passed, &found));
	assert_true(passed_take_any(&passed, &found));
	close(found.fd);
	assert_false(passed_take_any(&passed, &found));
	close(client);
}

/* The first process gets the sockets; the next finds no offer. */
static void is_given_once(void **state)
{
	struct sockaddr_storage ss;
	int fd = udp_on(0, &ss), got[HANDOVER_MAX];

	(void)state;
	assert_int_equal(handover_take(dir, geteuid(), got), 0);
	leave(&fd, 1);
	assert_int_equal(handover_take(dir, geteuid(), got), 1);
	close(got[0]);
	assert_int_equal(handover_take(dir, geteuid(), got), 0);
	close(fd);
}

/* Another user gets no sockets of ours, and root takes none from another user. */
static void not_from_or_for_strangers(void **state)
{
	struct sockaddr_storage ss;
	int fd = udp_on(0, &ss), got[HANDOVER_MAX], status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(dir, 0777), 0);
	leave(&fd, 1);
	pid = fork();
	if (pid == 0)
		_exit(setuid(12345) < 0 || handover_take(dir, 12345, got) != 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pid = fork();
	if (pid == 0) {
		unlinkat(open_dir(dir), NAME, 0);
		if (setuid(12345) == 0)
			leave(&fd, 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(handover_take(dir, 54321, got), 0);
	close(fd);
}

/* An offer of a dead process, and a file that is not an offer. */
static void stale_offers(void **state)
{
	int got[HANDOVER_MAX], offer = handover_offer(dir);

	(void)state;
	assert_true(offer >= 0);
	close(offer);
	assert_int_equal(handover_take(dir, geteuid(), got), 0);
	close(openat(open_dir(dir), NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(handover_take(dir, geteuid(), got), 0);
	assert_int_equal(handover_take("/nonexistent", geteuid(), got), 0);
	assert_true(handover_offer("/nonexistent") < 0);
}

static void unix_sockets_need_their_name(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct passed passed = { 0 };
	struct passed_socket found;
	char text[PASSED_TEXT];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/sock", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	passed_add(&passed, fd, PASSED_STORE);
	assert_true(passed_take(&passed, SOCK_STREAM, (struct sockaddr *)&sun, &found));
	assert_non_null(strstr(passed_text(found.fd, text), sun.sun_path));
	passed_add(&passed, found.fd, PASSED_STORE);
	unlink(sun.sun_path);
	assert_false(passed_take(&passed, SOCK_STREAM, (struct sockaddr *)&sun, &found));
	assert_true(passed_take_any(&passed, &found));
	close(found.fd);
	/* This descriptor is not a socket. */
	passed_add(&passed, open("/dev/null", O_RDONLY | O_CLOEXEC), PASSED_UNIT);
	assert_int_equal(passed.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_in_the_socket),	    TEST(is_given_once),
		TEST(not_from_or_for_strangers),    TEST(stale_offers),
		TEST(unix_sockets_need_their_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
