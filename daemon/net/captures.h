/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * captures.h - tells whether a program of this network namespace captures packets, as tcpdump does:
 * a packet socket for all protocols (packet(7)) sees what leaves, too.
 */
#ifndef RTPX_CAPTURES_H
#define RTPX_CAPTURES_H

#include "base/base.h"

#define CAPTURES_NS NSEC_PER_SEC /* from one look to the next */

struct captures;

/* captures_new - follow this thread's network namespace. 0 or -errno. */
int captures_new(struct captures **out);
void captures_free(struct captures *c); /* NULL is allowed */
/*
 * captures_any - true if there is a capture, or may be: the kernel's list cannot be read, or @c is
 * NULL. The answer is up to CAPTURES_NS old.
 */
bool captures_any(struct captures *c, uint64_t now_ns);

#endif
