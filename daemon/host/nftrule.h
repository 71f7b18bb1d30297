/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nftrule.h - runs one nftables rule for a packet, with registers whose bits may be unknown.
 *
 * An unknown expression makes its rule doubtful, and counts as an effect. A call may therefore stay
 * with the sockets needlessly, but a dataplane never sends a frame that the socket would not send.
 */
#ifndef RTPX_NFTRULE_H
#define RTPX_NFTRULE_H

#include "base/base.h"
#include "call/why.h"
#include "host/nft.h"
#include "host/outgoing.h"

#define NFT_REGISTERS 64 /* bytes: sixteen words, four of them for each of the old ones */

/* Conntrack's entry for the connection of a packet. */
struct nft_ct {
	bool known;	  /* there is an entry; false: all members below are unknown */
	bool established; /* packets were seen both ways, or the peer sent the first */
	bool answered;	  /* the same from the peer's side: both ways, or we sent the first */
	bool mark_known;
	uint32_t mark;
};

/* The missing knowledge that makes an answer uncertain. */
enum nft_doubt {
	NFT_NEEDS_PORTS = 1,
	NFT_NEEDS_CT = 2,   /* conntrack's entry */
	NFT_UNKNOWABLE = 4, /* unknown before a packet is there: its length, the time, a rate */
};

struct nft_answer {
	/*
	 * FLOW_NO_OBJECTION: the packet passes unchanged; FLOW_WHY_NAT, FLOW_WHY_FIREWALL: the
	 * rules change or drop it, certainly or perhaps (doubts)
	 */
	enum flow_why why;
	unsigned int doubts; /* about @why, enum nft_doubt; 0: certain */
	uint32_t mark;	     /* the packet's mark after these rules */
	unsigned int mark_doubts;
};

enum nft_match { NFT_MATCH_NO, NFT_MATCH_YES, NFT_MATCH_MAYBE };

struct nft_bits {
	uint8_t value[NFT_REGISTERS], known[NFT_REGISTERS];
};

/* A packet on its way through the chains of one hook. */
struct nft_walk {
	const struct nft_rules *rules;
	const struct outgoing *p;
	const struct nft_ct *ct;
	enum nft_hook hook;
	bool inbound; /* judge the peer's packets, the answers to @p */
	bool nat;
	struct nft_bits network, transport;
	unsigned int steps;
	enum nft_match untracked; /* a rule excluded the packet from conntrack (notrack) */
	struct nft_answer answer;
};

/* One rule while it runs for a packet. */
struct nft_step {
	struct nft_walk *w;
	const struct nft_chain *chain;
	struct nft_bits regs;
	unsigned int reg_doubt[NFT_REGISTERS / 4]; /* enum nft_doubt of the word's unknown bits */
	enum nft_match match;
	unsigned int doubts; /* enum nft_doubt of NFT_MATCH_MAYBE */
	bool decided;	     /* the rule gave a verdict */
	int32_t verdict;
	const char *target; /* chain of a jump */
	const void *other;  /* NULL, or a map whose verdicts are all possible */
	enum flow_why effect;
	bool untracks;
	bool sets_mark, knows_mark;
	uint32_t mark;
	unsigned int mark_doubts;
};

/*
 * nft_step_run - run the expressions of @rule, up to the first that does not match or gives a
 * verdict. The caller has set r->w and r->chain, and zeroed the other members.
 */
void nft_step_run(struct nft_step *r, struct nft_rule *rule);

/* nft_walk_ports - the source and destination port of the packet, in host order; 0: unknown. */
void nft_walk_ports(const struct nft_walk *w, uint16_t ports[2]);

/* nft_verdict_read - the verdict, and the name of the chain ("": none) in @bytes of netlink. */
int32_t nft_verdict_read(const void *bytes, size_t len, const char **chain);

#endif
