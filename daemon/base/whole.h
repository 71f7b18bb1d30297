/* SPDX-License-Identifier: BSD-2-Clause */
/* whole.h - writes all bytes to a descriptor, or reads them, and waits for it. */
#ifndef RTPX_WHOLE_H
#define RTPX_WHOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* write_whole - false: an error, with errno; some bytes may be written. */
bool write_whole(int fd, const void *data, size_t len);
/* read_whole - read @len bytes. Returns their number, less at the end of the file; or -errno. */
ssize_t read_whole(int fd, void *data, size_t len);

#endif
