// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * main.c - loads and unloads the module, and sets up and ends its state of a network namespace.
 */
#include <linux/module.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "rtpx_genl.h"
#include "table.h"

static unsigned int net_id __read_mostly;

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

static int __init rtpx_init(void)
{
	int err = table_cache_create();

	if (err)
		return err;
	err = register_pernet_subsys(&net_ops);
	if (err)
		goto err_destroy_cache;
	err = genl_init();
	if (err)
		goto err_unregister_net;
	pr_info("rtpx: media relay %s, ABI version %u\n", RTPX_VERSION, RTPX_ABI_VERSION);
	return 0;

err_unregister_net:
	unregister_pernet_subsys(&net_ops);
err_destroy_cache:
	table_cache_destroy();
	return err;
}

static void __exit rtpx_exit(void)
{
	genl_exit();
	unregister_pernet_subsys(&net_ops);
	table_cache_destroy();
}

module_init(rtpx_init);
module_exit(rtpx_exit);

/* No alias for the family: with it any user could make the kernel load the module. The operator
 * loads it. */
MODULE_LICENSE("Dual BSD/GPL");
MODULE_AUTHOR("The rtpx authors");
MODULE_DESCRIPTION("rtpx: forwards the RTP and RTCP of calls, as rtpxd decides");
MODULE_VERSION(RTPX_VERSION);
