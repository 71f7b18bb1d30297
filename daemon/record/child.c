/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.c - posix_spawn(3) does not copy our address space, so it takes as long for ten thousand
 * calls as for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/child.h"

#define LEAST_PRIORITY 19
#define KILL_TRIES 500
#define KILL_SLICE_US 1000

/* Standard input, output and error; the directory; and no other descriptor. */
static int set_files(posix_spawn_file_actions_t *files, const struct child_opts *o, int output)
{
	int rc;

	if (o->input >= 0)
		rc = posix_spawn_file_actions_adddup2(files, o->input, STDIN_FILENO);
	else
		rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY,
						      0);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
	if (!rc)
		rc = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
	if (!rc)
		rc = posix_spawn_file_actions_addchdir_np(files, o->dir);
	return rc;
}

/* Plain scheduling, no blocked signal, a process group of its own. */
static int set_attributes(posix_spawnattr_t *attr)
{
	const struct sched_param param = { 0 };
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setpgroup(attr, 0);
	posix_spawnattr_setschedpolicy(attr, SCHED_OTHER);
	posix_spawnattr_setschedparam(attr, &param);
	return posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						      POSIX_SPAWN_SETPGROUP |
						      POSIX_SPAWN_SETSCHEDULER);
}

static int child_spawn(pid_t *pid, const struct child_opts *o, int output)
{
	extern char **environ;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int rc;

	if (posix_spawn_file_actions_init(&files))
		return -ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return -ENOMEM;
	}
	rc = set_files(&files, o, output);
	if (!rc)
		rc = set_attributes(&attr);
	if (!rc)
		rc = posix_spawnp(pid, o->argv[0], &files, &attr, (char *const *)o->argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -rc;
}

/* The child may have begun by now; it has not allocated much. */
static void set_limits(const struct child *c, const struct child_opts *o)
{
	const struct rlimit memory = { o->memory_bytes, o->memory_bytes }, core = { 0, 0 };

	setpriority(PRIO_PROCESS, (id_t)c->pid, LEAST_PRIORITY);
	prlimit(c->pid, RLIMIT_CORE, &core, NULL);
	if (o->memory_bytes)
		prlimit(c->pid, RLIMIT_AS, &memory, NULL);
}

static void close_all(struct child *c)
{
	if (c->pid_fd >= 0)
		close(c->pid_fd);
	if (c->output >= 0)
		close(c->output);
	c->pid_fd = c->output = -1;
	c->pid = 0;
}

int child_start(struct child *c, const struct child_opts *opts, uint64_t now_ns)
{
	int ends[2], rc;

	*c = (struct child){ .pid_fd = -1, .output = -1, .deadline_ns = now_ns + opts->time_ns };
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	c->output = ends[0];
	fcntl(c->output, F_SETFL, O_NONBLOCK);
	rc = child_spawn(&c->pid, opts, ends[1]);
	close(ends[1]);
	if (rc) {
		c->pid = 0;
		close_all(c);
		return rc;
	}
	c->pid_fd = (int)syscall(SYS_pidfd_open, c->pid, 0); /* glibc has it since 2.36 */
	set_limits(c, opts);
	return 0;
}

/* Keep the last CHILD_WORDS - 1 bytes. */
static void output_keep(struct child *c, const char *text, size_t n)
{
	const size_t room = sizeof(c->words) - 1;
	size_t old = MIN(c->n_words, room - MIN(n, room)), i;

	memmove(c->words, c->words + c->n_words - old, old);
	if (n > room) {
		text += n - room;
		n = room;
	}
	for (i = 0; i < n; i++)
		c->words[old + i] = (unsigned char)text[i] < ' ' && text[i] != '\n' ? '?' : text[i];
	c->n_words = old + n;
	c->words[c->n_words] = '\0';
}

void child_hear(struct child *c)
{
	char text[4096];
	ssize_t n = 0;
	int reads;

	for (reads = 0; reads < 16 && c->output >= 0; reads++) {
		n = read(c->output, text, sizeof(text));
		if (n <= 0)
			break;
		output_keep(c, text, (size_t)n);
	}
	if (c->output < 0 || n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	close(c->output);
	c->output = -1;
}

static bool has_ended(struct child *c, int how, int *status)
{
	int got;
	pid_t pid;

	do {
		pid = waitpid(c->pid, &got, how);
	} while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	*status = pid < 0 ? 255 : WIFSIGNALED(got) ? 128 + WTERMSIG(got) : WEXITSTATUS(got);
	child_hear(c);
	close_all(c);
	return true;
}

bool child_reap(struct child *c, uint64_t now_ns, int *status)
{
	if (has_ended(c, WNOHANG, status))
		return true;
	if (now_ns < c->deadline_ns || c->overdue)
		return false;
	c->overdue = true;
	kill(-c->pid, SIGKILL);
	return false;
}

/* A child that waits for a disk ends later, without us. */
void child_kill(struct child *c)
{
	int status, tries;

	if (!c->pid)
		return;
	kill(-c->pid, SIGKILL);
	for (tries = 0; tries < KILL_TRIES && !has_ended(c, WNOHANG, &status); tries++)
		usleep(KILL_SLICE_US);
	if (c->pid)
		close_all(c);
}

const char *child_says(const struct child *c)
{
	static char line[CHILD_WORDS];
	const char *begin;
	size_t len = c->n_words;

	while (len > 0 && c->words[len - 1] == '\n')
		len--;
	memcpy(line, c->words, len);
	line[len] = '\0';
	begin = strrchr(line, '\n');
	return *line ? begin ? begin + 1 : line : "it said nothing";
}
