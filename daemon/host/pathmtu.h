/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pathmtu.h - hears the ICMP messages that change the kernel's routes to one host: "too big" and
 * redirects. Route netlink has no notice of that. The message says only which route to ask for
 * again; what it claims is for the kernel to judge.
 */
#ifndef RTPX_PATHMTU_H
#define RTPX_PATHMTU_H

#include "base/addr.h"
#include "base/base.h"

struct event_base;
struct pathmtu;

/* pathmtu_open - while CAP_NET_RAW is there. NULL: it is not, or no memory; a line in the log. */
struct pathmtu *pathmtu_open(void);
void pathmtu_free(struct pathmtu *p); /* NULL is allowed */

/*
 * pathmtu_start - @changed: routes to @dest may have changed; at most PATHMTU_TURN of them in
 * PATHMTU_PAUSE_MS, further messages are lost. 0 or -ENOMEM. Once.
 */
int pathmtu_start(struct pathmtu *p, struct event_base *base,
		  void (*changed)(void *arg, const struct addr *dest), void *arg);
void pathmtu_stop(struct pathmtu *p);

#define PATHMTU_TURN 4
#define PATHMTU_PAUSE_MS 20

#endif
