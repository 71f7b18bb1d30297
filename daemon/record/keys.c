/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keys.c - an event has four bytes: its code, two flags with the volume, and two bytes of
 * duration (RFC 4733 section 2.3). Codes 0 to 15 are the keys, 16 is the hook flash.
 */
#include "record/keys.h"
#include "media/rtp.h"

#define EVENT_BYTES 4
#define EVENT_STAR 10
#define EVENT_LAST_KEY 16
#define EVENT_RESERVED 0x40 /* this flag is 0 */

bool keys_in(const uint8_t *packet, size_t len, uint32_t types)
{
	struct rtpx_packet rtp = { 0 };
	const uint8_t *event;
	size_t bytes;

	rtp_describe(&rtp, packet, len);
	if (rtp.kind != RTPX_PAYLOAD_RTP || rtp.payload_type < RTP_FIRST_DYNAMIC)
		return false;
	if (types >> (rtp.payload_type - RTP_FIRST_DYNAMIC) & 1)
		return true;
	event = rtp_payload(packet, len, &bytes);
	return bytes == EVENT_BYTES && event[0] <= EVENT_LAST_KEY && !(event[1] & EVENT_RESERVED);
}

bool keys_mask(uint8_t *packet, size_t len)
{
	size_t bytes, at, head = rtp_payload(packet, len, &bytes) - packet;

	if (!bytes || bytes % EVENT_BYTES)
		return false;
	for (at = head; at < head + bytes; at += EVENT_BYTES)
		packet[at] = EVENT_STAR;
	return true;
}
