/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * records.h - what is kept of a daemon beside its sessions (snapshot.h): itself, its waiting
 * notifications and its latest replies, as bytes. Pure. The rules of fields.h hold.
 *
 * A record has a key. Its upper half is the kind of the record, its lower half the record's number
 * in that kind.
 */
#ifndef RTPX_RECORDS_H
#define RTPX_RECORDS_H

#include "base/base.h"
#include "rtpx_abi.h"

#define RECORD_KEY_BITS 32
enum record_kind { RECORD_SESSION, RECORD_MESSAGE, RECORD_REPLY, RECORD_GROUP, RECORD_KINDS };
#define RECORD_META 0 /* the key of struct meta: no session has this number */

static inline uint64_t record_key(enum record_kind kind, uint32_t number)
{
	return (uint64_t)kind << RECORD_KEY_BITS | number;
}

/* span_not_null - an empty span with a pointer, for absent text. */
static inline struct span span_not_null(struct span s)
{
	return s.p ? s : (struct span){ "", 0 };
}

/* The record of the daemon itself. */
struct meta {
	uint32_t instance;
	bool clean;	   /* written by keeper_leave(): deadlines and counters are exact */
	uint64_t alive_ns; /* time of writing */
	struct span boot_id, version, counters;
	uint16_t last_port[RTPX_FAMILIES]; /* most recently given out in sequential order */
	/* as in stats.h; absent from journals of earlier versions */
	bool has_live;
	uint64_t live_relayed, live_strangers;
	uint64_t epoch;	   /* of the address group, see replicate/group.h; 0: none */
	uint32_t ended_to; /* the sessions up to this number have ended; 0: none */
};

/* A notification that waits. */
struct waiting {
	struct span target, call_id, from_tag, to_tag, tag;
	uint64_t queued_ns;
};

/* A sent reply, from the cache of cookies.h. */
struct replied {
	struct span key, reply;
	uint64_t stored_ns;
};

/* An address group of several, of the journal only; the record's number is the group's. */
struct group_epoch {
	struct span name;
	uint64_t epoch; /* as in struct meta */
};

/* …_write - write at most @size bytes to @out. Returns their number, or -E2BIG. */
int meta_write(const struct meta *m, uint8_t *out, size_t size);
int waiting_write(const struct waiting *w, uint8_t *out, size_t size);
int replied_write(const struct replied *r, uint8_t *out, size_t size);
int group_epoch_write(const struct group_epoch *g, uint8_t *out, size_t size);

/* …_read - 0 with *@out, whose spans point into @bytes; or -EBADMSG. */
int meta_read(struct meta *out, struct span bytes);
int waiting_read(struct waiting *out, struct span bytes);
int replied_read(struct replied *out, struct span bytes);
int group_epoch_read(struct group_epoch *out, struct span bytes);

#endif
