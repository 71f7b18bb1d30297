/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iptables.h - iptables of the legacy kind (x_tables) on this host: whether it has rules that see what
 * leaves. Rules are not read: any of them may be for a call. Iptables of the nf_tables kind is
 * nft.h's.
 */
#ifndef RTPX_IPTABLES_H
#define RTPX_IPTABLES_H

#include "base/addr.h"
#include "base/base.h"

struct iptables;

/* iptables_open - while the process may read the list of tables (as root). NULL: no memory. */
struct iptables *iptables_open(void);
void iptables_free(struct iptables *t); /* NULL is allowed */

/*
 * iptables_look - read what there is, in the caller's network namespace; true when an answer has
 * changed. There are no notices: once a second.
 */
bool iptables_look(struct iptables *t);

/* iptables_acts - packets of @family may be dropped or changed; iptables_translates - by NAT. */
bool iptables_acts(const struct iptables *t, enum addr_family family);
bool iptables_translates(const struct iptables *t, enum addr_family family);

/* iptables_describe - "iptables-legacy: filter, nat of IPv4"; "" when nothing. */
const char *iptables_describe(const struct iptables *t, char *buf, size_t size);

#endif
