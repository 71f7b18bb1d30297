/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xdp_pools.c - the table of addresses with ports of their own, read as the program reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../../daemon/dataplane/xdp_pools.c"

#define MOST (RTPX_MAX_POOLS - RTPX_FAMILIES)

/* As pool_of() of the program. */
static uint32_t look(const struct rtpx_pools *p, const struct addr *a)
{
	enum rtpx_family family = ports_family_of(a);
	uint32_t key = rtpx_pool_key(family, a->ip);
	const struct rtpx_pool_at *at = &p->at[family][rtpx_pool_slot(p->factor, key)];

	return at->pool && at->key == key ? at->pool : (uint32_t)family;
}

static struct addr some(enum addr_family family, unsigned int n)
{
	struct addr a = { .family = family, .ip = { 10, 0, 0, 0 } };
	unsigned int end = family == ADDR_IP6 ? 16 : 4;

	a.ip[end - 2] = n >> 8;
	a.ip[end - 1] = n;
	return a;
}

/* Every set of neighbouring addresses, of either family and of both. */
static void finds_each(void **state)
{
	struct addr own[MOST], other;
	struct rtpx_pools p;
	unsigned int first, i, n;

	(void)state;
	for (first = 0; first < 300; first++) {
		n = first % (MOST + 1);
		for (i = 0; i < n; i++)
			own[i] = some(first % 3 == 0 || (first % 3 == 1 && i % 2) ? ADDR_IP6
										  : ADDR_IP4,
				      first * 7 + i);
		assert_true(xdp_pools_make(&p, own, n));
		for (i = 0; i < n; i++)
			assert_int_equal(look(&p, &own[i]), RTPX_FAMILIES + i);
		for (i = 0; i < 500; i++) {
			other = some(ADDR_IP4, 40000 + i);
			assert_int_equal(look(&p, &other), RTPX_FAMILY_IP4);
			other = some(ADDR_IP6, 40000 + i);
			assert_int_equal(look(&p, &other), RTPX_FAMILY_IP6);
		}
	}
}

static void no_addresses(void **state)
{
	struct addr a = { .family = ADDR_IP4 };
	struct rtpx_pools p;

	(void)state;
	assert_true(xdp_pools_make(&p, NULL, 0));
	assert_int_equal(look(&p, &a), RTPX_FAMILY_IP4);
	a.family = ADDR_IP6;
	assert_int_equal(look(&p, &a), RTPX_FAMILY_IP6);
	assert_int_equal(xdp_pools_sum(NULL, 0), 0);
}

/* The sum tells whether the pools of two daemons are the same. */
static void sums(void **state)
{
	struct addr own[2] = { some(ADDR_IP4, 1), some(ADDR_IP4, 2) };
	const struct addr swapped[2] = { own[1], own[0] };
	const uint32_t sum = xdp_pools_sum(own, 2);

	(void)state;
	assert_int_not_equal(sum, 0);
	assert_int_not_equal(sum, xdp_pools_sum(own, 1));
	assert_int_not_equal(sum, xdp_pools_sum(swapped, 2));
	own[0].port = 5;
	assert_int_equal(sum, xdp_pools_sum(own, 2));
	own[1] = own[0]; /* one address twice: it cannot have two pools */
	{
		struct rtpx_pools p;

		assert_false(xdp_pools_make(&p, own, 2));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each),
		cmocka_unit_test(no_addresses),
		cmocka_unit_test(sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
