/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_hops.c - gives each allowed interface an element of `tx_ports`, shares the elements of
 * `nexthops`, and writes both and the flows' `nexthop` through shared memory.
 *
 * An element of `nexthops` in use changes in two ways only: its neighbour's link address, by one
 * store; and to "not usable" when its interface is forbidden. An unused element keeps its content
 * until it is given out again, after all others: a packet may still read it. An element of
 * `tx_ports` is given to another interface only after all next hops that named it are unusable.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/xdp_hops.h"

#define TABLE_BYTES (RTPX_MAX_NEXTHOPS * sizeof(struct rtpx_nexthop))
#define BUCKETS 16384 /* a power of 2 */

/* What this module knows of an element of `nexthops`. Element 0 is never usable. */
struct element {
	uint32_t users; /* ids, and flows of a previous daemon; 0: free */
	uint16_t next;	/* in its bucket; 0: the last */
	bool found;	/* it is in a bucket */
};

struct hop_id {
	uint32_t flow; /* its first flow, plus 1; 0: none */
	uint16_t element;
};

/* A flow's place in the list of its id. Indexes plus 1; 0: none. */
struct hop_flow {
	uint32_t prev, next;
	uint16_t id;	    /* 0: none */
	uint16_t inherited; /* the element that a previous daemon gave it; 0: none */
};

struct xdp_hops {
	struct xdp_hops_opts o;
	struct rtpx_nexthop *table; /* memory of the map */
	struct element element[RTPX_MAX_NEXTHOPS];
	struct hop_id id[RTPX_MAX_NEXTHOPS];
	struct hop_flow *flow; /* [n_flows] */
	uint16_t bucket[BUCKETS];
	uint16_t given;			     /* the element that was given out last */
	uint32_t ifindex[RTPX_MAX_TX_PORTS]; /* by element of tx_ports; 0: free. [0] stays free */
};

/* ---- interfaces ---- */

/* Returns 0 if the interface is not allowed. */
static unsigned int find(const struct xdp_hops *h, uint32_t ifindex)
{
	unsigned int i;

	for (i = 1; i < RTPX_MAX_TX_PORTS; i++)
		if (h->ifindex[i] == ifindex)
			return i;
	return 0;
}

/* ---- elements by content ---- */

/*
 * Equal: one element serves both. A neighbour has one link address at a time, so an older one of
 * the same neighbour is no difference.
 */
static bool is_equal(const struct rtpx_nexthop *a, const struct rtpx_nexthop *b)
{
	const size_t from = offsetof(struct rtpx_nexthop, src_mac);

	return a->neigh == b->neigh &&
	       (a->neigh || !memcmp(a->dst_mac, b->dst_mac, sizeof(a->dst_mac))) &&
	       !memcmp((const char *)a + from, (const char *)b + from, sizeof(*a) - from);
}

static uint16_t *bucket_of(struct xdp_hops *h, const struct rtpx_nexthop *nh)
{
	const uint8_t *mac = nh->dst_mac;
	uint32_t key = nh->neigh;

	if (!key)
		key = mac[0] << 24 | mac[2] << 16 | mac[4] << 8 | (mac[1] ^ mac[3] ^ mac[5]);
	return &h->bucket[key * 2654435761u >> 16 & (BUCKETS - 1)];
}

static uint16_t element_find(struct xdp_hops *h, const struct rtpx_nexthop *nh)
{
	uint16_t e;

	for (e = *bucket_of(h, nh); e; e = h->element[e].next)
		if (is_equal(&h->table[e], nh))
			return e;
	return 0;
}

static void element_show(struct xdp_hops *h, uint16_t e)
{
	uint16_t *bucket = bucket_of(h, &h->table[e]);

	h->element[e].next = *bucket;
	h->element[e].found = true;
	*bucket = e;
}

/* Call before the content changes. */
static void element_hide(struct xdp_hops *h, uint16_t e)
{
	uint16_t *at = bucket_of(h, &h->table[e]);

	if (!h->element[e].found)
		return;
	while (*at != e)
		at = &h->element[*at].next;
	*at = h->element[e].next;
	h->element[e].found = false;
}

static void element_leave(struct xdp_hops *h, uint16_t e)
{
	if (e && --h->element[e].users == 0)
		element_hide(h, e);
}

/* An element that was free for as long as possible. 0: all are in use. */
static uint16_t element_choose(struct xdp_hops *h)
{
	unsigned int tries;

	for (tries = RTPX_MAX_NEXTHOPS; tries; tries--)
		if (++h->given && !h->element[h->given].users)
			return h->given;
	return 0;
}

/* Both link addresses begin in one word, and the second one is the same. */
static void write_dst_mac(struct rtpx_nexthop *to, const struct rtpx_nexthop *from)
{
	uint64_t word;

	memcpy(&word, from, sizeof(word));
	__atomic_store_n((uint64_t *)to, word, __ATOMIC_RELAXED);
}

/*
 * intern - the element for @nh. A previous daemon's element has no neighbour yet: the first
 * neighbour with equal content takes it over. 0: all elements are in use.
 */
static uint16_t intern(struct xdp_hops *h, const struct rtpx_nexthop *nh)
{
	struct rtpx_nexthop of_previous = *nh;
	uint16_t e = element_find(h, nh);

	if (e) {
		if (memcmp(h->table[e].dst_mac, nh->dst_mac, sizeof(nh->dst_mac)))
			write_dst_mac(&h->table[e], nh);
		return e;
	}
	of_previous.neigh = 0;
	e = element_find(h, &of_previous);
	if (e) {
		element_hide(h, e);
		h->table[e].neigh = nh->neigh;
	} else {
		e = element_choose(h);
		if (!e)
			return 0;
		h->table[e] = *nh;
	}
	element_show(h, e);
	return e;
}

/* ---- next hops and their flows ---- */

static void flows_point(struct xdp_hops *h, uint16_t id)
{
	uint32_t at;

	for (at = h->id[id].flow; at; at = h->flow[at - 1].next)
		__atomic_store_n(&h->o.flows[at - 1].nexthop, h->id[id].element, __ATOMIC_RELEASE);
}

int xdp_hops_put(struct xdp_hops *h, uint16_t id, const struct rtpx_nexthop *nh)
{
	struct rtpx_nexthop now = *nh;
	uint16_t old = h->id[id].element, e = 0;

	now.tx_port = nh->mtu ? find(h, nh->ifindex) : 0;
	now.plain_mtu = nh->vlan ? 0 : nh->mtu;
	if (now.tx_port)
		e = intern(h, &now);
	if (e != old) {
		h->element[e].users++;
		h->id[id].element = e;
		flows_point(h, id);
		element_leave(h, old);
	}
	return now.tx_port && !e ? -ENOSPC : 0;
}

void xdp_hops_part(struct xdp_hops *h, uint32_t i)
{
	struct hop_flow *f = &h->flow[i];

	element_leave(h, f->inherited);
	if (f->prev)
		h->flow[f->prev - 1].next = f->next;
	else if (f->id)
		h->id[f->id].flow = f->next;
	if (f->next)
		h->flow[f->next - 1].prev = f->prev;
	*f = (struct hop_flow){ 0 };
}

uint16_t xdp_hops_join(struct xdp_hops *h, uint32_t i, uint16_t id)
{
	struct hop_flow *f = &h->flow[i];

	if (f->id != id) {
		xdp_hops_part(h, i);
		f->id = id;
		f->next = h->id[id].flow;
		if (f->next)
			h->flow[f->next - 1].prev = i + 1;
		h->id[id].flow = i + 1;
	}
	return h->id[id].element;
}

uint16_t xdp_hops_id(const struct xdp_hops *h, uint32_t i)
{
	return h->flow[i].id;
}

void xdp_hops_inherit(struct xdp_hops *h, uint32_t i)
{
	uint16_t e = h->o.flows[i].nexthop;

	if (!e || h->flow[i].inherited)
		return;
	h->flow[i].inherited = e;
	if (h->element[e].users++ == 0 && h->table[e].mtu)
		element_show(h, e);
}

/* ---- interfaces that may send ---- */

int xdp_hops_allow(struct xdp_hops *h, uint32_t ifindex)
{
	const uint32_t value[2] = { ifindex, 0 }; /* struct bpf_devmap_val, without a program */
	uint32_t at = find(h, ifindex);

	if (!at)
		at = find(h, 0);
	if (!at)
		return -ENOSPC;
	if (bpf_map_update_elem(h->o.tx_ports, &at, value, BPF_ANY))
		return -errno;
	h->ifindex[at] = ifindex;
	return 0;
}

static void element_clear(struct xdp_hops *h, uint16_t e)
{
	static const struct rtpx_nexthop none;

	element_hide(h, e);
	h->table[e] = none;
}

void xdp_hops_forbid(struct xdp_hops *h, uint32_t ifindex)
{
	uint32_t at = find(h, ifindex), e;

	if (!at)
		return;
	for (e = 1; e < RTPX_MAX_NEXTHOPS; e++)
		if (h->table[e].tx_port == at)
			element_clear(h, e);
	/* ENOENT: the kernel deletes the element of an interface that goes. */
	bpf_map_delete_elem(h->o.tx_ports, &at);
	h->ifindex[at] = 0;
}

unsigned int xdp_hops_allowed(const struct xdp_hops *h, uint32_t out[RTPX_MAX_TX_PORTS])
{
	unsigned int i, n = 0;

	for (i = 1; i < RTPX_MAX_TX_PORTS; i++)
		if (h->ifindex[i])
			out[n++] = h->ifindex[i];
	return n;
}

/*
 * Learn the interfaces that a previous daemon allowed. The kernel has deleted the elements of those
 * that went while there was no daemon: their next hops become unusable. The numbers of neighbours
 * are that daemon's.
 */
static void read_maps(struct xdp_hops *h)
{
	uint32_t value[2], at, e;

	for (at = 1; at < RTPX_MAX_TX_PORTS; at++)
		if (bpf_map_lookup_elem(h->o.tx_ports, &at, value) == 0)
			h->ifindex[at] = value[0];
	for (e = 1; e < RTPX_MAX_NEXTHOPS; e++) {
		at = h->table[e].tx_port;
		if (!at)
			continue;
		h->table[e].neigh = 0;
		if (at >= RTPX_MAX_TX_PORTS || h->ifindex[at] != h->table[e].ifindex)
			element_clear(h, e);
	}
}

int xdp_hops_new(struct xdp_hops **out, const struct xdp_hops_opts *opts)
{
	struct xdp_hops *h = calloc(1, sizeof(*h));
	int rc = -ENOMEM;

	if (!h)
		return -ENOMEM;
	h->o = *opts;
	h->flow = calloc(opts->n_flows, sizeof(*h->flow));
	if (!h->flow)
		goto err_free;
	h->table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, opts->nexthops, 0);
	if (h->table == MAP_FAILED) {
		rc = -errno;
		goto err_free;
	}
	read_maps(h);
	*out = h;
	return 0;

err_free:
	free(h->flow);
	free(h);
	return rc;
}

int xdp_hops_move(struct xdp_hops *h, const struct xdp_hops_opts *opts)
{
	struct hop_flow *flow = reallocarray(h->flow, opts->n_flows, sizeof(*flow));

	if (!flow)
		return -ENOMEM;
	memset(flow + h->o.n_flows, 0, (opts->n_flows - h->o.n_flows) * sizeof(*flow));
	h->flow = flow;
	h->o = *opts;
	return 0;
}

void xdp_hops_free(struct xdp_hops *h)
{
	if (!h)
		return;
	munmap(h->table, TABLE_BYTES);
	free(h->flow);
	free(h);
}
