/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nexthop.c - next hops by route netlink.
 *
 * Routes are not cached: each id asks the kernel (route.h). links.c keeps links and addresses,
 * neigh.c neighbours; all ids behind a neighbour share one object.
 *
 * Notices mark ids dirty. Marked ids are worked off in slices of SLICE_NS: a gateway may have
 * thousands of destinations behind it, and must not hold up the event loop.
 *
 * Deliberately not here: forwarding entries of bridges (a route through a bridge is served only
 * when the bridge itself is), stacked VLAN tags, tunnels.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "host/nexthop.h"
#include "base/clock.h"
#include "base/hash.h"
#include "host/host.h"
#include "net/links.h"
#include "base/log.h"
#include "net/neigh.h"
#include "net/netdev.h"
#include "net/netlink.h"
#include "host/pathmtu.h"
#include "host/route.h"

#define PCP_SHIFT 13   /* in the TCI, IEEE 802.1Q */
#define COALESCE_MS 50 /* between a notice about routes, links or addresses and the work */
#define PATH_MS 2      /* between an ICMP message and the work: the kernel handles it after us */
#define SLICE_NS NSEC_PER_MSEC /* time of work before other events get their turn */
#define SWEEP_STEP 256	       /* ids marked at once */
#define TICK_NS NSEC_PER_SEC
#define SWEEP_NS (30 * NSEC_PER_SEC) /* between readings of all routes: path MTUs have no notice */
#define WAIT_MS 100	/* a turn: between two looks at next hops that wait for a packet */
#define WAIT_STEPS 7	/* the time between two judgements of a next hop doubles so often */
#define MAX_PREFIXES 64 /* changed routes remembered between two rounds of work */

enum dirty { DIRTY_NEIGH = 1, DIRTY_ROUTE = 2, DIRTY_HOST = 4 };

struct nexthop_key {
	struct addr dest, source; /* port 0: all */
	uint8_t tos;
	bool direct; /* see struct nexthop_want */
};

struct nexthop {
	struct nexthop_key key;
	uint16_t id;
	uint8_t dirty; /* enum dirty; 0: not in the list */
	unsigned int users;
	/* the route's part of the answer */
	struct route route;
	enum flow_why route_why;
	enum flow_why arrives;	/* the host's verdict about the peer's packets */
	enum flow_why host_why; /* the host's verdict beside routing, for this route */
	uint32_t mark;		/* the route was asked for packets with this mark */
	bool waits;		/* a packet through the socket may change host_why */
	uint8_t tried;		/* judgements since it began to wait */
	struct neigh *neigh;
	struct nexthop_view view; /* the answer most recently reported */
	struct nexthop *dirty_prev, *dirty_next, *neigh_prev, *neigh_next;
	struct nexthop *wait_prev, *wait_next;
	UT_hash_handle hh;
};

enum id_mark { ID_IN_RING = 1, ID_RESERVED = 2 };

enum stale {
	STALE_LINKS = 1,
	STALE_ADDRS = 2,
	STALE_ALL_ROUTES = 4,
	STALE_NEIGHS = 8,
	STALE_SERVED = 16,
	STALE_HOST = 32,
};

struct nexthops {
	struct nexthops_opts opts;
	struct netlink *nl;
	struct nl_sock *hear;
	int abilities; /* descriptor; -1: the kernel gives no such notices */
	struct event *hear_ev, *abilities_ev, *work_ev, *tick_ev, *wait_ev;
	struct links links;
	struct neighs neighs;
	struct host *host;
	bool by_port; /* keys have ports, until the end */
	struct nexthop *hash, *dirty;
	struct nexthop *waiting; /* list of those with @waits */
	unsigned int wait_turn;
	struct nexthop **by_id; /* [max + 1] */
	unsigned int sweep;	/* enum dirty: marks that ids from sweep_id on have not got yet */
	unsigned int sweep_id;
	/*
	 * A ring, so a free id rests before it is used again. An id that was taken out of turn
	 * stays in the ring and is skipped.
	 */
	uint16_t *free_ids;
	unsigned int free_first, n_free;
	uint8_t *marks;	    /* by id, enum id_mark */
	unsigned int stale; /* enum stale */
	struct netlink_prefix prefixes[MAX_PREFIXES];
	unsigned int n_prefixes;
	uint64_t swept_ns;
	struct nexthop_counts counts;
	char buf[32768] __attribute__((aligned(8)));
};

/* ---- the dirty list ---- */

static void work_within(struct nexthops *n, unsigned int ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	if (ms == 0 || !event_pending(n->work_ev, EV_TIMEOUT, NULL))
		event_add(n->work_ev, &tv);
}

/* Next hops that wait for a packet are judged again: soon at first, then less often. */
static void wait_more(struct nexthops *n)
{
	static const struct timeval soon = { .tv_usec = WAIT_MS * 1000 };

	if (!event_pending(n->wait_ev, EV_TIMEOUT, NULL))
		event_add(n->wait_ev, &soon);
}

static void mark(struct nexthops *n, struct nexthop *nh, enum dirty what)
{
	if (!nh->dirty)
		DL_APPEND2(n->dirty, nh, dirty_prev, dirty_next);
	nh->dirty |= what;
}

static void unmark(struct nexthops *n, struct nexthop *nh)
{
	if (nh->dirty)
		DL_DELETE2(n->dirty, nh, dirty_prev, dirty_next);
	nh->dirty = 0;
}

/* mark_all - begin to mark all ids; mark_more() does it. Ids that are marked already get it, too.
 */
static void mark_all(struct nexthops *n, enum dirty what)
{
	n->sweep |= what;
	n->sweep_id = 0;
}

/* mark_more - mark the next SWEEP_STEP ids of the sweep. False: no sweep is under way. */
static bool mark_more(struct nexthops *n)
{
	unsigned int end = MIN(n->sweep_id + SWEEP_STEP, n->opts.max + 1);

	if (!n->sweep)
		return false;
	for (; n->sweep_id < end; n->sweep_id++)
		if (n->by_id[n->sweep_id])
			mark(n, n->by_id[n->sweep_id], n->sweep);
	if (n->sweep_id > n->opts.max)
		n->sweep = 0;
	return true;
}

static void mark_prefixes(struct nexthops *n)
{
	struct nexthop *nh;
	unsigned int i;

	for (nh = n->hash; nh; nh = nh->hh.next)
		for (i = 0; i < n->n_prefixes; i++)
			if (netlink_covers(&n->prefixes[i], &nh->key.dest)) {
				mark(n, nh, DIRTY_ROUTE);
				break;
			}
}

/* ---- neighbours ---- */

static void neigh_mark(struct nexthops *n, struct neigh *nb)
{
	unsigned int left = SWEEP_STEP;
	struct nexthop *nh;

	n->counts.neighbour_changes++;
	DL_FOREACH2(nb->users, nh, neigh_next)
		if (left-- > 0)
			mark(n, nh, DIRTY_NEIGH);
		else
			break;
	if (nh)
		mark_all(n, DIRTY_NEIGH);
	work_within(n, 0);
}

/*
 * Move @nh to the neighbour of @key (NULL: none). neigh_get() comes before neigh_drop(), so an
 * unchanged neighbour is never dropped.
 */
static void nexthop_set_neigh(struct nexthops *n, struct nexthop *nh, const struct neigh_key *key)
{
	struct neigh *old = nh->neigh, *new = key ? neigh_get(&n->neighs, key) : NULL;

	if (new == old)
		return;
	if (old) {
		DL_DELETE2(old->users, nh, neigh_prev, neigh_next);
		if (!old->users) {
			neigh_drop(&n->neighs, old);
		}
	}
	if (new)
		DL_APPEND2(new->users, nh, neigh_prev, neigh_next);
	nh->neigh = new;
}

/* ---- routes ---- */

/* @source: keep this source address; ADDR_NONE: the key's, or the kernel chooses. */
static enum flow_why route_query(struct nexthops *n, struct nexthop *nh, struct addr source)
{
	struct route_question q = {
		.dest = nh->key.dest,
		.source = addr_with_port(source, nh->key.source.port),
		.tos = nh->key.tos,
		.mark = nh->mark,
		.socket = host_socket(n->host),
		.tunnels = n->opts.routes,
	};

	nh->route = (struct route){ .source = source };
	if (links_is_local(&n->links, &nh->key.dest))
		return FLOW_WHY_LOOPBACK;
	if (nh->key.source.family != ADDR_NONE) {
		q.source = nh->key.source;
		nh->route.source = netlink_key(&nh->key.source);
		if (nh->key.source.family != nh->key.dest.family ||
		    !links_is_local(&n->links, &nh->route.source))
			return FLOW_WHY_NO_ROUTE;
	}
	return route_ask(n->nl, &q, &nh->route);
}

static uint8_t nexthop_ttl(const struct nexthops *n, const struct nexthop *nh,
			   const struct iface *out)
{
	if (nh->route.ttl)
		return nh->route.ttl;
	if (nh->key.dest.family == ADDR_IP6 && out && out->is.hop_limit)
		return out->is.hop_limit;
	return host_socket(n->host)->ttl;
}

/* nexthop_packet - describe a packet of @nh for the host's rules. */
static struct outgoing nexthop_packet(const struct nexthops *n, const struct nexthop *nh)
{
	const struct iface *out = links_find(&n->links, nh->route.oif);
	const struct ownsocket *s = host_socket(n->host);
	struct outgoing p = {
		.source = addr_with_port(nh->route.source, nh->key.source.port),
		.dest = nh->key.dest,
		.tos = nh->key.tos,
		.ttl = nexthop_ttl(n, nh, out),
		.oif = nh->route.oif,
		.mark = nh->mark,
		.uid = s->uid,
		.gid = s->gid,
		.bound_dev = s->bound_dev,
	};

	if (out) {
		p.lower = out->is.tx;
		memcpy(p.ifname, out->is.name, sizeof(p.ifname));
	}
	return p;
}

/*
 * nexthop_route - fill in the route's part of the answer for packets marked @with_mark, and the
 * route's neighbour. @again: keep the source address that an earlier question gave.
 */
static void nexthop_route(struct nexthops *n, struct nexthop *nh, uint32_t with_mark, bool again)
{
	struct neigh_key key = { 0 };
	const struct iface *out;

	nh->mark = with_mark;
	nh->route_why = route_query(n, nh, again ? nh->route.source : (struct addr){ 0 });
	if (nh->route_why == FLOW_NO_OBJECTION) {
		out = links_find(&n->links, nh->route.oif);
		if (!out || !out->is.usable || (!out->is.served && !nh->key.direct))
			nh->route_why = FLOW_WHY_NO_INTERFACE;
		else if (!out->is.up)
			nh->route_why = FLOW_WHY_NO_ROUTE;
	}
	if (nh->route_why != FLOW_NO_OBJECTION) {
		nexthop_set_neigh(n, nh, NULL);
		return;
	}
	key.ifindex = nh->route.oif;
	key.host = netlink_key(nh->route.gateway.family != ADDR_NONE ? &nh->route.gateway
								     : &nh->key.dest);
	nexthop_set_neigh(n, nh, &key);
}

static void nexthop_waits(struct nexthops *n, struct nexthop *nh, bool waits)
{
	if (waits && !nh->waits)
		DL_APPEND2(n->waiting, nh, wait_prev, wait_next);
	else if (!waits && nh->waits)
		DL_DELETE2(n->waiting, nh, wait_prev, wait_next);
	nh->tried = waits ? MIN(nh->tried + 1, WAIT_STEPS) : 0;
	nh->waits = waits;
	if (waits)
		wait_more(n);
}

/*
 * nexthop_settle - find the route of @nh (@ask: ask the kernel again) and the host's verdict about
 * its packets. If the host's output marks the packets and routing rules look at marks, the route is
 * asked for again with the mark and the source address of the first route, as in
 * ip_route_me_harder() of the kernel.
 */
static void nexthop_settle(struct nexthops *n, struct nexthop *nh, bool ask)
{
	const uint32_t own = host_socket(n->host)->mark;
	struct host_verdict v;
	struct outgoing p;

	if (ask || nh->mark != own)
		nexthop_route(n, nh, own, false);
	p = nexthop_packet(n, nh);
	v = host_judge_output(n->host, &p);
	if (v.why == FLOW_NO_OBJECTION && nh->route.oif) {
		if (v.mark != own && host_by_mark(n->host)) {
			nexthop_route(n, nh, v.mark, true);
			p = nexthop_packet(n, nh);
		}
		p.mark = v.mark;
		v = host_judge_leave(n->host, &p);
	}
	nh->host_why = v.why;
	nh->arrives = v.arrives;
	nexthop_waits(n, nh, v.waits);
}

/* nexthop_tci - the VLAN tag, with the priority that the VLAN device gives packets of this TOS. */
static uint16_t nexthop_tci(const struct nexthops *n, const struct nexthop *nh,
			    const struct iface *out)
{
	uint32_t priority =
		ownsocket_priority(host_socket(n->host), nh->key.dest.family, nh->key.tos);

	return out->is.vlan | (out->is.vlan ? links_pcp(out, priority) << PCP_SHIFT : 0);
}

/* nexthop_answer - compose the answer from the route's part, the link and the neighbour. */
static void nexthop_answer(const struct nexthops *n, const struct nexthop *nh,
			   struct nexthop_view *v)
{
	const struct iface *out = links_find(&n->links, nh->route.oif);

	memset(v, 0, sizeof(*v));
	v->why = nh->route_why;
	v->source = nh->route.source;
	v->gateway = nh->route.gateway;
	v->ttl = nexthop_ttl(n, nh, out);
	v->arrives = nh->arrives;
	v->refused = nh->host_why != FLOW_NO_OBJECTION;
	if (v->refused)
		v->why = nh->host_why;
	if (out)
		memcpy(v->ifname, out->is.name, sizeof(v->ifname));
	if (v->why != FLOW_NO_OBJECTION)
		return;
	if (!out || !nh->neigh || !nh->neigh->usable) {
		v->why = FLOW_WHY_NO_NEIGHBOUR;
		return;
	}
	memcpy(v->abi.dst_mac, nh->neigh->mac, sizeof(v->abi.dst_mac));
	memcpy(v->abi.src_mac, out->is.mac, sizeof(v->abi.src_mac));
	v->abi.vlan = nexthop_tci(n, nh, out);
	v->abi.mtu = MIN(nh->route.mtu ? MIN(nh->route.mtu, out->is.mtu) : out->is.mtu, 65535u);
	v->abi.label_mask = host_socket(n->host)->flow_labels ? RTPX_LABEL_MASK : 0;
	v->abi.ifindex = out->is.tx;
	v->abi.neigh = nh->neigh->number;
}

static bool view_equal(const struct nexthop_view *a, const struct nexthop_view *b)
{
	return memcmp(&a->abi, &b->abi, sizeof(a->abi)) == 0 && a->why == b->why &&
	       a->refused == b->refused && a->arrives == b->arrives && a->ttl == b->ttl &&
	       addr_host_eq(&a->source, &b->source) && addr_host_eq(&a->gateway, &b->gateway) &&
	       memcmp(a->ifname, b->ifname, sizeof(a->ifname)) == 0;
}

/* nexthop_work - bring @nh up to date; true when its answer changed. */
static bool nexthop_work(struct nexthops *n, struct nexthop *nh)
{
	struct nexthop_view v;

	if (nh->dirty & (DIRTY_ROUTE | DIRTY_HOST))
		nexthop_settle(n, nh, nh->dirty & DIRTY_ROUTE);
	unmark(n, nh);
	nexthop_answer(n, nh, &v);
	if (view_equal(&v, &nh->view))
		return false;
	nh->view = v;
	return true;
}

/* ---- ids ---- */

static void view_out(const struct nexthop *nh, struct nexthop_view *out)
{
	*out = nh->view;
	out->users = nh->users;
}

static void id_push(struct nexthops *n, uint16_t id)
{
	if (n->marks[id] & ID_IN_RING)
		return;
	n->marks[id] |= ID_IN_RING;
	n->free_ids[(n->free_first + n->n_free++) % n->opts.max] = id;
}

static uint16_t id_pop(struct nexthops *n)
{
	uint16_t id = n->free_ids[n->free_first];

	n->free_first = (n->free_first + 1) % n->opts.max;
	n->n_free--;
	n->marks[id] &= ~ID_IN_RING;
	return id;
}

/* id_choose - a free id, @wish if possible; 0: all ids are in use. */
static uint16_t id_choose(struct nexthops *n, uint16_t wish)
{
	unsigned int tries;

	if (wish && wish <= n->opts.max && !n->by_id[wish])
		return wish;
	for (tries = n->n_free; tries; tries--) {
		uint16_t id = id_pop(n);

		if (n->by_id[id])
			continue;
		if (!(n->marks[id] & ID_RESERVED))
			return id;
		id_push(n, id);
	}
	return 0;
}

void nexthop_reserve(struct nexthops *n, uint16_t id)
{
	if (id <= n->opts.max)
		n->marks[id] |= ID_RESERVED;
}

void nexthops_release(struct nexthops *n)
{
	unsigned int id;

	for (id = 0; id <= n->opts.max; id++)
		n->marks[id] &= ~ID_RESERVED;
}

static struct nexthop *nexthop_add(struct nexthops *n, const struct nexthop_key *key, uint16_t id)
{
	struct nexthop *nh = calloc(1, sizeof(*nh));

	if (!nh)
		return NULL;
	nh->key = *key;
	nh->id = id;
	HASH_ADD(hh, n->hash, key, sizeof(nh->key), nh);
	if (!nh->hh.tbl) {
		free(nh);
		return NULL;
	}
	n->by_id[id] = nh;
	return nh;
}

static void key_make(const struct nexthops *n, const struct nexthop_want *want,
		     struct nexthop_key *key)
{
	memset(key, 0, sizeof(*key));
	key->dest = netlink_key(&want->dest);
	if (want->source.family != ADDR_NONE && !addr_is_any(&want->source))
		key->source = netlink_key(&want->source);
	key->tos = want->tos;
	key->direct = want->direct;
	if (n->by_port) {
		key->dest.port = want->dest.port;
		key->source.port = want->source.port;
	}
}

int nexthop_take(struct nexthops *n, const struct nexthop_want *want, uint16_t *id,
		 struct nexthop_view *view)
{
	return nexthop_take_again(n, want, 0, id, view);
}

int nexthop_take_again(struct nexthops *n, const struct nexthop_want *want, uint16_t wish,
		       uint16_t *id, struct nexthop_view *view)
{
	struct nexthop_key key;
	struct nexthop *nh;

	if (want->dest.family == ADDR_NONE)
		return -EINVAL;
	key_make(n, want, &key);
	HASH_FIND(hh, n->hash, &key, sizeof(key), nh);
	if (!nh) {
		wish = id_choose(n, wish);
		if (!wish)
			return -ENOSPC;
		nh = nexthop_add(n, &key, wish);
		if (!nh) {
			id_push(n, wish);
			return -ENOMEM;
		}
		mark(n, nh, DIRTY_ROUTE);
		nexthop_work(n, nh);
		if (!n->by_port && host_by_port(n->host))
			work_within(n, 0);
	}
	nh->users++;
	*id = nh->id;
	view_out(nh, view);
	return 0;
}

static void nexthop_forget(struct nexthops *n, struct nexthop *nh)
{
	unmark(n, nh);
	nexthop_waits(n, nh, false);
	nexthop_set_neigh(n, nh, NULL);
	HASH_DEL(n->hash, nh);
	n->by_id[nh->id] = NULL;
	n->marks[nh->id] &= ~ID_RESERVED;
	id_push(n, nh->id);
	free(nh);
}

void nexthop_give(struct nexthops *n, uint16_t id)
{
	struct nexthop *nh = n->by_id[id];

	if (--nh->users == 0)
		nexthop_forget(n, nh);
}

void nexthop_view(const struct nexthops *n, uint16_t id, struct nexthop_view *out)
{
	view_out(n->by_id[id], out);
}

bool nexthops_by_port(const struct nexthops *n)
{
	return n->by_port;
}

bool nexthop_is_local(const struct nexthops *n, const struct addr *a)
{
	return links_is_local(&n->links, a);
}

void nexthops_served(struct nexthops *n)
{
	n->stale |= STALE_SERVED;
	work_within(n, 0);
}

const struct host *nexthops_host(const struct nexthops *n)
{
	return n->host;
}

void nexthops_counts(const struct nexthops *n, struct nexthop_counts *out)
{
	const struct nexthop *nh;

	*out = n->counts;
	out->probes = n->neighs.probes;
	for (nh = n->hash; nh; nh = nh->hh.next) {
		if (nh->key.direct)
			continue;
		out->ids++;
		out->why[nh->view.why]++;
		if (nh->view.arrives != FLOW_NO_OBJECTION)
			out->arrives[nh->view.arrives]++;
	}
	out->unresolved = out->ids - out->why[FLOW_NO_OBJECTION];
}

/* ---- notices ---- */

static void on_neigh_notice(struct nexthops *n, struct nlmsghdr *h)
{
	struct neigh *nb = neigh_notice(&n->neighs, h);

	if (nb)
		neigh_mark(n, nb);
}

static void on_route_notice(struct nexthops *n, struct nlmsghdr *h)
{
	const struct rtmsg *rt = nlmsg_data(h);
	struct netlink_prefix p = { .family = netlink_family(rt->rtm_family),
				    .bits = rt->rtm_dst_len };
	struct nlattr *dst = nlmsg_find_attr(h, sizeof(*rt), RTA_DST);
	struct addr host;

	if (p.family == ADDR_NONE || p.bits > (p.family == ADDR_IP6 ? 128 : 32))
		return;
	n->counts.route_changes++;
	if (dst && netlink_host(&host, p.family, nla_data(dst), nla_len(dst)))
		memcpy(p.ip, host.ip, sizeof(p.ip));
	if (n->n_prefixes < MAX_PREFIXES)
		n->prefixes[n->n_prefixes++] = p;
	else
		n->stale |= STALE_ALL_ROUTES;
}

/* One row for each kind of notice: the tables to read again, or the reader of the notice. */
static const struct notice {
	uint16_t type;
	uint16_t head;	    /* bytes of its fixed header */
	unsigned int stale; /* enum stale */
	void (*read)(struct nexthops *n, struct nlmsghdr *h);
} notices[] = {
	{ RTM_NEWLINK, sizeof(struct ifinfomsg), STALE_LINKS | STALE_SERVED, NULL },
	{ RTM_DELLINK, sizeof(struct ifinfomsg), STALE_LINKS | STALE_SERVED, NULL },
	{ RTM_NEWADDR, sizeof(struct ifaddrmsg), STALE_ADDRS, NULL },
	{ RTM_DELADDR, sizeof(struct ifaddrmsg), STALE_ADDRS, NULL },
	{ RTM_NEWRULE, sizeof(struct rtmsg), STALE_ALL_ROUTES, NULL },
	{ RTM_DELRULE, sizeof(struct rtmsg), STALE_ALL_ROUTES, NULL },
	{ RTM_NEWNEXTHOP, sizeof(struct nhmsg), STALE_ALL_ROUTES, NULL },
	{ RTM_DELNEXTHOP, sizeof(struct nhmsg), STALE_ALL_ROUTES, NULL },
	{ RTM_NEWROUTE, sizeof(struct rtmsg), 0, on_route_notice },
	{ RTM_DELROUTE, sizeof(struct rtmsg), 0, on_route_notice },
	{ RTM_NEWNEIGH, sizeof(struct ndmsg), 0, on_neigh_notice },
	{ RTM_DELNEIGH, sizeof(struct ndmsg), 0, on_neigh_notice },
};

static const int groups[] = {
	RTNLGRP_LINK,	     RTNLGRP_NEIGH,	 RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
	RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,	 RTNLGRP_NEXTHOP,
};

static void on_notice(struct nexthops *n, struct nlmsghdr *h)
{
	const struct notice *k;

	/* Bridges send the same types about their ports and forwarding entries. */
	if (nlmsg_datalen(h) < 1 || *(uint8_t *)nlmsg_data(h) == AF_BRIDGE)
		return;
	for (k = notices; k < notices + ARRAY_SIZE(notices); k++) {
		if (h->nlmsg_type != k->type || nlmsg_datalen(h) < k->head)
			continue;
		n->stale |= k->stale;
		if (k->read)
			k->read(n, h);
		break;
	}
	if (n->stale || n->n_prefixes)
		work_within(n, COALESCE_MS);
}

/* lost_notices - the socket overflowed: read everything again. */
static void lost_notices(struct nexthops *n)
{
	log_dbug("route notices were lost: reading everything again");
	n->stale |= STALE_LINKS | STALE_ADDRS | STALE_ALL_ROUTES | STALE_NEIGHS | STALE_SERVED;
	work_within(n, COALESCE_MS);
}

static void on_hear(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	struct sockaddr_nl from;
	struct nlmsghdr *h;
	socklen_t from_len;
	unsigned int i;
	int len;

	(void)what;
	for (i = 0; i < 64; i++) {
		from_len = sizeof(from);
		len = recvfrom(fd, n->buf, sizeof(n->buf), MSG_DONTWAIT, (struct sockaddr *)&from,
			       &from_len);
		if (len < 0 && errno == ENOBUFS) {
			lost_notices(n);
			continue;
		}
		if (len <= 0)
			return;
		if (from.nl_pid != 0)
			continue;
		for (h = (struct nlmsghdr *)n->buf; nlmsg_ok(h, len); h = nlmsg_next(h, &len))
			on_notice(n, h);
	}
}

/* Drop the contents of the notice: the owner looks at all interfaces again. */
static void on_abilities(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	char drop[4096];

	(void)what;
	while (recv(fd, drop, sizeof(drop), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
	n->stale |= STALE_SERVED;
	work_within(n, COALESCE_MS);
}

static bool wants_ports(const struct nexthops *n)
{
	return !n->by_port && host_by_port(n->host);
}

/* Give keys ports from now on, if a rule or judgement of this host looks at ports. */
static void look_at_ports(struct nexthops *n)
{
	if (!wants_ports(n))
		return;
	n->by_port = true;
	log_info("next hops: a rule of this host looks at ports: each flow gets its own");
	if (n->opts.by_port)
		n->opts.by_port(n->opts.arg);
}

static void on_host(void *arg, bool routes)
{
	struct nexthops *n = arg;

	n->stale |= routes ? STALE_ALL_ROUTES : STALE_HOST;
	look_at_ports(n);
	work_within(n, 0);
}

/*
 * The route to one host may have changed. The kernel keeps it beside the table and sends no notice.
 * Hosts beyond PATHMTU_TURN pending prefixes wait for the next sweep.
 */
static void on_path(void *arg, const struct addr *dest)
{
	struct nexthops *n = arg;
	struct netlink_prefix p = { .family = dest->family, .bits = 8 * addr_ip_len(dest) };
	unsigned int i;

	memcpy(p.ip, dest->ip, sizeof(p.ip));
	for (i = 0; i < n->n_prefixes; i++)
		if (memcmp(&n->prefixes[i], &p, sizeof(p)) == 0)
			return;
	if (n->n_prefixes >= PATHMTU_TURN)
		return;
	n->prefixes[n->n_prefixes++] = p;
	work_within(n, PATH_MS);
}

/* ---- work ---- */

static void read_stale(struct nexthops *n)
{
	unsigned int stale = n->stale;
	bool all = stale & STALE_ALL_ROUTES;
	struct neigh *nb;

	n->stale = 0;
	if ((stale & STALE_SERVED) && n->opts.links_changed)
		n->opts.links_changed(n->opts.arg);
	if ((stale & (STALE_LINKS | STALE_SERVED)) && links_read(&n->links) > 0) {
		n->counts.link_changes++;
		all = true;
	}
	if ((stale & STALE_ADDRS) && links_read_addrs(&n->links) > 0)
		all = true;
	if (stale & STALE_NEIGHS)
		for (nb = n->neighs.hash; nb; nb = nb->hh.next)
			if (neigh_refresh(&n->neighs, nb))
				neigh_mark(n, nb);
	if (all)
		mark_all(n, DIRTY_ROUTE);
	else if (stale & STALE_HOST)
		mark_all(n, DIRTY_HOST);
	if (!all && n->n_prefixes)
		mark_prefixes(n);
	n->n_prefixes = 0;
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	uint64_t end = clock_now() + SLICE_NS;
	struct nexthop_view v;
	struct nexthop *nh;
	unsigned int i;

	(void)fd, (void)what;
	look_at_ports(n);
	if (n->stale || n->n_prefixes)
		read_stale(n);
	for (i = 1; n->dirty || mark_more(n); i++) {
		nh = n->dirty;
		if (nh && nexthop_work(n, nh) && !nh->key.direct) {
			view_out(nh, &v);
			n->opts.changed(n->opts.arg, nh->id, &v);
		}
		if (i % 4 == 0 && clock_now() > end)
			break;
	}
	if (n->dirty || n->sweep || wants_ports(n))
		work_within(n, 0);
}

/* A waiting next hop is judged for the n-th time 2^n turns after the previous judgement. */
static void on_wait(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	struct nexthop *nh;

	(void)fd, (void)what;
	n->wait_turn++;
	DL_FOREACH2(n->waiting, nh, wait_next)
		if ((n->wait_turn + nh->id) % (1u << nh->tried) == 0)
			mark(n, nh, DIRTY_HOST);
	if (n->dirty)
		work_within(n, 0);
	if (n->waiting)
		wait_more(n);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	uint64_t now = clock_now();
	struct neigh *nb;

	(void)fd, (void)what;
	host_look(n->host);
	for (nb = n->neighs.hash; nb; nb = nb->hh.next) {
		if (neigh_due(nb, now) && neigh_refresh(&n->neighs, nb))
			neigh_mark(n, nb);
	}
	if (now - n->swept_ns >= SWEEP_NS) {
		n->swept_ns = now;
		n->stale |= n->abilities >= 0 ? STALE_LINKS : STALE_LINKS | STALE_SERVED;
		mark_all(n, DIRTY_ROUTE);
		work_within(n, 0);
	}
}

/* ---- beginning and end ---- */

static int listen_for_notices(struct nexthops *n, struct event_base *base)
{
	int size = 4 << 20, rc;
	size_t i;

	rc = netlink_socket(&n->hear);
	if (rc)
		return rc;
	if (setsockopt(nl_socket_get_fd(n->hear), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(nl_socket_get_fd(n->hear), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (i = 0; i < ARRAY_SIZE(groups); i++) {
		rc = nl_socket_add_membership(n->hear, groups[i]);
		if (rc < 0)
			log_warn("no notices of route netlink group %d: %s", groups[i],
				 nl_geterror(rc));
	}
	n->hear_ev = event_new(base, nl_socket_get_fd(n->hear), EV_READ | EV_PERSIST, on_hear, n);
	if (!n->hear_ev || event_add(n->hear_ev, NULL))
		return -ENOMEM;
	rc = netdev_notices(&n->abilities);
	if (rc) {
		log_dbug("no notices about the abilities of interfaces: %s", strerror(-rc));
		return 0;
	}
	n->abilities_ev = event_new(base, n->abilities, EV_READ | EV_PERSIST, on_abilities, n);
	return n->abilities_ev && event_add(n->abilities_ev, NULL) == 0 ? 0 : -ENOMEM;
}

static int make_ids(struct nexthops *n)
{
	unsigned int i;

	n->by_id = calloc(n->opts.max + 1, sizeof(*n->by_id));
	n->free_ids = calloc(n->opts.max, sizeof(*n->free_ids));
	n->marks = calloc(n->opts.max + 1, sizeof(*n->marks));
	if (!n->by_id || !n->free_ids || !n->marks)
		return -ENOMEM;
	for (i = 0; i < n->opts.max; i++)
		id_push(n, i + 1);
	return 0;
}

int nexthops_new(struct nexthops **out, struct event_base *base, const struct nexthops_opts *opts)
{
	struct nexthops *n = calloc(1, sizeof(*n));
	struct timeval tick = { .tv_sec = TICK_NS / NSEC_PER_SEC };
	const struct host_opts host = { .changed = on_host,
					.arg = n,
					.routes = opts->routes,
					.iptables = opts->iptables,
					.idle = opts->idle };
	int rc;

	if (!n)
		return -ENOMEM;
	n->abilities = -1;
	n->opts = *opts;
	n->opts.max = MAX(1u, MIN(opts->max, RTPX_MAX_NEXTHOPS - 1u));
	n->swept_ns = clock_now();
	rc = make_ids(n);
	if (rc == 0)
		rc = netlink_open(&n->nl);
	n->neighs.nl = n->links.nl = n->nl;
	n->links.served = opts->served;
	n->links.arg = opts->arg;
	if (rc == 0)
		rc = listen_for_notices(n, base);
	if (rc)
		goto err_free;
	rc = -ENOMEM;
	n->work_ev = evtimer_new(base, on_work, n);
	n->tick_ev = event_new(base, -1, EV_PERSIST, on_tick, n);
	n->wait_ev = evtimer_new(base, on_wait, n);
	if (!n->work_ev || !n->tick_ev || !n->wait_ev || event_add(n->tick_ev, &tick))
		goto err_free;
	/* Notices begin before the tables are read: a change between is read twice, not missed. */
	rc = links_read(&n->links);
	if (rc >= 0)
		rc = links_read_addrs(&n->links);
	if (rc >= 0)
		rc = host_new(&n->host, base, &host);
	if (rc < 0)
		goto err_free;
	look_at_ports(n);
	if (opts->pathmtu)
		rc = pathmtu_start(opts->pathmtu, base, on_path, n);
	if (rc < 0)
		goto err_free;
	neighs_release_leftovers(&n->neighs);
	*out = n;
	return 0;

err_free:
	nexthops_free(n);
	return rc;
}

void nexthops_free(struct nexthops *n)
{
	struct event **ev[] = { &n->hear_ev, &n->abilities_ev, &n->work_ev, &n->tick_ev,
				&n->wait_ev };
	struct nexthop *nh, *next;
	size_t i;

	HASH_ITER(hh, n->hash, nh, next)
		nexthop_forget(n, nh);
	for (i = 0; i < ARRAY_SIZE(ev); i++)
		if (*ev[i])
			event_free(*ev[i]);
	if (n->opts.pathmtu)
		pathmtu_stop(n->opts.pathmtu);
	host_free(n->host);
	links_clear(&n->links);
	if (n->abilities >= 0)
		close(n->abilities);
	nl_socket_free(n->hear);
	netlink_close(n->nl);
	free(n->by_id);
	free(n->free_ids);
	free(n->marks);
	free(n);
}
