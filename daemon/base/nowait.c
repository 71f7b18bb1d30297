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

enum nowait_kind nowait_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return NOWAIT_STREAM;
	return S_ISSOCK(st.st_mode)  ? NOWAIT_SOCKET
	       : S_ISREG(st.st_mode) ? NOWAIT_FILE
				     : NOWAIT_STREAM;
}

ssize_t nowait_write(int fd, enum nowait_kind kind, const void *p, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	do {
		if (kind == NOWAIT_SOCKET)
			n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (kind == NOWAIT_FILE)
			n = write(fd, p, len);
		else if (poll(&pfd, 1, 0) == 0)
			return -EAGAIN;
		else
			n = write(fd, p, MIN(len, PIPE_CHUNK));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}
