/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.h - keeps the journal equal to the model, so that a daemon that is killed, restarted or
 * replaced leaves its calls to the next one; and gives that one the calls.
 *
 * In this order: keeper_new, keeper_load, then dataplane and engine are made, keeper_restore; from
 * then on keeper_run before anybody is answered, keeper_tick once a second; at the end keeper_leave
 * or keeper_forget.
 */
#ifndef RTPX_KEEPER_H
#define RTPX_KEEPER_H

#include <sys/types.h>

#include "base/base.h"
#include "engine/engine.h"

struct keeper;

/*
 * keeper_new - of the state directory @dir, which becomes @uid's ((uid_t)-1: nobody's). 0, or
 * -errno with a sentence: another daemon uses the directory, or no memory. A directory that cannot
 * be used otherwise is only logged: the calls end with the daemon then, and it is tried again
 * later.
 */
int keeper_new(struct keeper **out, const char *dir, uid_t uid, gid_t gid, char *err,
	       size_t err_size);
void keeper_free(struct keeper *k); /* NULL is allowed */

/*
 * keeper_load - read what the last daemon left; @discard: throw it away. 0; -EPROTO with a sentence
 * when a newer version has written it.
 */
int keeper_load(struct keeper *k, bool discard, char *err, size_t err_size);
/*
 * keeper_check_ports - the calls that were loaded have ports from @min to @max, RTCP included. Else
 * -EPROTO with a sentence: this daemon would lose them.
 */
int keeper_check_ports(const struct keeper *k, unsigned int min, unsigned int max, char *err,
		       size_t err_size);
/* keeper_dir - the state directory, absolute. */
const char *keeper_dir(const struct keeper *k);
/* keeper_was_left - the directory is ours, and the previous daemon has left something in it. */
bool keeper_was_left(const struct keeper *k);
/* keeper_has_calls - some were loaded. */
bool keeper_has_calls(const struct keeper *k);
/* keeper_instance - the name of this daemon and those before it that had the same calls. Not 0. */
uint32_t keeper_instance(const struct keeper *k);

struct keeper_opts {
	struct engine *engine;
	struct ports *ports;
	struct notify *notify;
	struct cookies *cookies; /* replies that retransmissions get */
	const char *version; /* of this program */
};

/*
 * keeper_restore - every call that was loaded, with its ports, its flows in the dataplane and its
 * statistics. What cannot be restored is logged call by call. From now on changes are kept.
 */
void keeper_restore(struct keeper *k, const struct keeper_opts *opts, uint64_t now_ns);

/* keeper_run - what has changed goes to the journal; when it returns, it outlives the process. */
void keeper_run(struct keeper *k);
/*
 * keeper_tick - about once a second: a sign of life, the counters; and another try after trouble.
 */
void keeper_tick(struct keeper *k, uint64_t now_ns);

/* keeper_leave - all of it, exactly as it is now, for the next daemon; nothing is kept any more. */
void keeper_leave(struct keeper *k, uint64_t now_ns);
/* keeper_forget - the calls are about to end with the daemon: no journal is left. */
void keeper_forget(struct keeper *k);

/* For people. */
struct keeper_view {
	const char *path;
	bool works;
	unsigned int restored, lost; /* calls, at the start */
	uint64_t commits, records;
};
void keeper_view(const struct keeper *k, struct keeper_view *out);

#endif
