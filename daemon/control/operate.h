/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * operate.h - requests of the admin socket that change the daemon: drain, undrain, terminate,
 * loglevel, takeover. The answers are in docs/admin-json.md. The caller owns an answer.
 */
#ifndef RTPX_OPERATE_H
#define RTPX_OPERATE_H

#include "base/base.h"
#include "engine/admission.h"
#include "engine/engine.h"

struct json_object;

struct operate {
	struct engine *engine;
	struct sessions *sessions;
	struct admission *admission;
	struct groups *groups; /* NULL: without --replicate */
	/* extend - add an address to a list of media addresses. 0, or -1 with a sentence. */
	int (*extend)(void *arg, const char *text, char *err, size_t err_size);
	void *arg;
};

struct json_object *operate_drain(const struct operate *o, const char *arg);
struct json_object *operate_undrain(const struct operate *o, const char *arg);
/* operate_terminate - end all sessions of the call-id @arg. */
struct json_object *operate_terminate(const struct operate *o, const char *arg);
/* operate_loglevel - set the lowest level of log lines; "": only tell it. */
struct json_object *operate_loglevel(const struct operate *o, const char *arg);
/* operate_extend - add a media address: LIST,ADDR[=ADVERTISED]. */
struct json_object *operate_extend(const struct operate *o, const char *arg);
/* operate_takeover - make this standby the owner of the calls. */
struct json_object *operate_takeover(const struct operate *o, const char *arg);

/* operate_admission - draining and limits, for `status`. */
struct json_object *operate_admission(const struct operate *o);

#endif
