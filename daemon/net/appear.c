/* SPDX-License-Identifier: BSD-2-Clause */
/* appear.c - route netlink's notices of addresses. Their content does not matter. */
#include "net/appear.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct appear {
	int fd;
	struct event *event;
	void (*changed)(void *arg);
	void *arg;
};

/* A full buffer (ENOBUFS) means lost notices: that is a change, too. */
static void on_notice(evutil_socket_t fd, short what, void *arg)
{
	struct appear *a = arg;
	char bytes[8192];
	ssize_t n;

	(void)what;
	do
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == ENOBUFS));
	a->changed(a->arg);
}

int appear_new(struct appear **out, struct event_base *base, void (*changed)(void *arg), void *arg)
{
	const struct sockaddr_nl us = { .nl_family = AF_NETLINK,
					.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	struct appear *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	*a = (struct appear){ .changed = changed, .arg = arg };
	a->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (a->fd < 0 || bind(a->fd, (const struct sockaddr *)&us, sizeof(us)) < 0) {
		rc = -errno;
	} else {
		a->event = event_new(base, a->fd, EV_READ | EV_PERSIST, on_notice, a);
		rc = a->event && event_add(a->event, NULL) == 0 ? 0 : -ENOMEM;
	}
	if (rc) {
		appear_free(a);
		return rc;
	}
	*out = a;
	return 0;
}

void appear_free(struct appear *a)
{
	if (!a)
		return;
	if (a->event)
		event_free(a->event);
	if (a->fd >= 0)
		close(a->fd);
	free(a);
}
