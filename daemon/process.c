/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.c - settings of the daemon's own process. Independent of rtpx's purpose.
 */
#include "process.h"

#include <cap-ng.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/dirlock.h"
#include "base/log.h"

int process_limits(long nofile, char *err, size_t err_size)
{
	struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY }, files;

	if (setrlimit(RLIMIT_CORE, &core) < 0 && getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = core.rlim_max;
		setrlimit(RLIMIT_CORE, &core);
	}
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -errno;
	files.rlim_cur = files.rlim_max;
	if (nofile)
		files.rlim_cur = files.rlim_max = (rlim_t)nofile;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
		int r = -errno;

		snprintf(err, err_size, "cannot set the limit of open files to %lu: %s",
			 (unsigned long)files.rlim_cur, strerror(-r));
		return r;
	}
	return 0;
}

unsigned long process_nofile(void)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) < 0 ? 0 : (unsigned long)files.rlim_cur;
}

unsigned long process_files(void)
{
	int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return errno == EMFILE ? process_nofile() : 0;
	close(fd);
	return (unsigned long)fd;
}

/* The parent waits: a byte means that the child has started, end of file that it failed. */
static void wait_for_child(int fd)
{
	ssize_t n;
	char byte;

	do {
		n = read(fd, &byte, 1);
	} while (n < 0 && errno == EINTR);
	_exit(n == 1 ? 0 : 1);
}

int process_detach(bool chdir_root, int *ready, char *err, size_t err_size)
{
	int pipe_fds[2], r;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		goto err_report;
	pid = fork();
	if (pid < 0)
		goto err_pipe;
	if (pid > 0) {
		close(pipe_fds[1]);
		wait_for_child(pipe_fds[0]);
	}
	close(pipe_fds[0]);
	setsid();
	if (chdir_root && chdir("/") < 0)
		log_warn("cannot change to /: %s", strerror(errno));
	*ready = pipe_fds[1];
	return 0;

err_pipe:
	close(pipe_fds[0]);
	close(pipe_fds[1]);
err_report:
	r = -errno;
	snprintf(err, err_size, "cannot become a daemon: %s", strerror(-r));
	return r;
}

void process_ready(int ready, bool redirect)
{
	int null = redirect ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	if (write(ready, "", 1) < 0)
		log_warn("the process that started this one is gone");
	close(ready);
}

int process_schedule(int policy, const int *nice, char *err, size_t err_size)
{
	if (policy >= 0) {
		struct sched_param param = { .sched_priority = sched_get_priority_max(policy) };

		if (sched_setscheduler(0, policy, &param) < 0)
			log_warn("cannot get real-time scheduling: %s", strerror(errno));
	}
	if (nice && setpriority(PRIO_PROCESS, 0, *nice) < 0) {
		int r = -errno;

		snprintf(err, err_size, "cannot set the nice value to %d: %s", *nice, strerror(-r));
		return r;
	}
	return 0;
}

/*
 * True when @path still names the locked file. The previous holder of the lock may have removed the
 * file, and another process may have made a new one.
 */
static bool is_same_file(int fd, const char *path)
{
	struct stat held, there;

	return fstat(fd, &held) == 0 && lstat(path, &there) == 0 && held.st_dev == there.st_dev &&
	       held.st_ino == there.st_ino;
}

/*
 * Root opens the pid file, perhaps in a directory where other users may write. A hard link to
 * another file is refused: root would empty that file.
 */
static bool is_ours_to_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_nlink <= 1);
}

/*
 * Open and lock the file @path. A descriptor, or -errno. A symbolic link is refused, and O_NONBLOCK
 * avoids waiting for the reader of a pipe.
 */
static int open_locked(const char *path)
{
	for (;;) {
		int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
		int r = fd < 0 ? -errno : is_ours_to_empty(fd) ? dirlock(fd) : -EMLINK;

		if (r == 0 && is_same_file(fd, path))
			return fd;
		if (fd >= 0)
			close(fd);
		if (r < 0)
			return r;
	}
}

void pid_file_open(struct pid_file *f, const char *path)
{
	*f = (struct pid_file){ .fd = -1 };
	if (!strcmp(path, "/dev/null"))
		return;
	f->fd = open_locked(path);
	if (f->fd >= 0)
		f->path = realpath(path, NULL);
	else if (f->fd == -EBUSY)
		log_err("pid file %s: another process uses it; give this one another -p", path);
	else
		log_err("pid file %s: cannot open it: %s", path, strerror(-f->fd));
}

void pid_file_write(const struct pid_file *f)
{
	if (f->fd < 0)
		return;
	if (ftruncate(f->fd, 0) < 0 && errno != EINVAL) /* EINVAL: a pipe */
		log_err("pid file %s: cannot empty it: %s", f->path, strerror(errno));
	if (dprintf(f->fd, "%ld\n", (long)getpid()) < 0)
		log_err("pid file %s: cannot write it: %s", f->path, strerror(errno));
}

void pid_file_remove(struct pid_file *f)
{
	if (f->path && is_same_file(f->fd, f->path) && unlink(f->path) < 0)
		log_dbug("cannot remove the pid file %s: %s", f->path, strerror(errno));
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	*f = (struct pid_file){ .fd = -1 };
}

/* -u :group. The process stays root and keeps its capabilities. */
static int drop_group(gid_t gid)
{
	if (getegid() == gid && geteuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setgid(gid) < 0 ? -errno : 0;
}

/* Capabilities that the daemon uses after its start; see process_drop(). */
struct kept {
	unsigned int n, list[2];
};

static struct kept kept_for(bool dataplane, bool maps)
{
	struct kept k = { 0 };

	if (dataplane)
		k.list[k.n++] = CAP_NET_ADMIN;
	if (dataplane || maps)
		k.list[k.n++] = CAP_BPF;
	return k;
}

/* Keep those of @keep that the process has, and no other capability. */
static int drop_capabilities(const struct kept *keep)
{
	bool has[ARRAY_SIZE(keep->list)];
	unsigned int i;

	if (capng_get_caps_process())
		return -EPERM;
	for (i = 0; i < keep->n; i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, keep->list[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (i = 0; i < keep->n; i++)
		if (has[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep->list[i]);
	return capng_apply(CAPNG_SELECT_CAPS) ? -EPERM : 0;
}

static int drop_user(uid_t uid, gid_t gid, const struct kept *keep)
{
	unsigned int i;

	if (geteuid() != 0)
		return geteuid() == uid && getegid() == gid ? 0 : -EPERM;
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < keep->n; i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep->list[i]);
	return capng_change_id((int)uid, (int)gid, CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING)
		       ? -EPERM
		       : 0;
}

int process_drop(uid_t uid, gid_t gid, bool dataplane, bool maps, char *err, size_t err_size)
{
	const struct kept keep = kept_for(dataplane, maps);
	int r = 0;

	if (uid != (uid_t)-1)
		r = drop_user(uid, gid, &keep);
	else if (gid != (gid_t)-1)
		r = drop_group(gid);
	if (r == 0 && geteuid() != 0)
		r = drop_capabilities(&keep);
	if (r < 0)
		snprintf(err, err_size, "-u: cannot become user %d, group %d: %s%s", (int)uid,
			 (int)gid, strerror(-r), geteuid() ? "; only root can" : "");
	else if (prctl(PR_SET_DUMPABLE, 1) < 0) /* a change of user has forbidden it */
		log_warn("a crash will leave no core dump: %s", strerror(errno));
	return r;
}

int process_first_line(const char *path, char **out, char *err, size_t err_size)
{
	FILE *f = fopen(path, "re");
	size_t size = 0;
	ssize_t len;
	int rc = -errno;

	if (!f) {
		snprintf(err, err_size, "%s: %s", path, strerror(-rc));
		return rc;
	}
	len = getline(out, &size, f);
	fclose(f);
	if (len > 0 && (*out)[len - 1] == '\n')
		(*out)[--len] = '\0';
	if (len > 0)
		return 0;
	snprintf(err, err_size, "%s: its first line is empty", path);
	return -ENODATA;
}

void process_give(const char *dir, uid_t uid, gid_t gid)
{
	int fd;

	if (uid == (uid_t)-1)
		return;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchown(fd, uid, gid) < 0)
		log_warn("%s: cannot give it to user %d: %s", dir, (int)uid, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void on_library_line(int severity, const char *text)
{
	static struct log_kind kinds[] = {
		[EVENT_LOG_DEBUG] = { .level = LOG_LVL_DBUG, .func = "libevent" },
		[EVENT_LOG_MSG] = { .level = LOG_LVL_INFO, .func = "libevent" },
		[EVENT_LOG_WARN] = { .level = LOG_LVL_WARN, .func = "libevent" },
		[EVENT_LOG_ERR] = { .level = LOG_LVL_ERR, .func = "libevent" },
	};

	log_kind_line(&kinds[severity], NULL, "%s", text);
}

void process_log_library(void)
{
	event_set_log_callback(on_library_line);
}
