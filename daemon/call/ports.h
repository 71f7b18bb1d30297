/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - choose the pair of ports of a new leg: an even port for RTP, the next one for RTCP.
 *
 * IPv4 and IPv6 have a table each, over the same numbers (rtpproxy protocol, "Ports"). This module
 * knows nothing of sockets: the caller's bind() finds out that another program holds a port.
 */
#ifndef RTPX_PORTS_H
#define RTPX_PORTS_H

#include "base/base.h"
#include "rtpx_abi.h"

struct ports_opts {
	uint16_t min, max;	/* inclusive, as rounded by ports_round() */
	bool sequential;	/* ascending from the most recently taken pair, wrapping */
	/* a returned pair is taken again within this time only when no other pair is free */
	uint64_t quarantine_ns;
	uint64_t seed;		/* seed of the random order */
};

struct ports;

/*
 * ports_round - round -m and -M to even/odd pairs as rtpproxy does. 0, or -EINVAL when no pair is
 * left.
 */
int ports_round(uint16_t *min, uint16_t *max);

int ports_new(struct ports **out, const struct ports_opts *opts); /* 0, -EINVAL, -ENOMEM */
void ports_free(struct ports *p);

/*
 * ports_take - the even port of the next free pair; -ENOSPC when no pair is free. When bind()
 * fails, the caller returns the pair and takes the next one, at most ports_tries() times: another
 * program may hold the whole range, and each bind() costs the event loop 20 microseconds. The next
 * caller goes on with other pairs: a pair that was returned rests.
 */
int ports_take(struct ports *p, enum rtpx_family family, uint64_t now_ns);

/* ports_tries - the number of pairs, but at most 64. */
unsigned int ports_tries(const struct ports *p);

/*
 * ports_claim - take the pair of @port, which the journal names. 0, -EBUSY when it is taken, or
 * -EINVAL when @port is odd or out of the range.
 */
int ports_claim(struct ports *p, enum rtpx_family family, uint16_t port);

/* ports_give - return the pair of @port. In random order it then rests for quarantine_ns. */
void ports_give(struct ports *p, enum rtpx_family family, uint16_t port, uint64_t now_ns);

/*
 * ports_last - the port that ports_take() gave out most recently, in sequential order.
 * ports_go_on - continue after port @last; a port out of the range changes nothing.
 */
uint16_t ports_last(const struct ports *p, enum rtpx_family family);
void ports_go_on(struct ports *p, enum rtpx_family family, uint16_t last);

unsigned int ports_pairs(const struct ports *p);			  /* of one family */
unsigned int ports_in_use(const struct ports *p, enum rtpx_family family); /* pairs taken */

#endif
