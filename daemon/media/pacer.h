/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pacer.h - one timer for all packets that leave at a set time: players, re-packetizers.
 *
 * Times are absolute and rounded up to whole milliseconds of CLOCK_MONOTONIC. Items due in the same
 * millisecond share a wake-up. An item that adds its period to its previous due time never drifts.
 */
#ifndef RTPX_PACER_H
#define RTPX_PACER_H

#include "base/base.h"

struct event_base;
struct pacer;

/* Embedded in the caller's struct; only pacer.c uses the members. */
struct pacer_item {
	struct pacer_item *prev, *next; /* NULL: not waiting */
	uint64_t tick;
	void (*run)(struct pacer_item *item, uint64_t now_ns);
};

struct pacer_opts {
	/* batch_end - called after each turn in which an item ran; flush sent packets here. */
	void (*batch_end)(void *arg);
	void *arg;
};

int pacer_new(struct pacer **out, struct event_base *base, const struct pacer_opts *opts);
void pacer_free(struct pacer *p); /* waiting items never run */

/*
 * pacer_add - call @run once, at @due_ns or as soon as possible after it, but never from within
 * pacer_add(). An item that waits already gets the new time. @run may add and remove any item, its
 * own too, and may free the struct that holds the item.
 */
void pacer_add(struct pacer *p, struct pacer_item *item, uint64_t due_ns,
	       void (*run)(struct pacer_item *item, uint64_t now_ns));
/* pacer_del - remove an item; does nothing if it does not wait. */
void pacer_del(struct pacer *p, struct pacer_item *item);

/*
 * pacer_run - run items due at @now_ns for about 2 ms, so that thousands delay no command. The
 * timer's event calls this, and goes on with the rest in the next turn of the loop.
 */
void pacer_run(struct pacer *p, uint64_t now_ns);

#endif
