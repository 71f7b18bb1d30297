/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - calls: call-id and tags to two legs; find, flags, time to live, and the dirty list.
 *
 * One session is one medium (one audio or video line). Leg 0 is where the callee sends, its port is
 * returned by the first U; leg 1 is where the caller sends. Pure: opens no socket, reads no clock.
 */
#ifndef RTPX_SESSION_H
#define RTPX_SESSION_H

#include "base/base.h"
#include "call/why.h"
#include "call/stream.h"

struct listener; /* config.h: a configured local address */
struct recording; /* recorder.c */
struct tally;
struct feed;	 /* feed.h */
struct player;	 /* player.c */
struct resizing; /* relay.c */

/* One local face of a session, and the peer that sends to it. */
struct leg {
	struct stream stream[STREAM_KINDS];
	/*
	 * RTP address bound to (any-address possible); port is the even port; ADDR_NONE: no port
	 * yet
	 */
	struct addr local;
	const char *advertised;	    /* text for replies, not owned; NULL: the numeric address */
	void *handle[STREAM_KINDS]; /* the socket layer's port handles; NULL: not open */
	uint16_t nexthop[STREAM_KINDS]; /* id that flows *towards* this leg's peer use; 0: none */
	/* bit per stream kind: a flow for packets arriving here is in the dataplane */
	uint8_t installed;
	uint8_t why[STREAM_KINDS];  /* enum flow_why for packets arriving here */
	uint8_t recorded; /* bit per stream kind: packets arriving here are recorded or copied */
	struct recording *recording; /* where to, the recorder's; NULL: nowhere */
	bool weak;
	uint8_t tos;
	bool tos_set;		    /* by a command, so it also holds for a socket opened later */
	uint32_t ttl_s;		    /* time to live that restarts give; see session_ttl_restart() */
	bool ttl_fixed;		    /* by session_ttl_set(): completion leaves it alone */
	uint64_t deadline_ns;	    /* when its ttl runs out */
	uint64_t ndropped;	    /* RTP from this leg's peer that could not be relayed */
	uint64_t nrelayed;	    /* RTP from this leg's peer that was relayed by the daemon */
	/* packets discarded because the other leg had no port yet, and when the last one came */
	uint64_t early_packets, early_ns;
	char *codecs;		    /* c list of the peer, owned; NULL: none */
	uint16_t ptime_ms;	    /* z of the peer; 0: none */
	struct player *player;	    /* what plays to the peer; NULL: nothing */
	struct resizing *resizing;  /* of the peer's RTP; NULL: it is sent on as it is */
};

struct session {
	char *call_id;	/* owned, NUL-terminated for logs; may hold no NUL inside */
	char *from_tag; /* owned */
	char *to_tag;	/* owned, the other party's; NULL: no command has had it yet */
	uint32_t number; /* not 0; unique among sessions; in the ABI's flow as `call` */
	bool strong;
	bool complete;	/* both legs have ports */
	bool dirty; /* on the dirty list */
	bool changed; /* on the list of session_changed_pop() */
	bool watched; /* on the list of sessions_each_watched() */
	uint64_t created_ns;
	char *notify_tag; /* owned, decoded; NULL: none */
	int notify;	  /* index of the notification target; -1: none */
	bool told;	  /* its controller was asked to end the whole call */
	/* packets that a dataplane forwarded or ignored, as far as sync has counted them */
	uint64_t kernel_relayed, kernel_strangers;
	struct tally *recorded; /* the recorder's counts; NULL: never recorded */
	struct feed *feeds, *fed_by; /* feed.h: what of it others hear, and it of others */
	bool fed; /* so its parties do not hear each other */
	struct leg leg[2];
	struct session *next_in_call; /* same call-id, in creation order */
	struct session *prev, *next;  /* all sessions, in creation order */
	struct session *dirty_prev, *dirty_next;
	struct session *changed_prev, *changed_next;
	struct session *watched_prev, *watched_next;
	struct session *due_prev, *due_next; /* to be looked at in the same second */
	uint8_t due;			     /* which */
};

struct session_opts {
	uint32_t ttl_s;	      /* -T */
	uint32_t setup_ttl_s; /* -W */
	bool independent_ttl; /* -i */
};

struct sessions; /* all of them */

int sessions_new(struct sessions **out, const struct session_opts *opts);
void sessions_free(struct sessions *all); /* the caller has closed ports and flows */
unsigned int sessions_count(const struct sessions *all);

/*
 * session_create - a new one at the end of its call-id's list; 0 or -ENOMEM. Legs have no ports
 * yet.
 */
int session_create(struct sessions *all, struct span call_id, struct span from_tag, uint64_t now_ns,
		   struct session **out);
/* session_set_to_tag - the other party's tag, which an answer may bring; 0 or -ENOMEM. */
int session_set_to_tag(struct session *s, struct span to_tag);
/* session_destroy - forget it and free its memory. Its ports must be closed. */
void session_destroy(struct sessions *all, struct session *s);

enum session_party { SESSION_CALLER, SESSION_CALLEE }; /* who the command's first tag is */

/*
 * session_find - rules of the protocol page, "Matching of call-id and tags": the first session of
 * @call_id that the tags name. @to_tag.p may be NULL. *@party: SESSION_CALLER when the first tag is
 * the session's own.
 */
struct session *session_find(const struct sessions *all, struct span call_id, struct span from_tag,
			     struct span to_tag, enum session_party *party);

/*
 * session_match_next - the prefix rules of D, R and N: iterate with *@pos NULL at first. The caller
 * may destroy the returned session before the next call. *@exact: the tag was equal, not a prefix.
 */
struct session *session_match_next(const struct sessions *all, struct span call_id,
				   struct span from_tag, struct span to_tag, struct session **pos,
				   enum session_party *party, bool *exact);

/* sessions_of_call - first session of a call-id (follow next_in_call); NULL: none. */
struct session *sessions_of_call(const struct sessions *all, struct span call_id);
/*
 * sessions_each - calls @fn for each in creation order until it returns false; @fn may destroy the
 * one it got.
 */
void sessions_each(struct sessions *all, bool (*fn)(void *arg, struct session *s), void *arg);

/*
 * session_flags_clear - D's rule: clears strong, or with @weak the party's weak flag; true when
 * none is left.
 */
bool session_flags_clear(struct session *s, bool weak, enum session_party party);

/*
 * session_complete - both legs have ports now: full ttl for both, but for one that `S ttl=` has
 * set.
 */
void session_complete(struct sessions *all, struct session *s, uint64_t now_ns);

/*
 * session_ttl_restart - traffic or a command: @leg counts only with independent ttl; @leg -1: both
 * legs.
 */
void session_ttl_restart(struct sessions *all, struct session *s, int leg, uint64_t now_ns);
/* session_ttl_set - `S ttl=`: new time to live of a leg's counter (of the session's without -i). */
void session_ttl_set(struct sessions *all, struct session *s, int leg, uint32_t ttl_s,
		     uint64_t now_ns);
/* session_ttl_left - what Q shows: whole seconds left, the smaller of the two legs. */
uint32_t session_ttl_left(const struct sessions *all, const struct session *s, uint64_t now_ns);
/*
 * sessions_expired - calls @fn for each session whose ttl has run out (between T and T+1 s, like a
 * 1 s tick). @fn looks at the dataplane's last packet first: it either restarts the ttl with an
 * earlier time (session_ttl_restart with that packet's time) or ends the session.
 * Call it about once a second; within a second, or when time goes back, it does nothing. In no
 * particular order. @fn may destroy the session that it got.
 */
void sessions_expired(struct sessions *all, uint64_t now_ns,
		      void (*fn)(void *arg, struct session *s), void *arg);

/*
 * sessions_defer - nobody looked at packets for so long (the process was stopped, or there was
 * none): that time counts for no time to live, and nobody has more of it left than from now on.
 */
void sessions_defer(struct sessions *all, uint64_t away_ns, uint64_t now_ns);

/*
 * session_dirty - its flows must be compiled again, and it has changed; session_dirty_pop - the
 * next one of the list, NULL at its end.
 */
void session_dirty(struct sessions *all, struct session *s);
struct session *session_dirty_pop(struct sessions *all);

/*
 * session_watch - list it for sessions_each_watched(); once is enough. sessions_each_watched - calls
 * @fn for each, which returns false to take it off the list. @fn must destroy no session.
 */
void session_watch(struct sessions *all, struct session *s);
void sessions_each_watched(struct sessions *all, bool (*fn)(void *arg, struct session *s),
			   void *arg);

/*
 * session_changed - what is kept of it for the next daemon is not current; a new session has
 * changed, and so has one whose time to live was put off a good while ago. session_changed_pop -
 * the next one, NULL at the end.
 */
void session_changed(struct sessions *all, struct session *s);
struct session *session_changed_pop(struct sessions *all);
/* sessions_watch_end - @ended is told of each session before it is forgotten. */
void sessions_watch_end(struct sessions *all, void (*ended)(void *arg, const struct session *s),
			void *arg);
/*
 * session_restored - a new session has got the number, the times to live and the deadlines of one
 * that an earlier daemon had.
 */
void session_restored(struct sessions *all, struct session *s);

#endif
