/* SPDX-License-Identifier: BSD-2-Clause */
/* redis_none.c - the twin of redis.c for a build without Redis: group_none.c connects to nothing.
 */
#include "replicate/redis.h"
