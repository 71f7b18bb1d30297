/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - a ring of packets between the loop and one thread, and the files that it writes.
 *
 * The ring has one writer, one reader and no lock. Jobs to open or complete a file stand in a queue
 * beside it. Each job holds its place in the ring, so the thread does everything in the order in
 * which the loop asked for it. The lock guards the queue of jobs and the answers to them. The
 * thread never touches the disk while it holds the lock.
 *
 * A file holds whole records at any time. Records that the disk did not take in full are cut off
 * and lost, and the next write tries again. Recording therefore resumes by itself once the disk has
 * room. A deleted file is created again, if its directory exists.
 *
 * Deliberately not here: fsync (a crash of the machine may cost the last seconds).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/writer.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/provoked.h"
#include "base/thread.h"
#include "record/format.h"

#define NAP_MS 100   /* the thread looks at the ring at least this often */
#define WAKE_SHARE 8 /* and at once when 1/WAKE_SHARE of it is full */
#define BUFFER_ROOM (WRITER_BUFFER + FORMAT_MAX_RECORD)
#define HELD_MAX(bytes) ((bytes) / 30) /* records in a buffer; none is shorter than 30 bytes */
#define WAIT_SLICE_MS 2 /* the loop waits this long for a file, then calls meanwhile() */

struct job {
	struct job *next;
	struct writer_file *file;
	void (*run)(struct writer *w, struct writer_file *f);
	size_t at; /* the thread drains the ring up to here before run() */
};

struct writer_file {
	/* used by the loop */
	UT_hash_handle hh;
	char *key; /* stem and suffix */
	unsigned int users;
	struct job begin, end;
	/* shared, under the lock */
	struct writer_file *next; /* in the list of done files */
	bool waiting;		  /* the loop waits for @begun and @error */
	bool begun;
	int error;     /* result of creating the file: 0 or -errno */
	uint16_t part; /* only the thread changes it */
	/* used by both, never changed */
	struct writer *writer;
	char *stem, *suffix;
	const char *const *taken_by;
	struct tally *tally;
	void *user;
	/* used by the thread; and by the loop, when the file is done */
	char name[NAME_MAX + 1];
	uint64_t written_ns; /* time of the last written record */
	int fd;		     /* -1: the file does not exist or could not be created */
	off_t size;
	uint8_t *buf;	   /* whole records, not yet written; NULL before the first */
	struct held *held; /* the same records, in the same order; NULL likewise */
	size_t used, room;
	struct writer_file *next_full; /* in the list of full files */
	size_t held_packets;
	uint64_t missing;	  /* packets lost since the last successful write */
	struct contents contents; /* records that the disk took */
	bool created, in_spool;
};

/* A record in a file's buffer. */
struct held {
	uint64_t time_ns;
	uint32_t len, bytes; /* of the record, and of its payload */
	uint8_t type;	     /* as in contents.h */
};

/* Header of each packet in the ring. */
struct item {
	uint32_t size; /* bytes with the packet, a multiple of 8 */
	uint32_t skip; /* no packet: a gap up to the ring's end */
	struct writer_file *file;
	struct format_packet packet; /* its data follows the item */
};

struct writer {
	struct writer_opts o;
	struct writer_file *names; /* the open files */
	unsigned int files;
	uint8_t *ring;
	size_t ring_bytes;
	size_t head, tail; /* bytes shown to the thread and taken out since the start; atomic */
	size_t filled;	   /* bytes put in; the thread sees them after writer_flush() */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake, answer;
	struct job *jobs, **jobs_end;
	struct writer_file *done;
	struct writer_file *full; /* used by the thread */
	unsigned int to_complete; /* closed and not done */
	bool stuck;		  /* the loop waited in vain, and no job has been done since */
	bool stop;
	uint16_t ip_id; /* used by the thread: ID of the next IPv4 header in a pcap file */
};

/* ---- directories and names ---- */

/* Open a directory: all steps on a file then use the same one, even if it is renamed meanwhile. */
static int record_dir_open(const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static const char *write_dir(const struct writer *w)
{
	return w->o.spool_dir ? w->o.spool_dir : w->o.dir;
}

static enum format format_of(const struct writer *w)
{
	return w->o.pcap ? FORMAT_PCAP : FORMAT_ADHOC;
}

/* Write the file header. Returns its length or -errno. */
static ssize_t head_write(const struct writer *w, int fd)
{
	uint8_t head[FORMAT_MAX_HEAD];
	size_t len = format_head(format_of(w), head);
	ssize_t n = len ? pwrite(fd, head, len, 0) : 0;

	if (n == (ssize_t)len)
		return n;
	return n < 0 ? -errno : -ENOSPC;
}

int writer_name_text(const struct writer_name *name, uint16_t part, char out[NAME_MAX + 1])
{
	char number[8];
	int len;

	snprintf(number, sizeof(number), part > 1 ? "=%u" : "", part);
	len = snprintf(out, NAME_MAX + 1, "%s%s%s", name->stem, number, name->suffix);
	return len > NAME_MAX ? -ENAMETOOLONG : 0;
}

static struct writer_name file_name_of(const struct writer_file *f, const char *suffix)
{
	return (struct writer_name){ .stem = f->stem, .suffix = suffix };
}

/* True: one of the directories has a file of that name. Creating it finds all other errors. */
static bool file_exists(const struct writer *w, const char *name)
{
	const char *const dirs[] = { w->o.dir, w->o.spool_dir };
	bool found = false;
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs) && !found; i++) {
		int dir = dirs[i] ? record_dir_open(dirs[i]) : -1;

		if (dir < 0)
			continue;
		found = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		close(dir);
	}
	return found;
}

static bool part_is_taken(const struct writer *w, const struct writer_file *f, uint16_t part)
{
	struct writer_name name = file_name_of(f, f->suffix);
	const char *const *also = f->taken_by;
	char text[NAME_MAX + 1];

	for (;;) {
		if (writer_name_text(&name, part, text) == 0 && file_exists(w, text))
			return true;
		if (!also || !*also)
			return false;
		name.suffix = *also++;
	}
}

/* Set the name of the first part that is not taken. 0, -EEXIST after the last part. */
static int part_choose(struct writer *w, struct writer_file *f)
{
	const struct writer_name name = file_name_of(f, f->suffix);
	uint16_t part = f->part;

	while (!w->o.replace && part_is_taken(w, f, part))
		if (++part == UINT16_MAX)
			return -EEXIST;
	pthread_mutex_lock(&w->lock);
	f->part = part;
	pthread_mutex_unlock(&w->lock);
	return writer_name_text(&name, part, f->name);
}

/* Make the directories in front of the last '/' of @name. */
static void make_directories(int dir, const char *name)
{
	char path[NAME_MAX + 1];
	const char *slash;

	for (slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(slash - name), name);
		mkdirat(dir, path, 0777);
	}
}

static int create_at(int dir, const char *name, bool replace)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd;

	if (replace && unlinkat(dir, name, 0) && errno != ENOENT)
		return -errno;
	fd = openat(dir, name, flags, 0666);
	if (fd < 0 && errno == ENOENT && strchr(name, '/')) {
		make_directories(dir, name);
		fd = openat(dir, name, flags, 0666);
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Create the file; never follow a link. @replace removes a file of that name first. Returns 0, or
 * -errno without leaving a file.
 */
static int file_create(const struct writer *w, struct writer_file *f, bool replace)
{
	int dir = record_dir_open(write_dir(w)), fd;

	if (dir < 0)
		return dir;
	fd = create_at(dir, f->name, replace);
	if (fd >= 0) {
		f->size = head_write(w, fd);
		if (f->size < 0) {
			unlinkat(dir, f->name, 0);
			close(fd);
			fd = f->size;
		}
	}
	close(dir);
	f->fd = MAX(fd, -1);
	if (fd >= 0) {
		f->created = true;
		f->contents = (struct contents){ 0 }; /* those of a deleted file are gone */
	}
	return MIN(fd, 0);
}

/* Move a file from the spool to the final directory. 0 or -errno. */
static int file_move(const struct writer *w, const char *name)
{
	int from = record_dir_open(w->o.spool_dir), to = record_dir_open(w->o.dir), err = 0;

	if (to >= 0 && strchr(name, '/'))
		make_directories(to, name);
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

/* A file that cannot be moved stays in the spool. @may_lack: a missing file is no error. */
static void leave_spool(struct writer *w, struct writer_file *f, bool may_lack)
{
	int err = w->o.spool_dir ? file_move(w, f->name) : 0;

	f->in_spool = err != 0;
	if (err && !(may_lack && err == -ENOENT))
		log_provoked(PROVOKED_NOT_MOVED, NULL, f->name, w->o.spool_dir, w->o.dir,
			     strerror(-err));
}

/* ---- the thread: one file ---- */

static void file_refused(struct writer *w, const struct writer_file *f, int err)
{
	log_provoked(PROVOKED_NOT_WRITTEN, NULL, write_dir(w), f->name, strerror(-err));
}

/* Create the file again if it has been deleted. 0 if it can be written. */
static int look_after(struct writer *w, struct writer_file *f)
{
	struct stat st;
	int err;

	if (f->fd >= 0 && (fstat(f->fd, &st) || st.st_nlink > 0))
		return 0;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	err = *f->name ? 0 : part_choose(w, f);
	return err ? err : file_create(w, f, false);
}

/* Write all bytes or none: cut a partial write off again. */
static int write_whole(struct writer_file *f, const uint8_t *data, size_t len)
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

/*
 * Write whole records: @len bytes at @data, which are those of @packets at @held. Their payloads
 * have @bytes bytes.
 */
static void write_some(struct writer *w, struct writer_file *f, const uint8_t *data, size_t len,
		       const struct held *held, size_t packets, uint64_t bytes)
{
	int err = look_after(w, f);
	size_t i;

	if (!err)
		err = write_whole(f, data, len);
	if (err) {
		tally_lost(f->tally, TALLY_DISK, packets);
		f->missing += packets;
		file_refused(w, f, err);
		return;
	}
	tally_recorded(f->tally, packets, bytes);
	for (i = 0; i < packets; i++)
		contents_add(&f->contents, held[i].time_ns, held[i].bytes, held[i].type);
	if (f->missing)
		log_provoked(PROVOKED_RECORDED_AGAIN, NULL, f->name,
			     (unsigned long long)f->missing);
	f->missing = 0;
}

/* Write the buffer in steps of at least WRITER_BUFFER: a full disk takes as many as fit. */
static void file_flush(struct writer *w, struct writer_file *f)
{
	size_t at = 0, len = 0, i, packets = 0, bytes = 0;

	for (i = 0; i < f->held_packets; i++) {
		len += f->held[i].len;
		bytes += f->held[i].bytes;
		packets++;
		if (len < WRITER_BUFFER && i + 1 < f->held_packets)
			continue;
		write_some(w, f, f->buf + at, len, &f->held[i + 1 - packets], packets, bytes);
		f->written_ns = f->held[i].time_ns;
		at += len;
		len = packets = bytes = 0;
	}
	f->used = f->held_packets = 0;
}

/*
 * Make room for a record of @len bytes and time @p->realtime_ns, in order of time: packets of the
 * dataplane and of the sockets come by different ways. A record that would stand before the last
 * written one gets its time, so times in a file never go backwards. Returns the place.
 */
static uint8_t *record_place(struct writer_file *f, struct format_packet *p, size_t len)
{
	size_t at = f->used, n = f->held_packets;

	p->realtime_ns = MAX(p->realtime_ns, f->written_ns);
	while (n > 0 && f->held[n - 1].time_ns > p->realtime_ns) {
		f->held[n] = f->held[n - 1];
		at -= f->held[n].len;
		n--;
	}
	memmove(f->buf + at + len, f->buf + at, f->used - at);
	f->held[n] = (struct held){ .time_ns = p->realtime_ns,
				    .len = len,
				    .bytes = p->len,
				    .type = contents_type(p->data, p->len) };
	f->used += len;
	return f->buf + at;
}

/* Have room for a record of @len bytes more. */
static bool buffer_grow(struct writer_file *f, size_t len)
{
	size_t room = MAX(2 * f->room, BUFFER_ROOM);
	struct held *held;
	uint8_t *buf;

	if (f->used + len <= f->room && f->held_packets < HELD_MAX(f->room))
		return true;
	buf = realloc(f->buf, room);
	if (buf)
		f->buf = buf;
	held = buf ? realloc(f->held, HELD_MAX(room) * sizeof(*held)) : NULL;
	if (held) {
		f->held = held;
		f->room = room;
	}
	return held;
}

/* A file that fills its buffer is flushed at the end of ring_drain(), with all records in order. */
static void packet_append(struct writer *w, struct writer_file *f, struct format_packet *p)
{
	size_t len = format_size(format_of(w), p);
	bool full = f->used >= WRITER_BUFFER;
	uint8_t *place;

	if (!buffer_grow(f, len)) {
		tally_lost(f->tally, TALLY_MEMORY, 1);
		file_refused(w, f, -ENOMEM);
		return;
	}
	place = record_place(f, p, len);
	format_record(format_of(w), p, w->ip_id++, place);
	f->held_packets++;
	if (full || f->used < WRITER_BUFFER)
		return;
	f->next_full = w->full;
	w->full = f;
}

static void flush_full(struct writer *w)
{
	struct writer_file *f;

	while ((f = w->full)) {
		w->full = f->next_full;
		file_flush(w, f);
		if (f->room <= BUFFER_ROOM)
			continue;
		free(f->buf);
		free(f->held);
		f->buf = NULL;
		f->held = NULL;
		f->room = 0;
	}
}

/* ---- the thread: jobs ---- */

/* Log an error here only if the loop has stopped waiting; else the loop reports it. */
static void file_begin(struct writer *w, struct writer_file *f)
{
	int err = part_choose(w, f);
	bool waiting;

	if (!err)
		err = file_create(w, f, w->o.replace);

	pthread_mutex_lock(&w->lock);
	waiting = f->waiting;
	f->error = err;
	f->begun = true;
	w->stuck = false;
	pthread_cond_broadcast(&w->answer);
	pthread_mutex_unlock(&w->lock);
	if (err && !waiting)
		file_refused(w, f, err);
}

static void file_done(struct writer *w, struct writer_file *f)
{
	pthread_mutex_lock(&w->lock);
	f->next = w->done;
	w->done = f;
	w->to_complete--;
	w->stuck = false;
	pthread_cond_broadcast(&w->answer);
	pthread_mutex_unlock(&w->lock);
}

static void file_complete(struct writer *w, struct writer_file *f)
{
	file_flush(w, f);
	if (f->fd >= 0) {
		if (close(f->fd))
			file_refused(w, f, -errno);
		leave_spool(w, f, false);
	}
	f->fd = -1;
	file_done(w, f);
}

static void file_rescue(struct writer *w, struct writer_file *f)
{
	leave_spool(w, f, true);
	file_done(w, f);
}

/* ---- the thread ---- */

static void ring_drain(struct writer *w, size_t upto)
{
	size_t tail = w->tail;

	while (tail != upto) {
		struct item *it = (struct item *)(w->ring + tail % w->ring_bytes);

		if (!it->skip)
			packet_append(w, it->file, &it->packet);
		tail += it->size;
		__atomic_store_n(&w->tail, tail, __ATOMIC_RELEASE);
	}
	flush_full(w);
}

static size_t ring_head(const struct writer *w)
{
	return __atomic_load_n(&w->head, __ATOMIC_ACQUIRE);
}

/* Called with the lock held. Sleep until there is work, at most NAP_MS. */
static void thread_nap(struct writer *w)
{
	const uint64_t until_ns = clock_now() + NAP_MS * NSEC_PER_MSEC;

	if (!w->jobs && !w->stop && ring_head(w) - w->tail < w->ring_bytes / WAKE_SHARE)
		thread_wait(&w->wake, &w->lock, until_ns);
}

/*
 * Sleep, then return the next job; NULL: only packets. The thread takes packets up to @upto, which
 * is read with the lock held. A job posted later therefore never has a place before @upto.
 */
static struct job *job_wait(struct writer *w, size_t *upto, bool *stop)
{
	struct job *job;

	pthread_mutex_lock(&w->lock);
	thread_nap(w);
	job = w->jobs;
	if (job) {
		w->jobs = job->next;
		if (!w->jobs)
			w->jobs_end = &w->jobs;
	}
	*upto = job ? job->at : ring_head(w);
	*stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void *thread_of_writer(void *arg)
{
	struct writer *w = arg;
	struct job *job;
	size_t upto;
	bool stop;

	do {
		job = job_wait(w, &upto, &stop);
		ring_drain(w, upto);
		if (job)
			job->run(w, job->file);
	} while (job || !stop);
	return NULL;
}

static int thread_start(struct writer *w)
{
	int err;

	if (w->running)
		return 0;
	w->ring = malloc(w->ring_bytes);
	if (!w->ring)
		return -ENOMEM;
	err = thread_run(&w->thread, thread_of_writer, w);
	if (err) {
		free(w->ring);
		w->ring = NULL;
		return err;
	}
	w->running = true;
	return 0;
}

/* ---- the loop: files ---- */

static void writer_file_free(struct writer_file *f)
{
	tally_drop(f->tally);
	free(f->buf);
	free(f->held);
	free(f->key);
	free(f->stem);
	free(f->suffix);
	free(f);
}

/* A stem has no control characters, so no two pairs of stem and suffix give one key. */
static char *file_key(const struct writer_name *name)
{
	char *key;

	return asprintf(&key, "%s\n%s", name->stem, name->suffix) < 0 ? NULL : key;
}

/* Takes @key, also when it fails. */
static struct writer_file *writer_file_new(struct writer *w, const struct writer_name *name,
					   char *key, struct tally *tally, void *user)
{
	struct writer_file *f = calloc(1, sizeof(*f));

	if (!f) {
		free(key);
		return NULL;
	}
	f->writer = w;
	f->key = key;
	f->stem = strdup(name->stem);
	f->suffix = strdup(name->suffix);
	f->taken_by = name->taken_by;
	f->part = name->part;
	f->tally = tally_hold(tally);
	f->user = user;
	f->users = 1;
	f->fd = -1;
	if (f->key && f->stem && f->suffix)
		return f;
	writer_file_free(f);
	return NULL;
}

/* Queue a job, to run after all packets that are in the ring by now. Called with the lock held. */
static void job_post(struct writer *w, struct writer_file *f, struct job *job,
		     void (*run)(struct writer *w, struct writer_file *f))
{
	__atomic_store_n(&w->head, w->filled, __ATOMIC_RELEASE);
	*job = (struct job){ .file = f, .run = run, .at = w->head };
	*w->jobs_end = job;
	w->jobs_end = &job->next;
	pthread_cond_signal(&w->wake);
}

/*
 * Called with the lock held. Wait WAIT_SLICE_MS for an answer of the thread. Without an answer, run
 * meanwhile() with the lock released.
 */
static void wait_a_little(struct writer *w)
{
	const uint64_t until_ns = clock_now() + WAIT_SLICE_MS * NSEC_PER_MSEC;

	if (!thread_wait(&w->answer, &w->lock, until_ns) || !w->o.meanwhile)
		return;
	pthread_mutex_unlock(&w->lock);
	w->o.meanwhile(w->o.arg);
	pthread_mutex_lock(&w->lock);
}

/*
 * Have the thread create the file and wait for the result, at most patience_ms. A slower disk
 * counts as success, and later opens do not wait until the thread has done a job.
 */
static int file_start(struct writer *w, struct writer_file *f)
{
	const uint64_t until_ns = clock_now() + w->o.patience_ms * NSEC_PER_MSEC;
	bool gave_up;
	int err = 0;

	pthread_mutex_lock(&w->lock);
	f->waiting = !w->stuck;
	job_post(w, f, &f->begin, file_begin);
	while (f->waiting && !f->begun && clock_now() < until_ns)
		wait_a_little(w);
	gave_up = f->waiting && !f->begun;
	if (f->begun)
		err = f->error;
	else
		w->stuck = true;
	f->waiting = false;
	pthread_mutex_unlock(&w->lock);
	if (gave_up)
		log_provoked(PROVOKED_SLOW_DISK, NULL);
	return err;
}

/* Create a file that is not open yet. Takes @key. */
static int open_new(struct writer *w, const struct writer_name *name, char *key,
		    struct tally *tally, void *user, struct writer_file **out)
{
	struct writer_file *f = writer_file_new(w, name, key, tally, user);
	int err;

	if (!f)
		return -ENOMEM;
	HASH_ADD_KEYPTR(hh, w->names, f->key, strlen(f->key), f);
	err = f->hh.tbl ? thread_start(w) : -ENOMEM;
	if (!err)
		err = file_start(w, f);
	if (err) {
		if (f->hh.tbl)
			HASH_DEL(w->names, f);
		writer_file_free(f);
		return err;
	}
	w->files++;
	*out = f;
	return 0;
}

int writer_open(struct writer *w, const struct writer_name *name, struct tally *tally, void *user,
		struct writer_file **out)
{
	char text[NAME_MAX + 1], *key;
	struct writer_file *f;
	int err = writer_name_text(name, UINT16_MAX, text);

	writer_reap(w);
	if (!w->o.dir)
		return -ENODEV;
	if (err)
		return err;
	key = file_key(name);
	if (!key)
		return -ENOMEM;
	HASH_FIND_STR(w->names, key, f);
	if (!f && w->files < WRITER_FILES)
		return open_new(w, name, key, tally, user, out);
	free(key);
	if (!f)
		return -ENFILE;
	if (f->tally != tally)
		return -EBUSY;
	f->users++;
	*out = f;
	return 0;
}

static void post_last(struct writer *w, struct writer_file *f,
		      void (*run)(struct writer *w, struct writer_file *f))
{
	pthread_mutex_lock(&w->lock);
	w->to_complete++;
	job_post(w, f, &f->end, run);
	pthread_mutex_unlock(&w->lock);
}

void writer_close(struct writer *w, struct writer_file *f)
{
	if (--f->users)
		return;
	HASH_DEL(w->names, f);
	post_last(w, f, file_complete);
}

void writer_rescue(struct writer *w, const char *name, struct tally *tally)
{
	const struct writer_name whole = { .stem = name, .suffix = "" };
	struct writer_file *f;

	if (!w->o.dir || !w->o.spool_dir)
		return;
	f = writer_file_new(w, &whole, file_key(&whole), tally, NULL);
	if (!f || thread_start(w)) {
		log_provoked(PROVOKED_NOT_RESCUED, NULL, name, w->o.spool_dir);
		if (f)
			writer_file_free(f);
		return;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	w->files++;
	post_last(w, f, file_rescue);
}

void writer_reap(struct writer *w)
{
	struct writer_file *f, *next;

	pthread_mutex_lock(&w->lock);
	f = w->done;
	w->done = NULL;
	pthread_mutex_unlock(&w->lock);
	for (; f; f = next) {
		next = f->next;
		w->files--;
		if (f->user && w->o.completed)
			w->o.completed(w->o.completed_arg, f->user,
				       &(struct writer_result){ .name = f->name,
								.part = f->part,
								.contents = &f->contents,
								.created = f->created,
								.in_spool = f->in_spool });
		writer_file_free(f);
	}
}

void *writer_user(const struct writer_file *f)
{
	return f->user;
}

uint16_t writer_part(const struct writer_file *f)
{
	uint16_t part;

	pthread_mutex_lock(&f->writer->lock);
	part = f->part;
	pthread_mutex_unlock(&f->writer->lock);
	return part;
}

void writer_name(const struct writer_file *f, char out[NAME_MAX + 1])
{
	const struct writer_name name = file_name_of(f, f->suffix);

	writer_name_text(&name, writer_part(f), out);
}

unsigned int writer_files(const struct writer *w)
{
	return w->files;
}

/* ---- the loop: packets ---- */

/*
 * Reserve @size contiguous bytes and set *@filled to the ring's fill after them. NULL: the ring has
 * no room.
 */
static struct item *ring_reserve(struct writer *w, size_t size, size_t *filled)
{
	size_t tail = __atomic_load_n(&w->tail, __ATOMIC_ACQUIRE);
	size_t at = w->filled % w->ring_bytes, left = w->ring_bytes - at;
	size_t skip = left < size ? left : 0;

	if (w->filled + skip + size - tail > w->ring_bytes)
		return NULL;
	if (skip) {
		struct item *gap = (struct item *)(w->ring + at);

		gap->size = skip;
		gap->skip = true;
		at = 0;
	}
	*filled = w->filled + skip + size;
	return (struct item *)(w->ring + at);
}

void writer_flush(struct writer *w)
{
	size_t tail = __atomic_load_n(&w->tail, __ATOMIC_RELAXED);
	size_t mark = w->ring_bytes / WAKE_SHARE;
	bool wake = w->head - tail < mark && w->filled - tail >= mark;

	__atomic_store_n(&w->head, w->filled, __ATOMIC_RELEASE);
	if (!wake)
		return;
	pthread_mutex_lock(&w->lock);
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void writer_put(struct writer *w, struct writer_file *f, const struct format_packet *p)
{
	size_t size = (sizeof(struct item) + p->len + 7) & ~(size_t)7, filled;
	struct item *it = ring_reserve(w, size, &filled);

	if (!it) {
		tally_lost(f->tally, TALLY_QUEUE, 1);
		return;
	}
	*it = (struct item){ .size = size, .file = f, .packet = *p };
	it->packet.data = (uint8_t *)(it + 1);
	memcpy(it + 1, p->data, p->len);
	w->filled = filled;
	if (filled - w->head >= w->ring_bytes / WAKE_SHARE)
		writer_flush(w);
}

/* ---- begin and end ---- */

int writer_new(struct writer **out, const struct writer_opts *opts)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->o = *opts;
	w->o.patience_ms = opts->patience_ms ? opts->patience_ms : WRITER_PATIENCE_MS;
	w->ring_bytes = opts->queue_bytes ? opts->queue_bytes : WRITER_QUEUE;
	w->jobs_end = &w->jobs;
	pthread_mutex_init(&w->lock, NULL);
	thread_cond_init(&w->wake);
	thread_cond_init(&w->answer);
	*out = w;
	return 0;
}

int writer_idle(struct writer *w, unsigned int timeout_ms)
{
	uint64_t until_ns = clock_now() + timeout_ms * NSEC_PER_MSEC;
	int err = 0;

	pthread_mutex_lock(&w->lock);
	while (w->to_complete && !err)
		err = thread_wait(&w->answer, &w->lock, until_ns);
	pthread_mutex_unlock(&w->lock);
	return err;
}

/* A thread that hangs on the disk ends with the process, so its memory is not freed. */
void writer_free(struct writer *w)
{
	if (!w)
		return;
	if (w->running && writer_idle(w, WRITER_EXIT_MS)) {
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
	writer_reap(w);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->answer);
	pthread_mutex_destroy(&w->lock);
	free(w->ring);
	free(w);
}
