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
	enum session_party party;
	struct session *s =
		session_find(p->sessions, of->call_id, of->from_tag, of->to_tag, &party);
	uint16_t ptime_ms = 0;
	int err;

	if (!s)
		return E_SESSION;
	player_stop(s, party);
	if (!codecs.p) {
		if (!s->leg[party].codecs)
			return E_VALUE;
		codecs = span_of(s->leg[party].codecs);
		ptime_ms = s->leg[!party].ptime_ms;
	}
	err = player_start(p->players, s, party, name, codecs, rounds, ptime_ms, now_ns);
	return err == 0 ? PROTO_OK : err == -ENOMEM ? E_MEMORY : E_PLAY;
}

enum proto_error prompts_stop(const struct prompts *p, const struct dialog *of)
{
	enum session_party party;
	struct session *s =
		session_find(p->sessions, of->call_id, of->from_tag, of->to_tag, &party);

	if (!s)
		return E_SESSION;
	player_stop(s, party);
	return PROTO_OK;
}

void prompts_ended(void *report, struct session *s, int leg, const char *name, uint64_t ms)
{
	const struct prompts_report *r = report;
	const char *tag = s->notify_tag ? s->notify_tag : "";
	struct notify_event event = { s->call_id, s->from_tag, s->to_tag, NULL };
	char *text;

	if (!r->on || s->notify < 0 || notify_ends_calls(r->notify, s->notify))
		return;
	if (asprintf(&text, "%s played %s %" PRIu64 " %d", tag, name, ms, leg == 0) < 0)
		return;
	event.tag = text;
	notify_send(r->notify, s->notify, &event, clock_now());
	free(text);
}
