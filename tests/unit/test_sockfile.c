/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sockfile.c - the files of unix sockets: which are replaced and which stay, owner and mode
 * from the first moment, files that another user puts in their place, and removal at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "../../daemon/control/sockfile.c"

#define NOBODY 65534

static char dir[64], path[80], other[80];
static const struct sockfile_opts plain = { (uid_t)-1, (gid_t)-1, -1, 8 };
static char err[512];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/rtpx-sockfile-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(dir);
}

static struct stat stat_of(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(name, &st), 0);
	return st;
}

static void write_file(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "kept", 4), 4);
	close(fd);
}

static void opens(struct sockfile *f, const struct sockfile_opts *opts)
{
	int r = sockfile_open(f, path, opts, err, sizeof(err));

	if (r)
		fail_msg("%d: %s", r, err);
}

static void refuses(int error, const char *sentence)
{
	struct sockfile f;

	assert_int_equal(sockfile_open(&f, path, &plain, err, sizeof(err)), error);
	assert_non_null(strstr(err, sentence));
	assert_int_equal(f.fd, -1);
	assert_null(f.path);
}

static void mode_and_owner(void **state)
{
	const struct sockfile_opts opts = { 12345, 54321, 0662, 8 };
	mode_t mask = umask(027);
	struct sockfile f;

	(void)state;
	if (geteuid() != 0)
		skip();
	opens(&f, &opts);
	assert_int_equal(stat_of(path).st_mode & 07777, 0662);
	assert_int_equal(stat_of(path).st_uid, 12345);
	assert_int_equal(stat_of(path).st_gid, 54321);
	sockfile_close(&f);
	assert_int_equal(access(path, F_OK), -1);
	opens(&f, &plain);
	assert_int_equal(stat_of(path).st_mode & 07777, 0750);
	sockfile_close(&f);
	umask(mask);
}

/* Between bind() and the change of owner, the file is accessible to us only. */
static void born_closed(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	mode_t mask = umask(0);

	(void)state;
	strcpy(sun.sun_path, path);
	assert_int_equal(fchmod(fd, BORN_MODE), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(stat_of(path).st_mode & 07777, BORN_MODE);
	umask(mask);
	close(fd);
}

/* Files that are not sockets stay unchanged, and so does the target of a link. */
static void other_files_stay(void **state)
{
	(void)state;
	write_file(path);
	refuses(-EEXIST, "is not a socket");
	assert_int_equal(stat_of(path).st_size, 4);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	refuses(-EEXIST, "is not a socket");
	assert_true(S_ISLNK(stat_of(path).st_mode));
	assert_int_equal(stat_of(other).st_size, 4);
	unlink(path);
	snprintf(path, sizeof(path), "%s/missing/sock", dir);
	refuses(-ENOENT, "make its directory first");
	*strrchr(path, '/') = '\0';
	assert_int_equal(access(path, F_OK), -1);
}

/* A hanging daemon does not accept, and its queue is full. connect() would wait for ever. */
static void hung_neighbour(void **state)
{
	const struct sockfile_opts few = { (uid_t)-1, (gid_t)-1, -1, 1 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fds[8], n = 0;
	struct sockfile f;

	(void)state;
	opens(&f, &few);
	strcpy(sun.sun_path, path);
	do {
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (connect(fds[n++], (struct sockaddr *)&sun, sizeof(sun)) == 0 && n < 8);
	assert_int_equal(errno, EAGAIN);
	refuses(-EADDRINUSE, "another program answers");
	while (n > 0)
		close(fds[--n]);
	sockfile_close(&f);
}

static void stale_file(void **state)
{
	struct sockfile left, f;

	(void)state;
	opens(&left, &plain);
	close(left.fd); /* as after kill -9 */
	opens(&f, &plain);
	sockfile_unlink(&f);
	assert_int_equal(access(path, F_OK), -1);
	close(f.fd);
	free(left.path);
}

/* A process exits late: another daemon owns the file by then. */
static void file_of_another(void **state)
{
	struct sockfile f, next;

	(void)state;
	opens(&f, &plain);
	unlink(path);
	opens(&next, &plain);
	sockfile_close(&f);
	assert_int_equal(stat_of(path).st_ino, next.ino);
	unlink(path);
	write_file(path);
	sockfile_close(&next);
	assert_int_equal(stat_of(path).st_size, 4);
}

/*
 * A user with write access to the directory replaces the new socket by a link to a file of root's.
 * That file keeps its owner and mode, whether the socket opens or is refused.
 */
static void links_in_its_place(void **state)
{
	const struct sockfile_opts opts = { NOBODY, NOBODY, 0666, 8 };
	struct sockfile f;
	pid_t swapper;

	(void)state;
	if (geteuid() != 0)
		skip();
	write_file(other);
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	swapper = fork();
	if (swapper == 0) {
		struct stat st;

		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(1);
		for (;;)
			if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) == 0 &&
			    symlink(other, path) < 0)
				_exit(1);
	}
	for (int i = 0; i < 3000; i++) {
		if (sockfile_open(&f, path, &opts, err, sizeof(err)) == 0)
			sockfile_close(&f);
		unlink(path);
		assert_int_equal(stat_of(other).st_uid, 0);
		assert_int_equal(stat_of(other).st_mode & 07777, 0644);
	}
	kill(swapper, SIGKILL);
	waitpid(swapper, NULL, 0);
}

/* Without CAP_NET_ADMIN the kernel does not hand out the file, so it is opened by name. */
static void by_an_ordinary_user(void **state)
{
	const struct sockfile_opts opts = { (uid_t)-1, (gid_t)-1, 0660, 8 };
	struct sockfile f;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(dir, NOBODY, NOBODY), 0);
	pid = fork();
	if (pid == 0) {
		if (setgid(NOBODY) || setuid(NOBODY) ||
		    sockfile_open(&f, path, &opts, err, sizeof(err)) < 0)
			_exit(1);
		_exit((stat_of(path).st_mode & 07777) == 0660 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(mode_and_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(born_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_files_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hung_neighbour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stale_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(file_of_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(links_in_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(by_an_ordinary_user, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
