/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nft.h - the nftables rules of this host that see what leaves it, followed by nfnetlink. iptables
 * of the nf_tables kind is part of it. nfteval.h judges packets with them.
 *
 * Rules are kept as the kernel sends them: attributes, read when a packet is judged.
 */
#ifndef RTPX_NFT_H
#define RTPX_NFT_H

#include "base/base.h"
#include "base/hash.h"

struct event_base;
struct nlattr;
struct nft;

enum nft_hook {
	NFT_AT_PREROUTING,
	NFT_AT_INPUT,
	NFT_AT_OUTPUT,
	NFT_AT_POSTROUTING,
	NFT_AT_EGRESS,
	NFT_NO_HOOK,
};
enum nft_type { NFT_FILTER, NFT_NAT, NFT_ROUTE };

struct nft_rule {
	void *exprs; /* payload of NFTA_RULE_EXPRESSIONS */
	uint32_t len;
	void *ready; /* what nfteval has made of it, one piece of memory; NULL: nothing yet */
};

#define NFT_KEY 600 /* "family/table/name" and NUL */

struct nft_chain {
	char key[NFT_KEY];
	uint8_t family;	 /* NFPROTO_… */
	uint16_t prefix; /* bytes of the key before the chain's name */
	enum nft_hook hook;
	enum nft_type type;
	int32_t priority;
	bool drops;	/* its policy */
	char dev[16];	/* of the egress hook; "": none named */
	bool devs;	/* several: any device may be meant */
	struct nft_rule *rules;
	size_t n_rules, room;
	UT_hash_handle hh;
};

struct nft_element {
	uint8_t key[16], end[16]; /* inclusive */
	uint32_t verdict_len;	  /* of a map to verdicts: payload of NFTA_DATA_VERDICT */
	void *verdict;
};

struct nft_set {
	char key[NFT_KEY];
	bool known; /* its elements are here; false: it may have any */
	uint32_t key_len;
	struct nft_element *elements;
	size_t n, room;
	bool intervals, after_end;
	UT_hash_handle hh;
};

struct nft_rules {
	struct nft_chain *chains; /* by key */
	struct nft_set *sets;	  /* those that a rule refers to */
	struct nft_chain **hooked[NFT_NO_HOOK]; /* in the order in which they see a packet */
	size_t n_hooked[NFT_NO_HOOK];
	bool broken; /* out of memory, or not readable */
};

/*
 * nft_new - @changed: other rules than before; from the event loop. 0 or -errno. Without @base
 * nothing is read, and there are no rules.
 */
int nft_new(struct nft **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void nft_free(struct nft *n); /* NULL is allowed */

/* nft_refused - the kernel does not let this process read rules: CAP_NET_ADMIN is missing. */
bool nft_refused(const struct nft *n);

/* nft_rules - valid until @changed. */
const struct nft_rules *nft_rules(const struct nft *n);

/* nft_chain_find, nft_set_find - of the table that chain @of belongs to; NULL: there is none. */
struct nft_chain *nft_chain_find(const struct nft_rules *r, const struct nft_chain *of,
				 const char *name);
struct nft_set *nft_set_find(const struct nft_rules *r, const struct nft_chain *of,
			     const char *name);

#endif
