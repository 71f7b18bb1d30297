/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * digits.h - reports the digits that parties press to the controller: rtpproxy's module catch_dtmf.
 * call/dtmf.h finds the digits in packets, notify/notify.h delivers the reports.
 */
#ifndef RTPX_DIGITS_H
#define RTPX_DIGITS_H

#include "base/base.h"
#include "call/session.h"
#include "call/stats.h"
#include "notify/notify.h"

struct digits {
	struct stats *stats;
	struct notify *notify;
};

/* A party's telephone events, as a command asks for them. */
struct digits_req {
	struct span tag; /* decoded; begins each report */
	uint8_t payload_type;
	bool hide; /* do not relay events */
};

/*
 * digits_catch - sub-command M3:1: report the digits of the party that sends to @leg to the
 * session's notification target. A further one for the same party changes only payload type and
 * @hide, as in rtpproxy. 0, and the caller marks the session dirty; -EDESTADDRREQ: the session has
 * no target, or one that takes no digits; -ENOMEM.
 */
int digits_catch(const struct digits *d, struct leg *leg, const struct digits_req *req);

/* digits_restore - go on for a leg of the previous daemon. 0 or -ENOMEM. */
int digits_restore(struct leg *leg, int target, const struct digits_req *req);

/*
 * digits_take - an RTP packet of the party of @leg, which its stream accepted. True: it is an event
 * that must not be relayed. @now_ns: its arrival.
 */
bool digits_take(const struct digits *d, struct leg *leg, const uint8_t *packet, size_t len,
		 uint64_t now_ns);

#endif
