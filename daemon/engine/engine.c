/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - carries out commands on sessions, legs and ports. It moves no packet and prints no
 * reply.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "engine/engine.h"
#include "base/clock.h"
#include "call/feed.h"
#include "media/player.h"
#include "base/log.h"
#include "base/provoked.h"
#include "host/nexthop.h"

#define ABSENCE_NS (3 * NSEC_PER_SEC) /* without a tick: the process was stopped */
#define SLICE_NS (NSEC_PER_MSEC / 2)  /* work in one turn of the loop for earlier commands */
/* Between two readings of the statistics of all flows, where one question gives them. */
#define SWEEP_NS (10 * NSEC_PER_SEC)
#define ENDS_MAX 16 /* sessions that D ends before its reply; the others it dooms */

struct engine {
	struct engine_opts o;
	bool stopping;
	uint64_t tick_ns;  /* time of the previous engine_tick() */
	uint64_t began_ns; /* time of the first one: older sessions are a previous daemon's */
	bool expiring;	   /* sessions_expired() has more */
	bool sweeping;	   /* sync_sweep() has more */
	uint64_t swept_ns; /* when the latest round of sync_sweep() began */
	bool holds;	   /* engine_show_stats() shows @held */
	struct stats held;
};

/* ---- ports of a leg ---- */

static void leg_set_face(struct leg *leg, const struct face *face)
{
	leg->local = face->addr;
	leg->advertised = face->advertised;
}

/*
 * Take a pair of ports and open it on leg->local. Skip pairs that another program holds. 0; or
 * -errno, then the leg has no port.
 */
static int leg_open(struct engine *e, struct leg *leg, uint64_t now_ns)
{
	unsigned int pool = ports_pool(e->o.ports, &leg->local);
	unsigned int tries = ports_tries(e->o.ports);
	int err = -ENOSPC;

	while (tries--) {
		int port = ports_take(e->o.ports, pool, now_ns);

		if (port < 0) {
			err = port;
			break;
		}
		leg->local.port = port;
		err = relay_leg_open(e->o.relay, leg);
		if (!err) {
			faces_use(e->o.faces, &leg->local);
			return 0;
		}
		ports_give(e->o.ports, pool, port, now_ns);
		if (err != -EADDRINUSE && err != -EACCES)
			break;
	}
	leg->local.port = 0;
	return err;
}

static void leg_close(struct engine *e, struct leg *leg, uint64_t now_ns)
{
	if (!leg->local.port)
		return;
	relay_leg_close(e->o.relay, leg);
	ports_give(e->o.ports, ports_pool(e->o.ports, &leg->local), leg->local.port, now_ns);
	faces_leave(e->o.faces, &leg->local);
	leg->local.port = 0;
}

/* Modifier n: open a new pair on @face. Close the old pair only if that worked. */
static int leg_reopen(struct engine *e, struct leg *leg, const struct face *face, uint64_t now_ns)
{
	struct addr old_local = leg->local, new_local;
	const char *old_advertised = leg->advertised;
	void *old_handle = leg->handle, *new_handle;
	int err;

	sync_close(e->o.sync, leg_session(leg));
	leg->handle = NULL;
	leg_set_face(leg, face);
	err = leg_open(e, leg, now_ns);
	if (err) {
		leg->handle = old_handle;
		leg->local = old_local;
		leg->advertised = old_advertised;
		session_dirty(e->o.sessions, leg_session(leg));
		return err;
	}
	new_local = leg->local;
	new_handle = leg->handle;
	leg->local = old_local;
	leg->handle = old_handle;
	leg_close(e, leg, now_ns);
	leg->local = new_local;
	leg->handle = new_handle;
	return 0;
}

/* ---- legs of a previous daemon ---- */

int engine_leg_restore(struct engine *e, struct leg *leg, const struct addr *local,
		       struct span advertised, uint64_t now_ns)
{
	unsigned int pool = ports_pool(e->o.ports, local);
	int err;

	leg->local = addr_with_port(*local, 0);
	leg->advertised = advertised.len ? faces_keep_text(e->o.faces, advertised) : NULL;
	if (!local->port)
		return relay_leg_resume(e->o.relay, leg);
	err = ports_claim(e->o.ports, pool, local->port);
	if (err)
		return err;
	leg->local.port = local->port;
	err = relay_leg_restore(e->o.relay, leg);
	if (err) {
		ports_give(e->o.ports, pool, local->port, now_ns);
		leg->local.port = 0;
		return err;
	}
	faces_use(e->o.faces, local);
	return relay_leg_resume(e->o.relay, leg);
}

int engine_leg_resume(struct engine *e, struct leg *leg)
{
	return relay_leg_resume(e->o.relay, leg);
}

/* ---- end of a session ---- */

static void count_parties(const struct session *s, enum stream_kind kind, uint64_t *nobody,
			  uint64_t *one)
{
	int heard = (stream_stats(&s->leg[0].stream[kind])->packets > 0) +
		    (stream_stats(&s->leg[1].stream[kind])->packets > 0);

	if (heard == 0)
		(*nobody)++;
	else if (heard == 1)
		(*one)++;
}

static void session_release(struct engine *e, struct session *s, uint64_t now_ns)
{
	struct leg *leg;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++) {
		player_stop(leg);
		leg_close(e, leg, now_ns);
	}
	relay_session_end(e->o.relay, s);
	recorder_end(e->o.recorder, s, now_ns);
	feed_end(e->o.sessions, s);
}

static void session_end(struct engine *e, struct session *s, enum report_end why, uint64_t now_ns)
{
	struct stats *st = e->o.stats;
	struct call_report report;
	int i;

	sync_close(e->o.sync, s); /* takes the last statistics of both legs */
	report_make(s, why, now_ns, &report);
	session_release(e, s, now_ns);
	for (i = 0; i < 2; i++)
		stats_add_rtp(st, stream_stats(&s->leg[i].stream[STREAM_RTP]));
	if (s->complete) {
		count_parties(s, STREAM_RTP, &st->nsess_nortp, &st->nsess_owrtp);
		count_parties(s, STREAM_RTCP, &st->nsess_nortcp, &st->nsess_owrtcp);
	}
	st->nsess_destroyed++;
	st->total_duration += (double)(int64_t)(now_ns - s->created_ns) / NSEC_PER_SEC;
	if (e->o.ended)
		e->o.ended(e->o.arg, &report);
	session_destroy(e->o.sessions, s);
}

void engine_drop(struct engine *e, struct session *s, uint64_t now_ns)
{
	session_release(e, s, now_ns);
	session_destroy(e->o.sessions, s);
}

/* ---- U and L ---- */

static enum proto_error session_set_notify(struct engine *e, struct session *s,
					   const struct engine_update *u)
{
	session_set_notify_tag(s, (struct span){ 0 });
	s->notify = -1;
	s->told = false;
	if (!u->notify_socket.p)
		return PROTO_OK;
	s->notify = notify_find(e->o.notify, u->notify_socket, u->peer);
	if (s->notify < 0) {
		log_provoked(PROVOKED_NO_TARGET, s->call_id, (int)u->notify_socket.len,
			     u->notify_socket.p);
		return PROTO_OK;
	}
	return session_set_notify_tag(s, u->notify_tag) ? E_MEMORY : PROTO_OK;
}

static bool is_asymmetric(const struct engine *e, const struct media_req *m)
{
	if (m->symmetry != SYMMETRY_UNSET)
		return m->symmetry == SYMMETRY_NO;
	return e->o.force_asymmetric || (e->o.bridge && !e->o.bridge_symmetric);
}

/* The command has no usable address: 0.0.0.0, :: and port 0 put the party on hold. */
static void stream_describe_hold(struct engine *e, struct stream *stream, bool asymmetric,
				 uint64_t now_ns)
{
	stream_hold(stream, e->o.learning, now_ns);
	stream_set_asymmetric(stream, asymmetric, e->o.learning);
}

/* True if @a is an address of this host or the advertised address of @leg. */
static bool is_here(struct engine *e, const struct leg *leg, const struct addr *a)
{
	char text[ADDR_TEXT];

	if (addr_host_eq(a, &leg->local) || nexthop_is_local(sync_nexthops(e->o.sync), a))
		return true;
	return leg->advertised && !strcmp(leg->advertised, addr_host_text(a, text));
}

static bool names_itself(struct engine *e, const struct session *s, const struct addr *a)
{
	const struct leg *leg;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++)
		if (leg->local.port && leg->local.family == a->family &&
		    (unsigned int)(a->port - leg->local.port) < STREAM_KINDS && is_here(e, leg, a))
			return true;
	return false;
}

/*
 * Take the command's address for the party that sends to @leg. Port 0 means that media is off, so
 * there is no address. Ignore a port of the session itself: its own packets would come back from
 * there. SDP that was rewritten twice names such a port, and the parties have not moved.
 */
static enum proto_error leg_describe(struct engine *e, struct leg *leg, const struct media_req *m,
				     uint64_t now_ns)
{
	bool asymmetric = is_asymmetric(e, m);
	struct addr rtcp = addr_with_port(m->peer, m->peer.port + 1);

	leg->on_hold = m->on_hold;
	leg->holds += m->on_hold;
	if (names_itself(e, leg_session(leg), &m->peer)) {
		log_provoked(PROVOKED_ITSELF, leg_session(leg)->call_id);
		stream_set_asymmetric(&leg->stream[STREAM_RTP], asymmetric, e->o.learning);
		stream_set_asymmetric(&leg->stream[STREAM_RTCP], asymmetric, e->o.learning);
	} else if (m->peer.family != ADDR_NONE && m->peer.port) {
		stream_signal(&leg->stream[STREAM_RTP], &m->peer, asymmetric, e->o.learning,
			      now_ns);
		if (rtcp.port)
			stream_signal(&leg->stream[STREAM_RTCP], &rtcp, asymmetric, e->o.learning,
				      now_ns);
	} else {
		stream_describe_hold(e, &leg->stream[STREAM_RTP], asymmetric, now_ns);
		stream_describe_hold(e, &leg->stream[STREAM_RTCP], asymmetric, now_ns);
	}
	leg->ptime_ms = m->ptime_ms;
	if (relay_leg_resize(e->o.relay, leg, m->ptime_ms) < 0)
		return E_MEMORY;
	return leg_set_codecs(leg, m->codecs) ? E_MEMORY : PROTO_OK;
}

/* -a. A session is served even if it cannot be recorded. */
static void record_all(struct engine *e, struct session *s)
{
	struct leg *leg;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++)
		recorder_start(e->o.recorder, leg, e->o.record_single);
}

static const char *why_no_ports(int error)
{
	if (error == ENOSPC)
		return "all ports from -m to -M are in use";
	return error == EMFILE ? "too many open files, see -L" : strerror(error);
}

/* Whether a new session may begin. */
static enum proto_error admit(struct engine *e, struct span call_id, uint64_t now_ns)
{
	const struct admission_ask ask = {
		.sessions = sessions_count(e->o.sessions),
		.new_call = !sessions_of_call(e->o.sessions, call_id),
		.now_ns = now_ns,
	};
	enum proto_error bad;
	const char *why;

	if (e->stopping)
		return E_SHUTDOWN;
	bad = admission_ask(e->o.admission, &ask, &why);
	if (bad != PROTO_OK)
		log_provoked(PROVOKED_NOT_ADMITTED, NULL, bad, why, ask.sessions);
	return bad;
}

/*
 * Open the ports of a leg without ports, at its address or, if the command names none, at another
 * one of its group. One other: a range that another program holds costs a millisecond.
 */
static int leg_open_in_group(struct engine *e, struct leg *leg, const struct media_req *m,
			     uint64_t now_ns)
{
	struct leg *other = leg_other(leg);
	struct face face = { leg->local, leg->advertised };
	int err = leg_open(e, leg, now_ns);

	if (!err || m->local == PROTO_LOCAL_ADDR || m->local == PROTO_LOCAL_ROUTE ||
	    !faces_pass_over(e->o.faces, &face, now_ns))
		return err;
	if (!other->local.port && addr_host_eq(&other->local, &leg->local))
		leg_set_face(other, &face);
	leg_set_face(leg, &face);
	return leg_open(e, leg, now_ns);
}

static enum proto_error session_begin(struct engine *e, const struct engine_update *u,
				      uint64_t now_ns, struct session **out)
{
	struct session *s = sessions_of_call(e->o.sessions, u->dialog.call_id);
	const struct faces_near near = {
		.of_call = { s ? &s->leg[0].local : NULL, s ? &s->leg[1].local : NULL },
		.now_ns = now_ns,
	};
	struct face face[2];
	enum proto_error bad;
	int i, err;

	bad = admit(e, u->dialog.call_id, now_ns);
	if (bad != PROTO_OK)
		return bad;
	bad = faces_of_session(e->o.faces, u->media, &near, face);
	if (bad != PROTO_OK)
		return bad;
	i = faces_address_group(e->o.faces, &face[0].addr);
	if (session_create_in(e->o.sessions, i, &u->dialog, now_ns, &s) < 0)
		return E_MEMORY;
	for (i = 0; i < 2; i++) {
		leg_set_face(&s->leg[i], &face[i]);
		s->leg[i].tos = e->o.tos;
	}
	err = leg_open_in_group(e, &s->leg[SESSION_CALLEE], u->media, now_ns);
	if (err) {
		char host[ADDR_TEXT];

		log_provoked(PROVOKED_NO_PORTS_NEW, s->call_id,
			     addr_host_text(&face[SESSION_CALLEE].addr, host), why_no_ports(-err));
		session_destroy(e->o.sessions, s);
		return E_PORTS_NEW;
	}
	e->o.stats->nsess_created++;
	if (e->o.record_all)
		record_all(e, s);
	*out = s;
	return PROTO_OK;
}

static enum proto_error session_continue(struct engine *e, struct leg *leg,
					 const struct media_req *m, uint64_t now_ns)
{
	struct session *s = leg_session(leg);
	struct face face, now = { addr_with_port(leg->local, 0), leg->advertised };
	const struct faces_near near = { .of_call = { &now.addr }, .now_ns = now_ns };
	enum proto_error bad;
	int err;

	if (leg->local.port && !m->new_port)
		return PROTO_OK;
	bad = face_of_leg(e->o.faces, &now, m, &near, &face);
	if (bad != PROTO_OK)
		return bad;
	if (leg->local.port) {
		err = leg_reopen(e, leg, &face, now_ns);
	} else {
		leg_set_face(leg, &face);
		err = leg_open_in_group(e, leg, m, now_ns);
	}
	if (err) {
		char host[ADDR_TEXT];

		log_provoked(PROVOKED_NO_PORTS, s->call_id, addr_host_text(&face.addr, host),
			     why_no_ports(-err));
		return E_PORTS_OLD;
	}
	if (!s->complete && leg_other(leg)->local.port) {
		session_complete(e->o.sessions, s, now_ns);
		e->o.stats->nsess_complete++;
	}
	return PROTO_OK;
}

/* A tag without the medium's number. */
static struct span tag_alone(struct span tag)
{
	const char *semicolon = memchr(tag.p, ';', tag.len);

	return (struct span){ tag.p, semicolon ? (size_t)(semicolon - tag.p) : tag.len };
}

/* True if another party than before answers the call. */
static bool is_fork(const struct session *s, struct span to_tag)
{
	return to_tag.p && s->to_tag && !span_eq(tag_alone(span_of(s->to_tag)), tag_alone(to_tag));
}

static void leg_other_party(struct engine *e, struct leg *leg)
{
	stream_other_party(&leg->stream[STREAM_RTP], e->o.learning);
	stream_other_party(&leg->stream[STREAM_RTCP], e->o.learning);
}

int engine_update(struct engine *e, const struct engine_update *u, uint64_t now_ns,
		  struct engine_result *out)
{
	struct leg *first = session_find(e->o.sessions, &u->dialog), *returned;
	struct session *s = first ? leg_session(first) : NULL;
	struct span other_tag;
	enum proto_error bad;

	if (u->notify_socket.p && !notify_enabled(e->o.notify))
		return E_NOTIFY_OFF;
	if (!s && u->lookup)
		return ENGINE_NOT_FOUND;
	if (s)
		bad = session_continue(e, u->lookup ? first : leg_other(first), u->media, now_ns);
	else
		bad = session_begin(e, u, now_ns, &s);
	if (bad != PROTO_OK)
		return bad;

	first = first ? first : &s->leg[SESSION_CALLER];
	returned = u->lookup ? first : leg_other(first);
	if (u->media->weak)
		returned->weak = true;
	else if (!u->lookup)
		s->strong = true;
	session_ttl_restart(s, now_ns);
	other_tag = first->party == SESSION_CALLER ? u->dialog.to_tag : u->dialog.from_tag;
	if (returned->party == SESSION_CALLER && is_fork(s, other_tag))
		leg_other_party(e, leg_other(returned));
	if (other_tag.p && session_set_to_tag(s, other_tag) < 0)
		return E_MEMORY;
	bad = leg_describe(e, leg_other(returned), u->media, now_ns);
	if (bad == PROTO_OK && !u->lookup)
		bad = session_set_notify(e, s, u);
	session_dirty(e->o.sessions, s);
	taps_review(e->o.taps, s);
	*out = (struct engine_result){
		.session = s,
		.first = first,
		.party = leg_other(returned),
		.returned = returned,
	};
	return bad;
}

/* ---- D and X ---- */

/* End a session now, or let engine_run() end it when the command has ended @before others. */
static void end_soon(struct engine *e, struct session *s, unsigned int before, enum report_end why,
		     uint64_t now_ns)
{
	if (before < ENDS_MAX)
		session_end(e, s, why, now_ns);
	else
		session_doom(e->o.sessions, s, why + 1);
}

int engine_delete(struct engine *e, const struct dialog *of, bool weak, uint64_t now_ns)
{
	struct session_matches m = session_matches(e->o.sessions, of);
	struct leg *leg;
	unsigned int ended = 0;
	bool found = false;

	while ((leg = session_match_next(&m))) {
		found = true;
		session_changed(e->o.sessions, leg_session(leg));
		if (leg_flags_clear(leg, weak))
			end_soon(e, leg_session(leg), ended++, REPORT_END_DELETED, now_ns);
		if (m.exact)
			break;
	}
	return found ? PROTO_OK : E_SESSION;
}

int engine_delete_one(struct engine *e, struct engine_result *r, bool weak, uint64_t now_ns)
{
	if (!r->session)
		return -ENOENT;
	session_changed(e->o.sessions, r->session);
	if (leg_flags_clear(r->first, weak)) {
		session_end(e, r->session, REPORT_END_DELETED, now_ns);
		r->session = NULL;
	}
	return 0;
}

unsigned int engine_terminate(struct engine *e, struct span call_id, uint64_t now_ns)
{
	struct session *s;
	unsigned int n;

	for (n = 0; (s = sessions_of_call(e->o.sessions, call_id)); n++)
		end_soon(e, s, n, REPORT_END_TERMINATED, now_ns);
	return n;
}

/* Work of one slice. */
struct slice {
	struct engine *e;
	uint64_t now_ns, until_ns;
};

static struct slice slice_begin(struct engine *e, uint64_t now_ns)
{
	return (struct slice){ e, now_ns, clock_now() + SLICE_NS };
}

static bool has_time(const struct slice *slice)
{
	return clock_now() < slice->until_ns;
}

/* End doomed sessions. True: some are left. */
static bool end_doomed(const struct slice *slice)
{
	struct session *s;

	while ((s = session_doomed_next(slice->e->o.sessions))) {
		session_end(slice->e, s, s->doomed ? s->doomed - 1 : REPORT_END_DELETED_ALL,
			    slice->now_ns);
		if (!has_time(slice))
			return session_doomed_next(slice->e->o.sessions);
	}
	return false;
}

void engine_delete_all(struct engine *e, uint64_t now_ns)
{
	const struct slice slice = slice_begin(e, now_ns);

	if (e->o.groups)
		sessions_doom_group(e->o.sessions, faces_at(e->o.faces),
				    REPORT_END_DELETED_ALL + 1);
	else
		sessions_doom_all(e->o.sessions, REPORT_END_DELETED_ALL + 1);
	end_doomed(&slice);
}

/* ---- look-ups ---- */

int engine_find(struct engine *e, const struct dialog *of, struct engine_result *out)
{
	struct leg *leg = session_find(e->o.sessions, of);

	if (!leg)
		return E_SESSION;
	*out = (struct engine_result){
		.session = leg_session(leg),
		.first = leg,
		.party = leg,
		.returned = leg_other(leg),
	};
	return PROTO_OK;
}

void engine_query(struct engine *e, const struct leg *first, uint64_t now_ns,
		  struct engine_query *out)
{
	struct session *s = leg_session(first);
	const struct leg *other = leg_other(first);
	const struct rtpx_flow_stats *rtp = stream_stats(&first->stream[STREAM_RTP]);
	struct player_time prompt;

	sync_pull(e->o.sync, s);
	player_time(first, &prompt);
	*out = (struct engine_query){
		.ttl = session_ttl_left(e->o.sessions, s, now_ns),
		.npkts_ina = rtp->packets,
		.npkts_ino = stream_stats(&other->stream[STREAM_RTP])->packets,
		.nrelayed = first->nrelayed + other->nrelayed,
		.ndropped = first->ndropped + other->ndropped,
		.longest_ipi = rtp->longest_us / 1e6,
		.rtpa_jlast = rtp->jitter_q4 / 16.0,
		.rtpa_jmax = rtp->jitter_max_q4 / 16.0,
		.rtpa_javg =
			rtp->jitter_count ? rtp->jitter_sum_q4 / 16.0 / rtp->jitter_count : 0.0,
		.rtpa_nsent = rtpx_stats_expected(rtp),
		.rtpa_nrcvd = rtpx_stats_received(rtp),
		.rtpa_ndups = rtp->duplicates,
		.rtpa_nlost = rtpx_stats_lost(rtp),
		.rtpa_perrs = rtp->errors,
		.prompt_ms = prompt.round_ms,
		.prompt_left_ms = prompt.left_ms,
	};
}

/* ---- sub-command C ---- */

int engine_feed(struct engine *e, const struct dialog *from, const struct engine_result *to)
{
	struct engine_result r;

	if (!to->session || engine_find(e, from, &r) != PROTO_OK)
		return -ENOENT;
	return feed_add(e->o.sessions, r.returned, to->party);
}

/* ---- sub-command S ---- */

/* The leg of the command's party; @reverse: the opposite leg. */
static struct leg *leg_named(const struct engine_result *r, bool reverse)
{
	return reverse ? leg_other(r->party) : r->party;
}

int engine_set_ttl(struct engine *e, struct engine_result *r, bool reverse, uint32_t ttl_s,
		   uint64_t now_ns)
{
	if (!r->session)
		return -ENOENT;
	leg_ttl_set(e->o.sessions, leg_named(r, reverse), ttl_s, now_ns);
	return 0;
}

int engine_set_tos(struct engine *e, struct engine_result *r, bool reverse, int tos)
{
	int err;

	if (!r->session)
		return -ENOENT;
	err = relay_leg_set_tos(e->o.relay, leg_named(r, reverse), tos);
	if (!err)
		session_dirty(e->o.sessions, r->session);
	return err;
}

/* ---- sub-command M3:1 ---- */

int engine_catch_dtmf(struct engine *e, const struct engine_result *r, const struct digits_req *req)
{
	int err;

	if (!r->session)
		return -ENOENT;
	err = digits_catch(e->o.digits, r->party, req);
	if (!err)
		session_dirty(e->o.sessions, r->session);
	return err;
}

/* ---- time and life ---- */

/*
 * Notify the session's own target, else the first RPC target. An RPC target ends whole calls, so it
 * is told once per call, although the sessions of a call time out one by one.
 */
static void tell_controller(struct engine *e, struct session *s, uint64_t now_ns)
{
	const struct notify_event event = { s->call_id, s->from_tag, s->to_tag,
					    session_rest(s)->notify_tag, session_group(s->number) };
	int target = s->notify < 0 ? notify_default(e->o.notify) : s->notify;
	bool ends_calls = target >= 0 && notify_ends_calls(e->o.notify, target);
	struct session *other;

	if (target < 0 || (ends_calls && s->told))
		return;
	notify_send(e->o.notify, target, &event, now_ns);
	for (other = sessions_of_call(e->o.sessions, span_of(s->call_id)); other && ends_calls;
	     other = other->next_in_call)
		other->told = true;
}

/* Write to @text the packets that the callee of a call without an L has sent. */
static const char *heard_text(const struct leg *leg, uint64_t now_ns, char *text, size_t size)
{
	const struct leg_rest *rest = leg_rest(leg);

	if (!rest->early_packets)
		snprintf(text, size, ", which has sent no packet");
	else
		snprintf(text, size, ", which has sent %llu packets, the latest %.1f s ago",
			 (unsigned long long)rest->early_packets,
			 (double)(int64_t)(now_ns - rest->early_ns) / NSEC_PER_SEC);
	return text;
}

static void log_timeout(const struct engine *e, const struct session *s, uint64_t now_ns)
{
	static const char *const silent[2][2] = {
		{ "neither party", "the caller" },
		{ "the callee", "either party" },
	};
	bool callee = s->leg[SESSION_CALLEE].deadline_ns <= now_ns;
	bool caller = s->leg[SESSION_CALLER].deadline_ns <= now_ns;
	bool restored = s->created_ns < e->began_ns; /* its early packets are unknown */
	char text[80] = "";

	if (s->complete)
		log_provoked(PROVOKED_SILENT, s->call_id, s->number, silent[callee][caller]);
	else
		log_provoked(PROVOKED_NO_CALLEE, s->call_id, s->number,
			     restored ? ""
				      : heard_text(&s->leg[SESSION_CALLEE], now_ns, text,
						   sizeof(text)));
}

/*
 * Only packets on the sockets have refreshed the TTL. Pull the dataplane's statistics before ending
 * the session.
 */
static bool session_expired(void *arg, struct session *s)
{
	const struct slice *slice = arg;
	struct engine *e = slice->e;
	uint64_t now_ns = slice->now_ns;

	sync_pull(e->o.sync, s);
	if (s->leg[0].deadline_ns > now_ns && s->leg[1].deadline_ns > now_ns)
		return has_time(slice);
	e->o.stats->nsess_timeout++;
	log_timeout(e, s, now_ns);
	tell_controller(e, s, now_ns);
	session_end(e, s, REPORT_END_TIMEOUT, now_ns);
	return has_time(slice);
}

static bool expire(struct slice slice)
{
	return sessions_expired(slice.e->o.sessions, slice.now_ns, session_expired, &slice);
}

/*
 * A round brings the times to live of all sessions up to date, so only silent sessions are asked
 * for one by one, see session_expired(). Twice in a time to live is enough.
 */
static void sweep_begin(struct engine *e, uint64_t now_ns)
{
	uint64_t ttl_ns = sessions_opts(e->o.sessions)->ttl_s * NSEC_PER_SEC;

	if (!sync_sweeps(e->o.sync) || now_ns - e->swept_ns < MIN(SWEEP_NS, ttl_ns / 2))
		return;
	e->sweeping = true;
	e->swept_ns = now_ns;
}

bool engine_run(struct engine *e)
{
	struct slice slice;
	bool more;

	if (!e->expiring && !e->sweeping && !session_doomed_next(e->o.sessions))
		return false;
	slice = slice_begin(e, clock_now());
	more = end_doomed(&slice);
	if (e->sweeping)
		e->sweeping = sync_sweep(e->o.sync, slice.until_ns) > 0;
	else if (e->expiring)
		e->expiring = expire(slice);
	return more || e->sweeping || e->expiring;
}

/* If the process was stopped, extend every TTL by that time. Packets that arrived meanwhile are
 * still queued in the sockets and have not refreshed any TTL. */
static void notice_absence(struct engine *e, uint64_t now_ns)
{
	if (!e->tick_ns || now_ns - e->tick_ns < ABSENCE_NS)
		return;
	log_warn("this process did not run for %.1f s: every time to live is extended by that",
		 (double)(now_ns - e->tick_ns) / NSEC_PER_SEC);
	sessions_defer(e->o.sessions, now_ns - e->tick_ns, now_ns);
}

void engine_tick(struct engine *e, uint64_t now_ns, uint64_t cpu_ns)
{
	notice_absence(e, now_ns);
	e->tick_ns = now_ns;
	if (!e->began_ns)
		e->began_ns = now_ns;
	sweep_begin(e, now_ns);
	e->expiring = e->sweeping || expire(slice_begin(e, now_ns));
	stats_tick(e->o.stats, now_ns, cpu_ns);
	recorder_tick(e->o.recorder);
}

void engine_slow_shutdown(struct engine *e)
{
	e->stopping = true;
}

bool engine_is_done(const struct engine *e)
{
	return e->stopping && sessions_count(e->o.sessions) == 0 &&
	       !session_doomed_next(e->o.sessions);
}

void engine_hold_stats(struct engine *e, bool hold)
{
	e->holds = hold;
	e->held = *e->o.stats;
}

const struct stats *engine_show_stats(struct engine *e)
{
	if (e->holds)
		return &e->held;
	sync_count(e->o.sync);
	recorder_count(e->o.recorder, e->o.stats);
	e->o.stats->shown = true;
	return e->o.stats;
}

int engine_new(struct engine **out, const struct engine_opts *opts)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->o = *opts;
	*out = e;
	return 0;
}

static void log_goes_on(const struct session *s)
{
	log_call(LOG_LVL_DBUG, s->call_id, "session %u goes on in the next rtpxd", s->number);
}

static bool forget_each(void *arg, struct session *s)
{
	struct engine *e = arg;

	log_goes_on(s);
	engine_drop(e, s, e->tick_ns);
	return true;
}

static bool leave_each(void *arg, struct session *s)
{
	struct engine *e = arg;

	log_goes_on(s);
	recorder_end(e->o.recorder, s, e->tick_ns);
	return true;
}

void engine_leave(struct engine *e)
{
	const struct slice all = { e, e->tick_ns, UINT64_MAX };

	end_doomed(&all);
	sessions_after_sleeping(e->o.sessions, 0, leave_each, e);
}

struct forget {
	struct engine *e;
	unsigned int group;
};

static bool forget_of_group(void *arg, struct session *s)
{
	const struct forget *f = arg;

	return session_group(s->number) != f->group || forget_each(f->e, s);
}

void engine_forget_group(struct engine *e, unsigned int group)
{
	sessions_each(e->o.sessions, forget_of_group, &(struct forget){ e, group });
}

void engine_free(struct engine *e, bool leave)
{
	const struct slice all = { e, e ? e->tick_ns : 0, UINT64_MAX };
	struct session *s;

	if (!e)
		return;
	end_doomed(&all);
	if (leave)
		sessions_after_sleeping(e->o.sessions, 0, forget_each, e);
	sessions_doom_all(e->o.sessions, REPORT_END_SHUTDOWN + 1);
	while ((s = session_doomed_next(e->o.sessions)))
		session_end(e, s, REPORT_END_SHUTDOWN, e->tick_ns);
	free(e);
}
