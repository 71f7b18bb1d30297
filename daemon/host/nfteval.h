/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfteval.h - judges a packet of a media socket by nftables rules. Pure: rules and packet in,
 * answer out.
 *
 * Each bit of a value that a rule looks at is known or unknown. If the match of a rule depends on
 * unknown bits, both ways are followed, and the answer names the missing knowledge (nft_doubt).
 */
#ifndef RTPX_NFTEVAL_H
#define RTPX_NFTEVAL_H

#include "base/base.h"
#include "host/nft.h"
#include "host/nftrule.h"
#include "host/outgoing.h"

/*
 * nfteval - judge @p by the chains of one hook. @nat: only the chains of type nat; else all others.
 * @ct NULL: conntrack was not asked. At NFT_AT_PREROUTING and NFT_AT_INPUT the peer's packets are
 * judged instead: with @nat for an unknown destination, else for @p's source, arriving by the
 * device that @p leaves through.
 */
struct nft_answer nfteval(const struct nft_rules *r, enum nft_hook hook, bool nat,
			  const struct outgoing *p, const struct nft_ct *ct);

#endif
