/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules.h - which inputs the host's routing rules look at, followed by route netlink. The rules
 * themselves are the kernel's to apply: nexthop.c asks it.
 */
#ifndef RTPX_RULES_H
#define RTPX_RULES_H

#include "base/base.h"

struct event_base;
struct rules;

/*
 * rules_new - @changed: they look at other inputs than before. 0 or -errno. Without @base nothing is
 * read, and no rule looks at anything.
 */
int rules_new(struct rules **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void rules_free(struct rules *r); /* NULL is allowed */

/*
 * rules_by_port - the route of a packet may depend on its ports: a rule names ports, or routes of
 * several paths spread packets by port (sysctl fib_multipath_hash_policy).
 */
bool rules_by_port(const struct rules *r);
/* rules_by_mark - a rule names a firewall mark. */
bool rules_by_mark(const struct rules *r);

/* rules_look - read again what changes without a notice: the sysctl. Once a second. */
void rules_look(struct rules *r);

#endif
