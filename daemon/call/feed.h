/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed.h - one session's media copied into another one: sub-command C of U.
 *
 * A feed records which two sessions belong together; the relay sends the packets. Media of the
 * source's parties also goes to the target's parties, and the target's parties no longer hear each
 * other. This lasts until the target ends. If the source ends first, the target's parties hear
 * nothing.
 */
#ifndef RTPX_FEED_H
#define RTPX_FEED_H

#include "base/base.h"
#include "call/session.h"

struct feed {
	struct session *source, *target;
	/* packets that arrive at a leg of the source leave from the target's other leg */
	bool crossed;
	struct feed *next_out, *next_in; /* in the lists of the source and of the target */
};

/*
 * feed_add - packets that arrive at @source_leg leave from @target_leg, and packets that arrive at
 * the other leg from the other leg. Adding the same pair again only changes the legs. 0, -EINVAL
 * when @source is @target, or -ENOMEM.
 */
int feed_add(struct sessions *all, struct session *source, int source_leg, struct session *target,
	     int target_leg);
/* feed_end - @s ends: remove its feeds in both directions. */
void feed_end(struct sessions *all, struct session *s);

/* feed_leg - the leg of the target from which packets of the source's @leg leave. */
static inline int feed_leg(const struct feed *f, int leg)
{
	return f->crossed ? !leg : leg;
}

#endif
