/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.h - replies already given, by cookie: a retransmitted datagram is answered, not executed
 * again.
 *
 * Pure. The key is the cookie alone, as the rtpproxy protocol has it ("Retransmission cache"):
 * neither the sender nor the command is looked at.
 */
#ifndef RTPX_COOKIES_H
#define RTPX_COOKIES_H

#include "base.h"

#define COOKIES_LIFE_NS (35 * NSEC_PER_SEC) /* and until the next sweep, */
#define COOKIES_SWEEP_S 3                   /* which comes this often */
#define COOKIES_MAX_BYTES (64u << 20)

struct cookies;

/* cookies_new - @max_bytes bounds what the entries take, their overhead included; the oldest go
 * first. */
int cookies_new(struct cookies **out, size_t max_bytes);
void cookies_free(struct cookies *c);

/* cookies_find - the reply given to @cookie, valid until the next call; .p NULL: none. */
struct span cookies_find(const struct cookies *c, struct span cookie);

/* cookies_store - remember @reply for a @cookie that cookies_find() did not know. Without memory
 * nothing is kept. */
void cookies_store(struct cookies *c, struct span cookie, struct span reply, uint64_t now_ns);

/* cookies_bytes - what they take, the allocator's overhead included. */
size_t cookies_bytes(const struct cookies *c);

/* cookies_sweep - forget what is older than COOKIES_LIFE_NS. */
void cookies_sweep(struct cookies *c, uint64_t now_ns);

#endif
