/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - the one clock. Code at the edges reads it once per loop turn or batch, and passes the
 * time down.
 */
#ifndef RTPX_CLOCK_H
#define RTPX_CLOCK_H

#include <time.h>

#include "base/base.h"

static inline uint64_t clock_read(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* clock_now - CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clock_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

/* clock_cpu - CPU time of this thread in nanoseconds. */
static inline uint64_t clock_cpu(void)
{
	return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

#define CLOCK_TRIES 5

/*
 * clock_realtime_offset - CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds modulo 2^64. The two
 * clocks cannot be read at the same instant, so the attempt with the shortest gap between readings
 * counts; its error is at most half that gap.
 */
static inline uint64_t clock_realtime_offset(void)
{
	uint64_t least = UINT64_MAX, found = 0, before, real, after;
	int i;

	for (i = 0; i < CLOCK_TRIES; i++) {
		before = clock_now();
		real = clock_read(CLOCK_REALTIME);
		after = clock_now();
		if (after - before >= least)
			continue;
		least = after - before;
		found = real - (before + least / 2);
	}
	return found;
}

#endif
