/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.h - choose the pair of ports of a new leg: an even port for RTP, the next one for RTCP.
 *
 * Pairs come from pools, which all have the same numbers. IPv4 and IPv6 have a pool each, as in
 * rtpproxy (its protocol, "Ports"): number enum rtpx_family. Each further configured address has a
 * pool of its own, so its pairs come in addition. All other addresses use the pool of their family.
 * This module knows nothing of sockets: the caller's bind() finds out that another program holds a
 * port.
 */
#ifndef RTPX_PORTS_H
#define RTPX_PORTS_H

#include "base/addr.h"
#include "base/base.h"
#include "rtpx_abi.h"

struct ports_opts {
	uint16_t min, max; /* inclusive, as rounded by ports_round() */
	bool sequential;   /* ascending from the family's most recently taken pair, wrapping */
	/* a returned pair is taken again within this time only when no other pair is free */
	uint64_t quarantine_ns;
	uint64_t seed; /* seed of the random order */
	/* addresses with pools of their own, none of them twice; copied */
	const struct addr *own;
	unsigned int n_own; /* at most RTPX_MAX_POOLS - RTPX_FAMILIES */
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
 * ports_share - from now on all addresses of a family share its pool. Call before any pair is
 * taken: the dataplane cannot tell the ports of two addresses apart.
 */
void ports_share(struct ports *p);

/*
 * ports_add - from now on @own has a pool of its own, with the next number. No pair of its family's
 * pool may be taken for it. 0, -ENOSPC or -ENOMEM.
 */
int ports_add(struct ports *p, const struct addr *own);

/* ports_pool - the pool of a local address; its port does not matter. */
unsigned int ports_pool(const struct ports *p, const struct addr *local);
unsigned int ports_pools(const struct ports *p); /* number of pools */
enum rtpx_family ports_family(const struct ports *p, unsigned int pool);
/* ports_family_of - the family of a local address; it is also the number of that family's pool. */
enum rtpx_family ports_family_of(const struct addr *local);

/*
 * ports_take - the even port of the next free pair; -ENOSPC when no pair is free. When bind()
 * fails, the caller returns the pair and takes the next one, at most ports_tries() times: another
 * program may hold the whole range, and each bind() costs the event loop 20 microseconds. The next
 * caller goes on with other pairs: a pair that was returned rests.
 */
int ports_take(struct ports *p, unsigned int pool, uint64_t now_ns);

/*
 * ports_coming - the even ports that ports_take() will give next. Pairs that come back meanwhile
 * can change their order. At most @n; 0 in sequential order. Returns their number.
 */
unsigned int ports_coming(struct ports *p, unsigned int pool, uint16_t *out, unsigned int n);

/* ports_tries - the number of pairs, but at most 64. */
unsigned int ports_tries(const struct ports *p);

/*
 * ports_claim - take the pair of @port, which the journal names. 0, -EBUSY when it is taken, or
 * -EINVAL when @port is odd or out of the range.
 */
int ports_claim(struct ports *p, unsigned int pool, uint16_t port);

/*
 * ports_unclaim - undo ports_claim() because its call claims the pair at once. If that fails, the
 * caller claims it again and gives it back.
 */
void ports_unclaim(struct ports *p, unsigned int pool, uint16_t port);

/* ports_give - return the pair of @port. In random order it then rests for quarantine_ns. */
void ports_give(struct ports *p, unsigned int pool, uint16_t port, uint64_t now_ns);

/*
 * ports_last - the port that ports_take() gave out most recently of all pools of a family, in
 * sequential order.
 * ports_go_on - continue after port @last; a port out of the range changes nothing.
 */
uint16_t ports_last(const struct ports *p, enum rtpx_family family);
void ports_go_on(struct ports *p, enum rtpx_family family, uint16_t last);

unsigned int ports_pairs(const struct ports *p);		    /* of one pool */
unsigned int ports_taken(const struct ports *p, unsigned int pool); /* pairs of a pool in use */
/* ports_all_pairs, ports_in_use - the pairs of all pools of a family, and those that are taken. */
unsigned int ports_all_pairs(const struct ports *p, enum rtpx_family family);
unsigned int ports_in_use(const struct ports *p, enum rtpx_family family);
/* ports_most_in_use - the taken pairs of the pool that has most of them. */
unsigned int ports_most_in_use(const struct ports *p);

#endif
