/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * jobs.c - a list of names in memory, a few slots with a child each, and files for all else.
 *
 * A description has marks of the steps that are done: the member audio, and the words of handed_to.
 * So a step is repeated only if the process ended in the middle of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "record/jobs.h"
#include "base/clock.h"
#include "base/provoked.h"
#include "base/put.h"
#include "media/audio.h"
#include "media/rtp.h"
#include "record/child.h"
#include "record/sheetfile.h"

#define IN_MEMORY 1024 /* jobs; others wait in the directory */
#define ATTEMPTS 3
#define PAUSE_NS (2 * NSEC_PER_SEC) /* after the first attempt; ten times that after the second */
#define SOUND_MEMORY (512u << 20)
#define SOUND_TIME_NS (3600 * NSEC_PER_SEC)
#define MAX_ARGS 600
#define DONE ".done"
#define FAILED ".failed"
#define NO_OUTPUT 2 /* exit code of extractaudio: the sound file cannot be written */

enum step { STEP_SOUND, STEP_HOOK, STEP_URL, STEP_END };

struct job {
	struct job *next;
	char name[NAME_MAX + 1]; /* of its file */
	unsigned int attempts;	 /* of the step */
	uint64_t not_before_ns;
	/* while it has a slot */
	struct json_object *sheet;
	enum step step;
	struct child child;
};

struct jobs {
	const struct jobs_opts *o;
	struct job *queue, **end;
	unsigned int queued, running;
	bool more; /* the directory has jobs that are not in memory */
	struct job *slot[JOBS_MAX_WORKERS];
	struct jobs_counts counts; /* atomic */
};

/* The arguments of a child. */
struct args {
	const char *v[MAX_ARGS + 1];
	char *owned[MAX_ARGS];
	unsigned int n, n_owned;
};

static void counter_change(uint64_t *counter, int64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* ---- steps ---- */

static enum sheet_sound sound_wanted(const struct jobs *j, struct json_object *sheet)
{
	const char *wanted = sheet_string(sheet, "wanted");
	enum sheet_sound sound = wanted ? sheet_sound_of(span_of(wanted)) : SHEET_NONE;

	return sound ? sound : j->o->sound;
}

/* True: the step @word is in the member handed_to. */
static bool was_handed_to(struct json_object *sheet, const char *word)
{
	struct json_object *all = sheet_member(sheet, "handed_to");
	size_t i;

	for (i = 0; all && i < json_object_array_length(all); i++)
		if (!strcmp(json_object_get_string(json_object_array_get_idx(all, i)), word))
			return true;
	return false;
}

static void put_handed_to(struct json_object *sheet, const char *word)
{
	struct json_object *all = sheet_member(sheet, "handed_to");

	if (!all) {
		all = json_object_new_array();
		json_object_object_add(sheet, "handed_to", all);
	}
	json_object_array_add(all, json_object_new_string(word));
}

static enum step step_of(const struct jobs *j, struct json_object *sheet)
{
	if (sound_wanted(j, sheet) && !sheet_member(sheet, "audio"))
		return STEP_SOUND;
	if (j->o->hook && !was_handed_to(sheet, "hook"))
		return STEP_HOOK;
	if (j->o->url && !was_handed_to(sheet, "url"))
		return STEP_URL;
	return STEP_END;
}

bool jobs_wants(const struct jobs *j, struct json_object *sheet)
{
	return step_of(j, sheet) != STEP_END;
}

/* ---- arguments ---- */

static void add_arg(struct args *a, const char *arg)
{
	if (a->n < MAX_ARGS)
		a->v[a->n++] = arg;
}

static void add_print(struct args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add_print(struct args *a, const char *fmt, ...)
{
	va_list ap;
	char *arg;
	int n;

	va_start(ap, fmt);
	n = a->n < MAX_ARGS ? vasprintf(&arg, fmt, ap) : -1;
	va_end(ap);
	if (n < 0)
		return;
	a->owned[a->n_owned++] = arg;
	add_arg(a, arg);
}

static void free_args(struct args *a)
{
	while (a->n_owned)
		free(a->owned[--a->n_owned]);
}

/* Directories where extractaudio may be: beside this program, as in a build, or installed. */
static bool tool_path(char path[PATH_MAX])
{
	static const char *const from[] = { "extractaudio", "../bin/extractaudio" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t i;
	char *slash;

	self[MAX(n, 0)] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	slash[1] = '\0';
	for (i = 0; i < ARRAY_SIZE(from); i++)
		if (snprintf(path, PATH_MAX, "%s%s", self, from[i]) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return true;
	return false;
}

/* True: a directory of PATH has the program @name. */
static bool is_in_path(const char *name)
{
	const char *p = getenv("PATH");
	char path[PATH_MAX];

	for (p = p ? p : "/usr/bin:/bin"; *p; p += *p == ':') {
		size_t len = strcspn(p, ":");

		if (snprintf(path, sizeof(path), "%.*s/%s", (int)len, p, name) <
			    (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			return true;
		p += len;
	}
	return false;
}

/* True in a build that has all codecs but AMR, if --codec names it. */
static bool lacks_amr(const struct jobs_opts *o)
{
	const struct audio_codec *c, *always = audio_codec_of(0);
	unsigned int i;

	for (i = 0; i < AUDIO_CODEC_DYNAMIC; i++) {
		c = audio_codec_mapped(o->codecs, RTP_FIRST_DYNAMIC + i);
		if (c && audio_is_built(always) && !audio_is_built(c))
			return true;
	}
	return false;
}

const char *jobs_check(const struct jobs_opts *o)
{
	static char why[PATH_MAX + 100];
	char path[PATH_MAX];

	if (o->sound && lacks_amr(o))
		return "--record-format: this build has no decoder for AMR of --codec (AMR=no)";
	if (o->sound && !tool_path(path))
		return "--record-format: extractaudio is not installed beside rtpxd, nor in "
		       "../bin of it";
	if (o->hook && access(o->hook, X_OK)) {
		snprintf(why, sizeof(why), "--record-hook %.200s: %s", o->hook, strerror(errno));
		return why;
	}
	if (o->url && !is_in_path("curl"))
		return "--record-url: there is no program curl in PATH; install the package curl";
	return NULL;
}

static void add_codecs(struct args *a, const struct jobs *j)
{
	const struct audio_codec *c;
	char text[AUDIO_CODEC_TEXT];
	unsigned int i;

	for (i = 0; i < AUDIO_CODEC_DYNAMIC; i++) {
		c = audio_codec_mapped(j->o->codecs, RTP_FIRST_DYNAMIC + i);
		if (!c)
			continue;
		add_arg(a, "--codec");
		add_print(a, "%u=%s", RTP_FIRST_DYNAMIC + i, audio_codec_text(c, text));
	}
}

/* True: a file of a description has RTP to make sound of. */
static bool has_sound(struct json_object *file)
{
	return strcmp(sheet_string(file, "media"), "rtcp") &&
	       json_object_get_uint64(sheet_member(file, "packets"));
}

static void add_files(struct args *a, struct json_object *sheet)
{
	struct json_object *files = sheet_member(sheet, "files");
	size_t i;

	for (i = 0; i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);
		const char *party = sheet_string(f, "party");

		if (!has_sound(f))
			continue;
		add_arg(a, !strcmp(party, "caller")   ? "-B"
			   : !strcmp(party, "callee") ? "-A"
						      : "--both");
		add_print(a, "./%s", sheet_string(f, "name")); /* it may begin with '-' */
	}
}

static void sound_args(struct args *a, const struct jobs *j, struct json_object *sheet,
		       const char *tool)
{
	/* file and sample format of libsndfile, by enum sheet_sound */
	static const char *const formats[SHEET_SOUND_COUNT][2] = {
		[SHEET_WAV] = { "wav", "pcm_16" },
		[SHEET_FLAC] = { "flac", "pcm_16" },
		[SHEET_OPUS] = { "ogg", "opus" },
		[SHEET_MP3] = { "mp3", "mp3" },
	};
	enum sheet_sound sound = sound_wanted(j, sheet);

	add_arg(a, tool);
	add_arg(a, "-i");
	add_arg(a, "--with-parent");
	add_print(a, "%d", (int)getpid());
	if (!j->o->mono)
		add_arg(a, "-s");
	if (j->o->remove_raw && !json_object_get_uint64(sheet_member(sheet, "lost")))
		add_arg(a, "-d");
	add_arg(a, "--rate");
	add_arg(a, "input");
	add_arg(a, "-F");
	add_arg(a, formats[sound][0]);
	add_arg(a, "-D");
	add_arg(a, formats[sound][1]);
	add_codecs(a, j);
	add_files(a, sheet);
	add_print(a, "./%s.%s", sheet_string(sheet, "name"), sheet_sound_name(sound));
}

static void hook_args(struct args *a, const struct jobs *j, struct json_object *sheet)
{
	const char *name = sheet_string(sheet_member(sheet, "audio"), "name");

	add_arg(a, j->o->hook);
	add_print(a, "%s/%s.json", j->o->dir, sheet_string(sheet, "name"));
	if (name)
		add_print(a, "%s/%s", j->o->dir, name);
	else
		add_arg(a, "");
}

static void url_args(struct args *a, const struct jobs *j)
{
	static const char *const words[] = { "curl",	      "--silent",
					     "--show-error",  "--fail",
					     "--proto",	      "=http,https",
					     "--output",      "/dev/null",
					     "--header",      "Content-Type: application/json",
					     "--data-binary", "@-",
					     "--url" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		add_arg(a, words[i]);
	add_arg(a, j->o->url);
}

/* ---- one step ---- */

static bool file_exists(const struct jobs *j, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", j->o->dir, name) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

/* The number of raw files with packets that are there, and that are gone. */
static void count_raw(const struct jobs *j, struct json_object *sheet, size_t *there, size_t *gone)
{
	struct json_object *files = sheet_member(sheet, "files");
	size_t i;

	*there = *gone = 0;
	for (i = 0; i < json_object_array_length(files); i++) {
		struct json_object *f = json_object_array_get_idx(files, i);

		if (!has_sound(f))
			continue;
		if (file_exists(j, sheet_string(f, "name")))
			(*there)++;
		else
			(*gone)++;
	}
}

static void put_audio(const struct jobs *j, struct json_object *sheet, const char *error)
{
	const char *format = sheet_sound_name(sound_wanted(j, sheet));
	struct json_object *o = json_object_new_object();
	char name[NAME_MAX + 8];
	size_t there, gone;

	count_raw(j, sheet, &there, &gone);
	snprintf(name, sizeof(name), "%s.%s", sheet_string(sheet, "name"), format);
	put_text(o, "name", error ? NULL : name);
	put_text(o, "format", format);
	put_number(o, "channels", j->o->mono ? 1 : 2);
	put_text(o, "raw", gone ? "removed" : "kept");
	if (error)
		put_text(o, "error", error);
	json_object_object_add(sheet, "audio", o);
}

/*
 * A previous process made the sound file, and was killed while raw files were deleted: the file had
 * been verified before the first of them went.
 */
static bool is_made(const struct jobs *j, struct json_object *sheet)
{
	char name[NAME_MAX + 8];
	size_t there, gone;

	snprintf(name, sizeof(name), "%s.%s", sheet_string(sheet, "name"),
		 sheet_sound_name(sound_wanted(j, sheet)));
	count_raw(j, sheet, &there, &gone);
	return gone > 0 && file_exists(j, name);
}

static int job_save(const struct jobs *j, const struct job *job)
{
	char name[NAME_MAX + 8];
	int err;

	put_bool(job->sheet, "waiting", step_of(j, job->sheet) != STEP_END);
	err = sheetfile_write(j->o->dir, j->o->queue_dir, job->name, job->sheet);
	snprintf(name, sizeof(name), "%s.json", sheet_string(job->sheet, "name"));
	return err ? err : sheetfile_write(j->o->dir, NULL, name, job->sheet);
}

static int start_child(struct jobs *j, struct job *job)
{
	struct child_opts o = { .dir = j->o->dir,
				.input = -1,
				.time_ns = j->o->hook_time_s * NSEC_PER_SEC };
	struct args a = { 0 };
	char tool[PATH_MAX];
	int rc;

	if (job->step == STEP_SOUND) {
		if (!tool_path(tool))
			return -ENOENT;
		sound_args(&a, j, job->sheet, tool);
		o.memory_bytes = SOUND_MEMORY;
		o.time_ns = SOUND_TIME_NS;
	} else {
		if (job->step == STEP_HOOK)
			hook_args(&a, j, job->sheet);
		else
			url_args(&a, j);
		o.input = sheetfile_open(j->o->dir, j->o->queue_dir, job->name);
		if (o.input < 0) {
			free_args(&a);
			return o.input;
		}
	}
	o.argv = a.v;
	rc = a.n < MAX_ARGS ? child_start(&job->child, &o, clock_now()) : -E2BIG;
	free_args(&a);
	if (o.input >= 0)
		close(o.input);
	return rc;
}

/* ---- the life of a job ---- */

static void job_enqueue(struct jobs *j, struct job *job)
{
	job->next = NULL;
	*j->end = job;
	j->end = &job->next;
	j->queued++;
}

static void job_free(struct job *job)
{
	json_object_put(job->sheet);
	free(job);
}

static const char *step_name(enum step step)
{
	static const char *const names[] = { "sound file", "hook", "URL" };

	return names[step];
}

/* Give up for this process; the file has another name, so jobs_scan() leaves it to the next one. */
static void job_give_up(struct jobs *j, struct job *job)
{
	sheetfile_rename(j->o->dir, j->o->queue_dir, job->name, DONE, FAILED);
	counter_change(&j->counts.failed, 1);
	job_free(job);
}

static void handed_on(struct jobs *j, struct job *job)
{
	sheetfile_remove(j->o->dir, j->o->queue_dir, job->name);
	counter_change(&j->counts.waiting, -1);
	job_free(job);
}

static void next_step(struct jobs *j, struct job *job)
{
	int err = job_save(j, job);

	if (err) {
		log_provoked(PROVOKED_NO_SHEET, NULL, sheet_string(job->sheet, "name"), j->o->dir,
			     strerror(-err));
		job_give_up(j, job);
		return;
	}
	job->attempts = 0;
	if (step_of(j, job->sheet) == STEP_END) {
		handed_on(j, job);
		return;
	}
	json_object_put(job->sheet);
	job->sheet = NULL;
	job_enqueue(j, job);
}

/* The step failed, which the log says. @again: another attempt may succeed. */
static void job_fail(struct jobs *j, struct job *job, const char *why, bool again)
{
	log_provoked(PROVOKED_STEP_FAILED, NULL, sheet_string(job->sheet, "name"),
		     step_name(job->step), why);
	if (again && ++job->attempts < ATTEMPTS) {
		job->not_before_ns = clock_now() + PAUSE_NS * (job->attempts > 1 ? 10 : 1);
		json_object_put(job->sheet);
		job->sheet = NULL;
		job_enqueue(j, job);
		return;
	}
	if (job->step != STEP_SOUND) {
		job_give_up(j, job);
		return;
	}
	counter_change(&j->counts.failed, 1);
	put_audio(j, job->sheet, why);
	next_step(j, job);
}

static void job_succeed(struct jobs *j, struct job *job)
{
	if (job->step == STEP_SOUND) {
		put_audio(j, job->sheet, NULL);
		counter_change(&j->counts.made, 1);
	} else {
		put_handed_to(job->sheet, job->step == STEP_HOOK ? "hook" : "url");
		counter_change(&j->counts.told, 1);
	}
	next_step(j, job);
}

static bool has_packets(const struct jobs *j, struct json_object *sheet)
{
	size_t there, gone;

	count_raw(j, sheet, &there, &gone);
	return there + gone > 0;
}

/* Have the next step of the job done. True: it has a child now. */
static bool job_begin(struct jobs *j, struct job *job)
{
	int err;

	job->sheet = sheetfile_read(j->o->dir, j->o->queue_dir, job->name);
	if (!job->sheet) {
		log_provoked(PROVOKED_NO_JOB, NULL, j->o->dir, j->o->queue_dir, job->name);
		job_give_up(j, job);
		return false;
	}
	job->step = step_of(j, job->sheet);
	if (job->step == STEP_END) { /* this process has other options than the previous one */
		next_step(j, job);
		return false;
	}
	if (job->step == STEP_SOUND && !has_packets(j, job->sheet)) {
		put_audio(j, job->sheet, "there are no packets");
		next_step(j, job);
		return false;
	}
	if (job->step == STEP_SOUND && is_made(j, job->sheet)) {
		job_succeed(j, job);
		return false;
	}
	err = start_child(j, job);
	if (!err)
		return true;
	job_fail(j, job, strerror(-err), err != -ENOENT && err != -E2BIG);
	return false;
}

static void job_end(struct jobs *j, struct job *job, int status)
{
	char why[CHILD_WORDS + 60];
	const char *says = child_says(&job->child);

	if (status == 0) {
		job_succeed(j, job);
		return;
	}
	if (job->child.overdue)
		snprintf(why, sizeof(why), "it took too long");
	else if (status > 128)
		snprintf(why, sizeof(why), "signal %d ended it", status - 128);
	else
		snprintf(why, sizeof(why), "exit code %d: %s", status, says);
	job_fail(j, job, why, job->step != STEP_SOUND || status >= NO_OUTPUT);
}

/* ---- the queue ---- */

/* Take the first job whose time has come. */
static struct job *job_take(struct jobs *j, uint64_t now_ns)
{
	struct job **at, *job;

	for (at = &j->queue; (job = *at); at = &job->next) {
		if (job->not_before_ns > now_ns)
			continue;
		*at = job->next;
		if (!*at)
			j->end = at;
		j->queued--;
		return job;
	}
	return NULL;
}

static bool has_slot(const struct jobs *j, const char *name)
{
	unsigned int i;

	for (i = 0; i < j->o->workers; i++)
		if (j->slot[i] && !strcmp(j->slot[i]->name, name))
			return true;
	return false;
}

static void queue_job(struct jobs *j, const char *name)
{
	struct job *job;

	if (j->queued >= IN_MEMORY || !(job = calloc(1, sizeof(*job)))) {
		j->more = true;
		return;
	}
	snprintf(job->name, sizeof(job->name), "%s", name);
	job->child = (struct child){ .pid_fd = -1, .output = -1 };
	job_enqueue(j, job);
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), end = strlen(suffix);

	return len > end && !strcmp(name + len - end, suffix);
}

static void take_each(void *arg, const char *name)
{
	struct jobs *j = arg;

	if (ends_with(name, DONE) && !has_slot(j, name))
		queue_job(j, name);
}

/* Read the directory. Called with an empty list only. */
static void queue_scan(struct jobs *j)
{
	j->more = false;
	sheetfile_each(j->o->dir, j->o->queue_dir, take_each, j);
}

static void start_some(struct jobs *j, uint64_t now_ns)
{
	struct job *job;
	unsigned int i;

	for (i = 0; i < j->o->workers; i++) {
		while (!j->slot[i] && (job = job_take(j, now_ns))) {
			if (!job_begin(j, job))
				continue;
			j->slot[i] = job;
			j->running++;
		}
	}
	if (!j->queued && j->more)
		queue_scan(j);
}

static void end_some(struct jobs *j, uint64_t now_ns)
{
	unsigned int i;
	int status;

	for (i = 0; i < j->o->workers; i++) {
		struct job *job = j->slot[i];

		if (!job)
			continue;
		child_hear(&job->child);
		if (!child_reap(&job->child, now_ns, &status))
			continue;
		j->slot[i] = NULL;
		j->running--;
		job_end(j, job, status);
	}
}

void jobs_add(struct jobs *j, const char *name)
{
	counter_change(&j->counts.waiting, 1);
	/* The directory is read when the list is empty; a job in both would run twice. */
	if (!j->more)
		queue_job(j, name);
}

static void revive_each(void *arg, const char *name)
{
	struct jobs *j = arg;

	if (ends_with(name, FAILED))
		sheetfile_rename(j->o->dir, j->o->queue_dir, name, FAILED, DONE);
}

static void count_each(void *arg, const char *name)
{
	struct jobs *j = arg;

	if (ends_with(name, DONE))
		counter_change(&j->counts.waiting, 1);
}

void jobs_recover(struct jobs *j)
{
	sheetfile_each(j->o->dir, j->o->queue_dir, revive_each, j);
	sheetfile_each(j->o->dir, j->o->queue_dir, count_each, j);
	queue_scan(j);
}

/* How long jobs_run() may sleep: until a job in the list may be tried again. */
static int poll_ms(const struct jobs *j, int timeout_ms)
{
	return j->queued || j->more ? MIN(timeout_ms, 200) : timeout_ms;
}

void jobs_run(struct jobs *j, int wake_fd, int timeout_ms)
{
	struct pollfd fds[1 + 2 * JOBS_MAX_WORKERS] = { { .fd = wake_fd, .events = POLLIN } };
	unsigned int i, n = 1;

	start_some(j, clock_now());
	for (i = 0; i < j->o->workers; i++) {
		if (!j->slot[i])
			continue;
		fds[n++] = (struct pollfd){ .fd = j->slot[i]->child.pid_fd, .events = POLLIN };
		fds[n++] = (struct pollfd){ .fd = j->slot[i]->child.output, .events = POLLIN };
	}
	poll(fds, n, poll_ms(j, timeout_ms));
	end_some(j, clock_now());
}

struct jobs_counts jobs_counts(const struct jobs *j)
{
	return (struct jobs_counts){
		.made = __atomic_load_n(&j->counts.made, __ATOMIC_RELAXED),
		.told = __atomic_load_n(&j->counts.told, __ATOMIC_RELAXED),
		.failed = __atomic_load_n(&j->counts.failed, __ATOMIC_RELAXED),
		.waiting = __atomic_load_n(&j->counts.waiting, __ATOMIC_RELAXED),
	};
}

/* ---- begin and end ---- */

int jobs_new(struct jobs **out, const struct jobs_opts *opts)
{
	struct jobs *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->o = opts;
	j->end = &j->queue;
	*out = j;
	return 0;
}

void jobs_free(struct jobs *j)
{
	struct job *job;
	unsigned int i;

	if (!j)
		return;
	for (i = 0; i < j->o->workers; i++) {
		if (!j->slot[i])
			continue;
		child_kill(&j->slot[i]->child);
		job_free(j->slot[i]);
	}
	while ((job = j->queue)) {
		j->queue = job->next;
		job_free(job);
	}
	free(j);
}
