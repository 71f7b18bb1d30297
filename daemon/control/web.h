/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * web.h - the listener of --metrics: metrics for Prometheus, the status page, and its JSON. Every
 * request only reads.
 *
 * No client delays the loop. A client that sends no whole request in time, or does not read the
 * answer, loses its connection. When WEB_PEERS connections are open, a further one ends the
 * connection whose latest request is oldest.
 */
#ifndef RTPX_WEB_H
#define RTPX_WEB_H

#include "base/addr.h"
#include "base/base.h"

#define WEB_PEERS 32
#define WEB_REQUEST_NS (10 * NSEC_PER_SEC) /* for a request, from the beginning of a connection */
#define WEB_IDLE_NS (90 * NSEC_PER_SEC)	   /* from a request to the end of the next one */
#define WEB_ANSWER_NS (10 * NSEC_PER_SEC)  /* for reading an answer */

struct admin;
struct event_base;
struct history;
struct metrics;
struct web;

struct web_opts {
	struct addr addr;
	struct metrics *metrics;
	struct admin *admin; /* answers for the JSON */
	struct history *history;
};

/* web_new - it does not listen yet. 0 or -ENOMEM. */
int web_new(struct web **out, struct event_base *base, const struct web_opts *opts);
void web_free(struct web *w); /* NULL is allowed */

/*
 * web_tick - call about once a second. Opens the listening socket while there is none; a failure is
 * logged once. Ends connections whose time is over.
 */
void web_tick(struct web *w, uint64_t now_ns);

#endif
