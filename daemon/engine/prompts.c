/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompts.c - finds the party of P and S, and hands it to the players.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/prompts.h"
#include "base/clock.h"

enum proto_error prompts_play(const struct prompts *p, const struct dialog *of, struct span name,
			      struct span codecs, int rounds, uint64_t now_ns)
{
	struct leg *leg = session_find(p->sessions, of);
	uint16_t ptime_ms = 0;
	int err;

	if (!leg)
		return E_SESSION;
	player_stop(leg);
	if (!codecs.p) {
		codecs = span_of(leg_rest(leg)->codecs);
		if (!codecs.p)
			return E_VALUE;
		ptime_ms = leg_other(leg)->ptime_ms;
	}
	err = player_start(p->players, leg, name, codecs, rounds, ptime_ms, now_ns);
	return err == 0 ? PROTO_OK : err == -ENOMEM ? E_MEMORY : E_PLAY;
}

enum proto_error prompts_stop(const struct prompts *p, const struct dialog *of)
{
	struct leg *leg = session_find(p->sessions, of);

	if (!leg)
		return E_SESSION;
	player_stop(leg);
	return PROTO_OK;
}

void prompts_ended(void *report, struct leg *leg, const char *name, uint64_t ms)
{
	const struct prompts_report *r = report;
	const struct session *s = leg_session(leg);
	const char *notify_tag = session_rest(s)->notify_tag;
	const char *tag = notify_tag ? notify_tag : "";
	struct notify_event event = { s->call_id, s->from_tag, s->to_tag, NULL,
				      session_group(s->number) };
	char *text;

	if (!r->on || s->notify < 0 || notify_ends_calls(r->notify, s->notify))
		return;
	if (asprintf(&text, "%s played %s %" PRIu64 " %d", tag, name, ms,
		     leg->party == SESSION_CALLEE) < 0)
		return;
	event.tag = text;
	notify_send(r->notify, s->notify, &event, clock_now());
	free(text);
}
