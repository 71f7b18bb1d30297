/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.c - the members of a session that are kept, in tables. A tag never gets another meaning:
 * see fields.h. A session has two tables: plain members of struct session, and the rest. The same
 * holds for a leg and for a stream. A tag stands in one of the two; tags of structs may stand in
 * both.
 */
#include <errno.h>
#include <stdlib.h>

#include "call/snapshot.h"
#include "base/fields.h"
#include "call/direction.h"
#include "call/dtmf.h"

static const struct field stats_fields[] = {
#define STATS_FIELD(tag, member) FIELD(tag, FIELD_UINT, rtpx_flow_stats, member)
	STATS_FIELD(1, packets),
	STATS_FIELD(2, bytes),
	STATS_FIELD(3, last_ns),
	STATS_FIELD(4, window),
	STATS_FIELD(5, max_seq),
	STATS_FIELD(6, ssrc),
	STATS_FIELD(7, longest_us),
	STATS_FIELD(9, jitter_q4),
	STATS_FIELD(10, jitter_max_q4),
	STATS_FIELD(11, jitter_sum_q4),
	STATS_FIELD(12, jitter_count),
	STATS_FIELD(13, payload_type),
	STATS_FIELD(14, first_ns),
	STATS_FIELD(15, daemon_packets),
	STATS_FIELD(16, strangers),
	STATS_FIELD(17, base_seq),
	STATS_FIELD(18, segments),
	STATS_FIELD(19, sent_prior),
	STATS_FIELD(20, duplicates),
	STATS_FIELD(21, errors),
	STATS_FIELD(22, unmirrored),
	STATS_FIELD(23, timed_ts),
	STATS_FIELD(24, timed_at),
	STATS_FIELD(25, clock),
	STATS_FIELD(26, reordered),
#undef STATS_FIELD
	{ 0 },
};

static const struct field stream_state_fields[] = {
	FIELD(4, FIELD_BOOL, snapshot_stream, rest.has_ssrc),
	FIELD(5, FIELD_UINT, snapshot_stream, rest.seq),
	FIELD(6, FIELD_UINT, snapshot_stream, rest.ssrc),
	FIELD(7, FIELD_UINT, snapshot_stream, rest.seq_ns),
	FIELD(8, FIELD_UINT, snapshot_stream, rest.heard_ssrc),
	FIELD(9, FIELD_UINT, snapshot_stream, rest.heard_packets),
	FIELD(13, FIELD_ADDR, snapshot_stream, rest.previous),
	FIELD(14, FIELD_ADDR, snapshot_stream, rest.local),
	FIELD_OF(15, snapshot_stream, stats, stats_fields),
	{ 0 },
};

/* Plain members of a stream. */
static const struct field stream_fields[] = {
	FIELD(1, FIELD_UINT, stream, state),
	FIELD(2, FIELD_BOOL, stream, asymmetric),
	FIELD(3, FIELD_BOOL, stream, untrusted),
	FIELD(10, FIELD_UINT, stream, updated_ns),
	FIELD(11, FIELD_ADDR, stream, remote),
	FIELD(12, FIELD_ADDR, stream, signalled),
	FIELD(16, FIELD_BOOL, stream, open),
	FIELD(17, FIELD_BOOL, stream, awaited),
	FIELD(18, FIELD_BOOL, stream, twice),
	FIELD(19, FIELD_BOOL, stream, roams),
	FIELD(20, FIELD_BOOL, stream, weak),
	FIELD(21, FIELD_BOOL, stream, replaced),
	FIELD(22, FIELD_UINT, stream, unproven),
	FIELD(23, FIELD_UINT, stream, latched_ns),
	FIELD(24, FIELD_UINT, stream, latched_evidence),
	{ 0 },
};

static const struct field recording_fields[] = {
	FIELD(1, FIELD_BOOL, snapshot_recording, on),
	FIELD(2, FIELD_BOOL, snapshot_recording, single),
	FIELD(3, FIELD_UINT, snapshot_recording, part),
	FIELD(4, FIELD_SPAN, snapshot_recording, target),
	{ 0 },
};

static const struct field playing_fields[] = {
	FIELD(1, FIELD_SPAN, snapshot_playing, name),
	FIELD(2, FIELD_UINT, snapshot_playing, payload_type),
	FIELD(3, FIELD_UINT, snapshot_playing, rounds),
	FIELD(4, FIELD_UINT, snapshot_playing, ptime_ms),
	FIELD(5, FIELD_UINT, snapshot_playing, begun_ns),
	{ 0 },
};

static const struct field dtmf_fields[] = {
	FIELD(1, FIELD_BOOL, snapshot_dtmf, on),
	FIELD(2, FIELD_BOOL, snapshot_dtmf, hide),
	FIELD(3, FIELD_UINT, snapshot_dtmf, payload_type),
	FIELD(4, FIELD_SPAN, snapshot_dtmf, tag),
	FIELD(5, FIELD_SPAN, snapshot_dtmf, target),
	{ 0 },
};

/* clang-format off */
static const struct field numbers_fields[] = {
	FIELD(1, FIELD_BOOL, leg_numbers, known),
	FIELD(2, FIELD_UINT, leg_numbers, ssrc),
	FIELD(3, FIELD_UINT, leg_numbers, next),
	FIELD(4, FIELD_UINT, leg_numbers, ahead),
	FIELD(5, FIELD_UINT, leg_numbers, reserve),
	{ 0 },
};
/* clang-format on */

/* Plain members of a leg. */
static const struct field leg_fields[] = {
	FIELD(1, FIELD_ADDR, leg, local),
	FIELD_OF(4, leg, stream[STREAM_RTP], stream_fields),
	FIELD_OF(5, leg, stream[STREAM_RTCP], stream_fields),
	FIELD(6, FIELD_BOOL, leg, weak),
	FIELD(7, FIELD_BOOL, leg, tos_set),
	FIELD(8, FIELD_BOOL, leg, ttl_fixed),
	FIELD(9, FIELD_UINT, leg, tos),
	FIELD(10, FIELD_UINT, leg, ptime_ms),
	FIELD(11, FIELD_UINT, leg, ttl_s),
	FIELD(12, FIELD_UINT, leg, deadline_ns),
	FIELD(13, FIELD_UINT, leg, ndropped),
	FIELD(14, FIELD_UINT, leg, nrelayed),
	FIELD(18, FIELD_BOOL, leg, on_hold),
	FIELD(19, FIELD_UINT, leg, holds),
	{ 0 },
};

static const struct field leg_state_fields[] = {
	FIELD(2, FIELD_SPAN, snapshot_leg, advertised),
	FIELD(3, FIELD_SPAN, snapshot_leg, codecs),
	FIELD_OF(4, snapshot_leg, stream[STREAM_RTP], stream_state_fields),
	FIELD_OF(5, snapshot_leg, stream[STREAM_RTCP], stream_state_fields),
	FIELD_OF(15, snapshot_leg, recording, recording_fields),
	FIELD_OF(16, snapshot_leg, playing, playing_fields),
	FIELD_OF(17, snapshot_leg, dtmf, dtmf_fields),
	FIELD_OF(20, snapshot_leg, numbers, numbers_fields),
	FIELD(21, FIELD_BOOL, snapshot_leg, rtcp_follows),
	{ 0 },
};

static const struct field feed_fields[] = {
	FIELD(1, FIELD_UINT, snapshot_feed, source),
	FIELD(2, FIELD_BOOL, snapshot_feed, crossed),
	{ 0 },
};

/* Plain members of a session. */
static const struct field session_fields[] = {
	FIELD(1, FIELD_UINT, session, number),
	FIELD(4, FIELD_BOOL, session, strong),
	FIELD(5, FIELD_BOOL, session, complete),
	FIELD(6, FIELD_UINT, session, created_ns),
	FIELD_OF(9, session, leg[0], leg_fields),
	FIELD_OF(10, session, leg[1], leg_fields),
	FIELD(11, FIELD_BOOL, session, fed),
	FIELD(21, FIELD_BOOL, session, told),
	FIELD(22, FIELD_UINT, session, kernel_relayed),
	FIELD(23, FIELD_UINT, session, kernel_strangers),
	{ 0 },
};

static const struct field state_fields[] = {
	FIELD(2, FIELD_SPAN, snapshot, call_id),
	FIELD(3, FIELD_SPAN, snapshot, from_tag),
	FIELD(7, FIELD_SPAN, snapshot, notify),
	FIELD(8, FIELD_SPAN, snapshot, notify_tag),
	FIELD_OF(9, snapshot, leg[0], leg_state_fields),
	FIELD_OF(10, snapshot, leg[1], leg_state_fields),
	FIELD_OF(12, snapshot, feed[0], feed_fields),
	FIELD_OF(13, snapshot, feed[1], feed_fields),
	FIELD_OF(14, snapshot, feed[2], feed_fields),
	FIELD_OF(15, snapshot, feed[3], feed_fields),
	FIELD_OF(16, snapshot, feed[4], feed_fields),
	FIELD_OF(17, snapshot, feed[5], feed_fields),
	FIELD_OF(18, snapshot, feed[6], feed_fields),
	FIELD_OF(19, snapshot, feed[7], feed_fields),
	FIELD(20, FIELD_SPAN, snapshot, to_tag),
	{ 0 },
};

/* Most RTCP streams are this: the RTP stream, at the next ports. */
static struct stream rtcp_after(const struct stream *rtp)
{
	struct stream s = *rtp;

	s.kind = STREAM_RTCP;
	s.remote.port += s.remote.family != ADDR_NONE;
	s.signalled.port += s.signalled.family != ADDR_NONE;
	s.stats = NULL;
	s.rest = NULL;
	return s;
}

/* ---- from a session ---- */

static void rtcp_leave_out(struct snapshot_leg *out, struct leg *is)
{
	const struct stream after = rtcp_after(&is->stream[STREAM_RTP]);

	out->rtcp_follows = fields_equal(stream_fields, &after, &is->stream[STREAM_RTCP]);
	if (out->rtcp_follows)
		stream_init(&is->stream[STREAM_RTCP], STREAM_RTCP);
}

static void leg_take(struct snapshot_leg *out, const struct leg *leg)
{
	const struct dtmf *dtmf = leg_rest(leg)->dtmf;
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++)
		out->stream[kind] = (struct snapshot_stream){ *stream_rest(&leg->stream[kind]),
							      *stream_stats(&leg->stream[kind]) };
	out->advertised = span_of(leg->advertised);
	out->codecs = span_of(leg_rest(leg)->codecs);
	out->numbers = leg_rest(leg)->numbers;
	if (dtmf)
		out->dtmf = (struct snapshot_dtmf){ .on = true,
						    .hide = dtmf->hide,
						    .payload_type = dtmf->payload_type,
						    .tag = span_of(dtmf->tag) };
}

void snapshot_take(struct snapshot *out, const struct session *s)
{
	const struct feed *f;
	int i;

	*out = (struct snapshot){
		.is = *s,
		.call_id = span_of(s->call_id),
		.from_tag = span_of(s->from_tag),
		.to_tag = span_of(s->to_tag),
		.notify_tag = span_of(session_rest(s)->notify_tag),
	};
	for (i = 0; i < 2; i++) {
		leg_take(&out->leg[i], &s->leg[i]);
		rtcp_leave_out(&out->leg[i], &out->is.leg[i]);
	}
	for (f = session_rest(s)->fed_by, i = 0; f && i < SNAPSHOT_MAX_FEEDS; f = f->next_in, i++)
		out->feed[i] = (struct snapshot_feed){ f->source->number, f->crossed };
}

int snapshot_write(const struct snapshot *snap, uint8_t *out, size_t size)
{
	int plain = fields_write(session_fields, &snap->is, out, size), state;

	if (plain < 0)
		return plain;
	state = fields_write(state_fields, snap, out + plain, size - plain);
	return state < 0 ? state : plain + state;
}

/* ---- to a session ---- */

static bool is_plain_text(struct span s)
{
	return !s.len || !memchr(s.p, '\0', s.len);
}

/* Check the properties of a leg that other modules rely on. */
static bool is_leg(const struct leg *leg, const struct snapshot_leg *state)
{
	int kind;

	for (kind = 0; kind < STREAM_KINDS; kind++)
		if (leg->stream[kind].state > STREAM_LATCHED ||
		    leg->stream[kind].unproven >= STREAM_PROOF_PACKETS)
			return false;
	return is_plain_text(state->advertised) && is_plain_text(state->codecs) &&
	       is_plain_text(state->recording.target) && is_plain_text(state->playing.name) &&
	       is_plain_text(state->dtmf.tag) && is_plain_text(state->dtmf.target) &&
	       state->dtmf.payload_type < 128 && !(leg->local.port & 1) &&
	       (leg->local.family != ADDR_NONE || !leg->local.port);
}

static void rtcp_fill_in(struct snapshot_leg *state, struct leg *is)
{
	if (state->rtcp_follows)
		is->stream[STREAM_RTCP] = rtcp_after(&is->stream[STREAM_RTP]);
	state->rtcp_follows = false;
}

int snapshot_read(struct snapshot *out, struct span bytes)
{
	int rc, i;

	memset(out, 0, sizeof(*out));
	rc = fields_read(session_fields, &out->is, bytes);
	if (!rc)
		rc = fields_read(state_fields, out, bytes);
	if (rc)
		return rc;
	for (i = 0; i < 2; i++)
		rtcp_fill_in(&out->leg[i], &out->is.leg[i]);
	if (!out->is.number || !is_plain_text(out->call_id) || !is_plain_text(out->from_tag) ||
	    !is_plain_text(out->to_tag) || !is_plain_text(out->notify) ||
	    !is_plain_text(out->notify_tag) || !is_leg(&out->is.leg[0], &out->leg[0]) ||
	    !is_leg(&out->is.leg[1], &out->leg[1]))
		return -EBADMSG;
	if (out->is.complete && (!out->is.leg[0].local.port || !out->is.leg[1].local.port))
		return -EBADMSG;
	return 0;
}

/* An empty text is absent. */
static struct span text_of(struct span text)
{
	return text.len ? text : (struct span){ 0 };
}

/* Give a new stream its blocks, except those that would have zeros only. */
static int stream_apply(const struct snapshot_stream *state, struct stream *st)
{
	static const struct rtpx_flow_stats none;

	if (memcmp(&state->stats, &none, sizeof(none))) {
		if (!stream_stats_set(st))
			return -ENOMEM;
		*st->stats = state->stats;
	}
	if (!stream_rest_set(st))
		return -ENOMEM;
	*st->rest = state->rest;
	stream_tidy(st);
	return 0;
}

static int numbers_apply(const struct leg_numbers *numbers, struct leg *leg)
{
	if (leg->rest)
		leg->rest->numbers = *numbers;
	if (leg->rest || !numbers->known)
		return 0;
	if (!leg_rest_set(leg))
		return -ENOMEM;
	leg->rest->numbers = *numbers;
	return 0;
}

int snapshot_apply(const struct snapshot *snap, struct session *s)
{
	int i, kind, err = 0;

	for (i = 0; i < 2; i++) {
		for (kind = 0; kind < STREAM_KINDS; kind++) {
			stream_free(&s->leg[i].stream[kind]);
			stream_init(&s->leg[i].stream[kind], kind);
		}
	}
	fields_copy(session_fields, &snap->is, s);
	for (i = 0; i < DIRECTIONS && !err; i++)
		err = stream_apply(&snap->leg[i / STREAM_KINDS].stream[i % STREAM_KINDS],
				   direction_sender(session_direction(s, i)));
	if (!err)
		err = session_set_notify_tag(s, text_of(snap->notify_tag));
	if (!err)
		err = session_set_to_tag(s, text_of(snap->to_tag));
	for (i = 0; i < 2 && !err; i++) {
		s->leg[i].local.port = 0;
		err = leg_set_codecs(&s->leg[i], text_of(snap->leg[i].codecs));
		if (!err)
			err = numbers_apply(&snap->leg[i].numbers, &s->leg[i]);
	}
	return err;
}

/* ---- other clocks ---- */

static uint64_t time_shifted(uint64_t time_ns, int64_t by)
{
	if (!time_ns)
		return 0;
	return by < 0 && time_ns <= (uint64_t)-by ? 1 : time_ns + (uint64_t)by;
}

static void stream_shift(struct stream *st, struct snapshot_stream *state, int64_t by)
{
	state->rest.seq_ns = time_shifted(state->rest.seq_ns, by);
	st->updated_ns = time_shifted(st->updated_ns, by);
	st->latched_ns = time_shifted(st->latched_ns, by);
	state->stats.first_ns = time_shifted(state->stats.first_ns, by);
	state->stats.last_ns = time_shifted(state->stats.last_ns, by);
}

void snapshot_shift(struct snapshot *snap, int64_t shift_ns)
{
	int i, kind;

	snap->is.created_ns = time_shifted(snap->is.created_ns, shift_ns);
	for (i = 0; i < 2; i++) {
		struct leg *leg = &snap->is.leg[i];
		struct snapshot_playing *playing = &snap->leg[i].playing;

		leg->deadline_ns = time_shifted(leg->deadline_ns, shift_ns);
		playing->begun_ns = time_shifted(playing->begun_ns, shift_ns);
		for (kind = 0; kind < STREAM_KINDS; kind++)
			stream_shift(&leg->stream[kind], &snap->leg[i].stream[kind], shift_ns);
	}
}
