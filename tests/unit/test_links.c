/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_links.c - finds the device that frames leave through: over VLAN devices, stacked ones, and
 * VLAN devices with the lower device in another namespace. The links need not exist.
 * tests/netns/nexthop.sh tests the reading of the kernel's tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "../../daemon/net/links.c"

static void add_link(struct links *all, int ifindex, const char *name, int lower, int vid,
		     int protocol, bool lower_elsewhere)
{
	struct rtnl_link *l = vid ? rtnl_link_vlan_alloc() : rtnl_link_alloc();
	struct nl_addr *mac = nl_addr_build(AF_LLC, "\x02\0\0\0\0\1", 6);

	rtnl_link_set_ifindex(l, ifindex);
	rtnl_link_set_name(l, name);
	rtnl_link_set_arptype(l, ARPHRD_ETHER);
	rtnl_link_set_addr(l, mac);
	rtnl_link_set_mtu(l, 1500);
	rtnl_link_set_flags(l, IFF_UP | IFF_RUNNING);
	if (vid) {
		rtnl_link_set_link(l, lower);
		rtnl_link_vlan_set_id(l, vid);
		rtnl_link_vlan_set_protocol(l, htons(protocol));
	}
	if (lower_elsewhere)
		rtnl_link_set_link_netnsid(l, 0);
	iface_add((struct nl_object *)l, all);
	nl_addr_put(mac);
	rtnl_link_put(l);
}

/* In the list, a VLAN device may come before or after its lower device. */
static void vlans(void **state)
{
	static const struct {
		int ifindex, lower, vid, protocol;
		bool elsewhere, usable;
		unsigned int tx;
		uint16_t push;
	} rows[] = {
		{ 5, 9, 100, 0x8100, false, true, 9, 100 },
		{ 9, 0, 0, 0, false, true, 9, 0 },
		{ 10, 9, 4094, 0x8100, false, true, 9, 4094 },
		{ 11, 10, 7, 0x8100, false, false, 10, 7 },
		{ 12, 9, 8, 0x88a8, false, false, 9, 8 },
		{ 13, 77, 9, 0x8100, true, true, 13, 0 },
		{ 14, 78, 9, 0x8100, false, false, 78, 9 },
	};
	struct links all = { 0 };
	const struct iface *i;
	char name[IFNAMSIZ];
	size_t k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		snprintf(name, sizeof(name), "dev%zu", k);
		add_link(&all, rows[k].ifindex, name, rows[k].lower, rows[k].vid, rows[k].protocol,
			 rows[k].elsewhere);
	}
	ifaces_stack(&all);
	for (k = 0; k < ARRAY_SIZE(rows); k++) {
		i = links_find(&all, rows[k].ifindex);
		assert_non_null(i);
		assert_int_equal(i->is.usable, rows[k].usable);
		assert_int_equal(i->is.tx, rows[k].tx);
		assert_int_equal(i->is.vlan, rows[k].push);
		assert_true(i->is.up);
	}
	links_clear(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(vlans) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
