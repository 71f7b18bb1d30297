/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * table.h - the flows of one network namespace. genl.c makes, replaces and reads them under
 * rtpx_net.lock. hook.c looks them up under RCU.
 *
 * A flow never changes; a new flow replaces it. Packets and the owner both change its statistics,
 * under the flow's lock, so no count is lost. A flow is marked as gone before it is removed. A
 * packet that finds the mark is neither counted in the flow nor sent. Not here: decisions about
 * packets.
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

struct genl_family;

struct flow {
	struct rtpx_entry entry; /* a cache line; seq and nexthop are not used */

	spinlock_t lock; /* for the statistics in entry and more, and for gone */
	bool gone;
	u32 dst_cookie;
	__be32 label;		     /* IPv6's flow label, set with each answer of routing */
	struct dst_entry __rcu *dst; /* latest answer of routing, with a reference; or NULL */
	atomic64_t strangers;	     /* add to more.stats.strangers; counted without the lock */
	struct rtpx_entry_more more;
	u64 read; /* sum of packets and strangers at the owner's latest reading; under
		   * rtpx_net.lock */
	struct rcu_head rcu;
};

struct table {
	struct net *net;
	struct rtpx_config config;
	struct rtpx_counters __percpu *counters;
	struct nf_hook_ops hooks[RTPX_FAMILIES];
	const struct genl_family *genl;
	u32 owner; /* netlink port id; 0: none */
	u32 n_flows;

	struct sk_buff_head copies; /* messages for the owner; its lock guards the next four, too */
	struct sk_buff_head spare;  /* empty messages; grows only under rtpx_net.lock as well */
	u32 max_copies;		    /* messages in copies and spare together */
	u32 listener;		    /* netlink port id to notify when copies wait; 0: none */
	bool told;		    /* the listener was notified */

	struct flow __rcu *flows[]; /* by rtpx_flow_index() */
};

/* The module's state of a network namespace. */
struct rtpx_net {
	struct mutex lock;
	struct table *table; /* NULL: not opened */
};

struct rtpx_net *rtpx_net(const struct net *net);

/* table_init - set up the state of every namespace, of the present and of the future. 0, -errno. */
int table_init(void);
void table_exit(void);

/*
 * table_create - an empty table; @hooks already get packets on return. @genl: for messages about
 * copies. Or ERR_PTR.
 */
struct table *table_create(struct net *net, const struct rtpx_config *config,
			   const struct nf_hook_ops hooks[RTPX_FAMILIES],
			   const struct genl_family *genl);
/*
 * table_destroy - remove and free the table. On return no packet uses it, and it holds no route of
 * the namespace. Sleeps.
 */
void table_destroy(struct table *t);

/* table_ports - the number of elements of each family. */
static inline u32 table_ports(const struct rtpx_config *c)
{
	return c->port_max - c->port_min + 1u;
}

/* table_find - the flow of a port; NULL: none. The port must be in the range. Call under RCU or
 * rtpx_net.lock. */
static inline struct flow *table_find(const struct table *t, u32 family, u16 port)
{
	return rcu_dereference_check(t->flows[rtpx_flow_index(&t->config, family, port)],
				     lockdep_is_held(&rtpx_net(t->net)->lock));
}

/*
 * table_put - install @flow, or replace the flow of its port. @seed: its initial statistics; NULL:
 * continue those of the replaced flow. -ENOENT: no seed and no flow to replace; -ENOMEM.
 */
int table_put(struct table *t, u32 family, const struct rtpx_flow *flow,
	      const struct rtpx_flow_stats *seed);
/* table_del - remove the flow. @last gets its final statistics, exact to the packet. -ENOENT. */
int table_del(struct table *t, u32 family, u16 port, struct rtpx_flow_stats *last);

void table_counters(const struct table *t, struct rtpx_counters *out);

void flow_stats_get(struct flow *f, struct rtpx_flow_stats *out);
/* flow_stats_set - 0; -EAGAIN: packets were counted since the owner read the statistics. */
int flow_stats_set(struct flow *f, const struct rtpx_flow_stats *in);

/* flow_count - count an accepted packet. False: the flow is gone, not counted. BH is off. */
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

/* flow_unmirrored - count a packet that was sent without a copy. BH is off. */
static inline void flow_unmirrored(struct flow *f)
{
	spin_lock(&f->lock);
	f->more.stats.unmirrored++;
	spin_unlock(&f->lock);
}

#endif
