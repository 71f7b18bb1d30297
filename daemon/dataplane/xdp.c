/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.c - the XDP dataplane: the program, its maps in one directory of pins, and the interfaces
 * that run it.
 *
 * Flows and statistics are memory shared with the program. Flows are written by the protocol of
 * rtpx_entry.seq, without a system call per flow. Statistics are read and set without a lock; a set
 * may lose a packet that arrives at the same instant.
 *
 * Maps and links are pinned (xdp_pins.h), so a killed daemon stops no call. A daemon that has the
 * calls of these flows (opts->adopt) takes over the pins. It keeps the maps and replaces the
 * program of each link between two packets. A daemon without these calls removes the pins of a dead
 * daemon.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/dp.h"
#include "base/log.h"
#include "relay.skel.h"
#include "rtpx_entry.h"
#include "dataplane/xdp_attach.h"
#include "dataplane/xdp_ingress.h"
#include "dataplane/xdp_pins.h"

/* The CPU that moves statistics may be halted (virtual CPU, real-time kernel): bound the wait. */
#define STATS_SPINS 1000
#define STATS_TRIES 11000
#define STATS_NAP_US 100

#define FOREIGN_UNKNOWN UINT32_MAX /* no id of a program */

struct xdp_if {
	struct dp_interface pub;
	char attached[256]; /* result of attaching; pub.reason adds later findings */
	int link;	    /* BPF link; -1 when off */
	char pin[XDP_PIN_NAME]; /* "": none */
	bool seen;	  /* by the current rescan */
	bool tried;	  /* a test frame got out through it */
	unsigned int mtu; /* at the previous attempt to attach */
	uint32_t foreign; /* id of another owner's program at that attempt */
	char not_generic[160]; /* the reason against generic mode at that attempt; "": none */
};

struct dp_xdp {
	struct dp dp;
	struct relay *skel;
	struct rtpx_config config;
	unsigned int n_elements; /* in flows and in flows_more */
	struct rtpx_entry *flows;
	struct rtpx_entry_more *more;
	uint32_t mirror_bytes;
	struct ring_buffer *ring;		/* has the copies; NULL: dp.mirrors is false */
	const struct dp_mirror_sink *sink;	/* while the ring is drained */
	unsigned int to_drain;
	enum dp_xdp_mode mode;
	char *names[DP_MAX_INTERFACES]; /* --interface; none: all suitable interfaces */
	unsigned int n_names;
	struct xdp_pins pins;
	struct xdp_ingress *ingress;
	bool takes_over; /* keeps maps and links of the previous daemon */
	bool replaces;	 /* keeps its links, but makes new maps; see replace() */
	bool other_version; /* the pinned maps are of another version and may have any name */
	bool owns_pins;	 /* the directory has no pins of another daemon */
	struct xdp_if *ifs;
	unsigned int n_ifs;
};

static struct dp_xdp *xdp_of(struct dp *dp)
{
	return container_of(dp, struct dp_xdp, dp);
}

/* ---- flows ---- */

static int element(const struct dp_xdp *x, enum rtpx_family family, uint16_t port, uint32_t *i)
{
	if (family >= RTPX_FAMILIES || port < x->config.port_min || port > x->config.port_max)
		return -ERANGE;
	*i = rtpx_flow_index(&x->config, family, port);
	return 0;
}

/* The writer's half of rtpx_entry.seq. It is odd from begin to end, and the memory accesses of the
 * write stay in between. */
static void write_begin(struct rtpx_entry *f)
{
	__atomic_store_n(&f->seq, f->seq | 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void write_end(struct rtpx_entry *f)
{
	__atomic_store_n(&f->seq, f->seq + 1, __ATOMIC_RELEASE);
}

/*
 * stats_read - read statistics that are exact to the packet. The program moves its counts from @e
 * to @m now and then, within less than a microsecond. If a move disturbs the reading, read again.
 */
static void stats_read(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		       struct rtpx_flow_stats *out)
{
	unsigned int tries = 0;
	struct rtpx_entry now;
	uint64_t packets;
	bool moving;

	do {
		if (tries > STATS_SPINS)
			usleep(STATS_NAP_US);
		moving = __atomic_load_n(&e->pending, __ATOMIC_ACQUIRE) == RTPX_PENDING_MOVING;
		packets = __atomic_load_n(&m->stats.packets, __ATOMIC_ACQUIRE);
		now = *e;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		rtpx_entry_get_stats(&now, m, out);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((moving || now.pending == RTPX_PENDING_MOVING ||
		  __atomic_load_n(&m->stats.packets, __ATOMIC_RELAXED) != packets) &&
		 ++tries < STATS_TRIES);
}

/* Packets that find a flow half written go to the daemon, so write a flow only if it differs. */
static bool is_same(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		    const struct rtpx_flow *flow)
{
	struct rtpx_flow now;

	rtpx_entry_get_flow(e, m, &now);
	now.seq = flow->seq;
	return memcmp(&now, flow, sizeof(now)) == 0;
}

static int xdp_flow_put(struct dp *dp, enum rtpx_family family, uint16_t port,
			const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	struct dp_xdp *x = xdp_of(dp);
	struct rtpx_entry *f;
	uint32_t i;
	int rc = element(x, family, port, &i);

	if (rc)
		return rc;
	if (!(flow->flags & RTPX_FLOW_ACTIVE) || flow->port != port || flow->nexthop == 0)
		return -EINVAL;
	f = &x->flows[i];
	if (!seed && is_same(f, &x->more[i], flow))
		return 0;
	write_begin(f);
	rtpx_entry_put_flow(f, &x->more[i], flow, family);
	if (seed)
		rtpx_entry_put_stats(f, &x->more[i], seed);
	write_end(f);
	return 0;
}

static int active_element(const struct dp_xdp *x, enum rtpx_family family, uint16_t port, uint32_t *i)
{
	if (element(x, family, port, i) || !(x->flows[*i].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	return 0;
}

static int xdp_flow_del(struct dp *dp, enum rtpx_family family, uint16_t port,
			struct rtpx_flow_stats *last)
{
	static const struct rtpx_flow none;
	struct dp_xdp *x = xdp_of(dp);
	struct rtpx_entry *f;
	uint32_t i;

	if (active_element(x, family, port, &i))
		return -ENOENT;
	f = &x->flows[i];
	write_begin(f);
	rtpx_entry_put_flow(f, &x->more[i], &none, family);
	write_end(f);
	if (last)
		stats_read(f, &x->more[i], last);
	return 0;
}

static int xdp_stats_get(struct dp *dp, enum rtpx_family family, uint16_t port,
			 struct rtpx_flow_stats *out)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t i;

	if (active_element(x, family, port, &i))
		return -ENOENT;
	stats_read(&x->flows[i], &x->more[i], out);
	return 0;
}

static int xdp_stats_set(struct dp *dp, enum rtpx_family family, uint16_t port,
			 const struct rtpx_flow_stats *in)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t i;

	if (active_element(x, family, port, &i))
		return -ENOENT;
	rtpx_entry_put_stats(&x->flows[i], &x->more[i], in);
	return 0;
}

static int xdp_flow_get(struct dp *dp, enum rtpx_family family, uint16_t port, struct rtpx_flow *out)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t i;

	if (active_element(x, family, port, &i))
		return -ENOENT;
	rtpx_entry_get_flow(&x->flows[i], &x->more[i], out);
	return 0;
}

/* Not atomic: a packet at the same instant may leave with a mixture of old and new addresses. No
 * host accepts such a packet. */
static int xdp_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t key = id;

	if (id == 0)
		return -EINVAL;
	return bpf_map_update_elem(bpf_map__fd(x->skel->maps.nexthops), &key, nh, BPF_ANY) ? -errno
											   : 0;
}

static int xdp_counters(struct dp *dp, struct rtpx_counters *out)
{
	struct dp_xdp *x = xdp_of(dp);
	int cpus = libbpf_num_possible_cpus(), cpu;
	struct rtpx_counters *each;
	uint32_t key = 0;
	size_t f;

	if (cpus < 0)
		return cpus;
	each = calloc(cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	if (bpf_map_lookup_elem(bpf_map__fd(x->skel->maps.counters), &key, each)) {
		free(each);
		return -errno;
	}
	memset(out, 0, sizeof(*out));
	for (cpu = 0; cpu < cpus; cpu++)
		for (f = 0; f < sizeof(*out) / sizeof(uint64_t); f++)
			((uint64_t *)out)[f] += ((uint64_t *)&each[cpu])[f];
	free(each);
	return 0;
}

/* ---- copies ---- */

/* Negative: stop draining after this copy. */
static int on_mirrored(void *arg, void *data, size_t size)
{
	struct dp_xdp *x = arg;
	const struct rtpx_mirrored *copy = data;

	x->sink->take(x->sink->arg, copy, (const uint8_t *)(copy + 1), size - sizeof(*copy));
	return --x->to_drain ? 0 : -EAGAIN;
}

static unsigned int xdp_mirrored(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max)
{
	struct dp_xdp *x = xdp_of(dp);

	if (!x->ring || !max)
		return 0;
	x->sink = to;
	x->to_drain = max;
	ring_buffer__consume(x->ring);
	return max - x->to_drain;
}

/* The kernel wants a power of 2 in whole pages. */
static uint32_t ring_bytes(uint32_t wanted)
{
	uint32_t bytes = sysconf(_SC_PAGESIZE);

	while (bytes < wanted && bytes < 1u << 30)
		bytes *= 2;
	return bytes;
}

/*
 * ring_open - make the ring for copies. Call before the program loads, because it refers to the
 * ring. Without memory for it, make the smallest ring, which stays unused. -errno: no memory for
 * that either.
 */
static int ring_open(struct dp_xdp *x)
{
	const uint32_t bytes = ring_bytes(x->mirror_bytes);
	struct bpf_map *map = x->skel->maps.mirror;
	int fd, rc;

	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "mirror", 0, 0, bytes, NULL);
	x->dp.mirrors = fd >= 0;
	if (fd < 0) {
		log_warn("no ring of %u bytes for copies of recorded packets (%s): the daemon "
			 "forwards recorded calls itself; another --mirror-bytes may help",
			 bytes, strerror(errno));
		fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "mirror", 0, 0, ring_bytes(0), NULL);
	}
	if (fd < 0)
		return -errno;
	rc = bpf_map__reuse_fd(map, fd);
	close(fd);
	return rc;
}

static int ring_map(struct dp_xdp *x)
{
	if (!x->dp.mirrors)
		return 0;
	x->ring = ring_buffer__new(bpf_map__fd(x->skel->maps.mirror), on_mirrored, x, NULL);
	if (!x->ring)
		return -errno;
	x->dp.mirror_fd = ring_buffer__epoll_fd(x->ring);
	return 0;
}

/* ---- which interfaces ---- */

static bool is_named(const struct dp_xdp *x, const char *name)
{
	unsigned int i;

	for (i = 0; i < x->n_names; i++)
		if (strcmp(x->names[i], name) == 0)
			return true;
	return false;
}

static bool is_type(struct rtnl_link *l, const char *type)
{
	const char *t = l ? rtnl_link_get_type(l) : NULL;

	return t && strcmp(t, type) == 0;
}

/*
 * unsuitable - the reason why the program does not belong on this link; NULL: it does. A port of a
 * bridge or bond is left to its master. A device that is stacked on another device of this
 * namespace is left to the lower device, which sees the frames first.
 */
static const char *unsuitable(struct nl_cache *links, struct rtnl_link *l)
{
	struct rtnl_link *master = rtnl_link_get(links, rtnl_link_get_master(l));
	bool port = master && !is_type(master, "vrf");
	int32_t netns;

	rtnl_link_put(master);
	if (rtnl_link_get_flags(l) & IFF_LOOPBACK)
		return "the loopback device carries no media of others";
	if (rtnl_link_get_arptype(l) != ARPHRD_ETHER)
		return "it is not Ethernet";
	if (port)
		return "it is a port of a bridge or bond: name that one instead";
	if (is_type(l, "vrf"))
		return "a VRF receives through its ports: name those instead";
	if (!is_type(l, "veth") && rtnl_link_get_link(l) > 0 &&
	    rtnl_link_get_link_netnsid(l, &netns) < 0)
		return "it is stacked on another device, which sees its frames first: name that "
		       "one instead";
	return NULL;
}

static struct xdp_if *if_find(struct dp_xdp *x, unsigned int ifindex)
{
	unsigned int i;

	for (i = 0; i < x->n_ifs; i++)
		if (x->ifs[i].pub.ifindex == ifindex)
			return &x->ifs[i];
	return NULL;
}

/* if_add - add an interface, or fill the place that add_missing() has kept for it. NULL: no room
 * for more interfaces, or no memory. */
static struct xdp_if *if_add(struct dp_xdp *x, unsigned int ifindex, const char *name)
{
	struct xdp_if *more;
	unsigned int i;

	for (i = 0; i < x->n_ifs; i++)
		if (x->ifs[i].pub.ifindex == 0 && strcmp(x->ifs[i].pub.name, name) == 0) {
			x->ifs[i].pub.ifindex = ifindex;
			xdp_driver(name, x->ifs[i].pub.driver);
			return &x->ifs[i];
		}
	if (x->n_ifs == RTPX_MAX_TX_PORTS)
		return NULL;
	more = realloc(x->ifs, (x->n_ifs + 1) * sizeof(*more));
	if (!more)
		return NULL;
	x->ifs = more;
	more += x->n_ifs++;
	*more = (struct xdp_if){ .link = -1 };
	more->pub.ifindex = ifindex;
	snprintf(more->pub.name, sizeof(more->pub.name), "%s", name);
	xdp_driver(name, more->pub.driver);
	return more;
}

/* ---- one interface ---- */

static void if_attach(struct dp_xdp *x, struct xdp_if *f, enum dp_xdp_mode mode)
{
	f->foreign = xdp_foreign(f->pub.ifindex);
	f->link = xdp_attach(bpf_program__fd(x->skel->progs.rtpx_relay),
			     bpf_program__fd(x->skel->progs.rtpx_generic), &f->pub, mode,
			     f->not_generic[0] ? f->not_generic : NULL);
	snprintf(f->attached, sizeof(f->attached), "%s", f->pub.reason);
	f->tried = false;
	if (f->link >= 0)
		xdp_pins_link(&x->pins, f->link, f->pub.name, f->pin);
	else
		f->link = -1;
}

static void if_detach(struct dp_xdp *x, struct xdp_if *f)
{
	if (f->link < 0)
		return;
	bpf_link_detach(f->link);
	close(f->link);
	f->link = -1;
	f->pub.mode = DP_IF_OFF;
	xdp_pins_unlink(&x->pins, f->pin);
}

/* if_allow - allow packets to leave through it, or forbid it. */
static void if_allow(struct dp_xdp *x, struct xdp_if *f, bool allow)
{
	const int fd = bpf_map__fd(x->skel->maps.tx_ports);
	uint32_t value[2] = { f->pub.ifindex, 0 };

	if (allow && bpf_map_update_elem(fd, &f->pub.ifindex, value, BPF_ANY)) {
		snprintf(f->pub.reason, sizeof(f->pub.reason),
			 "the kernel refuses to send through it: %s", strerror(errno));
		allow = false;
	}
	if (!allow && f->pub.can_send)
		bpf_map_delete_elem(fd, &f->pub.ifindex);
	f->pub.can_send = allow;
}

/* if_judge - find out whether packets can leave through it now. @any_native: packets may come from
 * an interface in native mode. */
static void if_judge(struct dp_xdp *x, struct xdp_if *f, bool any_native)
{
	struct dp_interface before = f->pub;
	char why[256];
	bool can = f->link >= 0;

	snprintf(f->pub.reason, sizeof(f->pub.reason), "%s", f->attached);
	if (can && any_native) {
		can = xdp_can_send(&f->pub, !f->tried, why, sizeof(why));
		f->tried = can;
		if (!can)
			xdp_reason_add(&f->pub, why);
	}
	if (f->link >= 0 && xdp_preflight(&f->pub, why, sizeof(why)))
		xdp_reason_add(&f->pub, why);
	if_allow(x, f, can);
	if (before.mode == f->pub.mode && before.can_send == f->pub.can_send &&
	    strcmp(before.reason, f->pub.reason) == 0)
		return;
	log_info("%s: %s%s%s%s", f->pub.name,
		 f->pub.mode == DP_IF_NATIVE	? "XDP, native mode"
		 : f->pub.mode == DP_IF_GENERIC ? "XDP, generic mode"
						: "no XDP",
		 f->pub.can_send || f->link < 0 ? "" : ", nothing is sent through it",
		 f->pub.reason[0] ? ": " : "", f->pub.reason);
}

static void judge_all(struct dp_xdp *x)
{
	bool any_native = false;
	unsigned int i;

	for (i = 0; i < x->n_ifs; i++)
		any_native |= x->ifs[i].pub.mode == DP_IF_NATIVE;
	for (i = 0; i < x->n_ifs; i++)
		if_judge(x, &x->ifs[i], any_native);
}

/* ---- looking at the links ---- */

struct look {
	struct dp_xdp *x;
	struct nl_cache *links;
};

static void see(struct nl_object *o, void *arg)
{
	struct look *look = arg;
	struct xdp_if *f = if_find(look->x, rtnl_link_get_ifindex((struct rtnl_link *)o));

	if (f)
		f->seen = true;
}

/* ask_generic - find out whether generic mode is possible now. True: the answer has changed. */
static bool ask_generic(struct look *look, struct xdp_if *f)
{
	bool vlans = xdp_ingress_has_vlans(look->links, f->pub.ifindex);
	char why[sizeof(f->not_generic)] = "";

	xdp_generic_fault(&f->pub, vlans, why, sizeof(why));
	if (strcmp(why, f->not_generic) == 0)
		return false;
	strcpy(f->not_generic, why);
	return true;
}

/*
 * is_settled - true if the interface is attached, or nothing has changed since the previous
 * attempt to attach. Then do not try again: some drivers reset the link at each attempt.
 */
static bool is_settled(struct look *look, struct xdp_if *f, struct rtnl_link *l)
{
	const bool asked = ask_generic(look, f);

	if (f->link >= 0 && f->pub.mode == DP_IF_GENERIC && f->not_generic[0]) {
		if_detach(look->x, f);
		return false;
	}
	return f->link >= 0 || (!asked && f->mtu == rtnl_link_get_mtu(l) &&
				f->foreign == xdp_foreign(f->pub.ifindex));
}

static void look_at(struct nl_object *o, void *arg)
{
	struct look *look = arg;
	struct dp_xdp *x = look->x;
	struct rtnl_link *l = (struct rtnl_link *)o;
	const char *name = rtnl_link_get_name(l), *no = unsuitable(look->links, l);
	unsigned int ifindex = rtnl_link_get_ifindex(l);
	bool up = rtnl_link_get_flags(l) & IFF_UP;
	struct xdp_if *f = if_find(x, ifindex);

	if (!f) {
		if (x->n_names ? !is_named(x, name) : no || !up)
			return;
		f = if_add(x, ifindex, name);
		if (!f)
			return;
		ask_generic(look, f);
	} else if (is_settled(look, f, l)) {
		snprintf(f->pub.name, sizeof(f->pub.name), "%s", name);
		return;
	}
	f->mtu = rtnl_link_get_mtu(l);
	if (no)
		snprintf(f->attached, sizeof(f->attached), "%s", no);
	else
		if_attach(x, f, x->mode);
}

/* The kernel has removed the program and the tx_ports element of interfaces that are gone. Their
 * pins are still there. */
static void forget_gone(struct dp_xdp *x)
{
	unsigned int i = 0;

	while (i < x->n_ifs) {
		if (x->ifs[i].seen) {
			i++;
			continue;
		}
		log_info("%s is gone", x->ifs[i].pub.name);
		if_detach(x, &x->ifs[i]);
		x->ifs[i] = x->ifs[--x->n_ifs];
	}
}

/* List named interfaces that do not exist: the operator wants to read why they are not served. */
static void add_missing(struct dp_xdp *x)
{
	struct xdp_if *f;
	unsigned int i, k;

	for (i = 0; i < x->n_names; i++) {
		for (k = 0; k < x->n_ifs && strcmp(x->ifs[k].pub.name, x->names[i]); k++)
			;
		f = k == x->n_ifs ? if_add(x, 0, x->names[i]) : NULL;
		if (f)
			snprintf(f->attached, sizeof(f->attached),
				 "there is no such interface; it is served once it is there");
	}
}

static void write_ingress(struct dp_xdp *x, struct nl_cache *links)
{
	unsigned int ifindex[RTPX_MAX_TX_PORTS], n = 0, i;

	for (i = 0; i < x->n_ifs; i++)
		if (x->ifs[i].link >= 0)
			ifindex[n++] = x->ifs[i].pub.ifindex;
	xdp_ingress_write(x->ingress, links, ifindex, n);
}

static unsigned int if_attached(const struct dp_xdp *x)
{
	unsigned int i, n = 0;

	for (i = 0; i < x->n_ifs; i++)
		n += x->ifs[i].link >= 0;
	return n;
}

/* Write dp.choice anew after each rescan. */
static void describe(struct dp_xdp *x)
{
	static const char *const modes[] = {
		[DP_IF_OFF] = "no XDP", [DP_IF_GENERIC] = "generic", [DP_IF_NATIVE] = "native"
	};
	char *text = x->dp.choice;
	const size_t size = sizeof(x->dp.choice);
	unsigned int i;
	size_t len;

	len = snprintf(text, size, "XDP:%s",
		       if_attached(x) ? "" : " no interface, the daemon's sockets carry every call:");
	for (i = 0; i < x->n_ifs && len < size; i++)
		len += snprintf(text + len, size - len, "%s %s %s", i ? "," : "",
				x->ifs[i].pub.name, modes[x->ifs[i].pub.mode]);
	if (!x->n_ifs)
		snprintf(text, size, "XDP: no Ethernet interface is up, the daemon's sockets carry "
				     "every call");
}

static void xdp_rescan(struct dp *dp)
{
	struct look look = { .x = xdp_of(dp) };
	struct dp_xdp *x = look.x;
	struct nl_sock *sk = nl_socket_alloc();
	unsigned int i;

	if (!sk || nl_connect(sk, NETLINK_ROUTE) < 0 ||
	    rtnl_link_alloc_cache(sk, AF_UNSPEC, &look.links) < 0) {
		log_warn("cannot read the links");
		nl_socket_free(sk);
		return;
	}
	for (i = 0; i < x->n_ifs; i++)
		x->ifs[i].seen = x->ifs[i].pub.ifindex == 0;
	/* An interface that was made again has the name and the pin of the old one. Forget the old
	 * one first. */
	nl_cache_foreach(look.links, see, &look);
	forget_gone(x);
	nl_cache_foreach(look.links, look_at, &look);
	add_missing(x);
	judge_all(x);
	write_ingress(x, look.links);
	describe(x);
	nl_cache_free(look.links);
	nl_socket_free(sk);
}

/* Flows are memory: no deletion fails. */
static void xdp_tend(struct dp *dp)
{
	(void)dp;
}

/* A detached link (for example by `bpftool link detach`) has no interface any more. */
static bool is_detached(int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(link, &info, &len) == 0 &&
	       info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == 0;
}

/* Our program was detached. The rescan attaches it again, or reports another program there. */
static void if_lose(struct dp_xdp *x, struct xdp_if *f)
{
	const uint32_t other = xdp_foreign(f->pub.ifindex);

	close(f->link);
	f->link = -1;
	f->pub.mode = DP_IF_OFF;
	xdp_pins_unlink(&x->pins, f->pin);
	f->foreign = FOREIGN_UNKNOWN;
	if (other)
		log_warn("%s: its XDP program was detached, and another XDP program (id %u) has "
			 "its place: its calls stay with the sockets until that one is removed: "
			 "bpftool net list dev %s",
			 f->pub.name, other, f->pub.name);
	else
		log_warn("%s: its XDP program was detached by another process; attaching it again",
			 f->pub.name);
}

/*
 * The kernel does not announce a detached program, so poll. Skip interfaces that are gone: route
 * netlink announces those.
 */
static bool xdp_look(struct dp *dp)
{
	struct dp_xdp *x = xdp_of(dp);
	bool moved = false;
	struct xdp_if *f;
	char name[IF_NAMESIZE];

	for (f = x->ifs; f < x->ifs + x->n_ifs; f++) {
		if (!f->pub.ifindex || !if_indextoname(f->pub.ifindex, name))
			continue;
		if (f->link >= 0 && is_detached(f->link)) {
			if_lose(x, f);
			moved = true;
		} else if (f->link < 0 && f->foreign != xdp_foreign(f->pub.ifindex)) {
			moved = true;
		}
	}
	return moved;
}

static bool xdp_serves(struct dp *dp, unsigned int ifindex)
{
	struct xdp_if *f = if_find(xdp_of(dp), ifindex);

	return f && f->pub.can_send;
}

static unsigned int xdp_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	struct dp_xdp *x = xdp_of(dp);
	unsigned int i;

	for (i = 0; i < MIN(max, x->n_ifs); i++)
		out[i] = x->ifs[i].pub;
	return x->n_ifs;
}

/* ---- taking over ---- */

/* The layout of these maps is unknown. The journal has the calls, so make their flows anew. */
static void replace_version(struct dp_xdp *x, const struct dp_opts *opts, uint32_t version)
{
	x->other_version = true;
	x->replaces = opts->adopt;
	log_warn("%s: the maps are of another version of rtpx (ABI %d, this one has %u): they are "
		 "replaced%s",
		 x->pins.dir, (int)version, RTPX_ABI_VERSION,
		 opts->adopt ? ", and the calls of the journal get new flows" : "");
}

static int refuse_ports(const struct dp_xdp *x, const struct rtpx_config *c, char *err,
			size_t err_size)
{
	snprintf(err, err_size,
		 "%.150s has calls on ports %u to %u, this rtpxd was given %u to %u: start it with "
		 "-m %u -M %u, let these calls end (SIGHUP) and change the ports then, or give "
		 "--discard-state to end them now",
		 x->pins.dir, c->port_min, c->port_max, x->config.port_min, x->config.port_max,
		 c->port_min, c->port_max);
	return -EPROTO;
}

/* look_at_pins - decide whether to take over the pins. 0, or -EPROTO with a sentence in @err. */
static int look_at_pins(struct dp_xdp *x, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct rtpx_config c;
	int rc;

	if (opts->discard) {
		unsigned int n = xdp_pins_remove(&x->pins, NULL);

		if (n)
			log_warn("removed %u pins from %s, as asked for", n, x->pins.dir);
		return 0;
	}
	rc = xdp_pins_config(&x->pins, &c);
	if (rc == -EPROTO)
		replace_version(x, opts, c.abi_version);
	if (rc || !opts->adopt)
		return 0;
	if (c.instance != x->config.instance) {
		log_warn("the maps in %s are not of the rtpxd whose calls are in the journal: they "
			 "are replaced, and the calls get new flows",
			 x->pins.dir);
		return 0;
	}
	if (c.port_min != x->config.port_min || c.port_max != x->config.port_max)
		return refuse_ports(x, &c, err, err_size);
	x->takes_over = true;
	return 0;
}

/*
 * Count inherited flows. A daemon that was killed while it wrote a flow has left it unfinished,
 * with unknown content. Clear such a flow; its call gets a new flow.
 */
static void count_inherited(struct dp_xdp *x)
{
	static const struct rtpx_flow none;
	unsigned int i, family, unfinished = 0;

	for (i = 0; i < x->n_elements; i++) {
		struct rtpx_entry *f = &x->flows[i];

		family = i / (x->n_elements / RTPX_FAMILIES);
		if (f->seq & 1) {
			rtpx_entry_put_flow(f, &x->more[i], &none, family);
			write_end(f);
			unfinished++;
		}
		x->dp.inherited += (f->flags & RTPX_FLOW_ACTIVE) != 0;
	}
	if (unfinished)
		log_warn("%u flows were being written when the last rtpxd was killed", unfinished);
}

/* link_mode - the mode in which the kernel runs the link's program. */
static int link_mode(const struct bpf_link_info *info)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)info->xdp.ifindex, 0, &q))
		return DP_IF_OFF;
	return q.drv_prog_id == info->prog_id	? DP_IF_NATIVE
	       : q.skb_prog_id == info->prog_id ? DP_IF_GENERIC
						: DP_IF_OFF;
}

static bool is_wanted(const struct dp_xdp *x, const char *name, int mode)
{
	if (x->n_names && !is_named(x, name))
		return false;
	return mode != DP_IF_OFF &&
	       (x->mode == DP_MODE_AUTO || (x->mode == DP_MODE_NATIVE) == (mode == DP_IF_NATIVE));
}

/* put_program - replace the link's program by ours, between two packets. */
static int put_program(const struct dp_xdp *x, int link, int mode)
{
	return bpf_link_update(link,
			       bpf_program__fd(mode == DP_IF_NATIVE ? x->skel->progs.rtpx_relay
								    : x->skel->progs.rtpx_generic),
			       NULL);
}

/*
 * Take over one link of the previous daemon. It gets our program: now, or in xdp_settled() with
 * x->replaces. Remove a link that is not wanted or fails; the rescan may attach anew.
 */
static void take_link(void *arg, const char *pin, int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char name[IF_NAMESIZE] = "";
	struct dp_xdp *x = arg;
	struct xdp_if *f = NULL;
	int mode = DP_IF_OFF, rc = 0;

	if (bpf_obj_get_info_by_fd(link, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	    if_indextoname(info.xdp.ifindex, name))
		mode = link_mode(&info);
	if (is_wanted(x, name, mode)) {
		rc = x->replaces ? 0 : put_program(x, link, mode);
		f = rc ? NULL : if_add(x, info.xdp.ifindex, name);
	}
	if (f) {
		f->link = link;
		f->pub.mode = mode;
		snprintf(f->pin, sizeof(f->pin), "%s", pin);
		return;
	}
	if (rc)
		log_warn("%s: the kernel does not replace the program of the last rtpxd: %s", name,
			 strerror(-rc));
	bpf_link_detach(link);
	close(link);
	xdp_pins_unlink(&x->pins, pin);
}

/* Remove from tx_ports the interfaces that the previous daemon allowed and this one does not. */
static void forget_tx_ports(struct dp_xdp *x)
{
	const int fd = bpf_map__fd(x->skel->maps.tx_ports);
	uint32_t keys[RTPX_MAX_TX_PORTS], key, *last = NULL;
	unsigned int n = 0, i;
	struct xdp_if *f;

	while (n < ARRAY_SIZE(keys) && bpf_map_get_next_key(fd, last, &key) == 0) {
		keys[n] = key;
		last = &keys[n++];
	}
	for (i = 0; i < n; i++) {
		f = if_find(x, keys[i]);
		if (!f || !f->pub.can_send)
			bpf_map_delete_elem(fd, &keys[i]);
	}
}

/* Take over the flows and interfaces of the previous daemon. */
static void take_over(struct dp_xdp *x)
{
	count_inherited(x);
	xdp_pins_links(&x->pins, take_link, x);
	log_info("taken over from the last rtpxd: %u flows, the program on %u interfaces",
		 x->dp.inherited, x->n_ifs);
}

/*
 * Pin our own maps, because the maps of the previous daemon are not usable. Its program continues
 * with its own maps until xdp_settled(). Without it, all calls would lose forwarding until they
 * have their new flows.
 */
static int replace(struct dp_xdp *x, char *err, size_t err_size)
{
	xdp_pins_links(&x->pins, take_link, x);
	xdp_pins_forget_maps(&x->pins);
	x->dp.waits = true;
	return xdp_pins_maps(&x->pins, x->skel->obj, err, err_size);
}

static void xdp_settled(struct dp *dp)
{
	struct dp_xdp *x = xdp_of(dp);
	unsigned int i;
	int rc;

	if (!dp->waits)
		return;
	dp->waits = false;
	for (i = 0; i < x->n_ifs; i++) {
		struct xdp_if *f = &x->ifs[i];

		rc = f->link < 0 ? 0 : put_program(x, f->link, f->pub.mode);
		if (!rc)
			continue;
		log_warn("%s: the kernel does not replace the program of the previous rtpxd: %s",
			 f->pub.name, strerror(-rc));
		if_detach(x, f);
	}
	xdp_rescan(dp);
}

/* Remove all pins of a dead daemon and pin fresh maps. */
static int start_anew(struct dp_xdp *x, char *err, size_t err_size)
{
	unsigned int n = xdp_pins_remove(&x->pins, x->other_version ? NULL : x->skel->obj);

	if (n)
		log_warn("removed %u pins that a killed rtpxd had left in %s", n, x->pins.dir);
	return xdp_pins_maps(&x->pins, x->skel->obj, err, err_size);
}

/* ---- beginning and end ---- */

/*
 * Map an array into this process. The kernel has allocated all of it. MAP_POPULATE counts all of it
 * as this process's memory at once, and no call causes a page fault later.
 */
static void *map_memory(struct bpf_map *map, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       bpf_map__fd(map), 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Open the object and choose its maps: the pinned maps, or new ones. 0 or -errno. */
static int open_object(struct dp_xdp *x)
{
	char why[200];

	x->skel = relay__open();
	if (x->skel && x->takes_over && xdp_pins_reuse(&x->pins, x->skel->obj, why, sizeof(why))) {
		log_warn("what the last rtpxd had in the kernel cannot be taken over, its calls "
			 "get new flows: in %s %s",
			 x->pins.dir, why);
		x->takes_over = false;
		x->replaces = true;
		relay__destroy(x->skel);
		x->skel = relay__open();
	}
	if (!x->skel)
		return -errno;
	if (x->takes_over) {
		x->dp.mirrors = bpf_map__max_entries(x->skel->maps.mirror) > ring_bytes(0);
		return 0;
	}
	bpf_map__set_max_entries(x->skel->maps.flows, x->n_elements);
	bpf_map__set_max_entries(x->skel->maps.flows_more, x->n_elements);
	return ring_open(x);
}

static int load(struct dp_xdp *x, char *err, size_t err_size)
{
	uint32_t key = 0;
	int rc;

	xdp_messages();
	rc = open_object(x);
	if (rc == 0)
		rc = relay__load(x->skel);
	if (rc)
		goto err;
	rc = bpf_map_update_elem(bpf_map__fd(x->skel->maps.config), &key, &x->config, BPF_ANY);
	if (rc)
		goto err;
	x->flows = map_memory(x->skel->maps.flows, x->n_elements * sizeof(*x->flows));
	x->more = map_memory(x->skel->maps.flows_more, x->n_elements * sizeof(*x->more));
	rc = x->flows && x->more ? ring_map(x) : -errno;
	if (rc == 0)
		rc = xdp_ingress_new(&x->ingress, bpf_map__fd(x->skel->maps.ingress));
	if (rc == 0)
		return 0;
err:
	if (rc == -EPERM)
		snprintf(err, err_size,
			 "the kernel refuses BPF to this process (%s): run as root, or with "
			 "CAP_BPF, CAP_NET_ADMIN "
			 "and CAP_PERFMON",
			 strerror(-rc));
	else if (rc == -EACCES)
		snprintf(err, err_size,
			 "the kernel's verifier refuses the XDP program: run as root, or with "
			 "CAP_PERFMON; if that is so already, it does not suit this kernel");
	else if (rc == -ENOMEM)
		snprintf(err, err_size, "no memory for %u flows: use fewer ports (-m, -M)",
			 x->n_elements);
	else
		snprintf(err, err_size, "the kernel refuses the XDP program (%s): %.200s",
			 strerror(-rc), xdp_last_words());
	return rc;
}

/*
 * If no interface can send in native mode, switch all to generic mode, which sends through all of
 * them. Later interfaces get generic mode too: frames from one native interface could not leave
 * through the others. Do this only at the beginning: a later change would interrupt calls.
 */
static void reconsider_mode(struct dp_xdp *x)
{
	struct xdp_if *f;
	char why[300];
	unsigned int i;

	if (x->mode != DP_MODE_AUTO)
		return;
	for (i = 0; i < x->n_ifs; i++)
		if (x->ifs[i].pub.can_send)
			return;
	for (f = x->ifs; f < x->ifs + x->n_ifs; f++) {
		if (f->pub.mode != DP_IF_NATIVE)
			continue;
		snprintf(why, sizeof(why), "native mode is of no use: %s", f->pub.reason);
		x->mode = DP_MODE_GENERIC;
		if_detach(x, f);
		if_attach(x, f, DP_MODE_GENERIC);
		if (f->link >= 0)
			snprintf(f->attached, sizeof(f->attached), "%.255s", why);
	}
	judge_all(x);
}

static int check_any(const struct dp_xdp *x, char *err, size_t err_size)
{
	if (if_attached(x))
		return 0;
	if (x->n_ifs)
		snprintf(err, err_size, "no interface takes the program: %s: %s",
			 x->ifs[0].pub.name, x->ifs[0].pub.reason);
	else
		snprintf(err, err_size,
			 "there is no Ethernet interface that is up: ip link set dev IFNAME up, or "
			 "name one with --interface");
	return -ENODEV;
}

static void xdp_close(struct dp *dp, bool keep)
{
	struct dp_xdp *x = xdp_of(dp);
	unsigned int i;

	for (i = 0; i < x->n_ifs; i++) {
		if (!keep)
			if_detach(x, &x->ifs[i]);
		else if (x->ifs[i].link >= 0)
			close(x->ifs[i].link);
	}
	if (x->owns_pins && !keep)
		xdp_pins_remove(&x->pins, x->skel->obj);
	if (x->flows)
		munmap(x->flows, x->n_elements * sizeof(*x->flows));
	if (x->more)
		munmap(x->more, x->n_elements * sizeof(*x->more));
	ring_buffer__free(x->ring);
	xdp_ingress_free(x->ingress);
	if (x->skel)
		relay__destroy(x->skel);
	xdp_pins_close(&x->pins, keep);
	for (i = 0; i < x->n_names; i++)
		free(x->names[i]);
	free(x->ifs);
	free(x);
}

static const struct dp_ops xdp_ops = {
	.name = "xdp",
	.flow_put = xdp_flow_put,
	.flow_del = xdp_flow_del,
	.stats_get = xdp_stats_get,
	.stats_set = xdp_stats_set,
	.flow_get = xdp_flow_get,
	.nexthop_put = xdp_nexthop_put,
	.serves = xdp_serves,
	.interfaces = xdp_interfaces,
	.settled = xdp_settled,
	.tend = xdp_tend,
	.rescan = xdp_rescan,
	.look = xdp_look,
	.mirrored = xdp_mirrored,
	.counters = xdp_counters,
	.close = xdp_close,
};

static int take_options(struct dp_xdp *x, const struct dp_opts *opts)
{
	unsigned int i;

	x->dp.ops = &xdp_ops;
	x->dp.active = true;
	x->pins.fd = -1;
	x->mode = opts->mode;
	x->config.abi_version = RTPX_ABI_VERSION;
	x->config.port_min = opts->port_min;
	x->config.port_max = opts->port_max;
	x->config.silence_ms = opts->silence_ms;
	x->config.instance = opts->instance;
	x->mirror_bytes = opts->mirror_bytes;
	x->n_elements = RTPX_FAMILIES * (opts->port_max - opts->port_min + 1u);
	for (i = 0; i < opts->n_interfaces; i++) {
		x->names[i] = strdup(opts->interfaces[i]);
		if (!x->names[i])
			return -ENOMEM;
		x->n_names++;
	}
	return 0;
}

int dp_xdp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct dp_xdp *x = calloc(1, sizeof(*x));
	int rc;

	snprintf(err, err_size, "out of memory");
	if (!x)
		return -ENOMEM;
	rc = take_options(x, opts);
	if (rc == 0)
		rc = xdp_pins_open(&x->pins, opts->pin_dir, err, err_size);
	if (rc == 0)
		rc = look_at_pins(x, opts, err, err_size);
	if (rc == 0)
		rc = load(x, err, err_size);
	if (rc)
		goto err_close;
	if (x->takes_over)
		take_over(x);
	else if (x->replaces)
		rc = replace(x, err, err_size);
	else
		rc = start_anew(x, err, err_size);
	x->owns_pins = true;
	if (rc)
		goto err_close;
	xdp_rescan(&x->dp);
	reconsider_mode(x);
	if (x->takes_over)
		forget_tx_ports(x);
	describe(x);
	rc = check_any(x, err, err_size);
	if (rc)
		goto err_close;
	*out = &x->dp;
	return 0;

err_close:
	xdp_close(&x->dp, x->takes_over || x->replaces);
	return rc;
}

void dp_xdp_abandon(const struct dp_opts *opts)
{
	struct rtpx_config c;
	struct xdp_pins pins;
	char err[300];
	unsigned int n = 0;
	int rc;

	if (!opts->adopt || access(opts->pin_dir, F_OK) ||
	    xdp_pins_open(&pins, opts->pin_dir, err, sizeof(err)))
		return;
	rc = xdp_pins_config(&pins, &c);
	if (rc == 0 && c.instance == opts->instance)
		n = xdp_pins_remove(&pins, NULL);
	xdp_pins_close(&pins, !n);
	if (n)
		log_warn("the last rtpxd had XDP, this one has not: its flows are removed from %s",
			 opts->pin_dir);
	else if (rc == -EPROTO)
		log_warn("%s has flows of another version of rtpx, which go on: --discard-state "
			 "would end them",
			 opts->pin_dir);
}
