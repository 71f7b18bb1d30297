/* SPDX-License-Identifier: BSD-2-Clause */
/* attrs.h - the attributes of a netfilter message, found by their type. */
#ifndef RTPX_ATTRS_H
#define RTPX_ATTRS_H

#include <stddef.h>

struct nlattr;
struct nlmsghdr;

#define ATTRS 32

/* Attributes of higher types are left out. Of two of one type, the last one counts. */
struct attrs {
	const struct nlattr *a[ATTRS]; /* into the message; NULL: absent */
};

/* attrs_of - of a whole message, behind its struct nfgenmsg. */
struct attrs attrs_of(const struct nlmsghdr *h);
/* attrs_in - of a nested attribute; NULL: none. */
struct attrs attrs_in(const struct nlattr *nest);
/* attrs_at - of @len bytes. */
struct attrs attrs_at(const void *payload, size_t len);

#endif
