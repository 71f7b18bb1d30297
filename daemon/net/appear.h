/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * appear.h - tells when this host's addresses change.
 */
#ifndef RTPX_APPEAR_H
#define RTPX_APPEAR_H

struct event_base;
struct appear;

/*
 * appear_new - call @changed after each change of addresses, from the event loop. 0 or -errno.
 */
int appear_new(struct appear **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void appear_free(struct appear *a); /* NULL is allowed */

#endif
