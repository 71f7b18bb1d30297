/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.h - a cache of replies: a retransmitted datagram gets its reply again, and its command is
 * not executed again.
 *
 * Pure. A retransmission repeats the host, the cookie and every byte of the command. It may come
 * from another port. rtpproxy compares the cookie alone; two proxies that choose the same cookie
 * therefore get each other's replies there.
 */
#ifndef RTPX_COOKIES_H
#define RTPX_COOKIES_H

#include "base/addr.h"
#include "base/base.h"
#include "protocol/proto.h"

#define COOKIES_LIFE_NS (35 * NSEC_PER_SEC) /* an entry stays so long, and until the next sweep */
#define COOKIES_SWEEP_S 3		    /* seconds between sweeps */
#define COOKIES_MAX_BYTES (64u << 20)
#define COOKIES_REPLY_MAX 1024 /* most bytes of a reply */

struct cookies;

/*
 * cookies_new - @max_bytes, at least 2 kB, bounds the memory of the entries, their overhead
 * included. A new entry displaces the oldest ones, at most 64 kB of them at once. 0 or -ENOMEM.
 */
int cookies_new(struct cookies **out, size_t max_bytes);
void cookies_free(struct cookies *c);

/* The parts of a datagram that a retransmission repeats. */
struct cookies_key {
	uint64_t command_hash;
	uint8_t ip[16];
	uint8_t family; /* enum addr_family */
	char cookie[PROTO_COOKIE_MAX];
	uint8_t cookie_len;
	uint32_t hash; /* of all this */
};

/*
 * cookies_key_set - the key of a datagram from @from, whose port is ignored. @cookie has at most
 * PROTO_COOKIE_MAX bytes.
 */
void cookies_key_set(struct cookies_key *key, const struct addr *from, struct span cookie,
		     struct span command);

/* cookies_fetch - bring to the CPU's cache what cookies_find() will read for @n keys. */
void cookies_fetch(const struct cookies *c, const struct cookies_key *keys, unsigned int n);

/* cookies_find - the reply to @key, valid until the next call; .p is NULL if there is none. */
struct span cookies_find(const struct cookies *c, const struct cookies_key *key);

/*
 * cookies_store - remember @reply for a @key that cookies_find() did not find. It stores nothing
 * without memory, or if @reply is longer than COOKIES_REPLY_MAX.
 */
void cookies_store(struct cookies *c, const struct cookies_key *key, struct span reply,
		   uint64_t now_ns);

/*
 * cookies_each - call @fn for the replies that the next process needs: of those stored since
 * @since_ns, the @max newest, oldest first. @key is for cookies_restore(), in host byte order. Both
 * spans are valid until @fn returns.
 */
void cookies_each(const struct cookies *c, uint64_t since_ns, unsigned int max,
		  void (*fn)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		  void *arg);
/* cookies_restore - store a reply that cookies_each() gave. A malformed key is ignored. */
void cookies_restore(struct cookies *c, struct span key, struct span reply, uint64_t stored_ns);

/* cookies_watch - call @stored for each reply that cookies_store() stores; NULL: no more. */
void cookies_watch(struct cookies *c,
		   void (*stored)(void *arg, struct span key, struct span reply,
				  uint64_t stored_ns),
		   void *arg);

/*
 * cookies_bytes - bytes of memory of the cache, the allocator's overhead included, and memory that
 * is kept for further entries.
 */
size_t cookies_bytes(const struct cookies *c);

/* cookies_sweep - remove entries that are older than COOKIES_LIFE_NS. */
void cookies_sweep(struct cookies *c, uint64_t now_ns);

#endif
