/* SPDX-License-Identifier: BSD-2-Clause */
/* whole.h - writes all bytes to a descriptor, and waits for it. */
#ifndef RTPX_WHOLE_H
#define RTPX_WHOLE_H

#include <stdbool.h>
#include <stddef.h>

/* write_whole - false: an error, with errno; some bytes may be written. */
bool write_whole(int fd, const void *data, size_t len);

#endif
