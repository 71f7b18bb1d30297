/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acceptor.c - calls accept(), and handles its errors.
 */
#include "control/acceptor.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/provoked.h"

#define ACCEPTS_PER_TURN 64

struct acceptor {
	int fd;
	const char *name;
	acceptor_welcome welcome;
	void *arg;
	struct event *readable, *retry;
	int spare[ACCEPTOR_SPARES]; /* -1: closed, to make room for a connection */
};

void acceptor_closed(struct acceptor *a)
{
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++)
		if (a->spare[i] < 0)
			a->spare[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool give_spare(struct acceptor *a)
{
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++) {
		if (a->spare[i] < 0)
			continue;
		close(a->spare[i]);
		a->spare[i] = -1;
		return true;
	}
	return false;
}

/* Stops accepting for a while. The connection waits in the queue of the listening socket. */
static void pause_accepting(struct acceptor *a, int error)
{
	static const struct timeval pause = { 0, 200000 };

	log_provoked(PROVOKED_PEER_WAITS, NULL, a->name, strerror(error));
	event_del(a->readable);
	evtimer_add(a->retry, &pause);
}

/*
 * accept(2) fails for three reasons: the connection has already ended, no connection waits
 * (EAGAIN), or this process is short of memory or descriptors. True: the first.
 */
static bool is_of_the_connection(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENOPROTOOPT:
	case ENONET:
	case EPERM: /* a firewall forbids the connection */
		return true;
	default:
		return false;
	}
}

static void on_readable(evutil_socket_t sock, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(from);
		int fd =
			accept4(sock, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			a->welcome(a->arg, fd, &from);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (is_of_the_connection(errno) ||
		    ((errno == EMFILE || errno == ENFILE) && give_spare(a)))
			continue;
		pause_accepting(a, errno);
		return;
	}
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)fd, (void)what;
	acceptor_closed(a);
	event_add(a->readable, NULL);
}

int acceptor_new(struct acceptor **out, struct event_base *base, int fd, const char *name,
		 acceptor_welcome welcome, void *arg)
{
	struct acceptor *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->fd = fd;
	a->name = name;
	a->welcome = welcome;
	a->arg = arg;
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++)
		a->spare[i] = -1;
	acceptor_closed(a);
	a->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, a);
	a->retry = evtimer_new(base, on_retry, a);
	if (!a->readable || !a->retry || event_add(a->readable, NULL) < 0) {
		acceptor_free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	if (a->readable)
		event_free(a->readable);
	if (a->retry)
		event_free(a->retry);
	for (unsigned int i = 0; i < ACCEPTOR_SPARES; i++)
		if (a->spare[i] >= 0)
			close(a->spare[i]);
	free(a);
}
