/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retention.h - removes old recordings by age and by the room that all need. May wait for the disk:
 * threads only.
 *
 * Removed are recordings that have a description, are complete and are handed on, with all files of
 * the description. Nothing else is removed.
 */
#ifndef RTPX_RETENTION_H
#define RTPX_RETENTION_H

#include "base/base.h"

struct retention_opts {
	const char *dir, *queue_dir; /* of the recordings; of the queue, in it */
	uint32_t keep_days;	     /* 0: any age */
	uint64_t quota_bytes;	     /* of all files in @dir; 0: no limit */
};

/* retention_run - one pass, at most RETENTION_AT_ONCE recordings. Returns the number removed. */
#define RETENTION_AT_ONCE 4096
unsigned int retention_run(const struct retention_opts *opts, uint64_t realtime_ns);

#endif
