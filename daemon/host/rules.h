/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rules.h - the inputs that the host's routing rules look at, kept current by route netlink. The
 * kernel applies the rules: nexthop.c asks it for routes.
 */
#ifndef RTPX_RULES_H
#define RTPX_RULES_H

#include "base/base.h"

struct event_base;
struct rules;

/*
 * rules_new - read the rules. @changed is called when they look at other inputs than before. 0 or
 * -errno. Without @base nothing is read, and rules_by_port() and rules_by_mark() stay false.
 */
int rules_new(struct rules **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void rules_free(struct rules *r); /* NULL is allowed */

/*
 * rules_by_port - the route of a packet may depend on its ports: a rule names ports, or multipath
 * routes spread packets by port (sysctl fib_multipath_hash_policy).
 */
bool rules_by_port(const struct rules *r);
/* rules_by_mark - a rule names a firewall mark. */
bool rules_by_mark(const struct rules *r);

/* rules_look - called once a second: read the sysctl, which changes without a notice. */
void rules_look(struct rules *r);

#endif
