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

#endif
