/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clips.c - the cache of prompt files: by path, with those that nobody plays in the order of their
 * last use. Knows nothing of audio.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1 /* hh.tbl is NULL after an addition that found no memory */
#include <uthash.h>
#include <utlist.h>

#include "clips.h"

struct file {
	struct clip clip;
	char *path;
	struct stat st;
	unsigned int users;
	bool stale; /* not in the table any more: a newer one is, or none */
	struct file *prev, *next; /* when idle */
	UT_hash_handle hh;
};

struct clips {
	char *dir;
	struct file *files; /* by path */
	struct file *idle;  /* without users, the longest idle one first */
	size_t idle_bytes;
};

/* ---- names ---- */

/* A relative path without "..". */
static bool stays_inside(struct span name)
{
	const char *p = name.p, *end = name.p + name.len;

	if (p == end || *p == '/')
		return false;
	while (p < end) {
		const char *slash = memchr(p, '/', end - p), *stop = slash ? slash : end;

		if (stop - p == 2 && p[0] == '.' && p[1] == '.')
			return false;
		p = slash ? slash + 1 : end;
	}
	return true;
}

static int path_of(const struct clips *c, struct span name, unsigned int payload_type,
		   char path[PATH_MAX])
{
	int n;

	if (c->dir && !stays_inside(name))
		return -EACCES;
	if (name.len >= PATH_MAX)
		return -ENAMETOOLONG;
	n = snprintf(path, PATH_MAX, "%s%s%.*s.%u", c->dir ? c->dir : "", c->dir ? "/" : "",
		     (int)name.len, name.p, payload_type);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- one file ---- */

static void file_free(struct file *f)
{
	free((void *)f->clip.data);
	free(f->path);
	free(f);
}

static int read_all(int fd, uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(fd, data + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* it shrinks while it is read */
		at += n;
	}
	return 0;
}

static int file_load(struct file **out, int fd, const struct stat *st, const char *path)
{
	struct file *f = calloc(1, sizeof(*f));
	uint8_t *data = malloc(MAX(st->st_size, 1));
	int err = -ENOMEM;

	if (!f || !data)
		goto err_free;
	err = read_all(fd, data, st->st_size);
	if (err)
		goto err_free;
	f->clip = (struct clip){ data, st->st_size };
	f->st = *st;
	f->path = strdup(path);
	if (!f->path) {
		err = -ENOMEM;
		goto err_free;
	}
	*out = f;
	return 0;

err_free:
	free(data);
	free(f);
	return err;
}

/* The time of change also moves when the time of modification is set back, as cp -p does. */
static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- the table ---- */

static void idle_add(struct clips *c, struct file *f)
{
	DL_APPEND(c->idle, f);
	c->idle_bytes += f->clip.len;
}

static void idle_remove(struct clips *c, struct file *f)
{
	DL_DELETE(c->idle, f);
	c->idle_bytes -= f->clip.len;
}

/* It is not to be found any more; its users go on. */
static void forget(struct clips *c, struct file *f)
{
	HASH_DEL(c->files, f);
	f->stale = true;
	if (f->users)
		return;
	idle_remove(c, f);
	file_free(f);
}

static int open_regular(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -EINVAL;
	else if (st->st_size > CLIPS_MAX_FILE_BYTES)
		err = -EFBIG;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int file_add(struct clips *c, struct file *f)
{
	HASH_ADD_KEYPTR(hh, c->files, f->path, strlen(f->path), f);
	if (!f->hh.tbl) {
		file_free(f);
		return -ENOMEM;
	}
	idle_add(c, f);
	return 0;
}

/* The file at @path as it is now, loaded if need be. */
static int find_or_load(struct clips *c, const char *path, struct file **out)
{
	struct stat st;
	struct file *f;
	int fd = open_regular(path, &st), err = 0;

	HASH_FIND_STR(c->files, path, f);
	if (f && (fd < 0 || !is_same(&f->st, &st))) {
		forget(c, f);
		f = NULL;
	}
	if (fd < 0)
		return fd;
	if (!f) {
		err = file_load(&f, fd, &st, path);
		if (!err)
			err = file_add(c, f);
	}
	close(fd);
	*out = f;
	return err;
}

int clips_take(struct clips *c, struct span name, unsigned int payload_type,
	       const struct clip **out)
{
	char path[PATH_MAX];
	struct file *f;
	int err = path_of(c, name, payload_type, path);

	if (!err)
		err = find_or_load(c, path, &f);
	if (err)
		return err;
	if (f->users++ == 0)
		idle_remove(c, f);
	*out = &f->clip;
	return 0;
}

void clips_give(struct clips *c, const struct clip *clip)
{
	struct file *f = container_of(clip, struct file, clip);

	if (--f->users)
		return;
	if (f->stale) {
		file_free(f);
		return;
	}
	idle_add(c, f);
	while (c->idle_bytes > CLIPS_IDLE_BYTES)
		forget(c, c->idle);
}

const char *clips_path(const struct clip *clip)
{
	return container_of(clip, struct file, clip)->path;
}

/* ---- begin and end ---- */

int clips_new(struct clips **out, const char *dir)
{
	struct clips *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	if (dir) {
		c->dir = strdup(dir);
		if (!c->dir) {
			free(c);
			return -ENOMEM;
		}
	}
	*out = c;
	return 0;
}

void clips_free(struct clips *c)
{
	if (!c)
		return;
	while (c->idle)
		forget(c, c->idle);
	free(c->dir);
	free(c);
}
