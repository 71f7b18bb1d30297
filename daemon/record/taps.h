/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * taps.h - hands the packets of chosen directions to their readers: captures, and reports of RTCP.
 * A tapped direction stays in the kernel, which copies its packets as for a recording.
 */
#ifndef RTPX_TAPS_H
#define RTPX_TAPS_H

#include "base/base.h"
#include "call/direction.h"
#include "record/format.h"

/* A reader. The caller owns it, and fills in all but the list. */
struct tap {
	/* True: @packet gets the packets of the direction. */
	bool (*wants)(void *arg, struct direction d);
	/*
	 * @arrival_ns: CLOCK_MONOTONIC; @p->realtime_ns is not set. @accepted: the stream believes
	 * the packet's source
	 */
	void (*packet)(void *arg, struct direction d, uint64_t arrival_ns,
		       const struct format_packet *p, bool accepted);
	/* lost - @packets for this reader were forwarded without copies: there was no room. */
	void (*lost)(void *arg, const struct session *s, uint64_t packets);
	void *arg;
	struct tap *prev, *next;
};

struct taps {
	struct sessions *sessions;
	struct tap *list;
};

/* taps_add, taps_remove - from now on; ask the tap about every session. */
void taps_add(struct taps *t, struct tap *tap);
void taps_remove(struct taps *t, struct tap *tap);

/* taps_review - a command has changed @s: ask each tap again. taps_review_all: about every one. */
void taps_review(struct taps *t, struct session *s);
void taps_review_all(struct taps *t);

/*
 * taps_packet - a packet of @s has arrived. Strangers that a dataplane drops are not seen. Called
 * once per packet, if the kind has its bit in leg->tapped: by relay for socket packets, by
 * mirror for forwarded ones.
 */
void taps_packet(const struct taps *t, struct direction d, uint64_t arrival_ns,
		 const struct format_packet *p, bool accepted);
/* taps_lost - @packets of the direction were forwarded without a copy. */
void taps_lost(const struct taps *t, struct direction d, uint64_t packets);

#endif
