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

/* Write a whole record at @p, with a correct sum. Returns its length. */
static size_t put_record(uint8_t *p, uint64_t key, uint64_t stamp, const void *body, size_t len)
{
	struct head h = {
		.len = (uint32_t)len, .key = key, .stamp = stamp, .version = JOURNAL_VERSION
	};

	memcpy(h.magic, magic, sizeof(magic));
	h.crc = crc_of(&h, body);
	memcpy(p, &h, sizeof(h));
	memcpy(p + sizeof(h), body, len);
	return sizeof(h) + len;
}

/* The bytes of version 1; later versions of rtpxd must be able to read them. */
static void writes_version_1(void **state)
{
	static const uint8_t want[] = {
		'r', 't', 'p', 'x', 'c', 'a', 'l', 'l', 0x88, 0x09, 0x5c, 0x7d, 3,   0, 0,
		0,   7,	  0,   0,   0,	 0,   0,   0,	0,    9,    0,	  0,	0,   0, 0,
		0,   0,	  1,   0,   0,	 0,   0,   0,	0,    0,    'a',  'b',	'c',
	};
	uint8_t is[sizeof(want)];

	(void)state;
	assert_int_equal(put_record(is, 7, 9, "abc", 3), sizeof(want));
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		skip();
	assert_memory_equal(is, want, sizeof(want));
}

static void knows_a_whole_record(void **state)
{
	static uint8_t p[sizeof(struct head) + JOURNAL_MAX + 1];
	static const size_t lengths[] = { 0, 1, 100, JOURNAL_MAX };
	const size_t body = sizeof(struct head);
	struct head h;
	size_t i, at, n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		n = put_record(p, 7, 9, p + body, lengths[i]);
		memset(&h, 0, sizeof(h));
		assert_true(record_at(p, n, &h));
		assert_int_equal(h.len, lengths[i]);
		assert_int_equal(h.key, 7);
		assert_int_equal(h.stamp, 9);
		assert_true(record_at(p, n + 1, &h)); /* a byte follows the record */
		assert_false(record_at(p, n - 1, &h));
		assert_false(record_at(p, sizeof(h) - 1, &h));
		assert_false(record_at(p, 0, &h));
	}
	/* Longer than a record may be, with a correct sum. */
	n = put_record(p, 7, 9, p + body, JOURNAL_MAX + 1);
	assert_false(record_at(p, n, &h));
	/* Damage each byte in turn. */
	n = put_record(p, 7, 9, "abcdefghij", 10);
	for (at = 0; at < n; at++) {
		p[at] ^= 0x10;
		if (record_at(p, n, &h))
			fail_msg("byte %zu is not looked at", at);
		p[at] ^= 0x10;
	}
	assert_true(record_at(p, n, &h));
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
		at += put_record(bytes + at, rows[i].key, rows[i].stamp, "body", i % 5);
		if (i % 2) {
			memcpy(bytes + at, magic, sizeof(magic)); /* of a torn record */
			at += 8 + i;
		}
	}
	assert_int_equal(find_records(bytes, at, &all), 0);
	assert_int_equal(all.n, ARRAY_SIZE(keys));
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

/* A single record of a newer version: no record is read, and the file is not changed. */
static void refuses_a_newer_version(void **state)
{
	struct fixture *f = *state;
	struct journal_found found;
	size_t len, after, n = 0;
	uint8_t *bytes, *p, *now;
	struct reading r;
	struct head h;

	write_round(f, 1);
	restart(f);
	bytes = read_file(f, &len);
	for (p = bytes; (p = memmem(p, len - (size_t)(p - bytes), magic, sizeof(magic))); p++) {
		memcpy(&h, p, sizeof(h));
		if (h.key != KEYS / 2)
			continue;
		h.version = JOURNAL_VERSION + 1;
		h.crc = crc_of(&h, p + sizeof(h));
		memcpy(p, &h, sizeof(h));
		n++;
	}
	assert_true(n);
	write_file(f, bytes, len);
	assert_int_equal(load(f, &r, &found), -EPROTO);
	assert_int_equal(count(&r), 0);
	assert_non_null(strstr(f->err, "newer"));
	now = read_file(f, &after);
	assert_int_equal(after, len);
	assert_memory_equal(now, bytes, len);
	free(now);
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
		TEST(writes_version_1),
		TEST(knows_a_whole_record),
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
		TEST(survives_a_full_disk),
		TEST(is_no_file_of_ours),
		TEST(child_has_no_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
