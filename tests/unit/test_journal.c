/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_journal.c - one journal reads the records that another wrote. The file may be torn, damaged,
 * of a newer version or missing, and the disk may be full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/time.h>

#include "../../daemon/restart/journal.c"

#define KEYS 200

struct fixture {
	char dir[64], err[300];
	struct journal *j;
};

/* Make the body for a key and a round: never the same twice, and of any length. */
static size_t make_body(uint64_t key, unsigned int round, char *out)
{
	size_t len = (size_t)snprintf(out, 64, "%u of %llu", round, (unsigned long long)key), i;

	for (i = len; i < len + key * 7 % 900; i++)
		out[i] = (char)(key + round + i);
	return i;
}

static struct journal *open_journal(struct fixture *f)
{
	struct journal *j;

	assert_int_equal(journal_new(&j, f->dir), 0);
	assert_int_equal(journal_lock(j, true, (uid_t)-1, (gid_t)-1, f->err, sizeof(f->err)), 0);
	return j;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/rtpx-journal-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->j = open_journal(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (f->j)
		journal_remove(f->j);
	journal_free(f->j);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void put_key(struct fixture *f, uint64_t key, unsigned int round)
{
	char body[1200];
	size_t len = make_body(key, round, body);

	assert_int_equal(journal_put(f->j, key, (struct span){ body, len }), 0);
}

static void put_all(struct fixture *f, unsigned int round)
{
	uint64_t key;

	for (key = 1; key <= KEYS; key++)
		put_key(f, key, round);
}

static void restart(struct fixture *f)
{
	journal_free(f->j);
	f->j = NULL;
	f->j = open_journal(f);
}

/* For each key, the round of the record that was read; 0: no record. */
struct reading {
	unsigned int round[KEYS + 1];
};

static void on_record(void *arg, uint64_t key, uint64_t stamp, struct span body)
{
	struct reading *r = arg;
	char want[1200], text[64] = "";
	size_t len;

	assert_in_range(key, 1, KEYS);
	assert_int_not_equal(stamp, 0);
	assert_int_equal(r->round[key], 0);
	memcpy(text, body.p, MIN(body.len, sizeof(text) - 1));
	r->round[key] = (unsigned int)strtoul(text, NULL, 10);
	len = make_body(key, r->round[key], want);
	assert_int_equal(body.len, len);
	assert_memory_equal(body.p, want, len);
}

static int load(struct fixture *f, struct reading *r, struct journal_found *found)
{
	const struct journal_reader reader = { on_record, r };

	memset(r, 0, sizeof(*r));
	return journal_load(f->j, (uid_t)-1, (gid_t)-1, &reader, found, f->err, sizeof(f->err));
}

/* Check that every key has its record of this round. */
static void assert_round(struct fixture *f, unsigned int round)
{
	struct journal_found found;
	struct reading r;
	uint64_t key;

	assert_int_equal(load(f, &r, &found), 0);
	assert_string_equal(found.damage, "");
	assert_int_equal(found.records, KEYS);
	for (key = 1; key <= KEYS; key++)
		assert_int_equal(r.round[key], round);
}

static void write_round(struct fixture *f, unsigned int round)
{
	assert_int_equal(journal_begin(f->j), 0);
	put_all(f, round);
	assert_int_equal(journal_commit(f->j), 0);
}

static void begins_with_nothing(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;

	assert_int_equal(load(f, &r, &found), 0);
	assert_int_equal(found.records, 0);
	assert_false(journal_is_open(f->j));
	assert_int_equal(journal_put(f->j, 1, (struct span){ "a", 1 }), -EBADF);
}

static void gives_back_what_was_committed(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;

	write_round(f, 1);
	put_key(f, 7, 2);
	assert_int_equal(journal_del(f->j, 8), 0);
	assert_int_equal(journal_del(f->j, 8), 0);
	assert_int_equal(journal_commit(f->j), 0);
	put_key(f, 9, 2);
	restart(f);
	assert_int_equal(load(f, &r, &found), 0);
	assert_int_equal(found.records, KEYS - 1);
	assert_int_equal(r.round[7], 2);
	assert_int_equal(r.round[8], 0);
	assert_int_equal(r.round[9], 1);
}

/* A new journal takes records in any order of keys, and one record twice. */
static void takes_keys_in_any_order(void **state)
{
	struct fixture *f = *state;
	uint64_t key;

	assert_int_equal(journal_begin(f->j), 0);
	for (key = KEYS; key >= 1; key -= 2)
		put_key(f, key, 1);
	put_all(f, 2);
	put_key(f, KEYS, 2);
	assert_int_equal(journal_commit(f->j), 0);
	restart(f);
	assert_round(f, 2);
}

static void is_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct journal *other;

	assert_int_equal(journal_new(&other, f->dir), 0);
	assert_int_equal(journal_lock(other, true, (uid_t)-1, (gid_t)-1, f->err, sizeof(f->err)),
			 -EBUSY);
	assert_non_null(strstr(f->err, "--state-dir"));
	assert_int_equal(journal_begin(other), -ENOLCK);
	journal_free(other);
}

/* The old journal stays complete until the new one is complete. */
static void replaces_in_one_step(void **state)
{
	struct fixture *f = *state;

	write_round(f, 1);
	assert_int_equal(journal_begin(f->j), 0);
	put_all(f, 2);
	restart(f);
	assert_round(f, 1);
	write_round(f, 3);
	restart(f);
	assert_round(f, 3);
}

static void holds_the_longest_record(void **state)
{
	static char body[JOURNAL_MAX + 1];
	struct fixture *f = *state;

	assert_int_equal(journal_begin(f->j), 0);
	assert_int_equal(journal_put(f->j, 1, (struct span){ body, JOURNAL_MAX }), 0);
	assert_int_equal(journal_put(f->j, 2, (struct span){ body, JOURNAL_MAX + 1 }), -E2BIG);
	assert_int_equal(journal_commit(f->j), 0);
}

static void notices_that_it_was_removed(void **state)
{
	struct fixture *f = *state;

	write_round(f, 1);
	assert_true(journal_is_there(f->j));
	unlink(journal_path(f->j));
	assert_false(journal_is_there(f->j));
	write_round(f, 2);
	assert_true(journal_is_there(f->j));
	restart(f);
	assert_round(f, 2);
}

/* ---- records ---- */

/* Write a whole record of @version at @p, with a correct sum. Returns its length. */
static size_t put_version(uint8_t *p, uint32_t version, bool head_1, uint64_t key, uint64_t stamp,
			  const void *body, size_t len)
{
	struct record r = { .key = key,
			    .stamp = stamp,
			    .version = version,
			    .len = (uint32_t)len,
			    .head = head_1 ? sizeof(struct head_1) : sizeof(struct head) };

	memmove(p + r.head, body, len);
	head_write(p, &r);
	r.crc = crc_of(p, &r);
	head_write(p, &r);
	return r.head + len;
}

/* A record of version 1. */
static size_t put_record_1(uint8_t *p, uint64_t key, uint64_t stamp, const void *body, size_t len)
{
	return put_version(p, 1, true, key, stamp, body, len);
}

static size_t put_record(uint8_t *p, uint64_t key, uint64_t stamp, const void *body, size_t len)
{
	return put_version(p, JOURNAL_VERSION, false, key, stamp, body, len);
}

/* Later versions of rtpxd must be able to read these bytes. */
static void writes_these_bytes(void **state)
{
	static const uint8_t want[] = {
		'r', 't', 'p', 2, 0xf3, 0xd0, 0x33, 0x35, 7, 0, 0,   0,	  0,   0,
		0,   0,	  3,   0, 18,	0,    0,    0,	  0, 0, 'a', 'b', 'c',
	};
	uint8_t is[sizeof(want)];

	(void)state;
	assert_int_equal(record_write(is, 7, 9, (struct span){ "abc", 3 }), sizeof(want));
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_memory_equal(is, want, sizeof(want));
}

/* Version 1 reads the head of key 0, and the version in it. */
static void writes_the_record_of_key_0_for_version_1(void **state)
{
	static const uint8_t want[] = {
		'r', 't', 'p', 'x', 'c', 'a', 'l', 'l', 0x0f, 0x29, 0x6b, 0x36, 3,   0, 0,
		0,   0,	  0,   0,   0,	 0,   0,   0,	0,    9,    0,	  0,	0,   0, 0,
		0,   0,	  2,   0,   0,	 0,   0,   0,	0,    0,    'a',  'b',	'c',
	};
	uint8_t is[sizeof(want)];

	(void)state;
	assert_int_equal(record_write(is, 0, 9, (struct span){ "abc", 3 }), sizeof(want));
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_memory_equal(is, want, sizeof(want));
}

static void reads_the_bytes_of_version_1(void **state)
{
	static const uint8_t bytes[] = {
		'r', 't', 'p', 'x', 'c', 'a', 'l', 'l', 0x88, 0x09, 0x5c, 0x7d, 3,   0, 0,
		0,   7,	  0,   0,   0,	 0,   0,   0,	0,    9,    0,	  0,	0,   0, 0,
		0,   0,	  1,   0,   0,	 0,   0,   0,	0,    0,    'a',  'b',	'c',
	};
	uint8_t is[sizeof(bytes)];
	struct record r;

	(void)state;
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_true(record_at(bytes, sizeof(bytes), &r));
	assert_int_equal(r.key, 7);
	assert_int_equal(r.stamp, 9);
	assert_int_equal(r.version, 1);
	assert_int_equal(r.len, 3);
	assert_memory_equal(bytes + r.head, "abc", 3);
	assert_int_equal(put_record_1(is, 7, 9, "abc", 3), sizeof(is));
	assert_memory_equal(is, bytes, sizeof(is));
}

/* @put is put_record() or put_record_1(). */
static void knows_whole_records(size_t (*put)(uint8_t *p, uint64_t key, uint64_t stamp,
					      const void *body, size_t len))
{
	static uint8_t p[sizeof(struct head_1) + JOURNAL_MAX + 1];
	static const size_t lengths[] = { 0, 1, 100, JOURNAL_MAX };
	struct record r;
	size_t i, at, n;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		n = put(p, 7, 9, p + sizeof(struct head_1), lengths[i]);
		memset(&r, 0, sizeof(r));
		assert_true(record_at(p, n, &r));
		assert_int_equal(r.len, lengths[i]);
		assert_int_equal(r.key, 7);
		assert_int_equal(r.stamp, 9);
		assert_int_equal(r.head + r.len, n);
		assert_true(record_at(p, n + 1, &r)); /* a byte follows the record */
		assert_false(record_at(p, n - 1, &r));
		assert_false(record_at(p, r.head - 1, &r));
		assert_false(record_at(p, 0, &r));
	}
	/* Longer than a record may be, with a correct sum. */
	n = put(p, 7, 9, p + sizeof(struct head_1), JOURNAL_MAX + 1);
	assert_false(record_at(p, n, &r));
	/* Damage each byte in turn. */
	n = put(p, 7, 9, "abcdefghij", 10);
	for (at = 0; at < n; at++) {
		p[at] ^= 0x10;
		if (record_at(p, n, &r))
			fail_msg("byte %zu is not looked at", at);
		p[at] ^= 0x10;
	}
	assert_true(record_at(p, n, &r));
}

static void knows_a_whole_record(void **state)
{
	(void)state;
	knows_whole_records(put_record);
	knows_whole_records(put_record_1);
}

/* The largest stamp, key and length have room in a head. */
static void a_head_has_room(void **state)
{
	static uint8_t p[sizeof(struct head) + JOURNAL_MAX];
	const uint64_t stamp = (1ull << (64 - LEN_BITS)) - 1;
	struct record r;
	size_t n;

	(void)state;
	n = put_record(p, UINT64_MAX, stamp, p + sizeof(struct head), JOURNAL_MAX);
	assert_true(record_at(p, n, &r));
	assert_true(r.key == UINT64_MAX && r.stamp == stamp);
	assert_int_equal(r.len, JOURNAL_MAX);
}

/* Finds the newest record of each key, in the order of keys, among any other bytes. */
static void finds_the_newest_of_each_key(void **state)
{
	static const struct {
		uint64_t key, stamp;
		bool newest;
	} rows[] = {
		{ 5, 1, false }, { 9, 2, true },   { 5, 3, true },	    { 1, 40, true },
		{ 5, 2, false }, { 1, 39, false }, { UINT64_MAX, 1, true }, { 1, 4, false },
	};
	static const uint64_t keys[] = { 1, 5, 9, UINT64_MAX };
	struct places all = { 0 };
	uint8_t bytes[2000];
	size_t at = 0, i, newest[ARRAY_SIZE(rows)], n = 0;

	(void)state;
	memset(bytes, 'r', sizeof(bytes));
	at = 3;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].newest)
			newest[n++] = at;
		at += (i & 2 ? put_record : put_record_1)(bytes + at, rows[i].key, rows[i].stamp,
							  "body", i % 5);
		if (i % 2) {
			memcpy(bytes + at, magic_1, i & 4 ? 8 : 3); /* of a torn record */
			at += 8 + i;
		}
	}
	assert_int_equal(find_records(bytes, at, &all), 0);
	assert_int_equal(all.n, ARRAY_SIZE(keys));
	assert_int_equal(record_of(&all, 3).stamp, 1);
	for (i = 0; i < all.n; i++) {
		bool known = false;

		assert_true(all.p[i].key == keys[i]);
		for (n = 0; n < ARRAY_SIZE(keys); n++)
			known |= all.p[i].at == newest[n];
		assert_true(known);
	}
	free(all.p);
	all = (struct places){ 0 };
	assert_int_equal(find_records(bytes, 0, &all), 0);
	assert_int_equal(all.n, 0);
	assert_null(all.p);
	/* A record that ends with the bytes, and one that lacks its last byte. */
	at = put_record(bytes, 3, 1, "last", 4);
	assert_int_equal(find_records(bytes, at, &all), 0);
	assert_int_equal(all.n, 1);
	free(all.p);
	all = (struct places){ 0 };
	assert_int_equal(find_records(bytes, at - 1, &all), 0);
	assert_int_equal(all.n, 0);
	free(all.p);
	/* The same behind another record: bytes after the end are not read. */
	all = (struct places){ 0 };
	at += put_record(bytes + at, 4, 1, "last", 4);
	assert_int_equal(find_records(bytes, at - 1, &all), 0);
	assert_int_equal(all.n, 1);
	free(all.p);
}

/* Finds more records than the first allocation holds, and loses none. */
static void finds_many_records(void **state)
{
	enum { MANY = 5000 };
	struct places all = { 0 };
	uint8_t *bytes = malloc(MANY * (sizeof(struct head) + 8));
	uint64_t key;
	size_t len = 0;

	(void)state;
	assert_non_null(bytes);
	for (key = MANY; key; key--)
		len += put_record(bytes + len, key, 1, "12345678", 8);
	assert_int_equal(find_records(bytes, len, &all), 0);
	assert_int_equal(all.n, MANY);
	for (key = 1; key <= MANY; key++) {
		assert_int_equal(all.p[key - 1].key, key);
		assert_int_equal(all.p[key - 1].at, (MANY - key) * (sizeof(struct head) + 8));
	}
	free(all.p);
	free(bytes);
}

/* Stamps rise over restarts: a record of the next daemon is newer than all of the previous one. */
static void stamps_go_on(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;
	uint64_t last;

	write_round(f, 1);
	last = f->j->stamp;
	assert_int_equal(last, KEYS);
	restart(f);
	assert_int_equal(f->j->stamp, 0);
	assert_int_equal(load(f, &r, &found), 0);
	assert_int_equal(f->j->stamp, last);
	write_round(f, 2);
	assert_int_equal(f->j->stamp, last + KEYS);
}

/* ---- the child that reads ---- */

static void on_alarm(int number)
{
	(void)number;
}

/* A pipe whose reader is slow, while signals cut writes short. */
static void writes_all_of_it(void **state)
{
	const struct sigaction cut = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 500 }, { 0, 500 } }, never = { 0 };
	enum { LEN = 1 << 20 };
	uint8_t *bytes = malloc(LEN), got;
	int fds[2], status;
	size_t i;
	pid_t pid;

	(void)state;
	assert_non_null(bytes);
	for (i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		static uint8_t part[7919];
		size_t at = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], part, sizeof(part))) > 0) {
			if (memcmp(part, bytes + at, (size_t)n))
				_exit(1);
			at += (size_t)n;
			if (at % 3 == 0)
				usleep(2000);
		}
		_exit(at == LEN ? 0 : 2);
	}
	close(fds[0]);
	sigaction(SIGALRM, &cut, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	assert_true(write_whole(fds[1], bytes, LEN));
	setitimer(ITIMER_REAL, &never, NULL);
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* Without a reader, writing fails and does not go on for ever. */
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_false(write_whole(fds[1], &got, 1));
	signal(SIGPIPE, SIG_DFL);
	close(fds[1]);
	free(bytes);
}

static void child_may_use_nothing(void **state)
{
	static const int limits[] = { RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_FSIZE };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct rlimit l;
		size_t i;

		limit_child();
		for (i = 0; i < ARRAY_SIZE(limits); i++)
			if (getrlimit(limits[i], &l) || l.rlim_cur || l.rlim_max)
				_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- writing ---- */

static void errors_are_errnos(void **state)
{
	(void)state;
	assert_int_equal(error_of(0), 0);
	assert_int_equal(error_of(EACCES), -EACCES);
	assert_int_equal(error_of(MDB_MAP_FULL), -ENOSPC);
	assert_int_equal(error_of(MDB_CORRUPTED), -EIO);
}

/* Removing a missing key, committing without changes, or a failed put loses no record. */
static void commits_what_there_is(void **state)
{
	static char body[JOURNAL_MAX + 1];
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;

	write_round(f, 1);
	assert_int_equal(journal_commit(f->j), 0);
	assert_int_equal(journal_del(f->j, KEYS + 1), 0);
	assert_int_equal(journal_commit(f->j), 0);
	assert_int_equal(journal_put(f->j, 1, (struct span){ body, sizeof(body) }), -E2BIG);
	assert_true(journal_is_open(f->j));
	put_key(f, 2, 5);
	assert_int_equal(journal_commit(f->j), 0);
	assert_true(access(f->j->new_path, F_OK) < 0);
	restart(f);
	assert_int_equal(load(f, &r, &found), 0);
	assert_int_equal(found.records, KEYS);
	assert_int_equal(r.round[1], 1);
	assert_int_equal(r.round[2], 5);
	assert_int_equal(journal_put(f->j, 1, (struct span){ "x", 1 }), -EBADF); /* not begun */
	assert_int_equal(journal_del(f->j, 1), -EBADF);
	assert_int_equal(journal_commit(f->j), 0);
	assert_true(journal_is_there(f->j)); /* none of our files can be missing */
}

/* The error that journal_give_up() makes of @rc on a file system of @size, in a child. */
static int given_up(struct fixture *f, const char *size, int rc)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		f->j->dir_fd = -1;
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", f->dir, "tmpfs", 0, size) ||
		    (f->j->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY)) < 0)
			_exit(255);
		_exit(-journal_give_up(f->j, rc));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* LMDB returns EIO for a full disk and for a broken one. */
static void tells_a_full_disk_from_a_broken_one(void **state)
{
	struct fixture *f = *state;
	int full = geteuid() == 0 ? given_up(f, "size=48k", EIO) : 255;

	if (full == 255)
		skip();
	assert_int_equal(full, ENOSPC);
	assert_int_equal(given_up(f, "size=1m", EIO), EIO);
	assert_int_equal(given_up(f, "size=48k", EACCES), EACCES);
	assert_int_equal(given_up(f, "size=48k", 0), 0);
}

/* The new journal cannot take the name: that is an error, and the journal is closed. */
static void commit_tells_that_the_name_is_taken(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mkdir(f->j->path, 0700), 0);
	assert_int_equal(journal_begin(f->j), 0);
	put_key(f, 1, 1);
	assert_int_equal(journal_commit(f->j), -EISDIR);
	assert_false(journal_is_open(f->j));
	assert_int_equal(rmdir(f->j->path), 0);
	write_round(f, 2);
	restart(f);
	assert_round(f, 2);
}

/* An unfinished new journal of a killed daemon is replaced. */
static void begins_over_an_unfinished_one(void **state)
{
	struct fixture *f = *state;
	int fd;

	write_round(f, 1);
	restart(f);
	fd = open(f->j->new_path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0 && write_whole(fd, "unfinished", 10));
	close(fd);
	write_round(f, 2);
	restart(f);
	assert_round(f, 2);
	assert_int_equal(mkdir(f->j->new_path, 0700), 0);
	assert_int_equal(journal_begin(f->j), -EISDIR);
	assert_false(journal_is_open(f->j));
	assert_int_equal(rmdir(f->j->new_path), 0);
	assert_round(f, 2);
}

static void leaves_nothing_behind(void **state)
{
	struct fixture *f = *state;
	struct journal *other;

	write_round(f, 1);
	assert_int_equal(journal_begin(f->j), 0);
	assert_int_equal(journal_new(&other, f->dir), 0);
	journal_remove(other); /* has no lock, so it removes no file */
	journal_free(other);
	assert_int_equal(access(f->j->path, F_OK) | access(f->j->new_path, F_OK), 0);
	journal_remove(f->j);
	assert_false(journal_is_open(f->j));
	assert_int_equal(rmdir(f->dir), 0);
	assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* ---- damage ---- */

static uint8_t *read_file(struct fixture *f, size_t *len)
{
	uint8_t *bytes = NULL;

	int copy = copy_of(journal_path(f->j));

	assert_true(copy >= 0);
	assert_int_equal(read_raw(copy, &bytes, len), 0);
	close(copy);
	return bytes;
}

static void write_file(struct fixture *f, const uint8_t *bytes, size_t len)
{
	int fd = open(journal_path(f->j), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write_whole(fd, bytes, len));
	close(fd);
}

static unsigned int count(const struct reading *r)
{
	unsigned int n = 0;
	uint64_t key;

	for (key = 1; key <= KEYS; key++)
		n += r->round[key] != 0;
	return n;
}

/* on_record() checks that each record is genuine. */
static void saves_what_is_left_of_a_torn_file(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	size_t len, cut, most = 0;
	struct reading r;
	uint8_t *bytes;

	write_round(f, 1);
	restart(f);
	bytes = read_file(f, &len);
	for (cut = 0; cut < len; cut += len / 23) {
		write_file(f, bytes, cut);
		assert_int_equal(load(f, &r, &found), 0);
		assert_true(cut == 0 || found.damage[0]);
		assert_int_equal(found.records, count(&r));
		assert_true(found.records >= most);
		most = found.records;
	}
	assert_true(most > KEYS / 2);
	free(bytes);
}

static void saves_what_is_left_of_a_damaged_file(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	uint64_t random = 88172645463325252ull;
	unsigned int i, damaged = 0;
	uint8_t *bytes, *copy;
	struct reading r;
	size_t len;

	write_round(f, 1);
	put_all(f, 2);
	assert_int_equal(journal_commit(f->j), 0);
	restart(f);
	bytes = read_file(f, &len);
	copy = malloc(len);
	assert_non_null(copy);
	for (i = 0; i < 60; i++) {
		unsigned int hits = 1 + i % 5;

		memcpy(copy, bytes, len);
		while (hits--) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			/* every second time in LMDB's own pages */
			copy[random % (i & 1 ? 4096 * 3 : len)] ^= (uint8_t)(random >> 40) | 1;
		}
		write_file(f, copy, len);
		if (load(f, &r, &found))
			continue;
		assert_int_equal(found.records, count(&r));
		damaged += found.damage[0] != 0;
		assert_true(found.records + 40 >= KEYS);
	}
	assert_true(damaged > 5);
	free(copy);
	free(bytes);
}

static void is_no_journal_at_all(void **state)
{
	static const uint8_t text[] = "this is a letter, and no journal\n";
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;

	write_file(f, text, sizeof(text));
	assert_int_equal(load(f, &r, &found), 0);
	assert_int_equal(found.records, 0);
	assert_non_null(strstr(found.damage, "damaged"));
	write_round(f, 1);
	restart(f);
	assert_round(f, 1);
}

/* Give the record of @key another version, in each place of the file. */
static void change_version(struct fixture *f, uint64_t key, uint32_t version)
{
	unsigned int n = 0;
	struct record r;
	size_t len, at;
	uint8_t *bytes = read_file(f, &len);

	for (at = 0; at < len; at++) {
		if (!record_at(bytes + at, len - at, &r) || r.key != key)
			continue;
		r.version = version;
		head_write(bytes + at, &r);
		r.crc = crc_of(bytes + at, &r);
		head_write(bytes + at, &r);
		n++;
	}
	assert_true(n);
	write_file(f, bytes, len);
	free(bytes);
}

/* A single record of a newer version: no record is read, and the file is not changed. */
static void refuses_a_newer_version(void **state)
{
	static const uint64_t keys[] = { KEYS / 2, 0 };
	struct fixture *f = *state;
	struct journal_found found;
	size_t len, after, i;
	uint8_t *bytes, *now;
	struct reading r;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		write_round(f, 1);
		assert_int_equal(journal_put(f->j, 0, span_of("0 of 0")), 0);
		assert_int_equal(journal_commit(f->j), 0);
		restart(f);
		change_version(f, keys[i], JOURNAL_VERSION + 1);
		bytes = read_file(f, &len);
		assert_int_equal(load(f, &r, &found), -EPROTO);
		assert_int_equal(count(&r), 0);
		assert_non_null(strstr(f->err, "newer"));
		now = read_file(f, &after);
		assert_int_equal(after, len);
		assert_memory_equal(now, bytes, len);
		free(now);
		free(bytes);
	}
}

/* ---- the journal of version 1 ---- */

/* A journal as version 1 wrote it: each record has its head. */
static void write_version_1(struct fixture *f, unsigned int round)
{
	MDB_val key, value;
	char body[1200];
	uint64_t k;

	assert_int_equal(journal_begin(f->j), 0);
	for (k = 1; k <= KEYS; k++) {
		size_t len = make_body(k, round, body);

		key = (MDB_val){ sizeof(k), &k };
		value = (MDB_val){ put_record_1(f->j->record, k, ++f->j->stamp, body, len),
				   f->j->record };
		assert_int_equal(mdb_put(f->j->txn, f->j->dbi, &key, &value, 0), 0);
	}
	assert_int_equal(journal_commit(f->j), 0);
}

static void reads_a_journal_of_version_1(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	struct reading r;
	uint8_t *bytes;
	size_t len;

	write_version_1(f, 3);
	restart(f);
	assert_round(f, 3);
	assert_int_equal(f->j->stamp, KEYS);
	/* LMDB cannot read it: the records are found without. */
	bytes = read_file(f, &len);
	memset(bytes, 0xff, 8192);
	write_file(f, bytes, len);
	free(bytes);
	assert_int_equal(load(f, &r, &found), 0);
	assert_string_not_equal(found.damage, "");
	assert_in_range(found.records, KEYS - 40, KEYS);
	assert_int_equal(found.records, count(&r));
	/* The next journal is of this version. */
	write_round(f, 4);
	restart(f);
	assert_round(f, 4);
	assert_int_equal(f->j->stamp, 2 * KEYS);
}

/*
 * Version 1 reads a journal of this version: a child ends at the first record that it does not
 * know, and the file is searched for the records that it knows. It finds that of key 0 with a newer
 * version. The bytes of version 1 are found as its own find_records() did.
 */
static void version_1_finds_the_newer_version(void **state)
{
	struct fixture *f = *state;
	size_t len, at = 0, n = 0;
	struct head_1 h = { 0 };
	uint8_t *bytes, *p;

	assert_int_equal(journal_begin(f->j), 0);
	assert_int_equal(journal_put(f->j, 0, span_of("0 of 0")), 0);
	put_all(f, 1);
	assert_int_equal(journal_commit(f->j), 0);
	bytes = read_file(f, &len);
	while ((p = memmem(bytes + at, len - at, "rtpxcall", 8))) {
		at = (size_t)(p - bytes) + 8;
		memcpy(&h, p, sizeof(h));
		assert_int_equal(h.crc, crc32(0, p + 12, (uInt)(40 - 12 + h.len)));
		n++;
	}
	assert_int_equal(n, 1);
	assert_int_equal(h.key, 0);
	assert_int_equal(h.version, 2);
	free(bytes);
}

/* ---- a full disk ---- */

static void limit_files(size_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static int put_until_refused(struct fixture *f)
{
	char body[1200];
	uint64_t key;
	size_t len;
	int rc = 0;

	for (key = 1; key <= KEYS && !rc; key++) {
		len = make_body(key, 2, body);
		rc = journal_put(f->j, key, (struct span){ body, len });
	}
	return rc ? rc : journal_commit(f->j);
}

static void survives_a_full_disk(void **state)
{
	struct fixture *f = *state;
	int rc;

	signal(SIGXFSZ, SIG_IGN);
	write_round(f, 1);
	limit_files(16384);
	rc = journal_begin(f->j);
	if (!rc)
		rc = put_until_refused(f);
	assert_true(rc < 0);
	assert_false(journal_is_open(f->j));
	limit_files(RLIM_INFINITY);
	restart(f);
	assert_round(f, 1);
	write_round(f, 3);
	limit_files(4096 * 4);
	assert_true(put_until_refused(f) < 0);
	assert_false(journal_is_open(f->j));
	limit_files(RLIM_INFINITY);
	restart(f);
	assert_round(f, 3);
	write_round(f, 4);
	restart(f);
	assert_round(f, 4);
	signal(SIGXFSZ, SIG_DFL);
}

/* ---- a file made by another program ---- */

#define ANYONE 12345

/* Loading must fail soon. */
static void refuses(struct fixture *f, int error)
{
	struct journal_found found;
	struct reading r;

	assert_int_equal(load(f, &r, &found), error);
	assert_non_null(strstr(f->err, journal_path(f->j)));
	assert_int_equal(unlink(journal_path(f->j)), 0);
}

static void is_no_file_of_ours(void **state)
{
	struct fixture *f = *state;
	const char *path = journal_path(f->j);
	int fd;

	assert_int_equal(symlink("/etc/shadow", path), 0);
	refuses(f, -ELOOP);
	assert_int_equal(mkfifo(path, 0600), 0);
	refuses(f, -EINVAL);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(ftruncate(fd, 1ll << 40), 0);
	close(fd);
	refuses(f, -EFBIG);
}

static bool has_no_rights(void)
{
	char text[4096];
	FILE *file = fopen("/proc/self/status", "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	text[n] = '\0';
	return strstr(text, "CapPrm:\t0000000000000000\n") &&
	       strstr(text, "CapEff:\t0000000000000000\n") &&
	       strstr(text, "CapBnd:\t0000000000000000\n") && strstr(text, "NoNewPrivs:\t1\n") &&
	       strstr(text, "Uid:\t12345\t12345\t12345\t12345\n") &&
	       strstr(text, "Gid:\t12345\t12345\t12345\t12345\n") && strstr(text, "Groups:\t \n");
}

/* LMDB runs without rights. */
static void child_has_no_rights(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		lose_rights(ANYONE, ANYONE);
		_exit(has_no_rights() ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(ordinary_id(0), NOBODY);
	assert_int_equal(ordinary_id((uid_t)-1), NOBODY);
	assert_int_equal(ordinary_id(ANYONE), ANYONE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(begins_with_nothing),
		TEST(gives_back_what_was_committed),
		TEST(takes_keys_in_any_order),
		TEST(is_one_at_a_time),
		TEST(replaces_in_one_step),
		TEST(holds_the_longest_record),
		TEST(notices_that_it_was_removed),
		TEST(writes_these_bytes),
		TEST(writes_the_record_of_key_0_for_version_1),
		TEST(reads_the_bytes_of_version_1),
		TEST(knows_a_whole_record),
		TEST(a_head_has_room),
		TEST(finds_the_newest_of_each_key),
		TEST(finds_many_records),
		TEST(stamps_go_on),
		TEST(writes_all_of_it),
		TEST(child_may_use_nothing),
		TEST(errors_are_errnos),
		TEST(commits_what_there_is),
		TEST(tells_a_full_disk_from_a_broken_one),
		TEST(commit_tells_that_the_name_is_taken),
		TEST(begins_over_an_unfinished_one),
		TEST(leaves_nothing_behind),
		TEST(saves_what_is_left_of_a_torn_file),
		TEST(saves_what_is_left_of_a_damaged_file),
		TEST(is_no_journal_at_all),
		TEST(refuses_a_newer_version),
		TEST(reads_a_journal_of_version_1),
		TEST(version_1_finds_the_newer_version),
		TEST(survives_a_full_disk),
		TEST(is_no_file_of_ours),
		TEST(child_has_no_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
