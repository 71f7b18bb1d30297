/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.c - the two interfaces of a service manager, without its library: sockets in the
 * environment (sd_listen_fds(3)), and datagrams of states to $NOTIFY_SOCKET (sd_notify(3)). Both
 * pages promise that the interfaces stay.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/systemd.h"
#include "base/log.h"

/* Marks names in the store. Descriptors of a socket unit have the unit's name instead. */
#define PREFIX "rtpxd="
#define NAME_MAX_BYTES 255
#define FIRST_FD 3
#define PATIENCE_S 5 /* for a service manager that does not read */

/* A positive number in the environment, at most @max; 0: there is none. */
static unsigned long number_from_env(const char *name, unsigned long max)
{
	const char *text = getenv(name);
	unsigned long n;
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return 0;
	errno = 0;
	n = strtoul(text, &end, 10);
	return *end || errno || n > max ? 0 : n;
}

unsigned int systemd_passed(struct systemd_fd *out, unsigned int max)
{
	const char *name = getenv("LISTEN_FDNAMES");
	unsigned int n = 0, i;

	if (number_from_env("LISTEN_PID", INT32_MAX) == (unsigned long)getpid())
		n = number_from_env("LISTEN_FDS", INT32_MAX - FIRST_FD);
	n = MIN(n, max);
	for (i = 0; i < n; i++) {
		out[i] = (struct systemd_fd){
			.fd = FIRST_FD + (int)i,
			.stored = name && !strncmp(name, PREFIX, strlen(PREFIX)),
		};
		if (out[i].stored)
			out[i].name = (struct span){ name + strlen(PREFIX),
						     strcspn(name, ":") - strlen(PREFIX) };
		fcntl(out[i].fd, F_SETFD, FD_CLOEXEC);
		name = name ? strchr(name, ':') : NULL;
		name = name ? name + 1 : NULL;
	}
	return n;
}

bool systemd_is_here(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

/* The address of the service manager: a path, or "@NAME" in the abstract space. 0: none. */
static socklen_t notify_address(struct sockaddr_un *to)
{
	const char *text = getenv("NOTIFY_SOCKET");
	size_t len = text ? strlen(text) : 0;

	if (len < 2 || len >= sizeof(to->sun_path) || !strchr("/@", *text))
		return 0;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, text, len);
	if (*text == '@')
		to->sun_path[0] = '\0';
	return offsetof(struct sockaddr_un, sun_path) + len;
}

/* Send @state with copies of @n descriptors. 0 or -errno. */
static int send_state(const char *state, const int *fds, unsigned int n, int flags)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(SYSTEMD_STORE * sizeof(*fds))];
	} control = { .header = { .cmsg_len = CMSG_LEN(n * sizeof(*fds)),
				  .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct sockaddr_un to;
	struct iovec text = { .iov_base = (char *)state, .iov_len = strlen(state) };
	struct msghdr msg = { .msg_name = &to, .msg_iov = &text, .msg_iovlen = 1 };
	int sock, err = 0;

	msg.msg_namelen = notify_address(&to);
	if (!msg.msg_namelen)
		return systemd_is_here() ? -EINVAL : 0;
	if (n) {
		memcpy(CMSG_DATA(&control.header), fds, n * sizeof(*fds));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(*fds));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (sendmsg(sock, &msg, flags | MSG_NOSIGNAL) < 0)
		err = -errno;
	close(sock);
	return err;
}

static void send_or_warn(const char *state, const int *fds, unsigned int n)
{
	int err = send_state(state, fds, n, 0);

	if (err)
		log_warn("service manager: cannot be told %.*s: %s", (int)strcspn(state, "\n"),
			 state, strerror(-err));
}

/* Names in the store are printable characters without a colon. */
static void store_name(char out[NAME_MAX_BYTES + 1], struct span name)
{
	snprintf(out, NAME_MAX_BYTES + 1, PREFIX "%.*s", (int)name.len, name.p);
	for (char *c = out; *c; c++)
		if (!isgraph((unsigned char)*c) || *c == ':')
			*c = '_';
}

/* FDPOLL=0: the service manager keeps the descriptors even if one has an error. */
void systemd_store(const int *fds, unsigned int n, struct span name)
{
	char text[NAME_MAX_BYTES + 1], state[NAME_MAX_BYTES + 64];

	store_name(text, name);
	snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", text);
	send_or_warn(state, fds, n);
}

void systemd_unstore(struct span name)
{
	char text[NAME_MAX_BYTES + 1], state[NAME_MAX_BYTES + 64];

	store_name(text, name);
	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", text);
	send_or_warn(state, NULL, 0);
}

void systemd_notify(const char *state)
{
	send_or_warn(state, NULL, 0);
}

/* A busy service manager misses a heartbeat, and the loop does not wait for it. */
void systemd_alive(void)
{
	unsigned long pid = number_from_env("WATCHDOG_PID", INT32_MAX);

	if (number_from_env("WATCHDOG_USEC", ULONG_MAX - 1) &&
	    (!pid || pid == (unsigned long)getpid()))
		send_state("WATCHDOG=1", NULL, 0, MSG_DONTWAIT);
}
