/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the use cases: update, look up, delete, query, expire. Touches no packet and no
 * syntax. recordings.h and prompts.h have the use cases R, N, C, P and S.
 *
 * Results are PROTO_OK or the protocol's error number (enum proto_error). command.c prints them.
 */
#ifndef RTPX_ENGINE_H
#define RTPX_ENGINE_H

#include "base/addr.h"
#include "base/base.h"
#include "notify/notify.h"
#include "call/ports.h"
#include "protocol/proto.h"
#include "record/recorder.h"
#include "record/taps.h"
#include "engine/faces.h"
#include "engine/admission.h"
#include "engine/digits.h"
#include "engine/relay.h"
#include "call/report.h"
#include "call/session.h"
#include "call/stats.h"
#include "dataplane/sync.h"

struct engine_opts {
	struct sessions *sessions;
	struct ports *ports;
	struct stats *stats;
	struct sync *sync;
	struct relay *relay;
	struct recorder *recorder;
	struct faces *faces;
	bool groups;			/* there are several */
	bool record_all, record_single; /* -a; both directions in one file */
	bool bridge;
	bool bridge_symmetric, force_asymmetric;
	uint8_t tos;
	enum learning learning;
	struct notify *notify;
	const struct digits *digits;
	struct admission *admission;
	struct taps *taps;
	/*
	 * A session has ended; call-id and tags in @r are valid during the call. NULL: no receiver.
	 * Sessions that continue in the next daemon do not end.
	 */
	void (*ended)(void *arg, const struct call_report *r);
	void *arg;
};

struct engine;
int engine_new(struct engine **out, const struct engine_opts *opts);
/* engine_free - end all sessions. @leave: only forget them; they continue in the next daemon. */
void engine_free(struct engine *e, bool leave);
/*
 * engine_leave - the process is about to end, and the sessions continue in the next daemon. Save
 * what must not be lost. The sessions and their ports stay until the process has ended.
 */
void engine_leave(struct engine *e);

/*
 * engine_hold_stats - engine_show_stats() shows the counters as they are now until the next call
 * with false: those of the previous daemon's sessions are not complete yet.
 */
void engine_hold_stats(struct engine *e, bool hold);

/* engine_forget_group - forget all sessions of an address group: another daemon has them. */
void engine_forget_group(struct engine *e, unsigned int group);

/* The contents of a U or L command. */
struct engine_update {
	bool lookup; /* L */
	struct dialog dialog;
	const struct media_req *media;
	struct span notify_socket, notify_tag; /* .p NULL: none; the tag is decoded */
	const struct addr *peer;	       /* source of the command, see notify_find() */
};

/* The session that the command or sub-command has just handled. */
struct engine_result {
	struct session *session; /* NULL: deleted by a sub-command */
	/* legs of the session */
	struct leg *first; /* of the first tag's party */
	struct leg *party; /* of the command's party: it has the given address, or the first tag */
	struct leg *returned; /* U, L: its port is in the reply, see leg->local, leg->advertised */
};

#define ENGINE_NOT_FOUND (-2) /* L without session: the reply is "0" */

/*
 * engine_update - U or L. PROTO_OK with *@out; an enum proto_error, with nothing left behind; or
 * ENGINE_NOT_FOUND.
 */
int engine_update(struct engine *e, const struct engine_update *u, uint64_t now_ns,
		  struct engine_result *out);

/*
 * engine_delete - D; @weak: Dw. PROTO_OK or E_SESSION.
 * engine_delete_all - X: of the group that the command came for, see faces_turn_to().
 * No command finds the sessions from now on. With many sessions, engine_run() closes their ports.
 */
int engine_delete(struct engine *e, const struct dialog *of, bool weak, uint64_t now_ns);
void engine_delete_all(struct engine *e, uint64_t now_ns);
/* engine_terminate - an operator ends all sessions of a call-id. Returns their number. */
unsigned int engine_terminate(struct engine *e, struct span call_id, uint64_t now_ns);
/*
 * engine_delete_one - sub-command D on the session that was just handled. 0; -ENOENT: it is gone.
 */
int engine_delete_one(struct engine *e, struct engine_result *r, bool weak, uint64_t now_ns);

/* engine_find - Q: PROTO_OK or E_SESSION. */
int engine_find(struct engine *e, const struct dialog *of, struct engine_result *out);

/*
 * engine_feed - sub-command C: copy media of the session of @from to the parties of @to. The
 * party of the second tag feeds the party of @to, the party of the first tag feeds the other. 0;
 * -ENOENT; -EINVAL: both are the same session.
 */
int engine_feed(struct engine *e, const struct dialog *from, const struct engine_result *to);

/* Q's values for a session, seen from the party of @first. */
struct engine_query {
	uint32_t ttl; /* s */
	uint64_t npkts_ina, npkts_ino, nrelayed, ndropped;
	double longest_ipi;			 /* s */
	double rtpa_jlast, rtpa_jmax, rtpa_javg; /* RTP timestamp units */
	uint64_t rtpa_nsent, rtpa_nrcvd, rtpa_ndups, rtpa_nlost, rtpa_perrs;
	/* of the prompt that the party hears: a round, and the time until its end; see player.h */
	uint64_t prompt_ms;
	int64_t prompt_left_ms;
};
void engine_query(struct engine *e, const struct leg *first, uint64_t now_ns,
		  struct engine_query *out);

/*
 * engine_set_ttl, engine_set_tos - sub-command S on the leg of the command's party; @reverse: on
 * the opposite leg. 0; -ENOENT: the session is gone; -EAFNOSUPPORT: TOS of an IPv6 leg.
 */
int engine_set_ttl(struct engine *e, struct engine_result *r, bool reverse, uint32_t ttl_s,
		   uint64_t now_ns);
int engine_set_tos(struct engine *e, struct engine_result *r, bool reverse, int tos);

/*
 * engine_catch_dtmf - sub-command M3:1 for the command's party, as digits_catch(). -ENOENT: the
 * session is gone.
 */
int engine_catch_dtmf(struct engine *e, const struct engine_result *r,
		      const struct digits_req *req);

/* engine_tick - once a second: expiry, rates. @cpu_ns: clock_cpu() of the event loop. */
void engine_tick(struct engine *e, uint64_t now_ns, uint64_t cpu_ns);
/*
 * engine_run - call in each turn of the loop: half a millisecond of work that D, X and time-outs
 * of many sessions have left. True: there is more, so the loop must not sleep.
 */
bool engine_run(struct engine *e);

/*
 * engine_leg_restore - open the previous port of a restored session's leg, and set its face;
 * @advertised.len 0: none. Works even if this host does not have the address now. 0; -EADDRINUSE:
 * another program has the port; -EINVAL: the port is not in the range; or -errno.
 */
int engine_leg_restore(struct engine *e, struct leg *leg, const struct addr *local,
		       struct span advertised, uint64_t now_ns);
/* engine_leg_resume - go on with re-packetization of a leg that was restored. 0 or -ENOMEM. */
int engine_leg_resume(struct engine *e, struct leg *leg);
/* engine_drop - forget a session without counting it: it was not restored, or continues in the next
 * daemon. */
void engine_drop(struct engine *e, struct session *s, uint64_t now_ns);
void engine_slow_shutdown(struct engine *e); /* SIGHUP: no new sessions (E99) */
bool engine_is_done(const struct engine *e); /* slow shutdown without sessions left */

/*
 * engine_show_stats - bring the daemon's counters up to date for a client that reads them. No later
 * daemon will show lower ones.
 */
const struct stats *engine_show_stats(struct engine *e);

#endif
