/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * journal.c - the journal in LMDB. A head in front of each record makes it possible to find and
 * verify records in a file that LMDB cannot read any more.
 *
 * How LMDB is used, and why:
 * MDB_NOSYNC: written data is safe in the kernel when write() returns, and a journal is worthless
 * after the machine went down.
 * No MDB_WRITEMAP: with it a full file system raises SIGBUS, and a stray pointer damages the
 * journal. Without it, a full file system is an error of write().
 * MDB_NOLOCK: our own lock on the directory keeps other daemons out. MDB_NOTLS has no effect then.
 * The map is large, but costs address space only.
 *
 * LMDB trusts its file. A damaged file could crash the daemon, and a forged file could do worse.
 * Therefore a child without rights reads a copy in memory.
 */
#include "restart/journal.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/dirlock.h"
#include "base/whole.h"

#define FILE_NAME "journal.mdb"
#define NEW_NAME "journal.new"
#define MAP_BYTES (1ull << 30)
#define CHILD_NS (20 * NSEC_PER_SEC) /* limit for the child; a damaged tree may be a circle */
#define NOBODY 65534
#define FULL_BYTES 65536     /* a file system with less free space counts as full */
#define PIPE_BYTES (1 << 20) /* between the child and us, which any user may have */
#define ENV_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK)

#define LEN_BITS 17 /* hold JOURNAL_MAX */

static const char magic[3] = { 'r', 't', 'p' };
static const char magic_1[8] = { 'r', 't', 'p', 'x', 'c', 'a', 'l', 'l' };

/*
 * Stands in front of each record but that of key 0. Host byte order, because the file never leaves
 * this machine. Stamps have 47 bits: a million records a second for four years of uptime.
 */
struct head {
	char magic[3];
	uint8_t version;
	uint32_t crc; /* starts from the version; covers the members below and the body */
	uint64_t key;
	uint64_t stamp_len; /* lower LEN_BITS: bytes of the body */
};

/*
 * The head of version 1. The record of key 0 keeps it in all versions: there, a daemon of version 1
 * reads that the file is newer. It would take a file with other heads only for a damaged one.
 */
struct head_1 {
	char magic[8];
	uint32_t crc; /* covers the members below and the body */
	uint32_t len;
	uint64_t key;
	uint64_t stamp;
	uint32_t version;
	uint32_t pad;
};

/* The facts of a head of any version. */
struct record {
	uint64_t key;
	uint64_t stamp; /* rises with each record; the newest record of a key is valid */
	uint32_t version, crc;
	uint32_t len; /* bytes of the body */
	size_t head;  /* bytes in front of the body */
};

struct journal {
	char *dir, *path, *new_path;
	int dir_fd; /* the locked directory; -1: not locked */
	MDB_env *env;
	MDB_txn *txn; /* NULL: no open transaction */
	MDB_dbi dbi;
	bool is_new;  /* still has the name new_path */
	uint64_t top; /* the highest key of a new journal; later keys need no search */
	uint64_t stamp;
	uint8_t record[sizeof(struct head_1) + JOURNAL_MAX];
};

static char *path_join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

/* The path must be absolute: the process may change its directory while the journal is open. */
static char *path_absolute(const char *dir)
{
	char *cwd = dir[0] == '/' ? NULL : getcwd(NULL, 0), *path;

	if (dir[0] != '/' && !cwd)
		return NULL;
	path = cwd ? path_join(cwd, dir) : strdup(dir);
	free(cwd);
	return path;
}

int journal_new(struct journal **out, const char *dir)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->dir_fd = -1;
	j->dir = path_absolute(dir);
	j->path = j->dir ? path_join(j->dir, FILE_NAME) : NULL;
	j->new_path = j->dir ? path_join(j->dir, NEW_NAME) : NULL;
	if (!j->dir || !j->path || !j->new_path) {
		journal_free(j);
		return -ENOMEM;
	}
	*out = j;
	return 0;
}

static void env_close(struct journal *j)
{
	if (j->txn)
		mdb_txn_abort(j->txn);
	if (j->env)
		mdb_env_close(j->env);
	j->txn = NULL;
	j->env = NULL;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	env_close(j);
	if (j->dir_fd >= 0)
		close(j->dir_fd);
	free(j->dir);
	free(j->path);
	free(j->new_path);
	free(j);
}

bool journal_is_open(const struct journal *j)
{
	return j->env != NULL;
}

const char *journal_path(const struct journal *j)
{
	return j->path;
}

const char *journal_dir(const struct journal *j)
{
	return j->dir;
}

/* ---- the lock ---- */

/* Make @dir and the missing directories above it. */
static int make_dirs(const char *dir)
{
	char copy[PATH_MAX], *at;

	snprintf(copy, sizeof(copy), "%s", dir);
	for (at = copy + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		if (mkdir(copy, 0755) && errno != EEXIST)
			return -errno;
	}
	return mkdir(copy, 0755) && errno != EEXIST ? -errno : 0;
}

int journal_lock(struct journal *j, bool wait, uid_t uid, gid_t gid, char *err, size_t err_size)
{
	int rc = make_dirs(j->dir), fd = -1;
	struct stat st;

	if (!rc) {
		fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? -errno : wait ? dirlock(fd) : dirlock_try(fd);
	}
	if (!rc && uid != (uid_t)-1 && fstat(fd, &st) == 0 && st.st_uid == 0 && uid != 0 &&
	    fchown(fd, uid, gid))
		rc = -errno;
	if (!rc) {
		j->dir_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	if (rc == -EBUSY)
		snprintf(err, err_size,
			 "another rtpxd uses %.200s: give this one another --state-dir", j->dir);
	else
		snprintf(err, err_size, "cannot use %.200s: %s", j->dir, strerror(-rc));
	return rc;
}

/* ---- records ---- */

/* The sum of the record at @p, which is there as a whole. */
static uint32_t crc_of(const uint8_t *p, const struct record *r)
{
	bool one = r->head == sizeof(struct head_1);
	size_t from = one ? offsetof(struct head_1, len) : offsetof(struct head, key);

	return (uint32_t)crc32(one ? 0 : r->version, p + from, (uInt)(r->head - from + r->len));
}

/* Read the head at @p, where @size bytes are left. False: there is none. */
static bool head_read(const uint8_t *p, size_t size, struct record *out)
{
	struct head_1 one;
	struct head h;

	if (size < sizeof(h) || memcmp(p, magic, sizeof(magic)))
		return false;
	if (!memcmp(p, magic_1, sizeof(magic_1))) {
		if (size < sizeof(one))
			return false;
		memcpy(&one, p, sizeof(one));
		*out = (struct record){ one.key, one.stamp, one.version,
					one.crc, one.len,   sizeof(one) };
		return true;
	}
	memcpy(&h, p, sizeof(h));
	*out = (struct record){ h.key,
				h.stamp_len >> LEN_BITS,
				h.version,
				h.crc,
				h.stamp_len & ((1u << LEN_BITS) - 1),
				sizeof(h) };
	return true;
}

/* True when a complete and valid record begins at @p, where @size bytes are left. */
static bool record_at(const uint8_t *p, size_t size, struct record *out)
{
	return head_read(p, size, out) && out->len <= JOURNAL_MAX && out->len <= size - out->head &&
	       out->crc == crc_of(p, out);
}

static void head_write_1(uint8_t *p, const struct record *r)
{
	struct head_1 h = { .crc = r->crc,
			    .len = r->len,
			    .key = r->key,
			    .stamp = r->stamp,
			    .version = r->version };

	memcpy(h.magic, magic_1, sizeof(magic_1));
	memcpy(p, &h, sizeof(h));
}

static void head_write(uint8_t *p, const struct record *r)
{
	struct head h = { .version = (uint8_t)r->version,
			  .crc = r->crc,
			  .key = r->key,
			  .stamp_len = r->stamp << LEN_BITS | r->len };

	if (r->head == sizeof(struct head_1)) {
		head_write_1(p, r);
		return;
	}
	memcpy(h.magic, magic, sizeof(magic));
	memcpy(p, &h, sizeof(h));
}

/* Write a record to @p. Returns its bytes. */
static size_t record_write(uint8_t *p, uint64_t key, uint64_t stamp, struct span body)
{
	struct record r = { .key = key,
			    .stamp = stamp,
			    .version = JOURNAL_VERSION,
			    .len = (uint32_t)body.len,
			    .head = key ? sizeof(struct head) : sizeof(struct head_1) };

	memcpy(p + r.head, body.p, body.len);
	head_write(p, &r);
	r.crc = crc_of(p, &r);
	head_write(p, &r);
	return r.head + r.len;
}

/* ---- reading ---- */

static void limit_child(void)
{
	const struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_NPROC, &none);
	setrlimit(RLIMIT_FSIZE, &none);
}

static int env_open(MDB_env **env, const char *path, unsigned int flags, mode_t mode)
{
	int rc = mdb_env_create(env);

	if (rc)
		return rc;
	rc = mdb_env_set_mapsize(*env, MAP_BYTES);
	if (!rc)
		rc = mdb_env_open(*env, path, ENV_FLAGS | flags, mode);
	if (rc) {
		mdb_env_close(*env);
		*env = NULL;
	}
	return rc;
}

/* Records that wait until a system call is worth its price. */
struct batch {
	int fd;
	size_t len;
	uint8_t bytes[PIPE_BYTES / 4];
};

static bool batch_flush(struct batch *b)
{
	size_t len = b->len;

	b->len = 0;
	return write_whole(b->fd, b->bytes, len);
}

static bool batch_add(struct batch *b, const void *p, size_t len)
{
	if (b->len + len > sizeof(b->bytes) && !batch_flush(b))
		return false;
	memcpy(b->bytes + b->len, p, len);
	b->len += len;
	return true;
}

/* The child writes every record to @fd. Returns its exit status; 0: it wrote all records. */
static int records_send(const char *path, int fd)
{
	static struct batch batch;
	MDB_val key, value;
	MDB_cursor *cursor;
	struct record r;
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	int rc;

	if (env_open(&env, path, MDB_RDONLY, 0600) || mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) ||
	    mdb_dbi_open(txn, NULL, 0, &dbi) || mdb_cursor_open(txn, dbi, &cursor))
		return 1;
	batch.fd = fd;
	while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
		if (!record_at(value.mv_data, value.mv_size, &r) ||
		    value.mv_size != r.head + r.len ||
		    !batch_add(&batch, value.mv_data, value.mv_size))
			return 1;
	return rc != MDB_NOTFOUND || !batch_flush(&batch);
}

/* Drop every right: the author of a forged file gains nothing by taking over this process. */
static void lose_rights(uid_t uid, gid_t gid)
{
	capng_clear(CAPNG_SELECT_ALL);
	if (geteuid() == 0 &&
	    capng_change_id((int)uid, (int)gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING))
		_exit(1);
	if (capng_apply(CAPNG_SELECT_CAPS))
		_exit(1);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void reader_child(int file, int out, uid_t uid, gid_t gid)
{
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	char path[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(crashes); i++)
		signal(crashes[i], SIG_DFL);
	limit_child();
	/* Close all other descriptors, among them the control sockets. */
	if (dup2(file, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    close_range(STDERR_FILENO, ~0u, 0) < 0)
		_exit(1);
	lose_rights(uid, gid);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", STDIN_FILENO);
	_exit(records_send(path, STDOUT_FILENO));
}

/*
 * Read @fd to its end, but for at most CHILD_NS and not far beyond MAP_BYTES. @expected bytes will
 * come, or others. The caller frees the bytes. NULL: no memory.
 */
static uint8_t *records_receive(int fd, size_t expected, size_t *len)
{
	const uint64_t end_ns = clock_now() + CHILD_NS;
	size_t room = MAX(MIN(expected, (size_t)MAP_BYTES), (size_t)1 << 16) + 1;
	uint8_t *p = malloc(room), *more;
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t now_ns;
	ssize_t n;

	*len = 0;
	while (p && *len < MAP_BYTES && (now_ns = clock_now()) < end_ns) {
		if (poll(&pfd, 1, (int)((end_ns - now_ns) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = read(fd, p + *len, room - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*len += (size_t)n;
		if (*len < room)
			continue;
		more = realloc(p, room *= 2);
		if (!more)
			free(p);
		p = more;
	}
	return p;
}

static size_t file_bytes(int file)
{
	struct stat st;

	return fstat(file, &st) == 0 ? (size_t)st.st_size : 0;
}

/* Wait for the child and return its status. A child that runs on for CHILD_NS is killed. */
static int wait_for_end(pid_t pid)
{
	const struct timespec nap = { .tv_nsec = 2 * NSEC_PER_MSEC };
	const uint64_t end_ns = clock_now() + CHILD_NS;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_now() > end_ns)
			kill(pid, SIGKILL);
		nanosleep(&nap, NULL);
	}
	return status;
}

/*
 * read_by_child - let a child read the records of a file, and return them one after the other.
 * -EBADMSG: the file is damaged, or too large to be read in time.
 */
static int read_by_child(int file, uid_t uid, gid_t gid, uint8_t **out, size_t *len)
{
	int fds[2], status = -1;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* a smaller pipe works, too */
	pid = fork();
	if (pid == 0)
		reader_child(file, fds[1], uid, gid);
	close(fds[1]);
	*out = pid < 0 ? NULL : records_receive(fds[0], file_bytes(file), len);
	close(fds[0]);
	if (pid > 0)
		status = wait_for_end(pid);
	if (pid < 0 || !*out)
		return -ENOMEM;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	free(*out);
	*out = NULL;
	return -EBADMSG;
}

/*
 * copy_of - copy the file into memory. A descriptor of the copy, or -errno. Another user with
 * write access to the directory could have put a link, a pipe or an endless file there; these are
 * refused.
 */
static int copy_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int copy = -1, err = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (st.st_size > (off_t)MAP_BYTES)
		err = -EFBIG;
	else
		copy = memfd_create("journal", MFD_CLOEXEC);
	if (copy >= 0) {
		while ((n = sendfile(copy, fd, NULL, 1 << 30)) > 0)
			;
		if (n < 0 || fchmod(copy, 0444) < 0)
			err = -errno;
	} else if (!err) {
		err = -errno;
	}
	close(fd);
	if (!err)
		return copy;
	if (copy >= 0)
		close(copy);
	return err;
}

/* Read the raw bytes of the file, without LMDB. */
static int read_raw(int file, uint8_t **out, size_t *len)
{
	if (lseek(file, 0, SEEK_SET) < 0)
		return -errno;
	*out = records_receive(file, file_bytes(file), len);
	return *out ? 0 : -ENOMEM;
}

/* A found record. */
struct place {
	uint64_t key, stamp;
	size_t at;
};

/* Orders by key; the newest record of a key comes first. */
static int record_by_key(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->stamp > y->stamp ? -1 : x->stamp < y->stamp;
}

struct places {
	const uint8_t *bytes; /* in which they are */
	size_t len;
	struct place *p;
	size_t n, room;
};

static int place_add(struct places *all, const struct record *r, size_t at)
{
	struct place *more;

	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 256;
		more = realloc(all->p, all->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		all->p = more;
	}
	all->p[all->n++] = (struct place){ r->key, r->stamp, at };
	return 0;
}

/* Find the complete records in @bytes. Returns the newest record of each key, ordered by key. */
static int find_records(const uint8_t *bytes, size_t len, struct places *out)
{
	size_t at = 0, i, n = 0;
	struct record r;

	out->bytes = bytes;
	out->len = len;
	while (at < len) {
		const uint8_t *p = memmem(bytes + at, len - at, magic, sizeof(magic));

		if (!p)
			break;
		at = (size_t)(p - bytes);
		if (!record_at(p, len - at, &r)) {
			at++;
			continue;
		}
		if (place_add(out, &r, at))
			return -ENOMEM;
		at += r.head + r.len;
	}
	if (out->n)
		qsort(out->p, out->n, sizeof(*out->p), record_by_key);
	for (i = 0; i < out->n; i++)
		if (!n || out->p[i].key != out->p[n - 1].key)
			out->p[n++] = out->p[i];
	out->n = n;
	return 0;
}

static struct record record_of(const struct places *all, size_t i)
{
	const size_t at = all->p[i].at;
	struct record r = { 0 };

	head_read(all->bytes + at, all->len - at, &r);
	return r;
}

/* Pass the records to @reader, but only when all of them have a version that we can read. */
static int hand_out(struct journal *j, const struct places *all,
		    const struct journal_reader *reader, char *err, size_t err_size)
{
	struct record r;
	size_t i;

	for (i = 0; i < all->n; i++) {
		r = record_of(all, i);
		j->stamp = MAX(j->stamp, r.stamp);
		if (r.version <= JOURNAL_VERSION)
			continue;
		snprintf(err, err_size,
			 "%.150s was written by a newer rtpxd (version %u, this one reads %u)",
			 j->path, r.version, JOURNAL_VERSION);
		return -EPROTO;
	}
	for (i = 0; i < all->n; i++) {
		r = record_of(all, i);
		reader->record(reader->arg, r.key, r.stamp,
			       (struct span){ (const char *)all->bytes + all->p[i].at + r.head,
					      r.len });
	}
	return 0;
}

/* The user or group @id itself, or NOBODY in place of root and of no id. */
static unsigned int ordinary_id(unsigned int id)
{
	return id && id != (unsigned int)-1 ? id : NOBODY;
}

/* Read the records of the journal, or all bytes of a damaged journal. 0 or -errno. */
static int read_left(const struct journal *j, uid_t uid, gid_t gid, uint8_t **bytes, size_t *len,
		     struct journal_found *found)
{
	int file = copy_of(j->path), rc;

	if (file < 0)
		return file;
	rc = read_by_child(file, ordinary_id(uid), ordinary_id(gid), bytes, len);
	if (rc == -EBADMSG) {
		snprintf(found->damage, sizeof(found->damage), "%.120s is damaged", j->path);
		rc = read_raw(file, bytes, len);
	}
	close(file);
	return rc;
}

int journal_load(struct journal *j, uid_t uid, gid_t gid, const struct journal_reader *reader,
		 struct journal_found *found, char *err, size_t err_size)
{
	struct places all = { 0 };
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc;

	*found = (struct journal_found){ 0 };
	rc = read_left(j, uid, gid, &bytes, &len, found);
	if (rc == -ENOENT)
		return 0;
	if (!rc)
		rc = find_records(bytes, len, &all);
	if (rc)
		snprintf(err, err_size, "cannot read %.200s: %s", j->path, strerror(-rc));
	else
		rc = hand_out(j, &all, reader, err, err_size);
	found->records = all.n;
	free(all.p);
	free(bytes);
	return rc;
}

/* ---- writing ---- */

/* Translate an error of LMDB, which is one of its own codes or an errno, to -errno. */
static int error_of(int rc)
{
	if (rc == MDB_MAP_FULL)
		return -ENOSPC;
	return rc > 0 ? -rc : rc ? -EIO : 0;
}

/* LMDB reports a short write as EIO, also when the file system is full. Tell the two apart. */
static bool map_is_full(const struct journal *j)
{
	struct statvfs fs;

	return fstatvfs(j->dir_fd, &fs) == 0 && fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

/* On an error, close the journal. The file stays as the previous commit left it. */
static int journal_give_up(struct journal *j, int rc)
{
	if (rc == EIO && map_is_full(j))
		rc = ENOSPC;
	if (rc)
		env_close(j);
	return error_of(rc);
}

static int txn_begin(struct journal *j)
{
	int rc;

	if (j->txn)
		return 0;
	if (!j->env)
		return EBADF;
	rc = mdb_txn_begin(j->env, NULL, 0, &j->txn);
	if (!rc)
		rc = mdb_dbi_open(j->txn, NULL, MDB_INTEGERKEY, &j->dbi);
	return rc;
}

int journal_begin(struct journal *j)
{
	int rc;

	env_close(j);
	if (j->dir_fd < 0)
		return -ENOLCK;
	if (unlink(j->new_path) && errno != ENOENT)
		return -errno;
	rc = env_open(&j->env, j->new_path, MDB_NOSYNC | MDB_NOMETASYNC, 0600);
	j->is_new = true;
	j->top = 0;
	if (!rc)
		rc = txn_begin(j);
	return journal_give_up(j, rc);
}

int journal_put(struct journal *j, uint64_t number, struct span body)
{
	size_t k = (size_t)number;
	MDB_val key = { sizeof(k), &k }, value = { .mv_data = j->record };
	bool is_next = j->is_new && number > j->top;
	int rc;

	if (body.len > JOURNAL_MAX)
		return -E2BIG;
	rc = txn_begin(j);
	if (rc)
		return journal_give_up(j, rc);
	value.mv_size = record_write(j->record, number, ++j->stamp, body);
	j->top = MAX(j->top, number);
	return journal_give_up(j, mdb_put(j->txn, j->dbi, &key, &value, is_next ? MDB_APPEND : 0));
}

int journal_del(struct journal *j, uint64_t number)
{
	size_t k = (size_t)number;
	MDB_val key = { sizeof(k), &k };
	int rc = txn_begin(j);

	if (!rc)
		rc = mdb_del(j->txn, j->dbi, &key, NULL);
	return journal_give_up(j, rc == MDB_NOTFOUND ? 0 : rc);
}

bool journal_is_pending(const struct journal *j)
{
	return j->txn != NULL;
}

int journal_commit(struct journal *j)
{
	int rc;

	if (!j->txn)
		return 0;
	rc = mdb_txn_commit(j->txn);
	j->txn = NULL;
	if (!rc && j->is_new && rename(j->new_path, j->path))
		rc = errno;
	if (!rc)
		j->is_new = false;
	return journal_give_up(j, rc);
}

bool journal_is_there(const struct journal *j)
{
	struct stat st;
	int fd;

	return !j->env || (mdb_env_get_fd(j->env, &fd) == 0 && fstat(fd, &st) == 0 && st.st_nlink);
}

void journal_remove(struct journal *j)
{
	env_close(j);
	if (j->dir_fd < 0)
		return;
	unlink(j->path);
	unlink(j->new_path);
}
