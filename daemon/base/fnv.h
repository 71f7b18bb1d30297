/* SPDX-License-Identifier: BSD-2-Clause */
/* fnv.h - the hash FNV-1a with 64 bits (draft-eastlake-fnv). Not against an attacker. */
#ifndef RTPX_FNV_H
#define RTPX_FNV_H

#include "base/base.h"

#define FNV_BASIS 0xcbf29ce484222325ull /* the hash of no bytes */

/* fnv_add - the hash of the bytes that @hash stands for, with @text behind them. */
static inline uint64_t fnv_add(uint64_t hash, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.p[i]) * 0x100000001b3ull;
	return hash;
}

#endif
