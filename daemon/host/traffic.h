/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.h - traffic control of the devices that packets leave through: queueing disciplines that
 * hold packets to a rate, filters and BPF programs that may change, send elsewhere or drop them. XDP
 * passes them by.
 */
#ifndef RTPX_TRAFFIC_H
#define RTPX_TRAFFIC_H

#include "base/base.h"

struct event_base;
struct traffic;

/*
 * traffic_new - @changed: some device has another answer now; from the event loop. 0 or -errno.
 * Without @base nothing is read, and no device is shaped.
 */
int traffic_new(struct traffic **out, struct event_base *base, void (*changed)(void *arg),
		void *arg);
void traffic_free(struct traffic *t); /* NULL is allowed */

/* traffic_takes - packets that leave by this device are shaped, filtered or changed. */
bool traffic_takes(struct traffic *t, unsigned int ifindex);

/* traffic_look - once a second: BPF programs come and go without a notice. */
void traffic_look(struct traffic *t);

/* traffic_describe - "eth0: tbf, eth1: filters" of at most @size bytes; "" when nothing. */
const char *traffic_describe(const struct traffic *t, char *buf, size_t size);

#endif
