/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loader.c - a queue of jobs, one thread, and an eventfd that wakes the loop for done jobs. The
 * thread starts with the first job.
 *
 * Deliberately not here: the table of files and their users (clips).
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/audio.h"
#include "media/codec.h"
#include "media/loader.h"
#include "media/sound.h"

#define BLOCK_MS 1000 /* of sound, encoded between two checks of @stop */

/* In the order of arrival. */
struct jobs {
	struct loader_job *first, **end;
};

struct loader {
	int fd; /* eventfd: jobs are done */
	struct event *ready;
	pthread_t thread;
	bool running;
	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct jobs todo, done;
	unsigned int waiting;
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

/* Encode in whole frames; fill the last frame up with silence. */
static int encode(struct loader *l, struct loader_job *job, const struct audio_codec *codec,
		  const struct sound *s)
{
	size_t frame = codec->frame_samples, frames = (s->n + frame - 1) / frame, at = 0;
	size_t block = codec->rate / 1000 * BLOCK_MS / frame * frame;
	struct audio_encoder *e = audio_encoder_new(codec);
	int16_t last[AUDIO_MAX_SAMPLES] = { 0 };

	job->data = frames <= LOADER_MAX_BYTES / codec->frame_bytes ?
			    malloc(frames * codec->frame_bytes) : NULL;
	if (!e || !job->data) {
		audio_encoder_free(e);
		return -ENOMEM;
	}
	while (at + frame <= s->n && !is_stopped(l)) {
		size_t n = MIN(block, (s->n - at) / frame * frame);

		job->len += audio_encode(e, s->samples + at, n, job->data + job->len);
		at += n;
	}
	if (at < s->n) {
		memcpy(last, s->samples + at, MIN(s->n - at, frame) * sizeof(last[0]));
		job->len += audio_encode(e, last, frame, job->data + job->len);
	}
	audio_encoder_free(e);
	return 0;
}

static int load_sound(struct loader *l, struct loader_job *job)
{
	const struct audio_codec *codec = audio_codec_of(job->encode_type);
	struct sound as_read, sound;
	int err = sound_read(job->path, false, &as_read, job->why, sizeof(job->why));

	if (err)
		return err;
	err = sound_at(&as_read, codec->rate, &sound);
	sound_free(&as_read);
	if (err)
		return err;
	err = encode(l, job, codec, &sound);
	sound_free(&sound);
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

static void *run(void *arg)
{
	const uint64_t one = 1;
	struct loader *l = arg;
	struct loader_job *job;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		job = jobs_take(&l->todo);
		if (!job) {
			pthread_cond_wait(&l->wake, &l->lock);
			continue;
		}
		l->waiting--;
		pthread_mutex_unlock(&l->lock);
		do_job(l, job);
		pthread_mutex_lock(&l->lock);
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

/* The thread blocks all signals, so the loop gets them. */
static int start_thread(struct loader *l)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&l->thread, NULL, run, l);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->running = !err;
	return err;
}

int loader_add(struct loader *l, struct loader_job *job)
{
	int err = l->running ? 0 : start_thread(l);

	if (err)
		return err;
	pthread_mutex_lock(&l->lock);
	if (l->waiting < LOADER_MAX_JOBS) {
		job->err = -EINPROGRESS;
		job->data = NULL;
		job->len = 0;
		job->why[0] = 0;
		jobs_put(&l->todo, job);
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
	return codec_of(payload_type) && audio_codec_of(payload_type);
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
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (l->running)
		pthread_join(l->thread, NULL);
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
