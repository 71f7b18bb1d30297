/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * operate.c - carries out an operator's requests. It reads no socket.
 */
#include "control/operate.h"

#include <stdio.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/put.h"
#include "replicate/groups.h"

struct json_object *operate_admission(const struct operate *o)
{
	const struct admission *a = o->admission;
	struct json_object *json = json_object_new_object();
	uint64_t now_ns = clock_now();

	put_bool(json, "draining", a->draining);
	if (a->draining)
		put_number(json, "draining_s", (now_ns - a->draining_since_ns) / NSEC_PER_SEC);
	put_number(json, "sessions", sessions_count(o->sessions));
	put_number(json, "max_sessions", a->max_sessions);
	put_number(json, "max_cps", a->max_cps);
	put_number(json, "refused_limit", a->stats->nsess_limited);
	put_number(json, "refused_drain", a->stats->nsess_drained);
	return json;
}

static struct json_object *set_draining(const struct operate *o, bool draining)
{
	if (o->admission->draining != draining)
		log_warn(draining ? "draining: new sessions are refused (E99), %u sessions go on"
				  : "no longer draining: new sessions are admitted; %u exist",
			 sessions_count(o->sessions));
	admission_drain(o->admission, draining, clock_now());
	return operate_admission(o);
}

struct json_object *operate_drain(const struct operate *o, const char *arg)
{
	(void)arg;
	return set_draining(o, true);
}

struct json_object *operate_undrain(const struct operate *o, const char *arg)
{
	(void)arg;
	return set_draining(o, false);
}

struct json_object *operate_terminate(const struct operate *o, const char *arg)
{
	struct json_object *json = json_object_new_object();

	put_number(json, "ended", engine_terminate(o->engine, span_of(arg), clock_now()));
	return json;
}

struct json_object *operate_loglevel(const struct operate *o, const char *arg)
{
	struct json_object *json = json_object_new_object();
	int level = *arg ? log_level_of(arg) : (int)log_level();

	(void)o;
	if (level < 0) {
		put_text(json, "error", "the level must be DBUG, INFO, WARN, ERR or CRIT");
		return json;
	}
	if (level != (int)log_level()) {
		log_warn("log level: %s instead of %s", log_level_name((enum log_level)level),
			 log_level_name(log_level()));
		log_set_level((enum log_level)level);
	}
	put_text(json, "level", log_level_name((enum log_level)level));
	return json;
}

struct json_object *operate_extend(const struct operate *o, const char *arg)
{
	struct json_object *json = json_object_new_object();
	char err[300];

	if (o->extend(o->arg, arg, err, sizeof(err)) < 0)
		put_text(json, "error", err);
	else
		put_text(json, "added", strrchr(arg, ',') + 1);
	return json;
}

struct json_object *operate_takeover(const struct operate *o, const char *arg)
{
	struct json_object *json = json_object_new_object();
	char err[300];

	if (!o->groups)
		put_text(json, "error", "this daemon has no --replicate, so it is no standby");
	else if (groups_take_over(o->groups, arg, err, sizeof(err)) < 0)
		put_text(json, "error", err);
	else
		put_text(json, "takeover", "begun");
	return json;
}
