/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_nexthop.c - ids and their use counts, prefixes, and VLAN devices, which need not exist. In a
 * network namespace of its own, thousands of destinations: no change is missed when notices are
 * lost, and no slice of the work holds up the event loop. tests/netns/nexthop.sh tests each kind of
 * change.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "../../daemon/host/nexthop.c"

#define MANY 50000
/*
 * The aim is 5 ms. A shared machine takes twice that, with the sanitizers four times as much again;
 * a sweep over all next hops in one turn takes hundreds.
 */
#define LONGEST (40 * NSEC_PER_MSEC)

static struct {
	unsigned int changes, usable;
	bool unserved;
} seen;

static void on_changed(void *arg, uint16_t id, const struct nexthop_view *now)
{
	(void)arg, (void)id;
	seen.changes++;
	seen.usable += now->why == FLOW_NO_OBJECTION;
}

static bool on_served(void *arg, unsigned int ifindex)
{
	(void)arg, (void)ifindex;
	return !seen.unserved;
}

static struct nexthops *make(struct event_base *base, unsigned int max)
{
	struct nexthops_opts o = { .changed = on_changed, .served = on_served, .max = max };
	struct nexthops *n;

	memset(&seen, 0, sizeof(seen));
	assert_int_equal(nexthops_new(&n, base, &o), 0);
	return n;
}

static struct addr ip4(const char *text, unsigned int add)
{
	struct addr a = { .family = ADDR_IP4 };
	uint32_t ip;

	assert_int_equal(inet_pton(AF_INET, text, &ip), 1);
	ip = htonl(ntohl(ip) + add);
	memcpy(a.ip, &ip, 4);
	return a;
}

static int take(struct nexthops *n, struct addr dest, struct addr source, uint16_t *id,
		struct nexthop_view *v)
{
	const struct nexthop_want want = { .dest = dest, .source = source };

	return nexthop_take(n, &want, id, v);
}

static void prefixes(void **state)
{
	static const struct {
		const char *net;
		uint8_t bits;
		const char *host;
		bool covers;
	} rows[] = {
		{ "0.0.0.0", 0, "192.0.2.1", true },
		{ "10.0.0.0", 8, "10.255.0.1", true },
		{ "10.0.0.0", 8, "11.0.0.1", false },
		{ "10.1.128.0", 17, "10.1.128.0", true },
		{ "10.1.128.0", 17, "10.1.255.255", true },
		{ "10.1.128.0", 17, "10.1.127.255", false },
		{ "10.1.2.3", 32, "10.1.2.3", true },
		{ "10.1.2.3", 32, "10.1.2.2", false },
		{ "10.1.2.252", 30, "10.1.2.255", true },
		{ "10.1.2.252", 30, "10.1.2.251", false },
	};
	struct addr net, host, six = { .family = ADDR_IP6 };
	struct netlink_prefix p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		net = ip4(rows[i].net, 0);
		host = ip4(rows[i].host, 0);
		p = (struct netlink_prefix){ .family = ADDR_IP4, .bits = rows[i].bits };
		memcpy(p.ip, net.ip, 4);
		assert_int_equal(netlink_covers(&p, &host), rows[i].covers);
		assert_false(netlink_covers(&p, &six));
	}
}

/*
 * The answer has the tag with its priority, the lower device, and the neighbour of the VLAN device.
 */
static void vlan_answer(void **state)
{
	struct iface vlan = { .is = { .ifindex = 5,
				      .tx = 9,
				      .vlan = 100,
				      .mtu = 1500,
				      .name = "lan.100",
				      .pcp = { [0] = 1, [4] = 5 },
				      .mac = { 2, 0, 0, 0, 0, 5 } } };
	struct neigh nb = { .usable = true, .mac = { 2, 0, 0, 0, 0, 9 } };
	struct nexthop nh = { .route = { .oif = 5, .mtu = 1400 },
			      .route_why = FLOW_NO_OBJECTION,
			      .neigh = &nb };
	struct event_base *base = event_base_new();
	const struct host_opts host = { .changed = on_host };
	struct nexthops n = { 0 };
	struct nexthop_view v;

	(void)state;
	assert_int_equal(host_new(&n.host, base, &host), 0);
	HASH_ADD(hh, n.links.ifaces, is.ifindex, sizeof(vlan.is.ifindex), &vlan);
	nexthop_answer(&n, &nh, &v);
	assert_int_equal(v.why, FLOW_NO_OBJECTION);
	assert_int_equal(v.abi.vlan, 1 << 13 | 100);
	assert_int_equal(v.abi.ifindex, 9);
	assert_int_equal(v.abi.ifindex, 9);
	assert_int_equal(v.abi.mtu, 1400);
	assert_memory_equal(v.abi.dst_mac, nb.mac, 6);
	assert_memory_equal(v.abi.src_mac, vlan.is.mac, 6);
	assert_string_equal(v.ifname, "lan.100");
	nh.key.dest.family = ADDR_IP4;
	nh.key.tos = 184;
	nexthop_answer(&n, &nh, &v);
	assert_int_equal(v.abi.vlan, 5 << 13 | 100);
	nh.key.dest.family = ADDR_IP6; /* the traffic class of IPv6 does not set the priority */
	nexthop_answer(&n, &nh, &v);
	assert_int_equal(v.abi.vlan, 1 << 13 | 100);
	nb.usable = false;
	nexthop_answer(&n, &nh, &v);
	assert_int_equal(v.why, FLOW_WHY_NO_NEIGHBOUR);
	assert_int_equal(v.abi.mtu, 0);
	HASH_DEL(n.links.ifaces, &vlan);
	host_free(n.host);
	event_base_free(base);
}

static void ids(void **state)
{
	struct event_base *base = event_base_new();
	struct nexthops *n = make(base, 3);
	struct addr any = { 0 }, zero = ip4("0.0.0.0", 0), a;
	struct nexthop_counts counts;
	struct nexthop_view v;
	uint16_t id[4], again;
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		a = ip4("127.0.0.1", i);
		a.port = 1000 + i;
		assert_int_equal(take(n, a, any, &id[i], &v), 0);
		assert_int_equal(v.why, FLOW_WHY_LOOPBACK);
		assert_int_equal(v.users, 1);
		assert_in_range(id[i], 1, 3);
	}
	assert_true(id[0] != id[1] && id[1] != id[2] && id[0] != id[2]);
	a = ip4("127.0.0.9", 0);
	assert_int_equal(take(n, a, any, &again, &v), -ENOSPC);
	a = ip4("127.0.0.1", 0); /* another port, and the wildcard as source: the same id */
	assert_int_equal(take(n, a, zero, &again, &v), 0);
	assert_int_equal(again, id[0]);
	assert_int_equal(v.users, 2);
	nexthop_give(n, id[0]);
	nexthop_view(n, id[0], &v);
	assert_int_equal(v.users, 1);
	nexthop_give(n, id[0]);
	nexthop_give(n, id[1]);
	assert_int_equal(take(n, a, any, &again, &v), 0);
	assert_int_equal(again, id[0]); /* the id that was free for the longest time */
	nexthops_counts(n, &counts);
	assert_int_equal(counts.ids, 2);
	assert_int_equal(counts.unresolved, 2);
	assert_int_equal(take(n, any, any, &again, &v), -EINVAL);
	nexthops_free(n);
	event_base_free(base);
}

/* ---- in a namespace of its own ---- */

static int home = -1;

static void run(const char *command)
{
	if (system(command))
		fail_msg("%s", command);
}

/* eth0 10.1.0.1 is one end of a veth pair. The other end has no host, so the gateways are permanent
 * neighbours. */
static int enter(void **state)
{
	(void)state;
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0 || unshare(CLONE_NEWNET)) {
		close(home);
		home = -1;
		return 0;
	}
	run("ip link add eth0 type veth peer name other && ip link set other up &&"
	    "ip link set eth0 up && ip addr add 10.1.0.1/24 dev eth0 &&"
	    "ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent &&"
	    "ip neigh add 10.1.0.3 lladdr 02:00:00:00:00:03 dev eth0 nud permanent &&"
	    "ip route add 10.64.0.0/10 via 10.1.0.2");
	return 0;
}

static int leave(void **state)
{
	(void)state;
	if (home < 0)
		return 0;
	if (setns(home, CLONE_NEWNET))
		return -1;
	close(home);
	home = -1;
	return 0;
}

static void need_namespace(void)
{
	if (home < 0) {
		print_message("no network namespace can be made: run as root\n");
		skip();
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* An event due every millisecond; measures how long the tested work delays it. */
static struct {
	uint64_t last_ns, longest_ns;
} pulse;

static void on_pulse(evutil_socket_t fd, short what, void *arg)
{
	uint64_t now = cpu_ns();

	(void)fd, (void)what, (void)arg;
	pulse.longest_ns = MAX(pulse.longest_ns, now - pulse.last_ns);
	pulse.last_ns = now;
}

/* turn_until - runs the loop until @what has reached @want, for at most 5 s of CPU and 60 s in all.
 * Returns the longest delay of the pulse. */
static uint64_t turn_until(struct event_base *base, const unsigned int *what, unsigned int want)
{
	const uint64_t give_up = clock_now() + 60 * NSEC_PER_SEC,
		       tired = cpu_ns() + 5 * NSEC_PER_SEC;
	struct event *ev = event_new(base, -1, EV_PERSIST, on_pulse, NULL);
	struct timeval ms = { .tv_usec = 1000 };

	pulse.last_ns = cpu_ns();
	pulse.longest_ns = 0;
	event_add(ev, &ms);
	while (*what < want && clock_now() < give_up && cpu_ns() < tired)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(ev);
	assert_int_equal(*what, want);
	return pulse.longest_ns;
}

static void many(void **state)
{
	struct event_base *base = event_base_new();
	struct addr any = { 0 }, a;
	struct nexthop_view v;
	struct nexthops *n;
	static const struct {
		const char *what, *command;
	} changes[] = {
		{ "50 rules of the firewall, the last one drops",
		  "(echo 'table ip t { chain c { type filter hook output priority 0;';"
		  " seq -f 'udp dport %.0f udp sport 1 drop' 50; echo drop; echo '}'; echo '}')"
		  " | nft -f -" },
		{ "none of them", "nft flush ruleset" },
		{ "an IPsec policy", "ip xfrm policy add dst 10.64.0.0/10 dir out action block" },
	};
	uint64_t start, longest;
	unsigned int i;
	uint16_t id;

	(void)state;
	need_namespace();
	n = make(base, RTPX_MAX_NEXTHOPS);
	start = clock_now();
	for (i = 0; i < MANY; i++) {
		a = ip4("10.64.0.0", i);
		assert_int_equal(take(n, a, any, &id, &v), 0);
		assert_int_equal(v.why, FLOW_NO_OBJECTION);
	}
	print_message("%d ids taken: %.1f us each\n", MANY, (clock_now() - start) / 1e3 / MANY);
	assert_int_equal(HASH_COUNT(n->neighs.hash), 1);

	run("ip neigh change 10.1.0.2 lladdr 02:00:00:00:00:22 dev eth0 nud permanent");
	start = clock_now();
	longest = turn_until(base, &seen.changes, MANY);
	print_message("a gateway's MAC: %.0f ms, the longest that others waited %.1f ms\n",
		      (clock_now() - start) / 1e6, longest / 1e6);
	assert_int_equal(seen.usable, MANY);
	assert_true(longest < LONGEST);

	run("ip route change 10.64.0.0/10 via 10.1.0.3");
	start = clock_now();
	longest = turn_until(base, &seen.changes, 2 * MANY);
	print_message("a route: %.0f ms, the longest that others waited %.1f ms\n",
		      (clock_now() - start) / 1e6, longest / 1e6);
	assert_int_equal(seen.usable, 2 * MANY);
	assert_true(longest < LONGEST);
	nexthop_view(n, id, &v);
	assert_int_equal(v.abi.dst_mac[5], 3);

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		run(changes[i].command);
		start = clock_now();
		longest = turn_until(base, &seen.changes, (3 + i) * MANY);
		print_message("%s: %.0f ms, the longest that others waited %.1f ms\n",
			      changes[i].what, (clock_now() - start) / 1e6, longest / 1e6);
		assert_true(longest < LONGEST);
	}
	assert_int_equal(seen.usable, 3 * MANY);
	nexthops_free(n);
	event_base_free(base);
}

/* More notices than the socket holds; the relevant one comes last. */
static void lost(void **state)
{
	struct event_base *base = event_base_new();
	struct addr any = { 0 }, a = ip4("10.64.0.1", 0), b = ip4("10.1.0.3", 0);
	struct nexthop_view v;
	struct nexthops *n;
	uint16_t id, id2;
	int small = 4096;

	(void)state;
	need_namespace();
	n = make(base, 10);
	assert_int_equal(setsockopt(nl_socket_get_fd(n->hear), SOL_SOCKET, SO_RCVBUF, &small,
				    sizeof(small)),
			 0);
	assert_int_equal(take(n, a, any, &id, &v), 0);
	assert_int_equal(take(n, b, any, &id2, &v), 0);
	assert_int_equal(v.why, FLOW_NO_OBJECTION);
	run("for i in $(seq 200); do echo route add 192.0.2.$i/32 via 10.1.0.2; done | ip -batch "
	    "-");
	run("ip route change 10.64.0.0/10 via 10.1.0.3");
	run("ip neigh change 10.1.0.3 lladdr 02:00:00:00:00:33 dev eth0 nud permanent");
	run("ip addr add 10.3.0.1/24 dev eth0");
	turn_until(base, &seen.changes, 2);
	nexthop_view(n, id, &v);
	assert_int_equal(v.abi.dst_mac[5], 0x33);
	nexthop_view(n, id2, &v);
	assert_int_equal(v.abi.dst_mac[5], 0x33);
	a = ip4("10.3.0.1", 0);
	assert_true(nexthop_is_local(n, &a));
	nexthops_free(n);
	event_base_free(base);
}

/* Another program stops the kernel's probing of our neighbour: we request it again. */
static void kept(void **state)
{
	struct event_base *base = event_base_new();
	struct addr any = { 0 }, a = ip4("10.1.0.4", 0);
	struct nexthop_view v;
	struct nexthops *n;
	uint64_t give_up;
	uint16_t id;

	(void)state;
	need_namespace();
	n = make(base, 10);
	assert_int_equal(take(n, a, any, &id, &v), 0);
	assert_int_equal(v.why, FLOW_WHY_NO_NEIGHBOUR);
	if (!n->neighs.hash->managed) {
		print_message("this kernel does not manage neighbours\n");
		nexthops_free(n);
		event_base_free(base);
		skip();
	}
	run("ip neigh replace 10.1.0.4 lladdr 02:00:00:00:00:04 dev eth0 nud stale");
	turn_until(base, &seen.usable, 1);
	assert_false(n->neighs.hash->managed);
	assert_int_not_equal(system("ip neigh show 10.1.0.4 | grep -q managed"), 0);
	n->neighs.hash->probed_ns = 0; /* as if the probe were long ago */
	give_up = clock_now() + 60 * NSEC_PER_SEC;
	while (!n->neighs.hash->managed && clock_now() < give_up)
		event_base_loop(base, EVLOOP_ONCE);
	run("ip neigh show 10.1.0.4 | grep -q managed");
	nexthops_free(n);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(vlan_answer),
		cmocka_unit_test(ids),
		cmocka_unit_test_setup_teardown(many, enter, leave),
		cmocka_unit_test_setup_teardown(lost, enter, leave),
		cmocka_unit_test_setup_teardown(kept, enter, leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
