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

struct netwatch_opts {
	const char *name; /* of the table, for the log */
	int bus;	  /* NETLINK_ROUTE and so on */
	const unsigned int *groups;
	unsigned int n_groups;
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
	void *arg;
};

#define NETWATCH_REQUEST 512

/*
 * netwatch_new - subscribe, then read the table once before this returns. 0, -EPROTONOSUPPORT when
 * the kernel has no such bus, or another -errno.
 */
int netwatch_new(struct netwatch **out, struct event_base *base, const struct netwatch_opts *opts);
void netwatch_free(struct netwatch *w); /* NULL is allowed */

/* netwatch_again - read the table soon, as if there had been a notice. */
void netwatch_again(struct netwatch *w);

#endif
