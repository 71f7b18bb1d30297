/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.h - the link addresses of neighbours in use. They stay resolved although the stack does not
 * see the traffic that would confirm them.
 *
 * This module does not listen; its owner hands over the notices and the time.
 */
#ifndef RTPX_NEIGH_H
#define RTPX_NEIGH_H

#include "base/addr.h"
#include "base/base.h"
#include "base/hash.h"
#include "net/netlink.h"

struct nexthop;

struct neigh_key {
	uint32_t ifindex;
	struct addr host; /* as netlink_key() makes it */
};

struct neigh {
	struct neigh_key key;
	uint32_t number; /* not 0; no other neighbour has it */
	uint8_t mac[6];
	bool usable;
	bool fixed;   /* permanent, or kept by another program: only read it */
	bool managed; /* the kernel probes it for us */
	uint64_t probed_ns;
	struct nexthop *users; /* the owner's list */
	UT_hash_handle hh;
};

struct neighs {
	struct netlink *nl;
	struct neigh *hash;
	uint32_t last_number;
	uint64_t probes; /* requests to probe a neighbour */
	bool refused;	 /* the log already says that neighbours cannot be kept */
};

/* neigh_get - the neighbour, from now on kept resolved; NULL: out of memory. */
struct neigh *neigh_get(struct neighs *all, const struct neigh_key *key);
/* neigh_drop - the last user is gone: make the kernel's entry an ordinary one and free @nb. */
void neigh_drop(struct neighs *all, struct neigh *nb);

/*
 * neigh_refresh - ask the kernel, and have it keep the entry unless another program does. True when
 * the answer changed.
 */
bool neigh_refresh(struct neighs *all, struct neigh *nb);
/* neigh_due - a refresh is due at @now_ns; never for an entry that is fixed or managed. */
bool neigh_due(const struct neigh *nb, uint64_t now_ns);
/*
 * neigh_notice - take an RTM_NEWNEIGH or RTM_DELNEIGH. Returns the neighbour that it changed, or
 * NULL.
 */
struct neigh *neigh_notice(struct neighs *all, struct nlmsghdr *h);

/* neighs_release_leftovers - make ordinary entries of those that a killed daemon left managed. */
void neighs_release_leftovers(struct neighs *all);

#endif
