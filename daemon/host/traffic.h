/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.h - traffic control of outgoing devices: queueing disciplines that limit the rate, and
 * filters and BPF programs that may change, redirect or drop packets. XDP would bypass all of them.
 */
#ifndef RTPX_TRAFFIC_H
#define RTPX_TRAFFIC_H

#include "base/base.h"

struct event_base;
struct traffic;

/*
 * traffic_new - read the traffic control. @changed is called from the event loop after the answer
 * of a device changed. 0 or -errno. Without @base nothing is read, and no device has a discipline.
 */
int traffic_new(struct traffic **out, struct event_base *base, void (*changed)(void *arg),
		void *arg);
void traffic_free(struct traffic *t); /* NULL is allowed */

/* traffic_takes - outgoing packets of this device are shaped, filtered or changed. */
bool traffic_takes(struct traffic *t, unsigned int ifindex);

/* traffic_look - called once a second: ask for BPF programs, which change without a notice. */
void traffic_look(struct traffic *t);

/* traffic_describe - "eth0: tbf, eth1: filters", at most @size bytes; "": no traffic control. */
const char *traffic_describe(const struct traffic *t, char *buf, size_t size);

#endif
