/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * links.c - interfaces and addresses by libnl's dumps.
 *
 * This file decides the device that frames leave through. Frames of a VLAN device leave, with a
 * tag, through the device below it. Stacked tags and other stacking are not served.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vlan.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/links.h"
#include "base/log.h"

static struct iface *iface_find(const struct links *all, unsigned int ifindex)
{
	struct iface *i;

	HASH_FIND(hh, all->ifaces, &ifindex, sizeof(ifindex), i);
	return i;
}

static void ifaces_clear(struct iface **all)
{
	struct iface *i, *next;

	HASH_ITER(hh, *all, i, next) {
		HASH_DEL(*all, i);
		free(i);
	}
}

static void iface_priorities(struct iface_facts *f, struct rtnl_link *l)
{
	const struct vlan_map *map;
	int i, n = 0;

	map = rtnl_link_vlan_get_egress_map(l, &n);
	for (i = 0; map && i < n; i++)
		if (map[i].vm_from < LINKS_PRIORITIES)
			f->pcp[map[i].vm_from] = map[i].vm_to & 7;
}

/*
 * The kernel sends no notice of a changed hop limit. A router advertisement may change it, and a
 * notice follows each of those.
 */
static uint8_t read_hop_limit(const char *ifname)
{
	char path[128];
	int limit = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/hop_limit", ifname);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &limit) != 1)
		limit = 0;
	if (f)
		fclose(f);
	return limit > 0 && limit < 256 ? limit : 0;
}

/*
 * Fill in the facts of a link. Its lower device may come later in the list, so ifaces_stack()
 * judges stacking.
 */
static void iface_fill(struct iface_facts *f, struct rtnl_link *l)
{
	const unsigned int up = IFF_UP | IFF_RUNNING;
	struct nl_addr *mac = rtnl_link_get_addr(l);
	int32_t netns;

	*f = (struct iface_facts){ .ifindex = rtnl_link_get_ifindex(l),
				   .mtu = rtnl_link_get_mtu(l) };
	f->tx = f->ifindex;
	f->up = (rtnl_link_get_flags(l) & up) == up;
	f->usable = rtnl_link_get_arptype(l) == ARPHRD_ETHER && mac && nl_addr_get_len(mac) == 6;
	if (f->usable)
		memcpy(f->mac, nl_addr_get_binary_addr(mac), 6);
	if (rtnl_link_get_name(l))
		strncpy(f->name, rtnl_link_get_name(l), sizeof(f->name) - 1);
	if (f->usable && f->up)
		f->hop_limit = read_hop_limit(f->name);
	/* Treat a VLAN over a device of another namespace as a plain device. */
	if (!rtnl_link_is_vlan(l) || rtnl_link_get_link_netnsid(l, &netns) == 0)
		return;
	f->tx = rtnl_link_get_link(l);
	f->vlan = rtnl_link_vlan_get_id(l);
	iface_priorities(f, l);
	f->usable = f->usable && ntohs(rtnl_link_vlan_get_protocol(l)) == 0x8100 && f->vlan != 0;
}

/* Only one tag can be pushed, so a VLAN over a VLAN is not usable. */
static void ifaces_stack(struct links *all)
{
	struct iface *i, *lower;

	for (i = all->ifaces; i; i = i->hh.next) {
		lower = iface_find(all, i->is.tx);
		if (!lower || !lower->is.usable || (lower != i && lower->is.vlan))
			i->is.usable = false;
	}
}

static void ifaces_ask_served(struct links *all)
{
	struct iface *i;

	for (i = all->ifaces; i; i = i->hh.next)
		i->is.served = all->served(all->arg, i->is.tx);
}

static void iface_add(struct nl_object *o, void *arg)
{
	struct links *all = arg;
	struct iface *i = calloc(1, sizeof(*i));

	if (!i)
		return;
	iface_fill(&i->is, (struct rtnl_link *)o);
	HASH_ADD(hh, all->ifaces, is.ifindex, sizeof(i->is.ifindex), i);
	if (!i->hh.tbl)
		free(i);
}

static bool ifaces_equal(struct iface *a, struct iface *b)
{
	struct iface *i, *other;

	if (HASH_COUNT(a) != HASH_COUNT(b))
		return false;
	for (i = a; i; i = i->hh.next) {
		HASH_FIND(hh, b, &i->is.ifindex, sizeof(i->is.ifindex), other);
		if (!other || memcmp(&i->is, &other->is, sizeof(i->is)))
			return false;
	}
	return true;
}

int links_read(struct links *all)
{
	struct iface *old = all->ifaces;
	struct nl_cache *cache;
	int rc;

	rc = rtnl_link_alloc_cache(all->nl->sk, AF_UNSPEC, &cache);
	if (rc < 0) {
		log_warn("cannot read the links: %s", nl_geterror(rc));
		return -EIO;
	}
	all->ifaces = NULL;
	nl_cache_foreach(cache, iface_add, all);
	nl_cache_free(cache);
	ifaces_stack(all);
	ifaces_ask_served(all);
	rc = !ifaces_equal(all->ifaces, old);
	ifaces_clear(&old);
	return rc;
}

static void locals_clear(struct local **all)
{
	struct local *l, *next;

	HASH_ITER(hh, *all, l, next) {
		HASH_DEL(*all, l);
		free(l);
	}
}

static void address_take(struct nl_object *o, void *arg)
{
	struct nl_addr *a = rtnl_addr_get_local((struct rtnl_addr *)o);
	struct links *all = arg;
	struct local *l;
	struct addr h;

	if (!a || !netlink_host(&h, netlink_family(nl_addr_get_family(a)),
				nl_addr_get_binary_addr(a), nl_addr_get_len(a)))
		return;
	HASH_FIND(hh, all->locals, &h, sizeof(h), l);
	if (l)
		return;
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	l->host = h;
	HASH_ADD(hh, all->locals, host, sizeof(l->host), l);
	if (!l->hh.tbl)
		free(l);
}

static bool locals_equal(struct local *a, struct local *b)
{
	struct local *l, *other;

	if (HASH_COUNT(a) != HASH_COUNT(b))
		return false;
	for (l = a; l; l = l->hh.next) {
		HASH_FIND(hh, b, &l->host, sizeof(l->host), other);
		if (!other)
			return false;
	}
	return true;
}

int links_read_addrs(struct links *all)
{
	struct local *old = all->locals;
	struct nl_cache *cache;
	int rc;

	rc = rtnl_addr_alloc_cache(all->nl->sk, &cache);
	if (rc < 0) {
		log_warn("cannot read the addresses: %s", nl_geterror(rc));
		return -EIO;
	}
	all->locals = NULL;
	nl_cache_foreach(cache, address_take, all);
	nl_cache_free(cache);
	rc = !locals_equal(all->locals, old);
	locals_clear(&old);
	return rc;
}

bool links_is_local(const struct links *all, const struct addr *a)
{
	struct addr h = netlink_key(a);
	struct local *l;

	if (addr_is_loopback(a))
		return true;
	HASH_FIND(hh, all->locals, &h, sizeof(h), l);
	return l != NULL;
}

const struct iface *links_find(const struct links *all, unsigned int ifindex)
{
	return iface_find(all, ifindex);
}

uint8_t links_pcp(const struct iface *i, uint32_t priority)
{
	return priority < LINKS_PRIORITIES ? i->is.pcp[priority] : 0;
}

void links_clear(struct links *all)
{
	ifaces_clear(&all->ifaces);
	locals_clear(&all->locals);
}
