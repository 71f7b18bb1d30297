/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * links.h - the interfaces and the addresses of this namespace, in two small tables. Each table is
 * read whole, so a lost notice does no lasting harm.
 *
 * This module does not listen; its owner says when to read again.
 */
#ifndef RTPX_LINKS_H
#define RTPX_LINKS_H

#include <net/if.h>

#include "base/addr.h"
#include "base/base.h"
#include "base/hash.h"
#include "net/netlink.h"

/* sockets have no higher priority, unless a privileged program sets one */
#define LINKS_PRIORITIES 16

struct iface {
	struct iface_facts {
		unsigned int ifindex;
		unsigned int mtu;
		/* device that frames leave through: a VLAN's lower device, else itself */
		unsigned int tx;
		uint16_t vlan;		       /* id of the tag to push there; 0: none */
		uint8_t pcp[LINKS_PRIORITIES]; /* 802.1p of the tag, by skb->priority */
		uint8_t hop_limit;	       /* of IPv6 packets; 0: not known */
		bool up;
		bool usable; /* Ethernet, without stacking that we do not serve */
		bool served; /* the answer of links.served for tx */
		uint8_t mac[6];
		char name[IFNAMSIZ];
	} is;
	UT_hash_handle hh;
};

struct local {
	struct addr host; /* as netlink_key() makes it */
	UT_hash_handle hh;
};

struct links {
	struct netlink *nl;
	bool (*served)(void *arg, unsigned int ifindex); /* fills iface_facts.served */
	void *arg;
	struct iface *ifaces;
	struct local *locals;
};

/*
 * links_read, links_read_addrs - read a table again. 1 when an element differs, 0 when none does,
 * or -errno with the old table kept.
 */
int links_read(struct links *l);
int links_read_addrs(struct links *l);
void links_clear(struct links *l);

/* links_find - NULL: there is none. Valid until the table is read again. */
const struct iface *links_find(const struct links *l, unsigned int ifindex);

/* links_pcp - the 802.1p priority that this VLAN device gives packets of @priority. */
uint8_t links_pcp(const struct iface *i, uint32_t priority);

/* links_is_local - the host part is an address of this host, loopback included. */
bool links_is_local(const struct links *l, const struct addr *a);

#endif
