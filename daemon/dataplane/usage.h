/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * usage.h - forwarded packets and bytes, by outgoing interface and by the path through this host.
 */
#ifndef RTPX_USAGE_H
#define RTPX_USAGE_H

#include "base/base.h"

#define USAGE_SLOTS 64 /* interfaces; slot 0 has packets whose interface is not known */

enum usage_path { USAGE_KERNEL, USAGE_SOCKETS, USAGE_PATHS };

struct usage_counts {
	uint64_t packets, bytes; /* bytes of UDP payload */
};

/* All 0: nothing was forwarded. */
struct usage {
	unsigned int n; /* slots in use beside slot 0 */
	struct usage_slot {
		char name[16]; /* of the interface; slot 0: empty */
		struct usage_counts path[USAGE_PATHS];
	} slot[USAGE_SLOTS];
};

/* usage_slot_of - the slot of an interface; 0 for the empty name, and when all slots are taken. */
static inline uint8_t usage_slot_of(struct usage *u, const char *name)
{
	unsigned int i;

	for (i = 1; i <= u->n; i++)
		if (!strncmp(u->slot[i].name, name, sizeof(u->slot[i].name)))
			return i;
	if (!*name || i == USAGE_SLOTS)
		return 0;
	memcpy(u->slot[i].name, name, strnlen(name, sizeof(u->slot[i].name) - 1));
	u->n = i;
	return i;
}

static inline void usage_add(struct usage *u, uint8_t slot, enum usage_path path, uint64_t packets,
			     uint64_t bytes)
{
	u->slot[slot].path[path].packets += packets;
	u->slot[slot].path[path].bytes += bytes;
}

#endif
