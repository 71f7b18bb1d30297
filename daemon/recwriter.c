/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recwriter.c - a ring of packets between the loop and one thread, and the files that it writes.
 *
 * The ring has one writer and one reader and no lock. The lock guards what both look at beside it:
 * the files that are to be completed, those that are, and the right to a name in the spool.
 *
 * A file holds whole records at any time: what the disk did not take in full is cut off again and
 * lost, and the next write tries anew, so that recording goes on by itself when there is room. A file
 * that somebody has deleted is begun again, when its directory is there.
 *
 * Deliberately not here: fsync (a crash of the machine may cost the last seconds).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uthash.h>

#include "clock.h"
#include "log.h"
#include "recformat.h"
#include "recwriter.h"

#define NAP_MS 100   /* the thread looks at the ring at least so often */
#define WAKE_SHARE 8 /* and at once when this part of it is full */
#define LOOK_NS NSEC_PER_SEC /* how often a file is looked at for being deleted */

struct recwriter_file {
	/* the loop's */
	UT_hash_handle hh;
	char *name;
	unsigned int users;
	/* shared, under the lock */
	struct recwriter_file *next; /* of the closing, then of the done */
	bool moved;    /* it has left the spool, or must not any more */
	bool replaced; /* its name belongs to another file now */
	/* both, never changed */
	struct tally *tally;
	/* the thread's, after the loop has opened it */
	int fd; /* -1: deleted, and could not be begun again */
	off_t size;
	uint8_t *buf; /* whole records that are not written yet; NULL until the first */
	size_t used;
	uint64_t held_packets, held_bytes; /* those in buf */
	uint64_t looked_ns;
	bool failing;
};

/* What precedes each packet in the ring. */
struct item {
	uint32_t size; /* with the packet, a multiple of 8 */
	uint32_t skip; /* nothing follows up to the ring's end */
	struct recwriter_file *file;
	struct recformat_packet packet; /* its data follows the item */
};

struct recwriter {
	struct recwriter_opts o;
	struct recwriter_file *names; /* open, or being completed and not replaced */
	unsigned int files;
	uint8_t *ring;
	size_t ring_bytes;
	size_t head, tail; /* bytes ever put in and taken out; atomic */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	struct recwriter_file *closing, *done;
	unsigned int to_complete; /* in closing or in the thread's hands */
	bool stop;
	uint64_t complained_ns; /* the thread's */
	uint16_t ip_id;	/* the thread's: of the next IPv4 header in a pcap file */
};

/* ---- directories and names ---- */

/* An open directory, so that what is in it is one and the same for all that follows. */
static int dir_open(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static const char *write_dir(const struct recwriter *w)
{
	return w->o.spool_dir ? w->o.spool_dir : w->o.dir;
}

/* Create @name, which must not be a link to elsewhere. @replace: one that is there goes first. */
static int file_create(const struct recwriter *w, const char *name, bool replace)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int dir = dir_open(write_dir(w)), fd;

	if (dir < 0)
		return dir;
	if (replace && unlinkat(dir, name, 0) && errno != ENOENT) {
		fd = -errno;
	} else {
		fd = openat(dir, name, flags, 0666);
		if (fd < 0)
			fd = -errno;
	}
	close(dir);
	return fd;
}

/* From the spool to where finished recordings are. 0 or -errno. */
static int file_move(const struct recwriter *w, const char *name)
{
	int from = dir_open(w->o.spool_dir), to = dir_open(w->o.dir), err = 0;

	if (from < 0 || to < 0)
		err = from < 0 ? from : to;
	else if (renameat(from, name, to, name))
		err = -errno;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return err;
}

/* With the lock held. A file that could not be moved stays where it is. */
static void leave_spool(struct recwriter *w, struct recwriter_file *f)
{
	int err;

	if (!w->o.spool_dir || f->moved)
		return;
	f->moved = true;
	err = file_move(w, f->name);
	if (err)
		log_err("recording %s stays in %s, it cannot be moved to %s: %s", f->name,
			w->o.spool_dir, w->o.dir, strerror(-err));
}

static enum recformat format_of(const struct recwriter *w)
{
	return w->o.pcap ? RECFORMAT_PCAP : RECFORMAT_ADHOC;
}

static int file_begin(const struct recwriter *w, int fd, off_t *size)
{
	uint8_t head[RECFORMAT_MAX_HEAD];
	size_t len = recformat_head(format_of(w), head);
	ssize_t n = len ? pwrite(fd, head, len, 0) : 0;

	*size = len;
	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* ---- the thread: one file ---- */

static void complain(struct recwriter *w, struct recwriter_file *f, int err)
{
	f->failing = true;
	if (log_allowed(&w->complained_ns, clock_now()))
		log_err("recording %s/%s: %s; packets are lost, the call goes on", write_dir(w),
			f->name, strerror(-err));
}

static void recovered(struct recwriter_file *f)
{
	f->failing = false;
	log_warn("recording %s goes on", f->name);
}

/* It was deleted: begin it again under its name, unless that is another's, which is why it was. */
static int begin_again(struct recwriter *w, struct recwriter_file *f)
{
	int err, fd = -1;
	bool replaced;

	pthread_mutex_lock(&w->lock);
	replaced = f->replaced;
	if (!replaced)
		fd = file_create(w, f->name, false);
	pthread_mutex_unlock(&w->lock);
	if (replaced)
		return f->fd < 0 ? -ENOENT : 0;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = MAX(fd, -1);
	if (fd < 0)
		return fd;
	err = file_begin(w, fd, &f->size);
	if (err)
		f->size = 0;
	return err;
}

/* Once in a while: is it still there? 0 when it can be written. */
static int look_after(struct recwriter *w, struct recwriter_file *f)
{
	uint64_t now_ns = clock_now();
	struct stat st;

	if (f->looked_ns && now_ns - f->looked_ns < LOOK_NS)
		return f->fd < 0 ? -ENOENT : 0;
	f->looked_ns = now_ns;
	if (f->fd >= 0 && (fstat(f->fd, &st) || st.st_nlink > 0))
		return 0;
	return begin_again(w, f);
}

/* All of it, or nothing: what was written of it is cut off again. */
static int write_whole(struct recwriter_file *f, const uint8_t *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(f->fd, data + done, len - done, f->size + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			n = n < 0 ? -errno : -ENOSPC;
			if (done && ftruncate(f->fd, f->size))
				return -errno;
			return n;
		}
		done += n;
	}
	f->size += len;
	return 0;
}

static void flush(struct recwriter *w, struct recwriter_file *f)
{
	int err;

	if (!f->used)
		return;
	err = look_after(w, f);
	if (!err)
		err = write_whole(f, f->buf, f->used);
	if (err) {
		tally_lost(f->tally, f->held_packets);
		complain(w, f, err);
	} else {
		tally_recorded(f->tally, f->held_packets, f->held_bytes);
		if (f->failing)
			recovered(f);
	}
	f->used = f->held_packets = f->held_bytes = 0;
}

/* The memory holds the largest record, which is more than is ever let wait in it. */
static void append(struct recwriter *w, struct recwriter_file *f, const struct recformat_packet *p)
{
	size_t len = recformat_size(format_of(w), p);

	if (!f->buf)
		f->buf = malloc(MAX(RECWRITER_BUFFER, RECFORMAT_MAX_RECORD));
	if (!f->buf) {
		tally_lost(f->tally, 1);
		complain(w, f, -ENOMEM);
		return;
	}
	if (f->used + len > RECWRITER_BUFFER)
		flush(w, f);
	f->used += recformat_record(format_of(w), p, w->ip_id++, f->buf + f->used);
	f->held_packets++;
	f->held_bytes += p->len;
	if (f->used >= RECWRITER_BUFFER)
		flush(w, f);
}

static void complete(struct recwriter *w, struct recwriter_file *f)
{
	flush(w, f);
	if (f->fd >= 0 && close(f->fd))
		complain(w, f, -errno);
	f->fd = -1;
	free(f->buf);
	f->buf = NULL;
	pthread_mutex_lock(&w->lock);
	leave_spool(w, f);
	f->next = w->done;
	w->done = f;
	w->to_complete--;
	pthread_cond_broadcast(&w->idle);
	pthread_mutex_unlock(&w->lock);
}

/* ---- the thread ---- */

static void drain(struct recwriter *w)
{
	size_t head = __atomic_load_n(&w->head, __ATOMIC_ACQUIRE), tail = w->tail;

	while (tail != head) {
		struct item *it = (struct item *)(w->ring + tail % w->ring_bytes);

		if (!it->skip)
			append(w, it->file, &it->packet);
		tail += it->size;
		__atomic_store_n(&w->tail, tail, __ATOMIC_RELEASE);
	}
}

/* With the lock held: until there is something to do. */
static void nap(struct recwriter *w)
{
	struct timespec until;

	if (w->closing || w->stop)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += NAP_MS * NSEC_PER_MSEC;
	if (until.tv_nsec >= (long)NSEC_PER_SEC) {
		until.tv_nsec -= NSEC_PER_SEC;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

/* What was closed has all its packets in the ring by then, so it is drained after the list is taken. */
static void *write_all(void *arg)
{
	struct recwriter_file *f, *next, *list;
	struct recwriter *w = arg;
	bool stop;

	do {
		pthread_mutex_lock(&w->lock);
		nap(w);
		list = w->closing;
		w->closing = NULL;
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
		drain(w);
		for (f = list; f; f = next) {
			next = f->next;
			complete(w, f);
		}
	} while (!stop);
	return NULL;
}

/* A signal is for the loop; SIGXFSZ, which a write raises for a file too large, for nobody. */
static int thread_start(struct recwriter *w)
{
	sigset_t all, before;
	int err;

	if (w->running)
		return 0;
	w->ring = malloc(w->ring_bytes);
	if (!w->ring)
		return -ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&w->thread, NULL, write_all, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		free(w->ring);
		w->ring = NULL;
		return -err;
	}
	w->running = true;
	return 0;
}

/* ---- the loop: files ---- */

static void file_free(struct recwriter_file *f)
{
	tally_drop(f->tally);
	free(f->buf);
	free(f->name);
	free(f);
}

/* The name goes to a new file: the old one is completed without it, or in its final place. */
static void name_take(struct recwriter *w, struct recwriter_file *old)
{
	pthread_mutex_lock(&w->lock);
	leave_spool(w, old);
	old->replaced = true;
	pthread_mutex_unlock(&w->lock);
	HASH_DEL(w->names, old);
}

static struct recwriter_file *file_new(const char *name, struct tally *tally)
{
	struct recwriter_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->tally = tally_hold(tally);
	f->name = strdup(name);
	f->users = 1;
	f->fd = -1;
	if (!f->name) {
		file_free(f);
		return NULL;
	}
	return f;
}

static int file_start(struct recwriter *w, struct recwriter_file *f)
{
	int err;

	f->fd = file_create(w, f->name, true);
	if (f->fd < 0)
		return f->fd;
	err = file_begin(w, f->fd, &f->size);
	if (!err)
		err = thread_start(w);
	if (err)
		close(f->fd);
	return err;
}

int recwriter_open(struct recwriter *w, const char *name, struct tally *tally,
		   struct recwriter_file **out)
{
	struct recwriter_file *f;
	int err;

	recwriter_reap(w);
	if (!w->o.dir)
		return -ENODEV;
	HASH_FIND_STR(w->names, name, f);
	if (f && f->users) {
		if (f->tally != tally)
			return -EBUSY;
		f->users++;
		*out = f;
		return 0;
	}
	if (f)
		name_take(w, f);
	f = file_new(name, tally);
	if (!f)
		return -ENOMEM;
	err = file_start(w, f);
	if (err) {
		file_free(f);
		return err;
	}
	HASH_ADD_KEYPTR(hh, w->names, f->name, strlen(f->name), f);
	w->files++;
	*out = f;
	return 0;
}

void recwriter_close(struct recwriter *w, struct recwriter_file *f)
{
	if (--f->users)
		return;
	pthread_mutex_lock(&w->lock);
	f->next = w->closing;
	w->closing = f;
	w->to_complete++;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void recwriter_reap(struct recwriter *w)
{
	struct recwriter_file *f, *next;

	pthread_mutex_lock(&w->lock);
	f = w->done;
	w->done = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; f; f = next) {
		next = f->next;
		if (!f->replaced)
			HASH_DEL(w->names, f);
		w->files--;
		file_free(f);
	}
}

const char *recwriter_name(const struct recwriter_file *f)
{
	return f->name;
}

unsigned int recwriter_files(const struct recwriter *w)
{
	return w->files;
}

/* ---- the loop: packets ---- */

/* Room for @size bytes in one piece, and where the ring's head will be then; NULL: there is none. */
static struct item *reserve(struct recwriter *w, size_t size, size_t *head)
{
	size_t tail = __atomic_load_n(&w->tail, __ATOMIC_ACQUIRE);
	size_t at = w->head % w->ring_bytes, left = w->ring_bytes - at;
	size_t skip = left < size ? left : 0;

	if (w->head + skip + size - tail > w->ring_bytes)
		return NULL;
	if (skip) {
		struct item *gap = (struct item *)(w->ring + at);

		gap->size = skip;
		gap->skip = true;
		at = 0;
	}
	*head = w->head + skip + size;
	return (struct item *)(w->ring + at);
}

static void publish(struct recwriter *w, size_t head)
{
	size_t before = w->head - __atomic_load_n(&w->tail, __ATOMIC_RELAXED);
	size_t now = before + (head - w->head), mark = w->ring_bytes / WAKE_SHARE;

	__atomic_store_n(&w->head, head, __ATOMIC_RELEASE);
	if (before >= mark || now < mark)
		return;
	pthread_mutex_lock(&w->lock);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void recwriter_put(struct recwriter *w, struct recwriter_file *f, const struct recformat_packet *p)
{
	size_t size = (sizeof(struct item) + p->len + 7) & ~(size_t)7, head;
	struct item *it = reserve(w, size, &head);

	if (!it) {
		tally_lost(f->tally, 1);
		return;
	}
	*it = (struct item){ .size = size, .file = f, .packet = *p };
	it->packet.data = (uint8_t *)(it + 1);
	memcpy(it + 1, p->data, p->len);
	publish(w, head);
}

/* ---- begin and end ---- */

int recwriter_new(struct recwriter **out, const struct recwriter_opts *opts)
{
	struct recwriter *w = calloc(1, sizeof(*w));
	pthread_condattr_t monotonic;

	if (!w)
		return -ENOMEM;
	w->o = *opts;
	w->ring_bytes = opts->queue_bytes ? opts->queue_bytes : RECWRITER_QUEUE;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_cond_init(&w->idle, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = w;
	return 0;
}

int recwriter_idle(struct recwriter *w, unsigned int timeout_ms)
{
	uint64_t until_ns = clock_now() + timeout_ms * NSEC_PER_MSEC;
	const struct timespec until = { until_ns / NSEC_PER_SEC, until_ns % NSEC_PER_SEC };
	int err = 0;

	pthread_mutex_lock(&w->lock);
	while (w->to_complete && !err)
		err = pthread_cond_timedwait(&w->idle, &w->lock, &until);
	pthread_mutex_unlock(&w->lock);
	return -err;
}

/* A thread that hangs in the disk goes with the process; its memory must stay until then. */
void recwriter_free(struct recwriter *w)
{
	if (!w)
		return;
	if (w->running && recwriter_idle(w, RECWRITER_EXIT_MS)) {
		log_err("the disk of the recordings does not answer: %u files are not complete",
			w->to_complete);
		return;
	}
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->wake);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	recwriter_reap(w);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(w->ring);
	free(w);
}
