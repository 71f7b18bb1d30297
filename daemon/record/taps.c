/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * taps.c - a list of readers, and the bit in each leg that says whether there is one.
 */
#include "record/taps.h"

#include <utlist.h>

void taps_review(struct taps *t, struct session *s)
{
	bool changed = false;
	const struct tap *tap;
	struct leg *leg;
	int kind;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++) {
		uint8_t tapped = 0;

		for (kind = 0; kind < STREAM_KINDS; kind++)
			DL_FOREACH(t->list, tap)
				if (tap->wants(tap->arg, (struct direction){ leg, kind }))
					tapped |= 1 << kind;
		changed |= tapped != leg->tapped;
		leg->tapped = tapped;
	}
	if (changed)
		session_dirty(t->sessions, s);
}

static bool review_each(void *arg, struct session *s)
{
	taps_review(arg, s);
	return true;
}

void taps_review_all(struct taps *t)
{
	sessions_each(t->sessions, review_each, t);
}

void taps_add(struct taps *t, struct tap *tap)
{
	DL_APPEND(t->list, tap);
	taps_review_all(t);
}

void taps_remove(struct taps *t, struct tap *tap)
{
	DL_DELETE(t->list, tap);
	taps_review_all(t);
}

void taps_packet(const struct taps *t, struct direction d, uint64_t arrival_ns,
		 const struct format_packet *p, bool accepted)
{
	const struct tap *tap;

	DL_FOREACH(t->list, tap)
		if (tap->wants(tap->arg, d))
			tap->packet(tap->arg, d, arrival_ns, p, accepted);
}

void taps_lost(const struct taps *t, struct direction d, uint64_t packets)
{
	const struct tap *tap;

	DL_FOREACH(t->list, tap)
		if (tap->wants(tap->arg, d))
			tap->lost(tap->arg, direction_session(d), packets);
}
