/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_hops.c - gives each allowed interface an element of `tx_ports`, and writes next hops through
 * shared memory.
 *
 * An element of `tx_ports` is given to another interface only after all next hops that named it are
 * unusable.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dataplane/xdp_hops.h"

#define TABLE_BYTES (RTPX_MAX_NEXTHOPS * sizeof(struct rtpx_nexthop))

struct xdp_hops {
	struct rtpx_nexthop *table; /* memory of the map */
	int tx_ports;
	uint32_t ifindex[RTPX_MAX_TX_PORTS]; /* by element of tx_ports; 0: free. [0] stays free */
};

/* Returns 0 if the interface is not allowed. */
static unsigned int find(const struct xdp_hops *h, uint32_t ifindex)
{
	unsigned int i;

	for (i = 1; i < RTPX_MAX_TX_PORTS; i++)
		if (h->ifindex[i] == ifindex)
			return i;
	return 0;
}

/* Not atomic: a packet at the same instant may leave with a mixture of old and new addresses. No
 * host accepts such a packet. */
void xdp_hops_put(struct xdp_hops *h, uint16_t id, const struct rtpx_nexthop *nh)
{
	static const struct rtpx_nexthop none;
	struct rtpx_nexthop now = *nh;

	now.tx_port = nh->mtu ? find(h, nh->ifindex) : 0;
	now.plain_mtu = nh->vlan ? 0 : nh->mtu;
	h->table[id] = now.tx_port ? now : none;
}

int xdp_hops_allow(struct xdp_hops *h, uint32_t ifindex)
{
	const uint32_t value[2] = { ifindex, 0 }; /* struct bpf_devmap_val, without a program */
	uint32_t at = find(h, ifindex);

	if (!at)
		at = find(h, 0);
	if (!at)
		return -ENOSPC;
	if (bpf_map_update_elem(h->tx_ports, &at, value, BPF_ANY))
		return -errno;
	h->ifindex[at] = ifindex;
	return 0;
}

void xdp_hops_forbid(struct xdp_hops *h, uint32_t ifindex)
{
	static const struct rtpx_nexthop none;
	uint32_t at = find(h, ifindex), id;

	if (!at)
		return;
	for (id = 0; id < RTPX_MAX_NEXTHOPS; id++)
		if (h->table[id].tx_port == at)
			h->table[id] = none;
	/* ENOENT: the kernel deletes the element of an interface that goes. */
	bpf_map_delete_elem(h->tx_ports, &at);
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
 * that went while there was no daemon: their next hops become unusable.
 */
static void read_maps(struct xdp_hops *h)
{
	static const struct rtpx_nexthop none;
	uint32_t value[2], at, id;

	for (at = 1; at < RTPX_MAX_TX_PORTS; at++)
		if (bpf_map_lookup_elem(h->tx_ports, &at, value) == 0)
			h->ifindex[at] = value[0];
	for (id = 0; id < RTPX_MAX_NEXTHOPS; id++) {
		at = h->table[id].tx_port;
		if (at && (at >= RTPX_MAX_TX_PORTS || h->ifindex[at] != h->table[id].ifindex))
			h->table[id] = none;
	}
}

int xdp_hops_new(struct xdp_hops **out, int nexthops, int tx_ports)
{
	struct xdp_hops *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->tx_ports = tx_ports;
	h->table = mmap(NULL, TABLE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, nexthops, 0);
	if (h->table == MAP_FAILED) {
		free(h);
		return -errno;
	}
	read_maps(h);
	*out = h;
	return 0;
}

void xdp_hops_free(struct xdp_hops *h)
{
	if (!h)
		return;
	munmap(h->table, TABLE_BYTES);
	free(h);
}
