/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_writer.c - files in a directory of the test's own: their bytes, packets that the disk does
 * not take, and names that must not leave the directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "../../daemon/record/writer.c"

#define HEAD 30 /* bytes before the payload of an ad-hoc record */
#define BYTES 172
#define WAIT_MS 20000

static char dir[] = "/tmp/rtpx-writer-XXXXXX";
static struct writer *w;
static struct tally *tally;

static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static bool replace; /* of the next begin_with() */

static void begin_with(bool pcap, bool spool, size_t queue_bytes)
{
	static char rec[64], spl[64];

	snprintf(rec, sizeof(rec), "%s/rec", dir);
	snprintf(spl, sizeof(spl), "%s/spool", dir);
	run("rm -rf %s && mkdir -p %s %s", dir, rec, spl);
	tally = tally_new(NULL);
	assert_non_null(tally);
	assert_int_equal(writer_new(&w, &(struct writer_opts){ .dir = rec,
							       .spool_dir = spool ? spl : NULL,
							       .pcap = pcap,
							       .replace = replace,
							       .queue_bytes = queue_bytes,
							       .patience_ms = WAIT_MS }),
			 0);
}

static int begin(void **state)
{
	(void)state;
	begin_with(false, false, 0);
	return 0;
}

static int begin_spool(void **state)
{
	(void)state;
	begin_with(false, true, 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	writer_free(w);
	w = NULL;
	tally_drop(tally);
	tally = NULL;
	run("rm -rf %s", dir);
	return 0;
}

static struct writer_name named(const char *stem)
{
	static const char *const taken_by[] = { ".other", NULL };

	return (struct writer_name){ .stem = stem, .suffix = "", .part = 1, .taken_by = taken_by };
}

static int open_file(const char *stem, struct tally *of, struct writer_file **f)
{
	const struct writer_name name = named(stem);

	return writer_open(w, &name, of, NULL, f);
}

static struct writer_file *file(const char *stem)
{
	struct writer_file *f;

	assert_int_equal(open_file(stem, tally, &f), 0);
	return f;
}

static void put_of(struct writer_file *f, unsigned int n, size_t len)
{
	static uint8_t data[8192];
	struct format_packet p = { .realtime_ns = 1700000000250000000ull,
				   .data = data,
				   .len = len };
	unsigned int i;

	p.src = (struct addr){ .family = ADDR_IP4, .port = 5000, .ip = { 192, 0, 2, 1 } };
	p.dst = (struct addr){ .family = ADDR_IP4, .port = 4000, .ip = { 192, 0, 2, 2 } };
	for (i = 0; i < n; i++) {
		memset(data, i, len);
		writer_put(w, f, &p);
	}
	writer_flush(w);
}

static void put(struct writer_file *f, unsigned int n)
{
	put_of(f, n, BYTES);
}

static void close_now(struct writer_file *f)
{
	writer_close(w, f);
	assert_int_equal(writer_idle(w, WAIT_MS), 0);
}

/* Size of a file in bytes, -1 if it does not exist. */
static long size_of(const char *place, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, place, name);
	return lstat(path, &st) ? -1 : (long)st.st_size;
}

/* Waits until the file exists and has @bytes bytes. */
static void becomes(const char *place, const char *name, long bytes)
{
	uint64_t until = clock_now() + WAIT_MS * NSEC_PER_MSEC;

	while (size_of(place, name) != bytes) {
		assert_true(clock_now() < until);
		usleep(1000);
	}
}

/* Waits until the thread has taken packets out of at least half of the ring. */
static void half_taken(void)
{
	uint64_t until = clock_now() + WAIT_MS * NSEC_PER_MSEC;

	while (w->head - __atomic_load_n(&w->tail, __ATOMIC_ACQUIRE) > w->ring_bytes / 2) {
		assert_true(clock_now() < until);
		usleep(1000);
	}
}

/* Waits until the thread has counted @n packets, written or lost. */
static struct tally_counts counted(uint64_t n)
{
	uint64_t until = clock_now() + WAIT_MS * NSEC_PER_MSEC;
	struct tally_counts c;

	do {
		c = tally_read(tally);
		if (c.packets + c.lost >= n)
			return c;
		usleep(1000);
	} while (clock_now() < until);
	fail_msg("%llu packets were counted", (unsigned long long)(c.packets + c.lost));
	return c;
}

/* ---- written bytes ---- */

static void writes_whole_records(void **state)
{
	struct writer_file *f = file("a");
	uint8_t record[HEAD + BYTES];
	char path[256];
	double when;
	uint16_t u16;
	FILE *in;
	int i;

	(void)state;
	assert_int_equal(size_of("rec", "a"), 0);
	put(f, 100);
	close_now(f);
	assert_int_equal(size_of("rec", "a"), 100 * (HEAD + BYTES));
	snprintf(path, sizeof(path), "%s/rec/a", dir);
	in = fopen(path, "r");
	for (i = 0; i < 100; i++) {
		assert_int_equal(fread(record, sizeof(record), 1, in), 1);
		memcpy(&u16, record, 2);
		assert_int_equal(u16, AF_INET);
		assert_int_equal(record[2] << 8 | record[3], 5000);
		assert_memory_equal(record + 4, "\xc0\0\2\1", 4);
		memcpy(&when, record + 20, 8);
		assert_true(when == 1700000000.25);
		memcpy(&u16, record + 28, 2);
		assert_int_equal(u16, BYTES);
		assert_int_equal(record[HEAD], i);
		assert_int_equal(record[HEAD + BYTES - 1], i);
	}
	fclose(in);
	assert_int_equal(tally_read(tally).packets, 100);
	assert_int_equal(tally_read(tally).bytes, 100 * BYTES);
	assert_int_equal(tally_read(tally).lost, 0);
	writer_reap(w);
	assert_int_equal(writer_files(w), 0);
}

static void buffers_4096_bytes(void **state)
{
	struct writer_file *f = file("a");
	const unsigned int fit = WRITER_BUFFER / (HEAD + BYTES);

	(void)state;
	put(f, fit);
	usleep(3 * NAP_MS * 1000);
	assert_int_equal(size_of("rec", "a"), 0);
	put(f, 1);
	assert_int_equal(counted(fit + 1).packets, fit + 1);
	assert_int_equal(size_of("rec", "a"), (fit + 1) * (HEAD + BYTES));
	put_of(f, 1, 8192);
	assert_int_equal(counted(fit + 2).packets, fit + 2);
	assert_int_equal(size_of("rec", "a"), (fit + 1) * (HEAD + BYTES) + HEAD + 8192);
	close_now(f);
}

static void goes_round_the_ring(void **state)
{
	struct writer_file *f;
	unsigned int i;

	(void)state;
	end(state);
	begin_with(false, false, 96 * 1024);
	f = file("a");
	for (i = 0; i < 1000; i++) {
		half_taken();
		put_of(f, 1, 1 + i % 400);
	}
	close_now(f);
	assert_int_equal(tally_read(tally).packets, 1000);
	assert_int_equal(size_of("rec", "a"), tally_read(tally).bytes + 1000 * HEAD);
}

/*
 * The thread fixes its next packets when it looks for a job; a job posted later comes after them.
 */
static void takes_nothing_that_follows_a_later_job(void **state)
{
	const struct writer_name name = named("a");
	struct writer_file *f = writer_file_new(w, &name, file_key(&name), tally, NULL);
	size_t upto;
	bool stop;

	(void)state;
	w->ring = malloc(w->ring_bytes);
	put(f, 3);
	assert_null(job_wait(w, &upto, &stop));
	job_post(w, f, &f->end, file_complete);
	put(f, 1);
	assert_true(upto <= f->end.at);
	assert_ptr_equal(job_wait(w, &upto, &stop), &f->end);
	assert_int_equal(upto, f->end.at);
	writer_file_free(f);
}

static void begins_pcap_with_its_head(void **state)
{
	struct writer_file *f;

	(void)state;
	end(state);
	begin_with(true, false, 0);
	f = file("a");
	assert_int_equal(size_of("rec", "a"), 24);
	put(f, 3);
	close_now(f);
	assert_int_equal(size_of("rec", "a"), 24 + 3 * (16 + 14 + 20 + 8 + BYTES));
}

/* The time of the record at @at in rec/a, in seconds. */
static double time_at(long at)
{
	char path[256];
	double when;
	FILE *in;

	snprintf(path, sizeof(path), "%s/rec/a", dir);
	in = fopen(path, "r");
	fseek(in, at + 20, SEEK_SET);
	assert_int_equal(fread(&when, sizeof(when), 1, in), 1);
	fclose(in);
	return when;
}

/*
 * Packets of both ways into a file stand in order of time. One that comes after later packets are
 * written gets their time.
 */
static void times_never_go_backwards(void **state)
{
	static const uint64_t arrivals_ms[] = { 4000000, 4000040, 4000020, 4000060, 4000010 };
	static const uint64_t recorded_ms[] = { 4000000, 4000010, 4000020, 4000040, 4000060 };
	struct writer_file *f = file("a");
	uint8_t byte = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(arrivals_ms); i++)
		writer_put(w, f,
			   &(struct format_packet){ .src = { .family = ADDR_IP4 },
						    .data = &byte,
						    .len = 1,
						    .realtime_ns =
							    arrivals_ms[i] * NSEC_PER_MSEC });
	put_of(f, 1, 8192); /* a record that fills the buffer, so it is written */
	assert_int_equal(counted(6).packets, 6);
	writer_put(w, f,
		   &(struct format_packet){ .src = { .family = ADDR_IP4 },
					    .data = &byte,
					    .len = 1,
					    .realtime_ns = 1 });
	close_now(f);
	assert_int_equal(size_of("rec", "a"), 6 * (HEAD + 1) + HEAD + 8192);
	for (i = 0; i < ARRAY_SIZE(arrivals_ms); i++)
		assert_int_equal((long)(time_at((long)i * (HEAD + 1)) * 1000 + 0.5),
				 recorded_ms[i]);
	assert_true(time_at(5 * (HEAD + 1) + HEAD + 8192) == 1700000000.25);
}

/* ---- names ---- */

static void shares_a_name_in_one_session_only(void **state)
{
	struct writer_file *f = file("a"), *other;
	struct tally *stranger = tally_new(NULL);

	(void)state;
	assert_non_null(stranger);
	assert_ptr_equal(file("a"), f);
	assert_int_equal(open_file("a", stranger, &other), -EBUSY);
	put(f, 1);
	writer_close(w, f);
	assert_int_equal(writer_idle(w, 0), 0);
	put(f, 1);
	close_now(f);
	assert_int_equal(tally_read(tally).packets, 2);
	assert_int_equal(open_file("a", stranger, &other), 0);
	assert_int_equal(writer_part(other), 2);
	assert_int_equal(size_of("rec", "a=2"), 0);
	assert_int_equal(size_of("rec", "a"), 2 * (HEAD + BYTES));
	close_now(other);
	tally_drop(stranger);
}

/* Close and open again, without waiting for the thread in between. */
static void goes_on_in_the_next_part(void **state)
{
	struct writer_file *f;
	char name[NAME_MAX + 1];
	int i;

	(void)state;
	for (i = 1; i <= 20; i++) {
		f = file("a");
		put(f, 10 * i);
		assert_int_equal(writer_part(f), i);
		writer_name(f, name);
		writer_close(w, f);
	}
	assert_string_equal(name, "a=20");
	assert_int_equal(writer_idle(w, WAIT_MS), 0);
	assert_int_equal(size_of("rec", "a"), 10 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "a=2"), 20 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "a=20"), 200 * (HEAD + BYTES));
	writer_reap(w);
	assert_int_equal(writer_files(w), 0);
}

/* A file of the spool, a file of another suffix, a dangling link: none is written over. */
static void takes_the_first_free_part(void **state)
{
	struct writer_file *f;

	(void)state;
	run("cd %s && touch rec/a spool/a=2 rec/a=3.other && ln -s none rec/a=4", dir);
	f = file("a");
	assert_int_equal(writer_part(f), 5);
	close_now(f);
	assert_int_equal(size_of("rec", "a=5"), 0);
}

static void replaces_when_told_to(void **state)
{
	struct writer_file *f;
	int i;

	(void)state;
	end(state);
	replace = true;
	begin_with(false, false, 0);
	replace = false;
	for (i = 1; i <= 20; i++) {
		f = file("a");
		put(f, 10 * i);
		writer_close(w, f);
	}
	assert_int_equal(writer_idle(w, WAIT_MS), 0);
	assert_int_equal(size_of("rec", "a"), 200 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "a=2"), -1);
	writer_reap(w);
	assert_int_equal(writer_files(w), 0);
}

static void does_not_follow_links(void **state)
{
	struct writer_file *f;

	(void)state;
	end(state);
	replace = true;
	begin_with(false, false, 0);
	replace = false;
	run("ln -s ../spool/victim %s/rec/a; echo precious >%s/spool/victim", dir, dir);
	f = file("a");
	put(f, 1);
	close_now(f);
	assert_int_equal(size_of("spool", "victim"), 9);
	assert_int_equal(size_of("rec", "a"), HEAD + BYTES);
}

static void says_why_it_cannot_open(void **state)
{
	struct writer_file *f;

	(void)state;
	end(state);
	replace = true;
	begin_with(false, false, 0);
	replace = false;
	run("mkdir %s/rec/sub", dir);
	assert_int_equal(open_file("sub", tally, &f), -EISDIR);
	run("rm -rf %s/rec", dir);
	assert_int_equal(open_file("a", tally, &f), -ENOENT);
	run("touch %s/rec", dir);
	assert_int_equal(open_file("a", tally, &f), -ENOTDIR);
	assert_int_equal(writer_files(w), 0);
}

/* ---- the spool ---- */

static void moves_from_the_spool_when_complete(void **state)
{
	struct writer_file *f = file("a");

	(void)state;
	put(f, 30);
	counted(20);
	assert_int_equal(size_of("rec", "a"), -1);
	assert_true(size_of("spool", "a") > 0);
	close_now(f);
	assert_int_equal(size_of("rec", "a"), 30 * (HEAD + BYTES));
	assert_int_equal(size_of("spool", "a"), -1);
}

static void keeps_apart_what_follows_at_once(void **state)
{
	struct writer_file *f = file("a");

	(void)state;
	put(f, 2000);
	writer_close(w, f);
	f = file("a");
	put(f, 1);
	becomes("rec", "a", 2000 * (HEAD + BYTES));
	becomes("spool", "a=2", 0);
	close_now(f);
	assert_int_equal(size_of("rec", "a=2"), HEAD + BYTES);
}

static void leaves_in_the_spool_what_cannot_move(void **state)
{
	struct writer_file *f = file("a");

	(void)state;
	run("rmdir %s/rec", dir);
	put(f, 1);
	close_now(f);
	assert_int_equal(size_of("spool", "a"), HEAD + BYTES);
}

/* ---- trouble with the disk ---- */

static void goes_on_when_a_full_disk_has_room_again(void **state)
{
	struct writer_file *f;
	struct tally_counts c;
	long size;

	(void)state;
	run("mount -t tmpfs -o size=64k none %s/rec", dir);
	f = file("a");
	run("head -c 36k /dev/zero >%s/rec/filler", dir);
	put(f, 400);
	c = counted(380);
	assert_true(c.packets > 0 && c.lost > 0);
	size = size_of("rec", "a");
	assert_int_equal(size, c.packets * (HEAD + BYTES));
	run("rm %s/rec/filler", dir);
	put(f, 40);
	assert_true(counted(420).packets > c.packets);
	close_now(f);
	c = tally_read(tally);
	assert_int_equal(c.packets + c.lost, 440);
	assert_int_equal(size_of("rec", "a"), c.packets * (HEAD + BYTES));
	run("umount %s/rec", dir);
}

static void survives_a_file_too_large(void **state)
{
	struct rlimit before, small;
	struct writer_file *f = file("a");
	struct tally_counts c;

	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	small = (struct rlimit){ 10000, before.rlim_max };
	setrlimit(RLIMIT_FSIZE, &small);
	put(f, 100);
	close_now(f);
	setrlimit(RLIMIT_FSIZE, &before);
	c = tally_read(tally);
	assert_int_equal(c.packets + c.lost, 100);
	assert_true(c.lost > 0);
	assert_int_equal(size_of("rec", "a"), c.packets * (HEAD + BYTES));
	assert_true(size_of("rec", "a") <= 10000);
}

/* Pushes packets until the thread has written some again. */
static void put_until_written(struct writer_file *f, uint64_t more)
{
	uint64_t until = clock_now() + WAIT_MS * NSEC_PER_MSEC, before = tally_read(tally).packets;

	while (tally_read(tally).packets < before + more) {
		assert_true(clock_now() < until);
		put(f, 1);
		usleep(2000);
	}
}

static void begins_again_when_the_directory_is_back(void **state)
{
	struct writer_file *f = file("a");
	uint64_t before;

	(void)state;
	put(f, 40);
	before = counted(20).packets;
	run("rm -r %s/rec", dir);
	put(f, 60);
	assert_true(counted(before + 40).lost > 0);
	run("mkdir %s/rec", dir);
	put_until_written(f, 20);
	close_now(f);
	assert_true(size_of("rec", "a") >= 20 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "a") % (HEAD + BYTES), 0);
}

/* ---- a disk that hangs ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void wait_at_gate(struct writer *writer, struct writer_file *f)
{
	(void)writer, (void)f;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

/* Stop the thread until the gate is unlocked; commands do not wait for long. */
static void hang(struct job *job)
{
	writer_close(w, file("first"));
	assert_int_equal(writer_idle(w, WAIT_MS), 0);
	pthread_mutex_lock(&gate);
	pthread_mutex_lock(&w->lock);
	job_post(w, NULL, job, wait_at_gate);
	pthread_mutex_unlock(&w->lock);
	w->o.patience_ms = 10;
}

static void waits_once_for_a_disk_that_hangs(void **state)
{
	struct writer_file *f, *more[50];
	struct job job;
	char name[16];
	int i;

	(void)state;
	hang(&job);
	f = file("a");
	assert_true(w->stuck);
	put(f, 30);
	writer_close(w, f);
	f = file("a");
	put(f, 2);
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		more[i] = file(name);
	}
	assert_int_equal(size_of("rec", "a"), -1);
	pthread_mutex_unlock(&gate);
	for (i = 0; i < 50; i++)
		writer_close(w, more[i]);
	close_now(f);
	assert_false(w->stuck);
	assert_int_equal(size_of("rec", "a"), 30 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "a=2"), 2 * (HEAD + BYTES));
	assert_int_equal(size_of("rec", "f49"), 0);
	assert_int_equal(tally_read(tally).packets, 32);
}

static void count_one(void *arg)
{
	++*(unsigned int *)arg;
}

static void serves_others_while_it_waits(void **state)
{
	unsigned int served = 0;
	struct writer_file *f;
	struct job job;

	(void)state;
	hang(&job);
	w->o.patience_ms = 100;
	w->o.meanwhile = count_one;
	w->o.arg = &served;
	f = file("a");
	assert_true(w->stuck);
	assert_true(served > 0);
	pthread_mutex_unlock(&gate);
	close_now(f);
}

static void tries_again_what_a_slow_disk_refused(void **state)
{
	struct writer_file *f;
	struct job job;

	(void)state;
	hang(&job);
	f = file("a");
	run("rm -r %s/rec", dir);
	pthread_mutex_unlock(&gate);
	put(f, 40);
	assert_true(counted(20).lost >= 20);
	run("mkdir %s/rec", dir);
	put_until_written(f, 20);
	close_now(f);
	assert_true(size_of("rec", "a") >= 20 * (HEAD + BYTES));
}

static void loses_only_packets_while_the_disk_hangs(void **state)
{
	struct writer_file *f;
	struct tally_counts c;
	struct job job;

	end(state);
	begin_with(false, false, 64 * 1024);
	hang(&job);
	f = file("a");
	put(f, 1000);
	assert_true(tally_read(tally).lost > 500);
	assert_int_equal(writer_idle(w, 0), 0);
	writer_close(w, f);
	assert_int_equal(writer_idle(w, 10), -ETIMEDOUT);
	pthread_mutex_unlock(&gate);
	assert_int_equal(writer_idle(w, WAIT_MS), 0);
	c = tally_read(tally);
	assert_int_equal(c.packets + c.lost, 1000);
	assert_int_equal(size_of("rec", "a"), c.packets * (HEAD + BYTES));
}

static void refuses_more_files_than_it_can_remember(void **state)
{
	struct writer_file *f;

	(void)state;
	w->files = WRITER_FILES;
	assert_int_equal(open_file("a", tally, &f), -ENFILE);
	w->files = 0;
}

/* A pcap file without its header is invalid. */
static void leaves_no_file_without_its_head(void **state)
{
	struct writer_file *f;

	(void)state;
	end(state);
	begin_with(true, false, 0);
	run("mount -t tmpfs -o size=8k none %s/rec", dir);
	run("head -c 1M /dev/zero >%s/rec/filler 2>/dev/null || true", dir);
	assert_int_equal(open_file("a", tally, &f), -ENOSPC);
	assert_int_equal(size_of("rec", "a"), -1);
	run("rm %s/rec/filler", dir);
	f = file("a");
	put(f, 3);
	close_now(f);
	assert_int_equal(size_of("rec", "a"), 24 + 3 * (16 + 14 + 20 + 8 + BYTES));
	run("umount %s/rec", dir);
}

static void completes_all_at_the_end(void **state)
{
	struct writer_file *f[20];
	char name[16];
	int i;

	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		f[i] = file(name);
		put(f[i], 50);
	}
	for (i = 0; i < 20; i++)
		writer_close(w, f[i]);
	writer_free(w);
	assert_int_equal(tally_read(tally).packets, 20 * 50);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(size_of("rec", name), 50 * (HEAD + BYTES));
	}
	tally_drop(tally);
	begin(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define SPOOL(name) cmocka_unit_test_setup_teardown(name, begin_spool, end)
		T(writes_whole_records),
		T(buffers_4096_bytes),
		T(goes_round_the_ring),
		T(takes_nothing_that_follows_a_later_job),
		T(begins_pcap_with_its_head),
		T(times_never_go_backwards),
		T(shares_a_name_in_one_session_only),
		T(goes_on_in_the_next_part),
		SPOOL(takes_the_first_free_part),
		T(replaces_when_told_to),
		T(does_not_follow_links),
		T(says_why_it_cannot_open),
		SPOOL(moves_from_the_spool_when_complete),
		SPOOL(keeps_apart_what_follows_at_once),
		SPOOL(leaves_in_the_spool_what_cannot_move),
		T(goes_on_when_a_full_disk_has_room_again),
		T(survives_a_file_too_large),
		T(begins_again_when_the_directory_is_back),
		T(leaves_no_file_without_its_head),
		T(waits_once_for_a_disk_that_hangs),
		T(serves_others_while_it_waits),
		T(tries_again_what_a_slow_disk_refused),
		T(loses_only_packets_while_the_disk_hangs),
		T(refuses_more_files_than_it_can_remember),
		T(completes_all_at_the_end),
	};

	/* Mounts that a failing test leaves go with the process. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(dir))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
