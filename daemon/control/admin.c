/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admin.c - answers rtpxctl: the model and the dataplane as JSON. Changes are left to operate.c.
 *
 * Lists are paged: a page has ADMIN_PAGE sessions. One request therefore never holds the event loop
 * for long, even with thousands of calls.
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <json-c/json.h>

#include "control/admin.h"
#include "host/floor.h"
#include "control/acceptor.h"
#include "call/flow.h"
#include "host/host.h"
#include "replicate/groups.h"
#include "restart/keeper.h"
#include "control/listen.h"
#include "control/overview.h"
#include "base/log.h"
#include "base/put.h"
#include "host/nexthop.h"
#include "notify/notify.h"
#include "observe/accounts.h"
#include "observe/reporter.h"

#define ADMIN_PAGE 50 /* 3 ms of the loop */
#define ADMIN_LAZY_PAGE 25
#define ADMIN_LINE_MAX 8192
#define ADMIN_TIMEOUT_S 10
#define ADMIN_PEERS 64

struct admin {
	struct admin_opts o;
	struct event_base *base;
	struct acceptor *acceptor;
	unsigned int n_peers;
	uint64_t started_ns;
};

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static uint64_t age_ms(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns && now_ns > then_ns ? (now_ns - then_ns) / NSEC_PER_MSEC : 0;
}

/* ---- one session ---- */

static const char *const state_names[] = {
	[STREAM_EMPTY] = "unknown",
	[STREAM_SIGNALLED] = "signalled",
	[STREAM_LATCHED] = "latched",
};

/* Says whether the kernel forwards packets of the direction, and if not, the reason. */
static void put_why(struct json_object *o, struct sync *sync, struct direction d)
{
	enum flow_why why = sync_why(sync, d);

	put_bool(o, "in_kernel", why == FLOW_WHY_KERNEL);
	put_text(o, "why", flow_why_name(why));
	put_text(o, "why_text", flow_why_text(why));
}

/* Since the first packet. */
static void put_quality(struct json_object *o, const struct rtpx_flow_stats *fs)
{
	struct quality q;

	quality_of(fs, &q);
	put_real(o, "loss", q.loss);
	if (q.timed)
		put_real(o, "jitter_ms", q.jitter_mean_ms);
	if (q.mos > 0)
		put_real(o, "mos", q.mos);
	put_text(o, "codec", quality_codec(fs->payload_type));
}

/* In the survey's latest round. */
static struct json_object *recent_json(const struct quality_recent *q)
{
	struct json_object *o = json_object_new_object();

	put_real(o, "loss", (double)q->loss);
	put_real(o, "jitter_ms", (double)q->jitter_ms);
	put_real(o, "mos", (double)q->mos);
	return o;
}

static struct json_object *stream_json(struct admin *a, struct direction d, uint64_t now_ns)
{
	const struct stream *st = direction_sender(d);
	const struct rtpx_flow_stats *fs = stream_stats(st);
	struct json_object *o = json_object_new_object();

	put_addr(o, "remote", &st->remote);
	put_addr(o, "signalled", &st->signalled);
	put_text(o, "state", state_names[st->state]);
	put_bool(o, "asymmetric", st->asymmetric);
	put_bool(o, "open", stream_is_open(st));
	put_bool(o, "awaited", st->awaited);
	put_bool(o, "twice", st->twice);
	put_bool(o, "weak", st->weak);
	put_number(o, "packets", fs->packets);
	put_number(o, "bytes", fs->bytes);
	put_number(o, "kernel_packets", rtpx_stats_kernel(fs));
	put_number(o, "strangers", fs->strangers);
	put_number(o, "silent_ms", age_ms(fs->last_ns, now_ns));
	if (d.kind == STREAM_RTP && fs->segments) {
		put_number(o, "ssrc", fs->ssrc);
		put_number(o, "payload_type", fs->payload_type);
		put_number(o, "lost", rtpx_stats_lost(fs));
		put_number(o, "duplicates", fs->duplicates);
		put_number(o, "reordered", fs->reordered);
		if (fs->jitter_count)
			put_real(o, "jitter", fs->jitter_q4 / 16.0);
		if (rtpx_clock_hz(fs->clock))
			put_number(o, "clock_hz", rtpx_clock_hz(fs->clock));
		put_quality(o, fs);
		if (d.in->recent.mos > 0)
			json_object_object_add(o, "recent", recent_json(&d.in->recent));
	}
	put_why(o, a->o.sync, d);
	return o;
}

static struct json_object *leg_json(struct admin *a, struct leg *leg, uint64_t now_ns)
{
	struct json_object *o = json_object_new_object();
	char to[512];
	int kind;

	put_text(o, "party", session_party_words[leg->party]);
	if (leg->local.port)
		put_addr(o, "local", &leg->local);
	else
		put_text(o, "local", NULL);
	put_text(o, "advertised", leg->advertised);
	put_number(o, "relayed", leg->nrelayed);
	put_number(o, "dropped", leg->ndropped);
	if (leg_rest(leg)->recording)
		put_text(o, "recorded_to", recorder_describe(leg, to, sizeof(to)));
	if (leg_rest(leg)->player)
		put_text(o, "hears", player_describe(leg, to, sizeof(to)));
	if (leg_rest(leg)->resizing)
		put_number(o, "packet_ms", leg->ptime_ms);
	for (kind = 0; kind < STREAM_KINDS; kind++)
		json_object_object_add(o, stream_kind_words[kind],
				       stream_json(a, (struct direction){ leg, kind }, now_ns));
	return o;
}

static struct json_object *tally_json(struct tally_counts c)
{
	struct json_object *o = json_object_new_object();

	put_number(o, "packets", c.packets);
	put_number(o, "bytes", c.bytes);
	put_number(o, "lost", c.lost);
	return o;
}

static struct json_object *session_json(struct admin *a, struct session *s, uint64_t now_ns)
{
	struct json_object *o = json_object_new_object(), *legs = json_object_new_array();
	struct notify_view notify;
	int target;

	sync_pull(a->o.sync, s);
	put_number(o, "number", s->number);
	put_text(o, "call_id", s->call_id);
	put_text(o, "from_tag", s->from_tag);
	put_text(o, "to_tag", s->to_tag);
	target = s->notify < 0 ? notify_default(a->o.notify) : s->notify;
	if (target < 0 || !notify_view(a->o.notify, (unsigned int)target, &notify))
		notify.name = NULL;
	put_text(o, "notify", notify.name);
	put_bool(o, "complete", s->complete);
	put_number(o, "age_s", age_ms(s->created_ns, now_ns) / 1000);
	put_number(o, "ttl_s", session_ttl_left(a->o.sessions, s, now_ns));
	if (session_rest(s)->recorded)
		json_object_object_add(o, "recorded",
				       tally_json(tally_read(session_rest(s)->recorded)));
	json_object_array_add(legs, leg_json(a, &s->leg[SESSION_CALLER], now_ns));
	json_object_array_add(legs, leg_json(a, &s->leg[SESSION_CALLEE], now_ns));
	json_object_object_add(o, "legs", legs);
	return o;
}

/* ---- one direction: packets that arrive at a leg, for `flows` and `why` ---- */

static struct json_object *direction_json(struct admin *a, struct direction d)
{
	const struct session *s = direction_session(d);
	const struct stream *sender = direction_sender(d);
	struct json_object *o = json_object_new_object();
	struct nexthop_view nh = { 0 };
	struct addr local = d.in->local;
	uint16_t hop = *direction_nexthop(d);

	if (local.port)
		local.port = direction_port(d);
	if (hop)
		nexthop_view(sync_nexthops(a->o.sync), hop, &nh);
	put_text(o, "call_id", s->call_id);
	put_text(o, "from_tag", s->from_tag);
	put_text(o, "from", session_party_words[d.in->party]);
	put_text(o, "kind", stream_kind_words[d.kind]);
	put_addr(o, "peer", &sender->remote);
	put_addr(o, "local", &local);
	put_addr(o, "dest", &direction_receiver(d)->remote);
	put_text(o, "interface", nh.ifname[0] ? nh.ifname : NULL);
	put_number(o, "nexthop", hop);
	put_number(o, "packets", stream_stats(sender)->packets);
	put_number(o, "kernel_packets", rtpx_stats_kernel(stream_stats(sender)));
	put_number(o, "strangers", stream_stats(sender)->strangers);
	put_why(o, a->o.sync, d);
	return o;
}

/* The caller's packets first. */
static void add_directions(struct admin *a, struct json_object *list, struct session *s,
			   bool installed_only)
{
	static const enum session_party parties[] = { SESSION_CALLER, SESSION_CALLEE };
	unsigned int i;

	sync_pull(a->o.sync, s);
	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = { &s->leg[parties[i / STREAM_KINDS]], i % STREAM_KINDS };

		if (!installed_only || (d.in->installed & direction_bit(d)))
			json_object_array_add(list, direction_json(a, d));
	}
}

/* ---- requests ---- */

/* One page of sessions. */
struct page {
	struct admin *a;
	struct json_object *list;
	uint32_t last; /* number of the last session of the page */
	unsigned int left;
	bool more;
	/* add the JSON of a session to the list */
	void (*add)(struct page *p, struct session *s);
	uint64_t now_ns;
};

static void add_session(struct page *p, struct session *s)
{
	json_object_array_add(p->list, session_json(p->a, s, p->now_ns));
}

static void add_flows(struct page *p, struct session *s)
{
	add_directions(p->a, p->list, s, true);
}

static void add_why(struct page *p, struct session *s)
{
	add_directions(p->a, p->list, s, false);
}

/* False: the page is full. */
static bool page_add(void *arg, struct session *s)
{
	struct page *p = arg;

	if (!p->left) {
		p->more = true;
		return false;
	}
	p->left--;
	p->last = s->number;
	p->add(p, s);
	return true;
}

static struct page page_begin(struct admin *a, void (*add)(struct page *p, struct session *s))
{
	return (struct page){
		.a = a,
		.list = json_object_new_array(),
		.add = add,
		.left = a->o.lazy ? ADMIN_LAZY_PAGE : ADMIN_PAGE,
		.now_ns = monotonic_ns(),
	};
}

static struct json_object *page_end(struct page *p, const char *key)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, key, p->list);
	json_object_object_add(o, "next", p->more ? json_object_new_uint64(p->last) : NULL);
	return o;
}

/* @arg: [AFTER]. The sessions after number AFTER. */
static struct json_object *page_json(struct admin *a, const char *arg, const char *key,
				     void (*add)(struct page *p, struct session *s))
{
	struct page p = page_begin(a, add);

	sessions_after(a->o.sessions, strtoul(arg, NULL, 10), page_add, &p);
	return page_end(&p, key);
}

/* @arg: CALL-ID [AFTER]. The sessions of a call after number AFTER. */
static struct json_object *call_json(struct admin *a, const char *arg, const char *key,
				     void (*add)(struct page *p, struct session *s))
{
	const char *space = strchrnul(arg, ' ');
	uint32_t after = strtoul(space, NULL, 10);
	struct page p = page_begin(a, add);
	struct session *s =
		sessions_of_call(a->o.sessions, (struct span){ arg, (size_t)(space - arg) });

	while (s && s->number <= after)
		s = s->next_in_call;
	for (; s && page_add(&p, s); s = s->next_in_call)
		;
	return page_end(&p, key);
}

static struct json_object *sessions_request(struct admin *a, const char *arg)
{
	return page_json(a, arg, "sessions", add_session);
}

static struct json_object *flows_request(struct admin *a, const char *arg)
{
	return page_json(a, arg, "flows", add_flows);
}

static struct json_object *session_request(struct admin *a, const char *arg)
{
	return call_json(a, arg, "sessions", add_session);
}

static struct json_object *why_request(struct admin *a, const char *arg)
{
	return call_json(a, arg, "directions", add_why);
}

static struct json_object *counters_json(struct dp *dp)
{
	struct json_object *o = json_object_new_object();
	struct rtpx_counters c;

	if (dp->ops->counters(dp, &c) < 0)
		memset(&c, 0, sizeof(c));
#define COUNTER_PUT(name, text) put_number(o, #name, c.name);
	RTPX_REASONS(COUNTER_PUT)
	RTPX_MIRROR_COUNTS(COUNTER_PUT)
#undef COUNTER_PUT
	return o;
}

static struct json_object *floor_json(struct relay *relay)
{
	struct json_object *o = json_object_new_object();
	struct sockets_counts c;

	relay_counts(relay, &c);
#define FLOOR_PUT(name, metric, text) put_number(o, #name, c.name);
	SOCKETS_COUNTERS(FLOOR_PUT)
#undef FLOOR_PUT
	put_number(o, "circled", relay_circled(relay));
	put_number(o, "ports", c.ports);
	put_number(o, "own", c.own);
	return o;
}

static struct json_object *recorded_json(struct recorder *r)
{
	struct json_object *o = tally_json(recorder_counts(r));

	put_number(o, "files", recorder_files(r));
	put_number(o, "waiting", recorder_finished(r).jobs.waiting);
	put_number(o, "orphans", recorder_finished(r).orphans);
	return o;
}

static struct json_object *prompts_json(struct players *players)
{
	const struct clips_counts c = players_clips(players);
	struct json_object *o = json_object_new_object();

	put_number(o, "playing", players_count(players));
	put_number(o, "loading", c.loading);
	put_number(o, "loaded", c.loaded);
	put_number(o, "loaded_bytes", c.bytes);
#define CLIPS_PUT(name, metric, text) put_number(o, #name, c.name);
	CLIPS_COUNTERS(CLIPS_PUT)
#undef CLIPS_PUT
	return o;
}

static struct json_object *nexthops_json(struct nexthops *n)
{
	struct json_object *o = json_object_new_object(), *why = json_object_new_object();
	struct nexthop_counts c;
	enum flow_why w;

	nexthops_counts(n, &c);
	for (w = FLOW_WHY_KERNEL + 1; w < FLOW_WHY_COUNT; w++)
		if (c.why[w] || c.arrives[w])
			put_number(why, flow_why_name(w), MAX(c.why[w], c.arrives[w]));
	put_number(o, "in_use", c.ids);
	put_number(o, "unresolved", c.unresolved);
	json_object_object_add(o, "why", why);
#define NEXTHOP_PUT(name, metric, text) put_number(o, #name, c.name);
	NEXTHOP_COUNTERS(NEXTHOP_PUT)
#undef NEXTHOP_PUT
	return o;
}

/* Bytes of the whole heap, and of the part that keeps replies for retransmitted commands. */
static struct json_object *memory_json(const struct listen *l)
{
	struct json_object *o = json_object_new_object();
	struct mallinfo2 m = mallinfo2();

	put_number(o, "heap", m.uordblks + m.hblkhd);
	put_number(o, "replies", listen_replies_bytes(l));
	return o;
}

static void put_notify_counts(struct json_object *o, const struct notify_view *v)
{
	put_number(o, "queued", v->queued);
#define NOTIFY_PUT(name, text) put_number(o, #name, v->counts.name);
	NOTIFY_COUNTERS(NOTIFY_PUT)
#undef NOTIFY_PUT
}

/* The counters of all targets, added up. */
static struct json_object *notify_json(const struct notify *n)
{
	struct json_object *o = json_object_new_object();
	struct notify_view all = { 0 }, v;
	unsigned int i;

	for (i = 0; notify_view(n, i, &v); i++) {
		all.queued += v.queued;
#define NOTIFY_ADD(name, text) all.counts.name += v.counts.name;
		NOTIFY_COUNTERS(NOTIFY_ADD)
#undef NOTIFY_ADD
	}
	put_notify_counts(o, &all);
	return o;
}

static struct json_object *notify_targets_json(const struct notify *n)
{
	struct json_object *list = json_object_new_array();
	struct notify_view v;
	unsigned int i;

	for (i = 0; notify_view(n, i, &v); i++) {
		struct json_object *o = json_object_new_object();

		put_text(o, "target", v.name);
		put_notify_counts(o, &v);
		put_text(o, "error", v.error);
		json_object_array_add(list, o);
	}
	return list;
}

/* Null without --hep. */
static struct json_object *hep_json(const struct reporter *r)
{
	struct json_object *o;
	struct reporter_view v;

	if (!r)
		return NULL;
	reporter_view(r, &v);
	o = json_object_new_object();
	put_text(o, "collector", v.collector.name);
	put_bool(o, "connected", v.collector.connected);
	put_number(o, "queued", v.collector.queued);
#define HEP_PUT(name, text) put_number(o, #name, v.collector.counts.name);
	COLLECTOR_COUNTERS(HEP_PUT)
#undef HEP_PUT
	put_number(o, "unreadable", v.unreadable);
	put_number(o, "uncopied", v.uncopied);
	put_text(o, "error", v.collector.error);
	return o;
}

/* With opts.lazy the survey has read the dataplane's counters, some seconds ago at most. */
static const struct stats *shown_stats(struct admin *a)
{
	if (!a->o.lazy)
		return engine_show_stats(a->o.engine);
	recorder_count(a->o.recorder, a->o.stats);
	a->o.stats->shown = true;
	return a->o.stats;
}

static struct json_object *stats_request(struct admin *a, const char *arg)
{
	struct json_object *o = json_object_new_object(), *own = json_object_new_object();
	const struct stats *st = shown_stats(a);

	(void)arg;
#define STAT_PUT(name, metric, text) put_number(own, #name, st->name);
	STATS_COUNTERS(STAT_PUT)
#undef STAT_PUT
	put_real(own, "total_duration", st->total_duration);
	put_real(own, "pps_in", st->pps_in);
	put_number(o, "active_sessions", sessions_count(a->o.sessions));
	json_object_object_add(o, "relay", own);
	json_object_object_add(o, "kernel", counters_json(a->o.dp));
	json_object_object_add(o, "floor", floor_json(a->o.relay));
	json_object_object_add(o, "recorded", recorded_json(a->o.recorder));
	json_object_object_add(o, "prompts", prompts_json(a->o.players));
	json_object_object_add(o, "notify", notify_json(a->o.notify));
	json_object_object_add(o, "nexthops", nexthops_json(sync_nexthops(a->o.sync)));
	json_object_object_add(o, "memory", memory_json(a->o.listen));
	return o;
}

static void add_finding(void *list, enum flow_why why, const char *text)
{
	struct json_object *o = json_object_new_object();

	put_text(o, "why", flow_why_name(why));
	put_text(o, "found", text);
	json_object_array_add(list, o);
}

/* The properties of this host that keep calls out of the kernel. */
static struct json_object *host_json(struct admin *a)
{
	struct json_object *list = json_object_new_array();

	host_findings(nexthops_host(sync_nexthops(a->o.sync)), add_finding, list);
	return list;
}

static struct json_object *interfaces_json(struct dp *dp)
{
	static const char *const modes[] = {
		[DP_IF_OFF] = "off",
		[DP_IF_GENERIC] = "generic",
		[DP_IF_NATIVE] = "native",
	};
	struct dp_interface list[DP_MAX_INTERFACES];
	struct json_object *all = json_object_new_array();
	unsigned int i, n = MIN(dp_interfaces(dp, list, ARRAY_SIZE(list)), ARRAY_SIZE(list));

	for (i = 0; i < n; i++) {
		struct json_object *o = json_object_new_object();

		put_number(o, "ifindex", list[i].ifindex);
		put_text(o, "name", list[i].name);
		put_text(o, "driver", list[i].driver);
		put_text(o, "mode", modes[list[i].mode]);
		put_bool(o, "can_send", list[i].can_send);
		put_text(o, "reason", list[i].reason);
		json_object_array_add(all, o);
	}
	return all;
}

static struct json_object *journal_json(const struct keeper *k)
{
	struct json_object *o = json_object_new_object();
	struct keeper_view v = { .path = "" };

	if (k)
		keeper_view(k, &v);
	put_text(o, "path", v.path);
	put_bool(o, "works", v.works);
	put_number(o, "restored", v.restored);
	put_number(o, "lost", v.lost);
#define KEEPER_PUT(name, metric, text) put_number(o, #name, v.name);
	KEEPER_COUNTERS(KEEPER_PUT)
#undef KEEPER_PUT
	return o;
}

/* NULL without --replicate. */
static const char *group_name(const struct groups *groups, unsigned int number)
{
	struct standby_view v;

	return groups && groups_view(groups, number, &v) ? v.name : NULL;
}

static struct json_object *media_json(const struct admin *a)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < *a->o.n_listeners; i++) {
		const struct listener *l = &a->o.listeners[i];
		struct json_object *o = json_object_new_object();
		int err = sockets_can_bind(&l->addr);
		char text[ADDR_TEXT];

		put_text(o, "address", addr_host_text(&l->addr, text));
		put_text(o, "label", l->label);
		put_text(o, "advertised", l->advertised);
		put_number(o, "list", l->group);
		put_number(o, "pairs_in_use",
			   ports_taken(a->o.ports, ports_pool(a->o.ports, &l->addr)));
		put_text(o, "group", group_name(a->o.operate.groups, l->address_group));
		put_text(o, "error", err ? strerror(-err) : NULL);
		json_object_array_add(list, o);
	}
	return list;
}

/* Null without --replicate. */
static struct json_object *standby_json(const struct groups *groups, unsigned int number)
{
	struct json_object *o;
	struct standby_view v;

	if (!groups || !groups_view(groups, number, &v))
		return NULL;
	o = json_object_new_object();
	put_text(o, "group", v.name);
	put_text(o, "role", v.group.owner ? "owner" : "standby");
	put_text(o, "peer", v.group.peer);
	put_bool(o, "redis", v.group.up);
	put_bool(o, "whole", v.group.whole);
	put_bool(o, "peer_there", v.group.owner ? v.group.standby_there : v.group.heard);
	put_number(o, "epoch", v.group.epoch);
	put_number(o, "calls", v.calls);
	put_number(o, "undecodable", v.undecodable);
	put_number(o, "waiting", v.group.waiting);
#define GROUP_PUT(name, metric, text) put_number(o, #name, v.group.name);
	GROUP_COUNTERS(GROUP_PUT)
#undef GROUP_PUT
	return o;
}

static struct json_object *groups_json(const struct groups *groups)
{
	struct json_object *list = json_object_new_array(), *o;

	for (unsigned int i = 0; (o = standby_json(groups, i)); i++)
		json_object_array_add(list, o);
	return list;
}

static struct json_object *status_request(struct admin *a, const char *arg)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	const char *text;
	unsigned int i;

	(void)arg;
	put_text(o, "version", a->o.version);
	put_number(o, "pid", getpid());
	put_number(o, "uptime_s", age_ms(a->started_ns, monotonic_ns()) / 1000);
	for (i = 0; (text = listen_describe(a->o.listen, i)); i++)
		json_object_array_add(list, json_object_new_string(text));
	json_object_object_add(o, "listeners", list);
	json_object_object_add(o, "media", media_json(a));
	put_number(o, "port_min", a->o.port_min);
	put_number(o, "port_max", a->o.port_max);
	put_number(o, "pairs", ports_pairs(a->o.ports));
	put_number(o, "pairs_ip4", ports_all_pairs(a->o.ports, RTPX_FAMILY_IP4));
	put_number(o, "pairs_ip6", ports_all_pairs(a->o.ports, RTPX_FAMILY_IP6));
	put_number(o, "pairs_in_use_most", ports_most_in_use(a->o.ports));
	put_number(o, "pairs_in_use_ip4", ports_in_use(a->o.ports, RTPX_FAMILY_IP4));
	put_number(o, "pairs_in_use_ip6", ports_in_use(a->o.ports, RTPX_FAMILY_IP6));
	put_text(o, "learning", learning_words[a->o.learning]);
	put_text(o, "dataplane", a->o.dp->ops->name);
	put_text(o, "choice", a->o.dp->choice);
	put_text(o, "port_sockets", floor_board(a->o.floor) ? "shared" : "each");
	put_text(o, "floor", floor_text(a->o.floor));
	put_text(o, "pin_dir", a->o.pin_dir);
	json_object_object_add(o, "admission", operate_admission(&a->o.operate));
	json_object_object_add(o, "journal", journal_json(a->o.keeper));
	json_object_object_add(o, "standby", standby_json(a->o.operate.groups, 0));
	json_object_object_add(o, "groups", groups_json(a->o.operate.groups));
	json_object_object_add(o, "notify", notify_targets_json(a->o.notify));
	put_number(o, "accounts_lost", accounts_lost(a->o.accounts));
	json_object_object_add(o, "hep", hep_json(a->o.reporter));
	json_object_object_add(o, "host", host_json(a));
	json_object_object_add(o, "interfaces", interfaces_json(a->o.dp));
	return o;
}

static struct json_object *overview_request(struct admin *a, const char *arg)
{
	(void)arg;
	return overview_json(&(struct overview_opts){
		.survey = a->o.survey,
		.sessions = a->o.sessions,
		.stats = a->o.stats,
		.dp = a->o.dp,
		.relay = a->o.relay,
		.draining = a->o.operate.admission->draining,
	});
}

static struct json_object *config_request(struct admin *a, const char *arg)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	struct admin_setting s;

	(void)arg;
	for (unsigned int i = 0; a->o.setting(a->o.arg, i, &s); i++) {
		struct json_object *one = json_object_new_object();

		put_text(one, "option", s.name);
		put_text(one, "value", s.value);
		put_bool(one, "default", !s.given);
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "config", list);
	return o;
}

/*
 * A request reads (run), changes the daemon (change), or keeps its connection (follow). @follow
 * returns NULL, or the reason of a refusal.
 */
static const struct {
	const char *name;
	bool needs_arg;
	struct json_object *(*run)(struct admin *a, const char *arg);
	struct json_object *(*change)(const struct operate *o, const char *arg);
	const char *(*follow)(const struct follow_opts *opts, struct bufferevent *bev,
			      const char *arg);
} requests[] = {
	{ "sessions", false, .run = sessions_request }, /* [AFTER]: one page, numbers above AFTER */
	{ "session", true, .run = session_request },	/* CALL-ID [AFTER] */
	{ "flows", false, .run = flows_request },	/* [AFTER] */
	{ "why", true, .run = why_request },		/* CALL-ID [AFTER] */
	{ "stats", false, .run = stats_request },
	{ "status", false, .run = status_request },
	{ "overview", false, .run = overview_request },
	{ "config", false, .run = config_request },
	{ "drain", false, .change = operate_drain },
	{ "undrain", false, .change = operate_undrain },
	{ "terminate", true, .change = operate_terminate }, /* CALL-ID */
	{ "extend", true, .change = operate_extend },	    /* LIST,ADDR[=ADVERTISED] */
	{ "capture", true, .follow = follow_capture },	    /* FILTER */
	{ "trace", true, .follow = follow_trace },	    /* CALL-ID */
	{ "loglevel", false, .change = operate_loglevel },  /* [LEVEL] */
	{ "takeover", false, .change = operate_takeover },
};

struct json_object *admin_ask(struct admin *a, const char *request, const char *arg)
{
	struct json_object *o;
	char text[160];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (strcmp(requests[i].name, request))
			continue;
		if (requests[i].needs_arg && !*arg)
			break;
		if (requests[i].run)
			return requests[i].run(a, arg);
		if (requests[i].change && !a->o.lazy)
			return requests[i].change(&a->o.operate, arg);
	}
	snprintf(text, sizeof(text),
		 i < ARRAY_SIZE(requests) ? "'%.40s' needs an argument"
					  : "'%.40s' is not a request of this version",
		 request);
	o = json_object_new_object();
	put_text(o, "error", text);
	return o;
}

/* ---- the socket ---- */

static void end_peer(struct admin *a, struct bufferevent *bev)
{
	bufferevent_free(bev);
	a->n_peers--;
	acceptor_closed(a->acceptor);
}

static void follower_ended(void *arg, struct bufferevent *bev)
{
	end_peer(arg, bev);
}

/*
 * Let a request keep its connection. True: it belongs to a follower now. False with the reason in
 * *@why, or NULL: this request does not follow.
 */
static bool follow(struct admin *a, struct bufferevent *bev, const char *request, const char *arg,
		   const char **why)
{
	struct follow_opts opts = a->o.follow;

	opts.ended = follower_ended;
	opts.arg = a;
	*why = NULL;
	for (unsigned int i = 0; *arg && i < ARRAY_SIZE(requests); i++) {
		if (!requests[i].follow || strcmp(requests[i].name, request))
			continue;
		*why = requests[i].follow(&opts, bev, arg);
		return !*why;
	}
	return false;
}

/* NULL: the connection stays open, and belongs to a follower. */
static struct json_object *answer(struct admin *a, struct bufferevent *bev, char *line)
{
	char *arg = strchr(line, ' ');
	struct json_object *o;
	const char *why;

	if (arg)
		*arg++ = '\0';
	if (follow(a, bev, line, arg ? arg : "", &why))
		return NULL;
	if (!why)
		return admin_ask(a, line, arg ? arg : "");
	o = json_object_new_object();
	put_text(o, "error", why);
	return o;
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	(void)what;
	end_peer(arg, bev);
}

static void on_written(struct bufferevent *bev, void *arg)
{
	end_peer(arg, bev);
}

static void on_line(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	char *line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF);
	struct json_object *o;
	size_t len;
	const char *text;

	if (!line) {
		if (evbuffer_get_length(in) > ADMIN_LINE_MAX)
			end_peer(arg, bev);
		return;
	}
	o = answer(arg, bev, line);
	if (!o) {
		free(line);
		return;
	}
	text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &len);
	bufferevent_disable(bev, EV_READ);
	bufferevent_setcb(bev, NULL, on_written, on_end, arg);
	bufferevent_write(bev, text, len);
	bufferevent_write(bev, "\n", 1);
	json_object_put(o);
	free(line);
}

static void welcome(void *arg, int fd, const struct sockaddr_storage *from)
{
	const struct timeval timeout = { ADMIN_TIMEOUT_S, 0 };
	struct admin *a = arg;
	struct bufferevent *bev = NULL;

	(void)from;
	if (a->n_peers < ADMIN_PEERS)
		bev = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!bev) {
		close(fd);
		return;
	}
	a->n_peers++;
	bufferevent_setcb(bev, on_line, NULL, on_end, a);
	bufferevent_set_timeouts(bev, &timeout, &timeout);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

int admin_open(struct sockfile *file, const char *path, gid_t gid, char *err, size_t err_size)
{
	static const char option[] = "--admin-socket: ";
	const struct sockfile_opts opts = {
		.uid = (uid_t)-1,
		.gid = gid,
		.mode = 0660,
		.backlog = 32,
	};
	size_t len = (size_t)snprintf(err, err_size, option);

	return sockfile_open(file, path, &opts, err + len, err_size - len);
}

int admin_new(struct admin **out, struct event_base *base, const struct admin_opts *opts)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->o = *opts;
	a->started_ns = monotonic_ns();
	a->base = base;
	if (opts->file.fd >= 0 &&
	    acceptor_new(&a->acceptor, base, opts->file.fd, "--admin-socket", welcome, a) < 0) {
		free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

void admin_free(struct admin *a)
{
	if (!a)
		return;
	acceptor_free(a->acceptor);
	sockfile_close(&a->o.file);
	free(a);
}
