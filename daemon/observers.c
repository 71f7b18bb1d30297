/* SPDX-License-Identifier: BSD-2-Clause */
/* observers.c - composes the modules of observe/ with the admin socket and the web listener. */
#include "observers.h"
#include "addresses.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "control/admin.h"
#include "control/metrics.h"
#include "control/web.h"
#include "observe/accounts.h"
#include "observe/history.h"
#include "observe/reporter.h"
#include "observe/survey.h"
#include "observe/totals.h"
#include "options.h"
#include "process.h"

struct observers {
	struct config *config;
	struct addresses addresses; /* for rtpxctl extend */
	struct observers_opts o;
	struct sockfile file; /* the admin socket, until @admin owns it */
	struct admin *admin;  /* NULL: another daemon has the socket */
	struct totals totals;
	struct accounts *accounts;
	struct reporter *reporter; /* NULL: without --hep */
	struct survey *survey;
	/* of --metrics; NULL without it */
	struct history *history;
	struct metrics *metrics;
	struct admin *web_admin;
	struct web *web;
};

static int say(char *err, size_t err_size, const char *why)
{
	snprintf(err, err_size, "%s", why);
	return -1;
}

/* ---- the admin socket ---- */

/* Make the directory of the default socket. The directory of another path must exist already. */
static void make_admin_dir(const struct config *c)
{
	char dir[] = CONFIG_ADMIN_SOCKET;

	if (strcmp(c->admin_socket, CONFIG_ADMIN_SOCKET))
		return;
	*strrchr(dir, '/') = '\0';
	if (mkdir(dir, 0755) == 0)
		process_give(dir, c->uid, c->gid);
}

static int open_admin(struct observers *o, char *err, size_t err_size)
{
	const struct config *c = o->config;
	gid_t gid = c->group_named ? c->gid : (gid_t)-1;

	make_admin_dir(c);
	return admin_open(&o->file, c->admin_socket, gid, err, err_size);
}

int observers_new(struct observers **out, struct config *c, char *err, size_t err_size)
{
	struct observers *o = calloc(1, sizeof(*o));

	if (!o)
		return say(err, err_size, "out of memory");
	o->config = c;
	o->file.fd = -1;
	totals_init(&o->totals);
	if (open_admin(o, err, err_size) < 0) {
		if (strcmp(c->admin_socket, CONFIG_ADMIN_SOCKET)) {
			free(o);
			return -1;
		}
		log_warn("rtpxctl cannot connect to this process: %s", err);
	}
	*out = o;
	return 0;
}

static struct admin_opts admin_options(struct observers *o)
{
	const struct config *c = o->config;
	const struct observers_opts *m = &o->o;

	return (struct admin_opts){
		.survey = o->survey,
		.stats = m->stats,
		.engine = m->engine,
		.setting = options_setting,
		.arg = (void *)c,
		.follow = { .taps = m->taps, .mirror = m->mirror },
		.operate = { m->engine, m->sessions, m->admission, m->groups, addresses_add,
			     &o->addresses },
		.sessions = m->sessions,
		.sync = m->sync,
		.recorder = m->recorder,
		.players = m->players,
		.notify = m->notify,
		.accounts = o->accounts,
		.reporter = o->reporter,
		.keeper = m->keeper,
		.dp = m->dp,
		.floor = m->floor,
		.relay = m->relay,
		.listen = m->listen,
		.ports = m->ports,
		.file = o->file,
		.version = RTPX_VERSION,
		.pin_dir = c->dp.pin_dir,
		.port_min = c->port_min,
		.port_max = c->dp.port_max,
		.listeners = c->listeners,
		.n_listeners = &c->n_listeners,
		.learning = c->learning,
	};
}

static int start_admin(struct observers *o)
{
	const struct admin_opts opts = admin_options(o);

	if (o->file.fd < 0)
		return 0;
	if (admin_new(&o->admin, o->o.base, &opts) < 0)
		return -1;
	o->file = (struct sockfile){ .fd = -1 };
	return 0;
}

/* Once a second while there is no admin socket. */
static void retry_admin(struct observers *o)
{
	char err[512];

	if (open_admin(o, err, sizeof(err)) < 0)
		return;
	if (start_admin(o) == 0)
		log_warn("rtpxctl can connect now, at %s", o->config->admin_socket);
	else
		sockfile_close(&o->file);
}

/* ---- metrics and the status page ---- */

static struct metrics_opts metrics_options(struct observers *o)
{
	const struct config *c = o->config;
	const struct observers_opts *m = &o->o;

	return (struct metrics_opts){
		.stats = m->stats,
		.sessions = m->sessions,
		.ports = m->ports,
		.dp = m->dp,
		.sync = m->sync,
		.relay = m->relay,
		.recorder = m->recorder,
		.players = m->players,
		.notify = m->notify,
		.accounts = o->accounts,
		.reporter = o->reporter,
		.groups = m->groups,
		.keeper = m->keeper,
		.listen = m->listen,
		.faces = m->faces,
		.commands = m->commands,
		.admission = m->admission,
		.survey = o->survey,
		.totals = &o->totals,
		.version = RTPX_VERSION,
		.port_min = c->port_min,
		.port_max = c->dp.port_max,
	};
}

static int start_web(struct observers *o)
{
	const struct metrics_opts metrics = metrics_options(o);
	struct admin_opts admin = admin_options(o);
	struct web_opts web = { .addr = o->config->metrics };

	admin.file = (struct sockfile){ .fd = -1 };
	admin.lazy = true;
	if (!o->config->metrics.port)
		return 0;
	if (history_new(&o->history) < 0 || metrics_new(&o->metrics, o->o.base, &metrics) < 0 ||
	    admin_new(&o->web_admin, o->o.base, &admin) < 0)
		return -1;
	web.metrics = o->metrics;
	web.admin = o->web_admin;
	web.history = o->history;
	if (web_new(&o->web, o->o.base, &web) < 0)
		return -1;
	web_tick(o->web, clock_now());
	return 0;
}

static void tend_web(struct observers *o)
{
	uint64_t now_ns = clock_now();
	struct history_now now;

	if (!o->web)
		return;
	web_tick(o->web, now_ns);
	if (!history_is_due(o->history, now_ns))
		return;
	survey_keep(o->survey);
	metrics_sample(o->metrics, &now);
	history_add(o->history, &now, now_ns, clock_read(CLOCK_REALTIME));
}

/* ---- --hep ---- */

static int start_reporter(struct observers *o, char *err, size_t err_size)
{
	const struct config *c = o->config;
	const struct reporter_opts opts = {
		.taps = o->o.taps,
		.collector = c->hep,
		.agent = (uint32_t)c->hep_agent,
		.no_resolve = c->no_resolve,
	};
	int r = *c->hep.host ? reporter_new(&o->reporter, o->o.base, &opts) : 0;

	if (r == -EINVAL)
		snprintf(err, err_size,
			 "--hep: %s is not a numeric address, which --no_resolve asks for",
			 c->hep.host);
	else if (r < 0)
		snprintf(err, err_size, "--hep: %s", strerror(-r));
	return r;
}

/* ---- the whole ---- */

int observers_start(struct observers *o, const struct observers_opts *opts, char *err,
		    size_t err_size)
{
	const struct config *c = o->config;
	const char *path[ACCOUNTS_FORMATS] = { c->acct_csv, c->acct_json };

	o->o = *opts;
	o->addresses = (struct addresses){ o->config, opts->dp, opts->ports, opts->faces,
					   opts->keeper ? keeper_dir(opts->keeper) : NULL };
	if (accounts_new(&o->accounts, path, err, err_size) < 0 ||
	    start_reporter(o, err, err_size) < 0)
		return -1;
	if (survey_new(&o->survey, opts->base, opts->sessions, opts->sync) < 0 ||
	    start_admin(o) < 0 || start_web(o) < 0)
		return say(err, err_size, "out of memory");
	return 0;
}

void observers_stop(struct observers *o)
{
	if (!o)
		return;
	web_free(o->web);
	admin_free(o->web_admin);
	metrics_free(o->metrics);
	history_free(o->history);
	admin_free(o->admin);
	survey_free(o->survey);
	sockfile_close(&o->file);
	reporter_free(o->reporter);
	o->metrics = NULL;
	o->admin = NULL;
}

void observers_free(struct observers *o)
{
	if (!o)
		return;
	accounts_free(o->accounts);
	free(o);
}

void observers_tick(struct observers *o)
{
	if (!o->admin)
		retry_admin(o);
	tend_web(o);
}

void observers_ended(struct observers *o, const struct call_report *r)
{
	char line[REPORT_LINE_MAX];

	totals_add(&o->totals, r);
	accounts_add(o->accounts, r);
	if (log_level() <= LOG_LVL_INFO || log_is_followed(span_of(r->call_id)))
		log_call(LOG_LVL_INFO, r->call_id, "%s", report_line(r, line, sizeof(line)));
}

void observers_command(struct observers *o, uint64_t read_ns)
{
	if (o->metrics)
		metrics_command(o->metrics, read_ns);
}

void observers_settled(struct observers *o)
{
	if (o->metrics)
		metrics_settled(o->metrics);
}

bool observers_are_asked(const struct observers *o)
{
	return o->admin != NULL;
}
