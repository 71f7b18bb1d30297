/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.c - a queue of jobs, some threads, and an eventfd that wakes the loop for done jobs. The
 * first thread starts with the first job, a further one when a job comes while all encode.
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
#include <unistd.h>

#include "media/loader.h"
#include "base/thread.h"
#include "media/audio.h"
#include "media/codec.h"
#include "media/sound.h"

#define G729 18		/* payload type */
#define NICE 10
#define BLOCK_MS 1000 /* of sound, encoded between two checks of @stop */

/* Waiting jobs have the shortest first, done ones are in the order of their end. */
struct jobs {
	struct loader_job *first, **end;
};

struct loader {
	int fd; /* eventfd: jobs are done */
	struct event *ready;
	pthread_t thread[LOADER_THREADS];
	unsigned int threads; /* that were started */
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct jobs todo, done;
	unsigned int waiting;
	unsigned int encoding, long_ones; /* jobs that threads encode, and the long ones of these */
	bool stop;
};

static void jobs_init(struct jobs *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void jobs_put(struct jobs *q, struct loader_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

/* Put @job before the first that costs more. */
static void jobs_insert(struct jobs *q, struct loader_job *job)
{
	struct loader_job **at = &q->first;

	while (*at && (*at)->cost <= job->cost)
		at = &(*at)->next;
	job->next = *at;
	*at = job;
	if (!job->next)
		q->end = &job->next;
}

static struct loader_job *jobs_take(struct jobs *q)
{
	struct loader_job *job = q->first;

	if (job)
		q->first = job->next;
	if (!q->first)
		q->end = &q->first;
	return job;
}

/* ---- the thread ---- */

static bool is_stopped(struct loader *l)
{
	bool stop;

	pthread_mutex_lock(&l->lock);
	stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

static int read_all(int fd, uint8_t *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = read(fd, data + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* the file shrank meanwhile */
		at += n;
	}
	return 0;
}

static int load_bytes(struct loader_job *job)
{
	int fd = open(job->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err = 0;
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
		job->len = st.st_size;
		job->data = malloc(MAX(job->len, 1));
		err = job->data ? read_all(fd, job->data, job->len) : -ENOMEM;
	}
	close(fd);
	return err;
}

/* Have room for @bytes more of encoded sound. 0, -ENOMEM or -EFBIG. */
static int reach(struct loader_job *job, size_t *room, size_t bytes)
{
	size_t want = MAX(*room, (size_t)65536);
	uint8_t *more;

	if (job->len + bytes > LOADER_MAX_BYTES)
		return -EFBIG;
	while (want < job->len + bytes)
		want *= 2;
	if (want == *room)
		return 0;
	more = realloc(job->data, want);
	if (!more)
		return -ENOMEM;
	job->data = more;
	*room = want;
	return 0;
}

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

static int encode(struct loader *l, struct loader_job *job, const struct audio_codec *codec,
		  struct audio_encoder *e, struct sound *s)
{
	size_t frame = codec->frame_samples, room = 0;
	size_t block = codec->rate / 1000 * BLOCK_MS / frame * frame;
	int16_t *samples = malloc(block * sizeof(*samples));
	int n = 1, err = samples ? 0 : -ENOMEM;

	while (!err && !is_stopped(l)) {
		n = read_frames(s, samples, block, frame, job);
		if (n <= 0) {
			err = n;
			break;
		}
		err = reach(job, &room, (size_t)n / frame * codec->frame_bytes);
		if (!err)
			job->len += audio_encode(e, samples, (size_t)n, job->data + job->len);
	}
	free(samples);
	return err;
}

/* NULL: sound cannot be encoded for this type. Otherwise *@opus may hold the codec. */
static const struct audio_codec *codec_to(int type, struct audio_codec *opus)
{
	if (type == LOADER_OPUS)
		return audio_codec_parse("opus", opus) ? NULL : opus;
	return codec_of(type) ? audio_codec_of(type) : NULL;
}

static int load_sound(struct loader *l, struct loader_job *job)
{
	struct audio_codec opus;
	const struct audio_codec *codec = codec_to(job->encode_type, &opus);
	struct audio_encoder *e;
	struct sound *s;
	int err = sound_open(&s, job->path, sound_raw_rate(job->path), codec->rate, job->why,
			     sizeof(job->why));

	if (err)
		return err;
	e = audio_encoder_new(codec);
	err = e ? encode(l, job, codec, e, s) : -ENOMEM;
	if (!err && sound_odd(s))
		snprintf(job->why, sizeof(job->why),
			 "%llu samples are no numbers, or infinite; they are silent",
			 (unsigned long long)sound_odd(s));
	audio_encoder_free(e);
	sound_close(s);
	return err;
}

static void do_job(struct loader *l, struct loader_job *job)
{
	int err = job->encode_type < 0 ? load_bytes(job) : load_sound(l, job);

	if (!err && is_stopped(l))
		err = -ECANCELED;
	if (err) {
		free(job->data);
		job->data = NULL;
		job->len = 0;
	}
	job->err = err;
}

static bool is_long(const struct loader_job *job)
{
	return job->cost > LOADER_LONG_COST;
}

/* The shortest job. Long ones leave a thread to the others. */
static struct loader_job *next_job(struct loader *l)
{
	if (l->todo.first && is_long(l->todo.first) && l->long_ones == LOADER_THREADS - 1)
		return NULL;
	return jobs_take(&l->todo);
}

static void count_job(struct loader *l, const struct loader_job *job, int by)
{
	l->encoding += job->encode_type < 0 ? 0 : by;
	l->long_ones += is_long(job) ? by : 0;
}

static void *run(void *arg)
{
	const uint64_t one = 1;
	struct loader *l = arg;
	struct loader_job *job;

	setpriority(PRIO_PROCESS, 0, NICE); /* of this thread: packets come first */
	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		job = next_job(l);
		if (!job) {
			pthread_cond_wait(&l->wake, &l->lock);
			continue;
		}
		l->waiting--;
		count_job(l, job, 1);
		pthread_mutex_unlock(&l->lock);
		do_job(l, job);
		pthread_mutex_lock(&l->lock);
		count_job(l, job, -1);
		jobs_put(&l->done, job);
		if (write(l->fd, &one, sizeof(one)) != sizeof(one))
			break; /* cannot happen: the counter is never full */
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- the loop ---- */

static void tell(struct loader *l)
{
	struct loader_job *job;

	for (;;) {
		pthread_mutex_lock(&l->lock);
		job = jobs_take(&l->done);
		pthread_mutex_unlock(&l->lock);
		if (!job)
			return;
		job->done(job);
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

/* Start the first thread, or another if all encode. A job can wait if another does not start. */
static int have_thread(struct loader *l)
{
	unsigned int encoding;

	if (!l->threads)
		return start_thread(l);
	pthread_mutex_lock(&l->lock);
	encoding = l->encoding;
	pthread_mutex_unlock(&l->lock);
	if (encoding >= l->threads && l->threads < LOADER_THREADS)
		start_thread(l);
	return 0;
}

/* About the time that it takes: one byte of a file without encoding is 1. */
static uint64_t cost_of(const struct loader_job *job)
{
	static const unsigned int heavy = 16, light = 2;

	if (job->encode_type < 0)
		return job->bytes;
	return job->bytes * (job->encode_type == G729 || job->encode_type == LOADER_OPUS ? heavy
											 : light);
}

int loader_add(struct loader *l, struct loader_job *job)
{
	int err = have_thread(l);

	if (err)
		return err;
	job->cost = cost_of(job);
	pthread_mutex_lock(&l->lock);
	if (l->waiting < LOADER_MAX_JOBS) {
		job->err = -EINPROGRESS;
		job->data = NULL;
		job->len = 0;
		job->why[0] = 0;
		jobs_insert(&l->todo, job);
		l->waiting++;
		pthread_cond_signal(&l->wake);
	} else {
		err = -EAGAIN;
	}
	pthread_mutex_unlock(&l->lock);
	return err;
}

bool loader_can_encode(unsigned int payload_type)
{
	struct audio_codec opus;

	return codec_to(payload_type, &opus);
}

/* ---- begin and end ---- */

int loader_new(struct loader **out, struct event_base *base)
{
	struct loader *l = calloc(1, sizeof(*l));
	int err = -ENOMEM;

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	jobs_init(&l->todo);
	jobs_init(&l->done);
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
	while ((job = jobs_take(&l->todo))) {
		job->err = -ECANCELED;
		jobs_put(&l->done, job);
	}
	tell(l);
	event_free(l->ready);
	close(l->fd);
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
