/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_pools.c - a hash table without collisions: it tries factors until each address has a slot of
 * its own. With 16 addresses in 256 slots that takes two tries on the average.
 */
#include "dataplane/xdp_pools.h"
#include "call/ports.h"

#define TRIES 10000

static bool try_factor(struct rtpx_pools *out, const struct addr *own, unsigned int n)
{
	unsigned int i;

	memset(out->at, 0, sizeof(out->at));
	for (i = 0; i < n; i++) {
		enum rtpx_family family = ports_family_of(&own[i]);
		uint32_t key = rtpx_pool_key(family, own[i].ip);
		struct rtpx_pool_at *at = &out->at[family][rtpx_pool_slot(out->factor, key)];

		if (at->pool)
			return false;
		*at = (struct rtpx_pool_at){ .key = key, .pool = RTPX_FAMILIES + i };
	}
	return true;
}

bool xdp_pools_make(struct rtpx_pools *out, const struct addr *own, unsigned int n)
{
	unsigned int tries;

	*out = (struct rtpx_pools){ .factor = 2654435769u };
	for (tries = 0; tries < TRIES; tries++, out->factor += 0x9e3779b2u)
		if (try_factor(out, own, n))
			return true;
	return false;
}

uint32_t xdp_pools_sum(const struct addr *own, unsigned int n)
{
	uint32_t sum = n ? 2166136261u : 0; /* FNV-1a */
	unsigned int i, b;

	for (i = 0; i < n; i++)
		for (b = 0; b < addr_ip_len(&own[i]); b++)
			sum = (sum ^ own[i].ip[b]) * 16777619u;
	return sum;
}
