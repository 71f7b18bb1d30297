/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - uthash, set up for all modules: an addition that finds no memory does not end the
 * process. It leaves the element out of the table, with hh.tbl NULL.
 */
#ifndef RTPX_HASH_H
#define RTPX_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
