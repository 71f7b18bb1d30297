/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retention.c - one walk through the directory finds the sizes of all files and the oldest
 * descriptions. The time of a description is that of its file.
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "record/retention.h"
#include "base/provoked.h"
#include "record/naming.h"
#include "record/sheet.h"
#include "record/sheetfile.h"

#define SECONDS_PER_DAY 86400
#define FTW_FDS 16

struct found {
	uint64_t time_ns;
	char *name; /* below the directory, owned */
};

/* nftw(3) has no argument of the caller; one thread at a time walks. */
static struct walk {
	size_t prefix;
	uint64_t bytes;
	struct found *found; /* room for 2 * RETENTION_AT_ONCE */
	size_t n;
} walk;

static int by_time(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

/* Keep the oldest RETENTION_AT_ONCE. */
static void thin_out(void)
{
	qsort(walk.found, walk.n, sizeof(*walk.found), by_time);
	while (walk.n > RETENTION_AT_ONCE)
		free(walk.found[--walk.n].name);
}

static int retention_see(const char *path, const struct stat *st, int type, struct FTW *at)
{
	size_t len = strlen(path);

	(void)at;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	walk.bytes += st->st_size;
	if (len < 6 || strcmp(path + len - 5, ".json") || strstr(path + walk.prefix - 1, "/."))
		return 0;
	if (walk.n == 2 * RETENTION_AT_ONCE)
		thin_out();
	walk.found[walk.n].time_ns = st->st_mtim.tv_sec * NSEC_PER_SEC + st->st_mtim.tv_nsec;
	walk.found[walk.n].name = strdup(path + walk.prefix);
	walk.n += walk.found[walk.n].name != NULL;
	return 0;
}

/* ---- one recording ---- */

/* A later recording may have the same files, with --record-replace. */
static bool is_open(const struct retention_opts *o, struct json_object *sheet)
{
	char name[NAME_MAX + 1], key[17];
	const char *tag = sheet_string(sheet, "from_tag");
	int fd;

	naming_key(sheet_string(sheet, "call_id"), tag ? tag : "", key);
	snprintf(name, sizeof(name), "%s.open", key);
	fd = sheetfile_open(o->dir, o->queue_dir, name);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool may_go(const struct retention_opts *o, struct json_object *sheet, const char *name)
{
	const char *stem = sheet_string(sheet, "name");
	size_t len = strlen(stem);

	return !strncmp(name, stem, len) && !strcmp(name + len, ".json") &&
	       !json_object_get_boolean(sheet_member(sheet, "waiting")) && !is_open(o, sheet);
}

/* Remove a file below the directory. Returns its bytes. */
static uint64_t remove_file(const struct retention_opts *o, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (!name || snprintf(path, sizeof(path), "%s/%s", o->dir, name) >= PATH_MAX ||
	    lstat(path, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (unlink(path) == 0)
		return st.st_size;
	log_provoked(PROVOKED_NOT_REMOVED, NULL, path, strerror(errno));
	return 0;
}

static void remove_directories(const struct retention_opts *o, const char *name)
{
	char path[PATH_MAX], *slash;
	size_t dir = strlen(o->dir);

	if (snprintf(path, sizeof(path), "%s/%s", o->dir, name) >= PATH_MAX)
		return;
	while ((slash = strrchr(path + dir + 1, '/'))) {
		*slash = '\0';
		if (rmdir(path))
			return;
	}
}

/* True: removed, with the bytes of its files taken from walk.bytes. */
static bool remove_recording(const struct retention_opts *o, const char *name)
{
	struct json_object *sheet = sheetfile_read(o->dir, NULL, name), *files, *audio;
	uint64_t bytes = 0;
	size_t i;

	if (!sheet || !may_go(o, sheet, name)) {
		json_object_put(sheet);
		return false;
	}
	files = sheet_member(sheet, "files");
	for (i = 0; i < json_object_array_length(files); i++)
		bytes += remove_file(o, sheet_string(json_object_array_get_idx(files, i), "name"));
	audio = sheet_member(sheet, "audio");
	if (audio)
		bytes += remove_file(o, sheet_string(audio, "name"));
	bytes += remove_file(o, name);
	remove_directories(o, name);
	walk.bytes -= MIN(bytes, walk.bytes);
	log_provoked(PROVOKED_REMOVED, sheet_string(sheet, "call_id"), name);
	json_object_put(sheet);
	return true;
}

unsigned int retention_run(const struct retention_opts *o, uint64_t realtime_ns)
{
	const uint64_t age_ns = o->keep_days * (SECONDS_PER_DAY * NSEC_PER_SEC);
	unsigned int removed = 0;
	size_t i;

	walk = (struct walk){ .prefix = strlen(o->dir) + 1 };
	walk.found = malloc(2 * RETENTION_AT_ONCE * sizeof(*walk.found));
	if (!walk.found)
		return 0;
	nftw(o->dir, retention_see, FTW_FDS, FTW_PHYS | FTW_MOUNT);
	thin_out();
	for (i = 0; i < walk.n; i++) {
		bool old = o->keep_days && walk.found[i].time_ns + age_ns < realtime_ns;

		if (old || (o->quota_bytes && walk.bytes > o->quota_bytes))
			removed += remove_recording(o, walk.found[i].name);
		free(walk.found[i].name);
	}
	free(walk.found);
	return removed;
}
