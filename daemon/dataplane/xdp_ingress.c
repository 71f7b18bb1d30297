/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_ingress.c - writes the link addresses and VLANs of the interfaces that have the XDP program.
 * The program looks them up.
 *
 * A bond in native mode runs the program for its ports, under the ports' interface numbers. Each
 * port therefore gets an element with the addresses and VLANs of the bond. Deliberately not here:
 * 802.1ad tags, which the program does not read.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/route/link.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/link/vlan.h>
#include <stdlib.h>

#include "dataplane/xdp_ingress.h"
#include "base/log.h"
#include "rtpx_abi.h"

struct xdp_ingress {
	int map;
	struct rtpx_plain_ingress *plain;
	bool written; /* the map holds `now`, not the elements of a previous daemon */
	struct rtpx_ingress now[RTPX_INGRESSES];
};

/* ---- devices above a device ---- */

/* above - true if @l is up and stacked on @ifindex of this namespace. */
static bool above(struct rtnl_link *l, unsigned int ifindex)
{
	int32_t netns;

	return (unsigned int)rtnl_link_get_link(l) == ifindex && rtnl_link_get_flags(l) & IFF_UP &&
	       rtnl_link_get_link_netnsid(l, &netns) < 0;
}

static bool is_vlan_of(struct rtnl_link *l, unsigned int ifindex)
{
	return rtnl_link_is_vlan(l) && above(l, ifindex) &&
	       ntohs(rtnl_link_vlan_get_protocol(l)) == 0x8100;
}

/* A macvlan in source mode takes frames of certain senders only: leave its frames to the stack. */
static bool is_macvlan_of(struct rtnl_link *l, unsigned int ifindex)
{
	return rtnl_link_is_macvlan(l) && above(l, ifindex) &&
	       (int)rtnl_link_macvlan_get_mode(l) != rtnl_link_macvlan_str2mode("source");
}

bool xdp_ingress_has_vlans(struct nl_cache *links, unsigned int ifindex)
{
	struct nl_object *o;

	for (o = nl_cache_get_first(links); o; o = nl_cache_get_next(o))
		if (is_vlan_of((struct rtnl_link *)o, ifindex))
			return true;
	return false;
}

/* ---- one element ---- */

static bool mac_of(struct rtnl_link *l, uint8_t mac[6])
{
	struct nl_addr *a = rtnl_link_get_addr(l);

	if (!a || nl_addr_get_len(a) != 6)
		return false;
	memcpy(mac, nl_addr_get_binary_addr(a), 6);
	return true;
}

/* Frames for addresses without room in the element are left to the stack. */
static void add_other(struct rtpx_ingress *e, unsigned int *n, struct rtnl_link *l)
{
	if (*n < RTPX_INGRESS_OTHERS && mac_of(l, e->others[*n].mac))
		(*n)++;
}

/* Add the addresses and VLANs of the devices above @ifindex. */
static void add_above(struct rtpx_ingress *e, unsigned int *n, struct nl_cache *links,
		      unsigned int ifindex)
{
	struct nl_object *o;

	for (o = nl_cache_get_first(links); o; o = nl_cache_get_next(o)) {
		struct rtnl_link *l = (struct rtnl_link *)o;
		unsigned int id;

		if (is_macvlan_of(l, ifindex)) {
			add_other(e, n, l);
		} else if (is_vlan_of(l, ifindex)) {
			id = rtnl_link_vlan_get_id(l) & 0xfff;
			e->vlans[id / 8] |= 1 << id % 8;
		}
	}
}

/* @bond: the bond of port @l, or NULL. False: it has no link address. */
static bool fill(struct rtpx_ingress *e, struct nl_cache *links, struct rtnl_link *l,
		 struct rtnl_link *bond)
{
	unsigned int n = 0;

	*e = (struct rtpx_ingress){ .ifindex = rtnl_link_get_ifindex(l) };
	if (!mac_of(bond ? bond : l, e->mac))
		return false;
	add_above(e, &n, links, rtnl_link_get_ifindex(bond ? bond : l));
	for (; n < RTPX_INGRESS_OTHERS; n++)
		memcpy(e->others[n].mac, e->mac, 6);
	return true;
}

/* ---- the table ---- */

static void place(struct rtpx_ingress table[RTPX_INGRESSES], const struct rtpx_ingress *e)
{
	unsigned int i;

	for (i = 0; i < RTPX_INGRESS_TRIES; i++) {
		struct rtpx_ingress *at = &table[(e->ifindex + i) % RTPX_INGRESSES];

		if (!at->ifindex) {
			*at = *e;
			return;
		}
	}
	log_warn("interface %u: no room in the table of interfaces, so its packets go through the "
		 "daemon; serve fewer with --interface",
		 e->ifindex);
}

static void add(struct rtpx_ingress table[RTPX_INGRESSES], struct nl_cache *links,
		unsigned int ifindex)
{
	struct rtnl_link *l = rtnl_link_get(links, ifindex);
	struct rtpx_ingress e;
	struct nl_object *o;

	if (!l)
		return;
	if (fill(&e, links, l, NULL))
		place(table, &e);
	for (o = nl_cache_get_first(links); o; o = nl_cache_get_next(o))
		if ((unsigned int)rtnl_link_get_master((struct rtnl_link *)o) == ifindex &&
		    fill(&e, links, (struct rtnl_link *)o, l))
			place(table, &e);
	rtnl_link_put(l);
}

/* A packet at the same instant finds no element, or one that is whole. */
static void write_plain(struct rtpx_plain_ingress *to, const struct rtpx_ingress *from)
{
	uint64_t first = 0;

	memcpy(&first, from->mac, sizeof(from->mac));
	__atomic_store_n(&to->ifindex, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->mac, rtpx_mac(first), __ATOMIC_SEQ_CST);
	__atomic_store_n(&to->ifindex, from->ifindex, __ATOMIC_SEQ_CST);
}

void xdp_ingress_write(struct xdp_ingress *in, struct nl_cache *links, const unsigned int *ifindex,
		       unsigned int n)
{
	struct rtpx_ingress *next = calloc(RTPX_INGRESSES, sizeof(*next));
	uint32_t i;

	if (!next) {
		log_err("no memory for the table of interfaces: new ones are not served");
		return;
	}
	for (i = 0; i < n; i++)
		add(next, links, ifindex[i]);
	for (i = 0; i < RTPX_INGRESSES; i++) {
		if (in->written && !memcmp(&next[i], &in->now[i], sizeof(next[i])))
			continue;
		if (bpf_map_update_elem(in->map, &i, &next[i], BPF_ANY))
			log_err("cannot write the table of interfaces: %s", strerror(errno));
		write_plain(&in->plain[i], &next[i]);
	}
	memcpy(in->now, next, sizeof(in->now));
	in->written = true;
	free(next);
}

int xdp_ingress_new(struct xdp_ingress **out, int map, struct rtpx_plain_ingress *plain)
{
	struct xdp_ingress *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	in->map = map;
	in->plain = plain;
	*out = in;
	return 0;
}

void xdp_ingress_free(struct xdp_ingress *in)
{
	free(in);
}

void xdp_ingress_move(struct xdp_ingress *in, int map, struct rtpx_plain_ingress *plain)
{
	memcpy(plain, in->plain, RTPX_INGRESSES * sizeof(*plain));
	in->plain = plain;
	in->map = map;
}
