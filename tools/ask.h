/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - one question to the daemon's admin socket, one JSON answer.
 */
#ifndef RTPX_ASK_H
#define RTPX_ASK_H

struct json_object;

/*
 * ask - send "@request [@arg]" to the socket at @path. The answer is owned by the caller; NULL when
 * nobody answered (errno).
 */
struct json_object *ask(const char *path, const char *request, const char *arg);

/*
 * ask_all - a paged list: the arrays under @key of all pages, joined. Owned by the caller; NULL as
 * ask(), or for an answer that has no such list (*@refused gets that answer, owned by the caller).
 */
struct json_object *ask_all(const char *path, const char *request, const char *key,
			    struct json_object **refused);

/* json_text, json_number, json_is - a member's value, or "-", 0, false when it is not there. */
const char *json_text(struct json_object *o, const char *key);
unsigned long long json_number(struct json_object *o, const char *key);
int json_is(struct json_object *o, const char *key);

#endif
