/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pacer.h - one timer for everything that has to leave at a certain time: players, re-packetizers.
 *
 * Times are absolute and rounded up to whole milliseconds of CLOCK_MONOTONIC, so that what is due
 * in the same one shares a wake-up and whoever adds a period to its last due time never drifts.
 */
#ifndef RTPX_PACER_H
#define RTPX_PACER_H

#include "base/base.h"

struct event_base;
struct pacer;

/* To be embedded into what waits; its members are pacer.c's. */
struct pacer_item {
	struct pacer_item *prev, *next; /* NULL: does not wait */
	uint64_t tick;
	void (*run)(struct pacer_item *item, uint64_t now_ns);
};

struct pacer_opts {
	/* batch_end - after each turn in which anything ran: the place to flush what was sent. */
	void (*batch_end)(void *arg);
	void *arg;
};

int pacer_new(struct pacer **out, struct event_base *base, const struct pacer_opts *opts);
void pacer_free(struct pacer *p); /* what still waits is forgotten */

/*
 * pacer_add - call @run once, at @due_ns or as soon as possible after it, but never from here. An
 * item that waits already gets the new time. @run may add and remove any item, also its own, and
 * free what holds it.
 */
void pacer_add(struct pacer *p, struct pacer_item *item, uint64_t due_ns,
	       void (*run)(struct pacer_item *item, uint64_t now_ns));
/* pacer_del - it does not wait any more; nothing to do for one that did not. */
void pacer_del(struct pacer *p, struct pacer_item *item);

/* pacer_run - what the event does: run all that is due at @now_ns. */
void pacer_run(struct pacer *p, uint64_t now_ns);

#endif
