/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nexthop.c - next hops by route netlink.
 *
 * Routes are not cached: each id asks the kernel with its own destination and source, so that
 * rules, metrics and multipath are the kernel's. Links and addresses are small tables, read again
 * whole when a notice says that they changed, so that a lost notice cannot leave them wrong. A
 * neighbour is one object that all ids behind it share.
 *
 * Notices mark ids dirty. Marked ids are worked off in slices of SLICE_NS, so that a gateway with
 * thousands of destinations behind it does not hold up the loop.
 *
 * Deliberately not here: forwarding entries of bridges (a route through a bridge is served only
 * when the bridge itself is), stacked VLAN tags, tunnels.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vlan.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <uthash.h>
#include <utlist.h>

#include "log.h"
#include "netdev.h"
#include "nexthop.h"

#define COALESCE_MS 50 /* between a notice about routes, links or addresses and the work */
#define SLICE_NS (2 * NSEC_PER_MSEC) /* of work before other events get their turn */
#define TICK_NS NSEC_PER_SEC
#define PROBE_NS (20 * NSEC_PER_SEC) /* neighbours that the kernel does not manage for us */
#define SWEEP_NS \
	(30 * NSEC_PER_SEC) /* what changes without a notice: path MTUs, silently lost routes */
#define MAX_PREFIXES 64	    /* changed routes remembered between two rounds of work */
#define NEIGH_PROTOCOL 0x72 /* marks neighbours as managed by us: seen again after a crash */
#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define NUD_FIXED (NUD_PERMANENT | NUD_NOARP)

/* A host without its port, as a hash key: no padding, unused bytes 0. */
struct host {
	uint32_t family; /* enum addr_family */
	uint8_t ip[16];
};

struct iface {
	struct iface_facts {
		unsigned int ifindex;
		unsigned int mtu;
		unsigned int tx; /* the device that frames leave through: the VLAN's lower one, else
				    itself */
		uint16_t vlan;	 /* tag to push there; 0: none */
		bool up;
		bool usable; /* Ethernet, and not a kind of stacking that we cannot do */
		bool served; /* what opts->served said of tx */
		uint8_t mac[6];
		char name[IFNAMSIZ];
	} is;
	UT_hash_handle hh;
};

struct local {
	struct host host;
	UT_hash_handle hh;
};

struct neigh_key {
	uint32_t ifindex;
	struct host host;
};

struct neigh {
	struct neigh_key key;
	uint8_t mac[6];
	bool usable;
	bool fixed;   /* permanent or kept by somebody else: not ours to touch */
	bool managed; /* the kernel probes it for us */
	uint64_t probed_ns;
	struct nexthop *users;
	UT_hash_handle hh;
};

enum dirty { DIRTY_NEIGH = 1, DIRTY_ROUTE = 2 };

struct nexthop_key {
	struct host dest, source;
};

struct nexthop {
	struct nexthop_key key;
	uint16_t id;
	uint8_t dirty; /* enum dirty; 0: not in the list */
	unsigned int users;
	/* the route's part of the answer */
	struct addr gateway, source;
	unsigned int oif;
	unsigned int route_mtu; /* 0: the device's */
	enum flow_why route_why;
	struct neigh *neigh;
	struct nexthop_view view; /* as last reported */
	struct nexthop *dirty_prev, *dirty_next, *neigh_prev, *neigh_next;
	UT_hash_handle hh;
};

struct prefix {
	uint8_t family; /* enum addr_family */
	uint8_t bits;
	uint8_t ip[16];
};

enum stale {
	STALE_LINKS = 1,
	STALE_ADDRS = 2,
	STALE_ALL_ROUTES = 4,
	STALE_NEIGHS = 8,
	STALE_SERVED = 16
};

struct nexthops {
	struct nexthops_opts opts;
	struct nl_sock *ask, *hear, *abilities;
	struct event *hear_ev, *abilities_ev, *work_ev, *tick_ev;
	struct iface *ifaces;
	struct local *locals;
	struct neigh *neighs;
	struct nexthop *hash, *dirty;
	struct nexthop **by_id; /* [max + 1] */
	uint16_t *free_ids;	/* a ring, so that an id rests before it is used again */
	unsigned int free_first, n_free;
	unsigned int stale; /* enum stale */
	struct prefix prefixes[MAX_PREFIXES];
	unsigned int n_prefixes;
	uint64_t swept_ns;
	bool refused; /* said once that neighbours cannot be kept */
	struct nexthop_counts counts;
	char buf[32768] __attribute__((aligned(8)));
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

/* ---- hosts ------------------------------------------------------------------------------- */

static size_t ip_len(unsigned int family)
{
	return family == ADDR_IP6 ? 16 : 4;
}

static int af_of(unsigned int family)
{
	return family == ADDR_IP6 ? AF_INET6 : AF_INET;
}

static enum addr_family family_of(int af)
{
	return af == AF_INET ? ADDR_IP4 : af == AF_INET6 ? ADDR_IP6 : ADDR_NONE;
}

static struct host host_of(const struct addr *a)
{
	struct host h = { .family = a->family };

	if (a->family != ADDR_NONE)
		memcpy(h.ip, a->ip, ip_len(a->family));
	return h;
}

static struct addr addr_of(const struct host *h)
{
	struct addr a = { .family = h->family };

	memcpy(a.ip, h->ip, sizeof(a.ip));
	return a;
}

/* host_read - @len bytes of an address attribute; false when they are none. */
static bool host_read(struct host *h, enum addr_family family, const void *ip, size_t len)
{
	*h = (struct host){ .family = family };
	if (family == ADDR_NONE || len != ip_len(family))
		return false;
	memcpy(h->ip, ip, len);
	return true;
}

static bool prefix_covers(const struct prefix *p, const struct host *h)
{
	unsigned int whole = p->bits / 8, rest = p->bits % 8;

	if (p->family != h->family || memcmp(p->ip, h->ip, whole))
		return false;
	return rest == 0 || ((p->ip[whole] ^ h->ip[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

/* ---- one question, one answer -------------------------------------------------------------- */

/*
 * ask - send one request (which is freed) and read what the kernel answers while it handles it. 0
 * with *@reply in n->buf, 0 with NULL for a mere acknowledgement, or the kernel's -errno.
 */
static int ask(struct nexthops *n, struct nl_msg *msg, struct nlmsghdr **reply)
{
	struct nlmsghdr *h = nlmsg_hdr(msg);
	int fd = nl_socket_get_fd(n->ask), rc = 0;
	uint32_t seq;
	ssize_t len;

	nl_complete_msg(n->ask, msg);
	seq = h->nlmsg_seq;
	if (send(fd, h, h->nlmsg_len, 0) < 0)
		rc = -errno;
	nlmsg_free(msg);
	if (rc)
		return rc;
	do {
		len = recv(fd, n->buf, sizeof(n->buf), MSG_DONTWAIT);
		if (len < 0)
			return -errno;
		h = (struct nlmsghdr *)n->buf;
	} while (!nlmsg_ok(h, len) || h->nlmsg_seq != seq);
	*reply = h;
	if (h->nlmsg_type != NLMSG_ERROR)
		return 0;
	*reply = NULL;
	return ((struct nlmsgerr *)nlmsg_data(h))->error;
}

/* A request with its fixed header; NULL: out of memory. */
static struct nl_msg *request(int type, int flags, const void *head, size_t len)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg && nlmsg_append(msg, (void *)head, len, NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* ---- links and addresses --------------------------------------------------------------------- */

static struct iface *iface_find(const struct nexthops *n, unsigned int ifindex)
{
	struct iface *i;

	HASH_FIND(hh, n->ifaces, &ifindex, sizeof(ifindex), i);
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

/* What a link is; its lower device may come later in the list, so stacking is judged by
 * ifaces_stack(). */
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
	/* A VLAN whose lower device is in another namespace is a device like any other. */
	if (!rtnl_link_is_vlan(l) || rtnl_link_get_link_netnsid(l, &netns) == 0)
		return;
	f->tx = rtnl_link_get_link(l);
	f->vlan = rtnl_link_vlan_get_id(l);
	f->usable = f->usable && ntohs(rtnl_link_vlan_get_protocol(l)) == 0x8100 && f->vlan != 0;
}

/* One tag can be pushed: a VLAN over a VLAN cannot be served. */
static void ifaces_stack(struct nexthops *n)
{
	struct iface *i, *lower;

	for (i = n->ifaces; i; i = i->hh.next) {
		lower = iface_find(n, i->is.tx);
		if (!lower || !lower->is.usable || (lower != i && lower->is.vlan))
			i->is.usable = false;
	}
}

static void ifaces_ask_served(struct nexthops *n)
{
	struct iface *i;

	for (i = n->ifaces; i; i = i->hh.next)
		i->is.served = n->opts.served(n->opts.arg, i->is.tx);
}

static void iface_add(struct nl_object *o, void *arg)
{
	struct nexthops *n = arg;
	struct iface *i = calloc(1, sizeof(*i));

	if (!i)
		return;
	iface_fill(&i->is, (struct rtnl_link *)o);
	HASH_ADD(hh, n->ifaces, is.ifindex, sizeof(i->is.ifindex), i);
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

/* links_read - the table anew; 1 when anything of interest differs, 0, or -errno with the old table
 * kept. */
static int links_read(struct nexthops *n)
{
	struct iface *old = n->ifaces;
	struct nl_cache *cache;
	int rc;

	rc = rtnl_link_alloc_cache(n->ask, AF_UNSPEC, &cache);
	if (rc < 0) {
		log_warn("cannot read the links: %s", nl_geterror(rc));
		return -EIO;
	}
	n->ifaces = NULL;
	nl_cache_foreach(cache, iface_add, n);
	nl_cache_free(cache);
	ifaces_stack(n);
	ifaces_ask_served(n);
	rc = !ifaces_equal(n->ifaces, old);
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

static void local_add(struct nl_object *o, void *arg)
{
	struct nl_addr *a = rtnl_addr_get_local((struct rtnl_addr *)o);
	struct nexthops *n = arg;
	struct local *l;
	struct host h;

	if (!a || !host_read(&h, family_of(nl_addr_get_family(a)), nl_addr_get_binary_addr(a),
			     nl_addr_get_len(a)))
		return;
	HASH_FIND(hh, n->locals, &h, sizeof(h), l);
	if (l)
		return;
	l = calloc(1, sizeof(*l));
	if (!l)
		return;
	l->host = h;
	HASH_ADD(hh, n->locals, host, sizeof(l->host), l);
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

/* addrs_read - as links_read(). */
static int addrs_read(struct nexthops *n)
{
	struct local *old = n->locals;
	struct nl_cache *cache;
	int rc;

	rc = rtnl_addr_alloc_cache(n->ask, &cache);
	if (rc < 0) {
		log_warn("cannot read the addresses: %s", nl_geterror(rc));
		return -EIO;
	}
	n->locals = NULL;
	nl_cache_foreach(cache, local_add, n);
	nl_cache_free(cache);
	rc = !locals_equal(n->locals, old);
	locals_clear(&old);
	return rc;
}

bool nexthop_is_local(const struct nexthops *n, const struct addr *a)
{
	struct host h = host_of(a);
	struct local *l;

	if (addr_is_loopback(a))
		return true;
	HASH_FIND(hh, n->locals, &h, sizeof(h), l);
	return l != NULL;
}

/* ---- the dirty list ----------------------------------------------------------------------------
 */

static void work_within(struct nexthops *n, unsigned int ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	if (ms == 0 || !event_pending(n->work_ev, EV_TIMEOUT, NULL))
		event_add(n->work_ev, &tv);
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

static void mark_all(struct nexthops *n)
{
	struct nexthop *nh;

	for (nh = n->hash; nh; nh = nh->hh.next)
		mark(n, nh, DIRTY_ROUTE);
}

static void mark_prefixes(struct nexthops *n)
{
	struct nexthop *nh;
	unsigned int i;

	for (nh = n->hash; nh; nh = nh->hh.next)
		for (i = 0; i < n->n_prefixes; i++)
			if (prefix_covers(&n->prefixes[i], &nh->key.dest)) {
				mark(n, nh, DIRTY_ROUTE);
				break;
			}
}

/* ---- neighbours ---------------------------------------------------------------------------------
 */

struct neigh_state {
	struct neigh_key key;
	uint16_t nud;
	bool managed, foreign; /* kept by the kernel for us; by or for somebody else */
	bool has_mac;
	uint8_t mac[6];
};

/* neigh_parse - one RTM_NEWNEIGH or RTM_DELNEIGH; false when it is not about a neighbour. */
static bool neigh_parse(struct nlmsghdr *h, struct neigh_state *s)
{
	const struct ndmsg *nd = nlmsg_data(h);
	struct nlattr *a[NDA_MAX + 1];
	uint32_t ext;
	uint8_t protocol;

	*s = (struct neigh_state){ 0 };
	if (nlmsg_parse(h, sizeof(*nd), a, NDA_MAX, NULL) || !a[NDA_DST] ||
	    !host_read(&s->key.host, family_of(nd->ndm_family), nla_data(a[NDA_DST]),
		       nla_len(a[NDA_DST])))
		return false;
	s->key.ifindex = nd->ndm_ifindex;
	s->nud = nd->ndm_state;
	ext = a[NDA_FLAGS_EXT] ? nla_get_u32(a[NDA_FLAGS_EXT]) : 0;
	protocol = a[NDA_PROTOCOL] ? nla_get_u8(a[NDA_PROTOCOL]) : 0;
	s->managed = (ext & NTF_EXT_MANAGED) && protocol == NEIGH_PROTOCOL;
	s->foreign = (nd->ndm_flags & NTF_EXT_LEARNED) || ((ext & NTF_EXT_MANAGED) && !s->managed);
	s->has_mac = a[NDA_LLADDR] && nla_len(a[NDA_LLADDR]) == sizeof(s->mac);
	if (s->has_mac)
		memcpy(s->mac, nla_data(a[NDA_LLADDR]), sizeof(s->mac));
	return true;
}

static struct nl_msg *neigh_request(int type, int flags, const struct neigh_key *key,
				    uint8_t ndm_flags)
{
	struct ndmsg nd = { .ndm_family = af_of(key->host.family),
			    .ndm_ifindex = key->ifindex,
			    .ndm_flags = ndm_flags };
	struct nl_msg *msg = request(type, flags, &nd, sizeof(nd));

	if (msg && nla_put(msg, NDA_DST, ip_len(key->host.family), key->host.ip)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* neigh_ask - what the kernel knows now: 0, -ENOENT, or another -errno. */
static int neigh_ask(struct nexthops *n, const struct neigh_key *key, struct neigh_state *s)
{
	struct nl_msg *msg = neigh_request(RTM_GETNEIGH, 0, key, 0);
	struct nlmsghdr *reply;
	int rc;

	if (!msg)
		return -ENOMEM;
	rc = ask(n, msg, &reply);
	if (rc)
		return rc;
	return reply && neigh_parse(reply, s) ? 0 : -ENOENT;
}

/* neigh_take_state - true when ids behind it get another answer. @s NULL: the kernel has no such
 * entry. */
static bool neigh_take_state(struct neigh *nb, const struct neigh_state *s)
{
	bool usable = s && s->has_mac && (s->nud & NUD_USABLE);
	bool changed = usable != nb->usable || (usable && memcmp(nb->mac, s->mac, sizeof(nb->mac)));

	nb->usable = usable;
	nb->fixed = s && ((s->nud & NUD_FIXED) || s->foreign);
	nb->managed = s && s->managed;
	if (usable)
		memcpy(nb->mac, s->mac, sizeof(nb->mac));
	return changed;
}

/*
 * neigh_keep - create the entry when need be, and have it probed: from now on by the kernel
 * (NTF_EXT_MANAGED, Linux 5.16), or just once by an older kernel, which knows NTF_USE only. Never
 * for a permanent entry, which either flag would turn into an ordinary one.
 */
static void neigh_keep(struct nexthops *n, struct neigh *nb)
{
	struct nl_msg *msg;
	struct nlmsghdr *reply;
	int rc = -ENOMEM;

	nb->probed_ns = now_ns();
	n->counts.probes++;
	msg = neigh_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &nb->key,
			    NTF_USE);
	if (msg && (nla_put_u32(msg, NDA_FLAGS_EXT, NTF_EXT_MANAGED) ||
		    nla_put_u8(msg, NDA_PROTOCOL, NEIGH_PROTOCOL))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	if (msg)
		rc = ask(n, msg, &reply);
	if (rc && !n->refused) {
		n->refused = true;
		log_warn("neighbours cannot be kept alive: %s%s", strerror(-rc),
			 rc == -EPERM ? "; the daemon needs CAP_NET_ADMIN"
			 : rc == -ENOBUFS
				 ? "; raise net.ipv4.neigh.default.gc_thresh3 or the one of ipv6"
				 : "");
	}
}

/* neigh_refresh - read the kernel's entry, have it kept unless that is not ours to do; true when
 * the answer changed. */
static bool neigh_refresh(struct nexthops *n, struct neigh *nb)
{
	struct neigh_state s;
	int rc = neigh_ask(n, &nb->key, &s);
	bool changed = neigh_take_state(nb, rc ? NULL : &s);

	if (nb->fixed || nb->managed)
		return changed;
	neigh_keep(n, nb);
	rc = neigh_ask(n, &nb->key, &s);
	return neigh_take_state(nb, rc ? NULL : &s) || changed;
}

/* neigh_release - make the entry an ordinary one again. The kernel is asked first: it may be
 * permanent by now. */
static void neigh_release(struct nexthops *n, const struct neigh_key *key)
{
	struct neigh_state s;
	struct nl_msg *msg;
	struct nlmsghdr *reply;

	if (neigh_ask(n, key, &s) || !s.managed)
		return;
	msg = neigh_request(RTM_NEWNEIGH, NLM_F_REPLACE | NLM_F_ACK, key, NTF_USE);
	if (msg)
		ask(n, msg, &reply);
}

static struct neigh *neigh_get(struct nexthops *n, const struct neigh_key *key)
{
	struct neigh *nb;

	HASH_FIND(hh, n->neighs, key, sizeof(*key), nb);
	if (nb)
		return nb;
	nb = calloc(1, sizeof(*nb));
	if (!nb)
		return NULL;
	nb->key = *key;
	HASH_ADD(hh, n->neighs, key, sizeof(nb->key), nb);
	neigh_refresh(n, nb);
	return nb;
}

static void neigh_mark(struct nexthops *n, struct neigh *nb)
{
	struct nexthop *nh;

	n->counts.neighbour_changes++;
	DL_FOREACH2(nb->users, nh, neigh_next)
		mark(n, nh, DIRTY_NEIGH);
	work_within(n, 0);
}

/* Joins the new one before it leaves the old one, so that the same one stays kept. @key NULL: none.
 */
static void nexthop_set_neigh(struct nexthops *n, struct nexthop *nh, const struct neigh_key *key)
{
	struct neigh *old = nh->neigh, *new = key ? neigh_get(n, key) : NULL;

	if (new == old)
		return;
	if (old) {
		DL_DELETE2(old->users, nh, neigh_prev, neigh_next);
		if (!old->users) {
			HASH_DEL(n->neighs, old);
			neigh_release(n, &old->key);
			free(old);
		}
	}
	if (new)
		DL_APPEND2(new->users, nh, neigh_prev, neigh_next);
	nh->neigh = new;
}

/* Entries that a daemon which was killed has left managed. */
static int neigh_leftover(struct nl_msg *msg, void *arg)
{
	struct neigh_state s;
	struct {
		struct neigh_key *keys;
		size_t n;
	} *found = arg;
	struct neigh_key *more;

	if (nlmsg_hdr(msg)->nlmsg_type != RTM_NEWNEIGH || !neigh_parse(nlmsg_hdr(msg), &s) ||
	    !s.managed)
		return NL_OK;
	more = realloc(found->keys, (found->n + 1) * sizeof(*more));
	if (more) {
		found->keys = more;
		found->keys[found->n++] = s.key;
	}
	return NL_OK;
}

static void neighs_release_leftovers(struct nexthops *n)
{
	struct {
		struct neigh_key *keys;
		size_t n;
	} found = { 0 };
	struct rtgenmsg all = { .rtgen_family = AF_UNSPEC };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	size_t i;

	if (!cb)
		return;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, neigh_leftover, &found);
	if (nl_send_simple(n->ask, RTM_GETNEIGH, NLM_F_DUMP, &all, sizeof(all)) >= 0)
		nl_recvmsgs(n->ask, cb);
	nl_cb_put(cb);
	for (i = 0; i < found.n; i++)
		neigh_release(n, &found.keys[i]);
	if (found.n)
		log_info("%zu neighbours that a former daemon had kept alive are ordinary ones "
			 "again",
			 found.n);
	free(found.keys);
}

/* ---- routes -------------------------------------------------------------------------------------
 */

static struct nl_msg *route_request(const struct nexthop_key *key)
{
	size_t len = ip_len(key->dest.family);
	struct rtmsg rt = { .rtm_family = af_of(key->dest.family), .rtm_dst_len = len * 8 };
	struct nl_msg *msg;

	if (key->source.family != ADDR_NONE)
		rt.rtm_src_len = len * 8;
	msg = request(RTM_GETROUTE, 0, &rt, sizeof(rt));
	if (msg && (nla_put(msg, RTA_DST, len, key->dest.ip) ||
		    (rt.rtm_src_len && nla_put(msg, RTA_SRC, len, key->source.ip)))) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* The gateway may be of the other family (RTA_VIA). */
static void route_gateway(struct nexthop *nh, struct nlattr **a)
{
	enum addr_family family = nh->key.dest.family;
	const struct rtvia *via;
	struct host h;

	if (a[RTA_GATEWAY] &&
	    host_read(&h, family, nla_data(a[RTA_GATEWAY]), nla_len(a[RTA_GATEWAY]))) {
		nh->gateway = addr_of(&h);
	} else if (a[RTA_VIA] && nla_len(a[RTA_VIA]) > (int)sizeof(*via)) {
		via = nla_data(a[RTA_VIA]);
		if (host_read(&h, family_of(via->rtvia_family), via->rtvia_addr,
			      nla_len(a[RTA_VIA]) - sizeof(*via)))
			nh->gateway = addr_of(&h);
	}
}

static enum flow_why route_parse(struct nexthop *nh, struct nlmsghdr *reply)
{
	const struct rtmsg *rt = nlmsg_data(reply);
	struct nlattr *a[RTA_MAX + 1], *m[RTAX_MAX + 1];
	struct host h;

	if (reply->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(reply, sizeof(*rt), a, RTA_MAX, NULL))
		return FLOW_WHY_NO_ROUTE;
	if (rt->rtm_type == RTN_LOCAL)
		return FLOW_WHY_LOOPBACK;
	if (rt->rtm_type != RTN_UNICAST || !a[RTA_OIF])
		return FLOW_WHY_NO_ROUTE;
	nh->oif = nla_get_u32(a[RTA_OIF]);
	route_gateway(nh, a);
	if (nh->key.source.family == ADDR_NONE && a[RTA_PREFSRC] &&
	    host_read(&h, nh->key.dest.family, nla_data(a[RTA_PREFSRC]), nla_len(a[RTA_PREFSRC])))
		nh->source = addr_of(&h);
	if (a[RTA_METRICS] && nla_parse_nested(m, RTAX_MAX, a[RTA_METRICS], NULL) == 0 &&
	    m[RTAX_MTU])
		nh->route_mtu = nla_get_u32(m[RTAX_MTU]);
	return FLOW_WHY_KERNEL;
}

static enum flow_why route_query(struct nexthops *n, struct nexthop *nh)
{
	struct nlmsghdr *reply;
	struct nl_msg *msg;
	struct addr dest = addr_of(&nh->key.dest);

	if (nexthop_is_local(n, &dest))
		return FLOW_WHY_LOOPBACK;
	if (nh->key.source.family != ADDR_NONE) {
		nh->source = addr_of(&nh->key.source);
		if (nh->key.source.family != nh->key.dest.family ||
		    !nexthop_is_local(n, &nh->source))
			return FLOW_WHY_NO_ROUTE;
	}
	msg = route_request(&nh->key);
	if (!msg || ask(n, msg, &reply) || !reply)
		return FLOW_WHY_NO_ROUTE;
	return route_parse(nh, reply);
}

/* nexthop_route - the route's part of the answer, and the neighbour that goes with it. */
static void nexthop_route(struct nexthops *n, struct nexthop *nh)
{
	struct neigh_key key = { 0 };
	struct iface *out;

	nh->oif = 0;
	nh->route_mtu = 0;
	nh->gateway = nh->source = (struct addr){ 0 };
	nh->route_why = route_query(n, nh);
	if (nh->route_why == FLOW_WHY_KERNEL) {
		out = iface_find(n, nh->oif);
		if (!out || !out->is.usable || !out->is.served)
			nh->route_why = FLOW_WHY_NO_INTERFACE;
		else if (!out->is.up)
			nh->route_why = FLOW_WHY_NO_ROUTE;
	}
	if (nh->route_why != FLOW_WHY_KERNEL) {
		nexthop_set_neigh(n, nh, NULL);
		return;
	}
	key.ifindex = nh->oif;
	key.host = nh->gateway.family != ADDR_NONE ? host_of(&nh->gateway) : nh->key.dest;
	nexthop_set_neigh(n, nh, &key);
}

/* nexthop_answer - the whole answer from the route's part, the link and the neighbour. */
static void nexthop_answer(const struct nexthops *n, const struct nexthop *nh,
			   struct nexthop_view *v)
{
	const struct iface *out = iface_find(n, nh->oif);

	memset(v, 0, sizeof(*v));
	v->why = nh->route_why;
	v->source = nh->source;
	v->gateway = nh->gateway;
	if (out)
		memcpy(v->ifname, out->is.name, sizeof(v->ifname));
	if (v->why != FLOW_WHY_KERNEL)
		return;
	if (!out || !nh->neigh || !nh->neigh->usable) {
		v->why = FLOW_WHY_NO_NEIGHBOUR;
		return;
	}
	memcpy(v->abi.dst_mac, nh->neigh->mac, sizeof(v->abi.dst_mac));
	memcpy(v->abi.src_mac, out->is.mac, sizeof(v->abi.src_mac));
	v->abi.vlan = out->is.vlan;
	v->abi.mtu = MIN(nh->route_mtu ? MIN(nh->route_mtu, out->is.mtu) : out->is.mtu, 65535u);
	v->abi.tx_port = v->abi.ifindex = out->is.tx;
}

static bool view_equal(const struct nexthop_view *a, const struct nexthop_view *b)
{
	return memcmp(&a->abi, &b->abi, sizeof(a->abi)) == 0 && a->why == b->why &&
	       addr_host_eq(&a->source, &b->source) && addr_host_eq(&a->gateway, &b->gateway) &&
	       memcmp(a->ifname, b->ifname, sizeof(a->ifname)) == 0;
}

/* nexthop_work - @nh is up to date afterwards; true when its answer is another one than before. */
static bool nexthop_work(struct nexthops *n, struct nexthop *nh)
{
	struct nexthop_view v;

	if (nh->dirty & DIRTY_ROUTE)
		nexthop_route(n, nh);
	unmark(n, nh);
	nexthop_answer(n, nh, &v);
	if (view_equal(&v, &nh->view))
		return false;
	nh->view = v;
	return true;
}

/* ---- ids
 * ------------------------------------------------------------------------------------------ */

static void view_out(const struct nexthop *nh, struct nexthop_view *out)
{
	*out = nh->view;
	out->abi.users = nh->users;
}

int nexthop_take(struct nexthops *n, const struct addr *dest, const struct addr *source,
		 uint16_t *id, struct nexthop_view *view)
{
	struct nexthop_key key = { .dest = host_of(dest) };
	struct nexthop *nh;

	if (dest->family == ADDR_NONE)
		return -EINVAL;
	if (source->family != ADDR_NONE && !addr_is_any(source))
		key.source = host_of(source);
	HASH_FIND(hh, n->hash, &key, sizeof(key), nh);
	if (!nh) {
		if (!n->n_free)
			return -ENOSPC;
		nh = calloc(1, sizeof(*nh));
		if (!nh)
			return -ENOMEM;
		nh->key = key;
		nh->id = n->free_ids[n->free_first];
		n->free_first = (n->free_first + 1) % n->opts.max;
		n->n_free--;
		n->by_id[nh->id] = nh;
		HASH_ADD(hh, n->hash, key, sizeof(nh->key), nh);
		mark(n, nh, DIRTY_ROUTE);
		nexthop_work(n, nh);
	}
	nh->users++;
	*id = nh->id;
	view_out(nh, view);
	return 0;
}

static void nexthop_forget(struct nexthops *n, struct nexthop *nh)
{
	unmark(n, nh);
	nexthop_set_neigh(n, nh, NULL);
	HASH_DEL(n->hash, nh);
	n->by_id[nh->id] = NULL;
	n->free_ids[(n->free_first + n->n_free++) % n->opts.max] = nh->id;
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

void nexthops_counts(const struct nexthops *n, struct nexthop_counts *out)
{
	const struct nexthop *nh;

	*out = n->counts;
	out->ids = HASH_COUNT(n->hash);
	for (nh = n->hash; nh; nh = nh->hh.next)
		out->unresolved += nh->view.why != FLOW_WHY_KERNEL;
}

/* ---- notices
 * ---------------------------------------------------------------------------------------- */

static void on_neigh_notice(struct nexthops *n, struct nlmsghdr *h)
{
	struct neigh_state s;
	struct neigh *nb;

	if (!n->neighs || !neigh_parse(h, &s))
		return;
	HASH_FIND(hh, n->neighs, &s.key, sizeof(s.key), nb);
	if (nb && neigh_take_state(nb, h->nlmsg_type == RTM_DELNEIGH ? NULL : &s))
		neigh_mark(n, nb);
}

static void on_route_notice(struct nexthops *n, struct nlmsghdr *h)
{
	const struct rtmsg *rt = nlmsg_data(h);
	struct prefix p = { .family = family_of(rt->rtm_family), .bits = rt->rtm_dst_len };
	struct nlattr *dst = nlmsg_find_attr(h, sizeof(*rt), RTA_DST);
	struct host host;

	if (p.family == ADDR_NONE || p.bits > 8 * ip_len(p.family))
		return;
	n->counts.route_changes++;
	if (dst && host_read(&host, p.family, nla_data(dst), nla_len(dst)))
		memcpy(p.ip, host.ip, sizeof(p.ip));
	if (n->n_prefixes < MAX_PREFIXES)
		n->prefixes[n->n_prefixes++] = p;
	else
		n->stale |= STALE_ALL_ROUTES;
}

/* One row for each kind of notice: what must be read again, or who reads the notice itself. */
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

	/* A bridge speaks of its ports and of its forwarding entries in the same words. */
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

/* lost_notices - the socket overflowed: everything may be different. */
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

/* What it says does not matter: whoever serves interfaces looks at all of them. */
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

/* ---- work
 * -------------------------------------------------------------------------------------------- */

static void read_stale(struct nexthops *n)
{
	unsigned int stale = n->stale;
	bool all = stale & STALE_ALL_ROUTES;
	struct neigh *nb;

	n->stale = 0;
	if ((stale & STALE_SERVED) && n->opts.links_changed)
		n->opts.links_changed(n->opts.arg);
	if ((stale & (STALE_LINKS | STALE_SERVED)) && links_read(n) > 0) {
		n->counts.link_changes++;
		all = true;
	}
	if ((stale & STALE_ADDRS) && addrs_read(n) > 0)
		all = true;
	if (stale & STALE_NEIGHS)
		for (nb = n->neighs; nb; nb = nb->hh.next)
			if (neigh_refresh(n, nb))
				neigh_mark(n, nb);
	if (all)
		mark_all(n);
	else if (n->n_prefixes)
		mark_prefixes(n);
	n->n_prefixes = 0;
}

static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	uint64_t end = now_ns() + SLICE_NS;
	struct nexthop_view v;
	struct nexthop *nh;
	unsigned int i;

	(void)fd, (void)what;
	if (n->stale || n->n_prefixes)
		read_stale(n);
	for (i = 1; (nh = n->dirty); i++) {
		if (nexthop_work(n, nh)) {
			view_out(nh, &v);
			n->opts.changed(n->opts.arg, nh->id, &v);
		}
		if (i % 16 == 0 && now_ns() > end)
			break;
	}
	if (n->dirty)
		work_within(n, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct nexthops *n = arg;
	uint64_t now = now_ns();
	struct neigh *nb;

	(void)fd, (void)what;
	for (nb = n->neighs; nb; nb = nb->hh.next) {
		if (nb->fixed || nb->managed || (nb->usable && now - nb->probed_ns < PROBE_NS))
			continue;
		if (neigh_refresh(n, nb))
			neigh_mark(n, nb);
	}
	if (now - n->swept_ns >= SWEEP_NS) {
		n->swept_ns = now;
		mark_all(n);
		work_within(n, 0);
	}
}

/* ---- beginning and end
 * ----------------------------------------------------------------------------------- */

static int open_socket(struct nl_sock **out)
{
	struct nl_sock *sk = nl_socket_alloc();
	int rc;

	if (!sk)
		return -ENOMEM;
	nl_socket_disable_auto_ack(sk);
	nl_socket_disable_seq_check(sk);
	rc = nl_connect(sk, NETLINK_ROUTE);
	if (rc < 0) {
		log_err("cannot open a route netlink socket: %s", nl_geterror(rc));
		nl_socket_free(sk);
		return -EIO;
	}
	*out = sk;
	return 0;
}

static int listen_for_notices(struct nexthops *n, struct event_base *base)
{
	int size = 4 << 20, rc;
	size_t i;

	rc = open_socket(&n->hear);
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
	n->abilities_ev = event_new(base, nl_socket_get_fd(n->abilities), EV_READ | EV_PERSIST,
				    on_abilities, n);
	return n->abilities_ev && event_add(n->abilities_ev, NULL) == 0 ? 0 : -ENOMEM;
}

static int make_ids(struct nexthops *n)
{
	unsigned int i;

	n->by_id = calloc(n->opts.max + 1, sizeof(*n->by_id));
	n->free_ids = calloc(n->opts.max, sizeof(*n->free_ids));
	if (!n->by_id || !n->free_ids)
		return -ENOMEM;
	for (i = 0; i < n->opts.max; i++)
		n->free_ids[i] = i + 1;
	n->n_free = n->opts.max;
	return 0;
}

int nexthops_new(struct nexthops **out, struct event_base *base, const struct nexthops_opts *opts)
{
	struct nexthops *n = calloc(1, sizeof(*n));
	struct timeval tick = { .tv_sec = TICK_NS / NSEC_PER_SEC };
	int rc;

	if (!n)
		return -ENOMEM;
	n->opts = *opts;
	n->opts.max = MAX(1u, MIN(opts->max, RTPX_MAX_NEXTHOPS - 1u));
	n->swept_ns = now_ns();
	rc = make_ids(n);
	if (rc == 0)
		rc = open_socket(&n->ask);
	if (rc == 0)
		rc = listen_for_notices(n, base);
	if (rc)
		goto err_free;
	rc = -ENOMEM;
	n->work_ev = evtimer_new(base, on_work, n);
	n->tick_ev = event_new(base, -1, EV_PERSIST, on_tick, n);
	if (!n->work_ev || !n->tick_ev || event_add(n->tick_ev, &tick))
		goto err_free;
	/* Notices are on before the tables are read: what changes in between is read twice, never
	 * missed. */
	rc = links_read(n);
	if (rc >= 0)
		rc = addrs_read(n);
	if (rc < 0)
		goto err_free;
	neighs_release_leftovers(n);
	*out = n;
	return 0;

err_free:
	nexthops_free(n);
	return rc;
}

void nexthops_free(struct nexthops *n)
{
	struct event **ev[] = { &n->hear_ev, &n->abilities_ev, &n->work_ev, &n->tick_ev };
	struct nexthop *nh, *next;
	size_t i;

	HASH_ITER(hh, n->hash, nh, next)
		nexthop_forget(n, nh);
	for (i = 0; i < ARRAY_SIZE(ev); i++)
		if (*ev[i])
			event_free(*ev[i]);
	ifaces_clear(&n->ifaces);
	locals_clear(&n->locals);
	nl_socket_free(n->abilities);
	nl_socket_free(n->hear);
	nl_socket_free(n->ask);
	free(n->by_id);
	free(n->free_ids);
	free(n);
}
