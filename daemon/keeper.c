/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.c - sessions to the journal and back.
 *
 * Everything that changes a session marks it (session_changed), and a turn of the event loop writes
 * those that are marked, in one transaction. Packets mark nothing: their statistics are the
 * kernel's, or lost with a killed daemon. They put off the end of a time to live, though. So a
 * session is also marked when its time to live, as it is in the journal, would end: what is in the
 * journal of a call that lives is always in the future.
 *
 * When the journal cannot be written, the daemon goes on without and tries again every second. Then
 * nothing of the journal is believed any more: all sessions are written, into a new one.
 */
#include "keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "feed.h"
#include "fields.h"
#include "journal.h"
#include "log.h"
#include "nexthop.h"
#include "snapshot.h"

#define META_KEY 0 /* no session has this number */
#define BOOT_ID_LEN 36
/*
 * Sockets of a killed daemon are closed one after the other, and some time after its death is
 * known.
 */
#define PORTS_PATIENCE_NS (2 * NSEC_PER_SEC)

/* What is true of the whole daemon. */
struct meta {
	uint32_t instance;
	bool clean; /* the daemon has left its calls deliberately, and all is exact */
	uint64_t alive_ns; /* when this was written */
	struct span boot_id, version, counters;
	uint16_t last_port[RTPX_SLOTS]; /* given out in sequential order */
};

static const struct field meta_fields[] = {
	FIELD(1, FIELD_UINT, meta, instance),
	FIELD(2, FIELD_BOOL, meta, clean),
	FIELD(3, FIELD_UINT, meta, alive_ns),
	FIELD(4, FIELD_SPAN, meta, boot_id),
	FIELD(5, FIELD_SPAN, meta, version),
	FIELD(6, FIELD_SPAN, meta, counters),
	FIELD(7, FIELD_UINT, meta, last_port[RTPX_SLOT_IP4]),
	FIELD(8, FIELD_UINT, meta, last_port[RTPX_SLOT_IP6]),
	{ 0 },
};

/* A record as it was loaded. */
struct kept {
	struct kept *next;
	size_t len;
	char bytes[];
};

struct keeper {
	struct keeper_opts o;
	struct journal *journal;
	char dir[200];
	uid_t uid;
	gid_t gid;
	uint32_t instance;
	char boot_id[BOOT_ID_LEN + 1];
	bool locked;  /* the directory is ours */
	bool running; /* changes are kept */
	bool told;    /* in the log: the journal cannot be written */
	uint64_t *ended; /* numbers of sessions that ended since the last run */
	size_t n_ended, ended_room;
	bool ended_lost; /* and some more */
	struct meta left; /* of the last daemon; spans into kept_meta */
	struct kept *kept, **kept_end; /* sessions, in the order of their numbers */
	struct kept *kept_meta;
	struct keeper_view view;
	uint8_t bytes[SNAPSHOT_MAX];
};

/* ---- the last daemon's ---- */

static void read_boot_id(char out[BOOT_ID_LEN + 1])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(out, BOOT_ID_LEN + 1, f))
		out[0] = '\0';
	if (f)
		fclose(f);
}

int keeper_new(struct keeper **out, const char *dir, uid_t uid, gid_t gid, char *err,
	       size_t err_size)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int rc = k ? journal_new(&k->journal, dir) : -ENOMEM;

	snprintf(err, err_size, "out of memory");
	if (!rc)
		rc = journal_lock(k->journal, uid, gid, err, err_size);
	if (rc == -EBUSY || rc == -ENOMEM) {
		keeper_free(k);
		return rc;
	}
	k->kept_end = &k->kept;
	k->locked = rc == 0;
	if (rc) {
		log_warn("no journal, so calls end with this process: %s", err);
		k->told = true;
	}
	snprintf(k->dir, sizeof(k->dir), "%s", dir);
	k->uid = uid;
	k->gid = gid;
	k->view.path = journal_path(k->journal);
	read_boot_id(k->boot_id);
	while (!k->instance)
		if (getrandom(&k->instance, sizeof(k->instance), 0) != sizeof(k->instance))
			k->instance = (uint32_t)clock_now();
	*out = k;
	return 0;
}

static void kept_free(struct kept *r)
{
	while (r) {
		struct kept *next = r->next;

		free(r);
		r = next;
	}
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	journal_free(k->journal);
	kept_free(k->kept);
	kept_free(k->kept_meta);
	free(k->ended);
	free(k);
}

static void take_record(void *arg, uint64_t key, struct span body)
{
	struct keeper *k = arg;
	struct kept **to = key == META_KEY ? &k->kept_meta : k->kept_end;
	struct kept *r = malloc(sizeof(*r) + body.len);

	if (!r) {
		k->view.lost++;
		return;
	}
	memcpy(r->bytes, body.p, body.len);
	r->len = body.len;
	r->next = NULL;
	*to = r;
	if (key != META_KEY)
		k->kept_end = &r->next;
}

static struct span span_of_kept(const struct kept *r)
{
	return r ? (struct span){ r->bytes, r->len } : (struct span){ 0 };
}

static void forget_loaded(struct keeper *k)
{
	kept_free(k->kept);
	k->kept = NULL;
	k->kept_end = &k->kept;
}

/* Times and pins are of no use after the machine was started anew. */
static void judge_loaded(struct keeper *k)
{
	struct span boot = span_of(k->boot_id);

	if (fields_read(meta_fields, &k->left, span_of_kept(k->kept_meta)) < 0)
		k->left = (struct meta){ 0 };
	if (k->kept && k->left.boot_id.len && !span_eq(k->left.boot_id, boot)) {
		log_warn(
			"the journal in %s is from before this machine was started: its calls have "
			"ended",
			k->dir);
		forget_loaded(k);
		return;
	}
	if (k->left.instance)
		k->instance = k->left.instance;
	else if (k->kept)
		log_warn("the journal in %s does not say whose it is: flows in the kernel are made "
			 "anew",
			 k->dir);
}

int keeper_load(struct keeper *k, bool discard, char *err, size_t err_size)
{
	const struct journal_reader reader = { take_record, k };
	struct journal_found found;
	int rc;

	if (!k->locked)
		return 0;
	if (discard) {
		journal_remove(k->journal);
		return 0;
	}
	rc = journal_load(k->journal, &reader, &found, err, err_size);
	if (rc == -EPROTO) {
		size_t len = strlen(err);

		snprintf(err + len, err_size - len,
			 ": start that one again and let its calls end (SIGHUP), or give "
			 "--discard-state to end them now");
		return rc;
	}
	if (rc)
		log_err("%s: its calls are lost", err);
	if (found.damage[0])
		log_err("%s: %u records of it could be read", found.damage, found.records);
	judge_loaded(k);
	return 0;
}

bool keeper_has_calls(const struct keeper *k)
{
	return k->kept != NULL;
}

uint32_t keeper_instance(const struct keeper *k)
{
	return k->instance;
}

/* ---- writing ---- */

static int put_session(struct keeper *k, const struct session *s)
{
	struct snapshot snap;
	int len, rc, i;

	snapshot_take(&snap, s);
	snap.notify = span_of(notify_name(k->o.notify, s->notify));
	for (i = 0; i < 2; i++) {
		recorder_take(&s->leg[i], &snap.leg[i].recording);
		player_take(&s->leg[i], &snap.leg[i].playing);
	}
	len = snapshot_write(&snap, k->bytes, sizeof(k->bytes));
	if (len < 0) {
		log_call(LOG_LVL_WARN, s->call_id,
			 "too long for the journal: it ends with this process");
		return 0;
	}
	rc = journal_put(k->journal, s->number, (struct span){ (char *)k->bytes, (size_t)len });
	k->view.records += rc == 0;
	return rc;
}

static int put_meta(struct keeper *k, bool clean, uint64_t now_ns)
{
	char text[STATS_TEXT_MAX];
	struct meta m = {
		.instance = k->instance,
		.clean = clean,
		.alive_ns = now_ns,
		.boot_id = span_of(k->boot_id),
		.version = span_of(k->o.version),
		.counters = { text, stats_write(engine_stats(k->o.engine), text) },
		.last_port = { ports_last(k->o.ports, RTPX_SLOT_IP4),
			       ports_last(k->o.ports, RTPX_SLOT_IP6) },
	};
	int len = fields_write(meta_fields, &m, k->bytes, sizeof(k->bytes));

	return journal_put(k->journal, META_KEY, (struct span){ (char *)k->bytes, (size_t)len });
}

static int commit(struct keeper *k)
{
	int rc = journal_commit(k->journal);

	k->view.commits += rc == 0;
	return rc;
}

/* Trouble is told once, and so is its end. */
static void report(struct keeper *k, int rc)
{
	if (rc && !k->told)
		log_err("the journal %s cannot be written (%s): calls go on, but would not outlive "
			"this process; it is tried again every second",
			k->view.path, strerror(-rc));
	if (!rc && k->told)
		log_warn("the journal %s is written again: calls outlive this process",
			 k->view.path);
	k->told = rc != 0;
	k->view.works = rc == 0;
}

struct put_all {
	struct keeper *k;
	int rc;
};

static bool put_each(void *arg, struct session *s)
{
	struct put_all *all = arg;

	all->rc = put_session(all->k, s);
	return all->rc == 0;
}

/* A new journal with all there is. */
static int write_all(struct keeper *k, bool clean, uint64_t now_ns)
{
	struct sessions *sessions = engine_sessions(k->o.engine);
	struct put_all all = { k, 0 };
	int rc = journal_begin(k->journal);

	if (!rc)
		rc = put_meta(k, clean, now_ns);
	if (!rc) {
		sessions_each(sessions, put_each, &all);
		rc = all.rc;
	}
	if (!rc)
		rc = commit(k);
	if (!rc) {
		while (session_changed_pop(sessions))
			;
		k->n_ended = 0;
		k->ended_lost = false;
	}
	return rc;
}

static int write_changed(struct keeper *k)
{
	struct sessions *sessions = engine_sessions(k->o.engine);
	struct session *s;
	int rc = 0;
	size_t i;

	for (i = 0; i < k->n_ended && !rc; i++)
		rc = journal_del(k->journal, k->ended[i]);
	k->n_ended = 0;
	while (!rc && (s = session_changed_pop(sessions)))
		rc = put_session(k, s);
	return rc ? rc : commit(k);
}

void keeper_run(struct keeper *k)
{
	int rc;

	if (!k->running || !journal_is_open(k->journal))
		return;
	if (k->ended_lost)
		rc = write_all(k, false, clock_now());
	else
		rc = write_changed(k);
	if (rc)
		report(k, rc);
}

/* -ENOLCK: the directory has never been ours; it may be by now. */
static int lock_again(struct keeper *k)
{
	char err[300];
	int rc = k->locked ? 0 : journal_lock(k->journal, k->uid, k->gid, err, sizeof(err));

	k->locked |= rc == 0;
	return rc;
}

void keeper_tick(struct keeper *k, uint64_t now_ns)
{
	int rc = 0;

	if (!k->running)
		return;
	if (journal_is_open(k->journal) && journal_is_there(k->journal)) {
		rc = put_meta(k, false, now_ns);
		if (!rc)
			rc = write_changed(k);
	} else {
		rc = lock_again(k);
		if (!rc)
			rc = write_all(k, false, now_ns);
	}
	report(k, rc);
}

static void on_ended(void *arg, const struct session *s)
{
	struct keeper *k = arg;
	uint64_t *more;

	if (!k->running || !journal_is_open(k->journal))
		return;
	if (k->n_ended == k->ended_room) {
		size_t room = k->ended_room ? 2 * k->ended_room : 256;

		more = realloc(k->ended, room * sizeof(*more));
		if (!more) {
			k->ended_lost = true;
			return;
		}
		k->ended = more;
		k->ended_room = room;
	}
	k->ended[k->n_ended++] = s->number;
}

void keeper_leave(struct keeper *k, uint64_t now_ns)
{
	int rc;

	if (!k->running)
		return;
	sync_pull_all(engine_sync(k->o.engine));
	rc = k->locked ? write_all(k, true, now_ns) : -ENOLCK;
	if (rc)
		log_err("the journal %s cannot be written (%s): the next rtpxd will not know all "
			"calls",
			k->view.path, strerror(-rc));
	k->running = false;
}

void keeper_forget(struct keeper *k)
{
	k->running = false;
	journal_remove(k->journal);
}

/* ---- restoring ---- */

struct restoring {
	struct keeper *k;
	struct sessions *sessions;
	uint64_t now_ns, patience_ns;
	uint64_t away_ns; /* nobody looked at packets */
	bool exact;	  /* times to live are those of the end */
};

/* The port may still be a killed daemon's for a moment. */
static int restore_leg(struct restoring *r, struct session *s, int i,
		       const struct snapshot_leg *from)
{
	const struct timespec nap = { .tv_nsec = 5 * NSEC_PER_MSEC };
	struct engine *e = r->k->o.engine;
	int rc;

	while ((rc = engine_leg_restore(e, s, i, &from->local, from->advertised, r->now_ns)) ==
		       -EADDRINUSE &&
	       clock_now() < r->patience_ns)
		nanosleep(&nap, NULL);
	return rc;
}

static const char *port_trouble(int rc)
{
	return rc == -EADDRINUSE ? "another program has it" :
	       rc == -EBUSY	 ? "another call has it" :
	       rc == -EINVAL	 ? "it is not in the range of -m and -M" :
				   strerror(-rc);
}

static int restore_legs(struct restoring *r, struct session *s, const struct snapshot *snap)
{
	struct nexthops *hops = sync_nexthops(engine_sync(r->k->o.engine));
	int i, rc = 0;

	for (i = 0; i < 2 && !rc; i++) {
		const struct addr *local = &snap->leg[i].local;
		char text[ADDR_TEXT];

		rc = restore_leg(r, s, i, &snap->leg[i]);
		if (rc)
			log_call(LOG_LVL_ERR, s->call_id,
				 "the call cannot be restored: port %s: %s",
				 addr_text(local, text), port_trouble(rc));
		else if (local->port && !addr_is_any(local) && !nexthop_is_local(hops, local))
			log_call(
				LOG_LVL_WARN, s->call_id,
				"%s is not an address of this host now: no media there until it is",
				addr_host_text(local, text));
	}
	return rc;
}

static void restore_notify(struct restoring *r, struct session *s, struct span name)
{
	if (!name.len)
		return;
	s->notify = notify_again(r->k->o.notify, name);
	if (s->notify < 0)
		log_call(LOG_LVL_WARN, s->call_id,
			 "the notification target '%.*s' is none of the -n options now: ignored",
			 (int)name.len, name.p);
}

/* What cannot go on does not cost the call. */
static void restore_media(struct restoring *r, struct session *s, const struct snapshot *snap)
{
	struct engine *e = r->k->o.engine;
	int i, err;

	for (i = 0; i < 2; i++) {
		recorder_resume(engine_recorder(e), s, i, &snap->leg[i].recording, r->now_ns);
		err = player_resume(engine_players(e), s, i, &snap->leg[i].playing, r->now_ns);
		if (err)
			log_call(LOG_LVL_WARN, s->call_id,
				 "the prompt %.*s does not play any more: %s",
				 (int)snap->leg[i].playing.name.len, snap->leg[i].playing.name.p,
				 strerror(-err));
	}
}

/*
 * A killed daemon has not noted the last packet that it relayed itself, so it is assumed that there
 * was one just now. What the kernel has relayed is known.
 */
static void restore_deadlines(struct restoring *r, struct session *s, unsigned int counted)
{
	int i;

	for (i = 0; i < 2; i++) {
		s->leg[i].deadline_ns += r->away_ns;
		if (!r->exact && s->complete && !(counted & 1 << i))
			session_ttl_restart(r->sessions, s, i, r->now_ns);
	}
}

static struct span not_null(struct span s)
{
	return s.p ? s : (struct span){ "", 0 };
}

static int restore_session(struct restoring *r, const struct snapshot *snap)
{
	struct session *s;
	int rc = session_create(r->sessions, not_null(snap->call_id), not_null(snap->from_tag),
				snap->created_ns, &s);

	if (rc)
		return rc;
	rc = snapshot_apply(snap, s);
	session_restored(r->sessions, s);
	if (!rc)
		rc = restore_legs(r, s, snap);
	if (rc) {
		engine_drop(r->k->o.engine, s, r->now_ns);
		return rc;
	}
	restore_notify(r, s, snap->notify);
	restore_media(r, s, snap);
	restore_deadlines(r, s, sync_adopt(engine_sync(r->k->o.engine), s));
	return 0;
}

static bool session_has_number(void *arg, struct session *s)
{
	struct {
		uint32_t number;
		struct session *found;
	} *want = arg;

	if (s->number == want->number)
		want->found = s;
	return !want->found;
}

static struct session *session_of(struct restoring *r, uint32_t number)
{
	struct {
		uint32_t number;
		struct session *found;
	} want = { number, NULL };

	sessions_each(r->sessions, session_has_number, &want);
	return want.found;
}

/* The sources of a session that is fed, when all sessions are there. */
static void restore_feeds(struct restoring *r, const struct snapshot *snap)
{
	struct session *target, *source;
	int i;

	if (!snap->feed[0].source || !(target = session_of(r, snap->number)))
		return;
	for (i = SNAPSHOT_MAX_FEEDS - 1; i >= 0; i--) {
		source = snap->feed[i].source ? session_of(r, snap->feed[i].source) : NULL;
		if (source)
			feed_add(r->sessions, source, 0, target, snap->feed[i].crossed);
	}
}

static void for_each_kept(struct restoring *r, bool feeds)
{
	struct keeper *k = r->k;
	struct snapshot snap;
	struct kept *kept;

	for (kept = k->kept; kept; kept = kept->next) {
		if (snapshot_read(&snap, span_of_kept(kept)) < 0) {
			k->view.lost += !feeds;
			if (!feeds)
				log_err("a record of the journal describes no call");
		} else if (feeds) {
			restore_feeds(r, &snap);
		} else if (restore_session(r, &snap) == 0) {
			k->view.restored++;
		} else {
			k->view.lost++;
		}
	}
}

static void restore_all(struct keeper *k, uint64_t now_ns)
{
	struct sync *sync = engine_sync(k->o.engine);
	struct restoring r = {
		.k = k,
		.sessions = engine_sessions(k->o.engine),
		.now_ns = now_ns,
		.patience_ns = now_ns + PORTS_PATIENCE_NS,
		.exact = k->left.clean,
	};
	struct stats *stats = engine_stats(k->o.engine), before = *stats;
	unsigned int orphans;

	if (k->left.alive_ns && k->left.alive_ns < now_ns)
		r.away_ns = now_ns - k->left.alive_ns;
	sync_adopt_begin(sync);
	for_each_kept(&r, false);
	for_each_kept(&r, true);
	orphans = sync_adopt_end(sync);
	/* Of what a killed daemon had read of the kernel's counters, not all is in the journal. */
	if (!r.exact)
		*stats = before;
	forget_loaded(k);
	log_info("%u calls of the last rtpxd go on after %.3f s, %u are lost", k->view.restored,
		 (double)r.away_ns / NSEC_PER_SEC, k->view.lost);
	if (orphans)
		log_warn("removed %u flows of calls that are not in the journal", orphans);
}

void keeper_restore(struct keeper *k, const struct keeper_opts *opts, uint64_t now_ns)
{
	int rc, i;

	k->o = *opts;
	sessions_watch_end(engine_sessions(opts->engine), on_ended, k);
	stats_read(engine_stats(opts->engine), k->left.counters);
	for (i = 0; i < RTPX_SLOTS; i++)
		ports_go_on(opts->ports, i, k->left.last_port[i]);
	if (k->kept)
		restore_all(k, now_ns);
	k->running = true;
	if (!k->locked)
		return;
	rc = write_all(k, false, now_ns);
	report(k, rc);
}

void keeper_view(const struct keeper *k, struct keeper_view *out)
{
	*out = k->view;
}
