/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - calls: from call-id and tags to two legs; look-up, flags, time to live, dirty list.
 *
 * One session is one medium (one audio or video line). The callee sends to leg 0, and the first U
 * returns its port. The caller sends to leg 1. Pure: opens no socket, reads no clock.
 */
#ifndef RTPX_SESSION_H
#define RTPX_SESSION_H

#include "base/base.h"
#include "call/quality.h"
#include "base/table.h"
#include "call/why.h"
#include "call/stream.h"

/*
 * A number has the session's address group in its upper bits (replicate/groups.h), and a number
 * that is unique in that group in the others. A daemon without groups has group 0.
 */
#define SESSION_NUMBER_BITS 28
#define SESSION_NUMBER_MAX ((1u << SESSION_NUMBER_BITS) - 1) /* in its group */
#define SESSION_GROUPS 16

static inline unsigned int session_group(uint32_t number)
{
	return number >> SESSION_NUMBER_BITS;
}

/* session_number - the number @in_group of @group, as a number of this daemon. */
static inline uint32_t session_number(unsigned int group, uint32_t in_group)
{
	return group << SESSION_NUMBER_BITS | (in_group & SESSION_NUMBER_MAX);
}

struct recording; /* recorder.c */
struct tally;
struct feed;	 /* feed.h */
struct dtmf;	 /* dtmf.h */
struct player;	 /* player.c */
struct resizing; /* relay.c */

/* A party of a session. It sends to the leg of the same number: s->leg[SESSION_CALLER]. */
enum session_party { SESSION_CALLEE, SESSION_CALLER, SESSION_PARTIES };
extern const char *const session_party_words[SESSION_PARTIES]; /* "callee", "caller" */

/* The numbering of the RTP that re-packetization has made from the packets of one source. */
struct leg_numbers {
	bool known; /* false: no such packet has left */
	uint32_t ssrc;
	uint16_t next;	  /* number after the source's packets that have left */
	bool stale;	  /* further packets have left since */
	int16_t ahead;	  /* the next outgoing number, minus `next` */
	uint16_t reserve; /* `ahead` may have grown so much since this was written */
};

/* Members that most legs do not need. */
struct leg_rest {
	struct recording *recording; /* state of the recorder, which owns it; NULL: none */
	struct dtmf *dtmf;	     /* detection of the peer's digits, owned; NULL: none */
	struct player *player;	     /* plays to the peer; NULL: nothing plays */
	struct resizing *resizing;   /* re-packetization of the peer's RTP; NULL: none */
	char *codecs;		     /* codec list of the peer (modifier c), owned; NULL: none */
	bool renumbered;	     /* it has ended, but it still changes sequence numbers */
	struct leg_numbers numbers;  /* for the next daemon */
	/* packets discarded because the other leg had no port yet, and arrival of the latest */
	uint64_t early_packets, early_ns;
};

/* One side of a session: its local ports, and the peer that sends to them. */
struct leg {
	struct stream stream[STREAM_KINDS];
	/* bound RTP address (may be any-address) with the even port; ADDR_NONE: no port yet */
	struct addr local;
	uint32_t holds;		      /* number of commands that have put the peer on hold */
	const char *advertised;	      /* text for replies, not owned; NULL: the numeric address */
	void *handle;		      /* the socket layer's pair of ports; NULL: not open */
	struct leg_rest *rest;	      /* owned, see leg_rest() */
	uint64_t deadline_ns;	      /* when its ttl runs out */
	uint64_t ndropped;	      /* RTP from this leg's peer that could not be relayed */
	uint64_t nrelayed;	      /* RTP from this leg's peer that was relayed by the daemon */
	uint32_t ttl_s;		      /* length of the time to live, see leg_ttl_restart() */
	struct quality_recent recent; /* of the peer's RTP, set by the survey */
	/* next hop id of flows *towards* this leg's peer; 0: none */
	uint16_t nexthop[STREAM_KINDS];
	uint16_t ptime_ms; /* packet length of the peer (modifier z); 0: none */
	uint8_t party;	   /* enum session_party: that sends to it */
	/* bit per stream kind: a flow for packets arriving here is in the dataplane */
	uint8_t installed;
	uint8_t why[STREAM_KINDS]; /* enum flow_why for packets arriving here */
	/* packets that the sockets relayed since the dataplane did, though the flow is there; see
	 * sync_why() */
	uint8_t passed[STREAM_KINDS];
	uint8_t recorded; /* bit per stream kind: packets arriving here are recorded or copied */
	uint8_t tapped;	  /* bit per stream kind: packets arriving here have a reader, see taps.h */
	uint8_t tos;
	bool tos_set;	/* set by a command: holds for sockets opened later, too */
	bool ttl_fixed; /* set by leg_ttl_set(): session_complete() keeps it */
	bool weak;
	bool on_hold; /* the latest command has put the peer on hold */
};

/* Members that most sessions do not need. */
struct session_rest {
	struct tally *recorded;	     /* the recorder's counts; NULL: never recorded */
	struct sheet *sheet;	     /* the recorder's description of its files; NULL: none */
	struct feed *feeds, *fed_by; /* feed.h: feeds from this session, and feeds into it */
	char *notify_tag;	     /* owned, decoded; NULL: none */
};

struct session {
	char *call_id;	/* NUL-terminated for logs; may hold no NUL inside */
	char *from_tag; /* owned, with call_id in one block behind the session */
	char *to_tag;	/* owned, tag of the other party; NULL: no command has given it yet */
	struct table_link by_call_id; /* in the table if it is the first one of its Call-ID */
	uint32_t number; /* not 0; unique among sessions; in the ABI's flow as `call` */
	int notify;	 /* index of the notification target; -1: none */
	bool strong;
	bool complete;	/* both legs have ports */
	bool dirty;	/* on the dirty list */
	bool changed;	/* on the list of session_changed_pop() */
	bool watched;	/* on the list of sessions_each_watched() */
	bool asleep;	/* see session_sleep() */
	bool in_call;	/* on its call's list; false: doomed one by one, or asleep */
	bool told;	/* its controller was asked to end the whole call */
	bool fed;	/* a feed was added: its parties no longer hear each other */
	uint8_t doomed; /* @why of session_doom(); 0: it was not called */
	uint8_t due;	/* second in which it is checked, an index on the wheel */
	uint64_t created_ns;
	struct session_rest *rest; /* owned, see session_rest() */
	/* packets that a dataplane forwarded or ignored, as far as sync has counted them */
	uint64_t kernel_relayed, kernel_strangers;
	struct leg leg[SESSION_PARTIES]; /* by the party that sends to it */
	/* same call-id, in creation order; the first one's prev_in_call is the last one */
	struct session *prev_in_call, *next_in_call;
	struct session *prev, *next; /* all sessions: doomed ones first, then in creation order */
	struct table_link by_number;
	struct session *dirty_prev, *dirty_next;
	struct session *changed_prev, *changed_next;
	struct session *watched_prev, *watched_next;
	struct session *due_prev, *due_next; /* sessions to check in the same second */
};

/*
 * leg_rest - the members that most legs do not need.
 * leg_rest_set - the same, to be written. NULL: no memory.
 */
static inline const struct leg_rest *leg_rest(const struct leg *leg)
{
	static const struct leg_rest none;

	return leg->rest ? leg->rest : &none;
}

struct leg_rest *leg_rest_set(struct leg *leg);

/* session_rest, session_rest_set - the same of a session. */
static inline const struct session_rest *session_rest(const struct session *s)
{
	static const struct session_rest none;

	return s->rest ? s->rest : &none;
}

struct session_rest *session_rest_set(struct session *s);

/* leg_session - the session that it belongs to. */
static inline struct session *leg_session(const struct leg *leg)
{
	return container_of(leg - leg->party, struct session, leg[0]);
}

/* leg_other - the leg of the other party: packets that arrive at @leg leave from there. */
static inline struct leg *leg_other(const struct leg *leg)
{
	return &leg_session(leg)->leg[!leg->party];
}

/* legs_name - give the legs of @s their parties. session_create() does so. */
static inline void legs_name(struct session *s)
{
	for (unsigned int i = 0; i < SESSION_PARTIES; i++)
		s->leg[i].party = i;
}

struct session_opts {
	uint32_t ttl_s;	      /* -T */
	uint32_t setup_ttl_s; /* -W */
	bool independent_ttl; /* -i */
};

/* The names by which a command finds sessions. */
struct dialog {
	struct span call_id, from_tag, to_tag; /* to_tag.p NULL: not given */
};

struct sessions; /* all of them */

int sessions_new(struct sessions **out, const struct session_opts *opts);
const struct session_opts *sessions_opts(const struct sessions *all);
void sessions_free(struct sessions *all); /* the caller has closed ports and flows */
/*
 * sessions_count - without doomed ones, and without those that sleep, but with those that are
 * expected.
 */
unsigned int sessions_count(const struct sessions *all);

/* Sessions of the previous daemon that are not made again yet. */
struct sessions_expected {
	unsigned int n; /* 0: there are none, and the table calls nothing */
	/*
	 * make - called before each look-up. Make those with the Call-ID, or with the number where
	 * the Call-ID is NULL; all of them where the number is 0, too.
	 * make_next - make the oldest one that is left. False: none is left.
	 */
	void (*make)(void *arg, struct span call_id, uint32_t number);
	bool (*make_next)(void *arg);
	void *arg;
};
/*
 * sessions_expect - what is still expected. @last is the highest number of all of them, so that no
 * new session gets it; 0: as before. Call it again when a session was made, not before.
 */
void sessions_expect(struct sessions *all, const struct sessions_expected *e, uint32_t last);

/*
 * session_create - add a session at the end of its call-id's list; its legs have no ports yet. 0 or
 * -ENOMEM.
 * session_create_in - the same, in an address group less than SESSION_GROUPS instead of group 0.
 */
int session_create(struct sessions *all, struct span call_id, struct span from_tag, uint64_t now_ns,
		   struct session **out);
int session_create_in(struct sessions *all, unsigned int group, const struct dialog *of,
		      uint64_t now_ns, struct session **out);
/*
 * session_set_to_tag - store a copy of the other party's tag, which an answer may bring; .p is
 * NULL: it is not known. 0, or -ENOMEM: the tag is the one of before.
 * session_set_notify_tag, leg_set_codecs - the same for the texts of a notification and of modifier
 * c.
 */
int session_set_to_tag(struct session *s, struct span to_tag);
int session_set_notify_tag(struct session *s, struct span tag);
int leg_set_codecs(struct leg *leg, struct span codecs);
/* session_destroy - remove @s and free its memory. Its ports must be closed. */
void session_destroy(struct sessions *all, struct session *s);

/*
 * A command may end thousands of sessions, and to close their ports takes seconds. It dooms them:
 * no look-up finds a doomed session, and it is counted no more. The caller then destroys the
 * doomed sessions bit by bit. Packets are still relayed to its parties until then.
 *
 * session_doom - doom one session. @why is the caller's, not 0.
 * sessions_doom_all - doom all sessions that do not sleep. Constant time, unless several groups
 * have had sessions. Only sessions that could not be doomed so keep @why. Expected sessions are
 * doomed, too, and counted no more; each one must still be made.
 * sessions_doom_group - the same for one group.
 * session_doomed_next - the next session to destroy; NULL: there is none.
 * session_is_doomed - tells.
 * sessions_doomed_to - the highest number that sessions_doom_all() has doomed, while there are
 * doomed sessions; else 0. All numbers up to it are those of ended sessions.
 */
void session_doom(struct sessions *all, struct session *s, uint8_t why);
void sessions_doom_all(struct sessions *all, uint8_t why);
void sessions_doom_group(struct sessions *all, unsigned int group, uint8_t why);
struct session *session_doomed_next(const struct sessions *all);
bool session_is_doomed(const struct sessions *all, const struct session *s);
uint32_t sessions_doomed_to(const struct sessions *all);

/*
 * session_sleep - this daemon stands by for @s, which another daemon serves. It has its ports and
 * its flows. No look-up by call-id and no walk finds it, it is not counted, it does not expire, and
 * session_changed() does nothing. It is neither doomed nor asleep yet.
 * session_wake - it is a session of this daemon from now on. 0; or -ENOMEM, and it still sleeps.
 */
void session_sleep(struct sessions *all, struct session *s);
int session_wake(struct sessions *all, struct session *s);

/*
 * session_find - the first session of the Call-ID that the tags name, by the rules of the protocol
 * page, "Matching of call-id and tags". Returns the leg of the first tag's party: the caller's when
 * the first tag is the session's own. NULL: no session.
 */
struct leg *session_find(const struct sessions *all, const struct dialog *of);

/* A walk over the sessions that the tags match by the prefix rules of D, R and N. */
struct session_matches {
	struct span from_tag, to_tag;
	struct session *next; /* to look at; NULL: the end */
	bool exact;	      /* of the latest match: the tag was equal, not a prefix */
};
/*
 * session_matches - begin a walk. The tags must outlive it.
 * session_match_next - a leg of the next session, as session_find(), or NULL. The caller may
 * destroy the session before the next call.
 */
struct session_matches session_matches(const struct sessions *all, const struct dialog *of);
struct leg *session_match_next(struct session_matches *m);

/*
 * sessions_fetch - bring to the CPU's cache what commands for @n calls will read. Calls that are
 * expected, or not there, do no harm.
 */
void sessions_fetch(const struct sessions *all, const struct span *call_ids, unsigned int n);
/* sessions_of_call - first session of a call-id (follow next_in_call); NULL: none. */
struct session *sessions_of_call(const struct sessions *all, struct span call_id);
/* session_numbered - the session with this number, or NULL. */
struct session *session_numbered(const struct sessions *all, uint32_t number);
/*
 * sessions_each - call @fn for each session that is not doomed and does not sleep, in creation
 * order, until it returns false. @fn may destroy its session.
 * sessions_after - the same, from the session after number @after; 0: from the first. If that one
 * has ended and there are several groups, or numbers do not rise in the order of the list because
 * of expected sessions, some sessions are visited again, and none is left out. Makes expected
 * sessions as far as @fn asks for more. @fn must not destroy sessions then.
 * sessions_after_sleeping - the same, and visit sleeping sessions, too.
 */
void sessions_each(struct sessions *all, bool (*fn)(void *arg, struct session *s), void *arg);
void sessions_after(struct sessions *all, uint32_t after, bool (*fn)(void *arg, struct session *s),
		    void *arg);
void sessions_after_sleeping(struct sessions *all, uint32_t after,
			     bool (*fn)(void *arg, struct session *s), void *arg);

/*
 * A walk over all sessions in creation order that may pause after each session. Sessions that are
 * created meanwhile are visited, too; a session may be destroyed at any time. Doomed and sleeping
 * ones are not visited.
 */
struct session_cursor {
	struct session *at; /* the session that session_cursor_next() returns; NULL: the end */
	struct session_cursor *other;
};
/*
 * session_cursor_begin - start a walk. Until session_cursor_end(), the table refers to @c.
 * session_cursor_next - the next session; NULL: the walk is over.
 */
void session_cursor_begin(struct sessions *all, struct session_cursor *c);
struct session *session_cursor_next(const struct sessions *all, struct session_cursor *c);
void session_cursor_end(struct sessions *all, struct session_cursor *c);

/*
 * leg_flags_clear - D's rule: clear the session's strong flag or, with @weak, the weak flag of the
 * leg. True when no flag is left.
 */
bool leg_flags_clear(struct leg *leg, bool weak);

/*
 * session_complete - both legs have ports now: start the full ttl of both. A leg keeps a ttl that
 * `S ttl=` has set.
 */
void session_complete(struct sessions *all, struct session *s, uint64_t now_ns);

/*
 * session_ttl_restart - a command: restart the ttl of both legs.
 * leg_ttl_restart - traffic at @leg: the same. With -i, restart only the ttl of @leg.
 * leg_ttl_set - `S ttl=`: set the ttl of both legs. With -i, set only the ttl of @leg.
 */
void session_ttl_restart(struct session *s, uint64_t now_ns);
void leg_ttl_restart(const struct sessions *all, struct leg *leg, uint64_t now_ns);
void leg_ttl_set(struct sessions *all, struct leg *leg, uint32_t ttl_s, uint64_t now_ns);
/* session_ttl_left - whole seconds left, as Q shows them: the smaller value of the two legs. */
uint32_t session_ttl_left(const struct sessions *all, const struct session *s, uint64_t now_ns);
/*
 * sessions_expired - call @fn for each session whose ttl has run out (between T and T+1 s, like a 1
 * s tick), in no particular order. @fn checks the dataplane's last packet first. It restarts the
 * ttl with that packet's time (leg_ttl_restart()), or ends the session. @fn may destroy its
 * session.
 *
 * Many sessions can have one deadline: sessions_expired() stops after some hundred, or when @fn
 * returns false. True: call it again soon, for the rest. False: call it in about a second. A
 * further call within that second does nothing, nor does a call when time goes back.
 */
bool sessions_expired(struct sessions *all, uint64_t now_ns,
		      bool (*fn)(void *arg, struct session *s), void *arg);

/*
 * sessions_defer - call after @away_ns without a running daemon: packets of that time have
 * refreshed no ttl. Extends every deadline by @away_ns, but to no more than @now_ns + ttl, and
 * shortens none.
 */
void sessions_defer(struct sessions *all, uint64_t away_ns, uint64_t now_ns);

/*
 * session_dirty - the flows of @s must be compiled again; it has changed, too.
 * session_recompile - its flows must be compiled again, and the session itself has not changed.
 * session_dirty_pop - take the next session off the list; NULL at its end.
 */
void session_dirty(struct sessions *all, struct session *s);
void session_recompile(struct sessions *all, struct session *s);
struct session *session_dirty_pop(struct sessions *all);

/*
 * session_watch - list @s for sessions_each_watched(); a second call does nothing.
 * sessions_watched - the number of listed sessions.
 * sessions_each_watched - call @fn for the next @max listed sessions, but for none twice; false
 * takes a session off the list. The following call goes on behind them. @fn must destroy no
 * session.
 */
void session_watch(struct sessions *all, struct session *s);
unsigned int sessions_watched(const struct sessions *all);
void sessions_each_watched(struct sessions *all, unsigned int max,
			   bool (*fn)(void *arg, struct session *s), void *arg);

/*
 * session_changed - the journal's copy of @s is out of date. A new session has changed, and so has
 * a session with a time to live that was extended a good while ago.
 * session_changed_pop - take the next session off the list; NULL at its end. It may be doomed.
 */
void session_changed(struct sessions *all, struct session *s);
struct session *session_changed_pop(struct sessions *all);
/* sessions_watch_end - call @ended for each session before it is destroyed. */
void sessions_watch_end(struct sessions *all, void (*ended)(void *arg, const struct session *s),
			void *arg);
/*
 * session_restored - @s, a new session, has got number, times to live and deadlines of a session of
 * an earlier daemon.
 */
void session_restored(struct sessions *all, struct session *s);

#endif
