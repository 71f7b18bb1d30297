/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirlock.c - flock, with patience for a holder that ends. /proc/locks names the process that holds
 * a lock, and /proc/PID tells whether that process ends.
 */
#include "base/dirlock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define ENDING_NAME "rtpxd-ending" /* at most 15 bytes */
#define GLANCE_NS NSEC_PER_MSEC
#define NAP_NS (20 * NSEC_PER_MSEC)
#define ENDING_NS (10 * NSEC_PER_SEC)
#define UNSEEN_NS NSEC_PER_SEC
#define EARLY_FILES 64 /* a daemon opens its locked files before its media sockets */

/* Flags in /proc/PID/stat, <linux/sched.h>: the process exits, writes its core, or was killed. */
#define FLAGS_DYING (0x4 | 0x200 | 0x400)

enum holder { HOLDER_UNSEEN, HOLDER_ENDS, HOLDER_GOES_ON };

/* Judge a process by /proc/PID/stat; HOLDER_GOES_ON: it shows no sign of an end. */
static enum holder judge_stat(long pid)
{
	char path[64], name[32], state;
	unsigned int flags;
	enum holder found = HOLDER_UNSEEN;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return HOLDER_UNSEEN;
	if (fscanf(f, "%*d (%31[^)]) %c %*d %*d %*d %*d %*d %u", name, &state, &flags) == 3 &&
	    state != 'Z' && state != 'X' && !(flags & FLAGS_DYING))
		found = strcmp(name, ENDING_NAME) ? HOLDER_GOES_ON : HOLDER_ENDS;
	fclose(f);
	return found;
}

/* Is a signal to end pending for the process, or the process gone? */
static bool is_ending(long pid)
{
	static const int ends[] = { SIGKILL, SIGTERM, SIGINT, SIGPWR };
	char path[64], line[128];
	uint64_t pending = 0, of_thread;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	f = fopen(path, "re");
	if (!f)
		return true;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "SigPnd: %" SCNx64, &of_thread) == 1 ||
		    sscanf(line, "ShdPnd: %" SCNx64, &of_thread) == 1)
			pending |= of_thread;
	fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		if (pending & 1ull << (ends[i] - 1))
			return true;
	return false;
}

static enum holder holder_judge(long pid)
{
	enum holder found = judge_stat(pid);

	return found == HOLDER_GOES_ON && is_ending(pid) ? HOLDER_ENDS : found;
}

/* Is this line of /proc/locks or /proc/PID/fdinfo/FD a flock(2) lock on the file? */
static bool is_lock(const char *line, const struct stat *st, long *pid)
{
	unsigned int major_dev, minor_dev;
	unsigned long long ino;

	return sscanf(line, "%*[^:]: FLOCK %*s %*s %ld %x:%x:%llu", pid, &major_dev, &minor_dev,
		      &ino) == 4 &&
	       ino == st->st_ino && major_dev == major(st->st_dev) &&
	       minor_dev == minor(st->st_dev);
}

/* Does process @pid hold the lock through a descriptor that another process has locked? */
static bool holds_copy(long pid, const struct stat *st)
{
	char path[64], line[128];
	bool held = false;
	struct stat file;
	long locker;
	FILE *f;

	for (int fd = 0; fd < EARLY_FILES && !held; fd++) {
		snprintf(path, sizeof(path), "/proc/%ld/fd/%d", pid, fd);
		if (stat(path, &file) < 0 || file.st_ino != st->st_ino || file.st_dev != st->st_dev)
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/fdinfo/%d", pid, fd);
		f = fopen(path, "re");
		while (f && !held && fgets(line, sizeof(line), f))
			held = !strncmp(line, "lock:", 5) && is_lock(line + 5, st, &locker);
		if (f)
			fclose(f);
	}
	return held;
}

/*
 * The locker is gone. Judge the process that holds a copy of its descriptor, if there is one: a
 * program that becomes a daemon leaves the lock to its child.
 */
static enum holder judge_heirs(const struct stat *st)
{
	enum holder found = HOLDER_UNSEEN;
	DIR *proc = opendir("/proc");
	const struct dirent *e;

	while (proc && found == HOLDER_UNSEEN && (e = readdir(proc))) {
		long pid = atol(e->d_name);

		if (pid > 0 && pid != getpid() && holds_copy(pid, st))
			found = holder_judge(pid);
	}
	if (proc)
		closedir(proc);
	return found;
}

static enum holder judge_holder(int fd)
{
	FILE *f = fopen("/proc/locks", "re");
	enum holder found;
	bool seen = false;
	char line[128];
	struct stat st;
	long pid;

	if (!f)
		return HOLDER_UNSEEN;
	while (!seen && fstat(fd, &st) == 0 && fgets(line, sizeof(line), f))
		seen = is_lock(line, &st, &pid);
	fclose(f);
	if (!seen)
		return HOLDER_UNSEEN;
	found = holder_judge(pid);
	return found == HOLDER_UNSEEN ? judge_heirs(&st) : found;
}

/*
 * A process that takes a signal to end looks for some microseconds like one that goes on, so look
 * twice.
 */
int dirlock(int fd)
{
	static const struct timespec naps[] = {
		[HOLDER_UNSEEN] = { .tv_nsec = NAP_NS },
		[HOLDER_ENDS] = { .tv_nsec = NAP_NS },
		[HOLDER_GOES_ON] = { .tv_nsec = GLANCE_NS },
	};
	static const uint64_t patience_ns[] = {
		[HOLDER_UNSEEN] = UNSEEN_NS, [HOLDER_ENDS] = ENDING_NS, [HOLDER_GOES_ON] = 0
	};
	enum holder now = HOLDER_UNSEEN, before;
	uint64_t since_ns = clock_now();

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return -errno;
		before = now;
		now = judge_holder(fd);
		if (now != before)
			since_ns = clock_now();
		else if (clock_now() - since_ns > patience_ns[now])
			return -EBUSY;
		nanosleep(&naps[now], NULL);
	}
	return 0;
}

int dirlock_try(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

void dirlock_ending(void)
{
	prctl(PR_SET_NAME, ENDING_NAME);
}
