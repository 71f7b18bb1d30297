/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.c - the table of sessions. Time comes in as an argument. Sockets and flows belong to
 * other modules.
 */
#include <errno.h>
#include <stdlib.h>

#include <utlist.h>

#include "call/session.h"
#include "base/fetch.h"
#include "call/dtmf.h"

#define WHEEL_S 128
#define FETCH_AT_ONCE 32
#define NAMES_BYTES 64 /* of the names behind a session, about */
#define LOOKS_MAX 256  /* sessions that one sessions_expired() looks at */

const char *const session_party_words[SESSION_PARTIES] = {
	[SESSION_CALLEE] = "callee",
	[SESSION_CALLER] = "caller",
};

struct sessions {
	struct session_opts o;
	struct table calls; /* by Call-ID: its first session that is not doomed one by one */
	struct table by_number;
	struct session *list;	 /* doomed sessions, then the others in creation order */
	struct session *dirty;	 /* sessions with flows to compile, in the order of marking */
	struct session *changed; /* sessions that the journal must write, in the order of marking */
	struct session *watched; /* sessions that time changes; the next to visit first */
	unsigned int n_watched;
	void (*ended)(void *arg, const struct session *s);
	void *ended_arg;
	struct session_cursor *cursors;
	struct session *due[WHEEL_S]; /* sessions to check in that second, see due_put() */
	uint64_t looked_s;	      /* the second that is being checked; its list has the rest */
	uint64_t now_s;		      /* the latest second to check */
	unsigned int count;
	uint32_t doomed_to; /* sessions up to this number are doomed */
	/* by group: the number in it that the newest session has */
	uint32_t last_number[SESSION_GROUPS];
	/* by group: all numbers were given once, so a living session may have the next */
	bool wrapped[SESSION_GROUPS];
	/* numbers do not rise in the order of the list: several groups have had sessions, or
	 * commands have asked for expected ones out of turn */
	bool several, mixed;
	struct sessions_expected expected;
};

int sessions_new(struct sessions **out, const struct session_opts *opts)
{
	struct sessions *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->o = *opts;
	*out = all;
	return 0;
}

void sessions_free(struct sessions *all)
{
	if (!all)
		return;
	while (all->list)
		session_destroy(all, all->list);
	table_free(&all->calls);
	table_free(&all->by_number);
	free(all);
}

unsigned int sessions_count(const struct sessions *all)
{
	return all->count + (all->doomed_to ? 0 : all->expected.n);
}

/* ---- expected sessions ---- */

void sessions_expect(struct sessions *all, const struct sessions_expected *e, uint32_t last)
{
	unsigned int group = session_group(last);

	all->expected = *e;
	all->last_number[group] = MAX(all->last_number[group], last & SESSION_NUMBER_MAX);
}

static void expected_make(const struct sessions *all, struct span call_id, uint32_t number)
{
	if (all->expected.n)
		all->expected.make(all->expected.arg, call_id, number);
}

static void expected_make_all(const struct sessions *all)
{
	expected_make(all, (struct span){ 0 }, 0);
}

/* ---- calls ---- */

static struct session *call_first(const struct sessions *all, struct span call_id)
{
	struct table_link *link = table_first(&all->calls, table_hash(call_id.p, call_id.len));
	struct session *s;

	for (; link; link = table_next(link)) {
		s = container_of(link, struct session, by_call_id);
		if (span_eq(span_of(s->call_id), call_id))
			return s;
	}
	return NULL;
}

/* Each round touches what the one before has asked for: the bucket, the first session. */
static void fetch_calls(const struct sessions *all, const struct span *call_ids, unsigned int n)
{
	uint32_t hash[FETCH_AT_ONCE];
	struct table_link *link;
	const struct session *s;
	unsigned int i;

	for (i = 0; i < n; i++) {
		hash[i] = table_hash(call_ids[i].p, call_ids[i].len);
		table_fetch_bucket(&all->calls, hash[i]);
	}
	for (i = 0; i < n; i++)
		table_fetch_first(&all->calls, hash[i]);
	for (i = 0; i < n; i++) {
		link = table_first(&all->calls, hash[i]);
		if (!link)
			continue;
		s = container_of(link, struct session, by_call_id);
		fetch_lines(s, (const char *)(s + 1) + NAMES_BYTES);
	}
}

void sessions_fetch(const struct sessions *all, const struct span *call_ids, unsigned int n)
{
	unsigned int some;

	for (; n; call_ids += some, n -= some) {
		some = MIN(n, FETCH_AT_ONCE);
		fetch_calls(all, call_ids, some);
	}
}

static int call_add(struct sessions *all, struct session *s)
{
	struct span call_id = span_of(s->call_id);
	struct session *first = call_first(all, call_id);

	if (!first && table_add(&all->calls, &s->by_call_id, table_hash(call_id.p, call_id.len)))
		return -ENOMEM;
	DL_APPEND2(first, s, prev_in_call, next_in_call);
	s->in_call = true;
	return 0;
}

static void call_remove(struct sessions *all, struct session *s)
{
	struct session *first;
	bool was_first;

	if (!s->in_call)
		return;
	s->in_call = false;
	was_first = !s->prev_in_call->next_in_call;
	first = was_first ? s : call_first(all, span_of(s->call_id));
	DL_DELETE2(first, s, prev_in_call, next_in_call);
	if (!was_first)
		return;
	table_del(&all->calls, &s->by_call_id);
	if (first) /* the table had room for @s, so it has room for the next one */
		table_add(&all->calls, &first->by_call_id, s->by_call_id.hash);
}

/* ---- the wheel of deadlines ---- */

static uint64_t deadline_of(const struct session *s)
{
	return MIN(s->leg[0].deadline_ns, s->leg[1].deadline_ns);
}

/*
 * Put a session on the wheel in the second of its deadline, or earlier. Traffic extends the
 * deadline but does not move the session. When its second comes, the session is put further on.
 * Traffic thus costs the wheel nothing, and a session is touched about once in its time to live.
 */
static void due_put(struct sessions *all, struct session *s)
{
	uint64_t second = MAX(deadline_of(s) / NSEC_PER_SEC, all->now_s + 1);

	s->due = MIN(second, all->looked_s + WHEEL_S - 1) % WHEEL_S;
	DL_APPEND2(all->due[s->due], s, due_prev, due_next);
}

static void due_take(struct sessions *all, struct session *s)
{
	DL_DELETE2(all->due[s->due], s, due_prev, due_next);
}

/* ---- birth and death ---- */

static struct session *number_find(const struct sessions *all, uint32_t number)
{
	struct table_link *link = table_first(&all->by_number, number);

	return link ? container_of(link, struct session, by_number) : NULL;
}

static uint32_t new_number(struct sessions *all, unsigned int group)
{
	uint32_t *last = &all->last_number[group];

	do {
		all->wrapped[group] |= *last == SESSION_NUMBER_MAX;
		*last = *last == SESSION_NUMBER_MAX ? 1 : *last + 1;
	} while (all->wrapped[group] && number_find(all, session_number(group, *last)));
	all->several |= group > 0;
	return session_number(group, *last);
}

/* The number is its own hash: numbers are consecutive, and so fill all buckets evenly. */
static int number_put(struct sessions *all, struct session *s)
{
	return table_add(&all->by_number, &s->by_number, s->number);
}

static void text_put(char *to, struct span text)
{
	memcpy(to, text.p, text.len);
	to[text.len] = '\0';
}

/* One block has the session and its names. */
static struct session *session_alloc(const struct dialog *of)
{
	struct session *s = calloc(1, sizeof(*s) + of->call_id.len + 1 + of->from_tag.len + 1);

	if (!s)
		return NULL;
	s->call_id = (char *)(s + 1);
	s->from_tag = s->call_id + of->call_id.len + 1;
	text_put(s->call_id, of->call_id);
	text_put(s->from_tag, of->from_tag);
	return s;
}

int session_create_in(struct sessions *all, unsigned int group, const struct dialog *of,
		      uint64_t now_ns, struct session **out)
{
	struct session *s = session_alloc(of);
	int i;

	if (!s)
		return -ENOMEM;
	s->number = new_number(all, group);
	if (number_put(all, s) || call_add(all, s)) {
		if (s->by_number.hash)
			table_del(&all->by_number, &s->by_number);
		free(s);
		return -ENOMEM;
	}
	legs_name(s);
	for (i = 0; i < 2; i++) {
		stream_init(&s->leg[i].stream[STREAM_RTP], STREAM_RTP);
		stream_init(&s->leg[i].stream[STREAM_RTCP], STREAM_RTCP);
		s->leg[i].ttl_s = all->o.setup_ttl_s;
	}
	s->notify = -1;
	s->created_ns = now_ns;
	DL_APPEND(all->list, s);
	all->count++;
	session_ttl_restart(s, now_ns);
	due_put(all, s);
	session_changed(all, s);
	*out = s;
	return 0;
}

int session_create(struct sessions *all, struct span call_id, struct span from_tag, uint64_t now_ns,
		   struct session **out)
{
	const struct dialog of = { .call_id = call_id, .from_tag = from_tag };

	return session_create_in(all, 0, &of, now_ns, out);
}

static int text_set(char **to, struct span text)
{
	char *copy = text.p ? strndup(text.p, text.len) : NULL;

	if (text.p && !copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

int session_set_to_tag(struct session *s, struct span to_tag)
{
	return s->to_tag && span_eq(span_of(s->to_tag), to_tag) ? 0 : text_set(&s->to_tag, to_tag);
}

/* Walks that have stopped before @s go on after it. */
static void cursors_leave(struct sessions *all, const struct session *s)
{
	struct session_cursor *c;

	LL_FOREACH2(all->cursors, c, other)
		if (c->at == s)
			c->at = s->next;
}

static void unwatch(struct sessions *all, struct session *s)
{
	s->watched = false;
	DL_DELETE2(all->watched, s, watched_prev, watched_next);
	all->n_watched--;
}

struct leg_rest *leg_rest_set(struct leg *leg)
{
	if (!leg->rest)
		leg->rest = calloc(1, sizeof(*leg->rest));
	return leg->rest;
}

struct session_rest *session_rest_set(struct session *s)
{
	if (!s->rest)
		s->rest = calloc(1, sizeof(*s->rest));
	return s->rest;
}

int session_set_notify_tag(struct session *s, struct span tag)
{
	if (!tag.p && !s->rest)
		return 0;
	return session_rest_set(s) ? text_set(&s->rest->notify_tag, tag) : -ENOMEM;
}

int leg_set_codecs(struct leg *leg, struct span codecs)
{
	if (!codecs.p && !leg->rest)
		return 0;
	return leg_rest_set(leg) ? text_set(&leg->rest->codecs, codecs) : -ENOMEM;
}

static void leg_free(struct leg *leg)
{
	stream_free(&leg->stream[STREAM_RTP]);
	stream_free(&leg->stream[STREAM_RTCP]);
	free(leg_rest(leg)->codecs);
	dtmf_free(leg_rest(leg)->dtmf);
	free(leg->rest);
}

void session_destroy(struct sessions *all, struct session *s)
{
	int i;

	if (all->ended && !s->asleep)
		all->ended(all->ended_arg, s);
	if (s->dirty)
		DL_DELETE2(all->dirty, s, dirty_prev, dirty_next);
	if (s->changed)
		DL_DELETE2(all->changed, s, changed_prev, changed_next);
	if (s->watched)
		unwatch(all, s);
	cursors_leave(all, s);
	all->count -= !s->asleep && !session_is_doomed(all, s);
	DL_DELETE(all->list, s);
	if (!s->asleep)
		due_take(all, s);
	call_remove(all, s);
	table_del(&all->by_number, &s->by_number);
	if (!all->expected.n && !session_doomed_next(all))
		all->doomed_to = 0;
	for (i = 0; i < 2; i++)
		leg_free(&s->leg[i]);
	free(session_rest(s)->notify_tag);
	free(s->rest);
	free(s->to_tag);
	free(s);
}

/* ---- doom ---- */

bool session_is_doomed(const struct sessions *all, const struct session *s)
{
	return s->doomed || s->number <= all->doomed_to;
}

/* Doomed sessions are the first of the list, and in no call. */
static void leave_living(struct sessions *all, struct session *s)
{
	all->count--;
	call_remove(all, s);
	cursors_leave(all, s);
	DL_DELETE(all->list, s);
	DL_PREPEND(all->list, s);
}

void session_doom(struct sessions *all, struct session *s, uint8_t why)
{
	if (session_is_doomed(all, s))
		return;
	s->doomed = why;
	leave_living(all, s);
	session_changed(all, s);
}

/*
 * Numbers rise in the order of the list unless there are several groups, or unless they have
 * wrapped, which takes 2^28 sessions. Then, and shortly before, doom one session after the other.
 */
void sessions_doom_all(struct sessions *all, uint8_t why)
{
	struct session *s, *next;

	if (!all->several && !all->wrapped[0] && all->last_number[0] < SESSION_NUMBER_MAX / 2) {
		all->doomed_to = all->list || all->expected.n ? all->last_number[0] : 0;
		all->count = 0;
		return;
	}
	expected_make_all(all);
	DL_FOREACH_SAFE(all->list, s, next)
		if (!s->asleep)
			session_doom(all, s, why);
}

void sessions_doom_group(struct sessions *all, unsigned int group, uint8_t why)
{
	struct session *s, *next;

	expected_make_all(all);
	DL_FOREACH_SAFE(all->list, s, next)
		if (!s->asleep && session_group(s->number) == group)
			session_doom(all, s, why);
}

struct session *session_doomed_next(const struct sessions *all)
{
	return all->list && session_is_doomed(all, all->list) ? all->list : NULL;
}

uint32_t sessions_doomed_to(const struct sessions *all)
{
	return all->doomed_to;
}

/* ---- sleep ---- */

void session_sleep(struct sessions *all, struct session *s)
{
	if (s->changed)
		DL_DELETE2(all->changed, s, changed_prev, changed_next);
	s->changed = false;
	s->asleep = true;
	all->count--;
	due_take(all, s);
	call_remove(all, s);
}

int session_wake(struct sessions *all, struct session *s)
{
	int rc = call_add(all, s);

	if (rc)
		return rc;
	s->asleep = false;
	all->count++;
	due_put(all, s);
	session_changed(all, s);
	return 0;
}

/* ---- look-ups ---- */

static struct span tag_of(const struct session *s)
{
	return span_of(s->from_tag);
}

/* The ";N" at the end of a tag, which is the medium's number; empty when there is none. */
static struct span medium_of(struct span tag)
{
	const char *semicolon = tag.len ? memrchr(tag.p, ';', tag.len) : NULL;

	if (!semicolon)
		return (struct span){ 0 };
	return (struct span){ semicolon, tag.len - (size_t)(semicolon - tag.p) };
}

static bool starts_with(struct span whole, struct span start)
{
	return whole.len >= start.len && memcmp(whole.p, start.p, start.len) == 0;
}

/* The session's tag is @to_tag, or @to_tag followed by the medium's number of @from_tag. */
static bool is_callee(struct span session_tag, struct span from_tag, struct span to_tag)
{
	struct span medium = medium_of(from_tag);

	if (!to_tag.p)
		return false;
	if (span_eq(session_tag, to_tag))
		return true;
	return medium.len && session_tag.len == to_tag.len + medium.len &&
	       starts_with(session_tag, to_tag) &&
	       memcmp(session_tag.p + to_tag.len, medium.p, medium.len) == 0;
}

struct leg *session_find(const struct sessions *all, const struct dialog *of)
{
	struct session *s;

	for (s = sessions_of_call(all, of->call_id); s; s = s->next_in_call) {
		if (span_eq(tag_of(s), of->from_tag))
			return &s->leg[SESSION_CALLER];
		if (is_callee(tag_of(s), of->from_tag, of->to_tag))
			return &s->leg[SESSION_CALLEE];
	}
	return NULL;
}

/* @tag is the session's tag, or the part of it before a ';'. */
static bool tag_matches(const struct session *s, struct span tag, bool *exact)
{
	struct span own = tag_of(s);

	*exact = tag.p && span_eq(own, tag);
	return *exact ||
	       (tag.p && own.len > tag.len && own.p[tag.len] == ';' && starts_with(own, tag));
}

struct session_matches session_matches(const struct sessions *all, const struct dialog *of)
{
	return (struct session_matches){
		.from_tag = of->from_tag,
		.to_tag = of->to_tag,
		.next = sessions_of_call(all, of->call_id),
	};
}

struct leg *session_match_next(struct session_matches *m)
{
	struct session *s;

	while ((s = m->next)) {
		m->next = s->next_in_call;
		if (tag_matches(s, m->from_tag, &m->exact))
			return &s->leg[SESSION_CALLER];
		if (tag_matches(s, m->to_tag, &m->exact))
			return &s->leg[SESSION_CALLEE];
	}
	return NULL;
}

/* Sessions that sessions_doom_all() has doomed precede the others of their call. */
struct session *sessions_of_call(const struct sessions *all, struct span call_id)
{
	struct session *s;

	expected_make(all, call_id, 0);
	s = call_first(all, call_id);
	while (s && session_is_doomed(all, s))
		s = s->next_in_call;
	return s;
}

struct session *session_numbered(const struct sessions *all, uint32_t number)
{
	if (number)
		expected_make(all, (struct span){ 0 }, number);
	return number_find(all, number);
}

/* False: @fn has ended the walk. */
static bool each_from(struct sessions *all, struct session *s, bool sleeping,
		      bool (*fn)(void *arg, struct session *s), void *arg)
{
	struct session *next;

	for (; s; s = next) {
		next = s->next;
		if (!session_is_doomed(all, s) && (sleeping || !s->asleep) && !fn(arg, s))
			return false;
	}
	return true;
}

void sessions_each(struct sessions *all, bool (*fn)(void *arg, struct session *s), void *arg)
{
	each_from(all, all->list, false, fn, arg);
}

/* If the session @after has ended, the next one is found by looking at all. */
static struct session *first_after(const struct sessions *all, uint32_t after)
{
	struct session *s = after ? number_find(all, after) : NULL;

	if (s && !session_is_doomed(all, s))
		return s->next;
	for (s = all->list; s; s = s->next)
		if (!session_is_doomed(all, s) && (all->several || all->mixed || s->number > after))
			break;
	return s;
}

/* Make expected sessions until the list has one more. NULL: none is left, or all are doomed. */
static struct session *expected_next(const struct sessions *all)
{
	struct session *last = all->list ? all->list->prev : NULL, *added = NULL;

	while (!added && !all->doomed_to && all->expected.n &&
	       all->expected.make_next(all->expected.arg))
		added = last ? last->next : all->list;
	return added;
}

void sessions_after(struct sessions *all, uint32_t after, bool (*fn)(void *arg, struct session *s),
		    void *arg)
{
	struct session *s = first_after(all, after);

	while (each_from(all, s, false, fn, arg) && (s = expected_next(all)))
		;
}

void sessions_after_sleeping(struct sessions *all, uint32_t after,
			     bool (*fn)(void *arg, struct session *s), void *arg)
{
	each_from(all, first_after(all, after), true, fn, arg);
}

void session_cursor_begin(struct sessions *all, struct session_cursor *c)
{
	c->at = all->list;
	LL_PREPEND2(all->cursors, c, other);
}

struct session *session_cursor_next(const struct sessions *all, struct session_cursor *c)
{
	struct session *s;

	while ((s = c->at)) {
		c->at = s->next;
		if (!session_is_doomed(all, s) && !s->asleep)
			break;
	}
	return s;
}

void session_cursor_end(struct sessions *all, struct session_cursor *c)
{
	LL_DELETE2(all->cursors, c, other);
}

/* ---- flags and time to live ---- */

bool leg_flags_clear(struct leg *leg, bool weak)
{
	struct session *s = leg_session(leg);

	if (weak)
		leg->weak = false;
	else
		s->strong = false;
	return !s->strong && !s->leg[0].weak && !s->leg[1].weak;
}

/* Early packets are of no interest any more, and seldom a leg has another reason for a rest. */
static void forget_early(struct leg *leg)
{
	static const struct leg_rest none;

	if (!leg->rest)
		return;
	leg->rest->early_packets = leg->rest->early_ns = 0;
	if (memcmp(leg->rest, &none, sizeof(none)))
		return;
	free(leg->rest);
	leg->rest = NULL;
}

void session_complete(struct sessions *all, struct session *s, uint64_t now_ns)
{
	int i;

	due_take(all, s);
	s->complete = true;
	for (i = 0; i < 2; i++) {
		forget_early(&s->leg[i]);
		if (!s->leg[i].ttl_fixed)
			s->leg[i].ttl_s = all->o.ttl_s;
		s->leg[i].deadline_ns = now_ns + s->leg[i].ttl_s * NSEC_PER_SEC;
	}
	due_put(all, s);
}

static void deadline_extend(struct leg *leg, uint64_t now_ns)
{
	leg->deadline_ns = MAX(leg->deadline_ns, now_ns + leg->ttl_s * NSEC_PER_SEC);
}

void session_ttl_restart(struct session *s, uint64_t now_ns)
{
	deadline_extend(&s->leg[SESSION_CALLEE], now_ns);
	deadline_extend(&s->leg[SESSION_CALLER], now_ns);
}

void leg_ttl_restart(const struct sessions *all, struct leg *leg, uint64_t now_ns)
{
	if (all->o.independent_ttl)
		deadline_extend(leg, now_ns);
	else
		session_ttl_restart(leg_session(leg), now_ns);
}

static void ttl_fix(struct leg *leg, uint32_t ttl_s, uint64_t now_ns)
{
	leg->ttl_s = ttl_s;
	leg->ttl_fixed = true;
	leg->deadline_ns = now_ns + ttl_s * NSEC_PER_SEC;
}

void leg_ttl_set(struct sessions *all, struct leg *leg, uint32_t ttl_s, uint64_t now_ns)
{
	struct session *s = leg_session(leg);

	due_take(all, s);
	ttl_fix(leg, ttl_s, now_ns);
	if (!all->o.independent_ttl)
		ttl_fix(leg_other(leg), ttl_s, now_ns);
	due_put(all, s);
	session_changed(all, s);
}

const struct session_opts *sessions_opts(const struct sessions *all)
{
	return &all->o;
}

uint32_t session_ttl_left(const struct sessions *all, const struct session *s, uint64_t now_ns)
{
	uint64_t deadline = deadline_of(s);

	(void)all;
	return deadline > now_ns ? (deadline - now_ns + NSEC_PER_SEC - 1) / NSEC_PER_SEC : 0;
}

/* After a long time the wheel says nothing any more: distribute all sessions anew. */
static void wheel_turn_far(struct sessions *all, uint64_t now_s)
{
	struct session *s;

	all->looked_s = all->now_s = now_s - 1;
	DL_FOREACH(all->list, s) {
		if (s->asleep)
			continue;
		due_take(all, s);
		due_put(all, s);
	}
}

/*
 * Look at the sessions of the second looked_s. due_put() puts each of them into a later second.
 * Returns the number of sessions that it may still look at; 0: some are left.
 */
static unsigned int look_at_second(struct sessions *all, uint64_t now_ns, unsigned int looks,
				   bool (*fn)(void *arg, struct session *s), void *arg)
{
	struct session **list = &all->due[all->looked_s % WHEEL_S], *s;

	while ((s = *list)) {
		if (!looks)
			return 0;
		looks--;
		due_take(all, s);
		due_put(all, s);
		if (session_is_doomed(all, s))
			continue;
		session_changed(all, s);
		if (deadline_of(s) <= now_ns && !fn(arg, s))
			return 0;
	}
	return MAX(looks, 1u);
}

bool sessions_expired(struct sessions *all, uint64_t now_ns,
		      bool (*fn)(void *arg, struct session *s), void *arg)
{
	uint64_t now_s = now_ns / NSEC_PER_SEC;
	unsigned int looks = LOOKS_MAX;

	if (now_s > all->looked_s + WHEEL_S - 2)
		wheel_turn_far(all, now_s);
	all->now_s = MAX(all->now_s, now_s);
	while ((looks = look_at_second(all, now_ns, looks, fn, arg))) {
		if (all->looked_s == all->now_s)
			return false;
		all->looked_s++;
	}
	return true;
}

void sessions_defer(struct sessions *all, uint64_t away_ns, uint64_t now_ns)
{
	struct session *s;
	int i;

	DL_FOREACH(all->list, s) {
		for (i = 0; i < 2; i++) {
			uint64_t *deadline = &s->leg[i].deadline_ns;
			uint64_t latest = now_ns + s->leg[i].ttl_s * NSEC_PER_SEC;

			*deadline = MAX(*deadline, MIN(*deadline + away_ns, latest));
		}
	}
}

/* ---- the dirty list ---- */

void session_dirty(struct sessions *all, struct session *s)
{
	session_changed(all, s);
	session_recompile(all, s);
}

void session_recompile(struct sessions *all, struct session *s)
{
	if (s->dirty)
		return;
	s->dirty = true;
	DL_APPEND2(all->dirty, s, dirty_prev, dirty_next);
}

struct session *session_dirty_pop(struct sessions *all)
{
	struct session *s;

	while ((s = all->dirty)) {
		DL_DELETE2(all->dirty, s, dirty_prev, dirty_next);
		s->dirty = false;
		if (!session_is_doomed(all, s))
			break;
	}
	return s;
}

/* ---- sessions that time changes ---- */

void session_watch(struct sessions *all, struct session *s)
{
	if (s->watched)
		return;
	s->watched = true;
	DL_APPEND2(all->watched, s, watched_prev, watched_next);
	all->n_watched++;
}

unsigned int sessions_watched(const struct sessions *all)
{
	return all->n_watched;
}

void sessions_each_watched(struct sessions *all, unsigned int max,
			   bool (*fn)(void *arg, struct session *s), void *arg)
{
	unsigned int n = MIN(max, all->n_watched);
	struct session *s;
	bool again;

	while (n--) {
		s = all->watched;
		again = !session_is_doomed(all, s) && fn(arg, s);
		unwatch(all, s);
		if (again)
			session_watch(all, s);
	}
}

/* ---- sessions that the journal must write ---- */

void session_changed(struct sessions *all, struct session *s)
{
	if (s->changed || s->asleep)
		return;
	s->changed = true;
	DL_APPEND2(all->changed, s, changed_prev, changed_next);
}

struct session *session_changed_pop(struct sessions *all)
{
	struct session *s = all->changed;

	if (s) {
		DL_DELETE2(all->changed, s, changed_prev, changed_next);
		s->changed = false;
	}
	return s;
}

void sessions_watch_end(struct sessions *all, void (*ended)(void *arg, const struct session *s),
			void *arg)
{
	all->ended = ended;
	all->ended_arg = arg;
}

void session_restored(struct sessions *all, struct session *s)
{
	unsigned int group = session_group(s->number);

	if (!s->asleep) {
		due_take(all, s);
		due_put(all, s);
	}
	/* It gives back the number that it got when it was made. */
	if (all->last_number[group] == (s->by_number.hash & SESSION_NUMBER_MAX))
		all->last_number[group]--;
	table_del(&all->by_number, &s->by_number);
	number_put(all, s); /* finds a place: it gave one back */
	all->last_number[group] = MAX(all->last_number[group], s->number & SESSION_NUMBER_MAX);
	all->several |= group > 0;
	if (session_is_doomed(all, s)) { /* it was expected when all were doomed */
		leave_living(all, s);
		return;
	}
	all->mixed |= s->prev != s && s->prev->number > s->number && s != all->list;
}
