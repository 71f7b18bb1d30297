/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.h - files that a killed daemon has left in the spool directory. May wait for the disk:
 * threads only.
 */
#ifndef RTPX_SPOOL_H
#define RTPX_SPOOL_H

#include "base/base.h"

/* Names of recordings, below the directory. */
struct spool_names {
	const char *dir, *sub; /* where their descriptions are; for the caller */
	struct spool_name *all;
};

void spool_names_add(struct spool_names *names, const char *name); /* may fail without memory */
void spool_names_free(struct spool_names *names);

/* spool_rescue - move @name from @spool (NULL: none) to @dir, if it is there. */
void spool_rescue(const char *spool, const char *dir, const char *name);
/*
 * spool_name_orphans - log the files in @spool that are not in @names. They stay: their daemon may
 * run elsewhere. Returns their number.
 */
unsigned int spool_name_orphans(const char *spool, const struct spool_names *names);

#endif
