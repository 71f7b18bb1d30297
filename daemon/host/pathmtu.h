/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pathmtu.h - receives the ICMP messages that change the kernel's routes to one host: "too big" and
 * redirects. Route netlink sends no notice of these changes. A message only names the route to ask
 * for again; the kernel judges its contents.
 */
#ifndef RTPX_PATHMTU_H
#define RTPX_PATHMTU_H

#include "base/addr.h"
#include "base/base.h"

struct event_base;
struct pathmtu;

/*
 * pathmtu_open - open the sockets; call it while the process has CAP_NET_RAW. Without it a line is
 * logged, and no messages are received. NULL: no memory.
 */
struct pathmtu *pathmtu_open(void);
void pathmtu_free(struct pathmtu *p); /* NULL is allowed */

/*
 * pathmtu_start - start to call @changed when routes to @dest may have changed: at most
 * PATHMTU_TURN times in PATHMTU_PAUSE_MS. Further messages may be lost. 0 or -ENOMEM. Call it once.
 */
int pathmtu_start(struct pathmtu *p, struct event_base *base,
		  void (*changed)(void *arg, const struct addr *dest), void *arg);
void pathmtu_stop(struct pathmtu *p);

#define PATHMTU_TURN 4
#define PATHMTU_PAUSE_MS 20

#endif
