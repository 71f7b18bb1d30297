/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nft.h - the nftables rules of this host that see packets of media sockets, kept current by
 * nfnetlink. Rules of iptables' nf_tables kind are among them. nfteval.h judges packets with them.
 *
 * Rules are kept in the kernel's form: attributes, which are read when a packet is judged.
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
	void *ready; /* parsed by nftrule.c, one piece of memory; NULL: not yet */
};

#define NFT_KEY 600 /* "family/table/name" and NUL */

struct nft_chain {
	char key[NFT_KEY];
	uint8_t family;	 /* NFPROTO_… */
	uint16_t prefix; /* bytes of the key before the chain's name */
	enum nft_hook hook;
	enum nft_type type;
	int32_t priority;
	bool drops;   /* the policy is drop */
	char dev[16]; /* device of the egress hook; "": no name */
	bool devs;    /* names several devices: counts for any device */
	struct nft_rule *rules;
	size_t n_rules, room;
	UT_hash_handle hh;
};

struct nft_element {
	uint8_t key[16], end[16]; /* inclusive */
	uint32_t verdict_len;	  /* in a verdict map: payload of NFTA_DATA_VERDICT */
	void *verdict;
};

struct nft_set {
	char key[NFT_KEY];
	bool known; /* @elements are complete; false: the set may have any element */
	uint32_t key_len;
	struct nft_element *elements;
	size_t n, room;
	bool intervals, after_end;
	UT_hash_handle hh;
};

struct nft_rules {
	struct nft_chain *chains;		/* by key */
	struct nft_set *sets;			/* sets with a reference in a rule */
	struct nft_chain **hooked[NFT_NO_HOOK]; /* base chains, in the order of their priority */
	size_t n_hooked[NFT_NO_HOOK];
	bool broken; /* incomplete: out of memory, or not readable */
};

/*
 * nft_new - read the rules. @changed is called from the event loop after they changed. 0 or -errno.
 * Without @base nothing is read, and there are no rules.
 */
int nft_new(struct nft **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void nft_free(struct nft *n); /* NULL is allowed */

/* nft_refused - the kernel does not let this process read rules: CAP_NET_ADMIN is missing. */
bool nft_refused(const struct nft *n);

/* nft_rules - valid until @changed. */
const struct nft_rules *nft_rules(const struct nft *n);

/* nft_chain_find, nft_set_find - find @name in the table of the chain @of; NULL: not found. */
struct nft_chain *nft_chain_find(const struct nft_rules *r, const struct nft_chain *of,
				 const char *name);
struct nft_set *nft_set_find(const struct nft_rules *r, const struct nft_chain *of,
			     const char *name);

#endif
