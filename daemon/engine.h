/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - the use cases: update, look up, delete, query, expire. Touches no packet and no syntax.
 *
 * Results are 0 or the protocol's error number (rtpproxy protocol, "Error codes"), so that command.c only
 * prints them.
 */
#ifndef RTPX_ENGINE_H
#define RTPX_ENGINE_H

#include "addr.h"
#include "base.h"
#include "ports.h"
#include "relay.h"
#include "session.h"
#include "stats.h"
#include "sync.h"

#define ENGINE_MAX_LISTENERS 16

/* A configured local address, or one that an l or r modifier has added. */
struct listener {
	struct addr addr;	/* port 0; any-address possible */
	char *label;		/* owned; NULL: none */
	char *advertised;	/* owned; NULL: the numeric address */
	struct listener *next;	/* most recently added first */
};

struct engine_opts {
	struct sessions *sessions;
	struct ports *ports;
	struct stats *stats;
	struct sync *sync;
	struct relay *relay;
	const struct listener *listeners; /* in command line order; [0] is the default or the internal one */
	unsigned int n_listeners;
	bool bridge;		/* [0] internal, [1] external */
	bool bridge_symmetric, force_asymmetric, no_resolve;
	uint8_t tos;
	enum learning learning;
	const char *const *notify; /* -n values, normalised (unix: removed) */
	unsigned int n_notify;
};

struct engine;
int engine_new(struct engine **out, const struct engine_opts *opts);
void engine_free(struct engine *e); /* ends all sessions */

enum engine_local { LOCAL_DEFAULT, LOCAL_ADDR, LOCAL_LABEL, LOCAL_ROUTE };
enum engine_face { FACE_NONE, FACE_INTERNAL, FACE_EXTERNAL };

/* What U and L ask for, syntax removed. */
struct engine_update {
	bool lookup; /* L */
	struct span call_id, from_tag, to_tag; /* to_tag.p NULL: not given */
	struct addr remote;	     /* ADDR_NONE: not usable or not given */
	bool on_hold;		     /* a null address was given */
	bool ipv6;		     /* `6` */
	bool weak, new_port;
	int asymmetric;		     /* -1: not said, else bool */
	enum engine_face face[2];    /* e and i in order */
	enum engine_local local;
	struct addr local_addr;	     /* LOCAL_ADDR: bind to it; LOCAL_ROUTE: towards it */
	struct span local_label;
	struct span codecs;	     /* c; p NULL: none */
	uint16_t ptime_ms;	     /* z; 0: none */
	struct span notify_socket, notify_tag; /* p NULL: none; tag is decoded */
};

/* The session a command or sub-command has just handled. */
struct engine_result {
	struct session *session; /* NULL: none, or deleted by a sub-command */
	enum session_party party; /* whose tag came first */
	int returned_leg;	 /* whose port the reply gives */
	uint16_t port;
	const char *address;	 /* text for the reply; NULL: wildcard, port only; valid until the next call */
	bool address_is_ip6;
	char text[ADDR_TEXT];
};

/* engine_update - U or L. 0; an error number; ENGINE_NOT_FOUND for an L without session (answered "0"). */
#define ENGINE_NOT_FOUND (-1)
int engine_update(struct engine *e, const struct engine_update *u, uint64_t now_ns, struct engine_result *out);

/* engine_delete - D, Dw: 0 or 50. engine_delete_one - sub-command D on a session just handled: 0 or -1. */
int engine_delete(struct engine *e, struct span call_id, struct span from_tag, struct span to_tag, bool weak,
		  uint64_t now_ns);
int engine_delete_one(struct engine *e, struct engine_result *r, bool weak, uint64_t now_ns);
void engine_delete_all(struct engine *e, uint64_t now_ns); /* X */

/* engine_find - Q, P, S, C: 0 or 50; statistics are current afterwards. */
int engine_find(struct engine *e, struct span call_id, struct span from_tag, struct span to_tag,
		struct engine_result *out);
/* engine_match - R, N when they cannot serve: 0 when a session matches, else 50. */
int engine_match(struct engine *e, struct span call_id, struct span from_tag, struct span to_tag);

/* Q's values for the session and the party of the first tag. */
struct engine_query {
	uint32_t ttl;
	uint64_t npkts_ina, npkts_ino, nrelayed, ndropped;
	double longest_ipi, jitter_last, jitter_max, jitter_avg;
	uint64_t rtpa_nsent, rtpa_nrcvd, rtpa_ndups, rtpa_nlost, rtpa_perrs;
};
void engine_query(struct engine *e, const struct engine_result *r, uint64_t now_ns, struct engine_query *out);

/* engine_set_ttl, engine_set_tos - sub-command S on the leg of the command's party (@other: the opposite one). 0 or -1. */
int engine_set_ttl(struct engine *e, struct engine_result *r, bool other, uint32_t ttl_s, uint64_t now_ns);
int engine_set_tos(struct engine *e, struct engine_result *r, bool other, int tos);

/* engine_tick - once a second: expiry, rates. */
void engine_tick(struct engine *e, uint64_t now_ns);

void engine_slow_shutdown(struct engine *e); /* SIGHUP: no new sessions (error 99) */
bool engine_is_done(const struct engine *e); /* slow shutdown, and no session is left */

struct sessions *engine_sessions(struct engine *e);
struct stats *engine_stats(struct engine *e); /* current after sync_pull_all */
struct sync *engine_sync(struct engine *e);

#endif
