/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - collects what is known of an ending session. It writes no file and no log.
 */
#include <stdio.h>

#include "call/report.h"

static const struct {
	const char *name, *text;
} ends[] = {
#define REPORT_END_ROW(id, end_name, end_text) { end_name, end_text },
	REPORT_ENDS(REPORT_END_ROW)
#undef REPORT_END_ROW
};

const char *report_end_name(enum report_end end)
{
	return ends[end].name;
}

const char *report_end_text(enum report_end end)
{
	return ends[end].text;
}

static void take_stream(struct call_report *r, const struct leg *leg, enum stream_kind kind,
			struct report_stream *out)
{
	const struct stream *stream = &leg->stream[kind];

	*out = (struct report_stream){
		.peer = stream->remote,
		.stats = *stream_stats(stream),
		.kernel_packets = rtpx_stats_kernel(stream_stats(stream)),
	};
	if (leg->local.port)
		out->local = addr_with_port(leg->local, leg->local.port + kind);
	if (kind == STREAM_RTP)
		quality_of(stream_stats(stream), &out->quality);
	r->packets += stream_stats(stream)->packets;
	r->bytes += stream_stats(stream)->bytes;
	r->kernel_packets += out->kernel_packets;
}

static void take_leg(struct call_report *r, const struct leg *leg, struct report_leg *out)
{
	const struct quality *q = &out->stream[STREAM_RTP].quality;

	out->advertised = leg->advertised;
	out->relayed = leg->nrelayed;
	out->dropped = leg->ndropped;
	out->on_hold = leg->on_hold;
	out->holds = leg->holds;
	take_stream(r, leg, STREAM_RTP, &out->stream[STREAM_RTP]);
	take_stream(r, leg, STREAM_RTCP, &out->stream[STREAM_RTCP]);
	if (q->mos > 0 && (r->mos == 0 || q->mos < r->mos))
		r->mos = q->mos;
}

void report_make(const struct session *s, enum report_end end, uint64_t now_ns,
		 struct call_report *out)
{
	int heard = 0, i;

	*out = (struct call_report){
		.call_id = s->call_id,
		.from_tag = s->from_tag,
		.to_tag = s->to_tag,
		.number = s->number,
		.complete = s->complete,
		.end = end,
		.created_ns = s->created_ns,
		.ended_ns = now_ns,
	};
	for (i = 0; i < SESSION_PARTIES; i++) {
		const struct leg *leg = &s->leg[i];

		take_leg(out, leg, &out->leg[i]);
		heard += stream_stats(&leg->stream[STREAM_RTP])->packets > 0;
		out->silent[i] = end == REPORT_END_TIMEOUT && leg->deadline_ns <= now_ns;
	}
	out->heard = heard == 2 ? REPORT_BOTH_WAYS : heard ? REPORT_ONE_WAY : REPORT_SILENT;
}

double report_duration_s(const struct call_report *r)
{
	return (double)(int64_t)(r->ended_ns - r->created_ns) / NSEC_PER_SEC;
}

double report_kernel_share(const struct call_report *r)
{
	return r->packets ? (double)r->kernel_packets / r->packets : 0;
}

/* ---- the line ---- */

static size_t party_text(const struct call_report *r, enum session_party party, char *buf,
			 size_t size)
{
	const struct report_stream *rtp = &r->leg[party].stream[STREAM_RTP];
	const struct quality *q = &rtp->quality;
	char peer[ADDR_TEXT], jitter[32] = "", mos[32] = "";

	if (q->timed)
		snprintf(jitter, sizeof(jitter), ", jitter %.1f ms", q->jitter_mean_ms);
	if (q->mos > 0)
		snprintf(mos, sizeof(mos), ", MOS %.2f", q->mos);
	return snprintf(buf, size, "; %s %s: %llu packets, %u lost (%.2f %%)%s%s",
			session_party_words[party],
			rtp->peer.family == ADDR_NONE ? "unknown" : addr_text(&rtp->peer, peer),
			(unsigned long long)rtp->stats.packets, q->lost, 100 * q->loss, jitter,
			mos);
}

const char *report_line(const struct call_report *r, char *buf, size_t size)
{
	size_t len;

	len = snprintf(buf, size,
		       "session %u ended after %.1f s: %s; from-tag %.100s, to-tag %.100s",
		       r->number, report_duration_s(r), report_end_text(r->end), r->from_tag,
		       r->to_tag ? r->to_tag : "unknown");
	if (len < size)
		len += party_text(r, SESSION_CALLER, buf + len, size - len);
	if (len < size)
		len += party_text(r, SESSION_CALLEE, buf + len, size - len);
	if (len < size)
		snprintf(buf + len, size - len, "; %.0f %% of all packets in the kernel",
			 100 * report_kernel_share(r));
	return buf;
}
