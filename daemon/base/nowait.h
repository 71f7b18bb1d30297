/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nowait.h - writes to a descriptor that came from another program, without waiting for its reader.
 * Its flags do not change, as other processes may share them.
 */
#ifndef RTPX_NOWAIT_H
#define RTPX_NOWAIT_H

#include <sys/types.h>

#include "base/base.h"

/* nowait_is_socket - true when @fd is a socket. */
bool nowait_is_socket(int fd);

/*
 * nowait_write - write up to @len bytes to @fd, a socket (@is_socket), pipe, terminal or file.
 * Returns the bytes written, perhaps fewer than @len; -EAGAIN when the reader has to read first;
 * else -errno. A write to a regular file may wait for its disk.
 */
ssize_t nowait_write(int fd, bool is_socket, const void *p, size_t len);

#endif
