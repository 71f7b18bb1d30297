/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iptables.h - tells whether legacy iptables (x_tables) has rules that see outgoing packets. Rules
 * are not read: any of them may match a call. nft.h reads iptables of the nf_tables kind.
 */
#ifndef RTPX_IPTABLES_H
#define RTPX_IPTABLES_H

#include "base/addr.h"
#include "base/base.h"

struct iptables;

/* iptables_open - call it while the process may read the list of tables (root). NULL: no memory. */
struct iptables *iptables_open(void);
void iptables_free(struct iptables *t); /* NULL is allowed */

/*
 * iptables_look - read the tables of the caller's network namespace. True when an answer changed.
 * Called once a second, because the kernel sends no notices.
 */
bool iptables_look(struct iptables *t);

/*
 * iptables_acts - the tables may drop or change packets of @family.
 * iptables_translates - the nat table may translate them.
 */
bool iptables_acts(const struct iptables *t, enum addr_family family);
bool iptables_translates(const struct iptables *t, enum addr_family family);

/* iptables_describe - "iptables-legacy: filter, nat of IPv4"; "" when there are no rules. */
const char *iptables_describe(const struct iptables *t, char *buf, size_t size);

#endif
