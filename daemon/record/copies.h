/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h - sends what a party says to a receiver on the network as well: C with udp:HOST:PORT.
 *
 * RTP goes unchanged to the receiver's port and RTCP to the next one, from a pair of ports of the
 * media range. Nothing is read back, nothing repeated: a receiver that is gone is not noticed.
 */
#ifndef RTPX_COPY_H
#define RTPX_COPY_H

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "call/stream.h"
#include "base/tally.h"

struct event_base;
struct copies;
struct copy;

struct copies_opts {
	struct ports *ports;
	bool no_rtcp;	 /* -R: nothing is sent to the next port */
	bool no_resolve; /* the receiver must be numeric */
	uint8_t tos;
	/* Called each few ms while a command waits for a name. NULL: nothing is to be done. */
	void (*meanwhile)(void *arg);
	void *arg;
};

int copies_new(struct copies **out, struct event_base *base, const struct copies_opts *opts);
void copies_free(struct copies *c); /* every copy has been closed */

/*
 * copy_open - @target is HOST:PORT, IPv4; what is sent or lost is counted in @tally, which the caller
 * holds until copy_close(). A name is waited for COPY_RESOLVE_MS at most, and not at all while an
 * earlier question is not answered yet. 0, -EINVAL for a target that is none, -EHOSTUNREACH for a
 * host without address, -ETIMEDOUT for a name that is not answered in time, -ENOSPC without free
 * ports, or -errno.
 */
int copy_open(struct copies *c, struct span target, struct tally *tally, uint64_t now_ns,
	      struct copy **out);
/*
 * copy_check - could copy_open() reach this host? The port is not looked at. The same errors, but
 * for -ENOSPC.
 */
int copy_check(struct copies *c, struct span target);
void copy_close(struct copies *c, struct copy *copy, uint64_t now_ns);
/* copy_send - queue a datagram for copies_flush(). */
void copy_send(struct copies *c, struct copy *copy, enum stream_kind kind, const uint8_t *data,
	       size_t len);
void copies_flush(struct copies *c);

const struct addr *copy_local(const struct copy *copy); /* RTP's face */
const struct addr *copy_dest(const struct copy *copy);

#define COPY_RESOLVE_MS 200

#endif
