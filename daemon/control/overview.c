/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * overview.c - the survey's latest round and the counters for rates. It walks over no sessions.
 */
#include <json-c/json.h>

#include "control/overview.h"
#include "base/clock.h"
#include "base/put.h"
#include "call/flow.h"

static struct json_object *sessions_json(const struct overview_opts *o, const struct survey_view *v)
{
	struct json_object *j = json_object_new_object();

	put_number(j, "all", sessions_count(o->sessions));
	put_number(j, "incomplete", v->incomplete);
	put_number(j, "new", v->fresh);
	put_number(j, "both_ways", v->both_ways);
	put_number(j, "one_way", v->one_way);
	put_number(j, "silent", v->silent);
	return j;
}

/* A list of the reasons that occur: {"why", "why_text", "rtp", "rtcp"}, directions of each medium.
 */
static struct json_object *reasons_json(const struct survey_view *v)
{
	struct json_object *list = json_object_new_array();
	enum flow_why why;

	for (why = FLOW_WHY_KERNEL; why < FLOW_WHY_COUNT; why++) {
		struct json_object *j;

		if (!v->directions[STREAM_RTP][why] && !v->directions[STREAM_RTCP][why])
			continue;
		j = json_object_new_object();
		put_text(j, "why", flow_why_name(why));
		put_text(j, "why_text", flow_why_text(why));
		put_number(j, "rtp", v->directions[STREAM_RTP][why]);
		put_number(j, "rtcp", v->directions[STREAM_RTCP][why]);
		json_object_array_add(list, j);
	}
	return list;
}

static struct json_object *worst_json(const struct survey_view *v)
{
	struct json_object *list = json_object_new_array();

	for (unsigned int i = 0; i < v->n_worst; i++) {
		const struct survey_worst *w = &v->worst[i];
		struct json_object *j = json_object_new_object();

		put_text(j, "call_id", w->call_id);
		put_text(j, "from_tag", w->from_tag);
		put_number(j, "number", w->number);
		put_text(j, "party", session_party_words[w->party]);
		put_real(j, "mos", (double)w->quality.mos);
		put_real(j, "loss", (double)w->quality.loss);
		put_real(j, "jitter_ms", (double)w->quality.jitter_ms);
		json_object_array_add(list, j);
	}
	return list;
}

static void put_mean(struct json_object *j, const char *sum, const char *count,
		     const struct histogram *h)
{
	put_real(j, sum, h->sum);
	put_number(j, count, h->count);
}

/* Counters: a reader compares two documents. */
static struct json_object *reasons_counted_json(const struct overview_opts *o)
{
	const struct quality_totals *q = survey_samples(o->survey);
	struct json_object *j = json_object_new_object();
	struct sockets_counts sockets;
	struct rtpx_counters c;

	if (o->dp->ops->counters(o->dp, &c) < 0)
		memset(&c, 0, sizeof(c));
	relay_counts(o->relay, &sockets);
	put_number(j, "sessions_begun", o->stats->nsess_created);
	put_number(j, "sessions_ended", o->stats->nsess_destroyed);
	put_number(j, "commands", o->stats->ncmds_rcvd);
	put_number(j, "command_errors", o->stats->ncmds_errs);
	put_number(j, "kernel_packets", c.relayed);
	put_number(j, "socket_packets", sockets.sent);
	put_number(j, "strangers", c.drop_stranger + relay_strangers(o->relay));
	put_mean(j, "loss_sum", "loss_count", &q->loss);
	put_mean(j, "jitter_s_sum", "jitter_s_count", &q->jitter);
	put_mean(j, "mos_sum", "mos_count", &q->mos);
	return j;
}

struct json_object *overview_json(const struct overview_opts *o)
{
	const struct survey_view *v = survey_view(o->survey);
	struct json_object *j = json_object_new_object();

	survey_keep(o->survey);
	put_number(j, "time_ms", clock_now() / NSEC_PER_MSEC);
	json_object_object_add(j, "survey_age_ms",
			       v->ended_ns ? json_object_new_uint64((clock_now() - v->ended_ns) /
								    NSEC_PER_MSEC)
					   : NULL);
	json_object_object_add(j, "sessions", sessions_json(o, v));
	json_object_object_add(j, "reasons", reasons_json(v));
	json_object_object_add(j, "worst", worst_json(v));
	json_object_object_add(j, "counters", reasons_counted_json(o));
	put_bool(j, "draining", o->draining);
	put_real(j, "load", o->stats->load);
	return j;
}
