/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_xdp.c - flows, statistics and counters in memory shared with the kernel, in a network and
 * mount namespace of its own. tests/bpf tests packets, tests/netns/dp_attach.sh attaching.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>

static long most_ring_bytes; /* 0: no limit */

/* A kernel without memory for a ring larger than most_ring_bytes. */
static int map_create(enum bpf_map_type type, const char *name, uint32_t key, uint32_t value,
		      uint32_t max_entries, const struct bpf_map_create_opts *opts)
{
	if (most_ring_bytes && type == BPF_MAP_TYPE_RINGBUF && max_entries > most_ring_bytes) {
		errno = ENOMEM;
		return -ENOMEM;
	}
	return bpf_map_create(type, name, key, value, max_entries, opts);
}

#define bpf_map_create map_create
#include "../../daemon/dataplane/xdp.c"
#include "../../daemon/dataplane/xdp_hops.c"
#include "dataplane/choice.h"

#define PORT_MIN 35000
#define PORT_MAX 35099

static struct dp *dp;
static char dir[] = "/tmp/rtpx-test-XXXXXX";
static char pins[64];

static struct dp_opts options(void)
{
	return (struct dp_opts){ .order = { DP_XDP },
				 .n_order = 1,
				 .pin_dir = pins,
				 .port_min = PORT_MIN,
				 .port_max = PORT_MAX,
				 .silence_ms = 500,
				 .mirror_bytes = 100000 };
}

/* Returns 0 with dp NULL if this process lacks the permission. */
static int enter(void **state)
{
	struct dp_opts o = options();
	char err[512];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(pins, sizeof(pins), "%s/rtpx", dir);
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", dir, "bpf", 0, "mode=0700"))
		return 0;
	if (system("ip link add eth0 type veth peer name other && ip link set other up && ip link "
		   "set eth0 up"))
		return -1;
	o.pin_dir = pins;
	if (dp_open(&dp, &o, err, sizeof(err))) {
		print_error("%s\n", err);
		return -1;
	}
	return 0;
}

static int leave(void **state)
{
	(void)state;
	if (dp) {
		dp->ops->close(dp, false);
		assert_int_equal(access(pins, F_OK), -1);
		umount(dir);
	}
	rmdir(dir);
	return 0;
}

static void need_dp(void)
{
	if (!dp) {
		print_message("no namespaces or no bpffs to be had: run as root\n");
		skip();
	}
}

/* An interface through which packets may leave. */
static unsigned int eth0(void)
{
	unsigned int ifindex = if_nametoindex("eth0");

	assert_true(dp->links->serves(dp, ifindex));
	return ifindex;
}

static struct rtpx_flow flow_at(uint16_t port, uint8_t fill)
{
	struct rtpx_flow f;

	memset(&f, fill, sizeof(f));
	f.flags = RTPX_FLOW_ACTIVE | RTPX_FLOW_RTP;
	f.port = port;
	f.pad = 0;
	f.nexthop = 1;
	return f;
}

/* Read the flow by system call, as the kernel sees it. */
static void kernel_flow(enum rtpx_family family, uint16_t port, struct rtpx_flow *f,
			struct rtpx_flow_stats *s)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t key = rtpx_flow_index(&x->config, family, port);
	struct rtpx_entry_more more;
	struct rtpx_entry entry;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.flows), &key, &entry), 0);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.flows_more), &key, &more),
			 0);
	rtpx_entry_get_flow(&entry, &more, f);
	rtpx_entry_get_stats(&entry, &more, s);
}

static void put_and_del(void **state)
{
	static const uint16_t ports[] = { PORT_MIN, PORT_MIN + 1, PORT_MAX };
	struct rtpx_flow_stats seed = { .packets = 7, .bytes = 8, .segments = 1 }, got;
	struct rtpx_flow f, k;
	uint32_t seq;
	int family;
	size_t i;

	(void)state;
	need_dp();
	for (family = 0; family < RTPX_FAMILIES; family++)
		for (i = 0; i < ARRAY_SIZE(ports); i++) {
			f = flow_at(ports[i], 0x40 + family * 8 + i);
			assert_int_equal(dp->ops->stats_get(dp, family, ports[i], &got), -ENOENT);
			assert_int_equal(dp->ops->flow_del(dp, family, ports[i], &got), -ENOENT);
			assert_int_equal(dp->ops->flow_put(dp, family, ports[i], &f, &seed), 0);
		}
	for (family = 0; family < RTPX_FAMILIES; family++)
		for (i = 0; i < ARRAY_SIZE(ports); i++) {
			f = flow_at(ports[i], 0x40 + family * 8 + i);
			kernel_flow(family, ports[i], &k, &got);
			seq = k.seq;
			assert_int_equal(seq % 2, 0);
			k.seq = f.seq;
			assert_int_equal(k.nexthop, 0); /* its next hop is not usable yet */
			k.nexthop = f.nexthop;
			assert_memory_equal(&k, &f, sizeof(f));
			assert_int_equal(dp->ops->flow_get(dp, family, ports[i], &k), 0);
			assert_int_equal(k.nexthop, f.nexthop);
			assert_memory_equal(&got, &seed, sizeof(seed));

			/* Replaced without a seed: the statistics continue. */
			got.packets = 100;
			assert_int_equal(dp->ops->stats_set(dp, family, ports[i], &seed, &got), 0);
			/* A packet was counted since the statistics were read. */
			assert_int_equal(dp->ops->stats_set(dp, family, ports[i], &seed, &seed),
					 -EAGAIN);
			f.dest_port = 4;
			assert_int_equal(dp->ops->flow_put(dp, family, ports[i], &f, NULL), 0);
			kernel_flow(family, ports[i], &k, &got);
			assert_int_equal(k.dest_port, 4);
			assert_int_not_equal(k.seq, seq);
			assert_int_equal(k.seq % 2, 0);
			assert_int_equal(got.packets, 100);

			assert_int_equal(dp->ops->flow_del(dp, family, ports[i], &got), 0);
			assert_int_equal(got.packets, 100);
			kernel_flow(family, ports[i], &k, &got);
			assert_int_equal(k.flags, 0);
			assert_int_equal(k.seq % 2, 0);
			assert_int_equal(dp->ops->flow_del(dp, family, ports[i], NULL), -ENOENT);
		}
}

static void refusals(void **state)
{
	struct rtpx_flow f = flow_at(PORT_MIN, 0);
	struct rtpx_nexthop nh = { .mtu = 1500, .ifindex = eth0() };

	(void)state;
	need_dp();
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN - 1, &f, NULL), -ERANGE);
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MAX + 1, &f, NULL), -ERANGE);
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILIES, PORT_MIN, &f, NULL), -ERANGE);
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN + 1, &f, NULL), -EINVAL);
	f.nexthop = 0;
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN, &f, NULL), -EINVAL);
	f = flow_at(PORT_MIN, 0);
	f.flags = RTPX_FLOW_RTP;
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN, &f, NULL), -EINVAL);
	assert_int_equal(dp->ops->nexthop_put(dp, 0, &nh), -EINVAL);
}

/* The element that the kernel's flow of this port names. */
static uint32_t element_of(uint16_t port)
{
	struct rtpx_flow_stats st;
	struct rtpx_flow f;

	kernel_flow(RTPX_FAMILY_IP4, port, &f, &st);
	return f.nexthop;
}

static struct rtpx_nexthop kernel_hop(uint32_t element)
{
	struct rtpx_nexthop k;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(xdp_of(dp)->skel->maps.nexthops), &element,
					     &k),
			 0);
	return k;
}

static void put_flow(uint16_t port, uint16_t id)
{
	struct rtpx_flow f = flow_at(port, 0);

	f.nexthop = id;
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, port, &f, NULL), 0);
}

#define HOP_PORT (PORT_MIN + 20) /* the first port of tests of next hops */

/* Write next hop 9 and return it as a packet to its flow meets it. */
static struct rtpx_nexthop put_hop(const struct rtpx_nexthop *nh)
{
	assert_int_equal(dp->ops->nexthop_put(dp, 9, nh), 0);
	put_flow(HOP_PORT, 9);
	return kernel_hop(element_of(HOP_PORT));
}

/* The next daemon's view of the same maps. */
static struct xdp_hops *next_hops(void)
{
	struct dp_xdp *x = xdp_of(dp);
	const struct xdp_hops_opts o = {
		.nexthops = bpf_map__fd(x->skel->maps.nexthops),
		.tx_ports = bpf_map__fd(x->skel->maps.tx_ports),
		.flows = x->flows,
		.n_flows = x->n_elements,
	};
	struct xdp_hops *next;

	assert_int_equal(xdp_hops_new(&next, &o), 0);
	return next;
}

/* The interface that tx_ports has in this element; 0: none. */
static uint32_t tx_port(uint32_t at)
{
	uint32_t value[2];

	return bpf_map_lookup_elem(bpf_map__fd(xdp_of(dp)->skel->maps.tx_ports), &at, value)
		       ? 0
		       : value[0];
}

/* A next hop names its interface by an element of tx_ports, and is unusable without one. */
static void hops(void **state)
{
	struct rtpx_nexthop nh = { .mtu = 1500, .dst_mac = { 2 } }, k;
	struct xdp_hops *h, *next;
	uint32_t i;

	(void)state;
	need_dp();
	h = xdp_of(dp)->hops;
	nh.ifindex = eth0();
	k = put_hop(&nh);
	assert_int_equal(tx_port(k.tx_port), nh.ifindex);
	assert_int_equal(k.plain_mtu, 1500);
	nh.plain_mtu = k.plain_mtu;
	nh.tx_port = k.tx_port;
	assert_memory_equal(&k, &nh, sizeof(k));

	nh.vlan = 5; /* such packets are not plain */
	k = put_hop(&nh);
	assert_int_equal(k.mtu, 1500);
	assert_int_equal(k.plain_mtu, 0);

	/* An element gets another interface only when no next hop names it any more. */
	xdp_hops_forbid(h, nh.ifindex);
	assert_int_equal(tx_port(k.tx_port), 0);
	assert_int_equal(kernel_hop(element_of(HOP_PORT)).mtu, 0);
	assert_int_equal(put_hop(&nh).mtu, 0);
	assert_int_equal(xdp_hops_allow(h, nh.ifindex), 0);
	assert_int_equal(xdp_hops_allow(h, nh.ifindex), 0);
	assert_int_equal(put_hop(&nh).mtu, 1500);
	assert_int_not_equal(xdp_hops_allow(h, 0x7fffffff), 0);

	/* The next daemon keeps next hops, but for those of interfaces that went meanwhile. */
	k = put_hop(&nh);
	h->table[60010] = k;
	h->table[60010].ifindex++;
	h->table[60011] = k;
	h->table[60011].tx_port = RTPX_MAX_TX_PORTS - 1;
	next = next_hops();
	assert_int_equal(kernel_hop(element_of(HOP_PORT)).mtu, 1500);
	assert_int_equal(next->table[60010].mtu + next->table[60011].mtu, 0);
	assert_memory_equal(next->ifindex, h->ifindex, sizeof(h->ifindex));
	xdp_hops_free(next);
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, HOP_PORT, NULL), 0);

	for (i = 1; i < RTPX_MAX_TX_PORTS; i++)
		if (!h->ifindex[i])
			h->ifindex[i] = 1u << 31 | i;
	assert_int_equal(xdp_hops_allow(h, 1), -ENOSPC);
	for (i = 1; i < RTPX_MAX_TX_PORTS; i++)
		if (h->ifindex[i] >> 31)
			h->ifindex[i] = 0;
}

/* Behind one gateway, all ids share an element, and its new link address is one write. */
static void hops_of_one_gateway(void **state)
{
	struct rtpx_nexthop nh = { .mtu = 1500, .dst_mac = { 2, 1 }, .neigh = 7 }, other;
	uint32_t shared, id;

	(void)state;
	need_dp();
	nh.ifindex = eth0();
	for (id = 1; id <= 3; id++) {
		assert_int_equal(dp->ops->nexthop_put(dp, id, &nh), 0);
		put_flow(HOP_PORT + id, id);
	}
	shared = element_of(HOP_PORT + 1);
	assert_int_not_equal(shared, 0);
	for (id = 2; id <= 3; id++)
		assert_int_equal(element_of(HOP_PORT + id), shared);

	nh.dst_mac[5] = 9;
	assert_int_equal(dp->ops->nexthop_put(dp, 2, &nh), 0);
	for (id = 1; id <= 3; id++)
		assert_int_equal(element_of(HOP_PORT + id), shared);
	assert_memory_equal(kernel_hop(shared).dst_mac, nh.dst_mac, 6);

	/* Another neighbour with the same link address has an element of its own. */
	other = nh;
	other.neigh = 8;
	assert_int_equal(dp->ops->nexthop_put(dp, 4, &other), 0);
	put_flow(HOP_PORT + 4, 4);
	assert_int_not_equal(element_of(HOP_PORT + 4), shared);
	nh.dst_mac[5] = 10;
	assert_int_equal(dp->ops->nexthop_put(dp, 1, &nh), 0);
	assert_memory_equal(kernel_hop(element_of(HOP_PORT + 4)).dst_mac, other.dst_mac, 6);

	/* The route of one id changes: only its flows move. */
	nh.mtu = 1400;
	assert_int_equal(dp->ops->nexthop_put(dp, 2, &nh), 0);
	assert_int_equal(kernel_hop(element_of(HOP_PORT + 2)).mtu, 1400);
	assert_int_equal(element_of(HOP_PORT + 1), shared);
	assert_int_equal(element_of(HOP_PORT + 3), shared);
	assert_int_equal(kernel_hop(shared).mtu, 1500);
	nh.mtu = 1500;
	assert_int_equal(dp->ops->nexthop_put(dp, 2, &nh), 0);
	assert_int_equal(element_of(HOP_PORT + 2), shared);
}

/* After hops_of_one_gateway(): flows of ids that become unusable, that end, that change their id. */
static void hops_come_and_go(void **state)
{
	static const struct rtpx_nexthop none;
	struct rtpx_nexthop nh = { .mtu = 1500, .dst_mac = { 2, 2 }, .neigh = 9 };
	uint32_t shared, was, id;

	(void)state;
	need_dp();
	nh.ifindex = eth0();
	shared = element_of(HOP_PORT + 1);
	assert_int_equal(dp->ops->nexthop_put(dp, 2, &none), 0);
	assert_int_equal(element_of(HOP_PORT + 2), 0);
	assert_int_equal(kernel_hop(0).mtu, 0);
	put_flow(HOP_PORT + 2, 3);
	assert_int_equal(element_of(HOP_PORT + 2), shared);
	assert_int_equal(dp->ops->nexthop_put(dp, 3, &nh), 0);
	was = element_of(HOP_PORT + 2);
	assert_int_not_equal(was, shared);
	assert_int_equal(element_of(HOP_PORT + 3), was);
	assert_int_equal(element_of(HOP_PORT + 1), shared);

	/* A packet may still read an element that is not used any more: it is given out late. */
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, HOP_PORT + 2, NULL), 0);
	assert_int_equal(dp->ops->nexthop_put(dp, 3, &none), 0);
	assert_int_equal(element_of(HOP_PORT + 3), 0);
	for (id = 2000; id < 3000; id++) {
		nh.neigh = id;
		assert_int_equal(dp->ops->nexthop_put(dp, id, &nh), 0);
		put_flow(HOP_PORT + 2, id);
		assert_int_not_equal(element_of(HOP_PORT + 2), was);
		assert_int_equal(kernel_hop(element_of(HOP_PORT + 2)).neigh, id);
	}
	for (id = 2000; id < 3000; id++)
		assert_int_equal(dp->ops->nexthop_put(dp, id, &none), 0);
	for (id = 1; id <= 4; id++) {
		assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, HOP_PORT + id, NULL), 0);
		assert_int_equal(dp->ops->nexthop_put(dp, id, &none), 0);
	}
}

/* All elements are in use: the last ids are not usable, and are again when others end. */
static void hops_fill_up(void **state)
{
	static const struct rtpx_nexthop none;
	struct rtpx_nexthop nh = { .mtu = 1500 };
	uint32_t id;

	(void)state;
	need_dp();
	nh.ifindex = eth0();
	put_flow(HOP_PORT, 65535);
	xdp_of(dp)->hops->element[77].users++;
	for (id = 1; id < RTPX_MAX_NEXTHOPS; id++) {
		nh.dst_mac[4] = id >> 8;
		nh.dst_mac[5] = id;
		assert_int_equal(dp->ops->nexthop_put(dp, id, &nh), id == 65535 ? -ENOSPC : 0);
	}
	assert_int_equal(element_of(HOP_PORT), 0);
	assert_int_equal(dp->ops->nexthop_put(dp, 500, &none), 0);
	assert_int_equal(dp->ops->nexthop_put(dp, 65535, &nh), 0);
	assert_memory_equal(kernel_hop(element_of(HOP_PORT)).dst_mac, nh.dst_mac, 6);
	xdp_of(dp)->hops->element[77].users--;
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, HOP_PORT, NULL), 0);
	for (id = 1; id < RTPX_MAX_NEXTHOPS; id++)
		assert_int_equal(dp->ops->nexthop_put(dp, id, &none), 0);
}

/* The next daemon finds the element of a flow by its content, and the flow is not written. */
static void hops_of_the_previous_daemon(void **state)
{
	LIBBPF_OPTS(bpf_map_create_opts, mappable, .map_flags = BPF_F_MMAPABLE);
	static const struct rtpx_nexthop none;
	struct rtpx_nexthop nh = { .mtu = 1500, .dst_mac = { 2, 3 }, .neigh = 7 };
	struct rtpx_entry flow = { 0 };
	struct xdp_hops_opts o = { .flows = &flow, .n_flows = 1 };
	struct xdp_hops *h;
	uint16_t was;

	(void)state;
	need_dp();
	nh.ifindex = eth0();
	o.tx_ports = bpf_map__fd(xdp_of(dp)->skel->maps.tx_ports);
	o.nexthops = bpf_map_create(BPF_MAP_TYPE_ARRAY, "nexthops", 4, sizeof(nh),
				    RTPX_MAX_NEXTHOPS, &mappable);
	assert_true(o.nexthops >= 0);
	assert_int_equal(xdp_hops_new(&h, &o), 0);
	assert_int_equal(xdp_hops_put(h, 1, &nh), 0);
	flow.nexthop = was = xdp_hops_join(h, 0, 1);
	assert_int_not_equal(was, 0);
	xdp_hops_free(h);

	assert_int_equal(xdp_hops_new(&h, &o), 0);
	xdp_hops_inherit(h, 0);
	assert_int_equal(xdp_hops_id(h, 0), 0);
	nh.neigh = 1;
	nh.dst_mac[5] = 1; /* a neighbour that the flow has nothing to do with */
	assert_int_equal(xdp_hops_put(h, 5, &nh), 0);
	nh.neigh = 2;
	nh.dst_mac[5] = 0;
	assert_int_equal(xdp_hops_put(h, 6, &nh), 0);
	assert_int_equal(xdp_hops_join(h, 0, 6), was);
	assert_int_equal(xdp_hops_id(h, 0), 6);
	nh.dst_mac[5] = 2;
	assert_int_equal(xdp_hops_put(h, 6, &nh), 0);
	assert_int_equal(flow.nexthop, was);
	assert_memory_equal(h->table[was].dst_mac, nh.dst_mac, 6);

	/* The last user goes: the element is free, and is found no more. */
	xdp_hops_part(h, 0);
	assert_int_equal(xdp_hops_put(h, 6, &none), 0);
	assert_int_equal(xdp_hops_put(h, 7, &nh), 0);
	assert_int_not_equal(xdp_hops_join(h, 0, 7), was);
	xdp_hops_free(h);
	close(o.nexthops);
}

struct hop_reader {
	struct rtpx_entry *entry;
	struct rtpx_nexthop *table;
	bool stop;
	unsigned long whole, mixed;
};

/* As the program does: the element of the flow, then its words. */
static void *read_hops(void *arg)
{
	struct hop_reader *r = arg;
	struct rtpx_nexthop *nh;
	uint64_t word;
	uint8_t mac[8];

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		nh = &r->table[__atomic_load_n(&r->entry->nexthop, __ATOMIC_ACQUIRE)];
		word = __atomic_load_n((uint64_t *)nh, __ATOMIC_RELAXED);
		memcpy(mac, &word, sizeof(mac));
		/* dst_mac[0] names the vlan, and the other bytes of dst_mac are one number */
		if (mac[1] == mac[5] && mac[0] == __atomic_load_n(&nh->vlan, __ATOMIC_RELAXED))
			r->whole++;
		else
			r->mixed++;
	}
	return NULL;
}

/* No packet meets half of a change, whether an element changes or the flow moves to another. */
static void hops_are_never_mixed(void **state)
{
	struct rtpx_nexthop nh = { .mtu = 1500 };
	struct hop_reader r = { 0 };
	pthread_t thread;
	unsigned int i;

	(void)state;
	need_dp();
	nh.ifindex = eth0();
	nh.neigh = 1;
	assert_int_equal(dp->ops->nexthop_put(dp, 9, &nh), 0);
	put_flow(HOP_PORT, 9);
	r.entry = &xdp_of(dp)->flows[HOP_PORT - PORT_MIN];
	r.table = xdp_of(dp)->hops->table;
	assert_int_equal(pthread_create(&thread, NULL, read_hops, &r), 0);
	while (!__atomic_load_n(&r.whole, __ATOMIC_RELAXED))
		sched_yield();
	for (i = 0; i < 500000;
	     i++) { /* fewer moves than elements: a slow reader's is not reused */
		nh.vlan = nh.dst_mac[0] = i / 16 % 5;
		memset(nh.dst_mac + 1, i, 5);
		assert_int_equal(dp->ops->nexthop_put(dp, 9, &nh), 0);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	print_message("%lu next hops read beside %u writes\n", r.whole, i);
	assert_int_equal(r.mixed, 0);
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, HOP_PORT, NULL), 0);
}

/* Each counter is the sum over CPUs. */
static void counters(void **state)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct rtpx_counters *each, sum;
	uint32_t key = 0;
	size_t f;

	(void)state;
	need_dp();
	each = calloc(cpus, sizeof(*each));
	assert_non_null(each);
	for (cpu = 0; cpu < cpus; cpu++)
		for (f = 0; f < sizeof(sum) / sizeof(uint64_t); f++)
			((uint64_t *)&each[cpu])[f] = 1000000 * (f + 1) + cpu;
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(xdp_of(dp)->skel->maps.counters), &key,
					     each, 0),
			 0);
	assert_int_equal(dp->ops->counters(dp, &sum), 0);
	for (f = 0; f < sizeof(sum) / sizeof(uint64_t);
	     f++) /* the veth pair's own packets may have been counted since */
		assert_in_range(((uint64_t *)&sum)[f],
				1000000 * (f + 1) * cpus + cpus * (cpus - 1) / 2,
				1000000 * (f + 1) * cpus + cpus * (cpus - 1) / 2 + 1000);
	free(each);
}

/* A reader that follows the protocol of rtpx_entry.seq, as the program does. */
struct reader {
	struct rtpx_entry *entry;
	struct rtpx_entry_more *more;
	bool stop;
	unsigned long whole, torn;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct rtpx_flow f;
	uint32_t before, after;
	size_t i;
	bool same;

	while (!__atomic_load_n(&r->stop, __ATOMIC_RELAXED)) {
		before = __atomic_load_n(&r->entry->seq, __ATOMIC_ACQUIRE);
		rtpx_entry_get_flow(r->entry, r->more, &f);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&r->entry->seq, __ATOMIC_RELAXED);
		if (before != after || before % 2 || !(f.flags & RTPX_FLOW_ACTIVE))
			continue;
		for (i = 1, same = true; i < sizeof(f.dest6); i++)
			same &= f.dest6[i] == f.local4[0];
		r->whole += same;
		r->torn += !same;
	}
	return NULL;
}

static void never_torn(void **state)
{
	struct reader r = { 0 };
	struct rtpx_flow f;
	pthread_t thread;
	unsigned int i;

	(void)state;
	need_dp();
	r.entry = &xdp_of(dp)->flows[0];
	r.more = &xdp_of(dp)->more[0];
	assert_int_equal(pthread_create(&thread, NULL, read_on, &r), 0);
	for (i = 0; i < 2000000 || (!__atomic_load_n(&r.whole, __ATOMIC_RELAXED) && i < 200000000);
	     i++) {
		f = flow_at(PORT_MIN, i);
		if (i % 5 == 4)
			dp->ops->flow_del(dp, RTPX_FAMILY_IP4, PORT_MIN, NULL);
		else
			dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN, &f, NULL);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	print_message("%lu whole flows read beside %u writes\n", r.whole, i);
	assert_true(r.whole > 0);
	assert_int_equal(r.torn, 0);
}

/* A flow that sends a frame back to its sender: the frame is the same after each relaying. */
static void echo_flow(struct rtpx_flow *f, uint8_t frame[62])
{
	const struct rtpx_nexthop hop = { .mtu = 1500, .ifindex = eth0() };
	static const uint8_t bytes[62] = {
		[12] = 0x08,
		0x00,
		0x45,
		0,
		0,
		48,
		[22] = 64,
		17,
		0xf6,
		0xb9,
		192,
		0,
		2,
		1,
		192,
		0,
		2,
		2,
		/* UDP from the port to itself, 28 bytes, with a checksum that is never checked */
		PORT_MIN >> 8,
		PORT_MIN & 255,
		PORT_MIN >> 8,
		PORT_MIN & 255,
		0,
		28,
		0x12,
		0x34,
	};

	/* A test run's frames come from the loopback device, whose link address is zeros. */
	const struct rtpx_ingress loopback = { .ifindex = 1 };
	const uint32_t family = loopback.ifindex;

	assert_int_equal(bpf_map_update_elem(bpf_map__fd(xdp_of(dp)->skel->maps.ingress), &family,
					     &loopback, BPF_ANY),
			 0);
	xdp_of(dp)->skel->bss->plain_ingress[family].ifindex = loopback.ifindex;
	memcpy(frame, bytes, sizeof(bytes));
	*f = (struct rtpx_flow){ .flags = RTPX_FLOW_ACTIVE,
				 .nexthop = 1,
				 .port = PORT_MIN,
				 .peer_port = PORT_MIN,
				 .out_port = PORT_MIN,
				 .dest_port = PORT_MIN,
				 .ttl = 64 };
	memcpy(f->peer4, frame + 26, 4);
	memcpy(f->local4, frame + 30, 4);
	memcpy(f->out4, f->peer4, 4);
	memcpy(f->dest4, f->local4, 4);
	assert_int_equal(dp->ops->nexthop_put(dp, f->nexthop, &hop), 0);
}

/* Bind a thread to a CPU: two threads must run at once, not take turns on one CPU. */
static void stay_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

#define SENT 2000000

static void *send_on(void *arg)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = arg, .data_size_in = 62, .repeat = SENT);

	/*
	 * As in a softirq, no process takes the CPU in the middle of a packet, so the reader never
	 * waits for ever.
	 */
	stay_on(1);
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 });
	bpf_prog_test_run_opts(bpf_program__fd(xdp_of(dp)->skel->progs.rtpx_relay), &opts);
	return NULL;
}

/* Counts are read while the program moves them from one map to the other. */
static void counts_never_step_back(void **state)
{
	static const struct rtpx_flow_stats none;
	struct rtpx_flow_stats st = { 0 };
	unsigned int reads = 0;
	uint64_t before;
	struct rtpx_flow f;
	uint8_t frame[62];
	pthread_t thread;

	(void)state;
	need_dp();
	echo_flow(&f, frame);
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN, &f, &none), 0);
	stay_on(0);
	assert_int_equal(pthread_create(&thread, NULL, send_on, frame), 0);
	while (pthread_tryjoin_np(thread, NULL)) {
		before = st.packets;
		assert_int_equal(dp->ops->stats_get(dp, RTPX_FAMILY_IP4, PORT_MIN, &st), 0);
		assert_in_range(st.packets, before, SENT);
		reads++;
	}
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, PORT_MIN, &st), 0);
	print_message("read %u times\n", reads);
	assert_int_equal(st.packets, SENT);
	assert_int_equal(st.bytes, 20 * SENT);
}

struct copies {
	unsigned int n;
	struct rtpx_flow flow;
	uint8_t frame[62];
};

static void take_copy(void *arg, const struct rtpx_mirrored *copy, const uint8_t *payload,
		      size_t len)
{
	struct copies *c = arg;

	c->n++;
	assert_int_equal(copy->family, RTPX_FAMILY_IP4);
	assert_int_equal(copy->port, PORT_MIN);
	assert_int_equal(copy->peer_port, PORT_MIN);
	assert_int_equal(copy->call, 7);
	assert_memory_equal(copy->peer, c->flow.peer4, 4);
	assert_memory_equal(copy->local, c->flow.local4, 4);
	assert_int_equal(len, 20);
	assert_memory_equal(payload, c->frame + 42, len);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* Copies of a mirrored flow can be read in several parts, and wake the loop. */
static void copies(void **state)
{
	static const struct rtpx_flow_stats none;
	struct copies c = { 0 };
	const struct dp_mirror_sink sink = { take_copy, &c };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = c.frame, .data_size_in = sizeof(c.frame),
		    .repeat = 10);
	struct rtpx_flow_stats st;

	(void)state;
	need_dp();
	assert_true(dp->mirrored);
	assert_int_equal(ring_bytes(xdp_of(dp)->mirror_bytes), 131072);
	echo_flow(&c.flow, c.frame);
	c.flow.flags |= RTPX_FLOW_MIRROR;
	c.flow.call = 7;
	memcpy(c.frame + 42, "a payload of 20 byte", 20);
	assert_int_equal(dp->ops->flow_put(dp, RTPX_FAMILY_IP4, PORT_MIN, &c.flow, &none), 0);
	assert_int_equal(dp->mirrored(dp, &sink, UINT_MAX), 0);
	assert_false(is_readable(dp->mirror_fd));
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(xdp_of(dp)->skel->progs.rtpx_relay),
						&opts),
			 0);
	assert_true(is_readable(dp->mirror_fd));
	assert_int_equal(dp->mirrored(dp, &sink, 0), 0);
	assert_int_equal(dp->mirrored(dp, &sink, 4), 4);
	assert_int_equal(dp->mirrored(dp, &sink, 100), 6);
	assert_int_equal(c.n, 10);
	assert_false(is_readable(dp->mirror_fd));
	assert_int_equal(dp->ops->flow_del(dp, RTPX_FAMILY_IP4, PORT_MIN, &st), 0);
	assert_int_equal(st.packets, 10);
	assert_int_equal(st.unmirrored, 0);
}

/* Without memory for the ring, everything else works. */
static void no_memory_for_copies(void **state)
{
	struct dp_opts o = options();
	struct dp *other;
	char err[512], second[80];

	(void)state;
	need_dp();
	snprintf(second, sizeof(second), "%s/second", dir);
	o.pin_dir = second;
	o.n_interfaces = 1;
	o.interfaces[0] = "spare"; /* the first dataplane has the others */
	assert_int_equal(
		system("ip link add spare type veth peer name spare2 && ip link set spare2 up "
		       "&& ip link set spare up"),
		0);
	most_ring_bytes = sysconf(_SC_PAGESIZE);
	assert_int_equal(dp_open(&other, &o, err, sizeof(err)), 0);
	assert_false(other->mirrored);
	other->ops->close(other, false);
	most_ring_bytes = 1;
	assert_int_equal(dp_open(&other, &o, err, sizeof(err)), -ENOMEM);
	most_ring_bytes = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_and_del),
		cmocka_unit_test(refusals),
		cmocka_unit_test(hops),
		cmocka_unit_test(hops_of_one_gateway),
		cmocka_unit_test(hops_come_and_go),
		cmocka_unit_test(hops_fill_up),
		cmocka_unit_test(hops_of_the_previous_daemon),
		cmocka_unit_test(hops_are_never_mixed),
		cmocka_unit_test(counters),
		cmocka_unit_test(never_torn),
		cmocka_unit_test(counts_never_step_back),
		cmocka_unit_test(copies),
		cmocka_unit_test(no_memory_for_copies),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
