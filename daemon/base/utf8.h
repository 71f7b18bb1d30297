/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8.h - checks and repairs text that peers have sent. Pure.
 */
#ifndef RTPX_UTF8_H
#define RTPX_UTF8_H

#include "base/base.h"

/*
 * utf8_next - the length of the UTF-8 character at @p, 1 to 4; 0: the byte begins none (RFC 3629,
 * section 4). @len, the number of bytes left, is not 0.
 */
size_t utf8_next(const char *p, size_t len);
bool utf8_is_valid(const char *text, size_t len);

/*
 * utf8_repair - copy @text, with U+FFFD for each byte that belongs to no character. @out has room
 * for 3 * strlen(text) + 1 bytes. Returns @out.
 */
char *utf8_repair(const char *text, char *out);

/*
 * utf8_tame - copy @text for a terminal. Control characters, characters that change the direction
 * of text or cannot be seen, and bytes that belong to no character become '?'. @out has room for
 * strlen(text) + 1 bytes, and may be @text. Returns @out.
 */
char *utf8_tame(const char *text, char *out);

#endif
