/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copies.h - sends the packets of a party to a network receiver as well: C with udp:HOST:PORT.
 *
 * RTP goes unchanged to the receiver's port and RTCP to the next port, from a pair of ports of the
 * media range. Answers are not read and packets are not repeated, so a dead receiver goes
 * unnoticed.
 */
#ifndef RTPX_COPIES_H
#define RTPX_COPIES_H

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "call/stream.h"
#include "base/tally.h"

struct event_base;
struct copies;
struct switchboard;
struct copy;

struct copies_opts {
	struct ports *ports;
	bool no_rtcp;	 /* -R: nothing is sent to the next port */
	bool no_resolve; /* the receiver must be numeric */
	uint8_t tos;
	struct switchboard *switchboard; /* NULL: a socket for each port */
	/* Called every few ms while a command waits for a name. May be NULL. */
	void (*meanwhile)(void *arg);
	void *arg;
};

int copies_new(struct copies **out, struct event_base *base, const struct copies_opts *opts);
void copies_free(struct copies *c); /* after copy_close() of every copy */

/*
 * copy_open - open a copy to @target, HOST:PORT; HOST is a name, IPv4, or IPv6 in brackets. @tally
 * counts sent and lost packets; the caller holds it until copy_close(). Resolving a name takes
 * COPY_RESOLVE_MS at most, and fails at once while an earlier question is unanswered. Returns 0,
 * -EINVAL for a malformed target, -EHOSTUNREACH for a host without address, -ETIMEDOUT for a name
 * not resolved in time, -ENOSPC without free ports, or -errno.
 */
int copy_open(struct copies *c, struct span target, struct tally *tally, uint64_t now_ns,
	      struct copy **out);
/*
 * copy_check - check that copy_open() could reach the host of @target. Ignores the port. Returns
 * the errors of copy_open() except -ENOSPC.
 */
int copy_check(struct copies *c, struct span target);
void copy_close(struct copies *c, struct copy *copy, uint64_t now_ns);
/* copy_send - queue a datagram for copies_flush(). */
void copy_send(struct copies *c, struct copy *copy, enum stream_kind kind, const uint8_t *data,
	       size_t len);
void copies_flush(struct copies *c);

const struct addr *copy_local(const struct copy *copy); /* local address of RTP */
const struct addr *copy_dest(const struct copy *copy);

#define COPY_RESOLVE_MS 200

#endif
