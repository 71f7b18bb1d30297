/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed.h - one session's media copied into another one: sub-command C of U.
 *
 * Which sessions belong together, no more: the relay sends. What the source's parties say goes to
 * the target's parties too, and the target's parties no longer hear each other. That ends with the
 * target; when the source ends first, the target's parties hear nothing.
 */
#ifndef RTPX_FEED_H
#define RTPX_FEED_H

#include "base/base.h"
#include "call/session.h"

struct feed {
	struct session *source, *target;
	/* what arrives at a leg of the source leaves from the target's other one */
	bool crossed;
	struct feed *next_out, *next_in; /* of the source; of the target */
};

/*
 * feed_add - what arrives at @source_leg leaves from @target_leg, what arrives at the other from
 * the other. The same pair once more only changes the legs. 0, -EINVAL for a session and itself,
 * -ENOMEM.
 */
int feed_add(struct sessions *all, struct session *source, int source_leg, struct session *target,
	     int target_leg);
/* feed_end - @s ends: it neither hears nor is heard any more. */
void feed_end(struct sessions *all, struct session *s);

/* feed_leg - where what arrives at @leg of the source leaves the target. */
static inline int feed_leg(const struct feed *f, int leg)
{
	return f->crossed ? !leg : leg;
}

#endif
