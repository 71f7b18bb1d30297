/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.h - the address group in Redis: its epoch, its owner, and its records. Writes them as the
 * owner, follows them as the standby. docs/standby.md has the keys and the rules.
 *
 * A record is a key and bytes, as in journal.h. This module does not interpret them.
 */
#ifndef RTPX_GROUP_H
#define RTPX_GROUP_H

#include "base/base.h"
#include "replicate/redis.h"

#define GROUP_VERSION 2 /* of the keys and records in Redis; a reader refuses a newer one */
#define GROUP_NAME_MAX 64

struct event_base;
struct group;

struct group_opts {
	const struct redis_url *url;	/* borrowed until group_free() */
	const char *password, *ca_file; /* as in struct redis_opts */
	const char *name;		/* of the group: letters, digits, '-', '_', '.' */
	/*
	 * Standby: a record was put, has ended, or was passed on (see enum change_kind). @now_ns is
	 * the owner's CLOCK_MONOTONIC when it wrote the batch.
	 */
	void (*put)(void *arg, uint64_t key, struct span body, uint64_t now_ns);
	void (*gone)(void *arg, uint64_t key);
	void (*passing)(void *arg, uint64_t key, struct span body, uint64_t now_ns);
	/*
	 * Standby: all records are about to be read again, and have been read. Between the two,
	 * put() is called for each. Records without a call have ended.
	 */
	void (*read_begin)(void *arg);
	void (*read_end)(void *arg);
	/*
	 * Owner: Redis is there. Call group_put() for every record, then group_all_put(). Other
	 * records in Redis are removed.
	 */
	void (*put_all)(void *arg);
	/* Owner: another daemon has a higher epoch. @by is its name. Called once. */
	void (*fenced)(void *arg, const char *by);
	/* group_take_over() is finished: this daemon is the owner. */
	void (*own)(void *arg);
	void *arg;
};

/*
 * group_new - become a member of the group, as the standby. @name tells this daemon from others; no
 * blanks. 0, or -errno with a sentence in @err.
 */
int group_new(struct group **out, struct event_base *base, const struct group_opts *opts,
	      const char *name, char *err, size_t err_size);
void group_free(struct group *g); /* NULL is allowed */

/*
 * group_take_over - become the owner: raise the epoch, read the changes that the previous owner had
 * written, and call opts.own. Without Redis, or when Redis takes longer than GROUP_PATIENCE_MS,
 * opts.own is called all the same, and the epoch is raised later. A daemon that has not read the
 * records yet is more patient. Does nothing a second time.
 */
#define GROUP_PATIENCE_MS 200
#define GROUP_START_PATIENCE_MS 2000
void group_take_over(struct group *g);
/* group_go_on - be the owner of @epoch, which the previous process of this daemon was. */
void group_go_on(struct group *g, uint64_t epoch);

/* Owner: a record has changed, ended, or is told to the standby without being kept. */
void group_put(struct group *g, uint64_t key, struct span body);
void group_gone(struct group *g, uint64_t key);
void group_pass(struct group *g, uint64_t key, struct span body);
void group_all_put(struct group *g);
/*
 * group_release - the owner ends: write the waiting changes and the release, for at most @ms. Runs
 * the event loop meanwhile.
 */
void group_release(struct group *g, unsigned int ms);

/* For status and the journal. */
/* member, metric or NULL, text */
#define GROUP_COUNTERS(X)                                                                \
	X(batches, NULL, "Batches of changes, written by the owner or read.")            \
	X(changes, NULL, "Changes in these batches.")                                    \
	X(dropped, "standby_changes_dropped_total",                                      \
	  "Changes dropped because Redis was too slow; all records were written again.") \
	X(reconnects, "standby_reconnects_total", "New connections to Redis.")

struct group_view {
	bool owner;	    /* else: standby */
	bool up;	    /* Redis answers */
	bool whole;	    /* standby: all records were read; owner: Redis has all records */
	bool heard;	    /* standby: the owner's heartbeat is there */
	bool standby_there; /* owner: a standby has said in the last 3 s that it is there */
	uint64_t epoch;	    /* 0: not known yet */
	char peer[GROUP_NAME_MAX]; /* standby: name of the owner; owner: of the standby; or "" */
	unsigned int waiting;	   /* changes */
#define GROUP_FIELD(name, metric, text) uint64_t name;
	GROUP_COUNTERS(GROUP_FIELD)
#undef GROUP_FIELD
};
void group_view(const struct group *g, struct group_view *out);

#endif
