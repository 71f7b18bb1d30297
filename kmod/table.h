/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * table.h - the flows of one network namespace: made, changed and read by genl.c under
 * rtpx_net.lock, looked up by hook.c under RCU.
 *
 * A flow is never changed: what replaces it is another one. Its statistics are, under its lock, by
 * packets and by the owner alike, so none is lost: before a flow is taken away it is marked as
 * gone, and a packet that finds that mark counts and sends nothing. Not here: what to do with a
 * packet.
 */
#ifndef RTPX_KMOD_TABLE_H
#define RTPX_KMOD_TABLE_H

#include <linux/cache.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <net/dst.h>

#include "rtpx_verdict.h"

struct flow {
	struct rtpx_entry entry; /* a cache line; seq and nexthop are not used */

	spinlock_t lock; /* of the statistics in entry and more, and of gone */
	bool gone;
	u32 dst_cookie;
	__be32 label; /* IPv6's flow label, of the last answer of routing */
	struct dst_entry __rcu
		*dst;	      /* NULL, or the last answer of routing; the flow has a reference */
	atomic64_t strangers; /* beside more.stats.strangers, for any CPU to count */
	struct rtpx_entry_more more;
	u64 read; /* packets and strangers that the owner knows of; under rtpx_net.lock */
	struct rcu_head rcu;
};

struct table {
	struct net *net;
	struct rtpx_config config;
	struct rtpx_counters __percpu *counters;
	struct nf_hook_ops hooks[2];
	u32 owner; /* netlink port id; 0: none */
	u32 n_flows;

	struct sk_buff_head copies; /* messages for the owner; its lock is that of the next four */
	struct sk_buff_head spare;  /* empty ones; under rtpx_net.lock, too, when it grows */
	u32 max_copies;		    /* in both */
	u32 listener; /* port id, to be told that copies wait; 0: nobody */
	bool told;    /* and was */

	struct flow __rcu *flows[]; /* by rtpx_flow_index() */
};

/* What the module has of a network namespace. */
struct rtpx_net {
	struct mutex lock;
	struct table *table; /* NULL: nobody has opened one */
};

struct rtpx_net *rtpx_net(const struct net *net);

int table_cache_create(void);
void table_cache_destroy(void);

/* table_create - empty, with packets coming in when this returns; or ERR_PTR. */
struct table *table_create(struct net *net, const struct rtpx_config *config);
/*
 * table_destroy - no packet uses it, and no route of the namespace is held, when this returns.
 * Sleeps.
 */
void table_destroy(struct table *t);

/* table_ports - elements of each family. */
static inline u32 table_ports(const struct rtpx_config *c)
{
	return c->port_max - c->port_min + 1u;
}

/* table_find - the flow of a port that is in the range; NULL: none. Under RCU or rtpx_net.lock. */
static inline struct flow *table_find(const struct table *t, u32 family, u16 port)
{
	return rcu_dereference_check(t->flows[rtpx_flow_index(&t->config, family, port)],
				     lockdep_is_held(&rtpx_net(t->net)->lock));
}

/*
 * table_put - install @flow, in place of what is there. @seed: where it begins to count; NULL:
 * where the replaced one ends. -ENOENT: no seed and nothing to replace; -ENOMEM.
 */
int table_put(struct table *t, u32 family, const struct rtpx_flow *flow,
	      const struct rtpx_flow_stats *seed);
/* table_del - take the flow away; @last gets its statistics, to the last packet. -ENOENT. */
int table_del(struct table *t, u32 family, u16 port, struct rtpx_flow_stats *last);

void table_counters(const struct table *t, struct rtpx_counters *out);

void flow_stats_get(struct flow *f, struct rtpx_flow_stats *out);
/* flow_stats_set - -EAGAIN: packets were counted since the owner read them. */
int flow_stats_set(struct flow *f, const struct rtpx_flow_stats *in);

/* flow_count - an accepted packet. False: the flow is gone, and nothing was counted. BH is off. */
static inline bool flow_count(struct flow *f, struct rtpx_packet *p)
{
	bool here;

	spin_lock(&f->lock);
	here = !f->gone;
	if (here && unlikely(!rtpx_stats_next(&f->entry, p))) {
		p->now_ns = ktime_get_ns();
		rtpx_stats_in_full(&f->entry, &f->more, p);
	}
	spin_unlock(&f->lock);
	return here;
}

/* flow_unmirrored - a packet was sent, and its copy was not. BH is off. */
static inline void flow_unmirrored(struct flow *f)
{
	spin_lock(&f->lock);
	f->more.stats.unmirrored++;
	spin_unlock(&f->lock);
}

/* hook.c: one for each family; @priv is the table. */
nf_hookfn hook_ip4, hook_ip6;

/* genl.c */
/*
 * genl_mirror - keep a copy of a packet that is sent, whose payload begins at @payload of @skb, for
 * the owner. False: there is no room for it. BH is off.
 */
bool genl_mirror(struct table *t, const struct flow *f, const struct rtpx_packet *p,
		 const struct sk_buff *skb, unsigned int payload);
int genl_init(void);
void genl_exit(void);

#endif
