/* SPDX-License-Identifier: BSD-2-Clause */
/* kept.c - judges and sorts the records of the previous daemon, then makes calls of them. */
#include "restart/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "protocol/cookies.h"

/* A loaded record. */
struct kept_record {
	uint64_t key, stamp;
	int64_t shift_ns; /* our clock less the writer's */
	/* of a session, see kept_judge() */
	bool reads; /* it describes a session */
	bool fed;   /* other sessions feed this one */
	uint64_t created_ns;
	struct addr local[SESSION_PARTIES];
	struct span call_id;	       /* in @bytes */
	bool claimed[SESSION_PARTIES]; /* the pair of ports */
	bool made;		       /* it was made a session, or could not be */
	struct table_link by_call;     /* of the first record of its call */
	struct table_link by_number;
	struct table_link by_port[SESSION_PARTIES];
	struct kept_record *next_of_call, *last_of_call; /* the latter: of the first one */
	size_t len;
	char bytes[];
};

static int list_add(struct kept_list *list, struct kept_record *r)
{
	struct kept_record **more;

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

static void list_free(struct kept_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free(list->p[i]);
	free(list->p);
	*list = (struct kept_list){ 0 };
}

static struct kept_record *record_new(uint64_t key, uint64_t stamp, struct span body)
{
	struct kept_record *r = malloc(sizeof(*r) + body.len);

	if (r) {
		*r = (struct kept_record){ .key = key, .stamp = stamp, .len = body.len };
		memcpy(r->bytes, body.p, body.len);
	}
	return r;
}

void kept_add(struct kept *k, uint64_t key, uint64_t stamp, struct span body, int64_t shift_ns)
{
	struct kept_list *const lists[] = {
		[RECORD_SESSION] = &k->sessions,
		[RECORD_MESSAGE] = &k->messages,
		[RECORD_REPLY] = &k->replies,
		[RECORD_GROUP] = &k->groups,
	};
	struct kept_list *list = lists[MIN(key >> RECORD_KEY_BITS, (uint64_t)RECORD_GROUP)];
	struct kept_record *r;

	if (key >> RECORD_KEY_BITS >= RECORD_KINDS)
		return; /* a kind of a later version */
	r = record_new(key, stamp, body);
	if (r)
		r->shift_ns = shift_ns;
	if (r && key == RECORD_META) {
		free(k->meta_record);
		k->meta_record = r;
	} else if (!r || list_add(list, r)) {
		free(r);
		k->lost += list == &k->sessions;
	}
}

static struct span record_span(const struct kept_record *r)
{
	return r ? (struct span){ r->bytes, r->len } : (struct span){ 0 };
}

/* Discard the records of sessions that an X of the previous daemon has ended. */
static void drop_ended(struct kept *k)
{
	struct kept_list *list = &k->sessions;
	size_t i, n = 0;

	for (i = 0; i < list->n; i++) {
		if (list->p[i]->key > k->meta.ended_to)
			list->p[n++] = list->p[i];
		else
			free(list->p[i]);
	}
	k->already_ended = list->n - n;
	list->n = n;
}

/* What must be known about all sessions before the first one is made again. */
static void record_describe(struct kept_record *r)
{
	struct snapshot snap;
	int party;

	r->reads = snapshot_read(&snap, record_span(r)) == 0;
	if (!r->reads)
		return;
	r->created_ns = snap.is.created_ns;
	r->fed = snap.feed[0].source != 0;
	r->call_id = snap.call_id;
	for (party = 0; party < SESSION_PARTIES; party++)
		r->local[party] = snap.is.leg[party].local;
}

bool kept_judge(struct kept *k, struct span boot_id)
{
	size_t i;

	if (meta_read(&k->meta, record_span(k->meta_record)) < 0)
		k->meta = (struct meta){ 0 };
	if (k->sessions.n + k->messages.n + k->replies.n && k->meta.boot_id.len &&
	    !span_eq(k->meta.boot_id, boot_id)) {
		kept_forget(k);
		return false;
	}
	drop_ended(k);
	for (i = 0; i < k->sessions.n; i++)
		record_describe(k->sessions.p[i]);
	return true;
}

bool kept_group(const struct kept *k, unsigned int group, struct group_epoch *out)
{
	for (size_t i = 0; i < k->groups.n; i++)
		if (k->groups.p[i]->key == record_key(RECORD_GROUP, group) &&
		    group_epoch_read(out, record_span(k->groups.p[i])) == 0 && out->epoch)
			return true;
	return false;
}

bool kept_ports(const struct kept *k, unsigned int *lowest, unsigned int *highest)
{
	size_t i;
	int party;

	*lowest = UINT16_MAX;
	*highest = 0;
	for (i = 0; i < k->sessions.n; i++) {
		for (party = 0; party < SESSION_PARTIES; party++) {
			unsigned int port = k->sessions.p[i]->local[party].port;

			if (!port)
				continue;
			*lowest = MIN(*lowest, port);
			*highest = MAX(*highest, port + 1);
		}
	}
	return *highest > 0;
}

size_t kept_locals(const struct kept *k, struct addr **out)
{
	size_t i, n = 0;
	int party;

	*out = malloc(k->sessions.n * SESSION_PARTIES * 2 * sizeof(**out));
	for (i = 0; i < k->sessions.n && *out; i++) {
		for (party = 0; party < SESSION_PARTIES; party++) {
			const struct addr *local = &k->sessions.p[i]->local[party];

			if (!local->port)
				continue;
			(*out)[n++] = *local;
			(*out)[n++] = addr_with_port(*local, local->port + 1);
		}
	}
	return n;
}

static int newest_first(const void *a, const void *b)
{
	const struct kept_record *x = *(struct kept_record *const *)a;
	const struct kept_record *y = *(struct kept_record *const *)b;

	return x->stamp > y->stamp ? -1 : x->stamp < y->stamp;
}

static int by_key(const void *a, const void *b)
{
	const struct kept_record *x = *(struct kept_record *const *)a;
	const struct kept_record *y = *(struct kept_record *const *)b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int oldest_call_first(const void *a, const void *b)
{
	const struct kept_record *x = *(struct kept_record *const *)a;
	const struct kept_record *y = *(struct kept_record *const *)b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* Sort a list that may be sorted already, as the list of a journal that was just written is. */
static void list_sort(struct kept_list *list, int (*order)(const void *a, const void *b))
{
	size_t i = 1;

	while (i < list->n && order(&list->p[i - 1], &list->p[i]) <= 0)
		i++;
	if (i < list->n)
		qsort(list->p, list->n, sizeof(*list->p), order);
}

/* A bit for each pair of ports that belongs to a call of the journal. */
struct claims {
	const struct ports *ports;
	uint8_t bits[RTPX_MAX_POOLS][65536 / 16];
};

static bool claim(struct claims *all, const struct addr *local)
{
	unsigned int pair = local->port / 2, pool = ports_pool(all->ports, local);
	uint8_t bit = 1 << (pair & 7), *byte = &all->bits[pool][pair / 8];

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
static bool is_current(struct claims *all, struct kept_record *kept)
{
	int i;

	if (!kept->reads) {
		log_err("a record of the journal describes no call");
		return false;
	}
	for (i = 0; i < SESSION_PARTIES; i++)
		if (!claim(all, &kept->local[i])) {
			log_warn("call %.*s: not restored, a newer record has its port %u",
				 (int)kept->call_id.len, kept->call_id.p, kept->local[i].port);
			return false;
		}
	return true;
}

/* Drop the records that are not current, and sort the others by the start of their calls. */
static void sort_loaded(struct kept *k, const struct ports *ports)
{
	struct claims claims = { .ports = ports };
	struct kept_list *list = &k->sessions;
	size_t i, n = 0;

	list_sort(list, newest_first);
	for (i = 0; i < list->n; i++) {
		if (is_current(&claims, list->p[i]))
			list->p[n++] = list->p[i];
		else
			free(list->p[i]);
	}
	k->lost += list->n - n;
	list->n = n;
	list_sort(list, oldest_call_first);
}

/* ---- making calls ---- */

static void claim_ports(struct kept_record *kept, struct ports *ports)
{
	int party;

	for (party = 0; party < SESSION_PARTIES; party++) {
		const struct addr *local = &kept->local[party];

		kept->claimed[party] = local->port && ports_claim(ports, ports_pool(ports, local),
								  local->port) == 0;
	}
}

static void unclaim_ports(struct kept_record *kept, struct ports *ports)
{
	int party;

	for (party = 0; party < SESSION_PARTIES; party++)
		if (kept->claimed[party])
			ports_unclaim(ports, ports_pool(ports, &kept->local[party]),
				      kept->local[party].port);
}

/* The call could not be made: others may have its ports. */
static void give_ports(struct kept_record *kept, struct restorer *r)
{
	int party;

	for (party = 0; party < SESSION_PARTIES; party++) {
		unsigned int pool = ports_pool(r->ports, &kept->local[party]);
		uint16_t port = kept->local[party].port;

		if (kept->claimed[party] && ports_claim(r->ports, pool, port) == 0)
			ports_give(r->ports, pool, port, r->now_ns);
	}
}

static struct kept_record *first_of_call(const struct kept *k, struct span call_id)
{
	struct table_link *link = table_first(&k->calls, table_hash(call_id.p, call_id.len));

	for (; link; link = table_next(link)) {
		struct kept_record *r = container_of(link, struct kept_record, by_call);

		if (span_eq(r->call_id, call_id))
			return r;
	}
	return NULL;
}

/* A pair of ports is its own hash. At most a few addresses have the same pair. */
static uint32_t pair_of(const struct addr *local)
{
	return local->port / 2;
}

/* List the record for kept_make() and kept_make_at(). 0 or -ENOMEM. */
static int record_list(struct kept *k, struct kept_record *r)
{
	struct kept_record *first = first_of_call(k, r->call_id);
	int party;

	for (party = 0; party < SESSION_PARTIES; party++)
		if (r->local[party].port &&
		    table_add(&k->ports[party], &r->by_port[party], pair_of(&r->local[party])))
			return -ENOMEM;
	if (table_add(&k->numbers, &r->by_number, (uint32_t)r->key))
		return -ENOMEM;
	if (!first) {
		r->last_of_call = r;
		return table_add(&k->calls, &r->by_call, table_hash(r->call_id.p, r->call_id.len));
	}
	first->last_of_call->next_of_call = r;
	first->last_of_call = r;
	return 0;
}

static void on_wanted(void *arg, struct span call_id, uint32_t number)
{
	struct restorer *r = arg;

	kept_make(r->kept, r, call_id, number);
}

static bool on_wanted_next(void *arg)
{
	struct restorer *r = arg;

	return kept_next(r->kept, r);
}

/* The sessions that are left are counted, and made when a command asks for them. */
static void expect_left(struct kept *k, struct restorer *r, uint32_t last)
{
	const struct sessions_expected e = { k->left, on_wanted, on_wanted_next, r };

	sessions_expect(r->sessions, &e, last);
}

/* Connect a fed session to its sources. */
static void make_feeds(struct kept *k, struct restorer *r, const struct snapshot *snap)
{
	int i;

	for (i = 0; i < SNAPSHOT_MAX_FEEDS; i++)
		if (snap->feed[i].source)
			kept_make(k, r, (struct span){ 0 }, snap->feed[i].source);
	restore_feeds(r, snap);
}

/* Recordings and copies come before the flow: the flow says whether its packets are mirrored. */
static void record_make(struct kept *k, struct restorer *r, struct kept_record *kept)
{
	struct session *s = NULL;
	struct snapshot snap;
	bool failed;

	if (kept->made)
		return;
	kept->made = true;
	k->left--;
	r->now_ns = clock_now();
	unclaim_ports(kept, r->ports);
	failed = snapshot_read(&snap, record_span(kept)) || restore_session(r, &snap, &s);
	expect_left(k, r, 0);
	if (failed) {
		give_ports(kept, r);
		k->lost++;
		return;
	}
	k->restored++;
	restore_media(r, s, &snap);
	restore_silence(r, s, sync_adopt(r->sync, s));
	if (kept->fed)
		make_feeds(k, r, &snap);
}

/*
 * Add the sessions that began after the counters were written. Ended sessions need no correction:
 * the counters are written with each end.
 */
static void restore_created(const struct kept *k, struct stats *stats)
{
	stats->nsess_created = MAX(stats->nsess_created, stats->nsess_destroyed + k->sessions.n);
}

void kept_begin(struct kept *k, struct restorer *r)
{
	struct kept_list *list = &k->sessions;
	uint32_t last = 0;
	size_t i;

	r->kept = k;
	r->exact = k->meta.clean;
	if (k->meta.alive_ns && k->meta.alive_ns < r->now_ns)
		r->away_ns = r->now_ns - k->meta.alive_ns;
	sort_loaded(k, r->ports);
	for (i = 0; i < list->n; i++) {
		if (record_list(k, list->p[i])) {
			k->lost++;
			list->p[i]->made = true;
			continue;
		}
		claim_ports(list->p[i], r->ports);
		last = MAX(last, (uint32_t)list->p[i]->key);
		k->left++;
	}
	restore_created(k, r->stats);
	sync_adopt_begin(r->sync);
	expect_left(k, r, last);
	kept_next(k, r);
}

bool kept_next(struct kept *k, struct restorer *r)
{
	while (k->next < k->sessions.n && k->sessions.p[k->next]->made)
		k->next++;
	if (k->next >= k->sessions.n)
		return false;
	record_make(k, r, k->sessions.p[k->next++]);
	return true;
}

void kept_make(struct kept *k, struct restorer *r, struct span call_id, uint32_t number)
{
	struct kept_record *kept = call_id.p ? first_of_call(k, call_id) : NULL;
	struct table_link *link;

	for (; kept; kept = kept->next_of_call)
		record_make(k, r, kept);
	if (call_id.p)
		return;
	if (!number)
		while (kept_next(k, r))
			;
	link = table_first(&k->numbers, number);
	if (number && link)
		record_make(k, r, container_of(link, struct kept_record, by_number));
}

static bool is_at(const struct addr *local, const struct addr *dest)
{
	return local->family == dest->family && pair_of(local) == pair_of(dest) &&
	       (addr_is_any(local) || addr_host_eq(local, dest));
}

void kept_make_at(struct kept *k, struct restorer *r, const struct addr *dest)
{
	int party;

	for (party = 0; party < SESSION_PARTIES && k->left; party++) {
		struct table_link *link = table_first(&k->ports[party], pair_of(dest));

		for (; link && k->left; link = table_next(link)) {
			struct kept_record *kept =
				container_of(link - party, struct kept_record, by_port[0]);

			if (is_at(&kept->local[party], dest))
				record_make(k, r, kept);
		}
	}
}

/*
 * Add the packets that dataplanes forwarded since the counters were written. The records of
 * sessions have counts of the same packets, but may be older than the counters.
 */
static void add_forwarded(const struct kept *k, const struct restorer *r)
{
	struct stats *stats = r->stats;
	uint64_t relayed = stats->live_relayed + k->ended_relayed;
	uint64_t strangers = stats->live_strangers + k->ended_strangers;

	if (!k->meta.has_live && !k->meta.clean)
		return; /* unknown how many of these the counters include */
	if (k->meta.has_live) {
		relayed -= MIN(relayed, k->meta.live_relayed);
		strangers -= MIN(strangers, k->meta.live_strangers);
	} else {
		relayed -= MIN(relayed, r->recorded_relayed);
		strangers -= MIN(strangers, r->recorded_strangers);
	}
	stats->npkts_rcvd += relayed + strangers;
	stats->npkts_relayed += relayed;
	stats->npkts_discard += strangers;
}

/* No look-up comes any more: no session is expected. */
bool kept_tidy(struct kept *k, uint64_t until_ns)
{
	struct kept_list *list = &k->sessions;

	while (list->n) {
		free(list->p[--list->n]);
		if (list->n % 64 == 0 && clock_now() >= until_ns)
			return list->n > 0;
	}
	return false;
}

unsigned int kept_end(struct kept *k, struct restorer *r)
{
	unsigned int orphans = sync_adopt_end(r->sync);
	int party;

	add_forwarded(k, r);
	list_free(&k->sessions);
	table_free(&k->calls);
	table_free(&k->numbers);
	for (party = 0; party < SESSION_PARTIES; party++)
		table_free(&k->ports[party]);
	log_info("%u calls of the previous rtpxd go on after %.3f s, %u are lost", k->restored,
		 (double)r->away_ns / NSEC_PER_SEC, k->lost);
	if (orphans)
		log_warn("removed %u flows of calls that are not in the journal", orphans);
	return k->restored;
}

void kept_each_left(const struct kept *k, void (*fn)(void *arg, uint64_t key, struct span body),
		    void *arg)
{
	size_t i;

	for (i = k->next; i < k->sessions.n; i++)
		if (!k->sessions.p[i]->made)
			fn(arg, k->sessions.p[i]->key, record_span(k->sessions.p[i]));
}

void kept_each(struct kept *k, void (*fn)(void *arg, uint64_t key, struct span body), void *arg)
{
	struct kept_list *const lists[] = { &k->sessions, &k->messages };
	size_t i, kind;

	for (kind = 0; kind < ARRAY_SIZE(lists); kind++) {
		list_sort(lists[kind], by_key);
		for (i = 0; i < lists[kind]->n; i++)
			fn(arg, lists[kind]->p[i]->key, record_span(lists[kind]->p[i]));
	}
	list_sort(&k->sessions, oldest_call_first);
}

static char *text_of(struct span s)
{
	return s.len ? strndup(s.p, s.len) : NULL;
}

static int restore_message(const struct waiting *w, unsigned int group, struct notify *notify,
			   uint64_t now_ns)
{
	char *target = text_of(w->target), *call_id = text_of(w->call_id);
	char *from_tag = text_of(w->from_tag), *to_tag = text_of(w->to_tag);
	char *tag = text_of(w->tag);
	const struct notify_message m = {
		.target = target ? target : "",
		.event = { call_id ? call_id : "", from_tag ? from_tag : "", to_tag, tag, group },
		.queued_ns = MIN(w->queued_ns, now_ns),
	};
	int rc = notify_restore(notify, &m);

	free(target);
	free(call_id);
	free(from_tag);
	free(to_tag);
	free(tag);
	return rc;
}

void kept_restore_messages(struct kept *k, struct notify *notify, uint64_t now_ns)
{
	unsigned int lost = 0;
	size_t i;

	list_sort(&k->messages, by_key);
	for (i = 0; i < k->messages.n; i++) {
		struct waiting w = { 0 };

		if (waiting_read(&w, record_span(k->messages.p[i])) == 0) {
			w.queued_ns += (uint64_t)k->messages.p[i]->shift_ns;
			lost += restore_message(&w, session_group((uint32_t)k->messages.p[i]->key),
						notify, now_ns) < 0;
		} else {
			lost++;
		}
	}
	if (lost)
		log_warn("%u notifications of the previous rtpxd are lost: their targets are none "
			 "of the -n options now",
			 lost);
	list_free(&k->messages);
}

void kept_restore_replies(struct kept *k, struct cookies *cookies, uint64_t now_ns)
{
	size_t i;

	for (i = 0; i < k->replies.n; i++) {
		struct replied r = { 0 };

		if (replied_read(&r, record_span(k->replies.p[i])) == 0)
			cookies_restore(cookies, span_not_null(r.key), span_not_null(r.reply),
					MIN(r.stored_ns, now_ns));
	}
	list_free(&k->replies);
}

void kept_replace_meta(struct kept *k, struct span body)
{
	free(k->meta_record);
	k->meta_record = record_new(RECORD_META, 0, body);
	if (!k->meta_record || meta_read(&k->meta, record_span(k->meta_record)) < 0)
		k->meta = (struct meta){ 0 };
}

void kept_forget(struct kept *k)
{
	list_free(&k->sessions);
	list_free(&k->messages);
	list_free(&k->replies);
	list_free(&k->groups);
}

void kept_free(struct kept *k)
{
	kept_forget(k);
	free(k->meta_record);
	*k = (struct kept){ 0 };
}
