/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * operate.c - asks the daemon for a change, and says in words what has become of it.
 */
#include "operate.h"

#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "ask.h"

void operate_admission_line(struct json_object *a)
{
	unsigned long long sessions = json_number(a, "max_sessions"),
			   cps = json_number(a, "max_cps");

	if (json_is(a, "draining"))
		printf("admission   draining for %llu s: new sessions are refused (E99), %llu "
		       "exist, %llu refused\n",
		       json_number(a, "draining_s"), json_number(a, "sessions"),
		       json_number(a, "refused_drain"));
	else
		printf("admission   new sessions are admitted, %llu exist\n",
		       json_number(a, "sessions"));
	if (sessions)
		printf("            at most %llu sessions (--max-sessions)\n", sessions);
	if (cps)
		printf("            at most %llu new calls a second (--max-cps)\n", cps);
	if (sessions || cps)
		printf("            %llu sessions refused because of that (E98)\n",
		       json_number(a, "refused_limit"));
}

static int say_admission(struct json_object *o)
{
	operate_admission_line(o);
	return 0;
}

static int say_ended(struct json_object *o)
{
	unsigned long long n = json_number(o, "ended");

	printf("%llu session%s ended\n", n, n == 1 ? "" : "s");
	return n ? 0 : 1;
}

static int say_added(struct json_object *o)
{
	printf("%s: added; new calls get it too\n", json_text(o, "added"));
	return 0;
}

static int say_level(struct json_object *o)
{
	printf("log level %s\n", json_text(o, "level"));
	return 0;
}

static const struct {
	const char *request;
	int (*say)(struct json_object *o);
} changes[] = {
	{ "drain", say_admission }, { "undrain", say_admission }, { "terminate", say_ended },
	{ "extend", say_added },    { "loglevel", say_level },
};

static int say(const char *request, struct json_object *o)
{
	size_t i;

	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (!strcmp(changes[i].request, request))
			return changes[i].say(o);
	return 2;
}

int operate_show(const char *socket_path, bool as_json, const char *request, const char *arg)
{
	struct json_object *o = ask(socket_path, request, arg), *error;
	int code = 0;

	if (!o)
		return 3;
	if (json_object_object_get_ex(o, "error", &error)) {
		fprintf(stderr, "rtpxctl: %s\n", json_text(o, "error"));
		code = 2;
	} else if (as_json) {
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
							       JSON_C_TO_STRING_SPACED |
							       JSON_C_TO_STRING_NOSLASHESCAPE));
	} else {
		code = say(request, o);
	}
	json_object_put(o);
	return code;
}
