/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * digits.c - from a telephone event to a message for the controller. It relays no packet.
 */
#include "engine/digits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/provoked.h"
#include "call/dtmf.h"

int digits_restore(struct leg *leg, int target, const struct digits_req *req)
{
	struct dtmf *dtmf = leg_rest(leg)->dtmf;

	if (!leg_rest_set(leg))
		return -ENOMEM;
	if (!dtmf)
		dtmf = dtmf_new(req->tag, target);
	if (!dtmf)
		return -ENOMEM;
	dtmf->payload_type = req->payload_type;
	dtmf->hide = req->hide;
	leg->rest->dtmf = dtmf;
	return 0;
}

int digits_catch(const struct digits *d, struct leg *leg, const struct digits_req *req)
{
	const struct session *s = leg_session(leg);

	if (s->notify < 0 || notify_ends_calls(d->notify, s->notify)) {
		log_provoked(PROVOKED_DIGITS_REFUSED, s->call_id, session_party_words[leg->party]);
		return -EDESTADDRREQ;
	}
	return digits_restore(leg, s->notify, req);
}

/* rtpproxy's form: TAG DIGIT VOLUME DURATION SIDE, with side 0 for the caller. */
static void report_press(const struct digits *d, const struct leg *leg,
			 const struct dtmf_press *press, uint64_t now_ns)
{
	const struct session *s = leg_session(leg);
	const struct dtmf *dtmf = leg_rest(leg)->dtmf;
	size_t size = strlen(dtmf->tag) + sizeof(" D 63 65535 0");
	char *text = malloc(size);
	const struct notify_event event = { s->call_id, s->from_tag, s->to_tag, text,
					    session_group(s->number) };

	if (!text)
		return;
	snprintf(text, size, "%s %c %u %u %d", dtmf->tag, press->digit, press->volume,
		 press->duration, leg->party == SESSION_CALLEE);
	notify_send(d->notify, dtmf->target, &event, now_ns);
	d->stats->ndtmf_told++;
	free(text);
}

bool digits_take(const struct digits *d, struct leg *leg, const uint8_t *packet, size_t len,
		 uint64_t now_ns)
{
	struct dtmf *dtmf = leg_rest(leg)->dtmf;
	struct dtmf_press press;

	if (!dtmf || !dtmf_is_event(dtmf, packet, len))
		return false;
	switch (dtmf_packet(dtmf, packet, len, now_ns, &press)) {
	case DTMF_PRESSED:
		report_press(d, leg, &press, now_ns);
		break;
	case DTMF_TOO_MANY:
		d->stats->ndtmf_left_out++;
		log_provoked(PROVOKED_DIGITS_MANY, leg_session(leg)->call_id,
			     session_party_words[leg->party], DTMF_BURST);
		break;
	case DTMF_GOES_ON:
		break;
	}
	return dtmf->hide;
}
