/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * targets.c - connects to a target and closes the connection. Targets and their host names are seen
 * from here: run it in the daemon's network namespace.
 */
#include "targets.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask.h"
#include "notify/spec.h"
#include "observe/hep_address.h"

/* NULL, or the reason why nothing listens there. */
static const char *connect_to(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(err);

	if (fd < 0)
		return strerror(errno);
	if (connect(fd, sa, len) < 0)
		err = errno;
	if (err == EINPROGRESS && poll(&p, 1, TARGETS_WAIT_MS) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size);
	close(fd);
	return err == EINPROGRESS ? "no answer" : err && err != EAGAIN ? strerror(err) : NULL;
}

static const char *reach_path(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(sun.sun_path))
		return strerror(ENAMETOOLONG);
	strcpy(sun.sun_path, path);
	return connect_to((struct sockaddr *)&sun, sizeof(sun));
}

/* @connects: false asks for the address only. */
static const char *reach_host(const char *host, unsigned int port, bool connects)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	const char *why = NULL;
	struct addrinfo *all;
	char service[16];
	int r;

	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host, service, &hints, &all);
	if (r)
		return gai_strerror(r);
	for (struct addrinfo *a = all; connects && a; a = a->ai_next) {
		why = connect_to(a->ai_addr, a->ai_addrlen);
		if (!why)
			break;
	}
	freeaddrinfo(all);
	return why;
}

static void say(struct findings *f, const char *check, const char *name, const char *why,
		const char *good)
{
	if (why)
		found(f, check, WARNING, "start the program there, or give its right address",
		      "%s cannot be reached from here: %s", name, why);
	else
		found(f, check, OK, "", "%s %s", name, good);
}

static void check_notify(struct findings *f, const char *name)
{
	struct notify_spec spec;
	const char *why;

	if (notify_parse(&spec, name, &why) < 0 || spec.kind == NOTIFY_SELF)
		return;
	why = spec.kind == NOTIFY_UNIX ? reach_path(spec.path)
				       : reach_host(spec.host, spec.port, true);
	say(f, "notify", name, why, "takes notifications");
}

static void check_collector(struct findings *f, const char *name)
{
	struct hep_address a;
	const char *why;

	if (hep_address_parse(&a, name, &why) < 0)
		return;
	say(f, "hep", name, reach_host(a.host, a.port, a.tcp),
	    a.tcp ? "takes connections" : "has an address; UDP tells no more");
}

void targets_check(struct findings *f, struct json_object *status)
{
	struct json_object *list, *hep;

	for (size_t i = 0; json_object_object_get_ex(status, "notify", &list) &&
			   i < json_object_array_length(list);
	     i++)
		check_notify(f, json_text(json_object_array_get_idx(list, i), "target"));
	if (json_object_object_get_ex(status, "hep", &hep) && hep)
		check_collector(f, json_text(hep, "collector"));
}
