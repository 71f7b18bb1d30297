/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * collector.h - sends messages to a collector, by UDP or TCP, and never waits for it. A collector
 * that is gone or slow costs messages, which are counted.
 *
 * Messages wait while the name of the collector is asked for, or while it is not connected; at most
 * COLLECTOR_QUEUE of them. A message of which a broken connection has taken a part is sent again.
 * The protocol has no answer, so a message counts as sent when the kernel has taken it.
 */
#ifndef RTPX_COLLECTOR_H
#define RTPX_COLLECTOR_H

#include "base/base.h"
#include "observe/hep_address.h"

#define COLLECTOR_QUEUE 10000 /* messages that wait; more are lost */

struct event_base;
struct collector;

/* The table of counters, with their texts. */
#define COLLECTOR_COUNTERS(X)                                             \
	X(sent, "handed to the kernel")                                   \
	X(refused, "answered by an ICMP error, udp only; among the sent") \
	X(lost, "not sent: too many waited, or one was too long for udp")

struct collector_counts {
#define COLLECTOR_MEMBER(name, text) uint64_t name;
	COLLECTOR_COUNTERS(COLLECTOR_MEMBER)
#undef COLLECTOR_MEMBER
};

struct collector_view {
	const char *name; /* "udp:192.0.2.9:9060" */
	bool connected;	  /* TCP: there is a connection. UDP: no datagram was refused lately */
	unsigned int queued;
	struct collector_counts counts;
	const char *error; /* the reason while not connected; NULL: none known */
};

/*
 * collector_new - @no_resolve: the host must be numeric. 0; -EINVAL for a name with @no_resolve;
 * -ENOMEM. Connects when the loop runs.
 */
int collector_new(struct collector **out, struct event_base *base,
		  const struct hep_address *address, bool no_resolve);
/* collector_free - sends waiting messages as far as the kernel takes them at once. */
void collector_free(struct collector *c);

/* collector_send - send or queue a copy of the message. A UDP message is one datagram. */
void collector_send(struct collector *c, const void *message, size_t len);

void collector_view(const struct collector *c, struct collector_view *out);

#endif
