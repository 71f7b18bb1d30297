/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - connects the modules, starts and ends them in order, and runs the event loop.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "addresses.h"
#include "assembly.h"
#include "banner.h"
#include "base/clock.h"
#include "base/dirlock.h"
#include "base/log.h"
#include "check.h"
#include "control/command.h"
#include "control/datagrams.h"
#include "control/handover.h"
#include "control/listen.h"
#include "control/stored.h"
#include "control/systemd.h"
#include "dataplane/dp.h"
#include "dataplane/sync.h"
#include "engine/engine.h"
#include "engine/faces.h"
#include "engine/relay.h"
#include "host/floor.h"
#include "host/iptables.h"
#include "host/pathmtu.h"
#include "media/player.h"
#include "notify/notify.h"
#include "observers.h"
#include "options.h"
#include "record/mirror.h"
#include "record/recorder.h"
#include "replicate/groups.h"
#include "restart/keeper.h"
#include "signals.h"

#define NOFILE_WARN_PERCENT 80
#define RESTORE_NS NSEC_PER_MSEC /* for calls of the previous daemon, in a turn of the loop */
#define KILLED_PATIENCE_MS 2000 /* to wait until the kernel closes a killed daemon's sockets */
#define RELEASE_MS 500 /* at the end, to leave the calls to a standby */
#define EXIT_FENCED 75 /* EX_TEMPFAIL: start again, as the standby */
#define ANSWER_NS (100 * NSEC_PER_MSEC) /* at the end, to answer the last commands */

/* ---- control ---- */

static size_t on_command(void *arg, const char *line, size_t len, const struct addr *peer,
			 uint64_t now_ns, char *reply)
{
	struct daemon *d = arg;
	unsigned int group = listen_at(d->listen);

	if (d->groups) {
		groups_command(d->groups, group);
		faces_turn_to(d->faces, group);
	}
	observers_command(d->observers, now_ns);
	return command_run(d->commands, line, len, peer, now_ns, reply);
}

/* The sessions of a batch of commands are fetched at once. One after the other takes longer. */
static void on_expected(void *arg, const struct span *commands, unsigned int n)
{
	const struct daemon *d = arg;
	struct span call_ids[DATAGRAMS_BATCH];
	unsigned int i;

	for (i = 0; i < n; i++)
		call_ids[i] = proto_call_id(commands[i]);
	sessions_fetch(d->sessions, call_ids, n);
}

static void on_settle(void *arg)
{
	struct daemon *d = arg;

	if (d->keeper)
		keeper_run(d->keeper);
	observers_settled(d->observers);
}

static void on_duplicate(void *arg)
{
	((struct daemon *)arg)->stats.ncmds_rcvd_ndups++;
}

static void slow_shutdown(struct daemon *d, const char *why)
{
	log_info("%s: slow shutdown: refusing new sessions, exiting after the last one", why);
	engine_slow_shutdown(d->engine);
	d->slow = true;
}

/* End the event loop. From now on a starting rtpxd waits for our locks instead of giving up. */
static void stop(struct daemon *d)
{
	d->stop = true;
	dirlock_ending();
}

static void on_eof(void *arg, bool must_exit)
{
	struct daemon *d = arg;

	if (must_exit)
		stop(d);
	else
		slow_shutdown(d, "standard input has ended");
}

/*
 * Take sockets over from the service manager, and control sockets from a previous daemon that ended
 * on SIGPWR without a service manager.
 */
static void take_sockets(struct daemon *d)
{
	struct systemd_fd given[PASSED_MAX];
	int fds[HANDOVER_MAX];
	unsigned int n = systemd_passed(given, PASSED_MAX), i;
	uid_t user = d->config.uid == (uid_t)-1 ? geteuid() : d->config.uid;

	stored_take(&d->left, given, &n);
	for (i = 0; i < n; i++) {
		listen_passed(d->listen, given[i].fd, given[i].stored ? PASSED_STORE : PASSED_UNIT);
		d->took |= given[i].stored;
	}
	n = d->keeper ? handover_take(keeper_dir(d->keeper), user, fds) : 0;
	for (i = 0; i < n; i++)
		listen_passed(d->listen, fds[i], PASSED_PREVIOUS);
	d->took |= n > 0;
	d->leave = d->took; /* if the start fails, leave them to the next daemon again */
}

static int open_controls(struct daemon *d)
{
	const struct config *c = &d->config;
	const struct listen_opts opts = {
		.run = on_command,
		.expect = on_expected,
		.settle = on_settle,
		.duplicate = on_duplicate,
		.eof = on_eof,
		.arg = d,
		.no_resolve = c->no_resolve,
		.uid = c->uid,
		.gid = c->group_named ? c->gid : (gid_t)-1,
		.mode = c->socket_mode,
		.anywhere = c->replicate != NULL,
		.patience_ms = d->keeper && keeper_was_left(d->keeper) ? KILLED_PATIENCE_MS : 0,
	};
	char err[512];

	if (listen_new(&d->listen, &opts) < 0)
		return daemon_sorry("out of memory");
	take_sockets(d);
	for (unsigned int i = 0; i < c->n_sockets; i++)
		if (listen_add(d->listen, c->sockets[i], c->foreground, err, sizeof(err)) < 0)
			return daemon_sorry("%s", err);
	if (listen_added(d->listen, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	for (unsigned int i = 0; i < c->n_listeners; i++)
		listen_group(d->listen, &c->listeners[i].addr, c->listeners[i].address_group);
	if (geteuid() != 0 || c->allow_root || c->uid != (uid_t)-1)
		return 0;
	if (listen_has_udp(d->listen))
		return daemon_sorry(
			"rtpxd runs as root, and any host can command it on a udp control socket: "
			"give up root with -u USER, or accept it with -F");
	log_warn("rtpxd runs as root: give up root with -u USER, or accept it with -F");
	return 0;
}

/* ---- signals ---- */

/*
 * Offer the control sockets to the next daemon. Not needed under a service manager: its store keeps
 * them, even after a crash.
 */
static void offer_sockets(struct daemon *d)
{
	if (systemd_is_here() || d->offer >= 0)
		return;
	d->offer = handover_offer(keeper_dir(d->keeper));
	if (d->offer < 0)
		log_err("control sockets: cannot be offered to the next rtpxd in %s, so commands "
			"are refused until it is there: %s",
			keeper_dir(d->keeper), strerror(-d->offer));
}

static void leave(struct daemon *d)
{
	d->leave = d->keeper != NULL;
	if (d->leave)
		offer_sockets(d);
	log_info("SIGPWR: %s", d->leave ? "the calls are left to the next rtpxd" :
					  "shutting down and ending all calls: no journal to hand "
					  "them over");
	stop(d);
}

static void take_signal(struct daemon *d, int number)
{
	switch (signals_effect(number)) {
	case SIGNAL_STOP:
		log_info("signal %d: shutting down", number);
		stop(d);
		break;
	case SIGNAL_SLOW:
		slow_shutdown(d, "SIGHUP");
		break;
	case SIGNAL_LEAVE:
		leave(d);
		break;
	default:
		break;
	}
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct signalfd_siginfo info;

	(void)what;
	while (read(fd, &info, sizeof(info)) == sizeof(info))
		take_signal(arg, (int)info.ssi_signo);
}

static int catch_signals(struct daemon *d)
{
	const sigset_t set = signals_held();

	d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (d->signal_fd < 0)
		return daemon_sorry("cannot take signals: %s", strerror(errno));
	d->signal = event_new(d->base, d->signal_fd, EV_READ | EV_PERSIST, on_signal, d);
	return d->signal && event_add(d->signal, NULL) == 0 ? 0 : daemon_sorry("out of memory");
}

/*
 * Lock the state directory before anything else is opened. This waits for an ending previous
 * daemon, which still holds the control sockets and the pid file.
 */
static int lock_state(struct daemon *d)
{
	const struct config *c = &d->config;
	char err[512];
	int r;

	if (!c->state_dir)
		return 0;
	r = keeper_new(&d->keeper, c->state_dir, c->uid, c->gid, err, sizeof(err));
	if (r == -EBUSY && c->drop_in && !c->replicate) {
		log_warn("no journal, so calls end with this process: %s", err);
		return 0;
	}
	return r < 0 ? daemon_sorry("%s", err) : 0;
}

/* Load the calls of the previous daemon. */
static int load_state(struct daemon *d)
{
	struct config *c = &d->config;
	char err[512];

	if (!d->keeper)
		return 0;
	if (keeper_load(d->keeper, c->dp.discard, err, sizeof(err)) < 0 ||
	    keeper_check_ports(d->keeper, c->port_min, c->dp.port_max, err, sizeof(err)) < 0 ||
	    keeper_groups(d->keeper, c->groups, c->n_groups, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	c->dp.instance = keeper_instance(d->keeper);
	c->dp.adopt = keeper_has_calls(d->keeper);
	addresses_restore(c, keeper_dir(d->keeper));
	d->leave |= c->dp.adopt; /* if the start fails, leave the calls to the next daemon */
	return 0;
}

/* ---- the standby ---- */

/* A packet to the port of a call that is not restored yet. */
static void on_missing(void *arg, const struct addr *dest)
{
	struct daemon *d = arg;

	keeper_make_at(d->keeper, dest);
}

static void end_expectation(struct daemon *d)
{
	if (floor_board(d->floor))
		switchboard_expect_end(floor_board(d->floor));
	relay_expect_calls(d->relay, NULL, NULL);
}

static void restore_kept(struct daemon *d)
{
	const struct keeper_opts opts = {
		.engine = d->engine,
		.sessions = d->sessions,
		.stats = &d->stats,
		.sync = d->sync,
		.recorder = d->recorder,
		.players = d->players,
		.ports = d->ports,
		.notify = d->notify,
		.cookies = listen_cookies(d->listen),
		.version = RTPX_VERSION,
		.sink = d->groups ? groups_sink(d->groups) : NULL,
	};

	keeper_restore(d->keeper, &opts, clock_now());
	if (keeper_restores(d->keeper))
		relay_expect_calls(d->relay, on_missing, d);
	else
		end_expectation(d);
	taps_review_all(&d->taps);
}

/* Restore further calls, or all. True: there are more. */
static bool go_on(struct daemon *d, bool all)
{
	if (!d->keeper || !keeper_restores(d->keeper))
		return false;
	if (all)
		keeper_finish(d->keeper);
	else if (keeper_go_on(d->keeper, RESTORE_NS))
		return true;
	end_expectation(d);
	taps_review_all(&d->taps);
	recorder_restored(d->recorder);
	return false;
}

/* Serve the control sockets of a group. */
static int serve_group(struct daemon *d, unsigned int group)
{
	faces_open(d->faces, group, true);
	return listen_start(d->listen, d->base, group);
}

/* This daemon is the owner of a group from now on. */
static void on_own(void *arg, unsigned int group, unsigned int calls)
{
	struct daemon *d = arg;

	if (d->waiting) {
		restore_kept(d);
	} else {
		d->stats.nsess_created += calls;
		keeper_joined(d->keeper, clock_now());
		taps_review_all(&d->taps);
	}
	d->waiting = false;
	if (serve_group(d, group) < 0) {
		log_err("cannot serve the control sockets: out of memory");
		stop(d);
	}
}

/* One of several groups: the next daemon goes on with the calls of the others. */
static void lose_group(struct daemon *d, unsigned int group)
{
	go_on(d, true);
	faces_open(d->faces, group, false);
	recorder_leave(d->recorder);
	engine_forget_group(d->engine, group);
	keeper_set_epoch(d->keeper, group, 0);
	d->leave = true;
	offer_sockets(d);
}

static void on_fenced(void *arg, unsigned int group, const char *by)
{
	struct daemon *d = arg;
	const struct config *c = &d->config;

	log_err("standby: group %s: %s has taken over, so this daemon ends and leaves the calls to "
		"it; start it again, as the standby",
		c->groups[group], by);
	if (c->n_groups > 1)
		lose_group(d, group);
	d->fenced = true;
	stop(d);
}

static int start_standby(struct daemon *d)
{
	const struct config *c = &d->config;
	const struct standby_opts opts = {
		.url = &c->redis,
		.password = c->redis_password,
		.ca_file = c->redis_ca,
		.listeners = c->listeners,
		.n_listeners = c->n_listeners,
		.patient = c->standby,
		.modules = {
			.engine = d->engine,
			.sessions = d->sessions,
			.stats = &d->stats,
			.sync = d->sync,
			.recorder = d->recorder,
			.players = d->players,
			.notify = d->notify,
		},
		.keeper = d->keeper,
		.cookies = listen_cookies(d->listen),
		.own = on_own,
		.fenced = on_fenced,
		.arg = d,
	};
	char err[300];

	if (!c->replicate)
		return 0;
	for (unsigned int i = 0; i < c->n_groups; i++)
		faces_open(d->faces, i, false);
	if (groups_new(&d->groups, d->base, &opts, c->groups, c->n_groups, err, sizeof(err)) < 0)
		return daemon_sorry("--replicate: %s", err);
	return 0;
}

/* Go on with the calls of the journal, and wait as the standby of the other groups. */
static int start_keeper(struct daemon *d)
{
	int r = 0;

	d->waiting = d->groups && !keeper_owns(d->keeper);
	if (d->keeper && !d->waiting)
		restore_kept(d);
	if (!d->groups)
		return serve_group(d, 0);
	for (unsigned int i = 0; i < d->config.n_groups && !r; i++)
		r = keeper_epoch(d->keeper, i) ? serve_group(d, i) : 0;
	groups_go_on(d->groups);
	return r;
}

/* Read the password of --replicate-password. */
static int read_password(struct config *c)
{
	char err[512];

	if (!c->redis_password_file)
		return 0;
	if (process_first_line(c->redis_password_file, &c->redis_password, err, sizeof(err)) == 0)
		return 0;
	return daemon_sorry("--replicate-password %s", err);
}

static int open_floor(struct daemon *d, char *err, size_t err_size)
{
	const struct config *c = &d->config;
	struct addr hosts[FACES_MAX_LISTENERS];
	struct addr *expected = NULL;
	struct switchboard_opts opts = {
		.port_min = c->dp.port_min,
		.port_max = c->dp.port_max,
		.uid = c->uid,
		.gid = c->gid,
		.hosts = hosts,
		.n_hosts = c->n_listeners,
		.left = &d->left,
	};
	int r;

	for (unsigned int i = 0; i < c->n_listeners; i++)
		hosts[i] = c->listeners[i].addr;
	if (d->keeper)
		opts.n_expected = keeper_locals(d->keeper, &expected);
	opts.expected = expected;
	r = floor_open(&d->floor, c->port_sockets, &opts, err, err_size);
	free(expected);
	stored_refuse(&d->left);
	if (r == 0)
		log_info("floor: %s", floor_text(d->floor));
	return r;
}

/*
 * Do the parts of the start that may need root, then become the user of -u. That user gets the
 * directory of the pins, because the daemon removes the pins at its end.
 */
static int start_privileged(struct daemon *d)
{
	const struct config *c = &d->config;
	char err[512];

	if (load_state(d) < 0)
		return -1;
	if (dp_open(&d->dp, &c->dp, err, sizeof(err)) < 0) {
		d->dp = NULL;
		return daemon_sorry("%s", err);
	}
	log_info("dataplane %s: %s", d->dp->ops->name, d->dp->choice);
	if (d->dp->active && !d->dp->routes)
		process_give(c->dp.pin_dir, c->uid, c->gid);
	if (d->dp->active && !d->dp->routes)
		d->pathmtu = pathmtu_open();
	if (open_floor(d, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	d->iptables = iptables_open();
	if (observers_new(&d->observers, &d->config, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	if (process_drop(c->uid, c->gid, d->dp->active || floor_has_ring(d->floor),
			 floor_board(d->floor) != NULL, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	return 0;
}

/* ---- time ---- */

/* Warn when the open descriptors (media sockets and those of the start) approach the limit. */
static void watch_files(struct daemon *d)
{
	unsigned long limit = process_nofile(), used;
	struct sockets_counts counts;
	bool low;

	relay_counts(d->relay, &counts);
	used = counts.own + d->files_at_start;
	low = limit && used >= limit * NOFILE_WARN_PERCENT / 100;
	if (low && !d->files_low)
		log_warn("%lu descriptors are open, the limit of open files is %lu: raise it by -L",
			 used, limit);
	d->files_low = low;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd, (void)what;
	systemd_alive();
	log_run(clock_now());
	if (d->groups)
		groups_tick(d->groups);
	observers_tick(d->observers);
	if (d->waiting)
		return;
	engine_tick(d->engine, clock_now(), clock_cpu());
	watch_files(d);
	if (d->keeper)
		keeper_tick(d->keeper, clock_now());
}

/* Open descriptors without media sockets: restored calls have opened theirs already. */
static unsigned long files_beside_media(const struct daemon *d)
{
	struct sockets_counts counts;
	unsigned long all = process_files();

	relay_counts(d->relay, &counts);
	return all - MIN(all, counts.own);
}

static int start_tick(struct daemon *d)
{
	static const struct timeval second = { 1, 0 };

	d->files_at_start = files_beside_media(d);
	/* The engine measures the time between two ticks. A standby has no calls and no ticks. */
	if (!d->waiting)
		engine_tick(d->engine, clock_now(), clock_cpu());
	d->tick = event_new(d->base, -1, EV_PERSIST, on_tick, d);
	return d->tick && event_add(d->tick, &second) == 0 ? 0 : daemon_sorry("out of memory");
}

/* ---- begin and end ---- */

static int start_modules(struct daemon *d)
{
	d->base = event_base_new();
	if (!d->base)
		return daemon_sorry("out of memory");
	if (assemble_model(d) < 0 || assemble_media(d) < 0 || assemble_players(d) < 0 ||
	    assemble_notify(d) < 0 || assemble_engine(d) < 0 ||
	    start_standby(d) < 0 || assemble_observers(d) < 0)
		return -1;
	if (start_keeper(d) < 0)
		return daemon_sorry("cannot serve the control sockets: out of memory");
	if (!d->keeper || !keeper_restores(d->keeper))
		recorder_restored(d->recorder);
	d->leave = false;
	return start_tick(d) < 0 ? -1 : catch_signals(d);
}

/* Leave the calls to the next daemon, or remove the journal because they end with this process. */
static void end_calls(struct daemon *d)
{
	if (!d->leave) {
		keeper_forget(d->keeper);
		return;
	}
	relay_leave(d->relay);
	keeper_leave(d->keeper, clock_now());
	sync_leave(d->sync);
}

/* Answer the commands of open connections: these cannot be left to the next daemon. */
static void answer_rest(struct daemon *d)
{
	const uint64_t end_ns = clock_now() + ANSWER_NS;

	do {
		event_base_loop(d->base, EVLOOP_NONBLOCK);
	} while (listen_is_answering(d->listen) && clock_now() < end_ns);
}

static void leave_sockets(struct daemon *d)
{
	int fds[HANDOVER_MAX];

	if (d->offer >= 0)
		handover_hold(d->offer, fds, listen_fds(d->listen, fds, HANDOVER_MAX));
}

/* The next daemon gets the locks, and then the control sockets. */
static void end_last(struct daemon *d)
{
	if (d->dp)
		d->dp->ops->close(d->dp, d->leave);
	pid_file_remove(&d->pid_file); /* the next daemon waits for the keeper's lock */
	keeper_free(d->keeper);
	leave_sockets(d);
	listen_free(d->listen);
}

/*
 * The next daemon waits for this one. So end only the modules with work to complete. The kernel
 * frees the sessions and closes the ports when the process ends, sooner than we could.
 */
static void end_leaving(struct daemon *d)
{
	engine_leave(d->engine);
	observers_free(d->observers);
	notify_free(d->notify);
	recorder_free(d->recorder);
	floor_free(d->floor);
	end_last(d);
}

/* End the modules in the opposite order of their start. A module that was not started is NULL. */
static void end(struct daemon *d)
{
	d->leave &= !d->waiting; /* a standby has nothing to leave */
	if (d->tick)
		go_on(d, true);
	if (d->listen)
		listen_stop(d->listen, d->leave);
	if (d->floor && floor_board(d->floor) && !d->leave)
		stored_drop();
	if (d->leave && d->tick)
		answer_rest(d);
	if (d->leave && d->took)
		offer_sockets(d);
	if (d->groups && !d->leave && !d->fenced)
		groups_release(d->groups, RELEASE_MS);
	if (d->keeper && d->engine)
		end_calls(d);
	observers_stop(d->observers);
	if (d->recorder && (d->leave || d->groups))
		recorder_leave(d->recorder);
	if (d->engine && d->leave && !d->groups) {
		end_leaving(d);
		return;
	}
	if (d->commands)
		commands_free(d->commands);
	if (d->engine)
		engine_free(d->engine, d->leave || d->groups);
	observers_free(d->observers);
	faces_free(d->faces);
	groups_free(d->groups);
	notify_free(d->notify);
	players_free(d->players);
	if (d->relay)
		relay_free(d->relay);
	mirror_free(d->mirror);
	recorder_free(d->recorder);
	floor_free(d->floor);
	if (d->sync)
		sync_free(d->sync);
	pathmtu_free(d->pathmtu);
	iptables_free(d->iptables);
	if (d->sessions)
		sessions_free(d->sessions);
	if (d->ports)
		ports_free(d->ports);
	end_last(d);
	if (d->signal)
		event_free(d->signal);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
	if (d->tick)
		event_free(d->tick);
	if (d->base)
		event_base_free(d->base);
	config_free(&d->config);
}

/* ---- the whole ---- */

/* The service manager holds copies of all sockets that the next daemon can use. */
static void store_sockets(struct daemon *d)
{
	struct switchboard_fds fds;

	listen_store(d->listen);
	if (!floor_board(d->floor))
		return;
	switchboard_fds(floor_board(d->floor), &fds);
	stored_put(&fds);
}

static int start(struct daemon *d)
{
	const struct config *c = &d->config;
	int ready = -1;
	char err[512];

	log_open(c->log_level, true, !c->foreground, c->log_facility);
	process_log_library();
	if (process_limits(c->nofile, err, sizeof(err)) < 0)
		return daemon_sorry("-L: %s", err);
	signals_hold();
	if (read_password(&d->config) < 0 || lock_state(d) < 0 || open_controls(d) < 0)
		return -1;
	if (!c->foreground && process_detach(!c->no_chdir, &ready, err, sizeof(err)) < 0)
		return daemon_sorry("%s", err);
	if (process_schedule(c->sched_policy, c->nice_set ? &c->nice : NULL, err, sizeof(err)) < 0)
		return daemon_sorry("--nice: %s", err);
	pid_file_open(&d->pid_file, c->pid_file);
	if (start_privileged(d) < 0 || start_modules(d) < 0)
		return -1;
	if (!c->replicate)
		check_warn(c);
	if (c->record_all && !c->record_dir)
		log_warn("-a: no session is recorded without -r, the directory of recordings");
	pid_file_write(&d->pid_file);
	store_sockets(d);
	systemd_notify("READY=1");
	if (c->banner)
		banner(c, d->listen, d->dp, observers_are_asked(d->observers));
	if (ready >= 0) {
		log_open(c->log_level, c->no_redirect, true, c->log_facility);
		process_ready(ready, !c->no_redirect);
	}
	return 0;
}

static void turn(struct daemon *d)
{
	bool more = d->keeper && keeper_restores(d->keeper);

	while (!d->stop) {
		event_base_loop(d->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
		sync_run(d->sync);
		more = engine_run(d->engine);
		more |= go_on(d, false);
		if (d->keeper)
			keeper_run(d->keeper);
		if (d->slow && engine_is_done(d->engine) && notify_is_idle(d->notify))
			stop(d);
	}
}

int main(int argc, char **argv)
{
	static struct daemon d = {
		.pid_file = { .fd = -1 },
		.signal_fd = -1,
		.offer = -1,
	};
	int r;

	if (options_parse(&d.config, argc, argv) == OPTIONS_EXIT)
		return d.config.exit_code;
	if (d.config.check)
		return check_host(&d.config);
	r = start(&d);
	if (r == 0) {
		turn(&d);
		systemd_notify("STOPPING=1");
	}
	end(&d);
	log_close();
	return r < 0 ? 1 : d.fenced ? EXIT_FENCED : 0;
}
