/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the use cases: update, look up, delete, query, expire. Touches no packet and no
 * syntax.
 *
 * Results are PROTO_OK or the protocol's error number (enum proto_error). command.c prints them.
 */
#ifndef RTPX_ENGINE_H
#define RTPX_ENGINE_H

#include "base/addr.h"
#include "base/base.h"
#include "notify/notify.h"
#include "media/player.h"
#include "call/ports.h"
#include "protocol/proto.h"
#include "record/recorder.h"
#include "engine/relay.h"
#include "call/session.h"
#include "call/stats.h"
#include "dataplane/sync.h"

#define ENGINE_MAX_LISTENERS 16

/* A configured local address, or one that an l or r modifier has added. */
struct listener {
	struct addr addr;	/* port 0; any-address possible */
	char *label;		/* owned; NULL: none */
	char *advertised;	/* owned; NULL: the numeric address */
};

struct engine_opts {
	struct sessions *sessions;
	struct ports *ports;
	struct stats *stats;
	struct sync *sync;
	struct relay *relay;
	struct recorder *recorder;
	struct mirror *mirror; /* NULL: the dataplane makes no copies */
	struct players *players;
	bool record_all, record_single; /* -a; both directions in one file */
	/* in command line order; [0] is the default listener, or the internal one with bridging */
	const struct listener *listeners;
	unsigned int n_listeners;
	bool bridge;		/* [0] internal, [1] external */
	bool bridge_symmetric, force_asymmetric, no_resolve;
	uint8_t tos;
	enum learning learning;
	struct notify *notify;
};

struct engine;
int engine_new(struct engine **out, const struct engine_opts *opts);
/* engine_free - end all sessions. @leave: only forget them; they continue in the next daemon. */
void engine_free(struct engine *e, bool leave);

/* The contents of a U or L command. */
struct engine_update {
	bool lookup; /* L */
	struct span call_id, from_tag, to_tag; /* to_tag.p NULL: not given */
	const struct media_req *media;
	struct span notify_socket, notify_tag; /* .p NULL: none; the tag is decoded */
	const struct addr *peer; /* source of the command, see notify_find() */
};

/* The session that the command or sub-command has just handled. */
struct engine_result {
	struct session *session;  /* NULL: deleted by a sub-command */
	enum session_party party; /* the party of the first tag */
	/* leg of the command's party: the party with the given address, or with the first tag */
	int party_leg;
	/* U, L: the leg with the port in the reply; see struct leg.local and .advertised */
	int returned_leg;
};

#define ENGINE_NOT_FOUND (-2) /* L without session: the reply is "0" */

/*
 * engine_proto_opts - the parser's options. They change when an l or r modifier adds an address.
 */
const struct proto_opts *engine_proto_opts(const struct engine *e);

/*
 * engine_update - U or L. PROTO_OK with *@out; an enum proto_error, with nothing left behind; or
 * ENGINE_NOT_FOUND.
 */
int engine_update(struct engine *e, const struct engine_update *u, uint64_t now_ns,
		  struct engine_result *out);

/* engine_delete - D, Dw: PROTO_OK or E_SESSION. */
int engine_delete(struct engine *e, const struct request *req, uint64_t now_ns);
void engine_delete_all(struct engine *e, uint64_t now_ns); /* X */
/*
 * engine_delete_one - sub-command D on the session that was just handled. 0; -ENOENT: it is gone.
 */
int engine_delete_one(struct engine *e, struct engine_result *r, bool weak, uint64_t now_ns);

/* engine_find - Q, C: PROTO_OK or E_SESSION. */
int engine_find(struct engine *e, const struct request *req, struct engine_result *out);

/*
 * engine_record, engine_norecord - R and N, for every session that their prefix rules match.
 * PROTO_OK: at least one session records, or recorded, the party of the first tag; else E_SESSION.
 */
int engine_record(struct engine *e, const struct request *req);
int engine_norecord(struct engine *e, const struct request *req, uint64_t now_ns);
/*
 * engine_copy - C: PROTO_OK, E_SESSION or E_COPY. With req->reply_port, *@local and *@advertised
 * (NULL: none) get the face that is the source of the copies.
 */
int engine_copy(struct engine *e, const struct request *req, uint64_t now_ns, struct addr *local,
		const char **advertised);

/*
 * engine_play, engine_stop - P and S to the party of the first tag: PROTO_OK, E_SESSION, E_VALUE,
 * E_PLAY or E_MEMORY.
 */
int engine_play(struct engine *e, const struct request *req, uint64_t now_ns);
int engine_stop(struct engine *e, const struct request *req);

/*
 * engine_feed - sub-command C: copy media of @sub's session to the parties of @to's session. The
 * party of the second tag feeds the party of @to, the party of the first tag feeds the other. 0;
 * -ENOENT; -EINVAL: both are the same session.
 */
int engine_feed(struct engine *e, const struct subcmd *sub, const struct engine_result *to);

/* Q's values for a session, seen from the party of the first tag. */
struct engine_query {
	uint32_t ttl; /* s */
	uint64_t npkts_ina, npkts_ino, nrelayed, ndropped;
	double longest_ipi; /* s */
	double rtpa_jlast, rtpa_jmax, rtpa_javg; /* RTP timestamp units */
	uint64_t rtpa_nsent, rtpa_nrcvd, rtpa_ndups, rtpa_nlost, rtpa_perrs;
};
void engine_query(struct engine *e, struct session *s, enum session_party party, uint64_t now_ns,
		  struct engine_query *out);

/*
 * engine_set_ttl, engine_set_tos - sub-command S on the leg of the command's party; @reverse: on
 * the opposite leg. 0; -ENOENT: the session is gone; -EAFNOSUPPORT: TOS of an IPv6 leg.
 */
int engine_set_ttl(struct engine *e, struct engine_result *r, bool reverse, uint32_t ttl_s,
		   uint64_t now_ns);
int engine_set_tos(struct engine *e, struct engine_result *r, bool reverse, int tos);

/* engine_tick - once a second: expiry, rates. @cpu_ns: clock_cpu() of the event loop. */
void engine_tick(struct engine *e, uint64_t now_ns, uint64_t cpu_ns);

/*
 * engine_leg_restore - open the previous port of a restored session's leg, and set its face;
 * @advertised.len 0: none. Works even if this host does not have the address now. 0; -EADDRINUSE:
 * another program has the port; -EINVAL: the port is not in the range; or -errno.
 */
int engine_leg_restore(struct engine *e, struct session *s, int leg, const struct addr *local,
		       struct span advertised, uint64_t now_ns);
/* engine_drop - forget a session without counting it: it was not restored, or continues in the next
 * daemon. */
void engine_drop(struct engine *e, struct session *s, uint64_t now_ns);
void engine_slow_shutdown(struct engine *e); /* SIGHUP: no new sessions (E99) */
bool engine_is_done(const struct engine *e); /* slow shutdown without sessions left */

struct sessions *engine_sessions(struct engine *e);
struct stats *engine_stats(struct engine *e); /* current after sync_pull_all */
/* engine_stats_shown - a client reads the counters: no later daemon may show lower ones. */
void engine_stats_shown(struct engine *e);
struct sync *engine_sync(struct engine *e);
struct recorder *engine_recorder(struct engine *e);
struct players *engine_players(struct engine *e);

#endif
