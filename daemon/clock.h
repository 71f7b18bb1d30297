/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - the one clock: read once per loop turn or batch at the edges and passed down from
 * there.
 */
#ifndef RTPX_CLOCK_H
#define RTPX_CLOCK_H

#include <time.h>

#include "base.h"

/* clock_now - CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

#endif
