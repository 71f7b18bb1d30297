/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtp.h - what the daemon needs to know of an RTP packet (RFC 3550 section 5.1). Pure.
 */
#ifndef RTPX_RTP_H
#define RTPX_RTP_H

#include "base.h"
#include "rtpx_verdict.h"

/*
 * rtp_describe - fill the RTP and STUN members of @out and its payload_bytes from a UDP payload of
 * @len bytes: is_rtp when it is version 2 and the CSRC list, extension and padding lie within it.
 */
void rtp_describe(struct rtpx_packet *out, const uint8_t *payload, size_t len);

#endif
