/* SPDX-License-Identifier: BSD-2-Clause */
/* restore.c - ports first, then recordings and prompts, then feeds. */
#include "restart/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "call/feed.h"
#include "host/nexthop.h"
#include "media/player.h"
#include "record/recorder.h"
#include "restart/records.h"

/* A killed daemon may hold the port for a moment: try until patience_ns. */
static int restore_leg(struct restorer *r, struct leg *leg, const struct snapshot *snap)
{
	const struct timespec nap = { .tv_nsec = 5 * NSEC_PER_MSEC };
	const struct addr *local = &snap->is.leg[leg->party].local;
	struct span advertised = snap->leg[leg->party].advertised;
	int rc;

	while ((rc = engine_leg_restore(r->engine, leg, local, advertised, r->now_ns)) ==
		       -EADDRINUSE &&
	       clock_now() < r->patience_ns)
		nanosleep(&nap, NULL);
	return rc;
}

static const char *port_trouble(int rc)
{
	return rc == -EADDRINUSE ? "another program has it"
	       : rc == -EBUSY	 ? "another call has it"
	       : rc == -EINVAL	 ? "it is not in the range of -m and -M"
				 : strerror(-rc);
}

static int restore_legs(struct restorer *r, struct session *s, const struct snapshot *snap)
{
	struct nexthops *hops = sync_nexthops(r->sync);
	int i, rc = 0;

	for (i = 0; i < 2 && !rc; i++) {
		const struct addr *local = &snap->is.leg[i].local;
		char text[ADDR_TEXT];

		rc = restore_leg(r, &s->leg[i], snap);
		if (rc)
			log_call(LOG_LVL_ERR, s->call_id,
				 "the call cannot be restored: port %s: %s", addr_text(local, text),
				 port_trouble(rc));
		else if (!r->elsewhere && local->port && !addr_is_any(local) &&
			 !nexthop_is_local(hops, local))
			log_call(LOG_LVL_WARN, s->call_id,
				 "%s is not an address of this host now: no media there until the "
				 "host has it",
				 addr_host_text(local, text));
	}
	return rc;
}

static void restore_notify(struct restorer *r, struct session *s, struct span name)
{
	if (!name.len)
		return;
	s->notify = notify_again(r->notify, name);
	if (s->notify < 0)
		log_call(LOG_LVL_WARN, s->call_id,
			 "the notification target '%.*s' is none of the -n options now: ignored",
			 (int)name.len, name.p);
}

/* Go on to report digits. The call goes on when that is not possible. */
static void restore_digits(struct restorer *r, struct session *s, const struct snapshot *snap)
{
	int i;

	for (i = 0; i < 2; i++) {
		const struct snapshot_dtmf *d = &snap->leg[i].dtmf;
		const struct digits_req req = { span_not_null(d->tag), d->payload_type, d->hide };
		int target = d->on ? notify_again(r->notify, d->target) : -1;

		if (!d->on || (target >= 0 && digits_restore(&s->leg[i], target, &req) == 0))
			continue;
		log_call(LOG_LVL_WARN, s->call_id,
			 "digits of the %s are not reported any more: '%.*s' is none of the -n "
			 "options now, or there is no memory",
			 session_party_words[i], (int)d->target.len, d->target.p);
	}
}

void restore_media(struct restorer *r, struct session *s, const struct snapshot *snap)
{
	int i, err;

	for (i = 0; i < 2; i++) {
		recorder_resume(r->recorder, &s->leg[i], &snap->leg[i].recording, r->now_ns);
		err = player_resume(r->players, &s->leg[i], &snap->leg[i].playing, r->now_ns);
		if (err)
			log_call(LOG_LVL_WARN, s->call_id,
				 "the prompt %.*s does not play any more: %s",
				 (int)snap->leg[i].playing.name.len, snap->leg[i].playing.name.p,
				 strerror(-err));
	}
}

static uint64_t latest_deadline(const struct leg *leg, uint64_t now_ns)
{
	return now_ns + leg->ttl_s * NSEC_PER_SEC;
}

/*
 * Extend every deadline by away_ns, but to no more than now + TTL. Limit the times of packets to
 * now: the previous daemon's time namespace may have had a clock ahead of ours.
 */
static void restore_times(const struct restorer *r, struct session *s)
{
	uint64_t now_ns = r->now_ns;
	int i, kind;

	s->created_ns = MIN(s->created_ns, now_ns);
	for (i = 0; i < 2; i++) {
		struct leg *leg = &s->leg[i];

		leg->deadline_ns = MIN(leg->deadline_ns + r->away_ns, latest_deadline(leg, now_ns));
		for (kind = 0; kind < STREAM_KINDS; kind++) {
			struct stream *st = &leg->stream[kind];

			st->updated_ns = MIN(st->updated_ns, now_ns);
			if (st->rest)
				st->rest->seq_ns = MIN(st->rest->seq_ns, now_ns);
			if (!st->stats)
				continue;
			st->stats->first_ns = MIN(st->stats->first_ns, now_ns);
			st->stats->last_ns = MIN(st->stats->last_ns, now_ns);
		}
	}
}

/* The previous daemon, or the kernel after it, has forwarded packets since the record was written.
 */
static void pass_over(struct restorer *r, struct leg *leg)
{
	struct rtpx_flow_stats *st = leg->stream[STREAM_RTP].stats, before;

	if (!st || (r->exact && !rtpx_stats_kernel(st)))
		return;
	before = *st;
	rtpx_stats_break(st, r->now_ns);
	sync_push_stats(r->sync, (struct direction){ leg, STREAM_RTP }, &before);
}

void restore_silence(struct restorer *r, struct session *s, unsigned int counted)
{
	struct leg *leg;

	for (leg = s->leg; leg < s->leg + SESSION_PARTIES; leg++) {
		if (counted & 1 << leg->party)
			continue;
		pass_over(r, leg);
		if (!r->exact && s->complete)
			leg_ttl_restart(r->sessions, leg, r->now_ns);
	}
}

/* The previous daemon was killed: it may have used numbers that it has not written. */
static void restore_numbers(const struct restorer *r, struct session *s)
{
	int i;

	for (i = 0; i < 2 && !r->exact; i++) {
		struct leg_rest *rest = s->leg[i].rest;

		if (!rest)
			continue;
		rest->numbers.ahead += rest->numbers.reserve;
		rest->numbers.stale = true;
	}
}

/* The packets of this daemon's living sessions, for its journal. */
static void count_live(struct restorer *r, const struct session *s)
{
	r->stats->live_relayed += s->kernel_relayed;
	r->stats->live_strangers += s->kernel_strangers;
	r->recorded_relayed += s->kernel_relayed;
	r->recorded_strangers += s->kernel_strangers;
}

int restore_session(struct restorer *r, const struct snapshot *snap, struct session **out)
{
	const struct dialog of = { .call_id = span_not_null(snap->call_id),
				   .from_tag = span_not_null(snap->from_tag) };
	struct session *s;
	int rc = session_create_in(r->sessions, session_group(snap->is.number), &of,
				   snap->is.created_ns, &s);

	if (rc)
		return rc;
	rc = snapshot_apply(snap, s);
	restore_times(r, s);
	restore_numbers(r, s);
	session_restored(r->sessions, s);
	if (r->elsewhere)
		session_sleep(r->sessions, s);
	else
		count_live(r, s);
	if (!rc)
		rc = restore_legs(r, s, snap);
	if (rc) {
		engine_drop(r->engine, s, r->now_ns);
		return rc;
	}
	restore_notify(r, s, snap->notify);
	restore_digits(r, s, snap);
	*out = s;
	return 0;
}

void restore_drop(struct restorer *r, struct session *s)
{
	engine_drop(r->engine, s, r->now_ns);
}

int restore_wake(struct restorer *r, struct session *s)
{
	int rc = session_wake(r->sessions, s);

	if (!rc)
		count_live(r, s);
	return rc;
}

/* The leg keeps its port, or gets its first one. */
static bool leg_stays(const struct leg *leg, const struct leg *next)
{
	return (!leg->local.port || addr_eq(&leg->local, &next->local)) && leg->tos == next->tos &&
	       leg->ptime_ms == next->ptime_ms;
}

/* A leg's address and statistics before an update. */
struct leg_before {
	struct addr local;
	struct rtpx_flow_stats stats[STREAM_KINDS];
};

static struct leg_before leg_before(const struct leg *leg)
{
	return (struct leg_before){ leg->local,
				    { *stream_stats(&leg->stream[STREAM_RTP]),
				      *stream_stats(&leg->stream[STREAM_RTCP]) } };
}

static int update_leg(struct restorer *r, struct leg *leg, const struct leg_before *before,
		      const struct snapshot *snap)
{
	struct rtpx_flow_stats *st;
	int kind;

	if (!before->local.port)
		return restore_leg(r, leg, snap);
	leg->local = before->local;
	for (kind = 0; kind < STREAM_KINDS; kind++) {
		if (sync_push_stats(r->sync, (struct direction){ leg, kind }, &before->stats[kind]))
			continue;
		st = stream_stats_set(&leg->stream[kind]);
		if (st)
			*st = before->stats[kind];
	}
	return engine_leg_resume(r->engine, leg);
}

int restore_update(struct restorer *r, const struct snapshot *snap, struct session *s)
{
	const struct leg_before before[] = { leg_before(&s->leg[0]), leg_before(&s->leg[1]) };
	int i, rc;

	if (!leg_stays(&s->leg[0], &snap->is.leg[0]) || !leg_stays(&s->leg[1], &snap->is.leg[1]))
		return -ESTALE;
	rc = snapshot_apply(snap, s);
	restore_times(r, s);
	restore_numbers(r, s);
	session_restored(r->sessions, s);
	for (i = 0; i < 2; i++) {
		int leg_rc = update_leg(r, &s->leg[i], &before[i], snap);

		rc = rc ? rc : leg_rc;
	}
	s->notify = -1;
	restore_notify(r, s, snap->notify);
	session_dirty(r->sessions, s);
	return rc;
}

void restore_feeds(struct restorer *r, const struct snapshot *snap)
{
	struct session *target, *source;
	int i;

	if (!snap->feed[0].source || !(target = session_numbered(r->sessions, snap->is.number)))
		return;
	for (i = SNAPSHOT_MAX_FEEDS - 1; i >= 0; i--) {
		source = session_numbered(r->sessions, snap->feed[i].source);
		if (source)
			feed_add(r->sessions, &source->leg[0], &target->leg[snap->feed[i].crossed]);
	}
}
