/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paths.h - finds the frames' way for packets of media ports, if this host would send the packets
 * unchanged. docs/floor.md ("The ring") is the contract.
 */
#ifndef RTPX_PATHS_H
#define RTPX_PATHS_H

#include "base/addr.h"
#include "base/base.h"
#include "net/ring.h"

struct nexthops;
struct paths;

/* paths_new - @nexthops is borrowed until paths_free(). 0 or -ENOMEM. */
int paths_new(struct paths **out, struct nexthops *nexthops);
void paths_free(struct paths *p); /* NULL is allowed */

/*
 * paths_find - the way of packets from @source to @dest (both with ports) with this TOS. False:
 * there is none now, so a raw socket must send the packet. For sender_opts.find.
 */
bool paths_find(void *paths, const struct addr *source, const struct addr *dest, uint8_t tos,
		uint64_t now_ns, struct ring_way *out);

/* paths_tick - called once a second: forget destinations that get no packets any more. */
void paths_tick(struct paths *p, uint64_t now_ns);

#endif
