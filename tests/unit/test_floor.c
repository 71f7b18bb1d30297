/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_floor.c - the choice between shared sockets and a socket for each port, on a host whose rules
 * look at ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "own_net.h"

#include "../../daemon/host/floor.c"

static struct floor *floor_;
static char err[512];

static int choose(enum floor_choice choice)
{
	const struct switchboard_opts opts = {
		.port_min = 4000,
		.port_max = 4999,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
	};

	floor_ = NULL;
	return floor_open(&floor_, choice, &opts, err, sizeof(err));
}

static void done(void)
{
	floor_free(floor_);
}

static void test_plain_host(void **state)
{
	(void)state;
	assert_int_equal(choose(FLOOR_EACH), 0);
	assert_null(floor_board(floor_));
	assert_string_equal(floor_text(floor_), "a socket for each port: --port-sockets each");
	done();
	assert_int_equal(choose(FLOOR_SHARED), 0);
	assert_non_null(floor_board(floor_));
	assert_string_equal(floor_text(floor_), "shared sockets for all ports");
	done();
	assert_int_equal(choose(FLOOR_AUTO), 0);
	assert_non_null(floor_board(floor_));
	done();
}

/* The host's rules look at ports after @add and not after @del. */
static void refused(const char *add, const char *del, const char *why)
{
	assert_int_equal(system(add), 0);
	assert_true(choose(FLOOR_SHARED) < 0);
	assert_non_null(strstr(err, why));
	assert_int_equal(choose(FLOOR_AUTO), 0);
	assert_null(floor_board(floor_));
	assert_non_null(strstr(floor_text(floor_), why));
	done();
	assert_int_equal(system(del), 0);
	assert_int_equal(choose(FLOOR_SHARED), 0);
	done();
}

static void test_rule(void **state)
{
	(void)state;
	refused("ip rule add ipproto udp sport 4000-4999 table 100",
		"ip rule del ipproto udp sport 4000-4999 table 100", "a routing rule");
}

static void test_multipath(void **state)
{
	(void)state;
	refused("sysctl -qw net.ipv4.fib_multipath_hash_policy=1",
		"sysctl -qw net.ipv4.fib_multipath_hash_policy=0", "fib_multipath_hash_policy");
}

static void test_policy(void **state)
{
	(void)state;
	refused("ip xfrm policy add dir out proto udp dport 6000 action block",
		"ip xfrm policy del dir out proto udp dport 6000", "an IPsec policy");
}

/* A policy for a host concerns raw sockets as well. */
static void test_policy_of_host(void **state)
{
	(void)state;
	assert_int_equal(system("ip xfrm policy add dir out dst 192.0.2.9 action block"), 0);
	assert_int_equal(choose(FLOOR_SHARED), 0);
	done();
	assert_int_equal(system("ip xfrm policy del dir out dst 192.0.2.9"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_host),     cmocka_unit_test(test_rule),
		cmocka_unit_test(test_multipath),      cmocka_unit_test(test_policy),
		cmocka_unit_test(test_policy_of_host),
	};

	if (!own_net()) {
		printf("needs root for a network namespace of its own\n");
		return 4;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
