/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_promptcache.c - encoded prompts on disk: found again, refused when damaged, foreign or of
 * another sound file, bounded in size; and the loader with the cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "../../daemon/media/promptcache.c"
#include "media/audio_codec.h"
#include "media/loader.h"

#define MANY (1 << 20)

static char dir[] = "/tmp/rtpx-cache-XXXXXX";
static struct promptcache *cache;
static struct stat st;
static const struct promptcache_key key = { .path = "/prompts/hold.wav", .codec = "18", .st = &st };

static void each_file(void (*run)(const char *name))
{
	DIR *d = opendir(dir);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			run(e->d_name);
	closedir(d);
}

static void remove_file(const char *name)
{
	assert_int_equal(unlinkat(cache->dir, name, 0), 0);
}

static unsigned int files;

static void count_file(const char *name)
{
	(void)name;
	files++;
}

static unsigned int files_now(void)
{
	files = 0;
	each_file(count_file);
	return files;
}

static int enter(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int leave(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int begin(void **state)
{
	(void)state;
	memset(&st, 0, sizeof(st));
	st.st_size = 1000;
	st.st_ino = 7;
	return promptcache_new(&cache, dir, MANY);
}

static int end(void **state)
{
	(void)state;
	each_file(remove_file);
	promptcache_free(cache);
	return 0;
}

static void put(const struct promptcache_key *k, size_t len, uint8_t byte)
{
	struct promptcache_file *f;
	uint8_t block[100];
	size_t n;

	memset(block, byte, sizeof(block));
	assert_int_equal(promptcache_begin(cache, k, &f), 0);
	for (; len; len -= n) {
		n = MIN(len, sizeof(block));
		assert_int_equal(promptcache_add(f, block, n), 0);
	}
	assert_int_equal(promptcache_end(f), 0);
}

static void has(const struct promptcache_key *k, size_t len, uint8_t byte)
{
	uint8_t *data;
	size_t n, i;

	assert_int_equal(promptcache_read(cache, k, &data, &n), 0);
	assert_int_equal(n, len);
	for (i = 0; i < n; i++)
		assert_int_equal(data[i], byte);
	free(data);
}

static void has_not(const struct promptcache_key *k, int err)
{
	uint8_t *data;
	size_t n;

	assert_int_equal(promptcache_read(cache, k, &data, &n), err);
}

static void found_again(void **state)
{
	struct promptcache_key opus = key;

	(void)state;
	has_not(&key, -ENOENT);
	put(&key, 12345, 1);
	has(&key, 12345, 1);
	opus.codec = "opus";
	has_not(&opus, -ENOENT);
	put(&opus, 0, 0);
	has(&opus, 0, 0);
	promptcache_free(cache);
	assert_int_equal(promptcache_new(&cache, dir, MANY), 0);
	has(&key, 12345, 1);
	assert_int_equal(files_now(), 2);
}

/* Any change of the sound file; a file for it takes the old one's place. */
static void of_another_file(void **state)
{
	struct stat changed[5];
	struct promptcache_key other = key;
	size_t i;

	(void)state;
	put(&key, 500, 1);
	for (i = 0; i < ARRAY_SIZE(changed); i++)
		changed[i] = st;
	changed[0].st_size++;
	changed[1].st_ino++;
	changed[2].st_mtim.tv_nsec++;
	changed[3].st_ctim.tv_nsec++;
	changed[4].st_mtim.tv_sec++;
	for (i = 0; i < ARRAY_SIZE(changed); i++) {
		other.st = &changed[i];
		has_not(&other, -ENOENT);
	}
	put(&other, 600, 2);
	has(&other, 600, 2);
	has_not(&key, -ENOENT);
	assert_int_equal(files_now(), 1);
}

static void damage(size_t at)
{
	char name[NAME_BYTES];
	uint8_t byte;
	int fd;

	name_of(&key, name);
	fd = openat(cache->dir, name, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= 0x20;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	close(fd);
}

static off_t size_now(void)
{
	char name[NAME_BYTES];
	struct stat now;

	name_of(&key, name);
	assert_int_equal(fstatat(cache->dir, name, &now, 0), 0);
	return now.st_size;
}

static int error_now(void)
{
	uint8_t *data;
	size_t n;

	return promptcache_read(cache, &key, &data, &n);
}

/* Each byte of a file counts, and each length. */
static void damaged(void **state)
{
	char name[NAME_BYTES];
	off_t at, size;
	int fd;

	(void)state;
	put(&key, 300, 1);
	size = size_now();
	for (at = 0; at < size; at++) {
		damage((size_t)at);
		assert_true(error_now() < 0); /* of the sound file's version: -ENOENT */
		damage((size_t)at);
	}
	damage(100);
	has_not(&key, -EBADMSG);
	damage(100);
	has(&key, 300, 1);
	name_of(&key, name);
	fd = openat(cache->dir, name, O_RDWR);
	assert_true(fd >= 0);
	while (size-- > 0) {
		assert_int_equal(ftruncate(fd, size), 0);
		has_not(&key, -EBADMSG);
	}
	close(fd);
	put(&key, 300, 1);
	has(&key, 300, 1);
}

/* A link, a directory, a FIFO, a file that others may write. */
static void foreign(void **state)
{
	char name[NAME_BYTES];

	(void)state;
	name_of(&key, name);
	assert_int_equal(symlinkat("/etc/passwd", cache->dir, name), 0);
	has_not(&key, -EBADMSG);
	put(&key, 10, 3);
	has(&key, 10, 3);
	assert_int_equal(fchmodat(cache->dir, name, 0620, 0), 0);
	has_not(&key, -EBADMSG);
	remove_file(name);
	assert_int_equal(mkfifoat(cache->dir, name, 0600), 0);
	has_not(&key, -EBADMSG);
	remove_file(name);
	if (geteuid() == 0) {
		put(&key, 10, 3);
		assert_int_equal(fchownat(cache->dir, name, 1, 1, 0), 0);
		has_not(&key, -EBADMSG);
	}
	promptcache_free(cache);
	assert_int_equal(chmod(dir, 0770), 0);
	assert_int_equal(promptcache_new(&cache, dir, MANY), -EPERM);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(promptcache_new(&cache, dir, MANY), 0);
}

static void use_at(const struct promptcache_key *k, time_t when)
{
	const struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	char name[NAME_BYTES];

	name_of(k, name);
	assert_int_equal(utimensat(cache->dir, name, times, 0), 0);
}

/* The least recently used go; files that are not ours stay. */
static void bounded(void **state)
{
	static const char *const paths[] = { "/a", "/b", "/c", "/d" };
	struct promptcache_key k[4];
	int fd = openat(cache->dir, "notes.txt", O_WRONLY | O_CREAT, 0600);
	unsigned int i;

	(void)state;
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	for (i = 0; i < 4; i++) {
		k[i] = key;
		k[i].path = paths[i];
	}
	for (i = 0; i < 3; i++) {
		put(&k[i], MANY / 3 - 500, (uint8_t)i);
		use_at(&k[i], 1000 + i);
	}
	assert_int_equal(files_now(), 4);
	has(&k[0], MANY / 3 - 500, 0); /* and so /b is the least recently used one */
	put(&k[3], MANY / 3 - 500, 3);
	has_not(&k[1], -ENOENT);
	for (i = 0; i < 4; i++)
		if (i != 1)
			has(&k[i], MANY / 3 - 500, (uint8_t)i);
	promptcache_free(cache);
	assert_int_equal(promptcache_new(&cache, dir, 1), 0);
	assert_int_equal(files_now(), 1);
	assert_int_equal(faccessat(cache->dir, "notes.txt", F_OK, 0), 0);
}

/* A file that is given up leaves nothing; a killed daemon's goes when it is old. */
static void unfinished(void **state)
{
	struct promptcache_file *f;
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char name[NAME_BYTES];

	(void)state;
	assert_int_equal(promptcache_begin(cache, &key, &f), 0);
	assert_int_equal(files_now(), 1);
	has_not(&key, -ENOENT);
	strcpy(name, f->unfinished);
	promptcache_drop(f);
	assert_int_equal(files_now(), 0);
	close(openat(cache->dir, name, O_WRONLY | O_CREAT, 0600));
	promptcache_free(cache);
	assert_int_equal(promptcache_new(&cache, dir, MANY), 0);
	assert_int_equal(files_now(), 1);
	assert_int_equal(utimensat(cache->dir, name, old, 0), 0);
	promptcache_free(cache);
	assert_int_equal(promptcache_new(&cache, dir, MANY), 0);
	assert_int_equal(files_now(), 0);
}

/* ---- with the loader ---- */

static bool is_done;

static void on_done(struct loader_job *j)
{
	(void)j;
	is_done = true;
}

static void load(struct loader *l, struct event_base *base, struct loader_job *job)
{
	is_done = false;
	job->done = on_done;
	assert_int_equal(loader_add(l, job), 0);
	while (!is_done)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(job->err, 0);
}

static void of_the_loader(void **state)
{
	char path[] = "/tmp/rtpx-cached-XXXXXX.sln";
	struct event_base *base = event_base_new();
	static int16_t pcm[3 * 8000 + 77];
	int fd = mkstemps(path, 4);
	struct loader_job job = { .path = path, .st = &st, .codec = audio_codec_of(18) }, again;
	struct loader *l;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pcm); i++)
		pcm[i] = (int16_t)(i * i);
	assert_int_equal(write(fd, pcm, sizeof(pcm)), sizeof(pcm));
	assert_int_equal(fstat(fd, &st), 0);
	close(fd);
	assert_int_equal(loader_new(&l, base, cache), 0);
	load(l, base, &job);
	assert_true(job.to_cache && !job.from_cache && !job.cache_err);
	again = job;
	load(l, base, &again);
	assert_true(again.from_cache && !again.to_cache && !again.cache_err);
	assert_int_equal(again.len, job.len);
	assert_memory_equal(again.data, job.data, job.len);
	free(again.data);
	st.st_ino++; /* as if it were another file now */
	load(l, base, &again);
	assert_true(!again.from_cache && again.to_cache && !again.cache_err);
	assert_memory_equal(again.data, job.data, job.len);
	free(again.data);
	free(job.data);
	assert_int_equal(files_now(), 1);
	loader_free(l);
	event_base_free(base);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_again, begin, end),
		cmocka_unit_test_setup_teardown(of_another_file, begin, end),
		cmocka_unit_test_setup_teardown(damaged, begin, end),
		cmocka_unit_test_setup_teardown(foreign, begin, end),
		cmocka_unit_test_setup_teardown(bounded, begin, end),
		cmocka_unit_test_setup_teardown(unfinished, begin, end),
		cmocka_unit_test_setup_teardown(of_the_loader, begin, end),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
