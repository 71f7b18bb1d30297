/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagrams.h - commands in datagrams with cookies, a batch at a time. It knows which datagrams are
 * repeated, and nothing of the commands.
 */
#ifndef RTPX_DATAGRAMS_H
#define RTPX_DATAGRAMS_H

#include "base/addr.h"
#include "base/base.h"

#define DATAGRAMS_BATCH 32 /* datagrams read at once */
#define DATAGRAM_MAX 8191  /* bytes; longer datagrams are cut */

struct cookies;
struct datagrams;

/* The functions are those of listen.h. */
struct datagrams_opts {
	struct cookies *cookies; /* replies to repeated datagrams; borrowed */
	size_t (*run)(void *arg, const char *line, size_t len, const struct addr *peer,
		      uint64_t now_ns, char *reply);
	void (*expect)(void *arg, const struct span *commands, unsigned int n);
	void (*settle)(void *arg);
	void (*duplicate)(void *arg);
	void *arg;
};

int datagrams_new(struct datagrams **out, const struct datagrams_opts *opts); /* 0 or -ENOMEM */
void datagrams_free(struct datagrams *d);				      /* NULL is allowed */

/*
 * datagrams_serve - read what waits at the socket @fd, at most DATAGRAMS_BATCH datagrams, and
 * answer. @name is the socket's, for the log.
 */
void datagrams_serve(struct datagrams *d, int fd, const char *name);

#endif
