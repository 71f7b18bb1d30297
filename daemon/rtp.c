/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtp.c - recognises RTP (RFC 3550 section 5.1) and STUN (RFC 5389 section 6) in a UDP payload.
 */
#include "rtp.h"

#define RTP_HEADER 12
#define STUN_HEADER 20
#define STUN_COOKIE 0x2112a442u

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Payload types 64 to 95 are RTCP that shares the port, RFC 5761 section 4. */
static bool is_rtcp(const uint8_t *p)
{
	return (p[1] & 0xe0) == 0xc0;
}

/* CSRC list, extension and padding lie within the packet. */
static bool rtp_lengths_hold(const uint8_t *p, size_t len)
{
	size_t header = RTP_HEADER + 4u * (p[0] & 0x0f);

	if (p[0] & 0x10) {
		if (len < header + 4)
			return false;
		header += 4 + 4u * be16(p + header + 2);
	}
	if (len < header)
		return false;
	return !(p[0] & 0x20) || (p[len - 1] > 0 && p[len - 1] <= len - header);
}

void rtp_describe(struct rtpx_packet *out, const uint8_t *p, size_t len)
{
	out->payload_bytes = MIN(len, UINT16_MAX);
	out->is_stun = len >= STUN_HEADER && (p[0] & 0xc0) == 0 && be32(p + 4) == STUN_COOKIE;
	out->is_rtp = len >= RTP_HEADER && (p[0] & 0xc0) == 0x80 && !is_rtcp(p) &&
		      rtp_lengths_hold(p, len);
	if (!out->is_rtp)
		return;
	out->payload_type = p[1] & 0x7f;
	out->rtp_seq = be16(p + 2);
	out->rtp_ts = be32(p + 4);
	out->ssrc = be32(p + 8);
}
