/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netwatch.h - a table of the kernel: read whole by netlink, in slices, and read again after each
 * notice of a change. Knows nothing of the messages' content.
 *
 * A new reading replaces the old one when it is complete. Until then the owner keeps the old one.
 */
#ifndef RTPX_NETWATCH_H
#define RTPX_NETWATCH_H

#include "base/base.h"

struct event_base;
struct nlmsghdr;
struct netwatch;

/* The first member of a module that follows a table. */
struct follower {
	struct netwatch *watch; /* NULL: the first reading is not complete */
	void (*changed)(void *arg);
	void *arg;
};

/* A table of the kernel, and its reader. @arg is the module that follows it. */
struct netwatch_table {
	const char *name; /* for the log */
	int bus;	  /* NETLINK_ROUTE and so on */
	const unsigned int *groups;
	unsigned int n_groups;
	bool may_lack; /* a kernel without the bus has an empty table */
	/* concerns - a notice means that the table may have changed; NULL: each notice does */
	bool (*concerns)(void *arg, const struct nlmsghdr *notice);
	/* begin - discard the rest of a reading that was not completed */
	void (*begin)(void *arg);
	/*
	 * ask - write request number @n, 0 first, into @h, which has a header with room for
	 * NETWATCH_REQUEST bytes behind it: type, flags (NLM_F_DUMP or NLM_F_ACK) and body. False:
	 * there are no more requests.
	 */
	bool (*ask)(void *arg, unsigned int n, struct nlmsghdr *h);
	/* take - one message of the answer to request @n */
	void (*take)(void *arg, unsigned int n, const struct nlmsghdr *h);
	/*
	 * done - the reading is complete: @err 0, or the -errno of the first request that the
	 * kernel refused
	 */
	void (*done)(void *arg, int err);
};

#define NETWATCH_REQUEST 512

/*
 * follower_new - make a module of @size zeroed bytes that begins with a struct follower: subscribe,
 * then read the table once before this returns. Without @base nothing is read. NULL with *@err set
 * to -errno; free the module by follower_free() and free().
 */
void *follower_new(size_t size, const struct netwatch_table *table, struct event_base *base,
		   void (*changed)(void *arg), void *arg, int *err);
void follower_free(struct follower *f);

/* follower_tell - call @changed, unless this is the first reading. */
void follower_tell(const struct follower *f);

#endif
