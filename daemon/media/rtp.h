/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtp.h - what the daemon needs to know of an RTP packet (RFC 3550 section 5.1). Pure.
 */
#ifndef RTPX_RTP_H
#define RTPX_RTP_H

#include "base/base.h"
#include "rtpx_verdict.h"

/*
 * rtp_describe - fill kind and payload_bytes of @out, and with RTPX_PAYLOAD_RTP the members that it
 * has of RTP, from a UDP payload of @len bytes.
 */
void rtp_describe(struct rtpx_packet *out, const uint8_t *payload, size_t len);

#endif
