/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ucl.h - reads the configuration language of rtpproxy, UCL: named sections in braces, lines of
 * `key = value`, comments, and JSON objects. Pure: gets text, opens no file.
 *
 * Refuses the parts of UCL without a use here: arrays, macros (.include), and values of several
 * lines.
 */
#ifndef RTPX_UCL_H
#define RTPX_UCL_H

#include "base/base.h"

#define UCL_MAX_DEPTH 8
#define UCL_MAX_KEY 64	   /* bytes, with the NUL */
#define UCL_MAX_VALUE 1024 /* likewise */

enum ucl_kind { UCL_BEGIN, UCL_VALUE, UCL_END };

/* One thing in the text. Pointers are valid during the call. */
struct ucl_event {
	enum ucl_kind kind;		 /* a section begins, a key has a value, a section ends */
	const char *keys[UCL_MAX_DEPTH]; /* from the outermost section to this one, or to the key */
	unsigned int depth;		 /* of them, at least 1 */
	const char *value;		 /* UCL_VALUE only */
	bool quoted;			 /* a text, even if it looks like a number */
	unsigned int line;		 /* from 1 */
};

/*
 * ucl_read - call @take for each thing in @text, in order. 0; -EINVAL with a sentence in @err,
 * which begins with the line, for text that is no UCL; or the first error of @take, which has
 * written a sentence to @err itself.
 */
int ucl_read(const char *text, size_t len,
	     int (*take)(void *arg, const struct ucl_event *event, char *err, size_t err_size),
	     void *arg, char *err, size_t err_size);

#endif
