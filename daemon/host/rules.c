/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules.c - reads routing rules by route netlink, and keeps only which inputs they name.
 */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/rules.h"
#include "base/log.h"
#include "net/netwatch.h"

struct inputs {
	bool ports, mark;
};

struct rules {
	struct follower follower;
	struct inputs now, next;
	bool spread_by_port; /* the sysctl */
};

static bool on_ask(void *arg, unsigned int n, struct nlmsghdr *h)
{
	(void)arg;
	h->nlmsg_type = RTM_GETRULE;
	h->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, sizeof(struct fib_rule_hdr));
	return n == 0; /* one request for all families */
}

static void on_take(void *arg, unsigned int n, const struct nlmsghdr *h)
{
	struct rules *r = arg;
	const struct nlattr *a;

	(void)n;
	if (h->nlmsg_type != RTM_NEWRULE)
		return;
	mnl_attr_for_each(a, h, sizeof(struct fib_rule_hdr)) {
		switch (mnl_attr_get_type(a)) {
		case FRA_SPORT_RANGE:
		case FRA_DPORT_RANGE:
			r->next.ports = true;
			break;
		case FRA_FWMARK:
		case FRA_FWMASK:
			r->next.mark = true;
			break;
		}
	}
}

static void on_begin(void *arg)
{
	((struct rules *)arg)->next = (struct inputs){ 0 };
}

static void on_done(void *arg, int err)
{
	struct rules *r = arg;
	bool same;

	if (err) {
		log_warn("routing rules: cannot be read: %s; each flow asks for its own route",
			 strerror(-err));
		r->next = (struct inputs){ .ports = true, .mark = true };
	}
	same = r->now.ports == r->next.ports && r->now.mark == r->next.mark;
	r->now = r->next;
	if (!same)
		follower_tell(&r->follower);
}

static bool is_not_zero(const char *path)
{
	char digit = '0';
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &digit, 1) != 1)
		digit = '0';
	close(fd);
	return digit != '0';
}

static bool spreads_by_port(void)
{
	return is_not_zero("/proc/sys/net/ipv4/fib_multipath_hash_policy") ||
	       is_not_zero("/proc/sys/net/ipv6/fib_multipath_hash_policy");
}

void rules_look(struct rules *r)
{
	bool was = r->spread_by_port;

	r->spread_by_port = spreads_by_port();
	if (r->spread_by_port != was)
		follower_tell(&r->follower);
}

bool rules_by_port(const struct rules *r)
{
	return r->now.ports || r->spread_by_port;
}

bool rules_by_mark(const struct rules *r)
{
	return r->now.mark;
}

static const unsigned int groups[] = { RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE };

static const struct netwatch_table table = {
	.name = "routing rules",
	.bus = NETLINK_ROUTE,
	.groups = groups,
	.n_groups = ARRAY_SIZE(groups),
	.begin = on_begin,
	.ask = on_ask,
	.take = on_take,
	.done = on_done,
};

int rules_new(struct rules **out, struct event_base *base, void (*changed)(void *arg), void *arg)
{
	int rc;

	*out = follower_new(sizeof(**out), &table, base, changed, arg, &rc);
	if (*out)
		(*out)->spread_by_port = spreads_by_port();
	return rc;
}

void rules_free(struct rules *r)
{
	if (r)
		follower_free(&r->follower);
	free(r);
}
