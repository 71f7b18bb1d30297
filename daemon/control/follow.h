/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.h - connections of rtpxctl that stay open: a capture of packets, and the trace of a call.
 * A slow reader loses packets or lines, which are counted; it never stops the daemon.
 */
#ifndef RTPX_FOLLOW_H
#define RTPX_FOLLOW_H

#include "base/base.h"
#include "record/mirror.h"
#include "record/taps.h"

struct bufferevent;

struct follow_opts {
	struct taps *taps;
	struct mirror *mirror; /* NULL: the dataplane makes no copies */
	/* The connection has ended, and the follower is freed. */
	void (*ended)(void *arg, struct bufferevent *bev);
	void *arg;
};

/*
 * follow_capture - send the packets that match @filter as a pcapng stream: "all", "peer=ADDRESS",
 * "port=NUMBER" (a local port), "call=CALL-ID", or a Call-ID alone. Calls that begin later match,
 * too. NULL, or the reason of a refusal as a static text; the caller then keeps @bev. The stream
 * ends when the client shuts its side down.
 */
const char *follow_capture(const struct follow_opts *opts, struct bufferevent *bev,
			   const char *filter);

/* follow_trace - send every log line of the Call-ID @call_id, of every level. As above. */
const char *follow_trace(const struct follow_opts *opts, struct bufferevent *bev,
			 const char *call_id);

#endif
