/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conntrack.h - what this host's connection tracking knows of a flow whose packets have gone by the
 * socket: whether it translates them. One question by nfnetlink, answered at once.
 */
#ifndef RTPX_CONNTRACK_H
#define RTPX_CONNTRACK_H

#include "base/base.h"
#include "host/nfteval.h"
#include "host/outgoing.h"

struct conntrack;

/* conntrack_new - 0, -EPROTONOSUPPORT: the kernel has none, or another -errno. */
int conntrack_new(struct conntrack **out);
void conntrack_free(struct conntrack *c); /* NULL is allowed */

/*
 * conntrack_ask - the entry of packets like @p, whose ports must be known. 0 with *@ct and
 * *@translated: their addresses or ports are changed on the way out; -ENOENT: there is no entry, ct
 * says that nothing is known; or another -errno.
 */
int conntrack_ask(struct conntrack *c, const struct outgoing *p, struct nft_ct *ct,
		  bool *translated);

#endif
