/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.c - passes descriptors through a unix socket, and runs the child that holds them until
 * then. It does not look at the sockets: listen.c takes a passed socket instead of opening one with
 * the same address.
 */
#include "control/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define NAME "handover"
#define HOLDER_NAME "rtpxd-sockets" /* as ps shows it; at most 15 bytes */
#define TAKE_MS 5000		    /* wait for the previous daemon, which is exiting */

/* The path of a directory may be too long for the address of a unix socket. /proc shortens it. */
static struct sockaddr_un address_in(int dir_fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d/" NAME, dir_fd);
	return sun;
}

static int open_dir(const char *dir)
{
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int handover_offer(const char *dir)
{
	int dir_fd = open_dir(dir), r = 0;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun = address_in(dir_fd);
	mode_t before = umask(0177);

	if (fd < 0 || dir_fd < 0 || (unlinkat(dir_fd, NAME, 0) < 0 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 || listen(fd, 1) < 0)
		r = -errno;
	umask(before);
	if (dir_fd >= 0)
		close(dir_fd);
	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return r;
}

/* ---- the child ---- */

/* Room for the descriptors of one message. */
union room {
	char bytes[CMSG_SPACE(HANDOVER_MAX * sizeof(int))];
	struct cmsghdr align;
};

static bool send_fds(int to, const int *fds, unsigned int n)
{
	char count = (char)n;
	struct iovec iov = { &count, 1 };
	union room room = { 0 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1;
}

static bool is_trusted(int fd, uid_t uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == uid);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * The child must not keep our output open: the reader of a pipe or terminal would wait for the
 * child instead of for us. Close all descriptors but @keep, and point stdin, stdout and stderr to
 * /dev/null.
 */
static void close_others(const int *keep, unsigned int n)
{
	int sorted[HANDOVER_MAX + 1], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned int next = STDERR_FILENO + 1;

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	memcpy(sorted, keep, n * sizeof(*keep));
	qsort(sorted, n, sizeof(*sorted), by_number);
	for (unsigned int i = 0; i < n; i++) {
		if ((unsigned int)sorted[i] > next)
			close_range(next, (unsigned int)sorted[i] - 1, 0);
		next = (unsigned int)sorted[i] + 1;
	}
	close_range(next, ~0u, 0);
}

static void child_hold(int offer, const int *fds, unsigned int n)
{
	const uint64_t end_ns = clock_now() + HANDOVER_HOLD_S * NSEC_PER_SEC;
	int keep[HANDOVER_MAX + 1] = { offer };
	sigset_t none;

	memcpy(keep + 1, fds, n * sizeof(*fds));
	close_others(keep, n + 1);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_NAME, HOLDER_NAME);
	for (;;) {
		struct pollfd p = { .fd = offer, .events = POLLIN };
		uint64_t now_ns = clock_now();
		int peer;

		if (now_ns >= end_ns)
			return;
		if (poll(&p, 1, (int)((end_ns - now_ns) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		peer = accept4(offer, NULL, NULL, SOCK_CLOEXEC);
		if (peer >= 0 && is_trusted(peer, geteuid()) && send_fds(peer, fds, n))
			return;
		if (peer >= 0)
			close(peer);
	}
}

void handover_hold(int offer, const int *fds, unsigned int n)
{
	pid_t pid;

	if (n > HANDOVER_MAX)
		n = HANDOVER_MAX;
	pid = fork();
	if (pid < 0)
		log_err("control sockets: cannot be held for the next rtpxd, so commands are "
			"refused until it is there: %s",
			strerror(errno));
	if (pid == 0) {
		child_hold(offer, fds, n);
		_exit(0);
	}
	close(offer);
}

/* ---- the next daemon ---- */

static unsigned int receive_fds(int from, int fds[HANDOVER_MAX])
{
	struct pollfd p = { .fd = from, .events = POLLIN };
	union room room;
	char count;
	struct iovec iov = { &count, 1 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes),
	};
	unsigned int n = 0;

	if (poll(&p, 1, TAKE_MS) <= 0 || recvmsg(from, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
		return 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS) {
			n = (unsigned int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(h), n * sizeof(int));
		}
	return n;
}

unsigned int handover_take(const char *dir, uid_t uid, int fds[HANDOVER_MAX])
{
	int dir_fd = open_dir(dir), fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun = address_in(dir_fd);
	unsigned int n = 0;

	if (fd >= 0 && dir_fd >= 0 && connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0) {
		if (is_trusted(fd, uid))
			n = receive_fds(fd, fds);
		if (!n)
			log_warn("control sockets: the previous rtpxd did not hand over its own");
	}
	if (dir_fd >= 0) {
		unlinkat(dir_fd, NAME, 0);
		close(dir_fd);
	}
	if (fd >= 0)
		close(fd);
	return n;
}
