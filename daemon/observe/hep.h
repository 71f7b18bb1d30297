/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hep.h - a packet as a message to a HEP collector such as Homer: version 3 of the protocol HEP
 * (EEP), with the chunks of vendor 0. Pure.
 *
 * A message is "HEP3", its length in 16 bits, and chunks. A chunk is vendor, type and its own
 * length with this head, 16 bits each, then the value. All numbers are in network byte order.
 */
#ifndef RTPX_HEP_H
#define RTPX_HEP_H

#include "base/addr.h"
#include "base/base.h"

#define HEP_TYPE_RTCP 5 /* captured protocol: RTCP reports as JSON */

/* A captured UDP packet. Spans are not owned. */
struct hep_packet {
	struct addr src, dst;	 /* of one family */
	uint64_t realtime_ns;	 /* time of arrival, CLOCK_REALTIME */
	uint8_t type;		 /* HEP_TYPE_… */
	uint32_t agent;		 /* number of the capture agent */
	struct span correlation; /* the Call-ID; cut if it leaves no room for @payload */
	struct span payload;
};

#define HEP_MAX 65535	 /* bytes of a message */
#define HEP_OVERHEAD 160 /* at most, besides correlation and payload */

/*
 * hep_encode - write the message to @out, which has room for HEP_MAX bytes. Returns its length, or
 * -EMSGSIZE for a payload beyond HEP_MAX - HEP_OVERHEAD.
 */
int hep_encode(const struct hep_packet *p, uint8_t *out);

#endif
