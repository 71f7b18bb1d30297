/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * neigh.c - neighbours by targeted netlink questions, without a cache of unused neighbours.
 *
 * The kernel is asked to keep an entry resolved by itself (NTF_EXT_MANAGED, Linux 5.16). An older
 * kernel is asked to probe it now and then. Permanent entries, and entries that another program
 * keeps, are only read.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>

#include "net/neigh.h"
#include "base/clock.h"
#include "base/log.h"

/* between probes of a neighbour that the kernel does not keep */
#define PROBE_NS (20 * NSEC_PER_SEC)
/* marks entries as managed by us, to find them after a crash */
#define NEIGH_PROTOCOL 0x72
#define NUD_USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define NUD_FIXED (NUD_PERMANENT | NUD_NOARP)

struct neigh_state {
	struct neigh_key key;
	uint16_t nud;
	bool managed, foreign; /* kept by the kernel for us; kept by or for another program */
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
	    !netlink_host(&s->key.host, netlink_family(nd->ndm_family), nla_data(a[NDA_DST]),
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
	struct ndmsg nd = { .ndm_family = netlink_af(key->host.family),
			    .ndm_ifindex = key->ifindex,
			    .ndm_flags = ndm_flags };
	struct nl_msg *msg = netlink_request(type, flags, &nd, sizeof(nd));

	if (msg && nla_put(msg, NDA_DST, addr_ip_len(&key->host), key->host.ip)) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

/* neigh_ask - read the kernel's entry: 0, -ENOENT, or another -errno. */
static int neigh_ask(struct neighs *all, const struct neigh_key *key, struct neigh_state *s)
{
	struct nl_msg *msg = neigh_request(RTM_GETNEIGH, 0, key, 0);
	struct nlmsghdr *reply;
	int rc;

	if (!msg)
		return -ENOMEM;
	rc = netlink_ask(all->nl, msg, &reply);
	if (rc)
		return rc;
	return reply && neigh_parse(reply, s) ? 0 : -ENOENT;
}

/*
 * neigh_take_state - true when the usable link address changes. @s NULL: the kernel has no such
 * entry.
 */
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
 * neigh_keep - create a missing entry, and have the kernel probe it: from now on (NTF_EXT_MANAGED,
 * Linux 5.16), or once by an older kernel, which knows NTF_USE only. Never call it for a permanent
 * entry: either flag would turn that into an ordinary one.
 */
static void neigh_keep(struct neighs *all, struct neigh *nb)
{
	struct nl_msg *msg;
	struct nlmsghdr *reply;
	int rc = -ENOMEM;

	nb->probed_ns = clock_now();
	all->probes++;
	msg = neigh_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &nb->key,
			    NTF_USE);
	if (msg && (nla_put_u32(msg, NDA_FLAGS_EXT, NTF_EXT_MANAGED) ||
		    nla_put_u8(msg, NDA_PROTOCOL, NEIGH_PROTOCOL))) {
		nlmsg_free(msg);
		msg = NULL;
	}
	if (msg)
		rc = netlink_ask(all->nl, msg, &reply);
	if (rc && !all->refused) {
		all->refused = true;
		log_warn("neighbours cannot be kept alive: %s%s", strerror(-rc),
			 rc == -EPERM ? "; the daemon needs CAP_NET_ADMIN"
			 : rc == -ENOBUFS
				 ? "; raise net.ipv4.neigh.default.gc_thresh3 or the one of ipv6"
				 : "");
	}
}

bool neigh_refresh(struct neighs *all, struct neigh *nb)
{
	struct neigh_state s;
	int rc = neigh_ask(all, &nb->key, &s);
	bool changed = neigh_take_state(nb, rc ? NULL : &s);

	if (nb->fixed || nb->managed)
		return changed;
	neigh_keep(all, nb);
	rc = neigh_ask(all, &nb->key, &s);
	return neigh_take_state(nb, rc ? NULL : &s) || changed;
}

/* Make the entry an ordinary one again. Ask the kernel first: it may be permanent by now. */
static void neigh_release(struct neighs *all, const struct neigh_key *key)
{
	struct neigh_state s;
	struct nl_msg *msg;
	struct nlmsghdr *reply;

	if (neigh_ask(all, key, &s) || !s.managed)
		return;
	msg = neigh_request(RTM_NEWNEIGH, NLM_F_REPLACE | NLM_F_ACK, key, NTF_USE);
	if (msg)
		netlink_ask(all->nl, msg, &reply);
}

struct neigh *neigh_get(struct neighs *all, const struct neigh_key *key)
{
	struct neigh *nb;

	HASH_FIND(hh, all->hash, key, sizeof(*key), nb);
	if (nb)
		return nb;
	nb = calloc(1, sizeof(*nb));
	if (!nb)
		return NULL;
	nb->key = *key;
	nb->number = ++all->last_number ? all->last_number : ++all->last_number;
	HASH_ADD(hh, all->hash, key, sizeof(nb->key), nb);
	if (!nb->hh.tbl) {
		free(nb);
		return NULL;
	}
	neigh_refresh(all, nb);
	return nb;
}

void neigh_drop(struct neighs *all, struct neigh *nb)
{
	HASH_DEL(all->hash, nb);
	neigh_release(all, &nb->key);
	free(nb);
}

bool neigh_due(const struct neigh *nb, uint64_t now_ns)
{
	if (nb->fixed || nb->managed)
		return false;
	return !nb->usable || now_ns - nb->probed_ns >= PROBE_NS;
}

struct neigh *neigh_notice(struct neighs *all, struct nlmsghdr *h)
{
	struct neigh_state s;
	struct neigh *nb;

	if (!all->hash || !neigh_parse(h, &s))
		return NULL;
	HASH_FIND(hh, all->hash, &s.key, sizeof(s.key), nb);
	if (!nb || !neigh_take_state(nb, h->nlmsg_type == RTM_DELNEIGH ? NULL : &s))
		return NULL;
	return nb;
}

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

void neighs_release_leftovers(struct neighs *all)
{
	struct {
		struct neigh_key *keys;
		size_t n;
	} found = { 0 };
	struct rtgenmsg any = { .rtgen_family = AF_UNSPEC };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	size_t i;

	if (!cb)
		return;
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, neigh_leftover, &found);
	if (nl_send_simple(all->nl->sk, RTM_GETNEIGH, NLM_F_DUMP, &any, sizeof(any)) >= 0)
		nl_recvmsgs(all->nl->sk, cb);
	nl_cb_put(cb);
	for (i = 0; i < found.n; i++)
		neigh_release(all, &found.keys[i]);
	if (found.n)
		log_info("neighbours that a killed daemon had kept alive: %zu", found.n);
	free(found.keys);
}
