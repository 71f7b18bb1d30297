/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_payload.h - the kind of a UDP payload by its first bytes (RFC 7983 section 7). Pure.
 *
 * The XDP program, the netfilter module and the daemon call these functions, so they count the same
 * packets as RTP. Each of them gets at the bytes in its own way.
 */
#ifndef RTPX_PAYLOAD_H
#define RTPX_PAYLOAD_H

#include "rtpx_entry.h"

enum rtpx_payload {
	RTPX_PAYLOAD_OTHER,
	RTPX_PAYLOAD_RTP,  /* version 2; sources and extension lie within the packet */
	RTPX_PAYLOAD_RTCP, /* version 2, packet types 192 to 223 */
	RTPX_PAYLOAD_STUN, /* with the magic cookie of RFC 5389 */
	RTPX_PAYLOAD_DTLS,
	RTPX_PAYLOAD_ZRTP,
};

#define RTPX_PAYLOAD_LOOK 8 /* bytes that tell the kind; a shorter payload is OTHER */
#define RTPX_RTP_HEADER 12
#define RTPX_RTP_PADDED 0x20 /* bits of an RTP packet's first byte */
#define RTPX_RTP_EXTENDED 0x10

#define RTPX_STUN_HEADER 20
#define RTPX_STUN_COOKIE 0x2112a442u
#define RTPX_DTLS_HEADER 13
#define RTPX_ZRTP_HEADER 12
#define RTPX_ZRTP_COOKIE 0x5a525450u

/* rtpx_get16, rtpx_get32 - a number in network order, at any address. */
static __always_inline __u16 rtpx_get16(const __u8 *b)
{
	return b[0] << 8 | b[1];
}

static __always_inline __u32 rtpx_get32(const __u8 *b)
{
	return (__u32)rtpx_get16(b) << 16 | rtpx_get16(b + 2);
}

/* rtpx_is_stun - RFC 5389 section 6; @word: bytes 4 to 7 of a payload of @bytes bytes. */
static __always_inline int rtpx_is_stun(__u8 first, __u32 word, __u32 bytes)
{
	return word == RTPX_STUN_COOKIE && !(first & 0xc0) && bytes >= RTPX_STUN_HEADER;
}

/*
 * rtpx_is_rtp - RFC 3550 section 5.1, as far as the first RTPX_PAYLOAD_LOOK bytes tell. Types 192
 * to 223 are RTCP on the same port (RFC 5761 section 4). With RTPX_RTP_EXTENDED in the first byte,
 * the packet is RTP only if rtpx_rtp_extension_holds() as well.
 *
 * The number of padding bytes is ignored: it is encrypted in SRTP (RFC 3711 section 3.1).
 */
static __always_inline int rtpx_is_rtp(const __u8 *b, __u32 bytes)
{
	return (b[0] & 0xc0) == 0x80 && (b[1] & 0xe0) != 0xc0 &&
	       bytes >= RTPX_RTP_HEADER + 4u * (b[0] & 0x0f) + !!(b[0] & RTPX_RTP_PADDED);
}

/* rtpx_rtp_extension - the offset of an extension: behind header and sources. */
static __always_inline __u32 rtpx_rtp_extension(__u8 first)
{
	return RTPX_RTP_HEADER + 4u * (first & 0x0f);
}

/*
 * rtpx_rtp_extension_holds - the extension fits into the packet. @extension: its first 4 bytes,
 * which lie within the packet.
 */
static __always_inline int rtpx_rtp_extension_holds(__u8 first, __u32 bytes, const __u8 *extension)
{
	return bytes >= rtpx_rtp_extension(first) + 4 + 4u * rtpx_get16(extension + 2) +
				!!(first & RTPX_RTP_PADDED);
}

/*
 * rtpx_payload_kind - the kind of a payload of @bytes bytes; @b has the first RTPX_PAYLOAD_LOOK.
 * The answer RTP needs rtpx_rtp_extension_holds() as well, as with rtpx_is_rtp().
 */
static inline enum rtpx_payload rtpx_payload_kind(const __u8 *b, __u32 bytes)
{
	__u32 word = rtpx_get32(b + 4);

	if (rtpx_is_rtp(b, bytes))
		return RTPX_PAYLOAD_RTP;
	if ((b[0] & 0xc0) == 0x80 && (b[1] & 0xe0) == 0xc0)
		return RTPX_PAYLOAD_RTCP;
	if (rtpx_is_stun(b[0], word, bytes))
		return RTPX_PAYLOAD_STUN;
	/* RFC 9147 section 4; versions 1.0 and 1.2 are 254.255 and 254.253 */
	if (b[0] >= 20 && b[0] <= 63 && b[1] == 254 && b[2] >= 253 && bytes >= RTPX_DTLS_HEADER)
		return RTPX_PAYLOAD_DTLS;
	/* RFC 6189 section 5 */
	if ((b[0] & 0xf0) == 0x10 && word == RTPX_ZRTP_COOKIE && bytes >= RTPX_ZRTP_HEADER)
		return RTPX_PAYLOAD_ZRTP;
	return RTPX_PAYLOAD_OTHER;
}

/* rtpx_payload_whole - the final kind of a payload that lies in memory as a whole. */
static inline enum rtpx_payload rtpx_payload_whole(const __u8 *b, __u32 bytes)
{
	enum rtpx_payload kind;
	__u32 extension;

	if (bytes < RTPX_PAYLOAD_LOOK)
		return RTPX_PAYLOAD_OTHER;
	kind = rtpx_payload_kind(b, bytes);
	if (kind != RTPX_PAYLOAD_RTP || !(b[0] & RTPX_RTP_EXTENDED))
		return kind;
	extension = rtpx_rtp_extension(b[0]);
	if (bytes < extension + 4 || !rtpx_rtp_extension_holds(b[0], bytes, b + extension))
		return RTPX_PAYLOAD_OTHER;
	return kind;
}

#endif
