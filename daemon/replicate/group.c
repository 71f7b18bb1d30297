/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.c - the roles of the owner and of the standby.
 *
 * The owner writes batches with one script, which compares the epoch before it writes anything. One
 * batch is under way at a time; changes of that time gather. Each second one batch goes out even if
 * it is empty: it is the heartbeat.
 *
 * The standby has two connections: one waits for entries of the stream, the other carries the rest.
 */
#include "replicate/group.h"

#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/provoked.h"
#include "replicate/changes.h"

#define GATHER_MS 2   /* changes wait that long for others */
#define BATCH_MAX 500 /* changes; the script's unpack() takes some thousand words */
#define BATCH_BYTES (512u << 10)
#define STREAM_LENGTH "10000" /* entries, about */
#define KEEP_S "3600"	      /* all keys, after the latest heartbeat */
#define HEARTBEAT_MS "3000"
#define SCAN_COUNT "500"
#define FOLLOW_MS "1000"

enum key { KEY_EPOCH, KEY_OWNER, KEY_RECORDS, KEY_SEQ, KEY_CHANGES, KEY_STANDBY, KEYS };
static const char *const key_names[KEYS] = {
	[KEY_EPOCH] = "epoch", [KEY_OWNER] = "owner",	  [KEY_RECORDS] = "records",
	[KEY_SEQ] = "seq",     [KEY_CHANGES] = "changes", [KEY_STANDBY] = "standby",
};

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define VERSION TEXT_OF(GROUP_VERSION)

/*
 * The value of the epoch's key is "VERSION EPOCH NAME". A script that changes the version leaves
 * out a number of the batches: a standby then reads all again, and the version first. Without that
 * a standby of an earlier version would take records for good that it cannot read.
 *
 * write: ARGV is epoch, name, value of the owner's key, owner's clock, then a name and a body for
 * each change. Returns "ok" and the standby's name, or "fenced" and the value of the epoch's key.
 */
static const char write_script[] =
	"local said = redis.call('GET', KEYS[1]) "
	"if said then "
	"  local version, epoch, name = string.match(said, '^(%d+) (%d+) (%S+)$') "
	"  epoch = tonumber(epoch) or math.huge "
	"  if epoch > tonumber(ARGV[1]) or (epoch == tonumber(ARGV[1]) and name ~= ARGV[2]) then "
	"    return {'fenced', said} end "
	"  if version ~= '" VERSION "' then redis.call('INCR', KEYS[4]) end "
	"end "
	"redis.call('SET', KEYS[1], '" VERSION " ' .. ARGV[1] .. ' ' .. ARGV[2]) "
	"redis.call('SET', KEYS[2], ARGV[3], 'PX', " HEARTBEAT_MS ") "
	"for i = 5, #ARGV, 2 do "
	"  local kind, key = string.sub(ARGV[i], 1, 1), string.sub(ARGV[i], 2) "
	"  if kind == 'p' then redis.call('HSET', KEYS[3], key, ARGV[i + 1]) "
	"  elseif kind == 'd' then redis.call('HDEL', KEYS[3], key) end "
	"end "
	"if #ARGV > 4 then "
	"  redis.call('XADD', KEYS[5], 'MAXLEN', '~', " STREAM_LENGTH ", '*', "
	"    'n', redis.call('INCR', KEYS[4]), 'c', ARGV[4], unpack(ARGV, 5)) "
	"end "
	"for _, i in ipairs({1, 3, 4, 5}) do redis.call('EXPIRE', KEYS[i], " KEEP_S ") end "
	"return {'ok', redis.call('GET', KEYS[6]) or ''}";

/* take: ARGV is the name. Returns the new epoch, or a text: the value of a newer version. */
static const char take_script[] =
	"local said, epoch = redis.call('GET', KEYS[1]), 0 "
	"if said then "
	"  local version, before = string.match(said, '^(%d+) (%d+) ') "
	"  if not version or tonumber(version) > " VERSION " then return said end "
	"  if version ~= '" VERSION "' then redis.call('INCR', KEYS[4]) end "
	"  epoch = tonumber(before) "
	"end "
	"epoch = epoch + 1 "
	"redis.call('SET', KEYS[1], string.format('" VERSION
	" %d %s', epoch, ARGV[1]), 'EX', " KEEP_S ") "
	"redis.call('SET', KEYS[2], 'owns ' .. ARGV[1], 'PX', " HEARTBEAT_MS ") "
	"return epoch";

enum role { STANDBY, TAKING, OWNER };

struct group {
	struct group_opts o;
	struct event_base *base;
	struct redis *ask, *follow;
	struct event *gather, *tick, *patience;
	struct changes *changes;
	char *keys[KEYS];
	char name[GROUP_NAME_MAX];
	enum role role;
	bool raised; /* the epoch in Redis is ours */
	bool fenced;
	bool listed;	/* owner: changes are gathered for Redis */
	bool behind;	/* owner: Redis lacks changes that were dropped */
	bool in_flight; /* a batch is */
	bool listing;	/* a reconciliation is under way */
	bool refused;	/* the log says that Redis refuses writes */
	bool releasing, released;
	bool raising; /* the question for that is under way */
	/* standby: */
	bool was_whole;	   /* all records were read once */
	bool reading_last; /* the entries before the takeover are read */
	bool too_new;	   /* the owner writes keys of a newer version */
	bool reading;	   /* the hash is read */
	bool waiting_for_entries;
	char last_id[64]; /* of the stream's entry read last */
	uint64_t seq;	  /* its number; 0: not known */
	int64_t ahead_ns; /* our clock less the owner's, the smallest seen; INT64_MAX: not known */
	uint64_t tick_count;
	struct group_view view;
};

/* ---- commands ---- */

static struct span number_span(char text[24], uint64_t value)
{
	return (struct span){ text, (size_t)snprintf(text, 24, "%" PRIu64, value) };
}

/* The first words of an EVAL: the script and all keys. Returns their number. */
static unsigned int script_words(const struct group *g, const char *script, struct span *out)
{
	unsigned int n = 0;

	out[n++] = span_of("EVAL");
	out[n++] = span_of(script);
	out[n++] = span_of("6");
	for (int i = 0; i < KEYS; i++)
		out[n++] = span_of(g->keys[i]);
	return n;
}

/* ---- the owner ---- */

static void write_batch(struct group *g);

/* Redis lacks changes: drop the others too, and write everything again at the next second. */
static void fall_behind(struct group *g)
{
	g->view.dropped += changes_count(g->changes);
	changes_drop(g->changes);
	g->behind = true;
	g->listed = false;
	g->view.whole = false;
}

static void gather(struct group *g, unsigned int ms)
{
	const struct timeval tv = { 0, (suseconds_t)ms * 1000 };

	if (!event_pending(g->gather, EV_TIMEOUT, NULL))
		event_add(g->gather, &tv);
}

static void on_fenced(struct group *g, struct span said)
{
	char by[GROUP_NAME_MAX] = "";

	if (g->fenced)
		return;
	if (said.p)
		sscanf(said.p, "%*u %*u %63s", by);
	g->fenced = true;
	g->listed = false;
	changes_drop(g->changes);
	g->o.fenced(g->o.arg, by);
}

static void on_written(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;
	struct span word, text;

	g->in_flight = false;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
		if (!g->refused)
			log_err("standby: group %s: Redis refuses to write (%s): a standby would "
				"not know later changes; it is tried again every second",
				g->o.name,
				reply->type == REDIS_REPLY_ERROR ? reply->str : "an odd answer");
		g->refused = true;
		fall_behind(g);
		return;
	}
	if (g->refused)
		log_warn("standby: group %s: Redis writes again", g->o.name);
	g->refused = false;
	word = redis_span(reply->element[0]);
	text = redis_span(reply->element[1]);
	if (!span_eq(word, span_of("ok"))) {
		on_fenced(g, text);
		return;
	}
	snprintf(g->view.peer, sizeof(g->view.peer), "%.*s", (int)text.len, text.p ? text.p : "");
	g->view.standby_there = text.len > 0;
	g->raised = true;
	g->view.batches++;
	if (g->releasing && !changes_count(g->changes))
		g->released = true;
	else if (changes_count(g->changes))
		write_batch(g);
	else
		g->view.whole = g->listed && !g->behind;
}

/* Write waiting changes, or only the heartbeat. */
static void write_batch(struct group *g)
{
	struct span words[3 + KEYS + 4 + 2 * BATCH_MAX];
	struct change *taken[BATCH_MAX];
	unsigned int n, i, n_taken = 0;
	char epoch[24], now[24], owner[GROUP_NAME_MAX + 16];
	size_t bytes = 0;
	int rc;

	if (g->in_flight || !redis_is_up(g->ask) || g->fenced || !g->view.epoch)
		return;
	n = script_words(g, write_script, words);
	words[n++] = number_span(epoch, g->view.epoch);
	words[n++] = span_of(g->name);
	snprintf(owner, sizeof(owner), "%s %s", g->releasing ? "released" : "owns", g->name);
	words[n++] = span_of(owner);
	words[n++] = number_span(now, clock_now());
	while (n_taken < BATCH_MAX && bytes < BATCH_BYTES &&
	       (taken[n_taken] = changes_take(g->changes))) {
		struct change *c = taken[n_taken++];

		words[n++] = span_of(c->name);
		words[n++] = (struct span){ c->body, c->len };
		bytes += c->len;
	}
	rc = redis_ask(g->ask, n, words, on_written, g);
	for (i = 0; i < n_taken; i++)
		free(taken[i]);
	g->in_flight = rc == 0;
	g->view.changes += rc ? 0 : n_taken;
	if (rc && n_taken) {
		g->view.dropped += n_taken;
		fall_behind(g);
	}
}

static void on_gather(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	write_batch(arg);
}

static void add_change(struct group *g, enum change_kind kind, uint64_t key, struct span body)
{
	if (!g->listed)
		return; /* everything is put later */
	if (changes_add(g->changes, kind, key, body)) {
		log_provoked(PROVOKED_REDIS_SLOW, NULL);
		fall_behind(g);
		return;
	}
	gather(g, GATHER_MS);
}

void group_put(struct group *g, uint64_t key, struct span body)
{
	add_change(g, CHANGE_PUT, key, body);
}

void group_gone(struct group *g, uint64_t key)
{
	add_change(g, CHANGE_GONE, key, (struct span){ "", 0 });
}

void group_pass(struct group *g, uint64_t key, struct span body)
{
	add_change(g, CHANGE_PASSING, key, body);
}

void group_all_put(struct group *g)
{
	gather(g, 1);
}

/* Put every record of the model. Records in Redis that are not among them have ended. */
static void on_keys(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;
	struct span field;
	uint64_t key;

	g->listing = false;
	if (reply->type != REDIS_REPLY_ARRAY || g->fenced)
		return; /* as behind as before */
	g->listed = true;
	g->behind = false;
	g->o.put_all(g->o.arg);
	for (size_t i = 0; i < reply->elements && g->listed; i++) {
		field = redis_span(reply->element[i]);
		if (field.p && change_key(field, &key) && !changes_has(g->changes, key))
			group_gone(g, key);
	}
}

static void reconcile(struct group *g)
{
	const struct span words[] = { span_of("HKEYS"), span_of(g->keys[KEY_RECORDS]) };

	if (g->listing)
		return;
	g->behind = true;
	g->listed = false;
	g->listing = redis_ask(g->ask, 2, words, on_keys, g) == 0;
}

static void become_owner(struct group *g)
{
	if (g->role == OWNER)
		return;
	g->role = OWNER;
	g->view.owner = true;
	g->view.whole = false;
	event_del(g->patience);
	g->o.own(g->o.arg);
	if (g->view.epoch && redis_is_up(g->ask))
		reconcile(g);
}

/* ---- the standby ---- */

static void follow(struct group *g);
static void read_all(struct group *g);
static void read_last(struct group *g);

/* Learn from an owner's clock how far ours is ahead. A delay on the way only makes that larger. */
static uint64_t owner_now(struct group *g, struct span clock)
{
	uint64_t now_ns = clock_now(), at = clock.p ? strtoull(clock.p, NULL, 10) : 0;

	if (at)
		g->ahead_ns = MIN(g->ahead_ns, (int64_t)(now_ns - at));
	return g->ahead_ns == INT64_MAX ? now_ns : (uint64_t)((int64_t)now_ns - g->ahead_ns);
}

static struct span element(const struct redisReply *array, size_t i)
{
	return i < array->elements ? redis_span(array->element[i]) : (struct span){ 0 };
}

/* One entry of the stream: [id, [n, N, c, CLOCK, name, body, …]]. False: it cannot be one. */
static bool take_entry(struct group *g, const struct redisReply *entry, bool apply)
{
	const struct redisReply *f;
	struct span id, n;
	uint64_t now_ns, seq;

	if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
	    entry->element[1]->type != REDIS_REPLY_ARRAY)
		return false;
	f = entry->element[1];
	id = redis_span(entry->element[0]);
	n = element(f, 1);
	if (!id.p || id.len >= sizeof(g->last_id) || !n.p)
		return false;
	snprintf(g->last_id, sizeof(g->last_id), "%.*s", (int)id.len, id.p);
	seq = strtoull(n.p, NULL, 10);
	if (apply && g->seq && seq != g->seq + 1)
		return false;
	g->seq = seq;
	now_ns = owner_now(g, element(f, 3));
	for (size_t i = 4; apply && i + 1 < f->elements; i += 2) {
		struct span body = element(f, i + 1);
		enum change_kind kind;
		uint64_t key;

		if (!change_parse(element(f, i), &kind, &key) || !body.p)
			continue; /* of a later version */
		g->view.changes++;
		if (kind == CHANGE_PUT)
			g->o.put(g->o.arg, key, body, now_ns);
		else if (kind == CHANGE_GONE)
			g->o.gone(g->o.arg, key);
		else
			g->o.passing(g->o.arg, key, body, now_ns);
	}
	g->view.batches++;
	return true;
}

/* [[stream, [entry, …]]]. False: an entry is missing. */
static bool take_entries(struct group *g, const struct redisReply *reply)
{
	const struct redisReply *stream, *entries;

	if (reply->type != REDIS_REPLY_ARRAY || !reply->elements)
		return reply->type == REDIS_REPLY_NIL; /* none has come meanwhile */
	stream = reply->element[0];
	if (stream->type != REDIS_REPLY_ARRAY || stream->elements != 2)
		return false;
	entries = stream->element[1];
	for (size_t i = 0; i < entries->elements; i++)
		if (!take_entry(g, entries->element[i], true))
			return false;
	return true;
}

static void on_entries(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;

	g->waiting_for_entries = false;
	if (g->role == OWNER || g->reading_last)
		return; /* the other connection brings these entries */
	if (!take_entries(g, reply))
		read_all(g);
	else
		follow(g);
}

/* A stream that is not there any more (Redis lost its data) has no later entries: read all again.
 */
static void follow(struct group *g)
{
	const struct span words[] = {
		span_of("XREAD"),
		span_of("COUNT"),
		span_of("100"),
		span_of("BLOCK"),
		span_of(FOLLOW_MS),
		span_of("STREAMS"),
		span_of(g->keys[KEY_CHANGES]),
		span_of(g->last_id),
	};

	g->waiting_for_entries = redis_ask(g->follow, ARRAY_SIZE(words), words, on_entries, g) == 0;
}

static void scan(struct group *g, struct span cursor);

static void on_scanned(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;
	const struct redisReply *pairs;
	struct span cursor;
	uint64_t now_ns = owner_now(g, (struct span){ 0 }), key;

	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || g->role == OWNER)
		return; /* the next tick reads again */
	cursor = redis_span(reply->element[0]);
	pairs = reply->element[1];
	for (size_t i = 0; i + 1 < pairs->elements; i += 2) {
		struct span field = element(pairs, i), body = element(pairs, i + 1);

		if (field.p && body.p && change_key(field, &key))
			g->o.put(g->o.arg, key, body, now_ns);
	}
	if (!span_eq(cursor, span_of("0"))) {
		scan(g, cursor);
		return;
	}
	g->reading = false;
	g->view.whole = g->was_whole = true;
	g->o.read_end(g->o.arg);
	read_last(g);
	follow(g);
}

static void scan(struct group *g, struct span cursor)
{
	const struct span words[] = {
		span_of("HSCAN"), span_of(g->keys[KEY_RECORDS]), cursor,
		span_of("COUNT"), span_of(SCAN_COUNT),
	};

	redis_ask(g->follow, ARRAY_SIZE(words), words, on_scanned, g);
}

/* Refuse to follow keys that a newer version writes. */
static void on_version(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;
	struct span said = redis_span(reply);

	g->too_new = said.p && strtoul(said.p, NULL, 10) > GROUP_VERSION;
	if (g->too_new)
		log_provoked(PROVOKED_REDIS_NEWER, NULL);
}

static void on_latest(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;

	if (g->too_new) {
		g->reading = false; /* the next tick looks again */
		return;
	}
	g->seq = 0;
	strcpy(g->last_id, "0-0");
	if (reply->type == REDIS_REPLY_ARRAY && reply->elements)
		take_entry(g, reply->element[0], false);
	g->o.read_begin(g->o.arg);
	scan(g, span_of("0"));
}

/* Find the stream's latest entry, read the hash, then follow the stream from that entry. */
static void read_all(struct group *g)
{
	const struct span words[] = {
		span_of("XREVRANGE"), span_of(g->keys[KEY_CHANGES]),
		span_of("+"),	      span_of("-"),
		span_of("COUNT"),     span_of("1"),
	};
	const struct span version[] = { span_of("GET"), span_of(g->keys[KEY_EPOCH]) };

	g->view.whole = false;
	redis_ask(g->follow, ARRAY_SIZE(version), version, on_version, g);
	g->reading = redis_ask(g->follow, ARRAY_SIZE(words), words, on_latest, g) == 0;
}

static void on_owner(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;
	struct span said = redis_span(reply);
	bool heard = said.len > 5 && !strncmp(said.p, "owns ", 5);

	if (g->role != STANDBY)
		return;
	if (heard)
		snprintf(g->view.peer, sizeof(g->view.peer), "%.*s", (int)said.len - 5, said.p + 5);
	if (g->view.heard && !heard)
		log_warn("standby: group %s: %s, the owner, %s; this daemon takes over when it "
			 "gets the media address, or by rtpxctl takeover",
			 g->o.name, g->view.peer,
			 said.p ? "has ended" : "has not been heard for 3 s");
	else if (!g->view.heard && heard)
		log_info("standby: group %s: %s is the owner", g->o.name, g->view.peer);
	g->view.heard = heard;
}

static void say_there(struct group *g)
{
	const struct span set[] = {
		span_of("SET"), span_of(g->keys[KEY_STANDBY]), span_of(g->name),
		span_of("PX"),	span_of(HEARTBEAT_MS),
	};
	const struct span get[] = { span_of("GET"), span_of(g->keys[KEY_OWNER]) };

	redis_ask(g->ask, ARRAY_SIZE(set), set, NULL, NULL);
	redis_ask(g->ask, ARRAY_SIZE(get), get, on_owner, g);
}

/* ---- taking over ---- */

static void on_last_entries(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;

	if (g->role == TAKING)
		take_entries(g, reply);
	become_owner(g);
}

/*
 * The previous owner cannot write any more. Read the entries that have not come yet; if the hash
 * has not been read yet, wait for its end.
 */
static void read_last(struct group *g)
{
	const struct span words[] = {
		span_of("XREAD"),
		span_of("STREAMS"),
		span_of(g->keys[KEY_CHANGES]),
		span_of(g->last_id),
	};

	if (g->role != TAKING || !g->raised || !g->view.whole)
		return;
	g->reading_last = true;
	if (redis_ask(g->ask, ARRAY_SIZE(words), words, on_last_entries, g))
		become_owner(g);
}

static void on_raised(void *arg, const struct redisReply *reply)
{
	struct group *g = arg;

	g->raising = false;
	if (reply->type != REDIS_REPLY_INTEGER) {
		log_provoked(PROVOKED_REDIS_EPOCH, NULL,
			     redis_span(reply).p		? "a newer version of rtpx wrote it"
			     : reply->type == REDIS_REPLY_ERROR ? reply->str
								: "an odd answer");
		return; /* the patience of group_take_over() ends */
	}
	g->view.epoch = (uint64_t)reply->integer;
	g->raised = true;
	log_info("standby: group %s: this daemon takes over, epoch %" PRIu64, g->o.name,
		 g->view.epoch);
	if (g->role == OWNER)
		reconcile(g);
	else
		read_last(g);
}

static void raise_epoch(struct group *g)
{
	struct span words[3 + KEYS + 1];
	unsigned int n = script_words(g, take_script, words);

	words[n++] = span_of(g->name);
	if (!g->raising && !g->raised)
		g->raising = redis_ask(g->ask, n, words, on_raised, g) == 0;
}

static void on_patience(evutil_socket_t fd, short what, void *arg)
{
	struct group *g = arg;

	(void)fd, (void)what;
	log_warn("standby: group %s: Redis %s; this daemon takes over with the records that it "
		 "has",
		 g->o.name, g->view.up ? "is slow" : "is not there");
	become_owner(g);
}

void group_take_over(struct group *g)
{
	unsigned int ms = g->was_whole ? GROUP_PATIENCE_MS : GROUP_START_PATIENCE_MS;
	const struct timeval patience = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (g->role != STANDBY)
		return;
	g->role = TAKING;
	event_add(g->patience, &patience);
	if (redis_is_up(g->ask))
		raise_epoch(g);
}

void group_go_on(struct group *g, uint64_t epoch)
{
	g->view.epoch = epoch;
	become_owner(g);
}

/* ---- connections and time ---- */

static void on_ask_up(void *arg)
{
	struct group *g = arg;

	if (g->view.reconnects++)
		log_warn("standby: group %s: Redis is there again", g->o.name);
	g->view.up = true;
	if (g->role == STANDBY)
		say_there(g);
	else if (!g->view.epoch)
		raise_epoch(g);
	else
		reconcile(g);
}

static void on_ask_down(void *arg, const char *why)
{
	struct group *g = arg;

	if (g->view.up || !g->tick_count)
		log_warn("standby: group %s: no connection to Redis: %s", g->o.name, why);
	g->view.up = false;
	g->in_flight = g->listing = g->raising = false;
	g->raised &= g->role != OWNER;
	if (g->role == OWNER)
		fall_behind(g);
}

/* The next tick ends the connection of an owner, which has its records from the journal. */
static void on_follow_up(void *arg)
{
	struct group *g = arg;

	if (g->role != OWNER)
		read_all(g);
}

static void on_follow_down(void *arg, const char *why)
{
	struct group *g = arg;

	(void)why; /* the other connection says it */
	g->reading = g->waiting_for_entries = false;
	g->view.whole = false;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct group *g = arg;

	(void)fd, (void)what;
	g->tick_count++;
	if (g->role == OWNER) { /* not in become_owner(), which a reply on it may have called */
		redis_free(g->follow);
		g->follow = NULL;
	}
	if (!redis_is_up(g->ask))
		return;
	if (g->role == STANDBY) {
		say_there(g);
		if (redis_is_up(g->follow) && !g->reading && !g->waiting_for_entries)
			read_all(g);
	} else if (g->role == TAKING || !g->view.epoch) {
		raise_epoch(g);
	} else {
		if (g->behind)
			reconcile(g);
		write_batch(g);
	}
}

/* ---- begin and end ---- */

static int make_keys(struct group *g)
{
	for (int i = 0; i < KEYS; i++)
		if (asprintf(&g->keys[i], "rtpx:{%s}:%s", g->o.name, key_names[i]) < 0) {
			g->keys[i] = NULL;
			return -ENOMEM;
		}
	return 0;
}

static int make_events(struct group *g)
{
	static const struct timeval second = { 1, 0 };

	g->gather = evtimer_new(g->base, on_gather, g);
	g->patience = evtimer_new(g->base, on_patience, g);
	g->tick = event_new(g->base, -1, EV_PERSIST, on_tick, g);
	return g->gather && g->patience && g->tick && event_add(g->tick, &second) == 0 ? 0
										       : -ENOMEM;
}

int group_new(struct group **out, struct event_base *base, const struct group_opts *opts,
	      const char *name, char *err, size_t err_size)
{
	struct redis_opts ask = {
		.url = opts->url,
		.password = opts->password,
		.ca_file = opts->ca_file,
		.up = on_ask_up,
		.down = on_ask_down,
	};
	struct redis_opts fol = ask;
	struct group *g = calloc(1, sizeof(*g));
	int rc;

	snprintf(err, err_size, "out of memory");
	if (!g)
		return -ENOMEM;
	g->o = *opts;
	g->base = base;
	g->ahead_ns = INT64_MAX;
	snprintf(g->name, sizeof(g->name), "%s", name);
	fol.up = on_follow_up;
	fol.down = on_follow_down;
	ask.arg = fol.arg = g;
	rc = changes_new(&g->changes);
	if (!rc)
		rc = make_keys(g);
	if (!rc)
		rc = make_events(g);
	if (!rc)
		rc = redis_new(&g->ask, base, &ask, err, err_size);
	if (!rc)
		rc = redis_new(&g->follow, base, &fol, err, err_size);
	if (rc)
		group_free(g);
	else
		*out = g;
	return rc;
}

void group_free(struct group *g)
{
	struct event *const events[] = { g ? g->gather : NULL, g ? g->tick : NULL,
					 g ? g->patience : NULL };

	if (!g)
		return;
	redis_free(g->ask);
	redis_free(g->follow);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	for (int i = 0; i < KEYS; i++)
		free(g->keys[i]);
	changes_free(g->changes);
	free(g);
}

void group_release(struct group *g, unsigned int ms)
{
	const uint64_t end_ns = clock_now() + ms * NSEC_PER_MSEC;

	if (g->role != OWNER || !g->raised || g->fenced)
		return;
	g->releasing = true;
	write_batch(g);
	while (!g->released && redis_is_up(g->ask) && !g->fenced && clock_now() < end_ns) {
		event_base_loop(g->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		if (!g->in_flight && !g->released)
			write_batch(g);
	}
}

void group_view(const struct group *g, struct group_view *out)
{
	*out = g->view;
	out->waiting = changes_count(g->changes);
	out->reconnects -= MIN(out->reconnects, 1u);
}
