/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * child.h - runs a program beside the calls: at low priority, with bounded memory and time, without
 * our descriptors. One thread owns a child.
 */
#ifndef RTPX_CHILD_H
#define RTPX_CHILD_H

#include <sys/types.h>

#include "base/base.h"

#define CHILD_WORDS 400

struct child_opts {
	const char *const *argv; /* ends with NULL; argv[0] without a '/' is looked for in PATH */
	const char *dir;	 /* its working directory */
	int input;		 /* its standard input, stays open here; -1: /dev/null */
	uint64_t memory_bytes;	 /* of address space; 0: no limit */
	uint64_t time_ns;	 /* it is killed after that time */
};

struct child {
	pid_t pid;	    /* 0: none */
	int pid_fd, output; /* readable: it has ended, it has written; -1: none */
	uint64_t deadline_ns;
	bool overdue;		 /* it was killed because its time was over */
	char words[CHILD_WORDS]; /* the end of its output, control characters replaced */
	size_t n_words;
};

/* child_start - 0 or -errno: the program cannot be run. */
int child_start(struct child *c, const struct child_opts *opts, uint64_t now_ns);
/* child_hear - take its output; call it when @output is readable. */
void child_hear(struct child *c);
/*
 * child_reap - true if the child has ended: sets *@status to its exit code, or to 128 and the
 * signal, and frees all. Kills a child whose time is over, with its process group.
 */
bool child_reap(struct child *c, uint64_t now_ns, int *status);
/* child_kill - kill the child and its process group; wait half a second at most. */
void child_kill(struct child *c);
/* child_says - the last line of its output; never NULL, valid until the next call. */
const char *child_says(const struct child *c);

#endif
