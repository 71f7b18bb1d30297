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
 * the other leg from the other leg. Adding the same two sessions again only changes the legs. 0,
 * -EINVAL when both legs are of one session, or -ENOMEM.
 */
int feed_add(struct sessions *all, const struct leg *source_leg, const struct leg *target_leg);
/* feed_end - @s ends: remove its feeds in both directions. */
void feed_end(struct sessions *all, struct session *s);

/* feed_leg - the leg of the target from which packets of the source's @leg leave. */
static inline struct leg *feed_leg(const struct feed *f, const struct leg *leg)
{
	return &f->target->leg[f->crossed ? !leg->party : leg->party];
}

#endif
