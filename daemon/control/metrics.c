/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.c - gathers the figures of all modules as families of metrics. It serves no client.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control/metrics.h"
#include "base/clock.h"
#include "call/flow.h"
#include "control/command.h"
#include "control/exposition.h"
#include "control/listen.h"
#include "engine/admission.h"
#include "host/host.h"
#include "host/nexthop.h"
#include "notify/notify.h"
#include "observe/accounts.h"
#include "observe/reporter.h"
#include "replicate/groups.h"
#include "restart/keeper.h"

#define LAG_MS 20 /* between two measurements of the event loop */

struct metrics {
	struct metrics_opts o;
	struct event *lag_timer;
	uint64_t lag_due_ns;
	struct histogram lag;	  /* s */
	struct histogram latency; /* of commands, s */
	uint64_t read_ns;	  /* when the commands were read whose replies wait */
	unsigned int waiting;	  /* their number */
	uint64_t scrapes;
	double started_s; /* CLOCK_REALTIME */
};

static const double lag_bounds[] = { 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1 };
static const double latency_bounds[] = { 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01,
					 0.02,	 0.05,	 0.1,	 0.2,	0.5,   1 };

static void family(struct evbuffer *out, const char *name, enum metric_type type, const char *help)
{
	exposition_family(out, name, type, help);
}

/* A family of one value. */
static void gauge(struct evbuffer *out, const char *name, double value, const char *help)
{
	family(out, name, METRIC_GAUGE, help);
	exposition_value(out, name, NULL, value);
}

/* @name NULL: no metric. */
static void counter(struct evbuffer *out, const char *name, uint64_t value, const char *help)
{
	if (!name)
		return;
	family(out, name, METRIC_COUNTER, help);
	exposition_count(out, name, NULL, value);
}

static void histogram(struct evbuffer *out, const char *name, const struct histogram *h,
		      const char *help)
{
	family(out, name, METRIC_HISTOGRAM, help);
	exposition_histogram(out, name, h);
}

static double seconds(uint64_t ns)
{
	return (double)ns / NSEC_PER_SEC;
}

/* ---- counters of the relay ---- */

static void write_plain(struct metrics *m, struct evbuffer *out)
{
	struct stats *st = m->o.stats;

	recorder_count(m->o.recorder, st);
	st->shown = true;
#define STAT_LINE(name, metric, text) counter(out, metric, st->name, text);
	STATS_COUNTERS(STAT_LINE)
#undef STAT_LINE
}

/* ---- calls ---- */

static void write_ended(const struct metrics *m, struct evbuffer *out)
{
	const struct stats *st = m->o.stats;
	const struct totals *t = m->o.totals;
	const struct {
		const char *media, *heard;
		uint64_t n;
	} quiet[] = {
		{ "rtp", "none", st->nsess_nortp },
		{ "rtp", "one", st->nsess_owrtp },
		{ "rtcp", "none", st->nsess_nortcp },
		{ "rtcp", "one", st->nsess_owrtcp },
	};

	family(out, "sessions_ended_total", METRIC_COUNTER,
	       "Sessions that ended since this process started, by reason.");
	for (unsigned int i = 0; i < REPORT_END_COUNT; i++)
		exposition_count(out, "sessions_ended_total",
				 LABELS({ "reason", report_end_name(i) }), t->ended[i]);
	family(out, "sessions_ended_unheard_total", METRIC_COUNTER,
	       "Complete sessions that ended, of whose parties none or one had sent.");
	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++)
		exposition_count(out, "sessions_ended_unheard_total",
				 LABELS({ "media", quiet[i].media }, { "heard", quiet[i].heard }),
				 quiet[i].n);
	counter(out, "ended_rtp_segments_total", t->segments,
		"RTP streams of ended sessions: first ones, changes of SSRC, jumps of the sequence number.");
	counter(out, "ended_rtp_packets_reordered_total", t->reordered,
		"RTP packets of ended sessions that arrived after a later one.");
	histogram(out, "session_duration_seconds", &t->duration,
		  "Duration of ended sessions, from the first command to the end.");
	histogram(out, "ended_loss_ratio", &t->quality.loss,
		  "Loss of RTP from each party of ended sessions, 0 to 1.");
	histogram(out, "ended_jitter_seconds", &t->quality.jitter,
		  "Mean jitter of RTP from each party of ended sessions.");
	histogram(out, "ended_mos", &t->quality.mos,
		  "Estimated MOS (E-model, ITU-T G.107) of each party of ended sessions.");
}

static void write_directions(const struct survey_view *v, struct evbuffer *out)
{
	static const char *const kinds[] = { [STREAM_RTP] = "rtp", [STREAM_RTCP] = "rtcp" };

	family(out, "directions", METRIC_GAUGE,
	       "Directions of living sessions by the reason why they are not in the kernel; KERNEL: "
	       "they are.");
	for (unsigned int kind = 0; kind < STREAM_KINDS; kind++)
		for (unsigned int why = 0; why < FLOW_WHY_COUNT; why++)
			exposition_count(out, "directions",
					 LABELS({ "media", kinds[kind] },
						{ "reason", flow_why_name(why) }),
					 v->directions[kind][why]);
}

static void write_live(const struct metrics *m, struct evbuffer *out)
{
	const struct survey_view *v = survey_view(m->o.survey);
	const struct quality_totals *q = survey_samples(m->o.survey);
	const struct {
		const char *state;
		unsigned int n;
	} states[] = {
		{ "incomplete", v->incomplete }, { "new", v->fresh },
		{ "both_ways", v->both_ways },	 { "one_way", v->one_way },
		{ "silent", v->silent },
	};

	gauge(out, "sessions", sessions_count(m->o.sessions), "Living sessions.");
	gauge(out, "sessions_limit", m->o.admission->max_sessions,
	      "Limit of --max-sessions; 0: there is none.");
	gauge(out, "draining", m->o.admission->draining, "1: new sessions are refused.");
	family(out, "sessions_by_state", METRIC_GAUGE,
	       "Living sessions by the parties whose RTP was heard in the last ten seconds.");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		exposition_count(out, "sessions_by_state", LABELS({ "state", states[i].state }),
				 states[i].n);
	write_directions(v, out);
	histogram(
		out, "live_loss_ratio", &q->loss,
		"Loss of RTP from each party of living sessions, measured every five seconds, 0 to 1.");
	histogram(out, "live_jitter_seconds", &q->jitter,
		  "Jitter of RTP from each party of living sessions, measured every five seconds.");
	histogram(out, "live_mos", &q->mos,
		  "Estimated MOS of each party of living sessions, measured every five seconds.");
	gauge(out, "survey_age_seconds", v->ended_ns ? seconds(clock_now() - v->ended_ns) : -1,
	      "Age of the figures about living sessions; -1: none yet.");
	gauge(out, "survey_duration_seconds", seconds(v->took_ns),
	      "Time from the first to the last session of the latest survey.");
}

/* ---- packets ---- */

static void write_usage(const struct metrics *m, struct evbuffer *out, const char *name, bool bytes,
			const char *help)
{
	static const char *const paths[] = {
		[USAGE_KERNEL] = "kernel", [USAGE_SOCKETS] = "sockets"
	};
	const struct usage *u = sync_usage(m->o.sync);

	family(out, name, METRIC_COUNTER, help);
	for (unsigned int i = 0; i <= u->n; i++)
		for (unsigned int path = 0; path < USAGE_PATHS; path++) {
			const struct usage_counts *c = &u->slot[i].path[path];

			exposition_count(out, name,
					 LABELS({ "path", paths[path] },
						{ "interface", u->slot[i].name }),
					 bytes ? c->bytes : c->packets);
		}
}

static void write_dataplane(const struct metrics *m, struct evbuffer *out)
{
	struct dp *dp = m->o.dp;
	struct rtpx_counters c;

	if (dp->ops->counters(dp, &c) < 0)
		memset(&c, 0, sizeof(c));
	family(out, "dataplane_packets_total", METRIC_COUNTER,
	       "Packets that the dataplane saw: relayed, dropped (drop_...) or left to the stack (pass_...).");
#define REASON_LINE(name, text) \
	exposition_count(out, "dataplane_packets_total", LABELS({ "outcome", #name }), c.name);
	RTPX_REASONS(REASON_LINE)
#undef REASON_LINE
	family(out, "mirror_packets_total", METRIC_COUNTER,
	       "Packets of recorded sessions that the dataplane forwarded: copied, or without room for the copy.");
#define MIRROR_LINE(name, text) \
	exposition_count(out, "mirror_packets_total", LABELS({ "outcome", #name }), c.name);
	RTPX_MIRROR_COUNTS(MIRROR_LINE)
#undef MIRROR_LINE
	family(out, "strangers_total", METRIC_COUNTER,
	       "Packets dropped because their source is not the call's, by path.");
	exposition_count(out, "strangers_total", LABELS({ "path", "kernel" }), c.drop_stranger);
	exposition_count(out, "strangers_total", LABELS({ "path", "sockets" }),
			 relay_strangers(m->o.relay));
}

static void write_interfaces(const struct metrics *m, struct evbuffer *out)
{
	static const char *const modes[] = {
		[DP_IF_OFF] = "off",
		[DP_IF_GENERIC] = "generic",
		[DP_IF_NATIVE] = "native",
	};
	struct dp_interface list[DP_MAX_INTERFACES];
	struct dp *dp = m->o.dp;
	unsigned int n = MIN(dp_interfaces(dp, list, ARRAY_SIZE(list)), ARRAY_SIZE(list));

	family(out, "dataplane_info", METRIC_GAUGE, "The dataplane that forwards calls.");
	exposition_count(out, "dataplane_info", LABELS({ "dataplane", dp->ops->name }), 1);
	gauge(out, "dataplane_active", dp->active,
	      "1: a dataplane forwards calls; 0: the sockets do.");
	family(out, "interface_info", METRIC_GAUGE,
	       "Interfaces of the dataplane, with their XDP mode.");
	for (unsigned int i = 0; i < n; i++)
		exposition_count(out, "interface_info",
				 LABELS({ "interface", list[i].name }, { "driver", list[i].driver },
					{ "mode", modes[list[i].mode] }),
				 1);
}

static void write_floor(const struct metrics *m, struct evbuffer *out)
{
	struct sockets_counts c;

	relay_counts(m->o.relay, &c);
#define FLOOR_LINE(name, metric, text) counter(out, metric, c.name, text);
	SOCKETS_COUNTERS(FLOOR_LINE)
#undef FLOOR_LINE
	counter(out, "socket_packets_circled_total", relay_circled(m->o.relay),
		"Packets dropped because they went from port to port of this host.");
	gauge(out, "media_sockets", c.ports, "Open media ports.");
}

static void write_packets(const struct metrics *m, struct evbuffer *out)
{
	write_usage(
		m, out, "forwarded_packets_total", false,
		"Packets forwarded, by path and outgoing interface; empty: the interface is not known.");
	write_usage(m, out, "forwarded_bytes_total", true, "UDP payload of the forwarded packets.");
	write_dataplane(m, out);
	write_interfaces(m, out);
	write_floor(m, out);
}

/* ---- resources ---- */

static void address_line(void *arg, const struct listener *l, unsigned int legs)
{
	char text[ADDR_TEXT];

	exposition_count(arg, "address_port_pairs_used",
			 LABELS({ "address", addr_host_text(&l->addr, text) }), legs);
}

static void write_ports(const struct metrics *m, struct evbuffer *out)
{
	static const char *const families[] = {
		[RTPX_FAMILY_IP4] = "ipv4", [RTPX_FAMILY_IP6] = "ipv6"
	};
	const struct survey_view *v = survey_view(m->o.survey);
	unsigned int f;

	family(out, "port_pairs", METRIC_GAUGE, "Pairs of media ports, by address family.");
	for (f = 0; f < RTPX_FAMILIES; f++)
		exposition_count(out, "port_pairs", LABELS({ "family", families[f] }),
				 ports_all_pairs(m->o.ports, f));
	family(out, "port_pairs_used", METRIC_GAUGE, "Pairs of media ports in use.");
	for (f = 0; f < RTPX_FAMILIES; f++)
		exposition_count(out, "port_pairs_used", LABELS({ "family", families[f] }),
				 ports_in_use(m->o.ports, f));
	family(out, "address_port_pairs_used", METRIC_GAUGE,
	       "Pairs of media ports in use, by local address.");
	faces_each(m->o.faces, address_line, out);
	family(out, "flow_table_size", METRIC_GAUGE, "Flows for which the dataplane has room.");
	for (f = 0; f < RTPX_FAMILIES; f++)
		exposition_count(out, "flow_table_size", LABELS({ "family", families[f] }),
				 m->o.dp->active ? 2 * ports_all_pairs(m->o.ports, f) : 0);
	family(out, "flow_table_used", METRIC_GAUGE, "Flows in the dataplane.");
	for (f = 0; f < RTPX_FAMILIES; f++)
		exposition_count(out, "flow_table_used", LABELS({ "family", families[f] }),
				 v->flows[f]);
}

static void finding_add(void *arg, enum flow_why why, const char *text)
{
	(void)text;
	((unsigned int *)arg)[why]++;
}

static void write_nexthops(const struct metrics *m, struct evbuffer *out)
{
	const struct nexthops *n = sync_nexthops(m->o.sync);
	unsigned int found[FLOW_WHY_COUNT] = { 0 };
	struct nexthop_counts c;

	nexthops_counts(n, &c);
	gauge(out, "next_hops", c.ids, "Next hops in use.");
	gauge(out, "next_hops_max", RTPX_MAX_NEXTHOPS,
	      "Next hops for which the dataplane has room.");
	gauge(out, "next_hops_unresolved", c.unresolved,
	      "Next hops whose packets stay with the sockets.");
#define NEXTHOP_LINE(name, metric, text) counter(out, metric, c.name, text);
	NEXTHOP_COUNTERS(NEXTHOP_LINE)
#undef NEXTHOP_LINE
	host_findings(nexthops_host(n), finding_add, found);
	family(out, "host_settings", METRIC_GAUGE,
	       "Settings of this host that keep calls out of the kernel, by reason.");
	for (unsigned int why = 0; why < FLOW_WHY_COUNT; why++)
		if (found[why])
			exposition_count(out, "host_settings",
					 LABELS({ "reason", flow_why_name(why) }), found[why]);
}

static void write_process(const struct metrics *m, struct evbuffer *out)
{
	struct mallinfo2 heap = mallinfo2();
	struct rlimit files = { 0 };
	struct rusage use;
	int first_free = fcntl(0, F_DUPFD_CLOEXEC, 0);

	getrlimit(RLIMIT_NOFILE, &files);
	getrusage(RUSAGE_SELF, &use);
	family(out, "build_info", METRIC_GAUGE, "The version of rtpxd.");
	exposition_count(out, "build_info", LABELS({ "version", m->o.version }), 1);
	gauge(out, "heap_bytes", (double)(heap.uordblks + heap.hblkhd), "Allocated memory.");
	gauge(out, "reply_cache_bytes", (double)listen_replies_bytes(m->o.listen),
	      "Memory that keeps replies for repeated commands.");
	gauge(out, "loop_load_ratio", m->o.stats->load,
	      "CPU time of the event loop, of one CPU, over the last ten seconds.");
	histogram(out, "loop_lag_seconds", &m->lag,
		  "How late the event loop ran a timer that is due every 20 ms.");
	family(out, "process_cpu_seconds_total", METRIC_COUNTER, "CPU time of the process.");
	exposition_value(out, "process_cpu_seconds_total", NULL,
			 (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
				 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
	gauge(out, "process_start_time_seconds", m->started_s, "Start of the process, Unix time.");
	gauge(out, "process_open_fds", MAX(first_free, 0), "Open descriptors, about.");
	gauge(out, "process_max_fds", (double)files.rlim_cur, "Limit of open descriptors.");
	if (first_free >= 0)
		close(first_free);
}

/* ---- control and outputs ---- */

static void write_commands(const struct metrics *m, struct evbuffer *out)
{
	const struct command_counts *c = commands_counts(m->o.commands);
	const char *letter;
	char code[8];

	family(out, "commands_total", METRIC_COUNTER, "Commands executed, by letter.");
	for (unsigned int op = 0; (letter = command_letter(op)); op++)
		exposition_count(out, "commands_total", LABELS({ "command", letter }), c->ops[op]);
	family(out, "command_errors_total", METRIC_COUNTER,
	       "Commands that failed, by the error in the reply; 0: an L for an unknown session.");
	exposition_count(out, "command_errors_total", LABELS({ "reply", "0" }), c->no_session);
	for (unsigned int e = 0; e < COMMAND_ERRORS; e++) {
		snprintf(code, sizeof(code), "E%u", e);
		if (c->errors[e])
			exposition_count(out, "command_errors_total", LABELS({ "reply", code }),
					 c->errors[e]);
	}
	histogram(out, "command_duration_seconds", &m->latency,
		  "Time from reading a command until its reply leaves, with the journal.");
}

static void write_recordings(const struct metrics *m, struct evbuffer *out)
{
	const struct clips_counts clips = players_clips(m->o.players);

	counter(out, "recorded_bytes_total", recorder_counts(m->o.recorder).bytes,
		"UDP payload of recorded packets.");
	gauge(out, "recording_files", recorder_files(m->o.recorder),
	      "Recordings that are not complete.");
	gauge(out, "recordings_waiting", recorder_finished(m->o.recorder).jobs.waiting,
	      "Complete recordings that wait for their sound file, the hook or the URL.");
	gauge(out, "recordings_orphaned", recorder_finished(m->o.recorder).orphans,
	      "Files in the spool directory that belonged to no recording at the start.");
	gauge(out, "players", players_count(m->o.players), "Players of prompts.");
	gauge(out, "prompts_loaded", clips.loaded, "Prompts in memory.");
	gauge(out, "prompts_loading", clips.loading, "Prompts that are being loaded.");
	gauge(out, "prompts_bytes", (double)clips.bytes, "Memory of loaded prompts.");
#define CLIPS_LINE(name, metric, text) counter(out, metric, clips.name, text);
	CLIPS_COUNTERS(CLIPS_LINE)
#undef CLIPS_LINE
}

static void write_notify(const struct metrics *m, struct evbuffer *out)
{
	struct notify_view v;
	unsigned int i;

	family(out, "notifications_total", METRIC_COUNTER,
	       "Time-out notifications by target and result.");
	for (i = 0; notify_view(m->o.notify, i, &v); i++) {
#define NOTIFY_LINE(name_, text)                     \
	exposition_count(out, "notifications_total", \
			 LABELS({ "target", v.name }, { "result", #name_ }), v.counts.name_);
		NOTIFY_COUNTERS(NOTIFY_LINE)
#undef NOTIFY_LINE
	}
	family(out, "notifications_queued", METRIC_GAUGE, "Notifications that wait.");
	for (i = 0; notify_view(m->o.notify, i, &v); i++)
		exposition_count(out, "notifications_queued", LABELS({ "target", v.name }),
				 v.queued);
}

static void write_accounts(const struct metrics *m, struct evbuffer *out)
{
	counter(out, "accounts_lost_total", accounts_lost(m->o.accounts),
		"Records of ended sessions that were not written.");
}

static void write_reporter(const struct metrics *m, struct evbuffer *out)
{
	struct reporter_view v;

	if (!m->o.reporter)
		return;
	reporter_view(m->o.reporter, &v);
	family(out, "hep_reports_total", METRIC_COUNTER,
	       "RTCP reports for the HEP collector, by result.");
#define HEP_LINE(name_, text)                                                    \
	exposition_count(out, "hep_reports_total", LABELS({ "result", #name_ }), \
			 v.collector.counts.name_);
	COLLECTOR_COUNTERS(HEP_LINE)
#undef HEP_LINE
	counter(out, "hep_packets_unreadable_total", v.unreadable,
		"RTCP packets without a report: encrypted or malformed.");
	counter(out, "hep_packets_uncopied_total", v.uncopied,
		"RTCP packets that the kernel forwarded without room for their copies.");
	histogram(out, "round_trip_seconds", v.roundtrip_s,
		  "Round-trip time between this host and a party, by the party's RTCP.");
	gauge(out, "hep_queued", v.collector.queued, "Reports that wait for the HEP collector.");
	gauge(out, "hep_connected", v.collector.connected,
	      "1: the HEP collector takes reports; 0: it does not.");
}

/* A line for each address group. @value: of struct standby_view. */
static void each_group(const struct metrics *m, struct evbuffer *out, const char *name,
		       uint64_t (*value)(const struct standby_view *v))
{
	struct standby_view v;

	for (unsigned int i = 0; groups_view(m->o.groups, i, &v); i++)
		exposition_count(out, name, LABELS({ "group", v.name }), value(&v));
}

/* The counter at @offset of struct group_view. */
static void group_counter(const struct metrics *m, struct evbuffer *out, const char *name,
			  size_t offset, const char *help)
{
	struct standby_view v;

	if (!name)
		return;
	family(out, name, METRIC_COUNTER, help);
	for (unsigned int i = 0; groups_view(m->o.groups, i, &v); i++)
		exposition_count(out, name, LABELS({ "group", v.name }),
				 *(const uint64_t *)((const char *)&v.group + offset));
}

#define STANDBY_VALUE(name, value)                                   \
	static uint64_t standby_##name(const struct standby_view *v) \
	{                                                            \
		return value;                                        \
	}
STANDBY_VALUE(is_owner, v->group.owner)
STANDBY_VALUE(peer_there, v->group.owner ? v->group.standby_there : v->group.heard)
STANDBY_VALUE(redis_up, v->group.up)
STANDBY_VALUE(whole, v->group.whole)
STANDBY_VALUE(calls, v->calls)
STANDBY_VALUE(changes_waiting, v->group.waiting)

static void write_standby(const struct metrics *m, struct evbuffer *out)
{
	if (!m->o.groups)
		return;
	family(out, "standby_is_owner", METRIC_GAUGE,
	       "1: this daemon has the calls; 0: it is the standby.");
	each_group(m, out, "standby_is_owner", standby_is_owner);
	family(out, "standby_peer_there", METRIC_GAUGE, "1: the other daemon was heard lately.");
	each_group(m, out, "standby_peer_there", standby_peer_there);
	family(out, "standby_redis_up", METRIC_GAUGE, "1: Redis answers.");
	each_group(m, out, "standby_redis_up", standby_redis_up);
	family(out, "standby_whole", METRIC_GAUGE, "1: Redis, or this standby, has all calls.");
	each_group(m, out, "standby_whole", standby_whole);
	family(out, "standby_calls", METRIC_GAUGE, "Calls that this standby can take over.");
	each_group(m, out, "standby_calls", standby_calls);
	family(out, "standby_changes_waiting", METRIC_GAUGE, "Changes that wait for Redis.");
	each_group(m, out, "standby_changes_waiting", standby_changes_waiting);
#define GROUP_LINE(name, metric, text) \
	group_counter(m, out, metric, offsetof(struct group_view, name), text);
	GROUP_COUNTERS(GROUP_LINE)
#undef GROUP_LINE
}

static void write_journal(const struct metrics *m, struct evbuffer *out)
{
	struct keeper_view v = { 0 };

	if (m->o.keeper)
		keeper_view(m->o.keeper, &v);
	gauge(out, "journal_working", v.works, "1: calls outlive this process; 0: they do not.");
	gauge(out, "journal_age_seconds",
	      v.committed_ns ? seconds(clock_now() - v.committed_ns) : -1,
	      "Time since the journal was written; -1: never.");
#define KEEPER_LINE(name, metric, text) counter(out, metric, v.name, text);
	KEEPER_COUNTERS(KEEPER_LINE)
#undef KEEPER_LINE
	family(out, "journal_calls", METRIC_GAUGE,
	       "Calls of the previous process at the start, by fate.");
	exposition_count(out, "journal_calls", LABELS({ "fate", "restored" }), v.restored);
	exposition_count(out, "journal_calls", LABELS({ "fate", "lost" }), v.lost);
}

void metrics_write(struct metrics *m, struct evbuffer *out)
{
	survey_keep(m->o.survey);
	write_process(m, out);
	write_plain(m, out);
	write_ended(m, out);
	write_live(m, out);
	write_packets(m, out);
	write_ports(m, out);
	write_nexthops(m, out);
	write_commands(m, out);
	write_recordings(m, out);
	write_notify(m, out);
	write_accounts(m, out);
	write_reporter(m, out);
	write_standby(m, out);
	write_journal(m, out);
	counter(out, "scrapes_total", ++m->scrapes, "Scrapes of these metrics, with this one.");
}

/* ---- plots ---- */

static void set_mean(struct history_now *out, enum history_column column, const struct histogram *h)
{
	out->column[column].value = h->sum;
	out->column[column].count = (double)h->count;
}

void metrics_sample(const struct metrics *m, struct history_now *out)
{
	const struct survey_view *v = survey_view(m->o.survey);
	const struct quality_totals *q = survey_samples(m->o.survey);
	const struct stats *st = m->o.stats;
	struct sockets_counts sockets;
	struct rtpx_counters c;

	if (m->o.dp->ops->counters(m->o.dp, &c) < 0)
		memset(&c, 0, sizeof(c));
	relay_counts(m->o.relay, &sockets);
	*out = (struct history_now){ 0 };
	out->column[HISTORY_sessions].value = sessions_count(m->o.sessions);
	out->column[HISTORY_one_way].value = v->one_way;
	out->column[HISTORY_silent].value = v->silent;
	out->column[HISTORY_sessions_begun].value = (double)st->nsess_created;
	out->column[HISTORY_commands].value = (double)st->ncmds_rcvd;
	out->column[HISTORY_command_errors].value = (double)st->ncmds_errs;
	out->column[HISTORY_kernel_packets].value = (double)c.relayed;
	out->column[HISTORY_socket_packets].value = (double)sockets.sent;
	out->column[HISTORY_strangers].value =
		(double)(c.drop_stranger + relay_strangers(m->o.relay));
	set_mean(out, HISTORY_loss, &q->loss);
	set_mean(out, HISTORY_jitter, &q->jitter);
	set_mean(out, HISTORY_mos, &q->mos);
	set_mean(out, HISTORY_loop_lag, &m->lag);
}

/* ---- measuring ---- */

void metrics_command(struct metrics *m, uint64_t read_ns)
{
	m->read_ns = read_ns;
	m->waiting++;
}

void metrics_settled(struct metrics *m)
{
	if (m->waiting)
		histogram_add(&m->latency, seconds(clock_now() - m->read_ns), m->waiting);
	m->waiting = 0;
}

static void lag_again(struct metrics *m)
{
	m->lag_due_ns = clock_now() + LAG_MS * NSEC_PER_MSEC;
	event_add(m->lag_timer, &(struct timeval){ 0, LAG_MS * 1000 });
}

static void on_lag(evutil_socket_t fd, short what, void *arg)
{
	struct metrics *m = arg;
	uint64_t now_ns = clock_now();

	(void)fd, (void)what;
	histogram_add(&m->lag, now_ns > m->lag_due_ns ? seconds(now_ns - m->lag_due_ns) : 0, 1);
	lag_again(m);
}

int metrics_new(struct metrics **out, struct event_base *base, const struct metrics_opts *opts)
{
	struct metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->o = *opts;
	m->lag = (struct histogram)HISTOGRAM(lag_bounds);
	m->latency = (struct histogram)HISTOGRAM(latency_bounds);
	m->started_s = seconds(clock_read(CLOCK_REALTIME));
	m->lag_timer = event_new(base, -1, 0, on_lag, m);
	if (!m->lag_timer) {
		free(m);
		return -ENOMEM;
	}
	lag_again(m);
	*out = m;
	return 0;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	event_free(m->lag_timer);
	free(m);
}
