/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - which pair of port numbers a new leg gets: even for RTP, the next one for RTCP.
 *
 * One table for IPv4 and one for IPv6, over the same numbers (rtpproxy protocol, "Ports"). Knows
 * nothing of sockets: a number that another program holds is found out by the caller's bind().
 */
#ifndef RTPX_PORTS_H
#define RTPX_PORTS_H

#include "base/base.h"
#include "rtpx_abi.h"

struct ports_opts {
	uint16_t min, max;	/* inclusive, as rounded by ports_round() */
	bool sequential;	/* ascending, from after the last one used, wrapping */
	/* a pair given back is taken again within this time only when no other is free */
	uint64_t quarantine_ns;
	uint64_t seed;		/* of the random order */
};

struct ports;

/*
 * ports_round - rtpproxy's rounding of -m and -M to even/odd pairs; 0 or -EINVAL when none is left.
 */
int ports_round(uint16_t *min, uint16_t *max);

int ports_new(struct ports **out, const struct ports_opts *opts); /* 0, -EINVAL, -ENOMEM */
void ports_free(struct ports *p);

/*
 * ports_take - the next free pair's even port; -ENOSPC when there is none. A caller whose bind()
 * fails gives it back and takes the next, at most ports_tries() times: another program may hold the
 * whole range, and each bind() costs the event loop 20 microseconds.
 */
int ports_take(struct ports *p, enum rtpx_family family, uint64_t now_ns);

/* ports_tries - all pairs, or 1,024 of them when there are more. */
unsigned int ports_tries(const struct ports *p);

/* ports_claim - take this very pair (a journal names it); 0 or -EBUSY, -EINVAL. */
int ports_claim(struct ports *p, enum rtpx_family family, uint16_t port);

/* ports_give - @port is free again, and the last of all to be taken. */
void ports_give(struct ports *p, enum rtpx_family family, uint16_t port, uint64_t now_ns);

/*
 * ports_last - the port that ports_take() gave out last, in sequential order.
 * ports_go_on - it has been this one; out of the range: no matter.
 */
uint16_t ports_last(const struct ports *p, enum rtpx_family family);
void ports_go_on(struct ports *p, enum rtpx_family family, uint16_t last);

unsigned int ports_pairs(const struct ports *p);			  /* of one family */
unsigned int ports_in_use(const struct ports *p, enum rtpx_family family); /* pairs taken */

#endif
