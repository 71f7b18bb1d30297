/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nowait.h - writes to a descriptor that came from another program, without waiting for its reader.
 * Its flags do not change, as other processes may share them.
 */
#ifndef RTPX_NOWAIT_H
#define RTPX_NOWAIT_H

#include <sys/types.h>

#include "base/base.h"

enum nowait_kind {
	NOWAIT_STREAM, /* a pipe, a terminal or another device */
	NOWAIT_SOCKET,
	NOWAIT_FILE,
};

/* nowait_kind - what @fd is. */
enum nowait_kind nowait_kind(int fd);

/*
 * nowait_write - write up to @len bytes to @fd. Returns the bytes written, perhaps fewer than @len;
 * -EAGAIN when the reader has to read first; else -errno. A write to a file may wait for its disk.
 */
ssize_t nowait_write(int fd, enum nowait_kind kind, const void *p, size_t len);

#endif
