/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockfile.h - listening unix sockets and their files: made with their owner and mode, without a
 * moment in which others could connect or put another file in their place; removed only by the
 * process that made them. Does not accept.
 */
#ifndef RTPX_SOCKFILE_H
#define RTPX_SOCKFILE_H

#include <sys/types.h>

#include "base/base.h"

struct sockfile {
	int fd;	    /* of the listening socket, non-blocking; -1: none */
	char *path; /* absolute; NULL: no file is ours to remove */
	dev_t dev;
	ino_t ino;
};

struct sockfile_opts {
	uid_t uid; /* of the file, (uid_t)-1: the process's */
	gid_t gid;
	int mode; /* -1: what the umask leaves of 0777 */
	int backlog;
};

/*
 * sockfile_open - a stream socket that listens at @path. A socket file there that no process
 * listens on is replaced; any other file stays. On failure -errno with a sentence in @err that
 * names no option: -EADDRINUSE when a process listens there, even if it does not accept.
 */
int sockfile_open(struct sockfile *f, const char *path, const struct sockfile_opts *opts, char *err,
		  size_t err_size);

/*
 * sockfile_adopt - a socket that listens at @path already, opened by the previous daemon. Takes @fd
 * over; the file is ours to remove from now on.
 */
void sockfile_adopt(struct sockfile *f, int fd, const char *path);

/* sockfile_leave - the file is the next daemon's, which adopts the socket. */
void sockfile_leave(struct sockfile *f);

/* sockfile_unlink - remove the file, unless another one is in its place. The socket stays open. */
void sockfile_unlink(struct sockfile *f);

/* sockfile_close - the same, and close the socket. */
void sockfile_close(struct sockfile *f);

#endif
