/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.c - formats a sentence. */
#include "base/refuse.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(char *err, size_t err_size, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, err_size, fmt, ap);
	va_end(ap);
	return error;
}
