/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passed.c - a small set of sockets, and their addresses. It opens no socket and receives none.
 */
#include "control/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"

/* The address that @fd is bound to. */
union bound {
	struct sockaddr sa;
	struct sockaddr_un sun;
	struct sockaddr_storage ss;
};

static bool bound_to(int fd, union bound *out)
{
	socklen_t len = sizeof(*out);

	memset(out, 0, sizeof(*out));
	return getsockname(fd, &out->sa, &len) == 0;
}

int passed_type(int fd)
{
	socklen_t len = sizeof(int);
	int type = -1;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	return type;
}

const char *passed_text(int fd, char text[PASSED_TEXT])
{
	bool stream = passed_type(fd) == SOCK_STREAM;
	char host[ADDR_TEXT];
	union bound b;
	struct addr a;

	snprintf(text, PASSED_TEXT, "descriptor %d", fd);
	if (!bound_to(fd, &b))
		return text;
	a = addr_from_sockaddr(&b.sa);
	if (b.sa.sa_family == AF_UNIX)
		snprintf(text, PASSED_TEXT, "unix%s:%s", stream ? "" : " datagrams",
			 b.sun.sun_path);
	else if (a.family != ADDR_NONE)
		snprintf(text, PASSED_TEXT, "%s%s:%s:%u", stream ? "tcp" : "udp",
			 a.family == ADDR_IP6 ? "6" : "", addr_host_text(&a, host), a.port);
	return text;
}

void passed_add(struct passed *p, int fd, enum passed_origin origin)
{
	union bound b;

	if (p->n == PASSED_MAX || !bound_to(fd, &b) ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		log_warn("descriptor %d: passed to this process, but it is no socket that rtpxd "
			 "can use",
			 fd);
		close(fd);
		return;
	}
	p->at[p->n++] = (struct passed_socket){ fd, origin };
}

static void take_at(struct passed *p, unsigned int i, struct passed_socket *out)
{
	*out = p->at[i];
	p->at[i] = p->at[--p->n];
}

static bool has_path(const struct sockaddr_un *sun)
{
	struct stat st;

	return lstat(sun->sun_path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_bound_to(int fd, const struct sockaddr *sa)
{
	struct addr want = addr_from_sockaddr(sa), have;
	union bound b;

	if (!bound_to(fd, &b) || b.sa.sa_family != sa->sa_family)
		return false;
	if (sa->sa_family == AF_UNIX)
		return !strcmp(b.sun.sun_path, ((const struct sockaddr_un *)sa)->sun_path) &&
		       has_path(&b.sun);
	have = addr_from_sockaddr(&b.sa);
	return want.family != ADDR_NONE && addr_eq(&want, &have);
}

bool passed_take(struct passed *p, int type, const struct sockaddr *sa, struct passed_socket *out)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (passed_type(p->at[i].fd) == type && is_bound_to(p->at[i].fd, sa)) {
			take_at(p, i, out);
			return true;
		}
	return false;
}

bool passed_take_unit(struct passed *p, struct passed_socket *out)
{
	for (unsigned int i = 0; i < p->n; i++)
		if (p->at[i].origin == PASSED_UNIT) {
			take_at(p, i, out);
			return true;
		}
	return false;
}

bool passed_take_any(struct passed *p, struct passed_socket *out)
{
	if (!p->n)
		return false;
	take_at(p, p->n - 1, out);
	return true;
}
