/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.h - counts of recorded and lost packets. Several threads add to them, and several objects
 * hold them.
 */
#ifndef RTPX_TALLY_H
#define RTPX_TALLY_H

#include "base/base.h"

struct tally;

struct tally_counts {
	uint64_t packets; /* written to a file, or sent to a receiver */
	uint64_t bytes;	  /* their UDP payload */
	uint64_t lost;	  /* packets that the queue, the disk or the socket did not take */
};

/*
 * tally_new - a tally with one holder. Additions go to @parent, too, which the tally holds; NULL:
 * no parent. Returns NULL when there is no memory.
 */
struct tally *tally_new(struct tally *parent);
struct tally *tally_hold(struct tally *t);
void tally_drop(struct tally *t); /* the last drop frees it; NULL is allowed */

void tally_recorded(struct tally *t, uint64_t packets, uint64_t bytes);
void tally_lost(struct tally *t, uint64_t packets);
struct tally_counts tally_read(const struct tally *t); /* NULL: zeros */

#endif
