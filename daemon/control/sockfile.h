/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockfile.h - listening unix sockets and their files. A file gets its owner and mode before any
 * other user can connect or replace it. Only a process that made or adopted the file removes it.
 * This module does not accept connections.
 */
#ifndef RTPX_SOCKFILE_H
#define RTPX_SOCKFILE_H

#include <sys/types.h>

#include "base/base.h"

struct sockfile {
	int fd;	    /* the listening socket, non-blocking; -1: none */
	char *path; /* absolute; NULL: no file is ours to remove */
	dev_t dev;
	ino_t ino;
};

struct sockfile_opts {
	uid_t uid; /* owner of the file; (uid_t)-1: the process's user */
	gid_t gid;
	int mode; /* -1: 0777 without the bits of the umask */
	int backlog;
};

/*
 * sockfile_open - open a stream socket that listens at @path. Replaces a socket file that no
 * process listens on; any other file stays. On failure -errno, with a sentence in @err that names
 * no option. -EADDRINUSE: a process listens there, even if it does not accept.
 */
int sockfile_open(struct sockfile *f, const char *path, const struct sockfile_opts *opts, char *err,
		  size_t err_size);

/*
 * sockfile_adopt - take over @fd, a socket of the previous daemon that listens at @path. From now
 * on this process removes the file.
 */
void sockfile_adopt(struct sockfile *f, int fd, const char *path);

/* sockfile_leave - leave the file to the next daemon, which adopts the socket. */
void sockfile_leave(struct sockfile *f);

/* sockfile_unlink - remove the file, unless another file replaced it. The socket stays open. */
void sockfile_unlink(struct sockfile *f);

/* sockfile_close - sockfile_unlink(), and close the socket. */
void sockfile_close(struct sockfile *f);

#endif
