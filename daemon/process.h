/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - what the daemon does to its own process: limits, priority, detaching, the pid file,
 * and giving up root. Each once, at start, in the order below. Failures are -errno with a sentence
 * in @err.
 */
#ifndef RTPX_PROCESS_H
#define RTPX_PROCESS_H

#include <sys/types.h>

#include "base/base.h"

/* process_limits - open files: @nofile soft and hard, 0: as many as the system allows. Core files:
 * unlimited. */
int process_limits(long nofile, char *err, size_t err_size);

/* process_nofile - how many files may be open now. */
unsigned long process_nofile(void);
/*
 * process_files - how many descriptors are open, nearly: all below the first free one. Standard
 * input must be open.
 */
unsigned long process_files(void);

/*
 * process_detach - go on as a daemon in a new session. Returns in the child, with a descriptor for
 * process_ready(); the parent stays until then and exits with 0, or with 1 when the child ended
 * before.
 */
int process_detach(bool chdir_root, int *ready, char *err, size_t err_size);

/* process_ready - the parent may exit. @redirect: the standard streams become /dev/null. */
void process_ready(int ready, bool redirect);

/* process_schedule - @policy SCHED_…, -1: leave; a refusal is only logged. @nice NULL: leave; a
 * refusal is an error. */
int process_schedule(int policy, const int *nice, char *err, size_t err_size);

struct pid_file {
	char *path; /* absolute; NULL: none */
	int fd;
};

/*
 * pid_file_open - while privileged; "/dev/null" is none. The file is locked until
 * pid_file_remove(), so no two processes use one; its contents stay until pid_file_write(). Failure
 * is only logged.
 */
void pid_file_open(struct pid_file *f, const char *path);
void pid_file_write(const struct pid_file *f);
/* pid_file_remove - close it, and remove it unless another file has its name by now. */
void pid_file_remove(struct pid_file *f);

/*
 * process_drop - become @uid and @gid ((uid_t)-1, (gid_t)-1: stay) with the user's supplementary
 * groups, or none. @dataplane: keep what attaching XDP and neighbours take (CAP_NET_ADMIN,
 * CAP_BPF), else keep nothing.
 */
int process_drop(uid_t uid, gid_t gid, bool dataplane, char *err, size_t err_size);

#endif
