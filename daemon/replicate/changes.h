/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes.h - changes of records that wait for Redis: of several changes of one record only the
 * latest is kept, and the memory is bounded. Pure.
 */
#ifndef RTPX_CHANGES_H
#define RTPX_CHANGES_H

#include "base/base.h"

#define CHANGES_MAX_BYTES (64u << 20)
#define CHANGE_NAME 24 /* bytes of a name with its NUL */

enum change_kind {
	CHANGE_PUT = 'p',    /* the record is new, or has a new body */
	CHANGE_GONE = 'd',   /* the record has ended; no body */
	CHANGE_PASSING = 'r' /* told to the standby, and kept nowhere */
};

struct change {
	char name[CHANGE_NAME]; /* the kind's letter, then the record's key in decimal */
	size_t len;
	char body[];
};

struct changes;
int changes_new(struct changes **out); /* 0 or -ENOMEM */
void changes_free(struct changes *c);  /* NULL is allowed */

/*
 * changes_add - the record @key has changed. 0; -ENOBUFS or -ENOMEM: nothing was added, and all
 * waiting changes were dropped, so the reader of the records has to read all of them again.
 */
int changes_add(struct changes *c, enum change_kind kind, uint64_t key, struct span body);
/*
 * changes_take - take the oldest waiting change; the caller frees it. NULL: none waits. A record
 * that changes again while it waits keeps its place.
 */
struct change *changes_take(struct changes *c);
/* changes_has - a change of the record waits. */
bool changes_has(const struct changes *c, uint64_t key);
void changes_drop(struct changes *c); /* all of them */
unsigned int changes_count(const struct changes *c);

/* change_key - the number that a text says in decimal. False: it says none. */
bool change_key(struct span text, uint64_t *key);
/* change_parse - kind and key of a name. False: it is none. */
bool change_parse(struct span name, enum change_kind *kind, uint64_t *key);

#endif
