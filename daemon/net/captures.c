/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * captures.c - reads the kernel's list of packet handlers, /proc/net/ptype, once a second at most.
 *
 * A line of it has the handler's protocol, its device if it has one, and a function. The protocol
 * is "ALL" for the handlers that see what leaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/captures.h"

#define LIST "/proc/thread-self/net/ptype"
#define LIST_BYTES 65536 /* a longer list counts as one with a capture */

static const char all[] = "\nALL "; /* the first line is a heading */

struct captures {
	int list;
	uint64_t looked_ns; /* 0: never */
	bool any;
};

int captures_new(struct captures **out)
{
	struct captures *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->list = open(LIST, O_RDONLY | O_CLOEXEC);
	if (c->list >= 0) {
		*out = c;
		return 0;
	}
	err = -errno;
	free(c);
	return err;
}

void captures_free(struct captures *c)
{
	if (!c)
		return;
	close(c->list);
	free(c);
}

/* The kernel gives the list in pieces of whole lines. */
static bool look(const struct captures *c)
{
	char bytes[LIST_BYTES + 1];
	size_t len = 0;
	ssize_t n;

	while ((n = pread(c->list, bytes + len, LIST_BYTES - len, (off_t)len)) > 0)
		len += (size_t)n;
	bytes[len] = '\0';
	return n < 0 || !len || len == LIST_BYTES || strstr(bytes, all);
}

bool captures_any(struct captures *c, uint64_t now_ns)
{
	if (!c)
		return true;
	if (!c->looked_ns || now_ns - c->looked_ns >= CAPTURES_NS) {
		c->any = look(c);
		c->looked_ns = now_ns;
	}
	return c->any;
}
