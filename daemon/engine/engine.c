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
#include "call/feed.h"
#include "base/hash.h"
#include "base/log.h"
#include "host/nexthop.h"

#define ABSENCE_NS (3 * NSEC_PER_SEC) /* without a tick: the process was stopped */

/* A local address for a leg, and the text that replies show instead of it. */
struct face {
	struct addr addr; /* port 0 */
	const char *advertised;
};

/* A text that replies show instead of an address of restored legs; each text once. */
struct text {
	struct text *next;
	char text[];
};

struct engine {
	struct engine_opts o;
	struct text *texts;
	struct local *newest;  /* most recently added first */
	struct local *by_addr; /* the same, as a hash */
	struct listener *internal, *external; /* without bridging both are the default listener */
	struct span labels[ENGINE_MAX_LISTENERS];
	struct proto_opts proto;
	bool stopping;
	uint64_t tick_ns; /* time of the previous engine_tick() */
	uint64_t began_ns; /* time of the first one: older sessions are a previous daemon's */
};

/* ---- local addresses ---- */

/*
 * A local address. Addresses of the command line stay. An address that only commands have named is
 * removed with the last leg that is bound to it, unless it is the newest of its family (see
 * face_of_family()).
 */
struct local {
	UT_hash_handle hh; /* by l.addr; has the newest of several with the same address */
	struct listener l;
	bool configured;
	unsigned int legs;
	struct local *prev, *next; /* list of all, most recently added first */
};

static struct local *local_of(const struct engine *e, const struct addr *addr)
{
	const struct addr key = addr_with_port(*addr, 0);
	struct local *found;

	HASH_FIND(hh, e->by_addr, &key, sizeof(key), found);
	return found;
}

static struct listener *listener_of_addr(const struct engine *e, const struct addr *addr)
{
	struct local *found = local_of(e, addr);

	return found ? &found->l : NULL;
}

static void local_free(struct local *p)
{
	free(p->l.label);
	free(p->l.advertised);
	free(p);
}

static void local_remove(struct engine *e, struct local *p)
{
	struct local *found = local_of(e, &p->l.addr);

	if (found == p)
		HASH_DEL(e->by_addr, p);
	DL_DELETE(e->newest, p);
	local_free(p);
}

static struct local *local_make(const struct addr *addr, const char *label, const char *advertised)
{
	struct local *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->l.addr = addr_with_port(*addr, 0);
	p->l.label = label ? strdup(label) : NULL;
	p->l.advertised = advertised ? strdup(advertised) : NULL;
	if ((!label || p->l.label) && (!advertised || p->l.advertised))
		return p;
	local_free(p);
	return NULL;
}

static struct local *local_add(struct engine *e, const struct addr *addr, const char *label,
			       const char *advertised)
{
	struct local *older = local_of(e, addr), *p = local_make(addr, label, advertised);

	if (!p)
		return NULL;
	if (older)
		HASH_DEL(e->by_addr, older);
	HASH_ADD(hh, e->by_addr, l.addr, sizeof(p->l.addr), p);
	if (!p->hh.tbl) {
		local_free(p);
		return NULL;
	}
	DL_PREPEND(e->newest, p);
	if (p->l.addr.family == ADDR_IP6)
		e->proto.have_ip6 = true;
	else
		e->proto.have_ip4 = true;
	return p;
}

static const struct local *newest_of(const struct engine *e, enum addr_family family)
{
	const struct local *p;

	DL_FOREACH (e->newest, p)
		if (p->l.addr.family == family)
			return p;
	return NULL;
}

static void local_remove_unused(struct engine *e, struct local *p)
{
	if (p && !p->configured && !p->legs && newest_of(e, p->l.addr.family) != p)
		local_remove(e, p);
}

/*
 * A leg is bound to @addr: remember the address. If there is no memory, the only effect is that a
 * command that asks for any address of the family does not find it.
 */
static void local_use(struct engine *e, const struct addr *addr)
{
	struct local *p = local_of(e, addr), *before;

	if (!p) {
		before = (struct local *)newest_of(e, addr->family);
		p = local_add(e, addr, NULL, NULL);
		local_remove_unused(e, before);
	}
	if (p)
		p->legs++;
}

static void local_leave(struct engine *e, const struct addr *addr)
{
	struct local *p = local_of(e, addr);

	if (p && p->legs)
		p->legs--;
	local_remove_unused(e, p);
}

static struct listener *listener_of_label(const struct engine *e, struct span label)
{
	struct local *p;

	DL_FOREACH (e->newest, p)
		if (p->l.label && span_eq(span_of(p->l.label), label))
			return &p->l;
	return NULL;
}

static struct face face_of(const struct listener *l)
{
	return (struct face){ l->addr, l->advertised };
}

/* The face that l or r names. leg_open() adds a new address once it is bound. */
static enum proto_error face_requested(const struct engine *e, const struct media_req *m,
				       struct face *out)
{
	struct addr addr = m->local_addr;
	struct listener *l;

	if (m->local == PROTO_LOCAL_LABEL) {
		l = listener_of_label(e, m->label);
		if (!l)
			return E_LOCAL_ADDR;
		*out = face_of(l);
		return PROTO_OK;
	}
	if (m->local == PROTO_LOCAL_ROUTE && sockets_source(&m->local_addr, &addr) < 0)
		return E_REMOTE_ADDR;
	l = listener_of_addr(e, &addr);
	*out = l ? face_of(l) : (struct face){ addr, NULL };
	return PROTO_OK;
}

static struct face face_of_side(const struct engine *e, enum proto_side side)
{
	return face_of(side == SIDE_EXTERNAL ? e->external : e->internal);
}

/*
 * The newest listener of the family that the command asks for (`6`: IPv6). Applies if no modifier
 * selects a listener and the default listener has another family.
 */
static enum proto_error face_of_family(const struct engine *e, const struct media_req *m,
				       struct face *out)
{
	enum addr_family family = m->ipv6 ? ADDR_IP6 : ADDR_IP4;
	const struct local *p;

	if (m->local != PROTO_LOCAL_UNSET || m->side[0] != SIDE_UNSET ||
	    e->internal->addr.family == family)
		return PROTO_OK;
	p = newest_of(e, family);
	if (!p)
		return E_FAMILY;
	*out = face_of(&p->l);
	return PROTO_OK;
}

/* The local addresses of a new session: l or r, else e and i, else by family. */
static enum proto_error faces_of_session(const struct engine *e, const struct media_req *m,
					 struct face face[2])
{
	enum proto_error bad;

	face[0] = face_of(e->internal);
	if (m->local != PROTO_LOCAL_UNSET)
		bad = face_requested(e, m, &face[0]);
	else
		bad = face_of_family(e, m, &face[0]);
	face[1] = face[0];
	if (m->local == PROTO_LOCAL_UNSET && m->side[0] != SIDE_UNSET)
		face[1] = face_of_side(e, m->side[0]);
	if (m->local == PROTO_LOCAL_UNSET && m->side[1] != SIDE_UNSET)
		face[0] = face_of_side(e, m->side[1]);
	return bad;
}

/* ---- ports of a leg ---- */

static enum rtpx_family family_of(const struct addr *local)
{
	return local->family == ADDR_IP6 ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4;
}

static void leg_set_face(struct leg *leg, const struct face *face)
{
	leg->local = face->addr;
	leg->advertised = face->advertised;
}

/*
 * Take a pair of ports and open it on leg->local. Skip pairs that another program holds. 0; or
 * -errno, then the leg has no port.
 */
static int leg_open(struct engine *e, struct session *s, int i, uint64_t now_ns)
{
	struct leg *leg = &s->leg[i];
	enum rtpx_family family = family_of(&leg->local);
	unsigned int tries = ports_tries(e->o.ports);
	int err = -ENOSPC;

	while (tries--) {
		int port = ports_take(e->o.ports, family, now_ns);

		if (port < 0) {
			err = port;
			break;
		}
		leg->local.port = port;
		err = relay_leg_open(e->o.relay, s, i);
		if (!err) {
			local_use(e, &leg->local);
			return 0;
		}
		ports_give(e->o.ports, family, port, now_ns);
		if (err != -EADDRINUSE && err != -EACCES)
			break;
	}
	leg->local.port = 0;
	return err;
}

static void leg_close(struct engine *e, struct session *s, int i, uint64_t now_ns)
{
	struct leg *leg = &s->leg[i];

	if (!leg->local.port)
		return;
	relay_leg_close(e->o.relay, s, i);
	ports_give(e->o.ports, family_of(&leg->local), leg->local.port, now_ns);
	local_leave(e, &leg->local);
	leg->local.port = 0;
}

/* Modifier n: open a new pair on @face. Close the old pair only if that worked. */
static int leg_reopen(struct engine *e, struct session *s, int i, const struct face *face,
		      uint64_t now_ns)
{
	struct leg *leg = &s->leg[i];
	struct addr old_local = leg->local, new_local;
	const char *old_advertised = leg->advertised;
	void *old_handle[STREAM_KINDS], *new_handle[STREAM_KINDS];
	int err;

	sync_leg_close(e->o.sync, s, i);
	memcpy(old_handle, leg->handle, sizeof(old_handle));
	memset(leg->handle, 0, sizeof(leg->handle));
	leg_set_face(leg, face);
	err = leg_open(e, s, i, now_ns);
	if (err) {
		memcpy(leg->handle, old_handle, sizeof(old_handle));
		leg->local = old_local;
		leg->advertised = old_advertised;
		session_dirty(e->o.sessions, s);
		return err;
	}
	new_local = leg->local;
	memcpy(new_handle, leg->handle, sizeof(new_handle));
	leg->local = old_local;
	memcpy(leg->handle, old_handle, sizeof(old_handle));
	leg_close(e, s, i, now_ns);
	leg->local = new_local;
	memcpy(leg->handle, new_handle, sizeof(new_handle));
	return 0;
}

/* ---- legs of a previous daemon ---- */

/* A copy of @text that lives as long as the engine; NULL without memory. */
static const char *text_kept(struct engine *e, struct span text)
{
	struct text *t;

	for (t = e->texts; t; t = t->next)
		if (span_eq(span_of(t->text), text))
			return t->text;
	t = calloc(1, sizeof(*t) + text.len + 1);
	if (!t)
		return NULL;
	memcpy(t->text, text.p, text.len);
	t->next = e->texts;
	e->texts = t;
	return t->text;
}

int engine_leg_restore(struct engine *e, struct session *s, int i, const struct addr *local,
		       struct span advertised, uint64_t now_ns)
{
	enum rtpx_family family = family_of(local);
	struct leg *leg = &s->leg[i];
	int err;

	leg->local = addr_with_port(*local, 0);
	leg->advertised = advertised.len ? text_kept(e, advertised) : NULL;
	if (!local->port)
		return relay_leg_resize(e->o.relay, s, i, leg->ptime_ms);
	err = ports_claim(e->o.ports, family, local->port);
	if (err)
		return err;
	leg->local.port = local->port;
	err = relay_leg_restore(e->o.relay, s, i);
	if (err) {
		ports_give(e->o.ports, family, local->port, now_ns);
		leg->local.port = 0;
		return err;
	}
	local_use(e, local);
	return relay_leg_resize(e->o.relay, s, i, leg->ptime_ms);
}

/* ---- end of a session ---- */

static void count_parties(const struct session *s, enum stream_kind kind, uint64_t *nobody,
			  uint64_t *one)
{
	int heard = (s->leg[0].stream[kind].stats.packets > 0) +
		    (s->leg[1].stream[kind].stats.packets > 0);

	if (heard == 0)
		(*nobody)++;
	else if (heard == 1)
		(*one)++;
}

static void session_release(struct engine *e, struct session *s, uint64_t now_ns)
{
	int i;

	for (i = 0; i < 2; i++) {
		player_stop(s, i);
		leg_close(e, s, i, now_ns);
	}
	relay_session_end(e->o.relay, s);
	recorder_end(e->o.recorder, s, now_ns);
	feed_end(e->o.sessions, s);
}

static void session_end(struct engine *e, struct session *s, uint64_t now_ns)
{
	struct stats *st = e->o.stats;
	int i;

	session_release(e, s, now_ns);
	for (i = 0; i < 2; i++)
		stats_add_rtp(st, &s->leg[i].stream[STREAM_RTP].stats);
	if (s->complete) {
		count_parties(s, STREAM_RTP, &st->nsess_nortp, &st->nsess_owrtp);
		count_parties(s, STREAM_RTCP, &st->nsess_nortcp, &st->nsess_owrtcp);
	}
	st->nsess_destroyed++;
	st->total_duration += (double)(int64_t)(now_ns - s->created_ns) / NSEC_PER_SEC;
	log_call(LOG_LVL_DBUG, s->call_id, "session %u ended", s->number);
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
	free(s->notify_tag);
	s->notify_tag = NULL;
	s->notify = -1;
	s->told = false;
	if (!u->notify_socket.p)
		return PROTO_OK;
	s->notify = notify_find(e->o.notify, u->notify_socket, u->peer);
	if (s->notify < 0) {
		log_some(LOG_LVL_ERR, s->call_id,
			 "notification target '%.*s' is none of the -n options: ignored",
			 (int)u->notify_socket.len, u->notify_socket.p);
		return PROTO_OK;
	}
	if (!u->notify_tag.p)
		return PROTO_OK;
	s->notify_tag = strndup(u->notify_tag.p, u->notify_tag.len);
	return s->notify_tag ? PROTO_OK : E_MEMORY;
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

	for (leg = s->leg; leg < s->leg + 2; leg++)
		if (leg->local.port && leg->local.family == a->family &&
		    (unsigned int)(a->port - leg->local.port) < STREAM_KINDS && is_here(e, leg, a))
			return true;
	return false;
}

/*
 * Take the command's address for the party that sends to leg @i. Port 0 means that media is off, so
 * there is no address. Ignore a port of the session itself: its own packets would come back from
 * there. SDP that was rewritten twice names such a port, and the parties have not moved.
 */
static enum proto_error leg_describe(struct engine *e, struct session *s, int i,
				     const struct media_req *m, uint64_t now_ns)
{
	struct leg *leg = &s->leg[i];
	bool asymmetric = is_asymmetric(e, m);
	struct addr rtcp = addr_with_port(m->peer, m->peer.port + 1);

	if (names_itself(e, s, &m->peer)) {
		log_call(LOG_LVL_DBUG, s->call_id,
			 "the address of a party is a port of the same session: ignored");
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
	if (relay_leg_resize(e->o.relay, s, i, m->ptime_ms) < 0)
		return E_MEMORY;
	free(leg->codecs);
	leg->codecs = NULL;
	if (m->codecs.p) {
		leg->codecs = strndup(m->codecs.p, m->codecs.len);
		if (!leg->codecs)
			return E_MEMORY;
	}
	return PROTO_OK;
}

/* -a. A session is served even if it cannot be recorded. */
static void record_all(struct engine *e, struct session *s)
{
	int leg;

	for (leg = 0; leg < 2; leg++)
		recorder_start(e->o.recorder, s, leg, e->o.record_single);
}

static const char *why_no_ports(int error)
{
	if (error == ENOSPC)
		return "all from -m to -M are in use";
	return error == EMFILE ? "too many open files, see -L" : strerror(error);
}

static enum proto_error session_begin(struct engine *e, const struct engine_update *u,
				      uint64_t now_ns, struct session **out)
{
	struct face face[2];
	struct session *s;
	enum proto_error bad;
	int i;

	if (e->stopping)
		return E_SHUTDOWN;
	bad = faces_of_session(e, u->media, face);
	if (bad != PROTO_OK)
		return bad;
	if (session_create(e->o.sessions, u->call_id, u->from_tag, now_ns, &s) < 0)
		return E_MEMORY;
	for (i = 0; i < 2; i++) {
		leg_set_face(&s->leg[i], &face[i]);
		s->leg[i].tos = e->o.tos;
	}
	i = leg_open(e, s, 0, now_ns);
	if (i < 0) {
		char host[ADDR_TEXT];

		log_some(LOG_LVL_ERR, s->call_id, "no media ports for a new session on %s: %s",
			 addr_host_text(&face[0].addr, host), why_no_ports(-i));
		session_destroy(e->o.sessions, s);
		return E_PORTS_NEW;
	}
	e->o.stats->nsess_created++;
	if (e->o.record_all)
		record_all(e, s);
	*out = s;
	return PROTO_OK;
}

/* The face for a new pair of an existing leg. */
static enum proto_error face_of_leg(const struct engine *e, const struct leg *leg,
				    const struct media_req *m, struct face *out)
{
	*out = (struct face){ addr_with_port(leg->local, 0), leg->advertised };
	if (m->local != PROTO_LOCAL_UNSET)
		return face_requested(e, m, out);
	if (m->new_port && m->side[0] != SIDE_UNSET && m->side[1] != SIDE_UNSET)
		*out = face_of_side(e, m->side[1]);
	return face_of_family(e, m, out);
}

static enum proto_error session_continue(struct engine *e, struct session *s, int i,
					 const struct media_req *m, uint64_t now_ns)
{
	struct leg *leg = &s->leg[i];
	struct face face;
	enum proto_error bad;
	int err;

	if (leg->local.port && !m->new_port)
		return PROTO_OK;
	bad = face_of_leg(e, leg, m, &face);
	if (bad != PROTO_OK)
		return bad;
	if (leg->local.port) {
		err = leg_reopen(e, s, i, &face, now_ns);
	} else {
		leg_set_face(leg, &face);
		err = leg_open(e, s, i, now_ns);
	}
	if (err) {
		char host[ADDR_TEXT];

		log_some(LOG_LVL_ERR, s->call_id, "no media ports for the session on %s: %s",
			 addr_host_text(&face.addr, host), why_no_ports(-err));
		return E_PORTS_OLD;
	}
	if (!s->complete && s->leg[!i].local.port) {
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
	return to_tag.p && s->to_tag &&
	       !span_eq(tag_alone(span_of(s->to_tag)), tag_alone(to_tag));
}

static void leg_other_party(struct engine *e, struct leg *leg)
{
	stream_other_party(&leg->stream[STREAM_RTP], e->o.learning);
	stream_other_party(&leg->stream[STREAM_RTCP], e->o.learning);
}

int engine_update(struct engine *e, const struct engine_update *u, uint64_t now_ns,
		  struct engine_result *out)
{
	enum session_party party = SESSION_CALLER;
	struct session *s = session_find(e->o.sessions, u->call_id, u->from_tag, u->to_tag, &party);
	struct span other_tag;
	enum proto_error bad;
	int returned;

	if (u->notify_socket.p && !notify_enabled(e->o.notify))
		return E_NOTIFY_OFF;
	if (!s && u->lookup)
		return ENGINE_NOT_FOUND;
	returned = (party == SESSION_CALLER) == u->lookup;
	if (s)
		bad = session_continue(e, s, returned, u->media, now_ns);
	else
		bad = session_begin(e, u, now_ns, &s);
	if (bad != PROTO_OK)
		return bad;

	if (u->media->weak)
		s->leg[returned].weak = true;
	else if (!u->lookup)
		s->strong = true;
	session_ttl_restart(e->o.sessions, s, -1, now_ns);
	other_tag = party == SESSION_CALLER ? u->to_tag : u->from_tag;
	if (returned == 1 && is_fork(s, other_tag))
		leg_other_party(e, &s->leg[!returned]);
	if (other_tag.p && session_set_to_tag(s, other_tag) < 0)
		return E_MEMORY;
	bad = leg_describe(e, s, !returned, u->media, now_ns);
	if (bad == PROTO_OK && !u->lookup)
		bad = session_set_notify(e, s, u);
	session_dirty(e->o.sessions, s);
	*out = (struct engine_result){
		.session = s, .party = party, .party_leg = !returned, .returned_leg = returned,
	};
	return bad;
}

/* ---- D and X ---- */

int engine_delete(struct engine *e, const struct request *req, uint64_t now_ns)
{
	struct session *pos = NULL, *s;
	enum session_party party;
	bool exact, found = false;

	while ((s = session_match_next(e->o.sessions, req->call_id, req->from_tag, req->to_tag,
				       &pos, &party, &exact))) {
		found = true;
		session_changed(e->o.sessions, s);
		if (session_flags_clear(s, req->weak, party))
			session_end(e, s, now_ns);
		if (exact)
			break;
	}
	return found ? PROTO_OK : E_SESSION;
}

int engine_delete_one(struct engine *e, struct engine_result *r, bool weak, uint64_t now_ns)
{
	if (!r->session)
		return -ENOENT;
	session_changed(e->o.sessions, r->session);
	if (session_flags_clear(r->session, weak, r->party)) {
		session_end(e, r->session, now_ns);
		r->session = NULL;
	}
	return 0;
}

struct end_all {
	struct engine *e;
	uint64_t now_ns;
};

static bool end_each(void *arg, struct session *s)
{
	struct end_all *all = arg;

	session_end(all->e, s, all->now_ns);
	return true;
}

void engine_delete_all(struct engine *e, uint64_t now_ns)
{
	sessions_each(e->o.sessions, end_each, &(struct end_all){ e, now_ns });
}

/* ---- look-ups ---- */

int engine_find(struct engine *e, const struct request *req, struct engine_result *out)
{
	enum session_party party;
	struct session *s =
		session_find(e->o.sessions, req->call_id, req->from_tag, req->to_tag, &party);
	int leg = party == SESSION_CALLER;

	if (!s)
		return E_SESSION;
	*out = (struct engine_result){
		.session = s, .party = party, .party_leg = leg, .returned_leg = !leg
	};
	return PROTO_OK;
}

void engine_query(struct engine *e, struct session *s, enum session_party party, uint64_t now_ns,
		  struct engine_query *out)
{
	const struct leg *first = &s->leg[party == SESSION_CALLER],
			 *other = &s->leg[party != SESSION_CALLER];
	const struct rtpx_flow_stats *rtp = &first->stream[STREAM_RTP].stats;

	sync_pull(e->o.sync, s);
	*out = (struct engine_query){
		.ttl = session_ttl_left(e->o.sessions, s, now_ns),
		.npkts_ina = rtp->packets,
		.npkts_ino = other->stream[STREAM_RTP].stats.packets,
		.nrelayed = first->nrelayed + other->nrelayed,
		.ndropped = first->ndropped + other->ndropped,
		.longest_ipi = rtp->longest_us / 1e6,
		.rtpa_jlast = rtp->jitter_q4 / 16.0,
		.rtpa_jmax = rtp->jitter_max_q4 / 16.0,
		.rtpa_javg = rtp->jitter_count ? rtp->jitter_sum_q4 / 16.0 / rtp->jitter_count
					       : 0.0,
		.rtpa_nsent = rtpx_stats_expected(rtp),
		.rtpa_nrcvd = rtpx_stats_received(rtp),
		.rtpa_ndups = rtp->duplicates,
		.rtpa_nlost = rtpx_stats_lost(rtp),
		.rtpa_perrs = rtp->errors,
	};
}

/* ---- P and S ---- */

int engine_play(struct engine *e, const struct request *req, uint64_t now_ns)
{
	bool session_codecs = span_eq(req->codecs, span_of("session"));
	struct span codecs = req->codecs;
	struct engine_result r;
	const struct leg *leg;
	int err = engine_find(e, req, &r);

	if (err != PROTO_OK)
		return err;
	player_stop(r.session, r.party_leg);
	leg = &r.session->leg[r.party_leg];
	if (session_codecs && !leg->codecs)
		return E_VALUE;
	if (session_codecs)
		codecs = span_of(leg->codecs);
	err = player_start(e->o.players, r.session, r.party_leg, req->target, codecs, req->count,
			   session_codecs ? r.session->leg[!r.party_leg].ptime_ms : 0, now_ns);
	return err == 0 ? PROTO_OK : err == -ENOMEM ? (int)E_MEMORY : (int)E_PLAY;
}

int engine_stop(struct engine *e, const struct request *req)
{
	struct engine_result r;
	int err = engine_find(e, req, &r);

	if (err == PROTO_OK)
		player_stop(r.session, r.party_leg);
	return err;
}

/* ---- R, N and C ---- */

int engine_record(struct engine *e, const struct request *req)
{
	struct session *pos = NULL, *s;
	enum session_party party;
	bool exact, done = false;

	while ((s = session_match_next(e->o.sessions, req->call_id, req->from_tag, req->to_tag,
				       &pos, &party, &exact))) {
		done |= recorder_start(e->o.recorder, s, party == SESSION_CALLER,
				       req->single_file) == 0;
		session_dirty(e->o.sessions, s);
		if (exact)
			break;
	}
	return done ? PROTO_OK : E_SESSION;
}

static bool stop_recording(struct engine *e, struct session *s, int leg, uint64_t now_ns)
{
	mirror_drain(e->o.mirror);
	session_dirty(e->o.sessions, s);
	return recorder_stop(e->o.recorder, s, leg, now_ns) == 0;
}

int engine_norecord(struct engine *e, const struct request *req, uint64_t now_ns)
{
	struct session *pos = NULL, *s;
	enum session_party party;
	bool exact, done = false;

	while ((s = session_match_next(e->o.sessions, req->call_id, req->from_tag, req->to_tag,
				       &pos, &party, &exact))) {
		int leg = party == SESSION_CALLER;

		done |= stop_recording(e, s, leg, now_ns);
		if (req->both)
			done |= stop_recording(e, s, !leg, now_ns);
		if (exact)
			break;
	}
	return done ? PROTO_OK : E_SESSION;
}

int engine_copy(struct engine *e, const struct request *req, uint64_t now_ns, struct addr *local,
		const char **advertised)
{
	const struct addr *from;
	struct engine_result r;
	struct listener *l;
	int err = engine_find(e, req, &r);

	if (err != PROTO_OK)
		return err;
	if (req->reply_port && (req->target.len < 4 || memcmp(req->target.p, "udp:", 4)))
		return E_COPY;
	if (recorder_copy(e->o.recorder, r.session, r.party_leg, req->target, req->single_file,
			  now_ns))
		return E_COPY;
	session_dirty(e->o.sessions, r.session);
	if (!req->reply_port)
		return PROTO_OK;
	from = recorder_copy_local(&r.session->leg[r.party_leg]);
	if (!from)
		return E_COPY;
	l = listener_of_addr(e, from);
	*local = *from;
	*advertised = l ? l->advertised : NULL;
	return PROTO_OK;
}

int engine_feed(struct engine *e, const struct subcmd *sub, const struct engine_result *to)
{
	const struct request from = { .call_id = sub->call_id, .from_tag = sub->from_tag,
				      .to_tag = sub->to_tag };
	struct engine_result r;

	if (!to->session || engine_find(e, &from, &r) != PROTO_OK)
		return -ENOENT;
	return feed_add(e->o.sessions, r.session, !r.party_leg, to->session, to->party_leg);
}

/* ---- sub-command S ---- */

int engine_set_ttl(struct engine *e, struct engine_result *r, bool reverse, uint32_t ttl_s,
		   uint64_t now_ns)
{
	if (!r->session)
		return -ENOENT;
	session_ttl_set(e->o.sessions, r->session, r->party_leg ^ reverse, ttl_s, now_ns);
	return 0;
}

int engine_set_tos(struct engine *e, struct engine_result *r, bool reverse, int tos)
{
	int leg = r->party_leg ^ reverse, err;

	if (!r->session)
		return -ENOENT;
	err = relay_leg_set_tos(e->o.relay, r->session, leg, tos);
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
	const struct notify_event event = { s->call_id, s->from_tag, s->to_tag, s->notify_tag };
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
	if (!leg->early_packets)
		snprintf(text, size, ", who has sent nothing");
	else
		snprintf(text, size, ", who has sent %llu packets, the last %.1f s ago",
			 (unsigned long long)leg->early_packets,
			 (double)(int64_t)(now_ns - leg->early_ns) / NSEC_PER_SEC);
	return text;
}

static void log_timeout(const struct engine *e, const struct session *s, uint64_t now_ns)
{
	static const char *const silent[2][2] = {
		{ "nobody", "the caller" },
		{ "the callee", "either party" },
	};
	bool callee = s->leg[0].deadline_ns <= now_ns, caller = s->leg[1].deadline_ns <= now_ns;
	bool restored = s->created_ns < e->began_ns; /* its early packets are unknown */
	char text[80] = "";

	if (s->complete)
		log_call(LOG_LVL_INFO, s->call_id, "session %u timed out: no media from %s",
			 s->number, silent[callee][caller]);
	else
		log_call(LOG_LVL_INFO, s->call_id,
			 "session %u timed out: no L has named its callee%s", s->number,
			 restored ? "" : heard_text(&s->leg[0], now_ns, text, sizeof(text)));
}

/*
 * Only packets on the sockets have refreshed the TTL. Pull the dataplane's statistics before ending
 * the session.
 */
static void session_expired(void *arg, struct session *s)
{
	struct end_all *all = arg;
	struct engine *e = all->e;

	sync_pull(e->o.sync, s);
	if (s->leg[0].deadline_ns > all->now_ns && s->leg[1].deadline_ns > all->now_ns)
		return;
	e->o.stats->nsess_timeout++;
	log_timeout(e, s, all->now_ns);
	tell_controller(e, s, all->now_ns);
	session_end(e, s, all->now_ns);
}

/* If the process was stopped, extend every TTL by that time. Packets that arrived meanwhile are
 * still queued in the sockets and have not refreshed any TTL. */
static void notice_absence(struct engine *e, uint64_t now_ns)
{
	if (!e->tick_ns || now_ns - e->tick_ns < ABSENCE_NS)
		return;
	log_warn("this process did not run for %.1f s: that counts for no call's time to live",
		 (double)(now_ns - e->tick_ns) / NSEC_PER_SEC);
	sessions_defer(e->o.sessions, now_ns - e->tick_ns, now_ns);
}

void engine_tick(struct engine *e, uint64_t now_ns, uint64_t cpu_ns)
{
	notice_absence(e, now_ns);
	e->tick_ns = now_ns;
	if (!e->began_ns)
		e->began_ns = now_ns;
	sessions_expired(e->o.sessions, now_ns, session_expired, &(struct end_all){ e, now_ns });
	stats_tick(e->o.stats, now_ns, cpu_ns);
	recorder_tick(e->o.recorder);
}

void engine_slow_shutdown(struct engine *e)
{
	e->stopping = true;
}

bool engine_is_done(const struct engine *e)
{
	return e->stopping && sessions_count(e->o.sessions) == 0;
}

const struct proto_opts *engine_proto_opts(const struct engine *e)
{
	return &e->proto;
}

struct sessions *engine_sessions(struct engine *e)
{
	return e->o.sessions;
}

struct stats *engine_stats(struct engine *e)
{
	struct tally_counts recorded = recorder_counts(e->o.recorder);

	e->o.stats->npkts_recorded = recorded.packets;
	e->o.stats->npkts_rec_lost = recorded.lost;
	return e->o.stats;
}

void engine_stats_shown(struct engine *e)
{
	e->o.stats->shown = true;
}

struct sync *engine_sync(struct engine *e)
{
	return e->o.sync;
}

struct recorder *engine_recorder(struct engine *e)
{
	return e->o.recorder;
}

struct players *engine_players(struct engine *e)
{
	return e->o.players;
}

static void locals_free(struct engine *e)
{
	while (e->newest)
		local_remove(e, e->newest);
}

int engine_new(struct engine **out, const struct engine_opts *opts)
{
	struct engine *e = calloc(1, sizeof(*e));
	unsigned int i;

	if (!e)
		return -ENOMEM;
	e->o = *opts;
	for (i = 0; i < opts->n_listeners; i++) {
		const struct listener *l = &opts->listeners[i];
		struct local *mine = local_add(e, &l->addr, l->label, l->advertised);

		if (!mine) {
			locals_free(e);
			free(e);
			return -ENOMEM;
		}
		mine->configured = true;
		if (i == 0)
			e->internal = e->external = &mine->l;
		else if (i == 1 && opts->bridge)
			e->external = &mine->l;
		if (mine->l.label)
			e->labels[e->proto.labels_n++] = span_of(mine->l.label);
	}
	e->proto.labels = e->labels;
	e->proto.bridge = opts->bridge;
	e->proto.default_family = e->internal->addr.family;
	*out = e;
	return 0;
}

static void texts_free(struct text *t)
{
	while (t) {
		struct text *next = t->next;

		free(t);
		t = next;
	}
}

static bool forget_each(void *arg, struct session *s)
{
	struct end_all *all = arg;

	log_call(LOG_LVL_DBUG, s->call_id, "session %u goes on in the next rtpxd", s->number);
	engine_drop(all->e, s, all->now_ns);
	return true;
}

void engine_free(struct engine *e, bool leave)
{
	if (!e)
		return;
	sessions_each(e->o.sessions, leave ? forget_each : end_each,
		      &(struct end_all){ e, e->tick_ns });
	locals_free(e);
	texts_free(e->texts);
	free(e);
}
