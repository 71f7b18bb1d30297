/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - one peer of a stream control socket: framing, order of replies, back pressure. It opens
 * and closes no descriptor.
 */
#include "control/conn.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/nowait.h"

#define OUT_HIGH (64 * 1024) /* bytes of unread replies at which the peer's commands wait */
#define STALL_S 30	     /* a peer that reads no byte of its replies for so long is dropped */
#define TURN_COMMANDS 64     /* commands of one peer before other peers get their turn */

struct conn {
	const struct conn_ops *ops;
	void *arg;
	int fd_in, fd_out;
	enum nowait_kind out_kind;
	bool pollable; /* epoll takes fd_in; false for a regular file, which is always ready */
	enum conn_framing framing;
	struct addr peer;
	bool eof;  /* the peer sends no more */
	bool mute; /* the peer cannot get replies any more; commands that it has sent are
		      executed all the same */
	bool dead; /* the connection is to be ended */
	struct event *readable, *writable, *later;
	struct evbuffer *replies;
	size_t start, end; /* in[start] to in[end - 1] is not executed yet */
	char in[CONN_LINE_MAX + 1];
};

static bool can_poll(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	bool can;

	if (ep < 0)
		return true;
	can = epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0 || errno != EPERM;
	close(ep);
	return can;
}

static void flush_replies(struct conn *c)
{
	size_t len;

	while ((len = evbuffer_get_contiguous_space(c->replies)) > 0) {
		ssize_t n = nowait_write(c->fd_out, c->out_kind,
					 evbuffer_pullup(c->replies, (ssize_t)len), len);

		if (n == -EAGAIN)
			return;
		if (n < 0) {
			c->mute = true;
			n = (ssize_t)evbuffer_get_length(c->replies);
		}
		evbuffer_drain(c->replies, (size_t)n);
	}
}

/* Takes the next whole command from the buffer; false: there is none. */
static bool next_command(struct conn *c, struct span *out)
{
	const char *from = c->in + c->start;
	size_t len = c->end - c->start;
	const char *nl;

	if (!len)
		return false;
	if (c->framing == CONN_ONE_READ) {
		*out = (struct span){ from, len };
		c->start = c->end;
		return true;
	}
	nl = memchr(from, '\n', len);
	if (!nl)
		return false;
	*out = (struct span){ from, (size_t)(nl - from) };
	c->start += out->len + 1;
	return true;
}

static bool has_command(const struct conn *c)
{
	return c->end > c->start &&
	       (c->framing == CONN_ONE_READ || memchr(c->in + c->start, '\n', c->end - c->start));
}

static void line_execute(struct conn *c)
{
	uint64_t now_ns = clock_now();
	char reply[CONN_REPLY_MAX];
	struct span line;

	bool any = false;

	for (int i = 0; i < TURN_COMMANDS && evbuffer_get_length(c->replies) < OUT_HIGH; i++) {
		size_t len;

		if (!next_command(c, &line))
			break;
		any = true;
		len = c->ops->run(c->arg, line.p, line.len, &c->peer, now_ns, reply);
		if (!c->mute && evbuffer_add(c->replies, reply, len) < 0)
			c->dead = true;
	}
	if (any && c->ops->settle)
		c->ops->settle(c->arg);
	memmove(c->in, c->in + c->start, c->end - c->start);
	c->end -= c->start;
	c->start = 0;
}

/* Executes the commands in the buffer, sends replies, and waits for more of both. May free @c. */
static void serve_peer(struct conn *c)
{
	static const struct timeval at_once = { 0, 0 }, stall = { STALL_S, 0 };
	size_t unsent;
	bool more;

	line_execute(c);
	flush_replies(c);
	unsent = evbuffer_get_length(c->replies);
	more = has_command(c);
	if (c->dead || (c->eof && !more && !unsent) || (!more && c->end == sizeof(c->in))) {
		c->ops->ended(c->arg);
		return;
	}
	if (!c->pollable || c->eof || more || unsent >= OUT_HIGH)
		event_del(c->readable);
	else if (!event_pending(c->readable, EV_READ, NULL))
		event_add(c->readable, NULL);
	if (!unsent)
		event_del(c->writable);
	else if (!event_pending(c->writable, EV_WRITE, NULL))
		event_add(c->writable, &stall);
	if (unsent < OUT_HIGH && (more || (!c->pollable && !c->eof)))
		evtimer_add(c->later, &at_once);
}

static void get_bytes(struct conn *c)
{
	size_t room = sizeof(c->in) - c->end - (c->framing == CONN_ONE_READ ? 1 : 0);
	ssize_t n = read(c->fd_in, c->in + c->end, room);

	if (n > 0)
		c->end += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		c->eof = true;
	if (n > 0 && c->framing == CONN_ONE_READ)
		c->eof = true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	get_bytes(c);
	serve_peer(c);
}

/* More commands wait in the buffer, or the input is a file, which epoll cannot watch. */
static void on_later(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	if (!c->pollable && !c->eof && !has_command(c))
		get_bytes(c);
	serve_peer(c);
}

/* EV_PERSIST restarts the time-out whenever the peer reads. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		c->dead = true;
	serve_peer(c);
}

int conn_new(struct conn **out, struct event_base *base, const struct conn_ops *ops, void *arg,
	     int fd_in, int fd_out, enum conn_framing framing, const struct addr *peer)
{
	static const struct timeval at_once = { 0, 0 };
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->ops = ops;
	c->arg = arg;
	c->fd_in = fd_in;
	c->fd_out = fd_out;
	c->framing = framing;
	c->peer = *peer;
	c->out_kind = nowait_kind(fd_out);
	c->pollable = nowait_kind(fd_in) == NOWAIT_SOCKET || can_poll(fd_in);
	c->replies = evbuffer_new();
	c->readable = event_new(base, fd_in, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd_out, EV_WRITE | EV_PERSIST, on_writable, c);
	c->later = evtimer_new(base, on_later, c);
	if (!c->replies || !c->readable || !c->writable || !c->later ||
	    (c->pollable ? event_add(c->readable, NULL) : evtimer_add(c->later, &at_once)) < 0) {
		conn_free(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

void conn_free(struct conn *c)
{
	if (!c)
		return;
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->later)
		event_free(c->later);
	if (c->replies)
		evbuffer_free(c->replies);
	free(c);
}
