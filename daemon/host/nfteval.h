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
#include "call/why.h"
#include "host/nft.h"
#include "host/outgoing.h"

/* Conntrack's entry for the connection of a packet. */
struct nft_ct {
	bool known; /* there is an entry; false: all members below are unknown */
	bool established; /* packets were seen both ways, or the peer sent the first */
	bool answered;	  /* the same from the peer's side: both ways, or we sent the first */
	bool mark_known;
	uint32_t mark;
};

/* The missing knowledge that makes an answer uncertain. */
enum nft_doubt {
	NFT_NEEDS_PORTS = 1,
	NFT_NEEDS_CT = 2,  /* conntrack's entry */
	NFT_UNKNOWABLE = 4, /* unknown before a packet is there: its length, the time, a rate */
};

struct nft_answer {
	/*
	 * FLOW_WHY_KERNEL: the packet passes unchanged; FLOW_WHY_NAT, FLOW_WHY_FIREWALL: the rules
	 * change or drop it, certainly or perhaps (doubts)
	 */
	enum flow_why why;
	unsigned int doubts; /* about @why, enum nft_doubt; 0: certain */
	uint32_t mark;	     /* the packet's mark after these rules */
	unsigned int mark_doubts;
};

/*
 * nfteval - judge @p by the chains of one hook. @nat: only the chains of type nat; else all others.
 * @ct NULL: conntrack was not asked. At NFT_AT_PREROUTING and NFT_AT_INPUT the peer's packets are
 * judged instead: with @nat for an unknown destination, else for @p's source, arriving by the
 * device that @p leaves through.
 */
struct nft_answer nfteval(const struct nft_rules *r, enum nft_hook hook, bool nat,
			  const struct outgoing *p, const struct nft_ct *ct);

#endif
