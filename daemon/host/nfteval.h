/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nfteval.h - what nftables rules do to a packet of a media socket. Pure: rules and packet in, answer
 * out.
 *
 * Each value that a rule looks at is known, bit by bit, or not. Where a rule's match depends on what
 * is not known, both ways are followed, and the answer says what would have to be known.
 */
#ifndef RTPX_NFTEVAL_H
#define RTPX_NFTEVAL_H

#include "base/base.h"
#include "call/why.h"
#include "host/nft.h"
#include "host/outgoing.h"

/* What conntrack knows of a packet's connection. */
struct nft_ct {
	bool known; /* there is an entry; false: all below is not known */
	bool established; /* packets were seen both ways, or the first came from the other side */
	bool answered;	  /* the same, as packets of the other side see it */
	bool mark_known;
	uint32_t mark;
};

/* What would have to be known for a certain answer. */
enum nft_doubt {
	NFT_NEEDS_PORTS = 1,
	NFT_NEEDS_CT = 2,  /* of conntrack */
	NFT_UNKNOWABLE = 4, /* before a packet is there: its length, the time, a rate */
};

struct nft_answer {
	/*
	 * FLOW_WHY_KERNEL: it leaves as it is; FLOW_WHY_NAT, FLOW_WHY_FIREWALL: it certainly, or
	 * with doubts, does not
	 */
	enum flow_why why;
	unsigned int doubts; /* enum nft_doubt, of why; 0: certain */
	uint32_t mark;	     /* the packet's, after these rules */
	unsigned int mark_doubts;
};

/*
 * nfteval - the chains of one hook. @nat: those of type nat; else all others. At NFT_AT_PREROUTING
 * and NFT_AT_INPUT, packets that answer @p are judged: with @nat, of unknown destination; else as
 * they arrive for @p's source, by the device that @p leaves through.
 */
struct nft_answer nfteval(const struct nft_rules *r, enum nft_hook hook, bool nat,
			  const struct outgoing *p, const struct nft_ct *ct);

#endif
