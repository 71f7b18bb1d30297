/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed.c - each feed is in two lists: its source's and its target's.
 */
#include <errno.h>
#include <stdlib.h>

#include "call/feed.h"

static struct feed *feed_new(struct session *source, struct session *target)
{
	struct session_rest *from = session_rest_set(source), *to = session_rest_set(target);
	struct feed *f = from && to ? calloc(1, sizeof(*f)) : NULL;

	if (!f)
		return NULL;
	*f = (struct feed){ source, target, false, from->feeds, to->fed_by };
	from->feeds = f;
	to->fed_by = f;
	return f;
}

static void feed_free(struct feed *f)
{
	struct feed **at;

	for (at = &f->source->rest->feeds; *at != f; at = &(*at)->next_out)
		;
	*at = f->next_out;
	for (at = &f->target->rest->fed_by; *at != f; at = &(*at)->next_in)
		;
	*at = f->next_in;
	free(f);
}

int feed_add(struct sessions *all, const struct leg *source_leg, const struct leg *target_leg)
{
	struct session *source = leg_session(source_leg), *target = leg_session(target_leg);
	struct feed *f = session_rest(source)->feeds;

	if (source == target)
		return -EINVAL;
	while (f && f->target != target)
		f = f->next_out;
	if (!f)
		f = feed_new(source, target);
	if (!f)
		return -ENOMEM;
	f->crossed = source_leg->party != target_leg->party;
	target->fed = true;
	session_dirty(all, source);
	session_dirty(all, target);
	return 0;
}

void feed_end(struct sessions *all, struct session *s)
{
	const struct session_rest *rest = session_rest(s);

	while (rest->feeds)
		feed_free(rest->feeds);
	while (rest->fed_by) {
		session_dirty(all, rest->fed_by->source);
		feed_free(rest->fed_by);
	}
}
