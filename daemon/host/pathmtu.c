/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pathmtu.c - two raw ICMP sockets with filters. Any host can send such messages, so a turn reads a
 * limited number of them, and a pause follows.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/pathmtu.h"
#include "base/log.h"
#include "net/netlink.h"

#define ICMP_BYTES 8 /* header; the packet that caused the message follows */
#define IP4_DEST_AT 16
#define IP6_DEST_AT 24
#define REDIRECT6 137
#define REDIRECT6_DEST_AT 24 /* offset in the message, RFC 4861 section 4.5 */
#define IP4_HEADER_MIN 20
#define RECEIVE_BYTES (64 << 10)

struct pathmtu {
	int fd[2]; /* IPv4, IPv6; -1: none */
	struct event *ready[2], *resume;
	void (*changed)(void *arg, const struct addr *dest);
	void *arg;
};

static int icmp4_open(void)
{
	struct icmp_filter f = { .data = ~(1u << ICMP_DEST_UNREACH | 1u << ICMP_REDIRECT) };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);

	if (fd >= 0 && setsockopt(fd, SOL_RAW, ICMP_FILTER, &f, sizeof(f))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int icmp6_open(void)
{
	struct icmp6_filter f;
	int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	memset(&f, 0xff, sizeof(f));
	f.data[ICMPV6_PKT_TOOBIG >> 5] &= ~(1u << (ICMPV6_PKT_TOOBIG & 31));
	f.data[REDIRECT6 >> 5] &= ~(1u << (REDIRECT6 & 31));
	if (fd >= 0 && setsockopt(fd, IPPROTO_ICMPV6, ICMPV6_FILTER, &f, sizeof(f))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

struct pathmtu *pathmtu_open(void)
{
	struct pathmtu *p = calloc(1, sizeof(*p));
	int i, bytes = RECEIVE_BYTES;

	if (!p)
		return NULL;
	p->fd[0] = icmp4_open();
	if (p->fd[0] < 0)
		log_warn("path MTU: no raw ICMP socket: %s: a smaller MTU behind a router is seen "
			 "after 30 seconds; start as root or with CAP_NET_RAW",
			 strerror(errno));
	p->fd[1] = icmp6_open();
	for (i = 0; i < 2; i++)
		if (p->fd[i] >= 0)
			setsockopt(p->fd[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return p;
}

/* ---- messages ---- */

/* The destination of the packet that caused an ICMP message; @len: bytes with the IP header. */
static bool icmp4_message(const uint8_t *b, size_t len, struct addr *dest)
{
	size_t header = len ? (b[0] & 15) * 4u : 0;

	if (header < IP4_HEADER_MIN || len < header + ICMP_BYTES + IP4_HEADER_MIN)
		return false;
	b += header;
	if (b[0] == ICMP_DEST_UNREACH && b[1] != ICMP_FRAG_NEEDED)
		return false;
	return netlink_host(dest, ADDR_IP4, b + ICMP_BYTES + IP4_DEST_AT, 4);
}

static bool icmp6_message(const uint8_t *b, size_t len, struct addr *dest)
{
	size_t at = len && b[0] == REDIRECT6 ? REDIRECT6_DEST_AT : ICMP_BYTES + IP6_DEST_AT;

	return len >= at + 16 && netlink_host(dest, ADDR_IP6, b + at, 16);
}

static void pause_reading(struct pathmtu *p)
{
	static const struct timeval pause = { .tv_usec = PATHMTU_PAUSE_MS * 1000 };
	int i;

	for (i = 0; i < 2; i++)
		if (p->ready[i])
			event_del(p->ready[i]);
	event_add(p->resume, &pause);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct pathmtu *p = arg;
	uint8_t buf[1500];
	struct addr dest;
	ssize_t n;
	int i;

	(void)what;
	for (i = 0; i < PATHMTU_TURN; i++) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0)
			break;
		if (fd == p->fd[0] ? icmp4_message(buf, n, &dest) : icmp6_message(buf, n, &dest))
			p->changed(p->arg, &dest);
	}
	pause_reading(p);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct pathmtu *p = arg;
	int i;

	(void)fd, (void)what;
	for (i = 0; i < 2; i++)
		if (p->ready[i])
			event_add(p->ready[i], NULL);
}

int pathmtu_start(struct pathmtu *p, struct event_base *base,
		  void (*changed)(void *arg, const struct addr *dest), void *arg)
{
	int i;

	p->changed = changed;
	p->arg = arg;
	p->resume = evtimer_new(base, on_resume, p);
	if (!p->resume)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		if (p->fd[i] < 0)
			continue;
		p->ready[i] = event_new(base, p->fd[i], EV_READ | EV_PERSIST, on_ready, p);
		if (!p->ready[i] || event_add(p->ready[i], NULL))
			return -ENOMEM;
	}
	return 0;
}

void pathmtu_stop(struct pathmtu *p)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (p->ready[i])
			event_free(p->ready[i]);
		p->ready[i] = NULL;
	}
	if (p->resume)
		event_free(p->resume);
	p->resume = NULL;
}

void pathmtu_free(struct pathmtu *p)
{
	int i;

	if (!p)
		return;
	pathmtu_stop(p);
	for (i = 0; i < 2; i++)
		if (p->fd[i] >= 0)
			close(p->fd[i]);
	free(p);
}
