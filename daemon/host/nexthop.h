/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nexthop.h - next hops of destinations (link addresses, VLAN, interface), kept current by route
 * netlink.
 *
 * One id per (destination host, source host, TOS), and per pair of ports if this host's rules look
 * at ports. Packets of packet sockets have ids apart. When a route, link, address or neighbour
 * changes, the dataplane gets the new answer of the id, and no flow is compiled again. Neighbours
 * of ids in use are kept resolved (probed before they go stale), because the stack does not see the
 * traffic that would confirm them. Uses libnl-route-3.
 */
#ifndef RTPX_NEXTHOP_H
#define RTPX_NEXTHOP_H

#include "base/addr.h"
#include "base/base.h"
#include "call/why.h"
#include "rtpx_abi.h"

struct event_base;
struct nexthops;
struct iptables;
struct pathmtu;

struct nexthop_view {
	struct rtpx_nexthop abi; /* mtu 0: not usable; tx_port and plain_mtu are the dataplane's */
	enum flow_why why;	 /* FLOW_NO_OBJECTION when usable */
	enum flow_why arrives;	 /* FLOW_NO_OBJECTION, or why the peer's packets do not arrive */
	unsigned int users;	 /* of the id, see nexthop_take() */
	bool refused;		 /* @why is about this host, not about the route: see host.h */
	uint8_t ttl;		 /* TTL or hop limit that the host's socket would send with */
	struct addr source;	 /* the address the kernel would send from */
	struct addr gateway;	 /* ADDR_NONE: the destination is on link */
	/* the route's own device (a VLAN device, for example); "" when there is no route */
	char ifname[16];
};

struct nexthops_opts {
	/* the answer of an id changed, or first became usable or unusable; from the event loop */
	void (*changed)(void *arg, uint16_t id, const struct nexthop_view *now);
	/* true when packets can leave by XDP through this interface */
	bool (*served)(void *arg, unsigned int ifindex);
	/* links came, went or changed; the dataplane may attach again; may be NULL */
	void (*links_changed)(void *arg);
	/*
	 * from now on next hops differ by ports, too. Ids in use stay valid; the owner takes them
	 * again with ports. May be NULL.
	 */
	void (*by_port)(void *arg);
	void *arg;
	unsigned int max;	   /* ids, at most RTPX_MAX_NEXTHOPS */
	struct pathmtu *pathmtu;   /* NULL: no ICMP messages; borrowed until nexthops_free() */
	struct iptables *iptables; /* NULL: not read; borrowed until nexthops_free() */
	bool routes;		   /* the dataplane uses the host's routing itself: see struct dp */
	bool idle;		   /* no dataplane: the host's rules are not read */
};

/* Packets that need a next hop, described by the inputs of the host's routing. */
struct nexthop_want {
	struct addr dest, source; /* source any-address: the kernel chooses */
	uint8_t tos;
	/*
	 * A packet socket sends the frames, so the dataplane need not serve the interface. Such a
	 * next hop has an id of its own, and opts.changed is not called for it.
	 */
	bool direct;
};

int nexthops_new(struct nexthops **out, struct event_base *base, const struct nexthops_opts *opts);
void nexthops_free(struct nexthops *n);

/*
 * nexthop_take - the id for packets described by @want. One id serves all ports of a host, unless
 * the host's rules look at ports. Counts a use, which nexthop_give() ends. 0 with *@id and *@view,
 * even while the next hop is not usable (view->why says why); -ENOSPC when all ids are in use;
 * -EINVAL or -ENOMEM.
 * nexthop_take_again - the same; a new next hop gets the id @wish if it is free. 0: any id.
 */
int nexthop_take(struct nexthops *n, const struct nexthop_want *want, uint16_t *id,
		 struct nexthop_view *view);
int nexthop_take_again(struct nexthops *n, const struct nexthop_want *want, uint16_t wish,
		       uint16_t *id, struct nexthop_view *view);
/*
 * nexthop_reserve - flows of an earlier daemon refer to @id: only nexthop_take_again() with this
 * wish gets it, until nexthops_release() or until the id was given back.
 */
void nexthop_reserve(struct nexthops *n, uint16_t id);
void nexthops_release(struct nexthops *n);
void nexthop_give(struct nexthops *n, uint16_t id);
/* nexthop_view - the current answer of an id in use. */
void nexthop_view(const struct nexthops *n, uint16_t id, struct nexthop_view *out);
/* nexthop_is_local - the host part is an address of this host. */
bool nexthop_is_local(const struct nexthops *n, const struct addr *a);
/* nexthops_by_port - a rule of this host looks at ports, so an id holds for one pair of them. */
bool nexthops_by_port(const struct nexthops *n);

/*
 * nexthops_served - tell that answers of opts.served may have changed: opts.links_changed is called
 * soon, and then opts.served for each interface.
 */
void nexthops_served(struct nexthops *n);

struct host;
/* nexthops_host - the judge of packets by this host's settings beside routing. */
const struct host *nexthops_host(const struct nexthops *n);

/* member, metric, text */
#define NEXTHOP_COUNTERS(X)                                                              \
	X(route_changes, "route_changes_total", "Changes of routes that were followed.") \
	X(neighbour_changes, "neighbour_changes_total",                                  \
	  "Changes of neighbours that were followed.")                                   \
	X(link_changes, "link_changes_total", "Changes of links that were followed.")    \
	X(probes, "neighbour_probes_total", "Probes that kept neighbours resolved.")

/* Next hops of packet sockets are not counted. */
struct nexthop_counts {
	unsigned int ids, unresolved;
	unsigned int why[FLOW_WHY_COUNT]; /* ids by their answer */
	/* ids whose packets, when they answer, the host's rules take */
	unsigned int arrives[FLOW_WHY_COUNT];
#define NEXTHOP_FIELD(name, metric, text) uint64_t name;
	NEXTHOP_COUNTERS(NEXTHOP_FIELD)
#undef NEXTHOP_FIELD
};
void nexthops_counts(const struct nexthops *n, struct nexthop_counts *out);

#endif
