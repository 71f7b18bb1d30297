/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.h - counts of recorded and lost packets. Several threads add to them, and several objects
 * hold them.
 */
#ifndef RTPX_TALLY_H
#define RTPX_TALLY_H

#include "base/base.h"

struct tally;

/* name in JSON: the reasons why a packet is not recorded, in their only table */
#define TALLY_LOSSES(X)                                                  \
	X(KERNEL, "kernel") /* no room for the kernel's copy */          \
	X(QUEUE, "queue")   /* the writer's queue was full */            \
	X(DISK, "disk")	    /* the disk refused the record */            \
	X(MEMORY, "memory")                                              \
	X(NETWORK, "network") /* the socket of a copy did not take it */ \
	X(EARLIER, "earlier") /* counted by the previous daemon */

enum tally_loss {
#define TALLY_ENUM(id, name) TALLY_##id,
	TALLY_LOSSES(TALLY_ENUM)
#undef TALLY_ENUM
		TALLY_LOSS_COUNT,
};

struct tally_counts {
	uint64_t packets; /* written to a file, or sent to a receiver */
	uint64_t bytes;	  /* their UDP payload */
	uint64_t lost;	  /* by all reasons */
	uint64_t lost_by[TALLY_LOSS_COUNT];
};

const char *tally_loss_name(enum tally_loss why);

/*
 * tally_new - a tally with one holder. Additions go to @parent, too, which the tally holds; NULL:
 * no parent. Returns NULL when there is no memory.
 */
struct tally *tally_new(struct tally *parent);
struct tally *tally_hold(struct tally *t);
void tally_drop(struct tally *t); /* the last drop frees it; NULL is allowed */

void tally_recorded(struct tally *t, uint64_t packets, uint64_t bytes);
void tally_lost(struct tally *t, enum tally_loss why, uint64_t packets);
struct tally_counts tally_read(const struct tally *t); /* NULL: zeros */

#endif
