/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.h - the report of rtpxctl doctor, and ways to read the host. Prints nothing.
 */
#ifndef RTPX_FINDINGS_H
#define RTPX_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include <json-c/json.h>

enum result { OK, WARNING, WRONG };

extern const char *const finding_names[]; /* "ok", "warning", "wrong" */

struct findings {
	struct json_object *lines; /* one object a line */
	const char *hopeless;	   /* why no new call can work; NULL: calls can work */
};

/*
 * found - add a line: the check, its finding @fmt, and the remedy, which OK does not show.
 */
void found(struct findings *f, const char *check, enum result result, const char *remedy,
	   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* first_line - the first line of a file, without its newline; false: it cannot be read. */
bool first_line(const char *path, char *buf, size_t size);
/* line_of - the rest of the line in @path that starts with @key. */
bool line_of(const char *path, const char *key, char *buf, size_t size);

#endif
