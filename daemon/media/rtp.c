/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtp.c - fills struct rtpx_packet from a UDP payload in memory.
 */
#include "media/rtp.h"

void rtp_describe(struct rtpx_packet *out, const uint8_t *p, size_t len)
{
	out->payload_bytes = MIN(len, UINT16_MAX);
	out->kind = rtpx_payload_whole(p, out->payload_bytes);
	if (out->kind != RTPX_PAYLOAD_RTP)
		return;
	out->payload_type = p[1] & 0x7f;
	out->marker = p[1] & 0x80;
	out->rtp_seq = rtpx_get16(p + 2);
	out->rtp_ts = rtpx_get32(p + 4);
	out->ssrc = rtpx_get32(p + 8);
}

const uint8_t *rtp_payload(const uint8_t *p, size_t len, size_t *bytes)
{
	size_t head = 12 + 4 * (p[0] & 0x0f), tail = p[0] & 0x20 ? p[len - 1] : 0;

	if (p[0] & 0x10)
		head += 4 + 4 * rtpx_get16(p + head + 2);
	*bytes = head + tail <= len ? len - head - tail : 0;
	return p + head;
}
