/* SPDX-License-Identifier: BSD-2-Clause */
/* assembly.c - gives each module its options and the modules that it uses. */
#include "assembly.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "call/ports.h"
#include "call/session.h"
#include "control/command.h"
#include "dataplane/dp.h"
#include "dataplane/sync.h"
#include "engine/engine.h"
#include "engine/faces.h"
#include "engine/relay.h"
#include "host/floor.h"
#include "media/player.h"
#include "notify/notify.h"
#include "observers.h"
#include "record/mirror.h"
#include "record/recorder.h"

#define QUARANTINE_NS (2 * NSEC_PER_SEC) /* before a closed port pair is used again */

int daemon_sorry(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%srtpxd: ", log_prefix(LOG_LVL_ERR));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

int assemble_model(struct daemon *d)
{
	const struct config *c = &d->config;
	struct ports_opts ports = {
		.min = c->port_min,
		.max = c->port_max,
		.sequential = c->sequential,
		.quarantine_ns = QUARANTINE_NS,
		.own = c->dp.own,
		.n_own = c->dp.n_own,
	};
	const struct session_opts sessions = {
		.ttl_s = c->ttl_s,
		.setup_ttl_s = c->setup_ttl_s,
		.independent_ttl = c->independent_ttl,
	};
	int r;

	if (getrandom(&ports.seed, sizeof(ports.seed), 0) != sizeof(ports.seed))
		return daemon_sorry("no random numbers: %s", strerror(errno));
	r = ports_new(&d->ports, &ports);
	if (r == 0 && d->dp->pools < ports_pools(d->ports) && c->n_groups > 1)
		return daemon_sorry(
			"--group: several groups need ports of their own, and the module "
			"shares those of all addresses: use --dataplane native,xdp,none");
	if (r == 0 && d->dp->pools < ports_pools(d->ports)) {
		log_info("media ports: the addresses of a family share them, because the module "
			 "finds calls by family and port");
		ports_share(d->ports);
	}
	if (r == 0 && floor_board(d->floor))
		switchboard_use_ports(floor_board(d->floor), d->ports);
	if (r == 0)
		r = sessions_new(&d->sessions, &sessions);
	d->taps.sessions = d->sessions;
	return r < 0 ? daemon_sorry("cannot make the table of calls: %s", strerror(-r)) : 0;
}

static void on_unmirrored(void *arg, struct direction direction, uint64_t packets)
{
	struct daemon *d = arg;

	if (direction.in->recorded & direction_bit(direction))
		recorder_lost(d->recorder, direction_session(direction), packets);
	taps_lost(&d->taps, direction, packets);
}

static void serve_media(void *arg)
{
	struct daemon *d = arg;

	if (d->relay)
		relay_serve(d->relay);
}

static int start_recorder(struct daemon *d)
{
	const struct config *c = &d->config;
	struct recorder_opts recorder = {
		.dir = c->record_dir,
		.spool_dir = c->spool_dir,
		.pcap = c->record_pcap,
		.no_rtcp = c->no_rtcp_record,
		.replace = c->record_replace,
		.as_rtpproxy = c->drop_in,
		.name = c->record_name,
		.finish = {
			.sheet = { .codecs = &c->codecs, .dtmf_types = c->dtmf_types },
			.jobs = config_jobs(c),
			.keep_days = c->record_days,
			.quota_bytes = c->record_quota_mb * 1000000ull,
		},
		.keys = c->record_dtmf,
		.dtmf_types = c->dtmf_types,
		.no_resolve = c->no_resolve,
		.ports = d->ports,
		.switchboard = floor_board(d->floor),
		.tos = c->tos,
		.meanwhile = serve_media,
		.arg = d,
	};
	struct mirror_opts mirror = {
		.dp = d->dp,
		.sessions = d->sessions,
	};
	const char *missing = jobs_check(&recorder.finish.jobs);
	int r;

	if (missing)
		return daemon_sorry("%s", missing);
	/* Without need there is nothing but recordings in the directory, as with rtpproxy. */
	if (config_describes(c))
		recorder.finish.instance = c->state_dir ? c->state_dir : c->admin_socket;
	r = recorder_new(&d->recorder, d->base, &recorder);
	if (r < 0)
		return daemon_sorry("cannot make the recorder: %s", strerror(-r));
	mirror.recorder = d->recorder;
	mirror.taps = &d->taps;
	r = mirror_new(&d->mirror, d->base, &mirror);
	return r < 0 ? daemon_sorry("cannot take copies from the dataplane: %s", strerror(-r)) : 0;
}

int assemble_media(struct daemon *d)
{
	const struct config *c = &d->config;
	const struct sync_opts sync = {
		.judge = floor_has_ring(d->floor) && !d->dp->routes,
		.sessions = d->sessions,
		.stats = &d->stats,
		.dp = d->dp,
		.ports = d->ports,
		.pathmtu = d->pathmtu,
		.iptables = d->iptables,
		.learning = c->learning,
		.double_small = c->double_small,
		.unmirrored = on_unmirrored,
		.arg = d,
	};
	struct relay_opts relay = {
		.sessions = d->sessions,
		.stats = &d->stats,
		.learning = c->learning,
		.double_small = c->double_small,
		.switchboard = floor_board(d->floor),
		.opus_types = audio_codec_map_types(&c->codecs, AUDIO_OPUS),
		.digits = &d->digits,
		.taps = &d->taps,
	};
	int r = sync_new(&d->sync, d->base, &sync);

	if (r == 0)
		r = floor_watch(d->floor, d->base, sync.judge ? sync_nexthops(d->sync) : NULL);
	if (r < 0)
		return daemon_sorry("cannot watch routes and neighbours: %s", strerror(-r));
	if (start_recorder(d) < 0)
		return -1;
	relay.sync = d->sync;
	relay.mirror = d->mirror;
	relay.recorder = d->recorder;
	r = relay_new(&d->relay, d->base, &relay);
	return r < 0 ? daemon_sorry("cannot make the relay: %s", strerror(-r)) : 0;
}

int assemble_players(struct daemon *d)
{
	const struct players_opts players = {
		.sessions = d->sessions,
		.stats = &d->stats,
		.prompt_dir = d->config.prompt_dir,
		.cache_dir = d->config.prompt_cache,
		.cache_bytes = d->config.prompt_cache_mb * 1000000ull,
		.ptime_ms = d->config.prompt_ptime_ms,
		.codecs = &d->config.codecs,
		.send = relay_play,
		.arg = d->relay,
		.pacer = relay_pacer(d->relay),
		.ended = prompts_ended,
		.ended_arg = &d->prompts_report,
	};
	int r = players_new(&d->players, d->base, &players);

	return r < 0 ? daemon_sorry("cannot play prompts: %s", strerror(-r)) : 0;
}

int assemble_notify(struct daemon *d)
{
	const struct notify_opts notify = {
		.targets = d->config.notify,
		.n_targets = d->config.n_notify,
		.no_resolve = d->config.no_resolve,
		.patience_ms = NOTIFY_PATIENCE_MS,
	};
	char err[512];

	if (notify_new(&d->notify, d->base, &notify, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	d->digits = (struct digits){ &d->stats, d->notify };
	d->prompts_report = (struct prompts_report){ d->notify, d->config.notify_prompts };
	return 0;
}

static void on_ended(void *arg, const struct call_report *r)
{
	observers_ended(((struct daemon *)arg)->observers, r);
}

int assemble_engine(struct daemon *d)
{
	const struct config *c = &d->config;
	struct engine_opts engine = {
		.sessions = d->sessions,
		.ports = d->ports,
		.stats = &d->stats,
		.sync = d->sync,
		.relay = d->relay,
		.recorder = d->recorder,
		.record_all = c->record_all && c->record_dir,
		.record_single = c->record_pcap,
		.bridge = c->bridge,
		.bridge_symmetric = c->bridge_symmetric,
		.force_asymmetric = c->force_asymmetric,
		.tos = c->tos,
		.learning = c->learning,
		.notify = d->notify,
		.digits = &d->digits,
		.admission = &d->admission,
		.taps = &d->taps,
		.groups = c->n_groups > 1,
		.ended = on_ended,
		.arg = d,
	};
	struct commands_opts commands = {
		.stats = &d->stats,
		.notify = notify_enabled(d->notify),
		.notify_rpc = notify_default(d->notify) >= 0,
		.bridge = c->bridge,
		.sessions = d->sessions,
		.recordings = { d->sessions, d->recorder, d->mirror, NULL },
		.prompts = { d->sessions, d->players },
	};
	int r = faces_new(&d->faces, c->listeners, c->n_listeners, c->bridge, d->ports);

	d->admission = (struct admission){
		.max_sessions = c->max_sessions,
		.max_cps = c->max_cps,
		.stats = &d->stats,
	};
	engine.faces = d->faces;
	if (r == 0)
		r = engine_new(&d->engine, &engine);
	commands.engine = d->engine;
	commands.faces = commands.recordings.faces = d->faces;
	if (r == 0)
		r = commands_new(&d->commands, &commands);
	return r < 0 ? daemon_sorry("cannot make the engine: %s", strerror(-r)) : 0;
}

int assemble_observers(struct daemon *d)
{
	const struct observers_opts opts = {
		.base = d->base,
		.stats = &d->stats,
		.sessions = d->sessions,
		.ports = d->ports,
		.dp = d->dp,
		.floor = d->floor,
		.sync = d->sync,
		.recorder = d->recorder,
		.mirror = d->mirror,
		.taps = &d->taps,
		.relay = d->relay,
		.players = d->players,
		.notify = d->notify,
		.faces = d->faces,
		.engine = d->engine,
		.admission = &d->admission,
		.commands = d->commands,
		.keeper = d->keeper,
		.groups = d->groups,
		.listen = d->listen,
	};
	char err[512];

	return observers_start(d->observers, &opts, err, sizeof(err)) < 0 ? daemon_sorry("%s", err)
									  : 0;
}
