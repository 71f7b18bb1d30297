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
#include "restart/records.h"
#include "restart/restore.h"
#include "base/log.h"
#include "call/snapshot.h"

/* Age of the oldest reply that is kept: callers retransmit a command for some seconds. */
#define REPLIES_NS (10 * NSEC_PER_SEC)
#define REPLIES_MAX 20000
#define BOOT_ID_LEN 36
/*
 * How long to wait for a port. The kernel closes the sockets of a killed daemon one by one, and its
 * lock may be free before they are closed.
 */
#define PORTS_PATIENCE_NS (2 * NSEC_PER_SEC)

/* A loaded record. */
struct kept {
	uint64_t key, stamp, created_ns;
	struct session *session; /* restored from the record; NULL: not yet, or it failed */
	size_t len;
	char bytes[];
};

struct kept_list {
	struct kept **p;
	size_t n, room;
};

struct keeper {
	struct keeper_opts o;
	struct journal *journal;
	uid_t uid;
	gid_t gid;
	uint32_t instance;
	uint64_t epoch; /* of the address group; 0: none */
	char boot_id[BOOT_ID_LEN + 1];
	bool locked;  /* the directory is ours */
	bool running; /* changes are written to the journal */
	bool told;    /* the log says that the journal cannot be written */
	uint64_t *ended; /* numbers of sessions that ended since the previous keeper_run() */
	size_t n_ended, ended_room;
	bool ended_lost; /* @ended lacks some, for want of memory */
	uint32_t ended_to; /* as the journal has it */
	unsigned int already_ended; /* loaded records of sessions that had ended */
	struct meta left; /* the previous daemon's; spans into kept_meta */
	struct kept_list kept; /* sessions */
	struct kept_list waiting; /* messages of notify.h */
	struct kept_list replies;
	struct kept *kept_meta;
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

static int kept_add(struct kept_list *list, struct kept *r)
{
	struct kept **more;

	if (list->n == list->room) {
		size_t room = list->room ? 2 * list->room : 256;

		more = realloc(list->p, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->p = more;
		list->room = room;
	}
	list->p[list->n++] = r;
	return 0;
}

static void kept_forget(struct kept_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->p[i]);
	free(list->p);
	*list = (struct kept_list){ 0 };
}

void keeper_free(struct keeper *k)
{
	if (!k)
		return;
	journal_free(k->journal);
	kept_forget(&k->kept);
	kept_forget(&k->waiting);
	kept_forget(&k->replies);
	free(k->kept_meta);
	free(k->ended);
	free(k);
}

static struct kept *kept_of(uint64_t key, uint64_t stamp, struct span body)
{
	struct kept *r = malloc(sizeof(*r) + body.len);

	if (r) {
		*r = (struct kept){ .key = key, .stamp = stamp, .len = body.len };
		memcpy(r->bytes, body.p, body.len);
	}
	return r;
}

static void take_record(void *arg, uint64_t key, uint64_t stamp, struct span body)
{
	struct keeper *k = arg;
	struct kept_list *const lists[] = {
		[RECORD_SESSION] = &k->kept,
		[RECORD_MESSAGE] = &k->waiting,
		[RECORD_REPLY] = &k->replies,
	};
	struct kept_list *list = lists[MIN(key >> RECORD_KEY_BITS, (uint64_t)RECORD_REPLY)];
	struct kept *r;

	if (key >> RECORD_KEY_BITS > RECORD_REPLY)
		return; /* a kind of a later version */
	r = kept_of(key, stamp, body);
	if (r && key == RECORD_META) {
		k->kept_meta = r;
	} else if (!r || kept_add(list, r)) {
		free(r);
		k->view.lost += list == &k->kept;
	}
}

static struct span span_of_kept(const struct kept *r)
{
	return r ? (struct span){ r->bytes, r->len } : (struct span){ 0 };
}

/* Discard the records of sessions that an X of the previous daemon has ended. */
static void drop_ended(struct keeper *k)
{
	struct kept_list *list = &k->kept;
	size_t i, n = 0;

	for (i = 0; i < list->n; i++) {
		if (list->p[i]->key > k->left.ended_to)
			list->p[n++] = list->p[i];
		else
			free(list->p[i]);
	}
	k->already_ended = list->n - n;
	list->n = n;
}

/* Discard the records when the machine was booted since: their times and pins are void. */
static void judge_loaded(struct keeper *k)
{
	struct span boot = span_of(k->boot_id);

	if (meta_read(&k->left, span_of_kept(k->kept_meta)) < 0)
		k->left = (struct meta){ 0 };
	if (k->kept.n + k->waiting.n + k->replies.n && k->left.boot_id.len &&
	    !span_eq(k->left.boot_id, boot)) {
		log_warn(
			"the journal in %s was written before this machine was booted: its calls "
			"have ended",
			keeper_dir(k));
		kept_forget(&k->kept);
		kept_forget(&k->waiting);
		kept_forget(&k->replies);
		return;
	}
	k->epoch = k->left.epoch;
	drop_ended(k);
	if (k->left.instance)
		k->instance = k->left.instance;
	else if (k->kept.n)
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
	unsigned int lowest = UINT16_MAX, highest = 0;
	struct snapshot snap;
	size_t i;
	int leg;

	for (i = 0; i < k->kept.n; i++)
		for (leg = 0; leg < 2 && snapshot_read(&snap, span_of_kept(k->kept.p[i])) == 0;
		     leg++) {
			unsigned int port = snap.leg[leg].local.port;

			if (!port)
				continue;
			lowest = MIN(lowest, port);
			highest = MAX(highest, port + 1);
		}
	if (!highest || (lowest >= min && highest <= max))
		return 0;
	snprintf(err, err_size,
		 "%.150s has calls on ports %u to %u, this rtpxd was given %u to %u: start it with "
		 "the previous -m and -M, let these calls end (SIGHUP) and change the ports then, "
		 "or give --discard-state to end them now",
		 journal_path(k->journal), lowest, highest, min, max);
	return -EPROTO;
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
	return k->kept.n > 0;
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

/* Give a record to the sink, and write it to the journal. */
static int put_record(struct keeper *k, uint64_t key, int len)
{
	int rc = journal_put(k->journal, key, encoded(k, len));

	if (k->o.sink)
		k->o.sink->put(k->o.sink->arg, key, encoded(k, len));
	k->view.records += rc == 0;
	return rc;
}

/* Encode a session into k->bytes. Returns its length, or -E2BIG. */
static int encode_session(struct keeper *k, const struct session *s)
{
	struct snapshot snap;
	int i;

	snapshot_take(&snap, s);
	snap.notify = span_of(notify_name(k->o.notify, s->notify));
	for (i = 0; i < 2; i++) {
		recorder_take(&s->leg[i], &snap.leg[i].recording);
		player_take(&s->leg[i], &snap.leg[i].playing);
		if (s->leg[i].dtmf)
			snap.leg[i].dtmf.target =
				span_of(notify_name(k->o.notify, s->leg[i].dtmf->target));
	}
	return snapshot_write(&snap, k->bytes, sizeof(k->bytes));
}

static int put_session(struct keeper *k, const struct session *s)
{
	int len = encode_session(k, s);

	if (len < 0) {
		log_call(LOG_LVL_WARN, s->call_id,
			 "too long for the journal: it ends with this process");
		return 0;
	}
	return put_record(k, s->number, len);
}

/* Write the counters to @text; returns their length. */
static size_t counters_write(struct keeper *k, char text[STATS_TEXT_MAX])
{
	recorder_count(k->o.recorder, k->o.stats);
	return stats_write(k->o.stats, text);
}

static int encode_meta(struct keeper *k, bool clean, uint64_t now_ns)
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
		.epoch = k->epoch,
		.ended_to = sessions_doomed_to(k->o.sessions),
	};

	return meta_write(&m, k->bytes, sizeof(k->bytes));
}

static void sink_meta(struct keeper *k)
{
	int len = encode_meta(k, false, clock_now());

	if (k->o.sink)
		k->o.sink->put(k->o.sink->arg, RECORD_META, encoded(k, len));
}

static int put_meta(struct keeper *k, bool clean, uint64_t now_ns)
{
	int len = encode_meta(k, clean, now_ns);

	k->o.stats->shown = false;
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

	return len < 0 ? 0 : put_record(k, record_key(RECORD_MESSAGE, m->number), len);
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
	all->rc = journal_put(k->journal, record_key(RECORD_REPLY, ++all->replies),
			      encoded(k, len));
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
	if (!rc) {
		sessions_each(sessions, put_each, &all);
		notify_each(k->o.notify, put_each_message, &all);
		if (clean)
			cookies_each(k->o.cookies, now_ns - MIN(now_ns, REPLIES_NS),
				     REPLIES_MAX, put_each_reply, &all);
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
	if (k->n_ended || k->o.stats->shown || k->ended_to != sessions_doomed_to(sessions))
		rc = put_meta(k, false, now_ns);
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

	if (!k->running)
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

static bool sink_each(void *arg, struct session *s)
{
	struct keeper *k = arg;
	int len = session_is_doomed(k->o.sessions, s) ? 0 : encode_session(k, s);

	if (len > 0)
		k->o.sink->put(k->o.sink->arg, s->number, encoded(k, len));
	return true;
}

static void sink_each_message(void *arg, const struct notify_message *m)
{
	struct keeper *k = arg;
	int len = encode_message(k, m);

	if (len > 0)
		k->o.sink->put(k->o.sink->arg, record_key(RECORD_MESSAGE, m->number),
			       encoded(k, len));
}

void keeper_put_all(struct keeper *k)
{
	if (!k->running || !k->o.sink)
		return;
	sessions_each(k->o.sessions, sink_each, k);
	notify_each(k->o.notify, sink_each_message, k);
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
		sync_pull(slice->k->o.sync, s);
		sink_each(slice->k, s);
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

uint64_t keeper_epoch(const struct keeper *k)
{
	return k->epoch;
}

void keeper_set_epoch(struct keeper *k, uint64_t epoch)
{
	k->epoch = epoch;
}

/* ---- restoring ---- */

static void step_session(struct restorer *r, struct kept *kept, const struct snapshot *snap)
{
	restore_session(r, snap, &kept->session);
}

/* Recordings and copies come before the flow: the flow says whether its packets are mirrored. */
static void step_media(struct restorer *r, struct kept *kept, const struct snapshot *snap)
{
	struct session *s = kept->session;

	restore_media(r, s, snap);
	restore_silence(r, s, sync_adopt(r->sync, s));
}

static void step_feeds(struct restorer *r, struct kept *kept, const struct snapshot *snap)
{
	(void)kept;
	restore_feeds(r, snap);
}

/*
 * Run one step for all calls. The caller finishes a step before the next begins: a copy takes any
 * free port, so all calls must have their ports first, and a feed needs its source sessions.
 */
static void restore_step(struct keeper *k, struct restorer *r,
			 void (*step)(struct restorer *r, struct kept *kept,
				      const struct snapshot *snap))
{
	struct kept_list *list = &k->kept;
	struct snapshot snap;
	size_t i;

	for (i = 0; i < list->n; i++) {
		struct kept *kept = list->p[i];

		if ((step == step_session) == !kept->session &&
		    snapshot_read(&snap, span_of_kept(kept)) == 0)
			step(r, kept, &snap);
	}
}

static int newest_first(const void *a, const void *b)
{
	const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;

	return x->stamp > y->stamp ? -1 : x->stamp < y->stamp;
}

static int by_key(const void *a, const void *b)
{
	const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int oldest_call_first(const void *a, const void *b)
{
	const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* A bit for each pair of ports that belongs to a call of the journal. */
struct claims {
	uint8_t bits[RTPX_FAMILIES][65536 / 16];
};

static bool claim(struct claims *all, const struct addr *local)
{
	unsigned int pair = local->port / 2, family = local->family == ADDR_IP6;
	uint8_t bit = 1 << (pair & 7), *byte = &all->bits[family][pair / 8];

	if (!local->port)
		return true;
	if (*byte & bit)
		return false;
	*byte |= bit;
	return true;
}

/*
 * False for a record that describes no call, and for a call whose port a newer record has. Only a
 * damaged journal has such records: the call ended, and another call took its port.
 */
static bool is_current(struct claims *all, struct kept *kept)
{
	struct snapshot snap;
	int i;

	if (snapshot_read(&snap, span_of_kept(kept)) < 0) {
		log_err("a record of the journal describes no call");
		return false;
	}
	kept->created_ns = snap.created_ns;
	for (i = 0; i < 2; i++)
		if (!claim(all, &snap.leg[i].local)) {
			log_warn("call %.*s: not restored, a newer record has its port %u",
				 (int)snap.call_id.len, snap.call_id.p, snap.leg[i].local.port);
			return false;
		}
	return true;
}

/* Drop the records that are not current, and sort the others by the start of their calls. */
static void sort_loaded(struct keeper *k)
{
	struct claims claims = { 0 };
	struct kept_list *list = &k->kept;
	size_t i, n = 0;

	qsort(list->p, list->n, sizeof(*list->p), newest_first);
	for (i = 0; i < list->n; i++) {
		if (is_current(&claims, list->p[i]))
			list->p[n++] = list->p[i];
		else
			free(list->p[i]);
	}
	k->view.lost += list->n - n;
	list->n = n;
	qsort(list->p, list->n, sizeof(*list->p), oldest_call_first);
}

/*
 * Add the packets that a dataplane forwarded since the counters were written. The records of
 * sessions have counts of the same packets, but may be older than the counters.
 */
static void restore_counters(struct keeper *k, const struct stats *before)
{
	struct stats *stats = k->o.stats;
	uint64_t relayed = stats->live_relayed, strangers = stats->live_strangers;

	if (!k->left.has_live && !k->left.clean) {
		relayed = strangers = 0; /* unknown how many of these the counters include */
	} else if (!k->left.has_live) {
		return;
	}
	relayed -= MIN(relayed, k->left.live_relayed);
	strangers -= MIN(strangers, k->left.live_strangers);
	stats->npkts_rcvd = before->npkts_rcvd + relayed + strangers;
	stats->npkts_relayed = before->npkts_relayed + relayed;
	stats->npkts_discard = before->npkts_discard + strangers;
}

/*
 * Add the sessions that began after the counters were written. Ended sessions need no correction:
 * the counters are written with each end.
 */
static void restore_created(struct keeper *k)
{
	struct stats *stats = k->o.stats;

	stats->nsess_created =
		MAX(stats->nsess_created, stats->nsess_destroyed + k->kept.n);
}

static unsigned int count_restored(const struct keeper *k)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < k->kept.n; i++)
		n += k->kept.p[i]->session != NULL;
	return n;
}

static void restore_all(struct keeper *k, uint64_t now_ns)
{
	struct sync *sync = k->o.sync;
	struct restorer r = {
		.engine = k->o.engine,
		.sessions = k->o.sessions,
		.stats = k->o.stats,
		.sync = sync,
		.recorder = k->o.recorder,
		.players = k->o.players,
		.notify = k->o.notify,
		.now_ns = now_ns,
		.patience_ns = now_ns + PORTS_PATIENCE_NS,
		.exact = k->left.clean,
	};
	const struct stats before = *k->o.stats;
	unsigned int orphans;

	if (k->left.alive_ns && k->left.alive_ns < now_ns)
		r.away_ns = now_ns - k->left.alive_ns;
	sort_loaded(k);
	sync_adopt_begin(sync);
	restore_step(k, &r, step_session);
	restore_step(k, &r, step_media);
	restore_step(k, &r, step_feeds);
	orphans = sync_adopt_end(sync);
	restore_counters(k, &before);
	k->view.restored = count_restored(k);
	k->view.lost += k->kept.n - k->view.restored;
	restore_created(k);
	kept_forget(&k->kept);
	log_info("%u calls of the previous rtpxd go on after %.3f s, %u are lost", k->view.restored,
		 (double)r.away_ns / NSEC_PER_SEC, k->view.lost);
	if (orphans)
		log_warn("removed %u flows of calls that are not in the journal", orphans);
}

static char *text_of(struct span s)
{
	return s.len ? strndup(s.p, s.len) : NULL;
}

static int restore_message(struct keeper *k, const struct waiting *w, uint64_t now_ns)
{
	char *target = text_of(w->target), *call_id = text_of(w->call_id);
	char *from_tag = text_of(w->from_tag), *to_tag = text_of(w->to_tag);
	char *tag = text_of(w->tag);
	const struct notify_message m = {
		.target = target ? target : "",
		.event = { call_id ? call_id : "", from_tag ? from_tag : "", to_tag, tag },
		.queued_ns = MIN(w->queued_ns, now_ns),
	};
	int rc = notify_restore(k->o.notify, &m);

	free(target);
	free(call_id);
	free(from_tag);
	free(to_tag);
	free(tag);
	return rc;
}

static void restore_messages(struct keeper *k, uint64_t now_ns)
{
	unsigned int lost = 0;
	size_t i;

	if (k->waiting.n)
		qsort(k->waiting.p, k->waiting.n, sizeof(*k->waiting.p), by_key);
	for (i = 0; i < k->waiting.n; i++) {
		struct waiting w = { 0 };

		lost += waiting_read(&w, span_of_kept(k->waiting.p[i])) < 0 ||
			restore_message(k, &w, now_ns) < 0;
	}
	if (lost)
		log_warn("%u notifications of the previous rtpxd are lost: their targets are none "
			 "of the -n options now",
			 lost);
	kept_forget(&k->waiting);
}

static void restore_replies(struct keeper *k, uint64_t now_ns)
{
	size_t i;

	for (i = 0; i < k->replies.n; i++) {
		struct replied r = { 0 };

		if (replied_read(&r, span_of_kept(k->replies.p[i])) == 0)
			cookies_restore(k->o.cookies, span_not_null(r.key), span_not_null(r.reply),
					MIN(r.stored_ns, now_ns));
	}
	kept_forget(&k->replies);
}

/* Continue the counters of the previous daemon. */
static void read_counters(struct keeper *k)
{
	struct stats *stats = k->o.stats;

	stats_read(stats, k->left.counters);
	stats->nsess_destroyed += k->already_ended;
	recorder_count_on(k->o.recorder, stats->npkts_recorded,
			  stats->npkts_rec_lost);
}

void keeper_restore(struct keeper *k, const struct keeper_opts *opts, uint64_t now_ns)
{
	int rc, i;

	k->o = *opts;
	sessions_watch_end(opts->sessions, on_ended, k);
	read_counters(k);
	for (i = 0; i < RTPX_FAMILIES; i++)
		ports_go_on(opts->ports, i, k->left.last_port[i]);
	if (k->kept.n)
		restore_all(k, now_ns);
	notify_watch(opts->notify, on_queued, on_gone, k);
	restore_messages(k, now_ns);
	restore_replies(k, now_ns);
	k->running = true;
	if (!k->locked)
		return;
	rc = write_all(k, false, now_ns);
	report(k, rc);
}

void keeper_take(struct keeper *k, uint64_t key, struct span body, int64_t shift_ns)
{
	uint64_t now_ns = clock_now();
	struct waiting w;

	if (key == RECORD_META) {
		uint64_t epoch = k->epoch;

		free(k->kept_meta);
		k->kept_meta = kept_of(key, 0, body);
		if (!k->kept_meta || meta_read(&k->left, span_of_kept(k->kept_meta)) < 0)
			k->left = (struct meta){ 0 };
		k->epoch = epoch;
	} else if (key >> RECORD_KEY_BITS == RECORD_MESSAGE && waiting_read(&w, body) == 0) {
		w.queued_ns += (uint64_t)shift_ns;
		restore_message(k, &w, now_ns);
	}
}

void keeper_view(const struct keeper *k, struct keeper_view *out)
{
	*out = k->view;
}
