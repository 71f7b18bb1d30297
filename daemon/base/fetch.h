/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.h - memory that a batch of packets or commands will read. The CPU fetches all of it at the
 * same time, where one after the other would wait for each.
 */
#ifndef RTPX_FETCH_H
#define RTPX_FETCH_H

#include <stdint.h>

#define FETCH_LINE 64 /* bytes of a cache line */

/* fetch_lines - bring the bytes from @from up to @end to the CPU's cache, without a wait. */
static inline void fetch_lines(const void *from, const void *end)
{
	const uint8_t *at;

	for (at = from; at < (const uint8_t *)end; at += FETCH_LINE)
		__builtin_prefetch(at);
	__builtin_prefetch((const uint8_t *)end - 1);
}

#endif
