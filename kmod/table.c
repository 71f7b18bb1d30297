// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * table.c - the flows of one network namespace; table.h has the rules of locking.
 */
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "table.h"

static struct kmem_cache *flow_cache;
static unsigned int net_id __read_mostly;

/* ---- flows ---- */

static struct flow *flow_create(const struct rtpx_flow *flow, u32 family)
{
	struct flow *f = kmem_cache_zalloc(flow_cache, GFP_KERNEL);

	if (!f)
		return NULL;
	spin_lock_init(&f->lock);
	rtpx_entry_put_flow(&f->entry, &f->more, flow, family);
	return f;
}

static void flow_free(struct flow *f)
{
	dst_release(rcu_dereference_protected(f->dst, true)); /* no other user is left */
	kmem_cache_free(flow_cache, f);
}

static void flow_free_rcu(struct rcu_head *head)
{
	flow_free(container_of(head, struct flow, rcu));
}

static void stats_read(const struct flow *f, struct rtpx_flow_stats *out)
{
	rtpx_entry_get_stats(&f->entry, &f->more, out);
	out->strangers += atomic64_read(&f->strangers);
}

void flow_stats_get(struct flow *f, struct rtpx_flow_stats *out)
{
	spin_lock_bh(&f->lock);
	stats_read(f, out);
	spin_unlock_bh(&f->lock);
}

static void stats_write(struct flow *f, const struct rtpx_flow_stats *in)
{
	rtpx_entry_put_stats(&f->entry, &f->more, in);
	atomic64_set(&f->strangers, 0);
	f->read = in->packets + in->strangers;
}

int flow_stats_set(struct flow *f, const struct rtpx_flow_stats *in)
{
	struct rtpx_flow_stats now;
	bool unchanged;

	spin_lock_bh(&f->lock);
	stats_read(f, &now);
	unchanged = now.packets + now.strangers == f->read;
	if (unchanged)
		stats_write(f, in);
	spin_unlock_bh(&f->lock);
	return unchanged ? 0 : -EAGAIN;
}

/* Mark the flow as gone: no packet counts in it from now on. */
static void flow_end(struct flow *f, struct rtpx_flow_stats *last)
{
	spin_lock_bh(&f->lock);
	f->gone = true;
	stats_read(f, last);
	spin_unlock_bh(&f->lock);
}

/* ---- the table ---- */

struct table *table_create(struct net *net, const struct rtpx_config *config,
			   const struct nf_hook_ops hooks[RTPX_FAMILIES],
			   const struct genl_family *genl)
{
	const u32 n = RTPX_FAMILIES * table_ports(config);
	struct table *t = kvzalloc(struct_size(t, flows, n), GFP_KERNEL_ACCOUNT);
	int i, err = -ENOMEM;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->net = net;
	t->genl = genl;
	t->config = *config;
	skb_queue_head_init(&t->copies);
	__skb_queue_head_init(&t->spare);
	t->counters = alloc_percpu_gfp(struct rtpx_counters, GFP_KERNEL_ACCOUNT);
	if (!t->counters)
		goto err_free_table;
	for (i = 0; i < ARRAY_SIZE(t->hooks); i++) {
		t->hooks[i] = hooks[i];
		t->hooks[i].priv = t;
	}
	err = nf_register_net_hooks(net, t->hooks, ARRAY_SIZE(t->hooks));
	if (err)
		goto err_free_counters;
	return t;

err_free_counters:
	free_percpu(t->counters);
err_free_table:
	kvfree(t);
	return ERR_PTR(err);
}

void table_destroy(struct table *t)
{
	const u32 n = RTPX_FAMILIES * table_ports(&t->config);
	struct flow *f;
	u32 i;

	nf_unregister_net_hooks(t->net, t->hooks, ARRAY_SIZE(t->hooks));
	synchronize_rcu(); /* wait for packets in the hooks */
	for (i = 0; i < n; i++) {
		f = rcu_dereference_protected(t->flows[i], true);
		if (f)
			flow_free(f);
	}
	rcu_barrier(); /* flows that were removed just now hold routes, too */
	skb_queue_purge(&t->copies);
	__skb_queue_purge(&t->spare);
	free_percpu(t->counters);
	kvfree(t);
}

int table_put(struct table *t, u32 family, const struct rtpx_flow *flow,
	      const struct rtpx_flow_stats *seed)
{
	struct flow *f, *old = table_find(t, family, flow->port);
	struct rtpx_flow_stats last;

	if (!seed && !old)
		return -ENOENT;
	f = flow_create(flow, family);
	if (!f)
		return -ENOMEM;
	if (old)
		flow_end(old, &last);
	else
		t->n_flows++;
	stats_write(f, seed ?: &last); /* no lock: the flow is not published yet */
	if (!seed)
		f->read = old->read;
	rcu_assign_pointer(t->flows[rtpx_flow_index(&t->config, family, flow->port)], f);
	if (old)
		call_rcu(&old->rcu, flow_free_rcu);
	return 0;
}

int table_del(struct table *t, u32 family, u16 port, struct rtpx_flow_stats *last)
{
	struct flow *f = table_find(t, family, port);

	if (!f)
		return -ENOENT;
	flow_end(f, last);
	RCU_INIT_POINTER(t->flows[rtpx_flow_index(&t->config, family, port)], NULL);
	call_rcu(&f->rcu, flow_free_rcu);
	t->n_flows--;
	return 0;
}

void table_counters(const struct table *t, struct rtpx_counters *out)
{
	int cpu, i;

	memset(out, 0, sizeof(*out));
	for_each_possible_cpu(cpu) for (i = 0; i < sizeof(*out) / sizeof(u64); i++)(
		(u64 *)out)[i] += ((u64 *)per_cpu_ptr(t->counters, cpu))[i];
}

/* ---- the module's state of a namespace ---- */

struct rtpx_net *rtpx_net(const struct net *net)
{
	return net_generic(net, net_id);
}

static int __net_init net_init(struct net *net)
{
	mutex_init(&rtpx_net(net)->lock);
	return 0;
}

/* No lock: no netlink command can run any more. The sockets of the namespace or the family are
 * gone. */
static void __net_exit net_exit(struct net *net)
{
	struct rtpx_net *rn = rtpx_net(net);

	if (rn->table)
		table_destroy(rn->table);
	rn->table = NULL;
	mutex_destroy(&rn->lock);
}

static struct pernet_operations net_ops = {
	.init = net_init,
	.exit = net_exit,
	.id = &net_id,
	.size = sizeof(struct rtpx_net),
};

int __init table_init(void)
{
	int err;

	flow_cache = kmem_cache_create("rtpx_flow", sizeof(struct flow), SMP_CACHE_BYTES,
				       SLAB_HWCACHE_ALIGN | SLAB_ACCOUNT, NULL);
	if (!flow_cache)
		return -ENOMEM;
	err = register_pernet_subsys(&net_ops);
	if (err)
		kmem_cache_destroy(flow_cache);
	return err;
}

void table_exit(void)
{
	unregister_pernet_subsys(&net_ops);
	rcu_barrier(); /* flow_free_rcu() */
	kmem_cache_destroy(flow_cache);
}
