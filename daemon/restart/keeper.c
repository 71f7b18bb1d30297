/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper.c - sessions to the journal and back.
 *
 * Every change of a session marks it (session_changed). Each turn of the event loop writes the
 * marked sessions in one transaction. Packets do not mark their session: the kernel keeps the
 * statistics of forwarded packets, and those of the sockets are lost with a killed daemon. But
 * packets extend the session's time to live (TTL). A session is therefore also marked when the
 * deadline in the journal is reached: a living call's deadline in the journal is always in the
 * future.
 *
 * Counters are written once a second, whenever a session ends, and before a reply that shows them.
 * The same record has the number of packets that a dataplane forwarded for the living sessions. The
 * next daemon reads that number from the dataplane again. The difference is the packets forwarded
 * since.
 *
 * While calls of the previous daemon are restored bit by bit, the new journal has their old
 * records, and the old record of the daemon: it has the time and the counters that belong to them.
 * It is written anew only to say which sessions have ended meanwhile. The sink gets the same.
 *
 * When the journal cannot be written, the daemon goes on without it and tries again every second.
 * The old journal is then incomplete, so all sessions are written into a new one.
 */
#include "restart/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "protocol/cookies.h"
#include "call/dtmf.h"
#include "call/feed.h"
#include "restart/journal.h"
#include "restart/kept.h"
#include "base/log.h"
#include "call/snapshot.h"

/* Age of the oldest reply that is kept: callers retransmit a command for some seconds. */
#define REPLIES_NS (10 * NSEC_PER_SEC)
#define REPLIES_MAX 20000
#define BOOT_ID_LEN 36
#define ANSWER_BYTES 64 /* an answer makes a record longer by so much: IPv4, a to-tag of 36 bytes */
/*
 * How long to wait for a port. The kernel closes the sockets of a killed daemon one by one, and its
 * lock may be free before they are closed.
 */
#define PORTS_PATIENCE_NS (2 * NSEC_PER_SEC)

struct keeper {
	struct keeper_opts o;
	struct journal *journal;
	uid_t uid;
	gid_t gid;
	uint32_t instance;
	uint64_t epoch[SESSION_GROUPS]; /* of the address groups; 0: none */
	const char *const *names;	/* of these */
	unsigned int groups;		/* 0: there are none */
	bool raised;			/* the journal lacks an epoch of several groups */
	char boot_id[BOOT_ID_LEN + 1];
	bool locked;	 /* the directory is ours */
	bool running;	 /* changes are written to the journal */
	bool told;	 /* the log says that the journal cannot be written */
	uint64_t *ended; /* numbers of sessions that ended since the previous keeper_run() */
	size_t n_ended, ended_room;
	bool ended_lost;   /* @ended lacks some, for want of memory */
	uint32_t ended_to; /* as the journal has it */
	struct kept kept;
	struct restorer restorer;
	bool restoring;		  /* some calls of @kept are not restored yet */
	unsigned int ended_early; /* sessions that ended while @restoring */
	bool meta_due;		  /* the journal still has the previous daemon's record */
	struct keeper_view view;
	uint8_t bytes[SNAPSHOT_MAX];
};

/* ---- loading the journal of the previous daemon ---- */

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
		rc = journal_lock(k->journal, true, uid, gid, err, err_size);
	if (rc == -EBUSY || rc == -ENOMEM) {
		keeper_free(k);
		return rc;
	}
	k->locked = rc == 0;
	if (rc) {
		log_warn("no journal, so calls end with this process: %s", err);
		k->told = true;
	}
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

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	journal_free(k->journal);
	kept_free(&k->kept);
	free(k->ended);
	free(k);
}

static void take_record(void *arg, uint64_t key, uint64_t stamp, struct span body)
{
	kept_add(&((struct keeper *)arg)->kept, key, stamp, body, 0);
}

static void judge_loaded(struct keeper *k)
{
	if (!kept_judge(&k->kept, span_of(k->boot_id))) {
		log_warn("the journal in %s was written before this machine was booted: its calls "
			 "have ended",
			 keeper_dir(k));
		return;
	}
	k->epoch[0] = k->kept.meta.epoch;
	if (k->kept.meta.instance)
		k->instance = k->kept.meta.instance;
	else if (k->kept.sessions.n)
		log_warn("the journal in %s has no instance number: flows in the kernel are made "
			 "anew",
			 keeper_dir(k));
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
	rc = journal_load(k->journal, k->uid, k->gid, &reader, &found, err, err_size);
	if (rc == -EPROTO) {
		size_t len = strlen(err);

		snprintf(err + len, err_size - len,
			 ": start that version again and let its calls end (SIGHUP), or give "
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

int keeper_check_ports(const struct keeper *k, unsigned int min, unsigned int max, char *err,
		       size_t err_size)
{
	unsigned int lowest, highest;

	if (!kept_ports(&k->kept, &lowest, &highest) || (lowest >= min && highest <= max))
		return 0;
	snprintf(err, err_size,
		 "%.150s has calls on ports %u to %u, this rtpxd was given %u to %u: start it with "
		 "the previous -m and -M, let these calls end (SIGHUP) and change the ports then, "
		 "or give --discard-state to end them now",
		 journal_path(k->journal), lowest, highest, min, max);
	return -EPROTO;
}

size_t keeper_locals(const struct keeper *k, struct addr **out)
{
	return kept_locals(&k->kept, out);
}

int keeper_groups(struct keeper *k, const char *const *names, unsigned int n, char *err,
		  size_t err_size)
{
	struct group_epoch had;

	k->names = names;
	k->groups = n;
	for (unsigned int i = 0; i < SESSION_GROUPS; i++) {
		if (!kept_group(&k->kept, i, &had))
			continue;
		if (i >= n || !span_eq(had.name, span_of(names[i]))) {
			snprintf(err, err_size,
				 "%.150s has calls of the group %.*s, which must be number %u of "
				 "the groups: give the same --group options in the same order, or "
				 "--discard-state to end these calls",
				 journal_path(k->journal), (int)had.name.len, had.name.p, i + 1);
			return -EPROTO;
		}
		k->epoch[i] = had.epoch;
	}
	return 0;
}

const char *keeper_dir(const struct keeper *k)
{
	return journal_dir(k->journal);
}

bool keeper_was_left(const struct keeper *k)
{
	return k->locked && access(journal_path(k->journal), F_OK) == 0;
}

bool keeper_has_calls(const struct keeper *k)
{
	return k->kept.sessions.n > 0;
}

uint32_t keeper_instance(const struct keeper *k)
{
	return k->instance;
}

/* ---- writing ---- */

/* A record that was encoded into k->bytes. */
static struct span encoded(const struct keeper *k, int len)
{
	return (struct span){ (const char *)k->bytes, (size_t)len };
}

static void sink_gone(struct keeper *k, uint64_t key)
{
	if (k->o.sink)
		k->o.sink->gone(k->o.sink->arg, key);
}

/*
 * Give a record to the sink, and write it to the journal with @room bytes more: zeros, which mean
 * nothing behind a body (fields.h).
 */
static int put_record(struct keeper *k, uint64_t key, int len, size_t room)
{
	int rc;

	room = MIN(room, sizeof(k->bytes) - (size_t)len);
	memset(k->bytes + len, 0, room);
	rc = journal_put(k->journal, key, encoded(k, len + (int)room));
	if (k->o.sink)
		k->o.sink->put(k->o.sink->arg, key, encoded(k, len));
	k->view.records += rc == 0;
	return rc;
}

/* Encode a session into k->bytes. Returns its length, or -E2BIG. */
static int encode_session(struct keeper *k, const struct session *s)
{
	const struct dtmf *dtmf;
	struct snapshot snap;
	int i;

	snapshot_take(&snap, s);
	snap.notify = span_of(notify_name(k->o.notify, s->notify));
	for (i = 0; i < 2; i++) {
		recorder_take(&s->leg[i], &snap.leg[i].recording);
		player_take(&s->leg[i], &snap.leg[i].playing);
		dtmf = leg_rest(&s->leg[i])->dtmf;
		if (dtmf)
			snap.leg[i].dtmf.target = span_of(notify_name(k->o.notify, dtmf->target));
	}
	return snapshot_write(&snap, k->bytes, sizeof(k->bytes));
}

/*
 * The answer of the other party makes a record longer. Without room for it, pages of the journal
 * break in two halves, and stay so.
 */
static int put_session(struct keeper *k, const struct session *s)
{
	int len = encode_session(k, s);

	if (len < 0) {
		log_call(LOG_LVL_WARN, s->call_id,
			 "too long for the journal: it ends with this process");
		return 0;
	}
	return put_record(k, s->number, len, s->complete ? 0 : ANSWER_BYTES);
}

/* Write the counters to @text; returns their length. */
static size_t counters_write(struct keeper *k, char text[STATS_TEXT_MAX])
{
	recorder_count(k->o.recorder, k->o.stats);
	return stats_write(k->o.stats, text);
}

/* The previous daemon's record, and what has ended since. */
static int encode_old_meta(struct keeper *k)
{
	char text[STATS_TEXT_MAX];
	struct stats stats = { 0 };
	struct meta m = k->kept.meta;

	stats_read(&stats, m.counters);
	stats.nsess_destroyed += k->kept.already_ended + k->ended_early;
	m.counters = (struct span){ text, stats_write(&stats, text) };
	m.clean = false;
	m.epoch = k->epoch[0];
	m.ended_to = sessions_doomed_to(k->o.sessions);
	return meta_write(&m, k->bytes, sizeof(k->bytes));
}

static int encode_new_meta(struct keeper *k, bool clean, uint64_t now_ns)
{
	char text[STATS_TEXT_MAX];
	struct stats *stats = k->o.stats;
	struct meta m = {
		.instance = k->instance,
		.clean = clean,
		.alive_ns = now_ns,
		.boot_id = span_of(k->boot_id),
		.version = span_of(k->o.version),
		.counters = { text, counters_write(k, text) },
		.last_port = { ports_last(k->o.ports, RTPX_FAMILY_IP4),
			       ports_last(k->o.ports, RTPX_FAMILY_IP6) },
		.has_live = true,
		.live_relayed = stats->live_relayed,
		.live_strangers = stats->live_strangers,
		.epoch = k->epoch[0],
		.ended_to = sessions_doomed_to(k->o.sessions),
	};

	return meta_write(&m, k->bytes, sizeof(k->bytes));
}

static int encode_meta(struct keeper *k, bool clean, uint64_t now_ns)
{
	return k->restoring ? encode_old_meta(k) : encode_new_meta(k, clean, now_ns);
}

static void sink_meta(struct keeper *k)
{
	int len = encode_meta(k, false, clock_now());

	if (k->o.sink)
		k->o.sink->put(k->o.sink->arg, RECORD_META, encoded(k, len));
}

/* The epochs of several groups. One group's is in the daemon's record. */
static int put_groups(struct keeper *k)
{
	int rc = 0;

	k->raised = false;
	for (unsigned int i = 0; i < k->groups && k->groups > 1 && !rc; i++) {
		const struct group_epoch g = { span_of(k->names[i]), k->epoch[i] };
		int len = group_epoch_write(&g, k->bytes, sizeof(k->bytes));

		rc = journal_put(k->journal, record_key(RECORD_GROUP, i), encoded(k, len));
	}
	return rc;
}

static int put_meta(struct keeper *k, bool clean, uint64_t now_ns)
{
	int len = encode_meta(k, clean, now_ns);

	k->o.stats->shown = k->meta_due = false;
	k->ended_to = sessions_doomed_to(k->o.sessions);
	return journal_put(k->journal, RECORD_META, encoded(k, len));
}

static int commit(struct keeper *k)
{
	bool pending = journal_is_pending(k->journal);
	int rc = journal_commit(k->journal);

	if (rc || !pending)
		return rc;
	k->view.commits++;
	k->view.committed_ns = clock_now();
	return 0;
}

/* Log the first of several errors in a row, and the first success after them. */
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

static int encode_message(struct keeper *k, const struct notify_message *m)
{
	const struct waiting w = {
		.target = span_of(m->target),
		.call_id = span_of(m->event.call_id),
		.from_tag = span_of(m->event.from_tag),
		.to_tag = span_of(m->event.to_tag),
		.tag = span_of(m->event.tag),
		.queued_ns = m->queued_ns,
	};

	return waiting_write(&w, k->bytes, sizeof(k->bytes));
}

static int put_message(struct keeper *k, const struct notify_message *m)
{
	int len = encode_message(k, m);

	return len < 0 ? 0 : put_record(k, record_key(RECORD_MESSAGE, m->number), len, 0);
}

static void on_queued(void *arg, const struct notify_message *m)
{
	struct keeper *k = arg;
	int rc = k->running && journal_is_open(k->journal) ? put_message(k, m) : 0;

	if (rc)
		report(k, rc);
}

static void on_gone(void *arg, uint32_t number)
{
	struct keeper *k = arg;
	int rc = k->running && journal_is_open(k->journal)
			 ? journal_del(k->journal, record_key(RECORD_MESSAGE, number))
			 : 0;

	if (k->running)
		sink_gone(k, record_key(RECORD_MESSAGE, number));
	if (rc)
		report(k, rc);
}

struct put_all {
	struct keeper *k;
	int rc;
	uint32_t replies;
};

static void put_each_message(void *arg, const struct notify_message *m)
{
	struct put_all *all = arg;

	if (!all->rc)
		all->rc = put_message(all->k, m);
}

static bool put_each(void *arg, struct session *s)
{
	struct put_all *all = arg;

	all->rc = put_session(all->k, s);
	return all->rc == 0;
}

static void put_each_reply(void *arg, struct span key, struct span reply, uint64_t stored_ns)
{
	struct put_all *all = arg;
	struct keeper *k = all->k;
	const struct replied r = { key, reply, stored_ns };
	int len = replied_write(&r, k->bytes, sizeof(k->bytes));

	if (all->rc || len < 0)
		return;
	all->rc =
		journal_put(k->journal, record_key(RECORD_REPLY, ++all->replies), encoded(k, len));
}

/*
 * Write a new journal with the complete state. Replies are written only when the daemon leaves
 * (@clean): writing each reply would slow down every command.
 */
static int write_all(struct keeper *k, bool clean, uint64_t now_ns)
{
	struct sessions *sessions = k->o.sessions;
	struct put_all all = { .k = k };
	int rc = journal_begin(k->journal);

	if (!rc)
		rc = put_meta(k, clean, now_ns);
	if (!rc)
		rc = put_groups(k);
	if (!rc) {
		sessions_each(sessions, put_each, &all);
		notify_each(k->o.notify, put_each_message, &all);
		if (clean)
			cookies_each(k->o.cookies, now_ns - MIN(now_ns, REPLIES_NS), REPLIES_MAX,
				     put_each_reply, &all);
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

static int put_changed(struct keeper *k, const struct session *s)
{
	if (session_is_doomed(k->o.sessions, s)) {
		sink_gone(k, s->number);
		return journal_del(k->journal, s->number);
	}
	return put_session(k, s);
}

/*
 * One transaction has the end of a session and the counters that include it. After X, ended_to in
 * the record of counters ends thousands of sessions at once; their own records are deleted later.
 */
static int write_changed(struct keeper *k, uint64_t now_ns)
{
	struct sessions *sessions = k->o.sessions;
	struct session *s;
	int rc = 0;
	size_t i;

	if (k->ended_to != sessions_doomed_to(sessions))
		sink_meta(k);
	if (k->meta_due || k->raised || k->n_ended || k->o.stats->shown ||
	    k->ended_to != sessions_doomed_to(sessions))
		rc = put_meta(k, false, now_ns);
	if (!rc && k->raised)
		rc = put_groups(k);
	for (i = 0; i < k->n_ended && !rc; i++)
		rc = journal_del(k->journal, k->ended[i]);
	k->n_ended = 0;
	while (!rc && (s = session_changed_pop(sessions)))
		rc = put_changed(k, s);
	return rc ? rc : commit(k);
}

void keeper_run(struct keeper *k)
{
	int rc;

	if (!k->running || !journal_is_open(k->journal))
		return;
	if (k->ended_lost)
		keeper_finish(k);
	if (k->ended_lost)
		rc = write_all(k, false, clock_now());
	else
		rc = write_changed(k, clock_now());
	if (rc)
		report(k, rc);
}

/* Try again to lock the directory when the start failed to. 0 or -errno. */
static int lock_again(struct keeper *k)
{
	char err[300];
	int rc = k->locked ? 0 : journal_lock(k->journal, false, k->uid, k->gid, err, sizeof(err));

	k->locked |= rc == 0;
	return rc;
}

void keeper_tick(struct keeper *k, uint64_t now_ns)
{
	int rc = 0;

	if (!k->running || k->restoring)
		return;
	if (journal_is_open(k->journal) && journal_is_there(k->journal)) {
		rc = put_meta(k, false, now_ns);
		if (!rc)
			rc = write_changed(k, now_ns);
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
	struct stats *stats = k->o.stats;
	uint64_t *more;

	stats->live_relayed -= s->kernel_relayed;
	stats->live_strangers -= s->kernel_strangers;
	if (k->restoring) {
		k->ended_early++;
		k->kept.ended_relayed += s->kernel_relayed;
		k->kept.ended_strangers += s->kernel_strangers;
	}
	if (!k->running)
		return;
	sink_gone(k, s->number);
	if (!journal_is_open(k->journal))
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
	keeper_finish(k);
	sync_pull_all(k->o.sync);
	rc = k->locked ? write_all(k, true, now_ns) : -ENOLCK;
	if (rc)
		log_err("the journal %s cannot be written (%s): the next rtpxd will not know all "
			"calls",
			k->view.path, strerror(-rc));
	else
		notify_left(k->o.notify);
	k->running = false;
}

void keeper_forget(struct keeper *k)
{
	k->running = false;
	journal_remove(k->journal);
}

/* ---- the sink ---- */

static bool sink_session(struct keeper *k, const struct session *s)
{
	int len = session_is_doomed(k->o.sessions, s) ? 0 : encode_session(k, s);

	if (len > 0)
		k->o.sink->put(k->o.sink->arg, s->number, encoded(k, len));
	return true;
}

struct sink_group {
	struct keeper *k;
	unsigned int group;
};

/* Without several groups, all records are the group's: an earlier version has numbered higher. */
static bool is_for(const struct sink_group *to, uint32_t number)
{
	return to->k->groups < 2 || session_group(number) == to->group;
}

static bool sink_each(void *arg, struct session *s)
{
	const struct sink_group *to = arg;

	return !is_for(to, s->number) || sink_session(to->k, s);
}

static void sink_left(void *arg, uint64_t key, struct span body)
{
	const struct sink_group *to = arg;
	struct keeper *k = to->k;

	if (is_for(to, (uint32_t)key) && key > sessions_doomed_to(k->o.sessions))
		k->o.sink->put(k->o.sink->arg, key, body);
}

static void sink_each_message(void *arg, const struct notify_message *m)
{
	const struct sink_group *to = arg;
	struct keeper *k = to->k;
	int len = is_for(to, m->number) ? encode_message(k, m) : 0;

	if (len > 0)
		k->o.sink->put(k->o.sink->arg, record_key(RECORD_MESSAGE, m->number),
			       encoded(k, len));
}

void keeper_put_all(struct keeper *k, unsigned int group)
{
	struct sink_group to = { k, group };

	if (!k->running || !k->o.sink)
		return;
	sessions_each(k->o.sessions, sink_each, &to);
	if (k->restoring)
		kept_each_left(&k->kept, sink_left, &to);
	notify_each(k->o.notify, sink_each_message, &to);
	sink_meta(k);
}

struct slice {
	struct keeper *k;
	unsigned int number, of;
};

static bool sink_slice(void *arg, struct session *s)
{
	struct slice *slice = arg;

	if (s->number % slice->of == slice->number) {
		if (!sync_sweeps(slice->k->o.sync)) /* else the engine has pulled all lately */
			sync_pull(slice->k->o.sync, s);
		sink_session(slice->k, s);
	}
	return true;
}

void keeper_put_counters(struct keeper *k, unsigned int slice, unsigned int of)
{
	if (!k->running || !k->o.sink)
		return;
	sessions_each(k->o.sessions, sink_slice, &(struct slice){ k, slice, of });
	sink_meta(k);
}

uint64_t keeper_epoch(const struct keeper *k, unsigned int group)
{
	return k->epoch[group];
}

bool keeper_owns(const struct keeper *k)
{
	for (unsigned int i = 0; i < SESSION_GROUPS; i++)
		if (k->epoch[i])
			return true;
	return false;
}

void keeper_set_epoch(struct keeper *k, unsigned int group, uint64_t epoch)
{
	k->raised |= k->epoch[group] != epoch;
	k->epoch[group] = epoch;
}

/* ---- restoring ---- */

/* Continue the counters of the previous daemon. */
static void read_counters(struct keeper *k)
{
	struct stats *stats = k->o.stats;

	stats_read(stats, k->kept.meta.counters);
	stats->nsess_destroyed += k->kept.already_ended;
	recorder_count_on(k->o.recorder, stats);
}

static void copy_record(void *arg, uint64_t key, struct span body)
{
	struct put_all *all = arg;

	if (!all->rc)
		all->rc = journal_put(all->k->journal, key, body);
}

/* Begin the new journal with the records of the previous one. 0 or -errno. */
static int copy_all(struct keeper *k)
{
	struct put_all all = { .k = k };
	int rc = journal_begin(k->journal);

	if (!rc)
		rc = put_meta(k, false, 0);
	if (!rc)
		rc = put_groups(k);
	if (!rc) {
		kept_each(&k->kept, copy_record, &all);
		rc = all.rc;
	}
	return rc ? rc : commit(k);
}

static void begin_calls(struct keeper *k, uint64_t now_ns)
{
	k->restorer = (struct restorer){
		.engine = k->o.engine,
		.sessions = k->o.sessions,
		.ports = k->o.ports,
		.stats = k->o.stats,
		.sync = k->o.sync,
		.recorder = k->o.recorder,
		.players = k->o.players,
		.notify = k->o.notify,
		.now_ns = now_ns,
		.patience_ns = now_ns + PORTS_PATIENCE_NS,
	};

	k->view.lost = k->kept.lost;
	k->restoring = k->kept.sessions.n > 0;
	if (k->restoring)
		kept_begin(&k->kept, &k->restorer);
	engine_hold_stats(k->o.engine, k->restoring);
}

/* Not without an old record of the daemon. */
static bool may_go_bit_by_bit(const struct keeper *k)
{
	return k->restoring && k->kept.meta.instance;
}

bool keeper_restores(const struct keeper *k)
{
	return k->restoring;
}

void keeper_make_at(struct keeper *k, const struct addr *dest)
{
	kept_make_at(&k->kept, &k->restorer, dest);
}

void keeper_finish(struct keeper *k)
{
	if (!k->restoring)
		return;
	while (kept_next(&k->kept, &k->restorer))
		;
	k->view.restored = kept_end(&k->kept, &k->restorer);
	k->view.lost = k->kept.lost;
	k->restoring = false;
	k->meta_due = true;
	engine_hold_stats(k->o.engine, false);
}

bool keeper_go_on(struct keeper *k, uint64_t ns)
{
	const uint64_t until_ns = clock_now() + ns;

	while (clock_now() < until_ns)
		if (!kept_next(&k->kept, &k->restorer)) {
			if (!kept_tidy(&k->kept, until_ns))
				keeper_finish(k);
			break;
		}
	return k->restoring;
}

void keeper_restore(struct keeper *k, const struct keeper_opts *opts, uint64_t now_ns)
{
	bool bit_by_bit;
	int i;

	k->o = *opts;
	sessions_watch_end(opts->sessions, on_ended, k);
	read_counters(k);
	for (i = 0; i < RTPX_FAMILIES; i++)
		ports_go_on(opts->ports, i, k->kept.meta.last_port[i]);
	begin_calls(k, now_ns);
	bit_by_bit = may_go_bit_by_bit(k);
	if (!bit_by_bit)
		keeper_finish(k);
	else if (k->locked)
		report(k, copy_all(k));
	notify_watch(opts->notify, on_queued, on_gone, k);
	kept_restore_messages(&k->kept, opts->notify, now_ns);
	kept_restore_replies(&k->kept, opts->cookies, now_ns);
	k->running = true;
	if (k->locked && !bit_by_bit)
		report(k, write_all(k, false, now_ns));
}

void keeper_take(struct keeper *k, uint64_t key, struct span body, int64_t shift_ns)
{
	if (key == RECORD_META && !k->running)
		kept_replace_meta(&k->kept, body);
	else if (key >> RECORD_KEY_BITS == RECORD_MESSAGE)
		kept_add(&k->kept, key, 0, body, shift_ns);
}

void keeper_joined(struct keeper *k, uint64_t now_ns)
{
	keeper_finish(k);
	kept_restore_messages(&k->kept, k->o.notify, now_ns);
	if (k->locked)
		report(k, write_all(k, false, now_ns));
}

void keeper_view(const struct keeper *k, struct keeper_view *out)
{
	*out = k->view;
	if (k->restoring) {
		out->restored = k->kept.restored + k->kept.left;
		out->lost = k->kept.lost;
	}
}
