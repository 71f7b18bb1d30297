// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * genl.c - the generic netlink family; include/rtpx_genl.h is its document.
 *
 * A command runs under the lock of its namespace. Before that, every attribute is checked against
 * the policy, and commands for owners are refused to other sockets.
 */
#include <linux/ipv6.h>
#include <net/genetlink.h>
#include <net/netlink.h>

#include "genl.h"
#include "compat.h"
#include "copies.h"
#include "hook.h"
#include "rtpx_genl.h"
#include "table.h"

#define KNOWN_FLAGS                                                               \
	(RTPX_FLOW_ACTIVE | RTPX_FLOW_RTP | RTPX_FLOW_ANY_PORT | RTPX_FLOW_OUT6 | \
	 RTPX_FLOW_EVENTS | RTPX_FLOW_MIRROR)
#define KNOWN_STRANGERS                                                          \
	(RTPX_STRANGERS_CONTINUE | RTPX_STRANGERS_HOST | RTPX_STRANGERS_SILENT | \
	 RTPX_STRANGERS_SECOND_HOST | RTPX_STRANGERS_ALL)

static struct genl_family genl;

static const struct nla_policy policy[RTPX_A_END] = {
	[RTPX_A_ABI_VERSION] = { .type = NLA_U32 },
	[RTPX_A_PORT_MIN] = NLA_POLICY_MIN(NLA_U16, 1),
	[RTPX_A_PORT_MAX] = NLA_POLICY_MIN(NLA_U16, 1),
	[RTPX_A_SILENCE_MS] = { .type = NLA_U32 },
	[RTPX_A_FRESH] = { .type = NLA_FLAG },
	[RTPX_A_FAMILY] = NLA_POLICY_MAX(NLA_U8, RTPX_FAMILIES - 1),
	[RTPX_A_PORT] = { .type = NLA_U16 },
	[RTPX_A_FLOW] = NLA_POLICY_EXACT_LEN(sizeof(struct rtpx_flow)),
	[RTPX_A_STATS] = NLA_POLICY_EXACT_LEN(sizeof(struct rtpx_flow_stats)),
	[RTPX_A_LISTENER] = NLA_POLICY_MIN(NLA_U32, 1),
	[RTPX_A_MIRROR_BYTES] = { .type = NLA_U32 },
};

/* The conditions of a command (genl_small_ops.internal_flags), which before() checks. */
enum need {
	NEED_TABLE = 1 << 0,
	NEED_OWNER = 1 << 1, /* implies a table */
	NEED_PORT = 1 << 2,  /* FAMILY and PORT, in the table */
};

static struct rtpx_net *net_of(struct genl_info *info)
{
	return rtpx_net(genl_info_net(info));
}

static u32 family_of(const struct genl_info *info)
{
	return nla_get_u8(info->attrs[RTPX_A_FAMILY]);
}

static u16 port_of(const struct genl_info *info)
{
	return nla_get_u16(info->attrs[RTPX_A_PORT]);
}

/* ---- before and after each command ---- */

static int check_needs(const struct table *t, struct genl_info *info, u8 needs)
{
	if (info->genlhdr->version != RTPX_GENL_VERSION) {
		NL_SET_ERR_MSG(info->extack, "another version of the protocol");
		return -EPROTO;
	}
	if (needs && !t) {
		NL_SET_ERR_MSG(info->extack, "no table is open");
		return needs & NEED_OWNER ? -EPERM : -ENOENT;
	}
	if (needs & NEED_OWNER && t->owner != info->snd_portid) {
		NL_SET_ERR_MSG(info->extack, "the table belongs to another socket");
		return -EPERM;
	}
	if (!(needs & NEED_PORT))
		return 0;
	if (GENL_REQ_ATTR_CHECK(info, RTPX_A_FAMILY) || GENL_REQ_ATTR_CHECK(info, RTPX_A_PORT))
		return -EINVAL;
	if (port_of(info) < t->config.port_min || port_of(info) > t->config.port_max) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[RTPX_A_PORT],
				    "the port is not in the table");
		return -ERANGE;
	}
	return 0;
}

static int before(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	struct rtpx_net *rn = net_of(info);
	int err;

	mutex_lock(&rn->lock);
	err = check_needs(rn->table, info, ops->internal_flags);
	if (err)
		mutex_unlock(&rn->lock);
	return err;
}

static void after(const struct genl_split_ops *ops, struct sk_buff *skb, struct genl_info *info)
{
	mutex_unlock(&net_of(info)->lock);
}

/* ---- answers ---- */

static int put_about_table(struct sk_buff *msg, const struct table *t)
{
	struct rtpx_counters counters;

	table_counters(t, &counters);
	if (t->owner && nla_put_u32(msg, RTPX_A_OWNER, t->owner))
		return -EMSGSIZE;
	if (nla_put_u16(msg, RTPX_A_PORT_MIN, t->config.port_min) ||
	    nla_put_u16(msg, RTPX_A_PORT_MAX, t->config.port_max) ||
	    nla_put_u32(msg, RTPX_A_SILENCE_MS, t->config.silence_ms) ||
	    nla_put_u32(msg, RTPX_A_FLOWS, t->n_flows) ||
	    nla_put(msg, RTPX_A_COUNTERS, sizeof(counters), &counters))
		return -EMSGSIZE;
	return 0;
}

static int put_about_module(struct sk_buff *msg)
{
	if (nla_put_string(msg, RTPX_A_MODULE, RTPX_VERSION) ||
	    nla_put_u32(msg, RTPX_A_ABI_VERSION, RTPX_ABI_VERSION) ||
	    nla_put_u32(msg, RTPX_A_FLOW_BYTES, sizeof(struct rtpx_flow)) ||
	    nla_put_u32(msg, RTPX_A_STATS_BYTES, sizeof(struct rtpx_flow_stats)) ||
	    nla_put_u32(msg, RTPX_A_COUNTERS_BYTES, sizeof(struct rtpx_counters)))
		return -EMSGSIZE;
	return 0;
}

static int put_stats(struct sk_buff *msg, const struct rtpx_flow_stats *stats)
{
	return nla_put(msg, RTPX_A_STATS, sizeof(*stats), stats);
}

/* @owner: the owner reads, and may write statistics until more packets are counted. */
static int put_flow(struct sk_buff *msg, struct flow *f, u32 family, bool owner)
{
	struct rtpx_flow flow = { 0 };
	struct rtpx_flow_stats stats;

	rtpx_entry_get_flow(&f->entry, &f->more, &flow);
	flow_stats_get(f, &stats);
	if (owner)
		f->read = stats.packets + stats.strangers;
	if (nla_put_u8(msg, RTPX_A_FAMILY, family) || nla_put_u16(msg, RTPX_A_PORT, flow.port) ||
	    nla_put(msg, RTPX_A_FLOW, sizeof(flow), &flow) || put_stats(msg, &stats))
		return -EMSGSIZE;
	return 0;
}

/* answer_begin - a message with its header in *@header; NULL: no memory. */
static struct sk_buff *answer_begin(struct genl_info *info, void **header)
{
	struct sk_buff *msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!msg)
		return NULL;
	*header = genlmsg_put_reply(msg, info, &genl, 0, info->genlhdr->cmd);
	if (*header)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

/* answer_end - send the message. If @err is set, the message is incomplete: free it. */
static int answer_end(struct genl_info *info, struct sk_buff *msg, void *header, int err)
{
	if (err) {
		nlmsg_free(msg);
		return err;
	}
	genlmsg_end(msg, header);
	return genlmsg_reply(msg, info);
}

/* ---- copies ---- */

static int do_mirror(struct sk_buff *skb, struct genl_info *info)
{
	struct table *t = net_of(info)->table;
	u32 bytes;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, RTPX_A_LISTENER) ||
	    GENL_REQ_ATTR_CHECK(info, RTPX_A_MIRROR_BYTES))
		return -EINVAL;
	bytes = nla_get_u32(info->attrs[RTPX_A_MIRROR_BYTES]);
	if (bytes > RTPX_MIRROR_BYTES_ANYBODY && !netlink_capable(skb, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[RTPX_A_MIRROR_BYTES],
				    "this size needs CAP_NET_ADMIN in the initial user namespace");
		return -EPERM;
	}
	err = copies_resize(t, bytes);
	if (!err)
		copies_listen(t, nla_get_u32(info->attrs[RTPX_A_LISTENER]));
	return err;
}

static int do_copies(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *msg = copies_take(net_of(info)->table);

	if (!msg)
		return 0;
	nlmsg_hdr(msg)->nlmsg_pid = info->snd_portid;
	nlmsg_hdr(msg)->nlmsg_seq = info->snd_seq;
	nlmsg_end(msg, nlmsg_hdr(msg));
	return genlmsg_reply(msg, info);
}

/* ---- commands ---- */

static int do_hello(struct sk_buff *skb, struct genl_info *info)
{
	const struct table *t = net_of(info)->table;
	struct sk_buff *msg;
	void *header;
	int err;

	msg = answer_begin(info, &header);
	if (!msg)
		return -ENOMEM;
	err = put_about_module(msg);
	if (!err && t)
		err = put_about_table(msg, t);
	return answer_end(info, msg, header, err);
}

static int config_take(struct genl_info *info, struct rtpx_config *c)
{
	if (GENL_REQ_ATTR_CHECK(info, RTPX_A_ABI_VERSION) ||
	    GENL_REQ_ATTR_CHECK(info, RTPX_A_PORT_MIN) ||
	    GENL_REQ_ATTR_CHECK(info, RTPX_A_PORT_MAX) ||
	    GENL_REQ_ATTR_CHECK(info, RTPX_A_SILENCE_MS))
		return -EINVAL;
	*c = (struct rtpx_config){
		.abi_version = nla_get_u32(info->attrs[RTPX_A_ABI_VERSION]),
		.port_min = nla_get_u16(info->attrs[RTPX_A_PORT_MIN]),
		.port_max = nla_get_u16(info->attrs[RTPX_A_PORT_MAX]),
		.silence_ms = nla_get_u32(info->attrs[RTPX_A_SILENCE_MS]),
	};
	if (c->abi_version != RTPX_ABI_VERSION) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[RTPX_A_ABI_VERSION],
				    "another version of the ABI");
		return -EPROTO;
	}
	if (c->port_min > c->port_max) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[RTPX_A_PORT_MIN],
				    "the first port is above the last one");
		return -EINVAL;
	}
	return 0;
}

static bool same_ports(const struct rtpx_config *a, const struct rtpx_config *b)
{
	return a->port_min == b->port_min && a->port_max == b->port_max;
}

static int do_open(struct sk_buff *skb, struct genl_info *info)
{
	struct rtpx_net *rn = net_of(info);
	struct rtpx_config config;
	struct table *t = rn->table;
	int err = config_take(info, &config);

	if (err)
		return err;
	if (t && t->owner) {
		NL_SET_ERR_MSG(info->extack, "the table has an owner");
		return -EBUSY;
	}
	if (t && (info->attrs[RTPX_A_FRESH] || (!t->n_flows && !same_ports(&t->config, &config)))) {
		rn->table = NULL;
		table_destroy(t);
		t = NULL;
	}
	if (t && !same_ports(&t->config, &config)) {
		NL_SET_ERR_MSG(info->extack, "there are flows, in a table of other ports");
		return -EEXIST;
	}
	if (!t) {
		t = table_create(genl_info_net(info), &config, hook_ops, &genl);
		if (IS_ERR(t))
			return PTR_ERR(t);
		rn->table = t;
	}
	t->config.silence_ms = config.silence_ms;
	t->owner = info->snd_portid;
	return do_hello(skb, info);
}

static int do_close(struct sk_buff *skb, struct genl_info *info)
{
	struct rtpx_net *rn = net_of(info);
	struct table *t = rn->table;

	rn->table = NULL;
	table_destroy(t);
	return 0;
}

static const char *flow_fault(const struct rtpx_flow *f, u16 port)
{
	if (f->flags & ~KNOWN_FLAGS)
		return "a flag that this module does not know";
	if (f->strangers & ~KNOWN_STRANGERS)
		return "strangers that this module does not know";
	if (!(f->flags & RTPX_FLOW_ACTIVE))
		return "the flow is not active";
	if (f->seq)
		return "seq must be 0";
	if (f->port != port)
		return "the flow is of another port";
	if (!f->out_port || !f->dest_port)
		return "a port must not be 0";
	if (!f->ttl)
		return "the TTL must not be 0";
	if (f->label[RTPX_LABEL_LEN - 1])
		return "the label has no NUL at its end";
	if (f->flags & RTPX_FLOW_OUT6 && !ipv6_mod_enabled())
		return "the kernel was started without IPv6";
	return NULL;
}

/* Copy the attribute's bytes, which may be unaligned. False: there is no such attribute. */
static bool take_stats(const struct genl_info *info, struct rtpx_flow_stats *out)
{
	if (!info->attrs[RTPX_A_STATS])
		return false;
	nla_memcpy(out, info->attrs[RTPX_A_STATS], sizeof(*out));
	return true;
}

static int do_put(struct sk_buff *skb, struct genl_info *info)
{
	struct rtpx_flow_stats seed;
	struct rtpx_flow flow;
	const char *fault;

	if (GENL_REQ_ATTR_CHECK(info, RTPX_A_FLOW))
		return -EINVAL;
	nla_memcpy(&flow, info->attrs[RTPX_A_FLOW], sizeof(flow));
	fault = flow_fault(&flow, port_of(info));
	if (fault) {
		NL_SET_BAD_ATTR(info->extack, info->attrs[RTPX_A_FLOW]);
		if (info->extack)
			info->extack->_msg = fault;
		return -EINVAL;
	}
	return table_put(net_of(info)->table, family_of(info), &flow,
			 take_stats(info, &seed) ? &seed : NULL);
}

static int do_del(struct sk_buff *skb, struct genl_info *info)
{
	struct rtpx_flow_stats last;
	struct sk_buff *msg;
	void *header;
	int err;

	msg = answer_begin(info, &header);
	if (!msg)
		return -ENOMEM;
	err = table_del(net_of(info)->table, family_of(info), port_of(info), &last);
	return answer_end(info, msg, header, err ?: put_stats(msg, &last));
}

static int do_get(struct sk_buff *skb, struct genl_info *info)
{
	const struct table *t = net_of(info)->table;
	struct flow *f = table_find(t, family_of(info), port_of(info));
	struct sk_buff *msg;
	void *header;
	int err;

	if (!f)
		return -ENOENT;
	msg = answer_begin(info, &header);
	if (!msg)
		return -ENOMEM;
	err = put_flow(msg, f, family_of(info), t->owner == info->snd_portid);
	return answer_end(info, msg, header, err);
}

static int do_set_stats(struct sk_buff *skb, struct genl_info *info)
{
	struct flow *f = table_find(net_of(info)->table, family_of(info), port_of(info));
	struct rtpx_flow_stats stats;

	if (GENL_REQ_ATTR_CHECK(info, RTPX_A_STATS))
		return -EINVAL;
	if (!f)
		return -ENOENT;
	take_stats(info, &stats);
	return flow_stats_set(f, &stats);
}

/* Add a flow to a dump. -EMSGSIZE: the message is full. */
static int dump_flow(struct sk_buff *msg, struct netlink_callback *cb, struct flow *f, u32 family)
{
	void *header = genlmsg_put(msg, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &genl,
				   NLM_F_MULTI, RTPX_CMD_GET);

	if (!header)
		return -EMSGSIZE;
	if (put_flow(msg, f, family, false)) {
		genlmsg_cancel(msg, header);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, header);
	return 0;
}

/*
 * cb->args[0] is the index of the next element. Between two calls the table may be replaced by a
 * table with other ports.
 */
static int dump_get(struct sk_buff *msg, struct netlink_callback *cb)
{
	struct rtpx_net *rn = rtpx_net(sock_net(msg->sk));
	struct table *t;
	struct flow *f;
	u32 i, ports;

	mutex_lock(&rn->lock);
	t = rn->table;
	ports = t ? table_ports(&t->config) : 0;
	for (i = cb->args[0]; i < RTPX_FAMILIES * ports; i++) {
		f = rcu_dereference_protected(t->flows[i], lockdep_is_held(&rn->lock));
		if (f && dump_flow(msg, cb, f, i / ports))
			break;
	}
	cb->args[0] = i;
	mutex_unlock(&rn->lock);
	return msg->len;
}

static const struct genl_small_ops ops[] = {
	{ .cmd = RTPX_CMD_HELLO, .doit = do_hello, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = RTPX_CMD_OPEN, .doit = do_open, .flags = GENL_UNS_ADMIN_PERM },
	{ .cmd = RTPX_CMD_CLOSE,
	  .doit = do_close,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER },
	{ .cmd = RTPX_CMD_PUT,
	  .doit = do_put,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER | NEED_PORT },
	{ .cmd = RTPX_CMD_DEL,
	  .doit = do_del,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER | NEED_PORT },
	{ .cmd = RTPX_CMD_GET,
	  .doit = do_get,
	  .dumpit = dump_get,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_TABLE | NEED_PORT },
	{ .cmd = RTPX_CMD_SET_STATS,
	  .doit = do_set_stats,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER | NEED_PORT },
	{ .cmd = RTPX_CMD_MIRROR,
	  .doit = do_mirror,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER },
	{ .cmd = RTPX_CMD_COPIES,
	  .doit = do_copies,
	  .flags = GENL_UNS_ADMIN_PERM,
	  .internal_flags = NEED_OWNER },
};

static struct genl_family genl __ro_after_init = {
	.name = RTPX_GENL_NAME,
	.version = RTPX_GENL_VERSION,
	.maxattr = RTPX_A_END - 1,
	.policy = policy,
	.small_ops = ops,
	.n_small_ops = ARRAY_SIZE(ops),
	.pre_doit = before,
	.post_doit = after,
	.netnsok = true,
	.parallel_ops = true,
	.module = THIS_MODULE,
};

/* ---- owners that go away ---- */

static int on_release(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct netlink_notify *n = data;
	struct rtpx_net *rn;

	if (event != NETLINK_URELEASE || n->protocol != NETLINK_GENERIC)
		return NOTIFY_DONE;
	rn = rtpx_net(n->net);
	mutex_lock(&rn->lock);
	if (rn->table && rn->table->owner == n->portid)
		rn->table->owner = 0;
	if (rn->table)
		copies_unlisten(rn->table, n->portid);
	mutex_unlock(&rn->lock);
	return NOTIFY_DONE;
}

static struct notifier_block release_notifier = { .notifier_call = on_release };

int __init genl_init(void)
{
	int err = netlink_register_notifier(&release_notifier);

	if (err)
		return err;
	err = genl_register_family(&genl);
	if (err)
		netlink_unregister_notifier(&release_notifier);
	return err;
}

void genl_exit(void)
{
	genl_unregister_family(&genl);
	netlink_unregister_notifier(&release_notifier);
}
