/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ports.c - pairs of port numbers, counted from the start of the range. Opens no sockets.
 */
#include <errno.h>
#include <stdlib.h>

#include "call/ports.h"

#define MAX_TRIES 64

/* A pair that was given back, and when. */
struct resting {
	uint32_t since_ms;
	uint16_t pair;
};

enum pair_state {
	PAIR_FREE,    /* and one of pool.fresh, unless the order is sequential */
	PAIR_RESTING, /* one of pool.resting */
	PAIR_TAKEN,
	PAIR_UNCLAIMED, /* free, but in no list: ports_claim() follows ports_unclaim() at once */
};

struct pool {
	uint8_t *state; /* by pair: an enum pair_state */
	/* free pairs in any order; the last @n_drawn are drawn, and are taken from the end */
	uint16_t *fresh;
	uint16_t *place; /* by pair that is in fresh: its index */
	/* free pairs in the order of their return: a ring of n_pairs places */
	struct resting *resting;
	unsigned int n_fresh, n_drawn, n_resting, first_resting, n_taken;
	/* of a family, sequential order: the pair taken most recently of all its pools */
	unsigned int last;
};

struct ports {
	struct ports_opts o;
	unsigned int n_pairs;
	uint64_t random;
	/* by number: those of the families, then those of addresses */
	struct pool pool[RTPX_MAX_POOLS];
	struct addr own[RTPX_MAX_POOLS - RTPX_FAMILIES];
	unsigned int n_pools;
};

int ports_round(uint16_t *min, uint16_t *max)
{
	unsigned int lo = *min + (*min & 1), hi = *max & 1 ? *max - 1 : *max - 2;

	if (*max < 2 || lo > hi || lo == 0)
		return -EINVAL;
	*min = lo;
	*max = hi + 1;
	return 0;
}

/*
 * splitmix64 spreads well and is small enough to read. It is no cipher: a caller with very many
 * calls can compute the next ports from those that his calls got.
 */
static uint64_t draw(struct ports *p)
{
	uint64_t z = p->random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void fresh_put(struct pool *sp, unsigned int i, uint16_t pair)
{
	sp->fresh[i] = pair;
	sp->place[pair] = i;
}

static void fresh_swap(struct pool *sp, unsigned int i, unsigned int j)
{
	uint16_t pair = sp->fresh[i];

	fresh_put(sp, i, sp->fresh[j]);
	fresh_put(sp, j, pair);
}

/* Free pairs that are not drawn. They come first in pool.fresh. */
static unsigned int undrawn(const struct pool *sp)
{
	return sp->n_fresh - sp->n_drawn;
}

static void fresh_add(struct pool *sp, uint16_t pair)
{
	sp->state[pair] = PAIR_FREE;
	fresh_put(sp, sp->n_fresh, pair);
	fresh_swap(sp, undrawn(sp), sp->n_fresh);
	sp->n_fresh++;
}

static void fresh_remove(struct pool *sp, unsigned int i)
{
	if (i < undrawn(sp)) {
		fresh_swap(sp, i, undrawn(sp) - 1);
		i = undrawn(sp) - 1;
	} else {
		sp->n_drawn--;
	}
	fresh_swap(sp, i, --sp->n_fresh);
}

/* Draw one more pair. There is one. */
static void fresh_draw(struct ports *p, struct pool *sp)
{
	unsigned int n = undrawn(sp);

	fresh_swap(sp, draw(p) % n, n - 1);
	sp->n_drawn++;
}

static int pool_fill(struct ports *p, struct pool *sp)
{
	unsigned int i;

	sp->state = calloc(p->n_pairs, sizeof(*sp->state));
	sp->fresh = calloc(p->n_pairs, sizeof(*sp->fresh));
	sp->place = calloc(p->n_pairs, sizeof(*sp->place));
	sp->resting = calloc(p->n_pairs, sizeof(*sp->resting));
	if (!sp->state || !sp->fresh || !sp->place || !sp->resting)
		return -ENOMEM;
	for (i = 0; i < p->n_pairs; i++)
		fresh_add(sp, i);
	sp->last = p->n_pairs - 1;
	return 0;
}

int ports_new(struct ports **out, const struct ports_opts *opts)
{
	struct ports *p;
	unsigned int s;

	if (opts->min > opts->max || (opts->min & 1) || !(opts->max & 1) ||
	    opts->n_own > ARRAY_SIZE(p->own))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->o = *opts;
	p->random = opts->seed;
	p->n_pairs = (opts->max - opts->min + 1) / 2;
	p->n_pools = RTPX_FAMILIES + opts->n_own;
	for (s = 0; s < opts->n_own; s++)
		p->own[s] = addr_with_port(opts->own[s], 0);
	for (s = 0; s < p->n_pools; s++) {
		if (pool_fill(p, &p->pool[s])) {
			ports_free(p);
			return -ENOMEM;
		}
	}
	*out = p;
	return 0;
}

static void pool_free(struct pool *sp)
{
	free(sp->state);
	free(sp->fresh);
	free(sp->place);
	free(sp->resting);
}

void ports_share(struct ports *p)
{
	while (p->n_pools > RTPX_FAMILIES)
		pool_free(&p->pool[--p->n_pools]);
}

int ports_add(struct ports *p, const struct addr *own)
{
	struct pool *sp = &p->pool[p->n_pools];

	if (p->n_pools == RTPX_MAX_POOLS)
		return -ENOSPC;
	if (pool_fill(p, sp)) {
		pool_free(sp);
		*sp = (struct pool){ 0 };
		return -ENOMEM;
	}
	p->own[p->n_pools++ - RTPX_FAMILIES] = addr_with_port(*own, 0);
	return 0;
}

enum rtpx_family ports_family_of(const struct addr *local)
{
	return local->family == ADDR_IP6 ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4;
}

unsigned int ports_pool(const struct ports *p, const struct addr *local)
{
	unsigned int i;

	for (i = RTPX_FAMILIES; i < p->n_pools; i++)
		if (addr_host_eq(&p->own[i - RTPX_FAMILIES], local))
			return i;
	return ports_family_of(local);
}

enum rtpx_family ports_family(const struct ports *p, unsigned int pool)
{
	return pool < RTPX_FAMILIES ? pool : ports_family_of(&p->own[pool - RTPX_FAMILIES]);
}

unsigned int ports_pools(const struct ports *p)
{
	return p->n_pools;
}

void ports_free(struct ports *p)
{
	unsigned int s;

	if (!p)
		return;
	for (s = 0; s < p->n_pools; s++)
		pool_free(&p->pool[s]);
	free(p);
}

static uint16_t pop_resting(struct ports *p, struct pool *sp)
{
	uint16_t pair = sp->resting[sp->first_resting].pair;

	sp->first_resting = (sp->first_resting + 1) % p->n_pairs;
	sp->n_resting--;
	return pair;
}

/* Return rested pairs to the draw. When no pair is fresh, take the one that has rested longest. */
static int take_random(struct ports *p, struct pool *sp, uint32_t now_ms)
{
	while (sp->n_resting && now_ms - sp->resting[sp->first_resting].since_ms >=
					p->o.quarantine_ns / NSEC_PER_MSEC)
		fresh_add(sp, pop_resting(p, sp));
	if (!sp->n_fresh)
		return sp->n_resting ? pop_resting(p, sp) : -ENOSPC;
	if (!sp->n_drawn)
		fresh_draw(p, sp);
	sp->n_drawn--;
	return sp->fresh[--sp->n_fresh];
}

unsigned int ports_coming(struct ports *p, unsigned int pool, uint16_t *out, unsigned int n)
{
	struct pool *sp = &p->pool[pool];
	unsigned int i;

	if (p->o.sequential)
		return 0;
	n = MIN(n, sp->n_fresh);
	while (sp->n_drawn < n)
		fresh_draw(p, sp);
	for (i = 0; i < n; i++)
		out[i] = p->o.min + 2 * sp->fresh[sp->n_fresh - 1 - i];
	return n;
}

/* All pools of a family continue one sequence, as in rtpproxy. */
static int take_next(struct ports *p, unsigned int pool)
{
	struct pool *sp = &p->pool[pool], *family = &p->pool[ports_family(p, pool)];
	unsigned int i, pair;

	for (i = 1; i <= p->n_pairs; i++) {
		pair = (family->last + i) % p->n_pairs;
		if (sp->state[pair] != PAIR_TAKEN) {
			family->last = pair;
			return pair;
		}
	}
	return -ENOSPC;
}

int ports_take(struct ports *p, unsigned int pool, uint64_t now_ns)
{
	struct pool *sp = &p->pool[pool];
	int pair =
		p->o.sequential ? take_next(p, pool) : take_random(p, sp, now_ns / NSEC_PER_MSEC);

	if (pair < 0)
		return pair;
	sp->state[pair] = PAIR_TAKEN;
	sp->n_taken++;
	return p->o.min + 2 * pair;
}

/* Remove a pair from the resting ones, which takes long with thousands of them. */
static void resting_remove(struct ports *p, struct pool *sp, uint16_t pair)
{
	unsigned int i, n = sp->n_resting;

	for (i = 0; i < n; i++) {
		struct resting r = sp->resting[sp->first_resting];

		pop_resting(p, sp);
		if (r.pair != pair)
			sp->resting[(sp->first_resting + sp->n_resting++) % p->n_pairs] = r;
	}
}

int ports_claim(struct ports *p, unsigned int pool, uint16_t port)
{
	struct pool *sp = &p->pool[pool];
	unsigned int pair = (port - p->o.min) / 2u;

	if (port < p->o.min || port > p->o.max || (port & 1))
		return -EINVAL;
	if (sp->state[pair] == PAIR_TAKEN)
		return -EBUSY;
	if (sp->state[pair] == PAIR_RESTING)
		resting_remove(p, sp, pair);
	else if (sp->state[pair] == PAIR_FREE && !p->o.sequential)
		fresh_remove(sp, sp->place[pair]);
	sp->state[pair] = PAIR_TAKEN;
	sp->n_taken++;
	return 0;
}

void ports_unclaim(struct ports *p, unsigned int pool, uint16_t port)
{
	struct pool *sp = &p->pool[pool];

	sp->state[(port - p->o.min) / 2u] = PAIR_UNCLAIMED;
	sp->n_taken--;
}

void ports_give(struct ports *p, unsigned int pool, uint16_t port, uint64_t now_ns)
{
	struct pool *sp = &p->pool[pool];
	unsigned int pair = (port - p->o.min) / 2u;
	struct resting r = { .since_ms = now_ns / NSEC_PER_MSEC, .pair = pair };

	sp->state[pair] = p->o.sequential ? PAIR_FREE : PAIR_RESTING;
	sp->n_taken--;
	if (!p->o.sequential)
		sp->resting[(sp->first_resting + sp->n_resting++) % p->n_pairs] = r;
}

uint16_t ports_last(const struct ports *p, enum rtpx_family family)
{
	return p->o.min + 2 * p->pool[family].last;
}

void ports_go_on(struct ports *p, enum rtpx_family family, uint16_t last)
{
	if (last >= p->o.min && last <= p->o.max)
		p->pool[family].last = (last - p->o.min) / 2u;
}

unsigned int ports_tries(const struct ports *p)
{
	return MIN(p->n_pairs, MAX_TRIES);
}

unsigned int ports_pairs(const struct ports *p)
{
	return p->n_pairs;
}

unsigned int ports_taken(const struct ports *p, unsigned int pool)
{
	return p->pool[pool].n_taken;
}

unsigned int ports_all_pairs(const struct ports *p, enum rtpx_family family)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->n_pools; i++)
		n += ports_family(p, i) == family ? p->n_pairs : 0;
	return n;
}

unsigned int ports_in_use(const struct ports *p, enum rtpx_family family)
{
	unsigned int i, n = 0;

	for (i = 0; i < p->n_pools; i++)
		n += ports_family(p, i) == family ? p->pool[i].n_taken : 0;
	return n;
}

unsigned int ports_most_in_use(const struct ports *p)
{
	unsigned int i, most = 0;

	for (i = 0; i < p->n_pools; i++)
		most = MAX(most, p->pool[i].n_taken);
	return most;
}
