/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dtmf.h - telephone events (RFC 4733) of one party: which packets are events, and when a digit is
 * complete. The rules are those of rtpproxy's module catch_dtmf. Pure.
 */
#ifndef RTPX_DTMF_H
#define RTPX_DTMF_H

#include "base/base.h"

#define DTMF_DEFAULT_TYPE 101 /* RTP payload type */
#define DTMF_HISTORY 4	      /* latest events that are remembered */
/* A party can provoke so many reports at once, and then so many a second. */
#define DTMF_BURST 25

/* An event of which a packet has come. RFC 4733 section 2.5.1.2: its packets share a timestamp. */
struct dtmf_event {
	bool pending;	   /* its end has not come, or was its first packet */
	char digit;	   /* '\0': this element is free */
	uint16_t duration; /* longest so far, in timestamp units */
	uint32_t timestamp;
};

/* Detection of the events that a party sends. */
struct dtmf {
	char *tag;  /* owned; begins each report */
	int target; /* of notify.h */
	uint8_t payload_type;
	bool hide;    /* events are not relayed */
	uint8_t next; /* element of @seen for the next new event */
	struct dtmf_event seen[DTMF_HISTORY];
	uint64_t spent_ns; /* its spent time, to which each report adds a share of a second */
};

/* A digit that is complete. */
struct dtmf_press {
	char digit;	   /* 0 to 9, *, #, A to D; a blank for flash */
	uint8_t volume;	   /* power level in -dBm0, of the packet with the end */
	uint16_t duration; /* in timestamp units */
};

/* dtmf_new - report to @target with @tag, which is copied and may hold no NUL. NULL: no memory. */
struct dtmf *dtmf_new(struct span tag, int target);
void dtmf_free(struct dtmf *d); /* NULL is allowed */

/* dtmf_is_event - the UDP payload is RTP of the event type. */
bool dtmf_is_event(const struct dtmf *d, const uint8_t *packet, size_t len);

enum dtmf_outcome {
	DTMF_GOES_ON,
	DTMF_PRESSED,  /* *@out is set: report it */
	DTMF_TOO_MANY, /* a digit, but the party has sent too many: do not report it */
};

/*
 * dtmf_packet - take a packet of dtmf_is_event(). @now_ns: CLOCK_MONOTONIC. As in rtpproxy, the
 * first packet of an event never ends it.
 */
enum dtmf_outcome dtmf_packet(struct dtmf *d, const uint8_t *packet, size_t len, uint64_t now_ns,
			      struct dtmf_press *out);

#endif
