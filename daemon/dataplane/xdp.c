/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp.c - the XDP dataplane: the program, and its maps in one directory of pins. xdp_ifs.h has the
 * interfaces that run the program.
 *
 * Flows and statistics are memory shared with the program. Flows are written by the protocol of
 * rtpx_entry.seq, without a system call per flow. Statistics are read without a lock. While they
 * are set, packets go to the daemon.
 *
 * Maps and links are pinned (xdp_pins.h), so a killed daemon stops no call. A daemon that has the
 * calls of these flows (opts->adopt) takes over the pins. It keeps the maps and replaces the
 * program of each link between two packets. A daemon without these calls removes the pins of a dead
 * daemon.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/xdp.h"
#include "base/log.h"
#include "base/refuse.h"
#include "call/ports.h"
#include "rtpx_entry.h"
#include "relay.skel.h"
#include "dataplane/xdp_attach.h"
#include "dataplane/xdp_hops.h"
#include "dataplane/xdp_ifs.h"
#include "dataplane/xdp_ingress.h"
#include "dataplane/xdp_pins.h"
#include "dataplane/xdp_pools.h"
#include "dataplane/xdp_stats.h"

#define OLD_PROGRAM_US 2000 /* after which no CPU runs a replaced program any more */

struct dp_xdp {
	struct dp dp;
	struct relay *skel;
	struct rtpx_config config;
	enum rtpx_family family[RTPX_MAX_POOLS]; /* by pool */
	const struct addr *own;	 /* by pool, from RTPX_FAMILIES on; valid while it opens */
	unsigned int n_elements; /* in flows and in flows_more */
	struct rtpx_entry *flows;
	struct rtpx_entry_more *more;
	/* a bit for each element with a flow, so that G and I do not read an empty table */
	uint64_t *active;
	uint32_t mirror_bytes;
	bool mirrors;			   /* the map of copies has its full size */
	struct ring_buffer *ring;	   /* has the copies; NULL without @mirrors */
	const struct dp_mirror_sink *sink; /* while the ring is drained */
	unsigned int to_drain;
	struct xdp_pins pins;
	struct xdp_ingress *ingress;
	struct xdp_hops *hops;
	struct xdp_ifs *ifs;
	bool takes_over;    /* keeps maps and links of the previous daemon */
	bool replaces;	    /* keeps its links, but makes new maps; see replace() */
	bool other_version; /* the pinned maps are of another version and may have any name */
	bool owns_pins;	    /* the directory has no pins of another daemon */
};

static struct dp_xdp *xdp_of(struct dp *dp)
{
	return container_of(dp, struct dp_xdp, dp);
}

/* ---- flows ---- */

static int element(const struct dp_xdp *x, unsigned int pool, uint16_t port, uint32_t *i)
{
	if (pool >= x->dp.pools || port < x->config.port_min || port > x->config.port_max)
		return -ERANGE;
	*i = rtpx_flow_index(&x->config, pool, port);
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
 * Packets that find a flow half written go to the daemon, so write a flow only if it differs, or if
 * a daemon was killed while it wrote.
 */
static bool is_same(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		    const struct rtpx_flow *flow)
{
	struct rtpx_flow now;

	rtpx_entry_get_flow(e, m, &now);
	now.seq = flow->seq;
	return memcmp(&now, flow, sizeof(now)) == 0;
}

static int xdp_flow_put(struct dp *dp, unsigned int pool, uint16_t port,
			const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	struct dp_xdp *x = xdp_of(dp);
	struct rtpx_flow now = *flow;
	struct rtpx_entry *f;
	uint32_t i;
	int rc = element(x, pool, port, &i);

	if (rc)
		return rc;
	if (!(flow->flags & RTPX_FLOW_ACTIVE) || flow->port != port || flow->nexthop == 0)
		return -EINVAL;
	f = &x->flows[i];
	now.nexthop = xdp_hops_join(x->hops, i, flow->nexthop);
	if (!seed && !(f->seq & 1) && is_same(f, &x->more[i], &now))
		return 0;
	write_begin(f);
	x->active[i / 64] |= 1ull << i % 64;
	rtpx_entry_put_flow(f, &x->more[i], &now, x->family[pool]);
	if (seed)
		rtpx_entry_put_stats(f, &x->more[i], seed);
	write_end(f);
	return 0;
}

static int active_element(const struct dp_xdp *x, unsigned int pool, uint16_t port, uint32_t *i)
{
	if (element(x, pool, port, i) || !(x->flows[*i].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	return 0;
}

static int xdp_flow_del(struct dp *dp, unsigned int pool, uint16_t port,
			struct rtpx_flow_stats *last)
{
	static const struct rtpx_flow none;
	struct dp_xdp *x = xdp_of(dp);
	struct rtpx_entry *f;
	uint32_t i;

	if (active_element(x, pool, port, &i))
		return -ENOENT;
	f = &x->flows[i];
	write_begin(f);
	x->active[i / 64] &= ~(1ull << i % 64);
	rtpx_entry_put_flow(f, &x->more[i], &none, RTPX_FAMILY_IP4);
	write_end(f);
	xdp_hops_part(x->hops, i);
	if (last)
		xdp_stats_read(f, &x->more[i], last);
	return 0;
}

static int xdp_stats_get(struct dp *dp, unsigned int pool, uint16_t port,
			 struct rtpx_flow_stats *out)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t i;

	if (active_element(x, pool, port, &i))
		return -ENOENT;
	xdp_stats_read(&x->flows[i], &x->more[i], out);
	return 0;
}

static uint32_t active_words(const struct dp_xdp *x)
{
	return (x->n_elements + 63) / 64;
}

static int xdp_totals(struct dp *dp, struct dp_totals *out)
{
	struct dp_xdp *x = xdp_of(dp);
	uint64_t left;
	uint32_t word, i;

	*out = (struct dp_totals){ 0 };
	for (word = 0; word < active_words(x); word++)
		for (left = x->active[word]; left; left &= left - 1) {
			i = word * 64 + __builtin_ctzll(left);
			xdp_stats_add(&x->flows[i], &x->more[i], out);
		}
	return 0;
}

/*
 * A program that had looked at the flow before write_begin() may still count its packet during the
 * comparison, which sees it, or in the 100 ns after that.
 */
static int xdp_stats_set(struct dp *dp, unsigned int pool, uint16_t port,
			 const struct rtpx_flow_stats *before, const struct rtpx_flow_stats *in)
{
	struct dp_xdp *x = xdp_of(dp);
	struct rtpx_flow_stats now;
	bool is_before;
	uint32_t i;

	if (active_element(x, pool, port, &i))
		return -ENOENT;
	write_begin(&x->flows[i]);
	xdp_stats_read(&x->flows[i], &x->more[i], &now);
	is_before = now.packets == before->packets && now.strangers == before->strangers;
	if (is_before)
		rtpx_entry_put_stats(&x->flows[i], &x->more[i], in);
	write_end(&x->flows[i]);
	return is_before ? 0 : -EAGAIN;
}

static int xdp_flow_get(struct dp *dp, unsigned int pool, uint16_t port, struct rtpx_flow *out)
{
	struct dp_xdp *x = xdp_of(dp);
	uint32_t i;

	if (active_element(x, pool, port, &i))
		return -ENOENT;
	rtpx_entry_get_flow(&x->flows[i], &x->more[i], out);
	out->nexthop = xdp_hops_id(x->hops, i);
	return 0;
}

static int xdp_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	if (id == 0)
		return -EINVAL;
	return xdp_hops_put(xdp_of(dp)->hops, id, nh);
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
	x->mirrors = fd >= 0;
	if (fd < 0 && errno == EPERM)
		return -EPERM;
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
	if (!x->mirrors)
		return 0;
	x->ring = ring_buffer__new(bpf_map__fd(x->skel->maps.mirror), on_mirrored, x, NULL);
	if (!x->ring)
		return -errno;
	x->dp.mirrored = xdp_mirrored;
	x->dp.mirror_fd = ring_buffer__epoll_fd(x->ring);
	return 0;
}

/* ---- interfaces ---- */

static void xdp_rescan(struct dp *dp)
{
	struct dp_xdp *x = xdp_of(dp);

	xdp_ifs_rescan(x->ifs);
	xdp_ifs_describe(x->ifs, dp->choice, sizeof(dp->choice));
}

static bool xdp_look(struct dp *dp)
{
	return xdp_ifs_look(xdp_of(dp)->ifs);
}

static bool xdp_serves(struct dp *dp, unsigned int ifindex)
{
	return xdp_ifs_serves(xdp_of(dp)->ifs, ifindex);
}

static unsigned int xdp_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	return xdp_ifs_list(xdp_of(dp)->ifs, out, max);
}

/* Flows are memory: no deletion fails. */
static void xdp_tend(struct dp *dp)
{
	(void)dp;
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

static int refuse_bpf(char *err, size_t err_size)
{
	return refuse(err, err_size, -EPERM,
		      "the kernel refuses BPF to this process (%s): run as root, or with CAP_BPF, "
		      "CAP_NET_ADMIN and CAP_PERFMON; a container may need another seccomp profile",
		      strerror(EPERM));
}

/*
 * look_at_pins - decide whether to take over the pins. 0, -EPERM, or -EPROTO, with a sentence in
 * @err.
 */
static int look_at_pins(struct dp_xdp *x, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct rtpx_config c;
	int rc;

	if (opts->discard) {
		unsigned int n = xdp_pins_remove(&x->pins, NULL);

		if (n)
			log_warn("removed %u pins from %s (--discard-state)", n, x->pins.dir);
		return 0;
	}
	rc = xdp_pins_config(&x->pins, &c);
	if (rc == -EPERM)
		return refuse_bpf(err, err_size);
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
	if (c.pools != x->config.pools || c.addresses != x->config.addresses) {
		log_info("%s: the maps are for other local addresses (-l, -6): they are replaced, "
			 "and the calls get new flows",
			 x->pins.dir);
		x->replaces = true;
		return 0;
	}
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
	unsigned int i, unfinished = 0;

	for (i = 0; i < x->n_elements; i++) {
		struct rtpx_entry *f = &x->flows[i];

		if (f->seq & 1) {
			rtpx_entry_put_flow(f, &x->more[i], &none, RTPX_FAMILY_IP4);
			write_end(f);
			unfinished++;
		}
		if (f->flags & RTPX_FLOW_ACTIVE) {
			x->dp.inherited++;
			xdp_hops_inherit(x->hops, i);
			x->active[i / 64] |= 1ull << i % 64;
		}
	}
	if (unfinished)
		log_warn("%u flows were being written when the previous rtpxd was "
			 "killed",
			 unfinished);
}

/* Take over the flows and interfaces of the previous daemon. */
static void take_over(struct dp_xdp *x)
{
	count_inherited(x);
	xdp_ifs_take_over(x->ifs, false);
	log_info("taken over from the previous rtpxd: %u flows, the program on %u interfaces",
		 x->dp.inherited, xdp_ifs_count(x->ifs));
}

/*
 * Pin our own maps, because the maps of the previous daemon are not usable. Its program continues
 * with its own maps until xdp_settled(). Without it, all calls would lose forwarding until they
 * have their new flows.
 */
static int replace(struct dp_xdp *x, char *err, size_t err_size)
{
	xdp_ifs_take_over(x->ifs, true);
	xdp_pins_forget_maps(&x->pins);
	x->dp.waits = true;
	return xdp_pins_maps(&x->pins, x->skel->obj, err, err_size);
}

static void xdp_settled(struct dp *dp)
{
	if (!dp->waits)
		return;
	dp->waits = false;
	xdp_ifs_put_program(xdp_of(dp)->ifs);
	xdp_rescan(dp);
}

/* Remove all pins of a dead daemon and pin fresh maps. */
static int start_anew(struct dp_xdp *x, char *err, size_t err_size)
{
	unsigned int n = xdp_pins_remove(&x->pins, x->other_version ? NULL : x->skel->obj);

	if (n)
		log_info("removed %u pins of the previous rtpxd in %s: the journal has no call "
			 "that uses them",
			 n, x->pins.dir);
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
		log_warn("the maps of the previous rtpxd cannot be taken over, so its calls get "
			 "new flows: in %s %s",
			 x->pins.dir, why);
		x->takes_over = false;
		x->replaces = true;
		relay__destroy(x->skel);
		x->skel = relay__open();
	}
	if (!x->skel)
		return -errno;
	if (x->takes_over) {
		x->mirrors = bpf_map__max_entries(x->skel->maps.mirror) > ring_bytes(0);
		return 0;
	}
	bpf_map__set_max_entries(x->skel->maps.flows, x->n_elements);
	bpf_map__set_max_entries(x->skel->maps.flows_more, x->n_elements);
	return ring_open(x);
}

/* The program knows these when it is verified, so it has no code for what is not in use. */
static int set_constants(struct dp_xdp *x)
{
	struct rtpx_pools pools;

	if (!xdp_pools_make(&pools, x->own, x->dp.pools - RTPX_FAMILIES))
		return -EINVAL;
	x->skel->rodata->media_first = x->config.port_min;
	x->skel->rodata->media_ports = x->n_elements / x->dp.pools;
	x->skel->rodata->media_pools = x->dp.pools;
	memcpy((void *)&x->skel->rodata->pools, &pools, sizeof(pools));
	return 0;
}

static struct xdp_hops_opts hops_opts(const struct dp_xdp *x)
{
	return (struct xdp_hops_opts){
		.nexthops = bpf_map__fd(x->skel->maps.nexthops),
		.tx_ports = bpf_map__fd(x->skel->maps.tx_ports),
		.flows = x->flows,
		.n_flows = x->n_elements,
	};
}

static int open_hops(struct dp_xdp *x)
{
	const struct xdp_hops_opts o = hops_opts(x);

	return xdp_hops_new(&x->hops, &o);
}

static int load(struct dp_xdp *x, char *err, size_t err_size)
{
	uint32_t key = 0;
	int rc;

	xdp_messages();
	rc = open_object(x);
	if (rc == 0)
		rc = set_constants(x);
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
	x->active = calloc(active_words(x), sizeof(*x->active));
	if (rc == 0 && !x->active)
		rc = -ENOMEM;
	if (rc == 0)
		rc = xdp_ingress_new(&x->ingress, bpf_map__fd(x->skel->maps.ingress),
				     x->skel->bss->plain_ingress);
	if (rc == 0)
		rc = open_hops(x);
	if (rc == 0)
		return 0;
err:
	if (rc == -EPERM)
		refuse_bpf(err, err_size);
	else if (rc == -EACCES)
		snprintf(err, err_size,
			 "the kernel's verifier refuses the XDP program: run as root, or with "
			 "CAP_PERFMON; if rtpxd has it already, the program does not suit this "
			 "kernel");
	else if (rc == -ENOMEM)
		snprintf(err, err_size, "no memory for %u flows: use fewer ports (-m, -M)",
			 x->n_elements);
	else
		snprintf(err, err_size, "the kernel refuses the XDP program (%s): %.200s",
			 strerror(-rc), xdp_last_words());
	return rc;
}

static void xdp_close(struct dp *dp, bool keep)
{
	struct dp_xdp *x = xdp_of(dp);

	xdp_ifs_close(x->ifs, keep);
	if (x->owns_pins && !keep)
		xdp_pins_remove(&x->pins, x->skel->obj);
	if (x->flows)
		munmap(x->flows, x->n_elements * sizeof(*x->flows));
	if (x->more)
		munmap(x->more, x->n_elements * sizeof(*x->more));
	free(x->active);
	ring_buffer__free(x->ring);
	xdp_ingress_free(x->ingress);
	xdp_hops_free(x->hops);
	if (x->skel)
		relay__destroy(x->skel);
	xdp_pins_close(&x->pins, keep);
	free(x);
}

static void take_pools(struct dp_xdp *x, const struct addr *own, unsigned int n)
{
	unsigned int pool;

	x->own = own;
	x->dp.pools = RTPX_FAMILIES + n;
	x->config.pools = x->dp.pools;
	x->config.addresses = xdp_pools_sum(own, n);
	x->n_elements = x->dp.pools * (x->config.port_max - x->config.port_min + 1u);
	for (pool = 0; pool < x->dp.pools; pool++)
		x->family[pool] =
			pool < RTPX_FAMILIES ? pool : ports_family_of(&own[pool - RTPX_FAMILIES]);
}

/* ---- one pool more ---- */

/*
 * The size of a map is fixed, and the program knows its pools. So there is a second program with
 * larger maps of flows, which shares all other maps. It gets the flows and takes the place of ours,
 * on each interface between two packets. The packets that ours has counted meanwhile are added.
 */

static bool is_of_flows(const struct relay *skel, const struct bpf_map *map)
{
	return map == skel->maps.flows || map == skel->maps.flows_more;
}

static int share_maps(struct relay *to, const struct relay *from)
{
	struct bpf_map *map, *mine;
	int rc = 0;

	bpf_object__for_each_map(map, to->obj)
	{
		if (rc || bpf_map__is_internal(map) || is_of_flows(to, map))
			continue;
		mine = bpf_object__find_map_by_name(from->obj, bpf_map__name(map));
		rc = bpf_map__reuse_fd(map, bpf_map__fd(mine));
	}
	return rc;
}

static void larger_free(struct dp_xdp *next)
{
	if (next->flows)
		munmap(next->flows, next->n_elements * sizeof(*next->flows));
	if (next->more)
		munmap(next->more, next->n_elements * sizeof(*next->more));
	free(next->active);
	relay__destroy(next->skel);
}

/* @next is a copy of @x with one pool more; it gets a program and memory of its own. */
static int larger_open(struct dp_xdp *next, const struct dp_xdp *x)
{
	int rc;

	next->flows = NULL;
	next->more = NULL;
	next->active = calloc(active_words(next), sizeof(*next->active));
	next->skel = relay__open();
	if (!next->active || !next->skel)
		return -ENOMEM;
	rc = share_maps(next->skel, x->skel);
	bpf_map__set_max_entries(next->skel->maps.flows, next->n_elements);
	bpf_map__set_max_entries(next->skel->maps.flows_more, next->n_elements);
	if (rc == 0)
		rc = set_constants(next);
	if (rc == 0)
		rc = relay__load(next->skel);
	if (rc)
		return rc;
	next->flows = map_memory(next->skel->maps.flows, next->n_elements * sizeof(*x->flows));
	next->more = map_memory(next->skel->maps.flows_more, next->n_elements * sizeof(*x->more));
	return next->flows && next->more ? 0 : -ENOMEM;
}

/* Call @fn for each element of @x with a flow. */
static void each_active(const struct dp_xdp *x, struct dp_xdp *next, struct rtpx_flow_stats *seen,
			void (*fn)(const struct dp_xdp *x, struct dp_xdp *next, uint32_t i,
				   struct rtpx_flow_stats *seen))
{
	uint64_t left;
	uint32_t word;

	for (word = 0; word < active_words(x); word++)
		for (left = x->active[word]; left; left &= left - 1) {
			uint32_t i = word * 64 + __builtin_ctzll(left);

			fn(x, next, i, &seen[i]);
		}
}

static void larger_copy(const struct dp_xdp *x, struct dp_xdp *next, uint32_t i,
			struct rtpx_flow_stats *seen)
{
	unsigned int ports = x->n_elements / x->dp.pools;
	struct rtpx_flow flow;

	rtpx_entry_get_flow(&x->flows[i], &x->more[i], &flow);
	xdp_stats_read(&x->flows[i], &x->more[i], seen);
	write_begin(&next->flows[i]);
	rtpx_entry_put_flow(&next->flows[i], &next->more[i], &flow, x->family[i / ports]);
	rtpx_entry_put_stats(&next->flows[i], &next->more[i], seen);
	write_end(&next->flows[i]);
	next->active[i / 64] |= 1ull << i % 64;
}

static void larger_count(const struct dp_xdp *x, struct dp_xdp *next, uint32_t i,
			 struct rtpx_flow_stats *seen)
{
	struct rtpx_flow_stats now, *to = &next->more[i].stats;

	xdp_stats_read(&x->flows[i], &x->more[i], &now);
	__atomic_fetch_add(&to->packets, now.packets - seen->packets, __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->bytes, now.bytes - seen->bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&to->strangers, now.strangers - seen->strangers, __ATOMIC_RELAXED);
}

/* Pins first: a daemon that finds them with the previous configuration makes new maps. */
static int larger_pin(struct dp_xdp *next)
{
	uint32_t key = 0;
	int rc = xdp_pins_map(&next->pins, next->skel->maps.flows);

	if (rc == 0)
		rc = xdp_pins_map(&next->pins, next->skel->maps.flows_more);
	if (rc == 0 &&
	    bpf_map_update_elem(bpf_map__fd(next->skel->maps.config), &key, &next->config, BPF_ANY))
		rc = -errno;
	return rc;
}

/* Put @next into the place of @x. From here on nothing fails. */
static void larger_switch(struct dp_xdp *x, struct dp_xdp *next, struct rtpx_flow_stats *seen)
{
	struct dp_xdp old = *x;

	each_active(x, next, seen, larger_copy);
	xdp_ingress_move(x->ingress, bpf_map__fd(next->skel->maps.ingress),
			 next->skel->bss->plain_ingress);
	*x = *next;
	xdp_ifs_change_program(x->ifs, bpf_program__fd(x->skel->progs.rtpx_relay),
			       bpf_program__fd(x->skel->progs.rtpx_generic));
	usleep(OLD_PROGRAM_US);
	each_active(&old, x, seen, larger_count);
	larger_free(&old);
}

/* Make @next ready. On an error nothing has changed. */
static int larger_make(struct dp_xdp *x, struct dp_xdp *next)
{
	struct xdp_hops_opts hops;
	int rc = larger_open(next, x);

	if (rc)
		return rc;
	rc = larger_pin(next);
	hops = hops_opts(next);
	if (rc == 0)
		rc = xdp_hops_move(x->hops, &hops);
	if (rc)
		larger_pin(x);
	return rc;
}

static int xdp_pool_add(struct dp *dp, const struct addr *own, unsigned int n)
{
	struct dp_xdp *x = xdp_of(dp), next = *x;
	struct rtpx_flow_stats *seen;
	int rc;

	if (RTPX_FAMILIES + n != x->dp.pools + 1 || x->dp.pools == RTPX_MAX_POOLS || dp->waits)
		return -EINVAL;
	seen = calloc(x->n_elements, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	take_pools(&next, own, n);
	rc = larger_make(x, &next);
	if (rc)
		larger_free(&next);
	else
		larger_switch(x, &next, seen);
	free(seen);
	return rc;
}

static const struct dp_links xdp_links = {
	.serves = xdp_serves,
	.interfaces = xdp_interfaces,
	.settled = xdp_settled,
	.rescan = xdp_rescan,
	.look = xdp_look,
};

static const struct dp_ops xdp_ops = {
	.name = "xdp",
	.flow_put = xdp_flow_put,
	.flow_del = xdp_flow_del,
	.stats_get = xdp_stats_get,
	.stats_set = xdp_stats_set,
	.totals = xdp_totals,
	.flow_get = xdp_flow_get,
	.nexthop_put = xdp_nexthop_put,
	.tend = xdp_tend,
	.counters = xdp_counters,
	.close = xdp_close,
};

static void take_options(struct dp_xdp *x, const struct dp_opts *opts)
{
	x->dp.ops = &xdp_ops;
	x->dp.links = &xdp_links;
	x->dp.pool_add = xdp_pool_add;
	x->dp.active = true;
	x->pins.fd = -1;
	x->config.abi_version = RTPX_ABI_VERSION;
	x->config.port_min = opts->port_min;
	x->config.port_max = opts->port_max;
	x->config.silence_ms = opts->silence_ms;
	x->config.instance = opts->instance;
	x->mirror_bytes = opts->mirror_bytes;
	take_pools(x, opts->own, opts->n_own);
}

static int open_interfaces(struct dp_xdp *x, const struct dp_opts *opts)
{
	const struct xdp_ifs_program program = {
		.native = bpf_program__fd(x->skel->progs.rtpx_relay),
		.generic = bpf_program__fd(x->skel->progs.rtpx_generic),
		.hops = x->hops,
		.ingress = x->ingress,
		.pins = &x->pins,
	};

	return xdp_ifs_new(&x->ifs, opts, &program);
}

int dp_xdp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct dp_xdp *x = calloc(1, sizeof(*x));
	int rc;

	snprintf(err, err_size, "out of memory");
	if (!x)
		return -ENOMEM;
	take_options(x, opts);
	rc = xdp_pins_open(&x->pins, opts->pin_dir, err, err_size);
	if (rc == 0)
		rc = look_at_pins(x, opts, err, err_size);
	if (rc == 0)
		rc = load(x, err, err_size);
	if (rc == 0) {
		snprintf(err, err_size, "out of memory");
		rc = open_interfaces(x, opts);
	}
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
	rc = xdp_ifs_begin(x->ifs, err, err_size);
	xdp_ifs_describe(x->ifs, x->dp.choice, sizeof(x->dp.choice));
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
		log_warn("previous rtpxd used XDP, this one does not: removed its flows from %s",
			 opts->pin_dir);
	else if (rc == -EPROTO)
		log_warn("%s: flows of another version of rtpx go on; --discard-state ends them",
			 opts->pin_dir);
	else if (rc == -EPERM)
		log_warn("%s: flows of a previous rtpxd go on, if it had any, because the kernel "
			 "refuses BPF to this process",
			 opts->pin_dir);
}
