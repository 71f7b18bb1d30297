/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtp.h - reads the RTP header of a packet (RFC 3550 section 5.1). Pure.
 */
#ifndef RTPX_RTP_H
#define RTPX_RTP_H

#include "base/base.h"
#include "rtpx_verdict.h"

/* The first dynamic payload type (RFC 3551 section 6): that of the first bit in a set of types. */
#define RTP_FIRST_DYNAMIC 96

/*
 * rtp_describe - fill @out from a UDP payload of @len bytes: kind and payload_bytes, and for
 * RTPX_PAYLOAD_RTP also the members of the RTP header.
 */
void rtp_describe(struct rtpx_packet *out, const uint8_t *payload, size_t len);

/*
 * rtp_payload - the payload of an RTP packet, behind the CSRC list and the extension, and before
 * the padding. Call it only for a packet that rtp_describe() has called RTPX_PAYLOAD_RTP. Sets
 * *@bytes to its length; 0 if the padding is longer than the packet.
 */
const uint8_t *rtp_payload(const uint8_t *packet, size_t len, size_t *bytes);

#endif
