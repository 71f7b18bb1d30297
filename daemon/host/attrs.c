/* SPDX-License-Identifier: BSD-2-Clause */
/* attrs.c - checks the lengths of attributes, by libmnl. Their values are the caller's matter. */
#include "host/attrs.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

static int keep_attr(const struct nlattr *a, void *arg)
{
	struct attrs *all = arg;

	if (mnl_attr_get_type(a) < ATTRS)
		all->a[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

struct attrs attrs_of(const struct nlmsghdr *h)
{
	struct attrs all = { { NULL } };

	mnl_attr_parse(h, sizeof(struct nfgenmsg), keep_attr, &all);
	return all;
}

struct attrs attrs_in(const struct nlattr *nest)
{
	struct attrs all = { { NULL } };

	if (nest)
		mnl_attr_parse_nested(nest, keep_attr, &all);
	return all;
}

struct attrs attrs_at(const void *payload, size_t len)
{
	struct attrs all = { { NULL } };

	mnl_attr_parse_payload(payload, len, keep_attr, &all);
	return all;
}
