/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - settings of the daemon's own process: limits, priority, detaching, the pid file, and
 * giving up root. main calls each function once, at start, in the order below. Failures are -errno
 * with a sentence in @err.
 */
#ifndef RTPX_PROCESS_H
#define RTPX_PROCESS_H

#include <sys/types.h>

#include "base/base.h"

/*
 * process_limits - set the soft and the hard limit of open files to @nofile; 0: raise the soft
 * limit to the hard one. Remove the limit on core files, or raise it to the hard one.
 */
int process_limits(long nofile, char *err, size_t err_size);

/* process_nofile - the soft limit of open files; 0: unknown. */
unsigned long process_nofile(void);
/*
 * process_files - about the number of open descriptors: the first free one. Standard input must be
 * open.
 */
unsigned long process_files(void);

/*
 * process_detach - continue as a daemon in a new session. Returns in the child, with a descriptor
 * for process_ready() in *@ready. The parent waits for process_ready() and exits with 0, or with 1
 * when the child ends before.
 */
int process_detach(bool chdir_root, int *ready, char *err, size_t err_size);

/* process_ready - let the parent exit. @redirect: redirect the standard streams to /dev/null. */
void process_ready(int ready, bool redirect);

/*
 * process_schedule - set the scheduling policy @policy (SCHED_…; -1: keep it); a refusal is only
 * logged. Set the nice value *@nice (NULL: keep it); a refusal is an error.
 */
int process_schedule(int policy, const int *nice, char *err, size_t err_size);

struct pid_file {
	char *path; /* absolute; NULL: none */
	int fd;
};

/*
 * pid_file_open - open the pid file while the process is privileged; "/dev/null" means no file. The
 * file is locked until pid_file_remove(): two processes never share it. Its contents stay
 * until pid_file_write(). A failure is only logged.
 */
void pid_file_open(struct pid_file *f, const char *path);
void pid_file_write(const struct pid_file *f);
/* pid_file_remove - close the file, and remove it unless another file has its name by now. */
void pid_file_remove(struct pid_file *f);

/*
 * process_drop - become user @uid with the user's supplementary groups, and group @gid. With
 * (uid_t)-1 change only the group, and drop the supplementary groups; (gid_t)-1 as well: change
 * nothing. @dataplane: keep the capabilities for XDP, neighbours and the rules of this host
 * (CAP_NET_ADMIN, CAP_BPF).
 * @maps: keep CAP_BPF. Else keep none; the same for a process that was started as another user than
 * root. Root without @uid keeps all.
 */
int process_drop(uid_t uid, gid_t gid, bool dataplane, bool maps, char *err, size_t err_size);

/*
 * process_first_line - read the first line of a file, without its newline, which another user may
 * not see. The caller owns *@out. 0; or -errno with a sentence in @err: it is empty, or not there.
 */
int process_first_line(const char *path, char **out, char *err, size_t err_size);

/*
 * process_give - make user @uid the owner of @dir; (uid_t)-1: leave it. A symbolic link is not
 * followed: another user may have put it there. A failure is only logged.
 */
void process_give(const char *dir, uid_t uid, gid_t gid);

/* process_log_library - log the messages of libevent, which would write them to stderr. */
void process_log_library(void);

#endif
