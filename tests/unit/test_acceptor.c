/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_acceptor.c - many connections, and connections without free descriptors. Without descriptors
 * the loop does not spin and the log gets one line a second. Waiting connections are accepted once
 * descriptors are free.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <cmocka.h>

#include "../../daemon/control/acceptor.c"

#define PEERS 200

struct bench {
	struct event_base *base;
	struct acceptor *a;
	struct sockaddr_un sun;
	socklen_t len;
	int fd, accepted[PEERS];
	unsigned int n;
};

static void take(void *arg, int fd, const struct sockaddr_storage *from)
{
	struct bench *b = arg;

	assert_int_equal(from->ss_family, AF_UNIX);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	b->accepted[b->n++] = fd;
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->base = event_base_new();
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	b->sun.sun_family = AF_UNIX;
	b->len = sizeof(b->sun);
	if (bind(b->fd, (struct sockaddr *)&b->sun, sizeof(sa_family_t)) ||
	    getsockname(b->fd, (struct sockaddr *)&b->sun, &b->len) || listen(b->fd, PEERS))
		return -1;
	*state = b;
	return acceptor_new(&b->a, b->base, b->fd, "test", take, b);
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	acceptor_free(b->a);
	close(b->fd);
	for (unsigned int i = 0; i < b->n; i++)
		close(b->accepted[i]);
	event_base_free(b->base);
	free(b);
	return 0;
}

static int dial(const struct bench *b)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&b->sun, b->len), 0);
	return fd;
}

static void turn(struct bench *b)
{
	event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static void all_of_many(void **state)
{
	struct bench *b = *state;
	int fds[PEERS];

	for (int i = 0; i < PEERS; i++)
		fds[i] = dial(b);
	for (int i = 0; i < PEERS; i++)
		turn(b);
	assert_int_equal(b->n, PEERS);
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
}

static void shortage(void **state)
{
	enum { FILES = 64, WAITING = 12 };
	struct rlimit old, few;
	struct bench *b = *state;
	int fds[WAITING], eaten[FILES], n = 0;

	getrlimit(RLIMIT_NOFILE, &old);
	few = (struct rlimit){ FILES, old.rlim_max };
	for (int i = 0; i < WAITING; i++)
		fds[i] = dial(b);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < FILES && (eaten[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	for (int i = 0; i < 100; i++)
		turn(b);
	assert_int_equal(b->n, ACCEPTOR_SPARES);
	assert_false(event_pending(b->a->readable, EV_READ, NULL));
	assert_true(event_pending(b->a->retry, EV_TIMEOUT, NULL));

	while (n > 0)
		close(eaten[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	while (b->n < WAITING)
		event_base_loop(b->base, EVLOOP_ONCE);
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++)
		assert_true(b->a->spare[i] >= 0);
	for (int i = 0; i < WAITING; i++)
		close(fds[i]);
}

/* A closed connection refills the spare descriptors. */
static void spares_return(void **state)
{
	struct bench *b = *state;

	assert_true(give_spare(b->a));
	assert_true(give_spare(b->a));
	acceptor_closed(b->a);
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++)
		assert_true(b->a->spare[i] >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shortage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(spares_return, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
