/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.h - the local admin socket that rtpxctl connects to. A connection carries one request line
 * and one JSON document in reply; then the daemon closes it.
 *
 * Requests that read: "sessions [AFTER]", "session CALL-ID", "flows [AFTER]", "stats", "why
 * CALL-ID", "status". Requests that change the daemon are in control/operate.h. The JSON is
 * described in docs/admin-json.md.
 */
#ifndef RTPX_ADMIN_H
#define RTPX_ADMIN_H

#include <sys/types.h>

#include "base/base.h"
#include "dataplane/dp.h"
#include "control/follow.h"
#include "control/operate.h"
#include "engine/engine.h"
#include "media/player.h"
#include "control/sockfile.h"

struct accounts;
struct floor;

struct event_base;
struct admin;
struct keeper;
struct listen;
struct reporter;

/* An option of the command line, in the order of its table. */
struct admin_setting {
	const char *name;  /* "-m", "--learning" */
	const char *value; /* in effect; valid until the next call */
	bool given;	   /* by the command line; false: the default */
};

struct admin_opts {
	struct engine *engine;
	struct sessions *sessions;
	struct sync *sync;
	struct recorder *recorder;
	struct players *players;
	struct notify *notify;
	/* setting - the @i-th setting, or false past the last one */
	bool (*setting)(void *arg, unsigned int i, struct admin_setting *out);
	void *arg;
	struct operate operate;
	struct follow_opts follow; /* without its end */
	const struct accounts *accounts;
	const struct reporter *reporter; /* NULL: without --hep */
	struct keeper *keeper;		 /* NULL: no journal */
	struct dp *dp;
	const struct floor *floor;
	struct relay *relay;
	struct listen *listen;
	struct ports *ports;
	/* from admin_open(); the admin owns it after admin_new(). fd -1: only admin_ask() asks */
	struct sockfile file;
	struct survey *survey;
	struct stats *stats;
	/*
	 * for the status page: requests that change the daemon are refused, and no answer walks
	 * over all calls, so counters are some seconds old
	 */
	bool lazy;
	const char *version, *pin_dir;
	uint16_t port_min, port_max;
	const struct listener *listeners; /* as the command line gave them */
	const unsigned int *n_listeners;
	enum learning learning;
};

/*
 * admin_open - open the listening socket. Call it before the process gives up its rights. The file
 * has mode 0660, the process's user, and the group @gid unless that is (gid_t)-1. Errors: as
 * sockfile_open().
 */
int admin_open(struct sockfile *file, const char *path, gid_t gid, char *err, size_t err_size);
int admin_new(struct admin **out, struct event_base *base,
	      const struct admin_opts *opts); /* -ENOMEM */
void admin_free(struct admin *a);

struct json_object;
/*
 * admin_ask - the answer to a request, as the socket gives it; the caller drops it. @arg "": none.
 */
struct json_object *admin_ask(struct admin *a, const char *request, const char *arg);

#endif
