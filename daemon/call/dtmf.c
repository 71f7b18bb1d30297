/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtmf.c - follows telephone events to their end. It sends no report.
 *
 * Differences from rtpproxy: the event stands behind sources and an extension of the RTP header, if
 * there are any; an event 17 is no digit; a party cannot provoke reports without limit.
 */
#include "call/dtmf.h"

#include <stdlib.h>

#include "rtpx_payload.h"

#define EVENT_BYTES 4 /* RFC 4733 section 2.3 */
#define EVENT_END 0x80
#define EVENT_VOLUME 0x3f

#define REPORT_NS (NSEC_PER_SEC / DTMF_BURST)

static const char digits[] = "0123456789*#ABCD "; /* by event; the last is flash */

struct dtmf *dtmf_new(struct span tag, int target)
{
	struct dtmf *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->tag = strndup(tag.p, tag.len);
	d->target = target;
	d->payload_type = DTMF_DEFAULT_TYPE;
	if (d->tag)
		return d;
	free(d);
	return NULL;
}

void dtmf_free(struct dtmf *d)
{
	if (d)
		free(d->tag);
	free(d);
}

bool dtmf_is_event(const struct dtmf *d, const uint8_t *packet, size_t len)
{
	return rtpx_payload_whole(packet, len) == RTPX_PAYLOAD_RTP &&
	       (packet[1] & 0x7f) == d->payload_type;
}

/* The bytes of the event; NULL when the packet is too short. */
static const uint8_t *event_of(const uint8_t *packet, size_t len)
{
	size_t at = rtpx_rtp_extension(packet[0]);

	if (packet[0] & RTPX_RTP_EXTENDED)
		at += 4 + 4u * rtpx_get16(packet + at + 2);
	return at + EVENT_BYTES <= len ? packet + at : NULL;
}

static struct dtmf_event *event_known(struct dtmf *d, uint32_t timestamp)
{
	int i;

	for (i = 0; i < DTMF_HISTORY; i++)
		if (d->seen[i].digit && d->seen[i].timestamp == timestamp)
			return &d->seen[i];
	return NULL;
}

/* Each report costs its share of a second, up to a second in advance. */
static bool may_report(struct dtmf *d, uint64_t now_ns)
{
	uint64_t spent_ns = MAX(d->spent_ns, now_ns) + REPORT_NS;

	if (spent_ns > now_ns + NSEC_PER_SEC)
		return false;
	d->spent_ns = spent_ns;
	return true;
}

enum dtmf_outcome dtmf_packet(struct dtmf *d, const uint8_t *packet, size_t len, uint64_t now_ns,
			      struct dtmf_press *out)
{
	const uint8_t *event = event_of(packet, len);
	uint32_t timestamp = rtpx_get32(packet + 4);
	struct dtmf_event *seen;
	uint16_t duration;

	if (!event || event[0] >= sizeof(digits) - 1)
		return DTMF_GOES_ON;
	duration = rtpx_get16(event + 2);
	seen = event_known(d, timestamp);
	if (!seen) {
		d->seen[d->next] =
			(struct dtmf_event){ true, digits[event[0]], duration, timestamp };
		d->next = (d->next + 1) % DTMF_HISTORY;
		return DTMF_GOES_ON;
	}
	if (!seen->pending || seen->digit != digits[event[0]])
		return DTMF_GOES_ON;
	seen->duration = MAX(seen->duration, duration);
	if (!(event[1] & EVENT_END))
		return DTMF_GOES_ON;
	seen->pending = false;
	*out = (struct dtmf_press){ seen->digit, event[1] & EVENT_VOLUME, seen->duration };
	return may_report(d, now_ns) ? DTMF_PRESSED : DTMF_TOO_MANY;
}
