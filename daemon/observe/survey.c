/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * survey.c - walks over the sessions in slices. It prints nothing.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "observe/survey.h"
#include "base/clock.h"
#include "call/ports.h"

#define PAUSE_MS 10 /* between slices */
#define KEEP_NS (60 * NSEC_PER_SEC)
#define GLANCE 4 /* sessions between two readings of the clock */

struct survey {
	struct sessions *sessions;
	struct sync *sync;
	struct event *slice;
	struct session_cursor cursor;
	bool walking;
	bool sweeping;	   /* the statistics of all sessions are pulled at once, before the walk */
	bool pulls;	   /* the walk pulls the statistics of each session */
	uint64_t began_ns; /* the round that runs, else the latest one */
	uint64_t until_ns; /* no reader after that time */
	struct survey_view now, done; /* of the round that runs, and of the latest one */
	struct quality_totals samples;
};

/* ---- one session ---- */

static void note_worst(struct survey_view *n, const struct leg *leg)
{
	const struct session *s = leg_session(leg);
	const struct quality_recent *q = &leg->recent;
	unsigned int i = n->n_worst;
	struct survey_worst *w;

	if (i == SURVEY_WORST && q->mos >= n->worst[i - 1].quality.mos)
		return;
	if (i < SURVEY_WORST)
		n->n_worst++;
	else
		i--;
	for (; i && n->worst[i - 1].quality.mos > q->mos; i--)
		n->worst[i] = n->worst[i - 1];
	w = &n->worst[i];
	snprintf(w->call_id, sizeof(w->call_id), "%s", s->call_id);
	snprintf(w->from_tag, sizeof(w->from_tag), "%s", s->from_tag);
	w->number = s->number;
	w->party = leg->party;
	w->quality = *q;
}

static void judge_recent(struct survey *v, struct leg *leg)
{
	struct quality_recent *recent = &leg->recent;
	struct quality q;

	if (!quality_since(stream_stats(&leg->stream[STREAM_RTP]), &recent->mark, &q)) {
		recent->mos = 0;
		return;
	}
	recent->loss = (float)q.loss;
	recent->jitter_ms = (float)q.jitter_ms;
	recent->mos = (float)q.mos;
	quality_totals_add(&v->samples, q.loss, q.timed ? q.jitter_ms : -1, q.mos);
	if (q.mos > 0)
		note_worst(&v->now, leg);
}

static bool is_heard(const struct leg *leg, uint64_t now_ns)
{
	uint64_t last_ns = stream_stats(&leg->stream[STREAM_RTP])->last_ns;

	return last_ns && (int64_t)(now_ns - last_ns) < (int64_t)SURVEY_HEARD_NS;
}

static void count_heard(struct survey_view *n, const struct session *s, uint64_t now_ns)
{
	int heard = is_heard(&s->leg[0], now_ns) + is_heard(&s->leg[1], now_ns);

	if (!s->complete)
		n->incomplete++;
	else if (heard == 2)
		n->both_ways++;
	else if (now_ns - s->created_ns < SURVEY_HEARD_NS)
		n->fresh++;
	else if (heard)
		n->one_way++;
	else
		n->silent++;
}

static void visit_session(struct survey *v, struct session *s, uint64_t now_ns)
{
	unsigned int i;

	if (v->pulls)
		sync_pull(v->sync, s);
	v->now.sessions++;
	count_heard(&v->now, s, now_ns);
	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		v->now.directions[d.kind][sync_why(v->sync, d)]++;
		if (d.in->installed & direction_bit(d))
			v->now.flows[ports_family_of(&d.in->local)]++;
		if (d.kind == STREAM_RTP)
			judge_recent(v, d.in);
	}
}

/* ---- rounds ---- */

static void begin_round(struct survey *v, uint64_t now_ns)
{
	memset(&v->now, 0, sizeof(v->now));
	v->began_ns = now_ns;
	session_cursor_begin(v->sessions, &v->cursor);
	v->walking = true;
	v->sweeping = sync_sweeps(v->sync);
	v->pulls = !v->sweeping;
}

static void end_round(struct survey *v, uint64_t now_ns)
{
	session_cursor_end(v->sessions, &v->cursor);
	v->walking = false;
	v->done = v->now;
	v->done.ended_ns = now_ns;
	v->done.took_ns = now_ns - v->began_ns;
}

/* Pull statistics for a slice of time. False: all were pulled, or the walk must do it. */
static bool sweep_slice(struct survey *v, uint64_t now_ns)
{
	int rc = v->sweeping ? sync_sweep(v->sync, now_ns + SURVEY_SLICE_NS) : 0;

	v->sweeping = rc > 0;
	v->pulls |= rc < 0;
	if (v->sweeping)
		v->now.busy_ns += clock_now() - now_ns;
	return v->sweeping;
}

static void walk_slice(struct survey *v, uint64_t now_ns)
{
	uint64_t until = now_ns + SURVEY_SLICE_NS;
	struct session *s;
	unsigned int n = 0;

	while ((s = session_cursor_next(v->sessions, &v->cursor))) {
		visit_session(v, s, now_ns);
		if (++n % GLANCE == 0 && clock_now() > until)
			break;
	}
	v->now.busy_ns += clock_now() - now_ns;
	if (!s)
		end_round(v, clock_now());
}

/* Milliseconds until the next slice; below 0: none, as nobody reads. */
static int next_ms(const struct survey *v, uint64_t now_ns)
{
	uint64_t next_ns = v->began_ns + SURVEY_NS;

	if (v->walking)
		return PAUSE_MS;
	if (now_ns > v->until_ns)
		return -1;
	return next_ns > now_ns ? (int)((next_ns - now_ns) / NSEC_PER_MSEC) + 1 : PAUSE_MS;
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct survey *v = arg;
	uint64_t now_ns = clock_now();
	int ms;

	(void)fd, (void)what;
	if (!v->walking)
		begin_round(v, now_ns);
	if (!sweep_slice(v, now_ns))
		walk_slice(v, now_ns);
	ms = next_ms(v, now_ns);
	if (ms >= 0)
		event_add(v->slice, &(struct timeval){ ms / 1000, ms % 1000 * 1000 });
}

void survey_keep(struct survey *v)
{
	v->until_ns = clock_now() + KEEP_NS;
	if (!event_pending(v->slice, EV_TIMEOUT, NULL))
		event_add(v->slice, &(struct timeval){ 0 });
}

const struct survey_view *survey_view(const struct survey *v)
{
	return &v->done;
}

const struct quality_totals *survey_samples(const struct survey *v)
{
	return &v->samples;
}

int survey_new(struct survey **out, struct event_base *base, struct sessions *sessions,
	       struct sync *sync)
{
	struct survey *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->sessions = sessions;
	v->sync = sync;
	quality_totals_init(&v->samples);
	v->slice = event_new(base, -1, 0, on_slice, v);
	if (!v->slice) {
		free(v);
		return -ENOMEM;
	}
	*out = v;
	return 0;
}

void survey_free(struct survey *v)
{
	if (!v)
		return;
	if (v->walking)
		session_cursor_end(v->sessions, &v->cursor);
	event_free(v->slice);
	free(v);
}
