/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.h - sends a request to the daemon's admin socket, and reads its JSON answer.
 */
#ifndef RTPX_ASK_H
#define RTPX_ASK_H

struct json_object;

/*
 * ask - send "@request [@arg]" to the socket at @path. The caller owns the answer. NULL: no daemon
 * answered; errno has the error.
 */
struct json_object *ask(const char *path, const char *request, const char *arg);

/* ask_open - the same, but returns the connection, without a limit of time. -1: no daemon. */
int ask_open(const char *path, const char *request, const char *arg);

/*
 * ask_tame - from now on, control characters in the texts of answers become '?': call-ids and tags
 * come from strangers, and must not steer a terminal. Not for output as JSON, which escapes them.
 */
void ask_tame(void);

/*
 * ask_all - get a paged list, of one call or (@call_id "") of all: the arrays under @key of all
 * pages, joined. The caller owns it. NULL: no daemon answered, as with ask(), or an answer had no
 * such list; *@refused then gets that answer, which the caller owns.
 */
struct json_object *ask_all(const char *path, const char *request, const char *call_id,
			    const char *key, struct json_object **refused);

/*
 * json_text, json_number, json_real, json_is - the value of a member; "-", 0, false if it is
 * missing. A text is fit for a terminal: see utf8_tame().
 */
const char *json_text(struct json_object *o, const char *key);
unsigned long long json_number(struct json_object *o, const char *key);
double json_real(struct json_object *o, const char *key);
int json_is(struct json_object *o, const char *key);

#endif
