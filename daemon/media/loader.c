/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.c - a queue of jobs by urgency, some threads, and an eventfd that wakes the loop for what
 * they have made. The first thread starts with the first job, a further one when there are more
 * jobs than threads.
 *
 * A job of sound goes back to the queue after each second of it. Only the loop changes job->data,
 * so that it can read it without the lock; threads leave new bytes in job->fresh.
 *
 * Deliberately not here: the table of files and their users (clips).
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "media/loader.h"
#include "base/thread.h"
#include "base/whole.h"
#include "media/amrpack.h"
#include "media/audio.h"
#include "media/promptcache.h"
#include "media/sound.h"

#define NICE 10
#define BLOCK_MS 1000 /* of sound, encoded between two looks at the queue */
#define COST_PER_MS (1 << 16)
#define MAX_DELAY_MS 500 /* a shorter file that comes so much later is loaded first */

/* Jobs that wait for a thread have the most urgent first. Jobs to tell are in order of telling. */
struct told {
	struct loader_job *first, **end;
};

struct loader {
	struct promptcache *cache; /* NULL: none */
	int fd;			   /* eventfd: jobs are done */
	struct event *ready;
	pthread_t thread[LOADER_THREADS];
	unsigned int threads; /* that were started */
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct loader_job *todo;
	struct told told;
	unsigned int waiting;
	unsigned int encoding; /* jobs that threads encode */
	unsigned int open;     /* jobs that have begun to be encoded */
	bool stop;
};

/* A sound file on its way through the codec. */
struct encoding {
	struct audio_codec codec;
	struct audio_encoder *encoder;
	struct sound *sound;
	size_t block, bytes; /* samples of a block; encoded so far */
	bool whole;
	uint64_t begun_ms, made_ms; /* the first block was there; its sound so far */
	int16_t *samples;
	uint8_t *out;		       /* the latest block, encoded */
	struct promptcache_file *copy; /* NULL: none */
};

static void told_init(struct told *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void told_put(struct told *q, struct loader_job *job)
{
	job->told_next = NULL;
	*q->end = job;
	q->end = &job->told_next;
}

static struct loader_job *told_take(struct told *q)
{
	struct loader_job *job = q->first;

	if (job)
		q->first = job->told_next;
	if (!q->first)
		q->end = &q->first;
	return job;
}

/* Put @job before the first that is less urgent. */
static void todo_insert(struct loader_job **todo, struct loader_job *job)
{
	while (*todo && (*todo)->due_ms <= job->due_ms)
		todo = &(*todo)->next;
	job->next = *todo;
	*todo = job;
}

static bool is_sound(const struct loader_job *job)
{
	return job->codec && !job->packs;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / NSEC_PER_MSEC;
}

/* ---- files of frames ---- */

static int read_all(int fd, uint8_t *data, size_t len)
{
	ssize_t n = read_whole(fd, data, len);

	if (n < 0)
		return (int)n;
	return (size_t)n < len ? -EIO : 0; /* the file shrank meanwhile */
}

static int load_bytes(const char *path, uint8_t **data, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (st.st_size > LOADER_MAX_BYTES)
		err = -EFBIG;
	if (!err) {
		*len = st.st_size;
		*data = malloc(MAX(*len, 1));
		err = *data ? read_all(fd, *data, *len) : -ENOMEM;
	}
	close(fd);
	if (err) {
		free(*data);
		*data = NULL;
		*len = 0;
	}
	return err;
}

/*
 * Write the payloads of the frames at @p, each behind its length, to @out; NULL: count only.
 * Returns the bytes; 0: not all is frames.
 */
static size_t pack_frames(struct amrpack_form form, const uint8_t *p, size_t len, uint8_t *out)
{
	uint8_t payload[AMRPACK_MAX_PAYLOAD];
	size_t at, frame, bytes, all = 0;

	for (at = 0; at < len; at += frame, all += 2 + bytes) {
		frame = amrpack_file_next(form.wide, p + at, len - at);
		if (!frame)
			return 0;
		bytes = amrpack_write(form, p + at, payload);
		if (!out)
			continue;
		out[all] = (uint8_t)(bytes >> 8);
		out[all + 1] = (uint8_t)bytes;
		memcpy(out + all + 2, payload, bytes);
	}
	return all;
}

/* Replace the bytes of a file of AMR (RFC 4867 section 5) by its payloads. */
static int pack_file(const struct audio_codec *codec, uint8_t **data, size_t *len)
{
	struct amrpack_form form = { codec->kind == AUDIO_AMR_WB, codec->octet_aligned };
	const char *magic = amrpack_magic(form.wide);
	size_t head = strlen(magic), bytes = 0;
	uint8_t *out;

	if (*len > head && !memcmp(*data, magic, head))
		bytes = pack_frames(form, *data + head, *len - head, NULL);
	if (!bytes || bytes > LOADER_MAX_BYTES)
		return bytes ? -EFBIG : -EINVAL;
	out = malloc(bytes);
	if (!out)
		return -ENOMEM;
	pack_frames(form, *data + head, *len - head, out);
	free(*data);
	*data = out;
	*len = bytes;
	return 0;
}

/* ---- files of sound ---- */

/* Read whole frames; silence fills the last one up. Returns samples, 0 at the end, or -errno. */
static int read_frames(struct sound *s, int16_t *out, size_t want, size_t frame,
		       struct loader_job *job)
{
	size_t have = 0;
	int n = 1;

	while (have < want && n > 0) {
		n = sound_read(s, out + have, want - have, job->why, sizeof(job->why));
		have += MAX(n, 0);
	}
	if (n < 0)
		return n;
	for (; have % frame; have++)
		out[have] = 0;
	return (int)have;
}

static void encoding_free(struct encoding *e)
{
	if (!e)
		return;
	audio_encoder_free(e->encoder);
	sound_close(e->sound);
	promptcache_drop(e->copy);
	free(e->samples);
	free(e->out);
	free(e);
}

/* Most codecs have frames of one length, so the length of the sound tells that of the prompt. */
static bool is_too_long(const struct encoding *e)
{
	return !audio_codec_varies(&e->codec) &&
	       sound_length(e->sound) / e->codec.frame_samples * e->codec.frame_bytes >
		       LOADER_MAX_BYTES;
}

static int encoding_new(struct loader_job *job, struct encoding **out)
{
	const struct audio_codec *codec = job->codec;
	struct encoding *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	e->codec = *codec;
	err = sound_open(&e->sound, job->path, sound_raw_rate(job->path), codec->rate, job->why,
			 sizeof(job->why));
	if (err)
		goto err_free;
	e->block = codec->rate / 1000 * BLOCK_MS / codec->frame_samples * codec->frame_samples;
	e->encoder = audio_encoder_new(codec);
	e->samples = malloc(e->block * sizeof(*e->samples));
	e->out = malloc(e->block / codec->frame_samples * codec->frame_bytes);
	err = !e->encoder || !e->samples || !e->out ? -ENOMEM : is_too_long(e) ? -EFBIG : 0;
	if (err)
		goto err_free;
	*out = e;
	return 0;

err_free:
	encoding_free(e);
	return err;
}

/* ---- the cache on disk ---- */

static struct promptcache_key key_of(const struct loader_job *job, char codec[AUDIO_CODEC_KEY])
{
	return (struct promptcache_key){ .path = job->path,
					 .codec = audio_codec_key(job->codec, codec),
					 .st = job->st };
}

static bool has_cache(const struct loader *l, const struct loader_job *job)
{
	return l->cache && job->st;
}

/* True: all bytes of the job were in the cache. */
static bool is_cached(struct loader *l, struct loader_job *job, uint8_t **data, size_t *len)
{
	char codec[AUDIO_CODEC_KEY];
	struct promptcache_key key = key_of(job, codec);
	int err;

	if (!has_cache(l, job))
		return false;
	err = promptcache_read(l->cache, &key, data, len);
	job->from_cache = !err;
	if (err != -ENOENT)
		job->cache_err = err;
	return !err;
}

static void copy_begins(struct loader *l, struct loader_job *job)
{
	char codec[AUDIO_CODEC_KEY];
	struct promptcache_key key = key_of(job, codec);
	int err = has_cache(l, job) ? promptcache_begin(l->cache, &key, &job->encoding->copy) : 0;

	if (err)
		job->cache_err = err;
}

/* A block of @len bytes, perhaps the last one, goes to the copy. An error ends the copy only. */
static void copy_goes_on(struct loader_job *job, size_t len)
{
	struct encoding *e = job->encoding;
	int err;

	if (!e->copy)
		return;
	err = promptcache_add(e->copy, e->out, len);
	if (!err && !e->whole)
		return;
	if (err)
		promptcache_drop(e->copy);
	else
		err = promptcache_end(e->copy);
	job->to_cache = !err;
	if (err)
		job->cache_err = err;
	e->copy = NULL;
}

/* ---- the thread ---- */

/* Encode a block. Returns its bytes, 0 at the end, or -errno. */
static int encode_block(struct loader_job *job, struct encoding *e)
{
	int n = read_frames(e->sound, e->samples, e->block, e->codec.frame_samples, job);

	e->whole = n >= 0 && (size_t)n < e->block;
	if (n <= 0)
		return n;
	n = (int)audio_encode(e->encoder, e->samples, (size_t)n, e->out);
	e->bytes += (size_t)n;
	e->made_ms += BLOCK_MS;
	return e->bytes > LOADER_MAX_BYTES ? -EFBIG : n;
}

/* Leave bytes for the loop. 0 or -ENOMEM. With the lock. */
static int leave_fresh(struct loader_job *job, const uint8_t *data, size_t len)
{
	uint8_t *more = realloc(job->fresh, job->fresh_len + len);

	if (!more)
		return -ENOMEM;
	memcpy(more + job->fresh_len, data, len);
	job->fresh = more;
	job->fresh_len += len;
	return 0;
}

/* Have the loop look at the job. With the lock. */
static void tell_loop(struct loader *l, struct loader_job *job)
{
	const uint64_t one = 1;
	ssize_t n;

	if (job->told)
		return;
	job->told = true;
	told_put(&l->told, job);
	n = write(l->fd, &one, sizeof(one)); /* cannot fail: the counter is never full */
	(void)n;
}

/* With the lock. */
static void job_ends(struct loader *l, struct loader_job *job, int err)
{
	l->open -= job->encoding != NULL;
	encoding_free(job->encoding);
	job->encoding = NULL;
	job->end = err;
	job->ended = true;
	tell_loop(l, job);
}

/* Put a job whose sound goes on back into the queue. With the lock. */
static void queue_again(struct loader *l, struct loader_job *job)
{
	struct encoding *e = job->encoding;

	if (!e->begun_ms)
		e->begun_ms = now_ms();
	job->due_ms = e->begun_ms + e->made_ms;
	tell_loop(l, job);
	todo_insert(&l->todo, job);
	l->waiting++;
	pthread_cond_signal(&l->wake);
}

/* Encode the next second. Returns its bytes, 0 after the end, or -errno. */
static int go_on(struct loader *l, struct loader_job *job)
{
	bool begins = !job->encoding;
	int n = begins ? encoding_new(job, &job->encoding) : 0;

	if (n)
		return n;
	if (begins)
		copy_begins(l, job);
	n = encode_block(job, job->encoding);
	if (n >= 0)
		copy_goes_on(job, (size_t)n);
	if (n >= 0 && job->encoding->whole && sound_odd(job->encoding->sound))
		snprintf(job->why, sizeof(job->why),
			 "%llu samples are no numbers, or infinite; they are silent",
			 (unsigned long long)sound_odd(job->encoding->sound));
	return n;
}

/* Takes the lock off for the work, and puts it on again. */
static void do_sound(struct loader *l, struct loader_job *job)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int n = 0, err = 0;

	l->encoding++;
	l->open += !job->encoding;
	pthread_mutex_unlock(&l->lock);
	if (job->encoding || !is_cached(l, job, &data, &len))
		n = go_on(l, job);
	pthread_mutex_lock(&l->lock);
	l->encoding--;
	l->open -= !job->encoding; /* it could not be opened, or need not */
	if (data) {
		job->fresh = data;
		job->fresh_len = len;
	}
	if (n > 0)
		err = leave_fresh(job, job->encoding->out, (size_t)n);
	if (n <= 0 || err || job->encoding->whole)
		job_ends(l, job, n < 0 ? n : err);
	else
		queue_again(l, job);
}

static void do_bytes(struct loader *l, struct loader_job *job)
{
	uint8_t *data = NULL;
	size_t len = 0;
	int err;

	pthread_mutex_unlock(&l->lock);
	err = load_bytes(job->path, &data, &len);
	if (!err && job->packs)
		err = pack_file(job->codec, &data, &len);
	if (err == -EINVAL && job->packs)
		snprintf(job->why, sizeof(job->why), "not a file of %s frames, or a damaged one",
			 job->codec->name);
	if (err) {
		free(data);
		data = NULL;
		len = 0;
	}
	pthread_mutex_lock(&l->lock);
	job->fresh = data;
	job->fresh_len = len;
	job_ends(l, job, err);
}

/* The most urgent job that can go on. NULL: none. */
static struct loader_job *next_job(struct loader *l)
{
	struct loader_job **at = &l->todo, *job;

	while (*at && is_sound(*at) && !(*at)->encoding && l->open >= LOADER_MAX_OPEN)
		at = &(*at)->next;
	job = *at;
	if (!job)
		return NULL;
	*at = job->next;
	l->waiting--;
	return job;
}

static void *run(void *arg)
{
	struct loader *l = arg;
	struct loader_job *job;

	setpriority(PRIO_PROCESS, 0, NICE); /* of this thread: packets come first */
	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		job = next_job(l);
		if (!job)
			pthread_cond_wait(&l->wake, &l->lock);
		else if (is_sound(job))
			do_sound(l, job);
		else
			do_bytes(l, job);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- the loop ---- */

/* Put @len bytes behind the data of a job. Takes @fresh over. 0 or -ENOMEM. */
static int append(struct loader_job *job, uint8_t *fresh, size_t len)
{
	size_t room = MAX(job->room, len);
	uint8_t *more;

	if (!job->data) {
		job->data = fresh;
		job->len = job->room = len;
		return 0;
	}
	while (room < job->len + len)
		room *= 2;
	more = room == job->room ? job->data : realloc(job->data, room);
	if (more) {
		memcpy(more + job->len, fresh, len);
		job->data = more;
		job->room = room;
		job->len += len;
	}
	free(fresh);
	return more ? 0 : -ENOMEM;
}

/* The job is over. Give back the room that its data does not need. */
static void finish(struct loader_job *job, int err)
{
	uint8_t *less = job->len && job->room > job->len ? realloc(job->data, job->len) : NULL;

	if (less)
		job->data = less;
	job->err = err;
	job->done(job);
}

/* Take over what the threads have made. A missing byte would shift all frames: no more follow. */
static void tell(struct loader *l)
{
	struct loader_job *job;
	uint8_t *fresh;
	bool ended;
	size_t len;
	int end;

	for (;;) {
		pthread_mutex_lock(&l->lock);
		job = told_take(&l->told);
		if (job) {
			job->told = false;
			fresh = job->fresh;
			len = job->fresh_len;
			job->fresh = NULL;
			job->fresh_len = 0;
			ended = job->ended;
			end = job->end;
		}
		pthread_mutex_unlock(&l->lock);
		if (!job)
			return;
		if (job->broken)
			free(fresh);
		else if (fresh && append(job, fresh, len))
			job->broken = true;
		if (ended)
			finish(job, job->broken ? -ENOMEM : end);
		else if (job->more)
			job->more(job);
	}
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	uint64_t times;

	(void)what;
	if (read(fd, &times, sizeof(times)) == sizeof(times))
		tell(arg);
}

static int start_thread(struct loader *l)
{
	int err = thread_run(&l->thread[l->threads], run, l);

	l->threads += !err;
	return err;
}

/* Have a thread for each job. A job can wait if another thread does not start. */
static int have_thread(struct loader *l)
{
	unsigned int jobs;

	if (!l->threads)
		return start_thread(l);
	pthread_mutex_lock(&l->lock);
	jobs = l->encoding + l->waiting;
	pthread_mutex_unlock(&l->lock);
	if (jobs >= l->threads && l->threads < LOADER_THREADS)
		start_thread(l);
	return 0;
}

/* About the time that it takes: one byte of a file without encoding is 1. */
static uint64_t cost_of(const struct loader_job *job)
{
	static const unsigned int heavy = 16, light = 2;

	if (!is_sound(job))
		return job->bytes;
	return job->bytes *
	       (job->codec->kind == AUDIO_G729 || audio_codec_varies(job->codec) ? heavy : light);
}

int loader_add(struct loader *l, struct loader_job *job)
{
	int err = have_thread(l);

	if (err)
		return err;
	job->err = -EINPROGRESS;
	job->data = job->fresh = NULL;
	job->len = job->room = job->fresh_len = 0;
	job->told = job->ended = job->broken = false;
	job->from_cache = job->to_cache = false;
	job->cache_err = 0;
	job->encoding = NULL;
	job->why[0] = 0;
	job->due_ms = now_ms() + MIN(cost_of(job) / COST_PER_MS, MAX_DELAY_MS);
	pthread_mutex_lock(&l->lock);
	if (l->waiting < LOADER_MAX_JOBS) {
		todo_insert(&l->todo, job);
		l->waiting++;
		pthread_cond_signal(&l->wake);
	} else {
		err = -EAGAIN;
	}
	pthread_mutex_unlock(&l->lock);
	return err;
}

bool loader_can_encode(const struct audio_codec *codec)
{
	return codec && codec->kind != AUDIO_L16 && audio_is_built(codec);
}

/* ---- begin and end ---- */

int loader_new(struct loader **out, struct event_base *base, struct promptcache *cache)
{
	struct loader *l = calloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (!l)
		return -ENOMEM;
	l->cache = cache;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	told_init(&l->told);
	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0) {
		err = -errno;
		goto err_free;
	}
	l->ready = event_new(base, l->fd, EV_READ | EV_PERSIST, on_ready, l);
	if (!l->ready || event_add(l->ready, NULL))
		goto err_close;
	*out = l;
	return 0;

err_close:
	if (l->ready)
		event_free(l->ready);
	close(l->fd);
err_free:
	free(l);
	return err;
}

void loader_free(struct loader *l)
{
	struct loader_job *job;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->wake);
	pthread_mutex_unlock(&l->lock);
	while (l->threads)
		pthread_join(l->thread[--l->threads], NULL);
	while ((job = l->todo)) {
		l->todo = job->next;
		job_ends(l, job, -ECANCELED);
	}
	tell(l);
	event_free(l->ready);
	close(l->fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
