/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clips.c - the cache of prompts, by path and codec. Idle prompts, which no call plays, are in the
 * order of their last use.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utlist.h>

#include "media/clips.h"
#include "media/audio_codec.h"
#include "base/hash.h"
#include "media/loader.h"
#include "base/provoked.h"
#include "media/sound.h"

/* The bytes of a file, or a sound file encoded for a payload type. */
struct file {
	struct clip clip;
	struct loader_job job;
	struct clips *clips;
	/* the path, or "PATH as CODEC" with audio_codec_key(): names have no blanks */
	char *key;
	char *path;
	struct stat st;
	unsigned int users;	  /* the loader counts while it loads */
	bool stale;		  /* no longer in the table */
	struct file *prev, *next; /* in the list of idle files */
	UT_hash_handle hh;
};

struct clips {
	char *dir;
	struct loader *loader;
	struct file *files; /* by key */
	struct file *idle;  /* files without users, the longest idle first */
	size_t idle_bytes;
	struct clips_counts counts;
};

/* Suffixes of files that libsndfile reads. */
static const char *const sounds[] = {
	".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".w64", ".mp3",
};

/* Asterisk's suffixes of files with the frames of a static payload type. */
static const struct {
	const char *suffix;
	unsigned int payload_type;
} frames[] = {
	{ ".ulaw", 0 }, { ".gsm", 3 },	{ ".g723", 4 },
	{ ".alaw", 8 }, { ".g722", 9 }, { ".g729", 18 },
};

/* The making of a clip from a file, as in struct loader_job. */
struct making {
	const struct audio_codec *codec;
	bool packs;
};

static void on_more(struct loader_job *job);
static void on_loaded(struct loader_job *job);

/* ---- names ---- */

/* Append a component to @path, or remove the last for "..". 0 or -ENAMETOOLONG. */
static int path_step(char path[PATH_MAX], size_t *len, const char *part, size_t n)
{
	char *slash;

	if (n == 0 || (n == 1 && *part == '.'))
		return 0;
	if (n == 2 && part[0] == '.' && part[1] == '.') {
		path[*len] = '\0';
		slash = strrchr(path, '/');
		*len = slash ? (size_t)(slash - path) : 0;
		return 0;
	}
	if (*len + 1 + n >= PATH_MAX)
		return -ENAMETOOLONG;
	path[(*len)++] = '/';
	memcpy(path + *len, part, n);
	*len += n;
	return 0;
}

/*
 * Make the path of @name below @dir, without "." and "..". Looks at the text only, not at links.
 * -EACCES if the path is not below @dir.
 */
static int path_inside(const char *dir, struct span name, char path[PATH_MAX], size_t *len)
{
	size_t dir_len = strcmp(dir, "/") ? strlen(dir) : 0;
	const char *p = name.p, *end = name.p + name.len;
	int err = 0;

	*len = 0;
	if (!name.len || *p != '/') {
		memcpy(path, dir, dir_len);
		*len = dir_len;
	}
	while (p < end && !err) {
		const char *slash = memchr(p, '/', end - p), *stop = slash ? slash : end;

		err = path_step(path, len, p, stop - p);
		p = slash ? slash + 1 : end;
	}
	if (err)
		return err;
	return *len > dir_len + 1 && !memcmp(path, dir, dir_len) && path[dir_len] == '/' ? 0
											 : -EACCES;
}

static bool ends_in(struct span name, const char *suffix)
{
	size_t len = strlen(suffix);

	return name.len > len && !strncasecmp(name.p + name.len - len, suffix, len);
}

static bool is_sound(struct span name)
{
	const char *raw;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sounds); i++)
		if (ends_in(name, sounds[i]))
			return true;
	for (i = 0; (raw = sound_raw_suffix(i)); i++)
		if (ends_in(name, raw))
			return true;
	return false;
}

/* Make the path of the file @name with @suffix. 0 or -errno. */
static int path_of(const struct clips *c, struct span name, const char *suffix, char path[PATH_MAX])
{
	size_t len = name.len;
	int err = 0;

	if (c->dir)
		err = path_inside(c->dir, name, path, &len);
	else if (len < PATH_MAX)
		memcpy(path, name.p, len);
	if (err)
		return err;
	if (len + strlen(suffix) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(path + len, suffix);
	return 0;
}

/* ---- one file ---- */

static void file_free(struct file *f)
{
	struct clips_counts *n = &f->clips->counts;

	if (f->clip.err == 0) {
		n->loaded--;
		n->bytes -= f->clip.len;
	}
	free((void *)f->clip.data);
	free(f->key);
	free(f->path);
	free(f);
}

static struct file *file_new(struct clips *c, const char *key, const char *path,
			     const struct stat *st, struct making how)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->clips = c;
	f->clip.err = -EINPROGRESS;
	f->st = *st;
	f->key = strdup(key);
	f->path = strdup(path);
	f->job.path = f->path;
	f->job.bytes = (uint64_t)st->st_size;
	f->job.codec = how.codec;
	f->job.packs = how.packs;
	f->job.st = &f->st;
	f->job.more = on_more;
	f->job.done = on_loaded;
	if (f->key && f->path)
		return f;
	file_free(f);
	return NULL;
}

/* Compare ctime, not mtime: it also changes when cp -p sets the mtime back. */
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

/* Remove a file from the table. Its users keep it; without users it is freed. */
static void forget(struct clips *c, struct file *f)
{
	HASH_DEL(c->files, f);
	f->stale = true;
	if (f->users)
		return;
	idle_remove(c, f);
	file_free(f);
}

static void file_give(struct clips *c, struct file *f)
{
	if (--f->users)
		return;
	if (f->stale) {
		file_free(f);
		return;
	}
	if (f->clip.err) {
		free((void *)f->clip.data); /* the part before an error */
		f->clip.data = NULL;
		f->clip.len = 0;
	}
	idle_add(c, f);
	while (c->idle_bytes > CLIPS_IDLE_BYTES)
		forget(c, c->idle);
}

/* A file that is not sound stays bad until it changes. Other errors may pass, so retry those. */
static bool stays_bad(int err)
{
	return err == -EINVAL || err == -ENODATA;
}

static void on_more(struct loader_job *job)
{
	struct file *f = container_of(job, struct file, job);

	f->clip.data = job->data;
	f->clip.len = job->len;
}

static void count_cache(struct clips_counts *n, const struct file *f)
{
	const struct loader_job *job = &f->job;

	n->cache_hits += job->from_cache;
	n->cache_stored += job->to_cache;
	n->cache_refused += job->cache_err == -EBADMSG;
	n->cache_failed += job->cache_err && job->cache_err != -EBADMSG;
	if (job->cache_err)
		log_provoked(PROVOKED_PROMPT_CACHE, NULL, f->key,
			     job->cache_err == -EBADMSG ? "damaged or foreign"
							: strerror(-job->cache_err));
}

static void on_loaded(struct loader_job *job)
{
	struct file *f = container_of(job, struct file, job);
	struct clips *c = f->clips;

	c->counts.loading--;
	count_cache(&c->counts, f);
	f->clip.err = job->err;
	on_more(job);
	if (!job->err) {
		c->counts.loaded++;
		c->counts.bytes += job->len;
		if (job->why[0])
			log_provoked(PROVOKED_PROMPT_DOUBT, NULL, f->key, job->why);
	} else if (job->err != -ECANCELED) {
		c->counts.failed++;
		log_provoked(PROVOKED_PROMPT_BAD, NULL, f->key,
			     job->why[0] ? job->why : strerror(-job->err));
	}
	if (job->err && !stays_bad(job->err) && !f->stale)
		forget(c, f);
	file_give(c, f);
}

/* Put a new file in the table and queue it at the loader. On error, @f is freed. */
static int file_load(struct clips *c, struct file *f)
{
	int err;

	HASH_ADD_KEYPTR(hh, c->files, f->key, strlen(f->key), f);
	if (!f->hh.tbl) {
		file_free(f);
		return -ENOMEM;
	}
	err = loader_add(c->loader, &f->job);
	if (err) {
		HASH_DEL(c->files, f);
		file_free(f);
		return err;
	}
	c->counts.loading++;
	f->users++;
	return 0;
}

/* Check that @path is a regular file that we may open and that is not too large; fill @st. */
static int look_at(const char *path, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		err = -errno;
	else if (!S_ISREG(st->st_mode))
		err = -EINVAL;
	else if (st->st_size > LOADER_MAX_BYTES)
		err = -EFBIG;
	close(fd);
	return err;
}

/* Find the current version of the file at @path, or begin to load it. 0 or -errno. */
static int find_or_load(struct clips *c, const char *key, const char *path, struct making how,
			struct file **out)
{
	struct stat st;
	struct file *f;
	int err = look_at(path, &st);

	HASH_FIND_STR(c->files, key, f);
	if (f && (err || !is_same(&f->st, &st))) {
		forget(c, f);
		f = NULL;
	}
	if (err)
		return err;
	if (f && stays_bad(f->clip.err))
		return f->clip.err;
	if (!f) {
		f = file_new(c, key, path, &st, how);
		err = f ? file_load(c, f) : -ENOMEM;
	}
	*out = f;
	return err;
}

static int find_suffix(struct clips *c, struct span name, const char *suffix, struct file **out)
{
	char path[PATH_MAX];
	int err = path_of(c, name, suffix, path);

	return err ? err : find_or_load(c, path, path, (struct making){ 0 }, out);
}

/* A file of codec frames: `name.TYPE`, or one with Asterisk's suffix for that type. */
static int find_frames(struct clips *c, struct span name, unsigned int payload_type,
		       struct file **out)
{
	char suffix[16];
	size_t i;
	int err;

	snprintf(suffix, sizeof(suffix), ".%u", payload_type);
	err = find_suffix(c, name, suffix, out);
	for (i = 0; err == -ENOENT && i < ARRAY_SIZE(frames); i++)
		if (frames[i].payload_type == payload_type)
			err = find_suffix(c, name, frames[i].suffix, out);
	return err;
}

static int find_made(struct clips *c, struct span name, const char *suffix, struct making how,
		     struct file **out)
{
	char path[PATH_MAX], key[PATH_MAX + 4 + AUDIO_CODEC_KEY], codec[AUDIO_CODEC_KEY];
	int err = path_of(c, name, suffix, path);

	if (err)
		return err;
	snprintf(key, sizeof(key), "%s as %s", path, audio_codec_key(how.codec, codec));
	return find_or_load(c, key, path, how, out);
}

/* A file with frames of AMR or AMR-WB. */
static int find_packets(struct clips *c, struct span name, const struct audio_codec *codec,
			struct file **out)
{
	const struct making how = { codec, true };
	const char *suffix = codec->kind == AUDIO_AMR ? ".amr" : ".awb";
	int err;

	if (codec->kind != AUDIO_AMR && codec->kind != AUDIO_AMR_WB)
		return -ENOENT;
	err = find_made(c, name, suffix, how, out);
	return err == -ENOENT && ends_in(name, suffix) ? find_made(c, name, "", how, out) : err;
}

/* The sound file @name, or one with a suffix: `name.opus` for Opus, Asterisk's raw samples. */
static int find_any_sound(struct clips *c, struct span name, const struct audio_codec *codec,
			  struct file **out)
{
	const struct making how = { codec, false };
	const char *raw;
	int err = -ENOENT, i;

	if (codec->kind == AUDIO_OPUS)
		err = find_made(c, name, ".opus", how, out);
	for (i = 0; err == -ENOENT && (raw = sound_raw_suffix(i)); i++)
		err = find_made(c, name, raw, how, out);
	if (err == -ENOENT && is_sound(name))
		err = find_made(c, name, "", how, out);
	return err;
}

/* -ENOTSUP: @name is a sound file that could be played if it could be encoded; else -ENOENT. */
static int cannot_encode(const struct clips *c, struct span name)
{
	char path[PATH_MAX];
	struct stat st;

	return is_sound(name) && !path_of(c, name, "", path) && !look_at(path, &st) ? -ENOTSUP
										    : -ENOENT;
}

int clips_take(struct clips *c, struct span name, unsigned int payload_type,
	       const struct audio_codec *packets, const struct clip **out)
{
	const struct audio_codec *codec = packets ? packets : audio_codec_of(payload_type);
	struct file *f;
	int err = packets ? find_packets(c, name, packets, &f)
			  : find_frames(c, name, payload_type, &f);

	if (err == -ENOENT)
		err = loader_can_encode(codec) ? find_any_sound(c, name, codec, &f)
					       : cannot_encode(c, name);
	if (err)
		return err;
	if (f->users++ == 0)
		idle_remove(c, f);
	*out = &f->clip;
	return 0;
}

void clips_give(struct clips *c, const struct clip *clip)
{
	file_give(c, container_of(clip, struct file, clip));
}

const char *clips_name(const struct clip *clip)
{
	return container_of(clip, struct file, clip)->key;
}

struct clips_counts clips_counts(const struct clips *c)
{
	return c->counts;
}

/* ---- begin and end ---- */

int clips_new(struct clips **out, struct event_base *base, const char *dir,
	      struct promptcache *cache)
{
	struct clips *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return -ENOMEM;
	if (dir && !(c->dir = strdup(dir)))
		goto err_free;
	err = loader_new(&c->loader, base, cache);
	if (err)
		goto err_free;
	*out = c;
	return 0;

err_free:
	free(c->dir);
	free(c);
	return err;
}

void clips_free(struct clips *c)
{
	if (!c)
		return;
	loader_free(c->loader);
	while (c->idle)
		forget(c, c->idle);
	free(c->dir);
	free(c);
}
