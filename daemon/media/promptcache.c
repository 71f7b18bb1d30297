/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promptcache.c - a file has the encoded bytes, then a line with its whole identity, then the
 * length of that line in four bytes, the highest first. The name is a hash, so the line decides. A
 * file is written beside and renamed.
 *
 * Deliberately not here: what is encoded, and when (loader).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "media/promptcache.h"
#include "base/fnv.h"
#include "base/whole.h"

#define VERSION 1 /* of the files, and of the settings of the encoders */
#define LINE_MAX_BYTES (PATH_MAX + 300)
#define NAME_BYTES 64
#define HASH_DIGITS 16
#define UNFINISHED ".unfinished-"
#define UNFINISHED_S 3600 /* an older file belongs to no running daemon */
#define MODE 0600

struct promptcache {
	int dir;
	uint64_t max_bytes;
	pthread_mutex_t lock;
	uint64_t bytes; /* of all files, as far as this process knows; under the lock */
	unsigned int number;
};

struct promptcache_file {
	struct promptcache *cache;
	int fd;
	size_t len;
	unsigned long crc;
	char name[NAME_BYTES], unfinished[NAME_BYTES];
	char line[LINE_MAX_BYTES], path[PATH_MAX]; /* the line begins with kind and identity */
};

/* ---- names and identities ---- */

static void name_of(const struct promptcache_key *key, char name[NAME_BYTES])
{
	uint64_t hash = fnv_add(FNV_BASIS, span_of(key->path));

	snprintf(name, NAME_BYTES, "%016llx.%.8s", (unsigned long long)hash, key->codec);
}

static bool is_ours(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_DIGITS && name[HASH_DIGITS] == '.';
}

/* A line is three parts: the kind, the identity of the sound file, and the bytes that it names. */
static size_t kind_of(const struct promptcache_key *key, char out[LINE_MAX_BYTES])
{
	return (size_t)snprintf(out, LINE_MAX_BYTES, "rtpx prompt %d %s", VERSION, key->codec);
}

static size_t identity_of(const struct promptcache_key *key, char out[LINE_MAX_BYTES])
{
	const struct stat *st = key->st;

	return (size_t)snprintf(out, LINE_MAX_BYTES, " %lld %llu %lld.%09ld %lld.%09ld",
				(long long)st->st_size, (unsigned long long)st->st_ino,
				(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
				(long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static size_t content_of(char out[LINE_MAX_BYTES], size_t len, unsigned long crc, const char *path)
{
	return (size_t)snprintf(out, LINE_MAX_BYTES, " %zu %08lx %s\n", len, crc, path);
}

/* ---- room ---- */

struct found {
	char name[NAME_BYTES];
	struct timespec used;
	uint64_t bytes;
};

static int by_use(const void *a, const void *b)
{
	const struct timespec *x = &((const struct found *)a)->used;
	const struct timespec *y = &((const struct found *)b)->used;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* Append a file to @all, unless it is an old unfinished one, which is removed. 0 or -ENOMEM. */
static int see(struct promptcache *c, const char *name, struct found **all, size_t *n)
{
	struct found *more = *all;
	struct stat st;

	if (!is_ours(name) || strlen(name) >= NAME_BYTES ||
	    fstatat(c->dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	if (strstr(name, UNFINISHED)) {
		if (st.st_mtim.tv_sec + UNFINISHED_S < time(NULL))
			unlinkat(c->dir, name, 0);
		return 0;
	}
	if ((*n & (*n - 1)) == 0)
		more = realloc(*all, (*n ? 2 * *n : 1) * sizeof(**all));
	if (!more)
		return -ENOMEM;
	*all = more;
	more[*n] = (struct found){ .used = st.st_mtim, .bytes = (uint64_t)st.st_size };
	snprintf(more[(*n)++].name, NAME_BYTES, "%s", name);
	return 0;
}

/* Count all files, and remove the least recently used ones beyond the limit. With the lock. */
static int make_room(struct promptcache *c)
{
	int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct found *all = NULL;
	struct dirent *e;
	size_t n = 0, i;

	if (!dir) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (!err && (e = readdir(dir)))
		err = see(c, e->d_name, &all, &n);
	closedir(dir);
	if (n)
		qsort(all, n, sizeof(*all), by_use);
	c->bytes = 0;
	for (i = 0; i < n; i++)
		c->bytes += all[i].bytes;
	for (i = 0; i < n && c->bytes > c->max_bytes; i++)
		if (!unlinkat(c->dir, all[i].name, 0) || errno == ENOENT)
			c->bytes -= all[i].bytes;
	free(all);
	return err;
}

/* ---- reading ---- */

/*
 * Sets *@len to the encoded bytes of the file of @size bytes at @p. 0; -ENOENT: it is of an earlier
 * version of the sound file; -EBADMSG.
 */
static int judge(const struct promptcache_key *key, const uint8_t *p, size_t size, size_t *len)
{
	char kind[LINE_MAX_BYTES], identity[LINE_MAX_BYTES], content[LINE_MAX_BYTES];
	size_t n, k = kind_of(key, kind), i = identity_of(key, identity), c;
	const uint8_t *line;

	if (size < 4)
		return -EBADMSG;
	n = (size_t)p[size - 4] << 24 | p[size - 3] << 16 | p[size - 2] << 8 | p[size - 1];
	if (n > size - 4)
		return -EBADMSG;
	*len = size - 4 - n;
	line = p + *len;
	c = content_of(content, *len, crc32(0, p, (unsigned int)*len), key->path);
	if (n < k + c || memcmp(line, kind, k) || memcmp(line + n - c, content, c))
		return -EBADMSG;
	return n - k - c == i && !memcmp(line + k, identity, i) ? 0 : -ENOENT;
}

static int read_file(const struct promptcache_key *key, int fd, uint8_t **data, size_t *len)
{
	struct stat st;
	uint8_t *all;
	ssize_t n;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH) ||
	    st.st_size > PROMPTCACHE_MAX_FILE + LINE_MAX_BYTES)
		return -EBADMSG;
	all = malloc((size_t)st.st_size + 1);
	if (!all)
		return -ENOMEM;
	n = read_whole(fd, all, (size_t)st.st_size);
	if (n < 0)
		err = (int)n;
	else
		err = n < st.st_size ? -EBADMSG : judge(key, all, (size_t)n, len);
	if (err)
		free(all);
	else
		*data = all;
	return err;
}

int promptcache_read(struct promptcache *c, const struct promptcache_key *key, uint8_t **data,
		     size_t *len)
{
	char name[NAME_BYTES];
	int fd, err;

	name_of(key, name);
	fd = openat(c->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	err = read_file(key, fd, data, len);
	if (!err)
		futimens(fd, NULL); /* used now */
	close(fd);
	return err;
}

/* ---- writing ---- */

int promptcache_begin(struct promptcache *c, const struct promptcache_key *key,
		      struct promptcache_file **out)
{
	struct promptcache_file *f = calloc(1, sizeof(*f));
	char identity[LINE_MAX_BYTES];
	unsigned int number;
	size_t n;
	int err;

	if (!f)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	number = c->number++;
	pthread_mutex_unlock(&c->lock);
	f->cache = c;
	name_of(key, f->name);
	snprintf(f->unfinished, sizeof(f->unfinished), "%.32s" UNFINISHED "%d-%u", f->name,
		 (int)getpid(), number);
	n = kind_of(key, f->line);
	identity_of(key, identity);
	strcpy(f->line + n, identity);
	snprintf(f->path, sizeof(f->path), "%s", key->path);
	f->fd = openat(c->dir, f->unfinished, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
	if (f->fd < 0) {
		err = -errno;
		free(f);
		return err;
	}
	*out = f;
	return 0;
}

int promptcache_add(struct promptcache_file *f, const uint8_t *data, size_t len)
{
	if (!write_whole(f->fd, data, len))
		return -errno;
	f->crc = crc32(f->crc, data, (unsigned int)len);
	f->len += len;
	return 0;
}

int promptcache_end(struct promptcache_file *f)
{
	struct promptcache *c = f->cache;
	char content[LINE_MAX_BYTES];
	size_t c_len = content_of(content, f->len, f->crc, f->path), n = strlen(f->line) + c_len;
	const uint8_t end[4] = { 0, 0, n >> 8, n & 0xff };
	int err = 0;

	if (!write_whole(f->fd, f->line, n - c_len) || !write_whole(f->fd, content, c_len) ||
	    !write_whole(f->fd, end, sizeof(end)) ||
	    renameat(c->dir, f->unfinished, c->dir, f->name))
		err = -errno;
	if (!err) {
		f->unfinished[0] = '\0';
		pthread_mutex_lock(&c->lock);
		c->bytes += f->len + n + sizeof(end);
		if (c->bytes > c->max_bytes)
			err = make_room(c);
		pthread_mutex_unlock(&c->lock);
	}
	promptcache_drop(f);
	return err;
}

void promptcache_drop(struct promptcache_file *f)
{
	if (!f)
		return;
	if (f->unfinished[0])
		unlinkat(f->cache->dir, f->unfinished, 0);
	close(f->fd);
	free(f);
}

/* ---- begin and end ---- */

int promptcache_new(struct promptcache **out, const char *dir, uint64_t max_bytes)
{
	struct promptcache *c = dir ? calloc(1, sizeof(*c)) : NULL;
	struct stat st;
	int err = 0;

	*out = NULL;
	if (!c)
		return dir ? -ENOMEM : 0;
	c->max_bytes = max_bytes;
	pthread_mutex_init(&c->lock, NULL);
	c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0 || fstat(c->dir, &st))
		err = -errno;
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		err = -EPERM;
	else
		err = make_room(c);
	if (err) {
		promptcache_free(c);
		return err;
	}
	*out = c;
	return 0;
}

void promptcache_free(struct promptcache *c)
{
	if (!c)
		return;
	if (c->dir >= 0)
		close(c->dir);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
