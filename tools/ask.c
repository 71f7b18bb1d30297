/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask.c - the client side of the admin socket.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "ask.h"
#include "base/utf8.h"

#define ASK_TIMEOUT_S 10

static int dial(const char *path)
{
	const struct timeval timeout = { ASK_TIMEOUT_S, 0 };
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

static struct json_object *read_answer(int fd)
{
	struct json_tokener *tok = json_tokener_new();
	struct json_object *o = NULL;
	char buf[65536];
	ssize_t n;

	while (tok && !o && (n = read(fd, buf, sizeof(buf))) > 0) {
		o = json_tokener_parse_ex(tok, buf, n);
		if (!o && json_tokener_get_error(tok) != json_tokener_continue)
			break;
	}
	json_tokener_free(tok);
	if (!o && !errno)
		errno = EPROTO;
	return o;
}

static bool taming;

void ask_tame(void)
{
	taming = true;
}

/* C0, DEL, and C1 in UTF-8 (U+0080 to U+009F). */
static void tame_text(char *text)
{
	unsigned char *p = (unsigned char *)text;

	for (; *p; p++) {
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

static void tame(struct json_object *o)
{
	size_t i;
	char *text;

	if (json_object_is_type(o, json_type_object)) {
		json_object_object_foreach(o, key, value)
		{
			(void)key;
			tame(value);
		}
	} else if (json_object_is_type(o, json_type_array)) {
		for (i = 0; i < json_object_array_length(o); i++)
			tame(json_object_array_get_idx(o, i));
	} else if (json_object_is_type(o, json_type_string)) {
		text = strdup(json_object_get_string(o));
		if (!text)
			return;
		tame_text(text);
		json_object_set_string(o, text);
		free(text);
	}
}

int ask_open(const char *path, const char *request, const char *arg)
{
	const struct timeval none = { 0 };
	int fd = dial(path), len, sent = -1;
	char *line;

	if (fd < 0)
		return -1;
	len = asprintf(&line, "%s%s%s\n", request, arg ? " " : "", arg ? arg : "");
	if (len > 0) {
		sent = (int)send(fd, line, (size_t)len, MSG_NOSIGNAL);
		free(line);
	}
	if (len <= 0 || sent != len) {
		close(fd);
		return -1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	return fd;
}

struct json_object *ask(const char *path, const char *request, const char *arg)
{
	struct json_object *o = NULL;
	char *line;
	int fd = dial(path), len;

	if (fd < 0)
		return NULL;
	len = asprintf(&line, "%s%s%s\n", request, arg ? " " : "", arg ? arg : "");
	if (len > 0) {
		errno = 0;
		if (send(fd, line, len, MSG_NOSIGNAL) == len)
			o = read_answer(fd);
		free(line);
	}
	close(fd);
	if (o && taming)
		tame(o);
	return o;
}

/* A page of the list, after session number @after. */
static struct json_object *ask_page(const char *path, const char *request, const char *call_id,
				    uint64_t after)
{
	struct json_object *page = NULL;
	char *arg;

	if (asprintf(&arg, "%s%s%" PRIu64, call_id, *call_id ? " " : "", after) < 0)
		return NULL;
	page = ask(path, request, arg);
	free(arg);
	return page;
}

struct json_object *ask_all(const char *path, const char *request, const char *call_id,
			    const char *key, struct json_object **refused)
{
	struct json_object *all = json_object_new_array(), *page, *list, *next;
	uint64_t after = 0;
	size_t i;

	*refused = NULL;
	for (;;) {
		page = ask_page(path, request, call_id, after);
		if (!page || !json_object_object_get_ex(page, key, &list)) {
			*refused = page;
			json_object_put(all);
			return NULL;
		}
		for (i = 0; i < json_object_array_length(list); i++)
			json_object_array_add(all,
					      json_object_get(json_object_array_get_idx(list, i)));
		if (!json_object_object_get_ex(page, "next", &next) || !next)
			break;
		after = json_object_get_uint64(next);
		json_object_put(page);
	}
	json_object_put(page);
	return all;
}

/* Peers choose the names of calls: what a terminal would obey becomes '?', in the answer itself. */
static const char *tamed(struct json_object *text)
{
	const char *as_is = json_object_get_string(text);
	char *out = malloc(strlen(as_is) + 1);

	if (!out)
		return "?";
	if (strcmp(as_is, utf8_tame(as_is, out)))
		json_object_set_string(text, out);
	free(out);
	return json_object_get_string(text);
}

const char *json_text(struct json_object *o, const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(o, key, &v) || !v)
		return "-";
	return json_object_is_type(v, json_type_string) ? tamed(v) : json_object_get_string(v);
}

double json_real(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && v ? json_object_get_double(v) : 0;
}

unsigned long long json_number(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && v ? json_object_get_uint64(v) : 0;
}

int json_is(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && v && json_object_get_boolean(v);
}
