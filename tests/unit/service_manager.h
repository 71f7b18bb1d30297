/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * service_manager.h - a service manager that is the test: it hears the states and descriptors that
 * the daemon sends to $NOTIFY_SOCKET.
 */
#ifndef TEST_SERVICE_MANAGER_H
#define TEST_SERVICE_MANAGER_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MANAGER_FDS 16 /* descriptors of a message */

static int manager = -1;

/* Listen at @name, a path or "@NAME" in the abstract space. */
static inline void manager_begin(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	setenv("NOTIFY_SOCKET", name, 1);
	memcpy(at.sun_path, name, len);
	if (*name == '@')
		at.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(manager >= 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&at,
			      offsetof(struct sockaddr_un, sun_path) + len),
			 0);
}

static inline void manager_end(void)
{
	close(manager);
	manager = -1;
	unsetenv("NOTIFY_SOCKET");
}

/* Expect a message. Returns the number of descriptors that came with it. */
static inline unsigned int manager_hears(const char *expected, int fds[MANAGER_FDS])
{
	char text[512] = "", control[CMSG_SPACE(MANAGER_FDS * sizeof(int))];
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	const struct cmsghdr *c;
	size_t bytes;

	assert_true(recvmsg(manager, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) >= 0);
	assert_string_equal(text, expected);
	c = CMSG_FIRSTHDR(&msg);
	bytes = c ? c->cmsg_len - CMSG_LEN(0) : 0;
	if (c)
		memcpy(fds, CMSG_DATA(c), bytes);
	return bytes / sizeof(int);
}

static inline bool manager_hears_nothing(void)
{
	char byte;

	return recv(manager, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

#endif
