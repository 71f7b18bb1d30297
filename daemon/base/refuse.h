/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.h - an error with a sentence about it. */
#ifndef RTPX_REFUSE_H
#define RTPX_REFUSE_H

#include <stddef.h>

/* refuse - write a sentence of at most @err_size bytes to @err. Returns @error. */
int refuse(char *err, size_t err_size, int error, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
