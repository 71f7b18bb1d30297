/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reporter.c - a tap of RTCP. RTCP of strangers is not reported.
 */
#include "observe/reporter.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "observe/hep.h"
#include "observe/roundtrip.h"
#include "observe/rtcp.h"

struct reporter {
	struct reporter_opts o;
	struct tap tap;
	struct collector *collector;
	struct roundtrip *roundtrip;
	uint64_t unreadable, uncopied;
	struct hep_packet packet; /* being reported */
	uint8_t message[HEP_MAX];
};

static bool tap_wants(void *arg, struct direction d)
{
	(void)arg;
	return d.kind == STREAM_RTCP;
}

static void send_report(void *arg, const char *json, size_t len)
{
	struct reporter *r = arg;
	int bytes;

	r->packet.payload = (struct span){ json, len };
	bytes = hep_encode(&r->packet, r->message);
	if (bytes > 0)
		collector_send(r->collector, r->message, (size_t)bytes);
}

static void on_packet(void *arg, struct direction d, uint64_t arrival_ns,
		      const struct format_packet *p, bool accepted)
{
	struct reporter *r = arg;

	if (!accepted)
		return;
	r->packet = (struct hep_packet){
		.src = p->src,
		.dst = p->dst,
		.realtime_ns = arrival_ns + clock_realtime_offset(),
		.type = HEP_TYPE_RTCP,
		.agent = r->o.agent,
		.correlation = span_of(direction_session(d)->call_id),
	};
	if (rtcp_reports(p->data, p->len, send_report, r) < 0)
		r->unreadable++;
	roundtrip_packet(r->roundtrip, p->data, p->len, arrival_ns);
}

static void on_lost(void *arg, const struct session *s, uint64_t packets)
{
	struct reporter *r = arg;

	(void)s;
	r->uncopied += packets;
}

int reporter_new(struct reporter **out, struct event_base *base, const struct reporter_opts *opts)
{
	struct reporter *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->o = *opts;
	rc = roundtrip_new(&r->roundtrip);
	if (rc == 0)
		rc = collector_new(&r->collector, base, &opts->collector, opts->no_resolve);
	if (rc) {
		roundtrip_free(r->roundtrip);
		free(r);
		return rc;
	}
	r->tap = (struct tap){ tap_wants, on_packet, on_lost, r, NULL, NULL };
	taps_add(opts->taps, &r->tap);
	*out = r;
	return 0;
}

void reporter_free(struct reporter *r)
{
	if (!r)
		return;
	taps_remove(r->o.taps, &r->tap);
	collector_free(r->collector);
	roundtrip_free(r->roundtrip);
	free(r);
}

void reporter_view(const struct reporter *r, struct reporter_view *out)
{
	collector_view(r->collector, &out->collector);
	out->unreadable = r->unreadable;
	out->uncopied = r->uncopied;
	out->roundtrip_s = roundtrip_seconds(r->roundtrip);
}
