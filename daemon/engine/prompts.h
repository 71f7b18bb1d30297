/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompts.h - the use cases P and S: play a prompt to a party, and stop it.
 */
#ifndef RTPX_PROMPTS_H
#define RTPX_PROMPTS_H

#include "base/base.h"
#include "call/session.h"
#include "media/player.h"
#include "notify/notify.h"
#include "protocol/proto.h"

/* The modules that these use cases act on. */
struct prompts {
	struct sessions *sessions;
	struct players *players;
};

/* Where the end of a prompt is told. */
struct prompts_report {
	struct notify *notify;
	bool on; /* --notify-prompts */
};

/*
 * prompts_ended - struct players_opts.ended; @report is a struct prompts_report. Sends "TAG played
 * NAME MS SIDE" to the session's target if that takes lines: the tag of the U, the duration of a
 * round, and 0 if the caller has heard it, 1 if the callee has.
 */
void prompts_ended(void *report, struct leg *leg, const char *name, uint64_t ms);

/*
 * prompts_play - play @name to the party of the first tag, @rounds times; 0 stops, below 0 plays
 * for ever. @codecs: payload types; .p NULL: those of the party's last U or L. PROTO_OK, E_SESSION,
 * E_VALUE (the party has given no codecs), E_PLAY or E_MEMORY.
 */
enum proto_error prompts_play(const struct prompts *p, const struct dialog *of, struct span name,
			      struct span codecs, int rounds, uint64_t now_ns);
/* prompts_stop - PROTO_OK or E_SESSION. */
enum proto_error prompts_stop(const struct prompts *p, const struct dialog *of);

#endif
