/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.c - looks through the spool directory once, at the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/spool.h"
#include "base/hash.h"
#include "base/provoked.h"

#define FTW_FDS 16

struct spool_name {
	UT_hash_handle hh;
	char name[];
};

void spool_names_add(struct spool_names *names, const char *name)
{
	struct spool_name *n;

	HASH_FIND_STR(names->all, name, n);
	if (n || !(n = calloc(1, sizeof(*n) + strlen(name) + 1)))
		return;
	memcpy(n->name, name, strlen(name) + 1);
	HASH_ADD_KEYPTR(hh, names->all, n->name, strlen(n->name), n);
	if (!n->hh.tbl)
		free(n);
}

void spool_names_free(struct spool_names *names)
{
	struct spool_name *n, *next;

	HASH_ITER(hh, names->all, n, next) {
		HASH_DEL(names->all, n);
		free(n);
	}
}

void spool_rescue(const char *spool, const char *dir, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX], *slash;
	struct stat st;

	if (!spool || snprintf(from, sizeof(from), "%s/%s", spool, name) >= PATH_MAX ||
	    snprintf(to, sizeof(to), "%s/%s", dir, name) >= PATH_MAX || lstat(from, &st) ||
	    !S_ISREG(st.st_mode) || lstat(to, &st) == 0)
		return;
	for (slash = strchr(to + strlen(dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(to, 0777);
		*slash = '/';
	}
	if (rename(from, to))
		log_provoked(PROVOKED_NOT_MOVED, NULL, name, spool, dir, strerror(errno));
}

/* ---- orphans ---- */

/* nftw(3) has no argument of the caller; one thread at a time looks for orphans. */
static struct {
	const struct spool_names *names;
	size_t prefix;
	unsigned int found;
} walk;

static int spool_see(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + walk.prefix;
	struct spool_name *n;

	(void)at;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	HASH_FIND_STR(walk.names->all, name, n);
	if (n)
		return 0;
	walk.found++;
	log_provoked(PROVOKED_SPOOL_ORPHAN, NULL, path);
	return 0;
}

unsigned int spool_name_orphans(const char *spool, const struct spool_names *names)
{
	walk.names = names;
	walk.prefix = strlen(spool) + 1;
	walk.found = 0;
	nftw(spool, spool_see, FTW_FDS, FTW_PHYS);
	return walk.found;
}
