/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirs.c - asks the kernel in a child process, which has the daemon's root directory, user and
 * groups. So modes, access lists, read-only mounts and namespaces count as they do for the daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dirs.h"
#include "ask.h"

#define MAX_GROUPS 64
#define NOT_ROOT 255 /* exit code of the child: rtpxctl may not take the daemon's place */

struct user {
	uid_t uid;
	gid_t gid, groups[MAX_GROUPS];
	int n_groups;
};

/* Each option that names a directory, or a file in one, and the damage if it cannot be used. */
static const struct use {
	const char *option;
	bool file;
	int mode;
	const char *damage;
} uses[] = {
	{ "-r", false, R_OK | W_OK | X_OK, "R and C fail, and nothing is recorded" },
	{ "-S", false, R_OK | W_OK | X_OK, "R and C fail, and nothing is recorded" },
	{ "--prompt-dir", false, R_OK | X_OK, "P fails, and no prompt plays" },
	{ "--prompt-cache", false, R_OK | W_OK | X_OK, "each start encodes the prompts again" },
	{ "--acct-csv", true, W_OK | X_OK, "records of sessions are lost" },
	{ "--acct-json", true, W_OK | X_OK, "records of sessions are lost" },
};

/* The effective user and groups of a process. */
static bool user_of(long pid, struct user *out)
{
	char path[64], text[1024], *p, *end;
	unsigned int ids[4];

	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	if (!line_of(path, "Uid:", text, sizeof(text)) ||
	    sscanf(text, "%u %u", &ids[0], &ids[1]) != 2)
		return false;
	if (!line_of(path, "Gid:", text, sizeof(text)) ||
	    sscanf(text, "%u %u", &ids[2], &ids[3]) != 2)
		return false;
	*out = (struct user){ .uid = ids[1], .gid = ids[3] };
	if (!line_of(path, "Groups:", text, sizeof(text)))
		return true;
	for (p = text; out->n_groups < MAX_GROUPS; p = end) {
		unsigned long group = strtoul(p, &end, 10);

		if (end == p)
			break;
		out->groups[out->n_groups++] = (gid_t)group;
	}
	return true;
}

/* In the child: the exit code is 0 or an error of access(2). */
static int try(long pid, const struct user *user, const char *path, int mode)
{
	char root[64];

	snprintf(root, sizeof(root), "/proc/%ld/root", pid);
	if (chdir(root) < 0 || chroot(".") < 0 ||
	    setgroups((size_t)user->n_groups, user->groups) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 ||
	    setresuid(user->uid, user->uid, user->uid) < 0)
		return NOT_ROOT;
	return access(path, mode) < 0 ? errno : 0;
}

/* 0, an error of access(2), or NOT_ROOT. */
static int may_use(long pid, const struct user *user, const char *path, int mode)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(try(pid, user, path, mode));
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
		return NOT_ROOT;
	return WEXITSTATUS(status);
}

static void check(struct findings *f, const struct use *use, const char *value, long pid,
		  const struct user *user)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(value, '/');
	int error;

	snprintf(dir, sizeof(dir), "%s", value);
	if (use->file && slash)
		dir[slash == value ? 1 : slash - value] = '\0';
	error = may_use(pid, user, dir, use->mode);
	if (error == NOT_ROOT)
		found(f, "directory", WARNING, "run rtpxctl doctor as root",
		      "%s %s: cannot be judged for the daemon's user", use->option, value);
	else if (error)
		found(f, "directory", WRONG,
		      "make the directory, or give it to the daemon's user (chown, "
		      "ReadWritePaths= of the unit)",
		      "%s %s: the daemon (user %u) cannot use %s: %s; %s", use->option, value,
		      user->uid, dir, strerror(error), use->damage);
	else
		found(f, "directory", OK, "", "%s %s: the daemon can use it", use->option, value);
}

void dirs_check(struct findings *f, struct json_object *settings, long pid)
{
	struct user user;
	size_t i, j;

	if (!user_of(pid, &user))
		return;
	for (i = 0; i < json_object_array_length(settings); i++) {
		struct json_object *o = json_object_array_get_idx(settings, i);

		for (j = 0; j < sizeof(uses) / sizeof(uses[0]); j++)
			if (!strcmp(json_text(o, "option"), uses[j].option) &&
			    !json_is(o, "default") && *json_text(o, "value") == '/')
				check(f, &uses[j], json_text(o, "value"), pid, &user);
	}
}
