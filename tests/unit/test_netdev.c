/* SPDX-License-Identifier: BSD-2-Clause */
/* runs: together quick */
/*
 * test_netdev.c - XDP abilities of interfaces in a namespace of this test, and the notice of their
 * change: a veth can be redirected to while its far end runs NAPI. A kernel before 6.3 has neither.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>

#include "../../daemon/net/netdev.c"

#define PATIENCE_MS 20000

/* False: the kernel has no such family, or this process no right to make a namespace. */
static bool can_ask(void)
{
	uint64_t features;

	if (unshare(CLONE_NEWNET) ||
	    system("ip link add near type veth peer name far && ip link set near up && "
		   "ip link set far up"))
		return false;
	return netdev_xdp_features(if_nametoindex("near"), &features) != -EOPNOTSUPP;
}

static bool can_send_to(const char *name)
{
	uint64_t features = 0;

	assert_int_equal(netdev_xdp_features(if_nametoindex(name), &features), 0);
	return features & NETDEV_XDP_XMIT;
}

static void abilities_and_their_change(void **state)
{
	struct pollfd p = { .events = POLLIN };
	char drop[4096];

	(void)state;
	if (!can_ask())
		skip();
	assert_false(can_send_to("near"));
	assert_int_equal(netdev_notices(&p.fd), 0);
	assert_int_equal(system("ethtool -K far gro on"), 0);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(recv(p.fd, drop, sizeof(drop), 0) > 0);
	assert_true(can_send_to("near"));
	while (recv(p.fd, drop, sizeof(drop), 0) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	close(p.fd);
}

static void refusals(void **state)
{
	uint64_t features = 7;

	(void)state;
	if (!can_ask())
		skip();
	assert_int_equal(netdev_xdp_features(999999, &features), -ENODEV);
	assert_int_equal(features, 7);
}

/* Without the family no question reaches the kernel. */
static void old_kernel(void **state)
{
	uint64_t features;
	int fd;

	(void)state;
	lacks_family = true;
	assert_int_equal(netdev_xdp_features(1, &features), -EOPNOTSUPP);
	assert_int_equal(netdev_notices(&fd), -EOPNOTSUPP);
	lacks_family = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abilities_and_their_change),
		cmocka_unit_test(refusals),
		cmocka_unit_test(old_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
