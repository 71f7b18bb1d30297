/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirlock.c - flock with patience. A process that was killed is gone for its parent before its
 * descriptors are.
 */
#include "dirlock.h"

#include <errno.h>
#include <sys/file.h>
#include <time.h>

#include "clock.h"

#define PATIENCE_NS NSEC_PER_SEC

int dirlock(int fd)
{
	const struct timespec nap = { .tv_nsec = 20 * NSEC_PER_MSEC };
	uint64_t end = clock_now() + PATIENCE_NS;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || clock_now() > end)
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		nanosleep(&nap, NULL);
	}
	return 0;
}
