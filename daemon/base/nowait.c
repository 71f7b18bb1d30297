/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nowait.c - writes without waiting. A pipe or terminal that other processes share must stay in
 * blocking mode for them, so poll() asks it for room before each write.
 */
#include "base/nowait.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_CHUNK 4096 /* a pipe takes so much at once (PIPE_BUF) if poll() calls it writable */

bool nowait_is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

ssize_t nowait_write(int fd, bool is_socket, const void *p, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	do {
		if (is_socket)
			n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (poll(&pfd, 1, 0) == 0)
			return -EAGAIN;
		else
			n = write(fd, p, MIN(len, PIPE_CHUNK));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
