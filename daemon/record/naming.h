/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * naming.h - names of recordings from a pattern, from texts of a call, and from commands. Pure.
 *
 * Names contain text from the network, and must not lead out of the record directory. Characters
 * that could do so are escaped (R) or refused (C).
 */
#ifndef RTPX_NAMING_H
#define RTPX_NAMING_H

#include <limits.h>

#include "base/base.h"

#define NAMING_DEFAULT "%c=%f"

struct naming_call {
	const char *call_id, *from_tag, *to_tag; /* @to_tag NULL: not known */
	uint64_t realtime_ns;			 /* the beginning of the recording */
};

/*
 * naming_check - NULL, or a sentence that says why @pattern is refused. Allowed are %c %f %t %Y %m
 * %d %H %M %S %%, and any other text without control characters. No part between two '/' is empty
 * or begins with a dot.
 */
const char *naming_check(const char *pattern);

/*
 * naming_of - write the name that @pattern gives to @stem. A longer one than 231 bytes has its
 * first 200 and, after '~', a hash of the texts of @call.
 */
void naming_of(const char *pattern, const struct naming_call *call, char stem[NAME_MAX + 1]);

/*
 * naming_given - use a name from a command unchanged, or refuse it: -EINVAL (a '/', a control
 * character, a dot at the beginning, or the suffix .json), -EPROTONOSUPPORT (a receiver on the
 * network that is not supported), -ENAMETOOLONG.
 */
int naming_given(struct span target, char stem[NAME_MAX + 1]);

/* naming_key - 16 hexadecimal digits for a call-id and a tag. */
void naming_key(const char *call_id, const char *from_tag, char key[17]);

#endif
