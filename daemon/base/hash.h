/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - uthash, as everybody here uses it: an addition that finds no memory does not end the
 * process, but leaves the element's hh.tbl NULL, and the element out of the table.
 */
#ifndef RTPX_HASH_H
#define RTPX_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
