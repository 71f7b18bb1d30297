/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conntrack.h - asks this host's connection tracking about a flow whose packets have passed through
 * the socket: does the host translate them? One question by nfnetlink, answered at once.
 */
#ifndef RTPX_CONNTRACK_H
#define RTPX_CONNTRACK_H

#include "base/base.h"
#include "host/nfteval.h"
#include "host/outgoing.h"

struct conntrack;

/* conntrack_new - 0; -EPROTONOSUPPORT: the kernel has no conntrack; or another -errno. */
int conntrack_new(struct conntrack **out);
void conntrack_free(struct conntrack *c); /* NULL is allowed */

/*
 * conntrack_ask - look up the entry for packets like @p, whose ports must be known. 0 with *@ct and
 * *@translated (true: the host changes their addresses or ports on the way out); -ENOENT: there is
 * no entry, and ct->known is false; or another -errno.
 */
int conntrack_ask(struct conntrack *c, const struct outgoing *p, struct nft_ct *ct,
		  bool *translated);

#endif
