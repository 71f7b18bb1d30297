/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * standby.c - records of the owner as sessions of this daemon.
 *
 * The bytes of each record stay in memory beside its session: recordings, prompts and feeds begin
 * only at the takeover, from these bytes. Waiting notifications and the owner's counters are bytes
 * until then. The sessions sleep until the takeover (session_sleep()).
 *
 * A record in Redis has the number that its session or message has in its group. The session in
 * this daemon has that number and the number of the group here, which may differ on each machine.
 */
#include "replicate/standby.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/provoked.h"
#include "engine/faces.h"
#include "net/sockets.h"
#include "protocol/cookies.h"
#include "restart/records.h"

struct record {
	uint64_t key;
	int64_t shift_ns; /* our clock less the owner's */
	struct session *session;
	bool seen; /* by the reading that is under way */
	size_t len;
	char *bytes;
	UT_hash_handle hh;
};

struct standby {
	struct standby_opts o;
	struct group *group;
	struct record *records;
	bool owner;
	bool fenced;	  /* another daemon has taken the group over; this one ends */
	uint32_t replies; /* number of the latest reply that was passed on */
	uint64_t undecodable;
	uint8_t bytes[SNAPSHOT_MAX];
};

static struct span span_of_record(const struct record *r)
{
	return (struct span){ r->bytes, r->len };
}

static bool is_kind(uint64_t key, enum record_kind kind)
{
	return key >> RECORD_KEY_BITS == (uint64_t)kind && key != RECORD_META;
}

static struct restorer *modules_now(struct standby *s)
{
	s->o.modules.now_ns = clock_now();
	s->o.modules.patience_ns = 0;
	s->o.modules.elsewhere = true;
	return &s->o.modules;
}

/* ---- records become sessions ---- */

static void forget(struct standby *s, struct record *r)
{
	if (r->session)
		restore_drop(modules_now(s), r->session);
	HASH_DEL(s->records, r);
	free(r->bytes);
	free(r);
}

static struct record *record_of(struct standby *s, uint64_t key)
{
	struct record *r;

	HASH_FIND(hh, s->records, &key, sizeof(key), r);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->key = key;
	HASH_ADD(hh, s->records, key, sizeof(key), r);
	if (!r->hh.tbl) {
		free(r);
		return NULL;
	}
	return r;
}

/* A key of this daemon as the key in the group. */
static uint64_t key_in_group(const struct standby *s, uint64_t key)
{
	return s->o.several ? key & ~((uint64_t)UINT32_MAX - SESSION_NUMBER_MAX) : key;
}

/* The number of a session or a message of the group as a number of this daemon. */
static uint32_t number_here(const struct standby *s, uint32_t number)
{
	return s->o.several ? session_number(s->o.number, number) : number;
}

/* The sources of feeds are sessions of the same group, or they are not known here. */
static void number_record(const struct standby *s, struct snapshot *snap)
{
	unsigned int group = session_group(snap->is.number);

	for (int i = 0; i < SNAPSHOT_MAX_FEEDS; i++) {
		uint32_t *source = &snap->feed[i].source;

		*source = *source && session_group(*source) == group ? number_here(s, *source) : 0;
	}
	snap->is.number = number_here(s, snap->is.number);
}

static bool record_read(struct standby *s, const struct record *r, struct snapshot *snap)
{
	if (snapshot_read(snap, span_of_record(r))) {
		s->undecodable++;
		log_provoked(PROVOKED_STANDBY_RECORD, NULL);
		return false;
	}
	snapshot_shift(snap, r->shift_ns);
	number_record(s, snap);
	return true;
}

/* Make the session of a record, or bring it up to date. */
static void apply_session(struct standby *s, struct record *r)
{
	struct restorer *modules = modules_now(s);
	struct snapshot snap;

	if (!record_read(s, r, &snap))
		return;
	if (r->session && restore_update(modules, &snap, r->session)) {
		restore_drop(modules, r->session);
		r->session = NULL;
	}
	if (!r->session)
		restore_session(modules, &snap, &r->session);
}

/* X has ended thousands of sessions at once; the records of each go later. */
static void apply_meta(struct standby *s, struct span body)
{
	struct record *r, *next;
	struct meta meta;

	if (meta_read(&meta, body) || !meta.ended_to)
		return;
	for (r = s->records; r; r = next) {
		next = r->hh.next;
		if (is_kind(r->key, RECORD_SESSION) && r->key <= meta.ended_to)
			forget(s, r);
	}
}

static void on_put(void *arg, uint64_t key, struct span body, uint64_t now_ns)
{
	struct standby *s = arg;
	struct record *r = record_of(s, key);
	char *bytes = malloc(body.len + 1);

	if (!r || !bytes) {
		log_provoked(PROVOKED_STANDBY_MEMORY, NULL);
		free(bytes);
		return;
	}
	memcpy(bytes, body.p, body.len);
	free(r->bytes);
	r->bytes = bytes;
	r->len = body.len;
	r->seen = true;
	r->shift_ns = (int64_t)(clock_now() - now_ns);
	if (is_kind(key, RECORD_SESSION))
		apply_session(s, r);
	else if (key == RECORD_META)
		apply_meta(s, body);
}

static void on_gone(void *arg, uint64_t key)
{
	struct standby *s = arg;
	struct record *r;

	HASH_FIND(hh, s->records, &key, sizeof(key), r);
	if (r)
		forget(s, r);
}

static void on_passing(void *arg, uint64_t key, struct span body, uint64_t now_ns)
{
	struct standby *s = arg;
	struct replied reply;

	(void)now_ns;
	if (is_kind(key, RECORD_REPLY) && replied_read(&reply, body) == 0)
		cookies_restore(s->o.cookies, span_not_null(reply.key), span_not_null(reply.reply),
				clock_now());
}

static void on_read_begin(void *arg)
{
	struct standby *s = arg;
	struct record *r;

	for (r = s->records; r; r = r->hh.next)
		r->seen = false;
}

static void on_read_end(void *arg)
{
	struct standby *s = arg;
	struct record *r, *next;

	for (r = s->records; r; r = next) {
		next = r->hh.next;
		if (!r->seen)
			forget(s, r);
	}
}

/* ---- taking over ---- */

static void each_session(struct standby *s, void (*fn)(struct restorer *m, struct session *session,
						       const struct snapshot *snap))
{
	struct restorer *m = modules_now(s);
	struct snapshot snap;
	struct record *r;

	for (r = s->records; r; r = r->hh.next)
		if (r->session && record_read(s, r, &snap))
			fn(m, r->session, &snap);
}

/* Without memory a call stays asleep: it has its flows, and no command finds it. */
static void begin_media(struct restorer *m, struct session *session, const struct snapshot *snap)
{
	if (restore_wake(m, session)) {
		log_call(LOG_LVL_ERR, session->call_id, "cannot be taken over: out of memory");
		return;
	}
	restore_media(m, session, snap);
	restore_silence(m, session, 0);
	session_dirty(m->sessions, session);
}

static void begin_feeds(struct restorer *m, struct session *session, const struct snapshot *snap)
{
	(void)session;
	restore_feeds(m, snap);
}

static uint64_t key_here(const struct standby *s, uint64_t key)
{
	if (!is_kind(key, RECORD_MESSAGE))
		return key;
	return record_key(RECORD_MESSAGE, number_here(s, (uint32_t)key));
}

static void give_to_keeper(struct standby *s)
{
	struct record *r;

	for (r = s->records; r; r = r->hh.next)
		if (!is_kind(r->key, RECORD_SESSION))
			keeper_take(s->o.keeper, key_here(s, r->key), span_of_record(r),
				    r->shift_ns);
}

static unsigned int calls_of(const struct standby *s)
{
	const struct record *r;
	unsigned int n = 0;

	for (r = s->records; r; r = r->hh.next)
		n += r->session != NULL;
	return n;
}

/* The journal has the epoch, so that a restarted owner goes on in it. */
static void remember_epoch(struct standby *s)
{
	struct group_view view;

	group_view(s->group, &view);
	keeper_set_epoch(s->o.keeper, s->o.number, view.epoch);
}

static void on_own(void *arg)
{
	struct standby *s = arg;
	unsigned int calls = calls_of(s);
	struct record *r;

	if (s->owner)
		return; /* standby_go_on() */
	each_session(s, begin_media);
	each_session(s, begin_feeds);
	give_to_keeper(s);
	s->owner = true;
	log_info("standby: group %s: this daemon is the owner, with %u calls", s->o.name, calls);
	while ((r = s->records)) {
		r->session = NULL; /* it goes on */
		forget(s, r);
	}
	remember_epoch(s);
	s->o.own(s->o.arg, s->o.number, calls);
}

/* The addresses decide: with all of them, this daemon is the owner. */
void standby_wait(struct standby *s)
{
	if (s->owner || s->o.patient)
		return;
	for (unsigned int i = 0; i < s->o.n_listeners; i++)
		if (s->o.listeners[i].address_group == s->o.number &&
		    sockets_can_bind(&s->o.listeners[i].addr))
			return;
	group_take_over(s->group);
}

/* ---- the owner ---- */

static void on_put_all(void *arg)
{
	struct standby *s = arg;

	keeper_put_all(s->o.keeper, s->o.number);
	group_all_put(s->group);
}

static void on_fenced(void *arg, const char *by)
{
	struct standby *s = arg;

	s->fenced = true;
	s->o.fenced(s->o.arg, s->o.number, by);
}

void standby_put(struct standby *s, uint64_t key, struct span body)
{
	if (s->owner)
		group_put(s->group, key_in_group(s, key), body);
}

void standby_gone(struct standby *s, uint64_t key)
{
	if (s->owner)
		group_gone(s->group, key_in_group(s, key));
}

/* A reply goes to the standby only: the keeper's journal has no need of it. */
void standby_reply(struct standby *s, struct span key, struct span reply, uint64_t stored_ns)
{
	const struct replied r = { key, reply, stored_ns };
	int len = s->owner ? replied_write(&r, s->bytes, sizeof(s->bytes)) : -1;

	if (len > 0)
		group_pass(s->group, record_key(RECORD_REPLY, ++s->replies),
			   (struct span){ (char *)s->bytes, (size_t)len });
}

/* A fenced daemon has further turns of its loop: the epoch must not come back into the journal. */
void standby_tick(struct standby *s)
{
	if (s->fenced)
		return;
	if (s->owner)
		remember_epoch(s);
	else
		standby_wait(s);
}

bool standby_take_over(struct standby *s)
{
	if (s->owner)
		return false;
	group_take_over(s->group);
	return true;
}

void standby_go_on(struct standby *s, uint64_t epoch)
{
	s->owner = true;
	group_go_on(s->group, epoch);
}

void standby_release(struct standby *s, unsigned int ms)
{
	if (s->owner)
		group_release(s->group, ms);
}

/* ---- begin and end ---- */

/* Join the group under a name that no other daemon has. */
static int join(struct standby *s, struct event_base *base, char *err, size_t err_size)
{
	const struct group_opts group = {
		.url = s->o.url,
		.password = s->o.password,
		.ca_file = s->o.ca_file,
		.name = s->o.name,
		.put = on_put,
		.gone = on_gone,
		.passing = on_passing,
		.read_begin = on_read_begin,
		.read_end = on_read_end,
		.put_all = on_put_all,
		.fenced = on_fenced,
		.own = on_own,
		.arg = s,
	};
	char host[64] = "", name[GROUP_NAME_MAX];

	gethostname(host, sizeof(host) - 1);
	snprintf(name, sizeof(name), "%.48s-%08x", *host ? host : "rtpxd",
		 keeper_instance(s->o.keeper));
	return group_new(&s->group, base, &group, name, err, err_size);
}

int standby_new(struct standby **out, struct event_base *base, const struct standby_opts *opts,
		char *err, size_t err_size)
{
	struct standby *s = calloc(1, sizeof(*s));
	int rc;

	snprintf(err, err_size, "out of memory");
	if (!s)
		return -ENOMEM;
	s->o = *opts;
	rc = join(s, base, err, err_size);
	if (rc) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void standby_free(struct standby *s)
{
	struct record *r;

	if (!s)
		return;
	group_free(s->group);
	while ((r = s->records)) {
		r->session = NULL; /* the engine frees it */
		forget(s, r);
	}
	free(s);
}

void standby_view(const struct standby *s, struct standby_view *out)
{
	*out = (struct standby_view){
		.name = s->o.name,
		.undecodable = s->undecodable,
		.calls = calls_of(s),
	};
	group_view(s->group, &out->group);
}
