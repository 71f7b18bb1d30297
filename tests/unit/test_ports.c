/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ports.c - rounding, order, rest and exhaustion of port pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Counted from now, this allocation fails; 0: none. */
static int allocation_fails;

static void *failing_calloc(size_t n, size_t size)
{
	return allocation_fails && --allocation_fails == 0 ? NULL : calloc(n, size);
}

#define calloc failing_calloc
#include "../../daemon/call/ports.c"
#undef calloc

#define REST_NS (10 * NSEC_PER_SEC)

static struct ports *make(uint16_t min, uint16_t max, bool sequential)
{
	const struct ports_opts opts = {
		.min = min,
		.max = max,
		.sequential = sequential,
		.quarantine_ns = REST_NS,
		.seed = 1,
	};
	struct ports *p = NULL;

	assert_int_equal(ports_new(&p, &opts), 0);
	return p;
}

static void rounding(void **state)
{
	static const struct {
		uint16_t min, max, want_min, want_max; /* want_min 0: refused */
	} rows[] = {
		{ 40000, 40001, 40000, 40001 },
		{ 40001, 40006, 40002, 40005 },
		{ 40000, 40100, 40000, 40099 },
		{ 40000, 40003, 40000, 40003 },
		{ 40000, 40000, 0, 0 },
		{ 40001, 40002, 0, 0 },
		{ 1, 65535, 2, 65535 },
		{ 10, 9, 0, 0 },
		{ 9, 9, 0, 0 },
		{ 65534, 65535, 65534, 65535 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint16_t min = rows[i].min, max = rows[i].max;
		int err = ports_round(&min, &max);

		if (!rows[i].want_min)
			assert_int_equal(err, -EINVAL);
		else if (err || min != rows[i].want_min || max != rows[i].want_max)
			fail_msg("%u to %u became %u to %u", rows[i].min, rows[i].max, min, max);
	}
}

static void sequential(void **state)
{
	struct ports *p = make(40000, 40007, true);

	(void)state;
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40000);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40002);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP6, 1), 40000);
	ports_give(p, RTPX_FAMILY_IP4, 40000, 1);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40004);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40006);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40000);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), -ENOSPC);
	assert_int_equal(ports_in_use(p, RTPX_FAMILY_IP4), 4);
	assert_int_equal(ports_in_use(p, RTPX_FAMILY_IP6), 1);
	ports_free(p);
}

static void one_pair(void **state)
{
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		struct ports *p = make(40000, 40001, order);
		int i;

		for (i = 0; i < 3; i++) {
			assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40000);
			assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), -ENOSPC);
			ports_give(p, RTPX_FAMILY_IP4, 40000, 1);
		}
		ports_free(p);
	}
}

/* A further pool has all pairs, whatever the others have given out. */
static void one_pool_more(void **state)
{
	struct ports *p = make(40000, 40003, true);
	const struct addr own = { .family = ADDR_IP4, .port = 9, .ip = { 192, 0, 2, 7 } };
	unsigned int i;

	(void)state;
	assert_int_equal(ports_pool(p, &own), RTPX_FAMILY_IP4);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40000);
	assert_int_equal(ports_add(p, &own), 0);
	assert_int_equal(ports_pools(p), RTPX_FAMILIES + 1);
	assert_int_equal(ports_pool(p, &own), RTPX_FAMILIES);
	assert_int_equal(ports_family(p, RTPX_FAMILIES), RTPX_FAMILY_IP4);
	assert_int_equal(ports_all_pairs(p, RTPX_FAMILY_IP4), 4);
	assert_int_equal(ports_take(p, RTPX_FAMILIES, 1), 40002);
	assert_int_equal(ports_take(p, RTPX_FAMILIES, 1), 40000);
	assert_int_equal(ports_taken(p, RTPX_FAMILIES), 2);
	assert_int_equal(ports_taken(p, RTPX_FAMILY_IP4), 1);
	allocation_fails = 3;
	assert_int_equal(ports_add(p, &own), -ENOMEM);
	allocation_fails = 0;
	assert_int_equal(ports_pools(p), RTPX_FAMILIES + 1);
	for (i = 1; i < RTPX_MAX_POOLS - RTPX_FAMILIES; i++)
		assert_int_equal(ports_add(p, &own), 0);
	assert_int_equal(ports_add(p, &own), -ENOSPC);
	ports_free(p);
}

/* Every pair comes exactly once, not in numerical order. */
static void random_order(void **state)
{
	struct ports *p = make(35000, 64999, false);
	static bool seen[65536];
	unsigned int i, rising = 0;
	int port, last = 0;

	(void)state;
	assert_int_equal(ports_pairs(p), 15000);
	assert_int_equal(ports_tries(p), 64);
	for (i = 0; i < 15000; i++) {
		port = ports_take(p, RTPX_FAMILY_IP4, 1);
		assert_true(port >= 35000 && port < 65000 && port % 2 == 0 && !seen[port]);
		seen[port] = true;
		rising += port > last;
		last = port;
	}
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), -ENOSPC);
	assert_in_range(rising, 7000, 8000);
	ports_free(p);
}

/* ports_take() gives the pairs that ports_coming() has named, in their order. */
static void coming(void **state)
{
	struct ports *p = make(40000, 40019, false), *in_order = make(40000, 40019, true);
	uint16_t next[16], again[16];
	unsigned int i;

	(void)state;
	assert_int_equal(ports_coming(p, RTPX_FAMILY_IP4, next, 7), 7);
	assert_int_equal(ports_coming(p, RTPX_FAMILY_IP4, again, 3), 3);
	assert_memory_equal(again, next, 3 * sizeof(*next));
	for (i = 0; i < 7; i++)
		assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), next[i]);
	assert_int_equal(ports_coming(p, RTPX_FAMILY_IP4, next, 16), 3);
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, next[1]), 0);
	assert_int_equal(ports_coming(p, RTPX_FAMILY_IP4, again, 16), 2);
	assert_int_equal(again[0] + again[1], next[0] + next[2]);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), again[0]);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), again[1]);
	assert_int_equal(ports_coming(p, RTPX_FAMILY_IP4, next, 16), 0);
	assert_int_equal(ports_coming(in_order, RTPX_FAMILY_IP4, next, 16), 0);
	ports_free(in_order);
	ports_free(p);
}

/* Pairs are named, taken, claimed and given back in any order: none is lost, none comes twice. */
static void coming_among_others(void **state)
{
	struct ports *p = make(40000, 40199, false);
	bool taken[100] = { false };
	unsigned int step, n_taken = 0, i, n;
	uint64_t now = 1, z = 1;
	uint16_t next[16];
	int port;

	(void)state;
	for (step = 0; step < 100000; step++, now += NSEC_PER_SEC) {
		z = z * 6364136223846793005ull + 1442695040888963407ull;
		i = (z >> 40) % 100;
		n = ports_coming(p, RTPX_FAMILY_IP4, next, (z >> 33) % 17);
		while (n--)
			assert_false(taken[(next[n] - 40000) / 2]);
		if (taken[i]) {
			ports_give(p, RTPX_FAMILY_IP4, 40000 + 2 * i, now);
		} else if (z >> 63) {
			assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40000 + 2 * i), 0);
		} else {
			port = ports_take(p, RTPX_FAMILY_IP4, now);
			assert_in_range(port, 40000, 40198);
			i = (port - 40000) / 2;
			assert_false(taken[i]);
		}
		taken[i] = !taken[i];
		n_taken += taken[i] ? 1 : -1;
		assert_int_equal(ports_taken(p, RTPX_FAMILY_IP4), n_taken);
	}
	for (; n_taken < 100; n_taken++)
		assert_true(ports_take(p, RTPX_FAMILY_IP4, now) > 0);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, now), -ENOSPC);
	ports_free(p);
}

static void rest(void **state)
{
	struct ports *p = make(40000, 40007, false);
	int first = ports_take(p, RTPX_FAMILY_IP4, 1), i;
	uint64_t now = 1;

	(void)state;
	ports_give(p, RTPX_FAMILY_IP4, first, now);
	/* A returned pair rests as long as others are free … */
	for (i = 0; i < 3; i++)
		assert_int_not_equal(ports_take(p, RTPX_FAMILY_IP4, now), first);
	/* … and is taken when no other is free. */
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, now), first);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, now), -ENOSPC);
	/* The pairs that rested longest come first. */
	ports_give(p, RTPX_FAMILY_IP4, 40004, now);
	ports_give(p, RTPX_FAMILY_IP4, 40000, now);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, now), 40004);
	/* After the rest a pair is free like any other. */
	ports_give(p, RTPX_FAMILY_IP4, 40002, now);
	now += 2 * REST_NS;
	assert_true(ports_take(p, RTPX_FAMILY_IP4, now) > 0);
	assert_true(ports_take(p, RTPX_FAMILY_IP4, now) > 0);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, now), -ENOSPC);
	ports_free(p);
}

static void claims(void **state)
{
	int order;

	(void)state;
	for (order = 0; order < 2; order++) {
		struct ports *p = make(40000, 40007, order);
		int i;

		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40002), 0);
		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40002), -EBUSY);
		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40003), -EINVAL);
		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 39998), -EINVAL);
		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40008), -EINVAL);
		for (i = 0; i < 3; i++)
			assert_int_not_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40002);
		assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), -ENOSPC);
		ports_give(p, RTPX_FAMILY_IP4, 40006, 1);
		ports_give(p, RTPX_FAMILY_IP4, 40002, 1);
		assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40006), 0);
		assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), 40002);
		ports_free(p);
	}
}

/* A pair that its call claims anew is in no list meanwhile: it rests only when it is given back. */
static void claimed_again(void **state)
{
	struct ports *p = make(40000, 40007, false);
	const struct pool *sp = &p->pool[RTPX_FAMILY_IP4];

	(void)state;
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40000), 0);
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40002), 0);
	ports_give(p, RTPX_FAMILY_IP4, 40002, 1);
	ports_unclaim(p, RTPX_FAMILY_IP4, 40000);
	assert_int_equal(ports_taken(p, RTPX_FAMILY_IP4), 0);
	assert_int_equal(sp->n_fresh, 2);
	assert_int_equal(sp->n_resting, 1);
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40000), 0);
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40000), -EBUSY);
	assert_int_equal(sp->n_fresh, 2);
	assert_int_equal(sp->n_resting, 1);
	ports_give(p, RTPX_FAMILY_IP4, 40000, 2);
	assert_int_equal(sp->n_resting, 2);
	assert_int_equal(ports_claim(p, RTPX_FAMILY_IP4, 40002), 0);
	assert_int_equal(sp->n_resting, 1);
	assert_int_equal(sp->resting[sp->first_resting].pair, 0);
	ports_free(p);
}

/* The rest is counted in 32-bit milliseconds, which wrap after 49 days. */
static void rest_in_an_old_daemon(void **state)
{
	uint64_t wrap = (1ull << 32) * NSEC_PER_MSEC, second = NSEC_PER_SEC;
	struct ports *p = make(40000, 40003, false);
	int port = ports_take(p, RTPX_FAMILY_IP4, wrap - second);

	(void)state;
	ports_give(p, RTPX_FAMILY_IP4, port, wrap - second);
	assert_int_not_equal(ports_take(p, RTPX_FAMILY_IP4, wrap + second), port);
	assert_int_equal(p->pool[RTPX_FAMILY_IP4].n_resting, 1);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, wrap + 2 * REST_NS), port);
	ports_free(p);
}

/* The next port may be anywhere in the range. */
static void spread(void **state)
{
	struct ports *p = make(40000, 59999, false);
	int tenth[10] = { 0 }, i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		int port = ports_take(p, RTPX_FAMILY_IP4, i * 2 * REST_NS);

		tenth[(port - 40000) / 2000]++;
		ports_give(p, RTPX_FAMILY_IP4, port, i * 2 * REST_NS);
	}
	for (i = 0; i < 10; i++)
		assert_in_range(tenth[i], 50, 150);
	ports_free(p);
}

/* Many takes, gives and claims: no pair is lost, given out twice or withheld. */
static void long_life(void **state)
{
	enum { PAIRS = 20 };
	bool taken[RTPX_FAMILIES][PAIRS] = { { false } };
	unsigned int n[RTPX_FAMILIES] = { 0 };
	struct ports *p = make(40000, 40000 + 2 * PAIRS - 1, false);
	uint64_t random = 88172645463325252ull, now = 0;
	int i;

	(void)state;
	for (i = 0; i < 200000; i++) {
		unsigned int family, pair;

		random ^= random << 13, random ^= random >> 7, random ^= random << 17;
		family = random % RTPX_FAMILIES;
		pair = (random >> 8) % PAIRS;
		now += (random >> 16) % NSEC_PER_SEC;
		if (taken[family][pair]) {
			assert_int_equal(ports_claim(p, family, 40000 + 2 * pair), -EBUSY);
			ports_give(p, family, 40000 + 2 * pair, now);
			taken[family][pair] = false;
			n[family]--;
			continue;
		}
		if ((random >> 40) % 4)
			pair = (ports_take(p, family, now) - 40000) / 2;
		else
			assert_int_equal(ports_claim(p, family, 40000 + 2 * pair), 0);
		assert_in_range(pair, 0, PAIRS - 1);
		assert_false(taken[family][pair]);
		taken[family][pair] = true;
		assert_int_equal(ports_in_use(p, family), ++n[family]);
		assert_int_equal(p->pool[family].n_fresh + p->pool[family].n_resting + n[family],
				 PAIRS);
	}
	ports_free(p);
}

static struct addr host(enum addr_family family, const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, family, text, strlen(text)), 0);
	return a;
}

/* In sequential order the pools of a family continue one sequence, and each has all its pairs. */
static void sequential_pools(void **state)
{
	const struct addr own = host(ADDR_IP4, "192.0.2.2");
	const struct ports_opts opts = {
		.min = 40000, .max = 40005, .sequential = true, .own = &own, .n_own = 1
	};
	const struct {
		unsigned int pool;
		int port;
	} rows[] = {
		{ RTPX_FAMILY_IP4, 40000 },   { RTPX_FAMILIES, 40002 },
		{ RTPX_FAMILY_IP6, 40000 },   { RTPX_FAMILIES, 40004 },
		{ RTPX_FAMILY_IP4, 40002 },   { RTPX_FAMILIES, 40000 },
		{ RTPX_FAMILIES, -ENOSPC },   { RTPX_FAMILY_IP4, 40004 },
		{ RTPX_FAMILY_IP4, -ENOSPC },
	};
	struct ports *p;
	size_t i;

	(void)state;
	assert_int_equal(ports_new(&p, &opts), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(ports_take(p, rows[i].pool, 1), rows[i].port);
	assert_int_equal(ports_last(p, RTPX_FAMILY_IP4), 40004);
	ports_free(p);
}

/* Addresses with pools of their own have all ports of the range each; others share. */
static void pools(void **state)
{
	const struct addr own[] = { host(ADDR_IP4, "192.0.2.2"), host(ADDR_IP6, "2001:db8::2") };
	const struct ports_opts opts = { .min = 40000, .max = 40003, .own = own, .n_own = 2 };
	const struct {
		struct addr local;
		unsigned int pool;
		enum rtpx_family family;
	} rows[] = {
		{ host(ADDR_IP4, "192.0.2.1"), RTPX_FAMILY_IP4, RTPX_FAMILY_IP4 },
		{ host(ADDR_IP4, "192.0.2.3"), RTPX_FAMILY_IP4, RTPX_FAMILY_IP4 },
		{ host(ADDR_IP6, "2001:db8::1"), RTPX_FAMILY_IP6, RTPX_FAMILY_IP6 },
		{ addr_with_port(own[0], 40002), RTPX_FAMILIES, RTPX_FAMILY_IP4 },
		{ own[1], RTPX_FAMILIES + 1, RTPX_FAMILY_IP6 },
	};
	struct ports *p;
	unsigned int pool;
	size_t i;

	(void)state;
	assert_int_equal(ports_new(&p, &opts), 0);
	assert_int_equal(ports_pools(p), 4);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(ports_pool(p, &rows[i].local), rows[i].pool);
		assert_int_equal(ports_family(p, rows[i].pool), rows[i].family);
	}
	assert_int_equal(ports_all_pairs(p, RTPX_FAMILY_IP4), 4);
	for (pool = 0; pool < 4; pool++) {
		assert_int_equal(ports_claim(p, pool, 40002), 0);
		assert_int_equal(ports_take(p, pool, 1), 40000);
		assert_int_equal(ports_take(p, pool, 1), -ENOSPC);
	}
	assert_int_equal(ports_in_use(p, RTPX_FAMILY_IP4), 4);
	ports_give(p, RTPX_FAMILIES, 40000, 1);
	assert_int_equal(ports_in_use(p, RTPX_FAMILY_IP4), 3);
	assert_int_equal(ports_in_use(p, RTPX_FAMILY_IP6), 4);
	assert_int_equal(ports_most_in_use(p), 2);
	assert_int_equal(ports_take(p, RTPX_FAMILY_IP4, 1), -ENOSPC);
	assert_int_equal(ports_take(p, RTPX_FAMILIES, 1), 40000);
	ports_free(p);

	/* A dataplane that cannot tell addresses apart. */
	assert_int_equal(ports_new(&p, &opts), 0);
	ports_share(p);
	assert_int_equal(ports_pools(p), RTPX_FAMILIES);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(ports_pool(p, &rows[i].local), rows[i].family);
	assert_int_equal(ports_all_pairs(p, RTPX_FAMILY_IP4), 2);
	ports_free(p);
}

static void no_memory(void **state)
{
	const struct addr own = host(ADDR_IP4, "192.0.2.2");
	const struct ports_opts opts = { .min = 40000, .max = 40003, .own = &own, .n_own = 1 };
	struct ports *p = NULL;
	int i;

	(void)state;
	for (i = 1; i <= 1 + 4 * (RTPX_FAMILIES + 1); i++) {
		allocation_fails = i;
		assert_int_equal(ports_new(&p, &opts), -ENOMEM);
		assert_null(p);
	}
	allocation_fails = 0;
	ports_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounding),
		cmocka_unit_test(sequential),
		cmocka_unit_test(one_pair),
		cmocka_unit_test(one_pool_more),
		cmocka_unit_test(random_order),
		cmocka_unit_test(coming),
		cmocka_unit_test(coming_among_others),
		cmocka_unit_test(rest),
		cmocka_unit_test(claims),
		cmocka_unit_test(claimed_again),
		cmocka_unit_test(rest_in_an_old_daemon),
		cmocka_unit_test(spread),
		cmocka_unit_test(long_life),
		cmocka_unit_test(sequential_pools),
		cmocka_unit_test(pools),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
