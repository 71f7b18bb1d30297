/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * finisher.c - a queue of descriptions, and the directory .rtpx-INSTANCE with three kinds of files:
 *
 *   KEY.open    a recording that is not complete, as this process knows it
 *   KEY.before  the same, as earlier processes have left it
 *   KEY.N.done  a complete recording that is not handed on (jobs.h)
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <json-c/json.h>

#include "record/finisher.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/provoked.h"
#include "base/thread.h"
#include "record/naming.h"
#include "record/retention.h"
#include "record/sheetfile.h"
#include "record/spool.h"

#define MAX_WAITING 16384 /* descriptions */
#define TICK_MS 1000
#define RETENTION_NS (60 * NSEC_PER_SEC)
#define SUFFIX_OPEN ".open"
#define SUFFIX_BEFORE ".before"

enum kind { BEGIN, BEGIN_FIRST, COMPLETE, RESTORED };

struct note {
	struct note *next;
	enum kind kind;
	char key[17];
	char *text;
};

/* A recording of this process that is not complete. */
struct live {
	char key[17];
	UT_hash_handle hh;
};

struct finisher {
	struct finisher_opts o;
	char queue_dir[32];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	int wake;
	/* under the lock */
	struct note *notes, **end;
	unsigned int waiting;
	bool stop, stopped;
	/* used by the thread */
	struct live *live;
	struct jobs *jobs;
	uint64_t completed, retention_ns;
	struct finisher_counts counts; /* atomic */
};

static void counter_add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ---- the thread: files of the queue ---- */

static void queue_name(char name[NAME_MAX + 1], const char *key, const char *suffix)
{
	snprintf(name, NAME_MAX + 1, "%.16s%s", key, suffix);
}

static struct json_object *queue_load(const struct finisher *f, const char *key, const char *suffix)
{
	char name[NAME_MAX + 1];

	queue_name(name, key, suffix);
	return sheetfile_read(f->o.dir, f->queue_dir, name);
}

static int queue_save(const struct finisher *f, const char *key, const char *suffix,
		      struct json_object *sheet)
{
	char name[NAME_MAX + 1];

	queue_name(name, key, suffix);
	return sheetfile_write(f->o.dir, f->queue_dir, name, sheet);
}

static void queue_forget(const struct finisher *f, const char *key, const char *suffix)
{
	char name[NAME_MAX + 1];

	queue_name(name, key, suffix);
	sheetfile_remove(f->o.dir, f->queue_dir, name);
}

static void sheet_refused(struct finisher *f, struct json_object *sheet, int err)
{
	counter_add(&f->counts.lost, 1);
	log_provoked(PROVOKED_NO_SHEET, NULL, sheet_string(sheet, "name"), f->o.dir,
		     strerror(-err));
}

/* ---- the thread: recordings that begin ---- */

static void live_add(struct finisher *f, const char *key)
{
	struct live *l;

	HASH_FIND_STR(f->live, key, l);
	if (l || !(l = calloc(1, sizeof(*l))))
		return;
	snprintf(l->key, sizeof(l->key), "%s", key);
	HASH_ADD_STR(f->live, key, l);
	if (!l->hh.tbl)
		free(l);
}

static void live_remove(struct finisher *f, const char *key)
{
	struct live *l;

	HASH_FIND_STR(f->live, key, l);
	if (!l)
		return;
	HASH_DEL(f->live, l);
	free(l);
}

static bool is_live(const struct finisher *f, const char *key)
{
	struct live *l;

	HASH_FIND_STR(f->live, key, l);
	return l != NULL;
}

/* An earlier process has left KEY.open: it becomes KEY.before, together with such a file. */
static void set_before(struct finisher *f, const char *key)
{
	struct json_object *open = queue_load(f, key, SUFFIX_OPEN), *before;

	if (!open)
		return;
	before = queue_load(f, key, SUFFIX_BEFORE);
	if (before)
		sheet_merge(open, before);
	if (queue_save(f, key, SUFFIX_BEFORE, open) == 0)
		queue_forget(f, key, SUFFIX_OPEN);
	json_object_put(before);
	json_object_put(open);
}

static void take_begin(struct finisher *f, const struct note *n, struct json_object *sheet)
{
	int err;

	if (n->kind == BEGIN_FIRST) {
		set_before(f, n->key);
		live_add(f, n->key);
	}
	err = queue_save(f, n->key, SUFFIX_OPEN, sheet);
	if (err)
		log_provoked(PROVOKED_NO_NOTE, NULL, f->o.dir, f->queue_dir, strerror(-err));
}

/* ---- the thread: complete recordings ---- */

/* Count the packets of a file that an earlier process has left. */
static void survey_file(struct finisher *f, struct json_object *sheet, struct json_object *file)
{
	const char *name = sheet_string(file, "name");
	struct contents contents = { 0 };
	bool cut = false;
	int fd, err;

	spool_rescue(f->o.spool_dir, f->o.dir, name);
	fd = sheetfile_open(f->o.dir, NULL, name);
	err = fd < 0 ? fd : contents_read(&contents, fd, &cut);
	if (fd >= 0)
		close(fd);
	if (err)
		sheet_trouble(sheet, "%s: cannot be read: %s", name, strerror(-err));
	else if (cut)
		sheet_trouble(sheet, "%s: its last record is cut", name);
	sheet_put_contents(file, &contents, &f->o.sheet);
}

static void files_survey(struct finisher *f, struct json_object *sheet)
{
	struct json_object *files = sheet_member(sheet, "files"), *file;
	size_t i;

	for (i = 0; i < json_object_array_length(files); i++) {
		file = json_object_array_get_idx(files, i);
		if (!sheet_member(file, "packets"))
			survey_file(f, sheet, file);
	}
	sheet_sum(sheet);
}

/* Hand on a complete recording, or leave only its description. 0 or -errno. */
static int sheet_publish(struct finisher *f, const char *key, struct json_object *sheet)
{
	const char *stem = sheet_string(sheet, "name");
	bool hand_on = jobs_wants(f->jobs, sheet);
	char done[NAME_MAX + 1], name[NAME_MAX + 8];
	int err = 0;

	snprintf(done, sizeof(done), "%.16s.%llx.done", key,
		 (unsigned long long)(clock_read(CLOCK_REALTIME) + f->completed++));
	snprintf(name, sizeof(name), "%s.json", stem);
	json_object_object_add(sheet, "waiting", json_object_new_boolean(hand_on));
	if (hand_on)
		err = sheetfile_write(f->o.dir, f->queue_dir, done, sheet);
	if (!err)
		err = sheetfile_write(f->o.dir, NULL, name, sheet);
	if (err)
		return err;
	queue_forget(f, key, SUFFIX_OPEN);
	queue_forget(f, key, SUFFIX_BEFORE);
	if (hand_on)
		jobs_add(f->jobs, done);
	counter_add(&f->counts.complete, 1);
	return 0;
}

/* On an error the files of the queue stay for the next daemon. */
static void recording_complete(struct finisher *f, const char *key, struct json_object *sheet)
{
	struct json_object *before = queue_load(f, key, SUFFIX_BEFORE);
	int err;

	if (before)
		sheet_merge(sheet, before);
	files_survey(f, sheet);
	err = sheet_publish(f, key, sheet);
	if (err)
		sheet_refused(f, sheet, err);
	if (err && !before)
		queue_save(f, key, SUFFIX_OPEN, sheet);
	json_object_put(before);
}

/* ---- the thread: what earlier daemons left ---- */

static void complete_orphan(void *arg, const char *name)
{
	struct finisher *f = arg;
	struct json_object *sheet;
	char key[17];

	snprintf(key, sizeof(key), "%.16s", name);
	if (strlen(name) < 17 || strcmp(name + 16, SUFFIX_OPEN) || is_live(f, key))
		return;
	sheet = queue_load(f, key, SUFFIX_OPEN);
	if (!sheet)
		return;
	sheet_trouble(sheet,
		      "the daemon that recorded this call was killed, and its state is lost");
	log_provoked(PROVOKED_ORPHAN_DONE, sheet_string(sheet, "call_id"),
		     sheet_string(sheet, "name"));
	recording_complete(f, key, sheet);
	json_object_put(sheet);
}

/* A process was killed between KEY.open and KEY.before. */
static void open_again(void *arg, const char *name)
{
	struct finisher *f = arg;
	char key[17];

	snprintf(key, sizeof(key), "%.16s", name);
	if (strlen(name) < 17 || strcmp(name + 16, SUFFIX_BEFORE) || is_live(f, key))
		return;
	set_before(f, key);
	sheetfile_rename(f->o.dir, f->queue_dir, name, SUFFIX_BEFORE, SUFFIX_OPEN);
}

static void note_names(void *arg, const char *name)
{
	struct spool_names *names = arg;
	struct json_object *sheet = sheetfile_read(names->dir, names->sub, name), *files;
	size_t i;

	if (!sheet)
		return;
	files = sheet_member(sheet, "files");
	for (i = 0; i < json_object_array_length(files); i++)
		spool_names_add(names, sheet_string(json_object_array_get_idx(files, i), "name"));
	json_object_put(sheet);
}

static void recordings_restored(struct finisher *f)
{
	struct spool_names names = { .dir = f->o.dir, .sub = f->queue_dir };
	unsigned int n;

	sheetfile_each(f->o.dir, f->queue_dir, open_again, f);
	sheetfile_each(f->o.dir, f->queue_dir, complete_orphan, f);
	if (!f->o.spool_dir)
		return;
	sheetfile_each(f->o.dir, f->queue_dir, note_names, &names);
	n = spool_name_orphans(f->o.spool_dir, &names);
	spool_names_free(&names);
	counter_add(&f->counts.orphans, n);
}

/* ---- the thread ---- */

static void take_note(struct finisher *f, const struct note *n)
{
	struct json_object *sheet;

	if (n->kind == RESTORED) {
		recordings_restored(f);
		return;
	}
	sheet = json_tokener_parse(n->text);
	if (!sheet)
		return;
	if (n->kind == COMPLETE) {
		recording_complete(f, n->key, sheet);
		live_remove(f, n->key);
	} else {
		take_begin(f, n, sheet);
	}
	json_object_put(sheet);
}

static struct note *next_note(struct finisher *f, bool *stop)
{
	struct note *n;

	pthread_mutex_lock(&f->lock);
	n = f->notes;
	if (n) {
		f->notes = n->next;
		if (!f->notes)
			f->end = &f->notes;
		f->waiting--;
	}
	*stop = f->stop;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void note_free(struct note *n)
{
	free(n->text);
	free(n);
}

static void look_for_old(struct finisher *f)
{
	const struct retention_opts opts = { .dir = f->o.dir,
					     .queue_dir = f->queue_dir,
					     .keep_days = f->o.keep_days,
					     .quota_bytes = f->o.quota_bytes };
	const uint64_t now_ns = clock_now();

	if ((!f->o.keep_days && !f->o.quota_bytes) || now_ns < f->retention_ns)
		return;
	f->retention_ns = now_ns + RETENTION_NS;
	counter_add(&f->counts.removed, retention_run(&opts, clock_read(CLOCK_REALTIME)));
}

static void *thread_of_finisher(void *arg)
{
	struct finisher *f = arg;
	struct note *n;
	uint64_t wakes;
	bool stop;

	jobs_recover(f->jobs);
	do {
		while ((n = next_note(f, &stop))) {
			take_note(f, n);
			note_free(n);
		}
		if (stop)
			break;
		look_for_old(f);
		jobs_run(f->jobs, f->wake, TICK_MS);
		if (read(f->wake, &wakes, sizeof(wakes)) < 0 && errno != EAGAIN)
			usleep(TICK_MS);
	} while (true);
	jobs_free(f->jobs);
	pthread_mutex_lock(&f->lock);
	f->stopped = true;
	pthread_cond_broadcast(&f->idle);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- the loop ---- */

static void thread_wake(struct finisher *f)
{
	const uint64_t one = 1;

	if (write(f->wake, &one, sizeof(one)) < 0)
		return; /* the counter is full, so the thread is awake */
}

/* Takes @text. */
static void note_post(struct finisher *f, enum kind kind, const char *key, char *text)
{
	struct note *n = calloc(1, sizeof(*n));
	bool full;

	pthread_mutex_lock(&f->lock);
	full = f->waiting >= MAX_WAITING || !n || (!text && kind != RESTORED);
	if (!full) {
		*n = (struct note){ .kind = kind, .text = text };
		snprintf(n->key, sizeof(n->key), "%s", key);
		*f->end = n;
		f->end = &n->next;
		f->waiting++;
	}
	pthread_mutex_unlock(&f->lock);
	if (!full) {
		thread_wake(f);
		return;
	}
	free(n);
	free(text);
	if (kind != COMPLETE)
		return;
	counter_add(&f->counts.lost, 1);
	log_provoked(PROVOKED_SHEETS_FULL, NULL, f->o.dir);
}

void finisher_begin(struct finisher *f, const char *key, char *text, bool first)
{
	note_post(f, first ? BEGIN_FIRST : BEGIN, key, text);
}

void finisher_complete(struct finisher *f, const char *key, char *text)
{
	note_post(f, COMPLETE, key, text);
}

void finisher_restored(struct finisher *f)
{
	note_post(f, RESTORED, "", NULL);
}

struct finisher_counts finisher_counts(const struct finisher *f)
{
	return (struct finisher_counts){
		.complete = __atomic_load_n(&f->counts.complete, __ATOMIC_RELAXED),
		.lost = __atomic_load_n(&f->counts.lost, __ATOMIC_RELAXED),
		.orphans = __atomic_load_n(&f->counts.orphans, __ATOMIC_RELAXED),
		.removed = __atomic_load_n(&f->counts.removed, __ATOMIC_RELAXED),
		.jobs = jobs_counts(f->jobs),
	};
}

/* ---- begin and end ---- */

int finisher_new(struct finisher **out, const struct finisher_opts *opts)
{
	struct finisher *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->o = *opts;
	memcpy(f->queue_dir, ".rtpx-", 6);
	naming_key(opts->instance, "", f->queue_dir + 6);
	f->o.jobs.dir = f->o.dir;
	f->o.jobs.queue_dir = f->queue_dir;
	f->end = &f->notes;
	pthread_mutex_init(&f->lock, NULL);
	thread_cond_init(&f->idle);
	f->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	err = f->wake < 0 ? -errno : jobs_new(&f->jobs, &f->o.jobs);
	if (!err)
		err = thread_run(&f->thread, thread_of_finisher, f);
	if (!err) {
		*out = f;
		return 0;
	}
	jobs_free(f->jobs);
	if (f->wake >= 0)
		close(f->wake);
	free(f);
	return err;
}

/* A thread that hangs on the disk ends with the process, so its memory is not freed. */
void finisher_free(struct finisher *f)
{
	const uint64_t until_ns = clock_now() + FINISHER_EXIT_MS * NSEC_PER_MSEC;
	struct live *l, *next;
	int err = 0;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	thread_wake(f);
	while (!f->stopped && !err)
		err = thread_wait(&f->idle, &f->lock, until_ns);
	pthread_mutex_unlock(&f->lock);
	if (err) {
		log_err("%s: the disk does not answer: descriptions of recordings are left to the "
			"next daemon",
			f->o.dir);
		return;
	}
	pthread_join(f->thread, NULL);
	HASH_ITER(hh, f->live, l, next) {
		HASH_DEL(f->live, l);
		free(l);
	}
	close(f->wake);
	pthread_cond_destroy(&f->idle);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
