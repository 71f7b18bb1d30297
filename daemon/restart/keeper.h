/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.h - keeps the journal equal to the model, and restores the model from it. A daemon that is
 * killed, restarted or replaced thereby leaves its calls to the next daemon.
 *
 * Order of calls: keeper_new, keeper_load, then main makes the dataplane and the engine,
 * keeper_restore. From then on keeper_run before each batch of replies, and keeper_tick once a
 * second. At the end keeper_leave or keeper_forget.
 */
#ifndef RTPX_KEEPER_H
#define RTPX_KEEPER_H

#include <sys/types.h>

#include "base/base.h"
#include "engine/engine.h"
#include "media/player.h"

struct keeper;

/*
 * keeper_new - lock the state directory @dir. @uid and @gid as in journal_lock(). 0; -EBUSY
 * (another daemon uses the directory) or -ENOMEM, with a sentence in @err. Any other error of the
 * directory is only logged: the calls end with the daemon then, unless a later keeper_tick()
 * succeeds.
 */
int keeper_new(struct keeper **out, const char *dir, uid_t uid, gid_t gid, char *err,
	       size_t err_size);
void keeper_free(struct keeper *k); /* NULL is allowed */

/*
 * keeper_load - read the journal of the previous daemon; @discard: delete it unread. 0; -EPROTO
 * with a sentence when a newer version wrote it. Other errors are only logged, and the calls are
 * lost.
 */
int keeper_load(struct keeper *k, bool discard, char *err, size_t err_size);
/*
 * keeper_check_ports - 0 when all ports of the loaded calls, RTCP included, are in @min to @max.
 * Else -EPROTO with a sentence: this daemon would lose those calls.
 */
int keeper_check_ports(const struct keeper *k, unsigned int min, unsigned int max, char *err,
		       size_t err_size);
/* keeper_locals - as kept_locals(), of the loaded calls. */
size_t keeper_locals(const struct keeper *k, struct addr **out);
/*
 * keeper_groups - the address groups of this daemon by number; the names are borrowed until
 * keeper_free(). Call it after keeper_load(). 0; or -EPROTO with a sentence: the loaded calls are
 * of other groups.
 */
int keeper_groups(struct keeper *k, const char *const *names, unsigned int n, char *err,
		  size_t err_size);
/* keeper_dir - the state directory, absolute. */
const char *keeper_dir(const struct keeper *k);
/* keeper_was_left - the directory is ours, and holds a journal of the previous daemon. */
bool keeper_was_left(const struct keeper *k);
/* keeper_has_calls - keeper_load() found at least one call. */
bool keeper_has_calls(const struct keeper *k);
/* keeper_instance - a number, shared by all daemons that handed the same calls on. Never 0. */
uint32_t keeper_instance(const struct keeper *k);

/* A second reader of the records, beside the journal. */
struct keeper_sink {
	void (*put)(void *arg, uint64_t key, struct span body);
	void (*gone)(void *arg, uint64_t key);
	void *arg;
};

struct keeper_opts {
	struct engine *engine;
	struct sessions *sessions;
	struct stats *stats;
	struct sync *sync;
	struct recorder *recorder;
	struct players *players;
	struct ports *ports;
	struct notify *notify;
	struct cookies *cookies;	/* replies for retransmitted commands */
	const char *version;		/* this program's */
	const struct keeper_sink *sink; /* NULL: none; borrowed until keeper_free() */
};

/*
 * keeper_restore - restore every loaded call with its ports, its flows in the dataplane and its
 * statistics. Each call that cannot be restored is logged. From now on changes are written to the
 * journal.
 *
 * Thousands of calls take long. So this takes only the ports of all calls and restores the first
 * one. While keeper_restores(), the caller answers commands, and calls keeper_go_on() in each turn
 * of its loop. A command that looks for a call finds it: it is restored at once (struct
 * sessions_expected). engine_show_stats() shows the counters of the journal.
 *
 * keeper_go_on - restore further calls for about @ns. False: all calls are there.
 * keeper_make_at - restore the call with the port @dest, if there is one.
 * keeper_finish - restore all calls now.
 */
void keeper_restore(struct keeper *k, const struct keeper_opts *opts, uint64_t now_ns);
bool keeper_restores(const struct keeper *k);
bool keeper_go_on(struct keeper *k, uint64_t ns);
void keeper_make_at(struct keeper *k, const struct addr *dest);
void keeper_finish(struct keeper *k);

/*
 * keeper_take - a record of another daemon that is no session: a message, or its counters, which
 * count before keeper_restore() only. Its times are @shift_ns behind our clock.
 * keeper_joined - after keeper_restore(): the taken messages are those of this daemon.
 */
void keeper_joined(struct keeper *k, uint64_t now_ns);
void keeper_take(struct keeper *k, uint64_t key, struct span body, int64_t shift_ns);
/*
 * keeper_put_all - give every record of an address group to the sink, and the daemon's record.
 * keeper_put_counters - give it the daemon's record, and the sessions of slice @slice of @of, with
 * their counters: the present ones, or where sync_sweeps() those of the engine's latest sweep.
 */
void keeper_put_all(struct keeper *k, unsigned int group);
void keeper_put_counters(struct keeper *k, unsigned int slice, unsigned int of);
/*
 * keeper_epoch - the epoch of an address group that the journal has, see struct meta; set it with
 * keeper_set_epoch(). 0: this daemon does not own the group.
 */
uint64_t keeper_epoch(const struct keeper *k, unsigned int group);
void keeper_set_epoch(struct keeper *k, unsigned int group, uint64_t epoch);
bool keeper_owns(const struct keeper *k); /* a group with an epoch */

/* keeper_run - write all changes to the journal. They outlive the process when it returns. */
void keeper_run(struct keeper *k);
/*
 * keeper_tick - called about once a second. Writes the time and the counters, and after an error
 * tries to write a new journal.
 */
void keeper_tick(struct keeper *k, uint64_t now_ns);

/*
 * keeper_leave - write the complete present state for the next daemon. Later changes are not
 * written.
 */
void keeper_leave(struct keeper *k, uint64_t now_ns);
/* keeper_forget - remove the journal, because the calls end with the daemon. */
void keeper_forget(struct keeper *k);

/* State for the status output. */
/* member, metric, text */
#define KEEPER_COUNTERS(X)                                                  \
	X(commits, "journal_commits_total", "Transactions of the journal.") \
	X(records, "journal_records_total", "Records written to the journal.")

struct keeper_view {
	const char *path;
	bool works;
	unsigned int restored, lost; /* calls, at the start; the former with those to come */
#define KEEPER_FIELD(name, metric, text) uint64_t name;
	KEEPER_COUNTERS(KEEPER_FIELD)
#undef KEEPER_FIELD
	uint64_t committed_ns; /* CLOCK_MONOTONIC of the latest commit; 0: none yet */
};
void keeper_view(const struct keeper *k, struct keeper_view *out);

#endif
