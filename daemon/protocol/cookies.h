/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.h - replies already given: a retransmitted datagram is answered, not executed again.
 *
 * Pure. A retransmission has the host, the cookie and every byte of the command of the datagram that
 * it repeats; it may come from another port. rtpproxy looks at the cookie alone, so two proxies that
 * choose the same one get each other's replies.
 */
#ifndef RTPX_COOKIES_H
#define RTPX_COOKIES_H

#include "base/addr.h"
#include "base/base.h"

#define COOKIES_LIFE_NS (35 * NSEC_PER_SEC) /* and until the next sweep, */
#define COOKIES_SWEEP_S 3                   /* which comes this often */
#define COOKIES_MAX_BYTES (64u << 20)
#define COOKIES_REPLY_MAX 1024 /* bytes of a reply */

struct cookies;

/* cookies_new - @max_bytes bounds what the entries take, their overhead included; the oldest go
 * first. */
int cookies_new(struct cookies **out, size_t max_bytes);
void cookies_free(struct cookies *c);

/* A datagram. */
struct cookies_key {
	const struct addr *from; /* its port is not looked at */
	struct span cookie;	 /* at most PROTO_COOKIE_MAX bytes */
	struct span command;
};

/* cookies_find - the reply given to @key, valid until the next call; .p NULL: none. */
struct span cookies_find(const struct cookies *c, const struct cookies_key *key);

/* cookies_store - remember @reply for a @key that cookies_find() did not know. Without memory
 * nothing is kept. */
void cookies_store(struct cookies *c, const struct cookies_key *key, struct span reply,
		   uint64_t now_ns);

/*
 * cookies_each - replies for the next process: those given since @since_ns, the @max newest, oldest
 * first. @key is cookies_restore()'s, in host byte order.
 */
void cookies_each(const struct cookies *c, uint64_t since_ns, unsigned int max,
		  void (*fn)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		  void *arg);
/* cookies_restore - as cookies_each() has given it; a key that is none is ignored. */
void cookies_restore(struct cookies *c, struct span key, struct span reply, uint64_t stored_ns);

/* cookies_bytes - what they take, the allocator's overhead included. */
size_t cookies_bytes(const struct cookies *c);

/* cookies_sweep - forget what is older than COOKIES_LIFE_NS. */
void cookies_sweep(struct cookies *c, uint64_t now_ns);

#endif
