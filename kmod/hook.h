/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * hook.h - the netfilter hooks that forward packets of a table's flows.
 */
#ifndef RTPX_KMOD_HOOK_H
#define RTPX_KMOD_HOOK_H

#include "table.h"

/* One hook for each family; .priv is the table. */
extern const struct nf_hook_ops hook_ops[RTPX_FAMILIES];

#endif
