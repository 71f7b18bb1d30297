/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.h - counts of recorded and lost packets, which threads add to and several hold on to.
 */
#ifndef RTPX_TALLY_H
#define RTPX_TALLY_H

#include "base/base.h"

struct tally;

struct tally_counts {
	uint64_t packets; /* written to a file, or sent to a receiver */
	uint64_t bytes;	  /* their UDP payload */
	uint64_t lost;	  /* were to be, but the queue, the disk or the socket did not take them */
};

/*
 * tally_new - with one holder. What is added to it is added to @parent too, which it holds;
 * NULL: none. NULL when there is no memory.
 */
struct tally *tally_new(struct tally *parent);
struct tally *tally_hold(struct tally *t);
void tally_drop(struct tally *t); /* the last holder's frees it; NULL is nobody's */

void tally_recorded(struct tally *t, uint64_t packets, uint64_t bytes);
void tally_lost(struct tally *t, uint64_t packets);
struct tally_counts tally_read(const struct tally *t); /* NULL: zeros */

#endif
