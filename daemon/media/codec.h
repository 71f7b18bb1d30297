/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.h - how the audio of RFC 3551's static payload types, and Opus, is cut into frames. Encodes
 * and decodes nothing. Pure.
 *
 * The control protocol never says what a dynamic payload type stands for, so somebody else has to
 * know which one is Opus.
 */
#ifndef RTPX_CODEC_H
#define RTPX_CODEC_H

#include "base/base.h"

#define CODEC_TICKS_PER_MS 8 /* of the RTP clock, for all static types: G.722 too, RFC 3551 section 4.5.2 */

struct codec {
	uint8_t payload_type;
	uint8_t ticks_per_ms;
	uint8_t frame_bytes;  /* the usual frame; G.729 and G.723 have shorter ones for silence */
	uint16_t frame_ticks;
	uint16_t unit_ticks;  /* re-packetization works in multiples of it */
};

/*
 * Of a dynamic payload type; each packet says how long its frames are, the rest is 0 here. RFC
 * 7587.
 */
extern const struct codec codec_opus;
#define CODEC_OPUS_MAX_MS 120 /* in a packet, RFC 6716 section 3.2 */
#define CODEC_OPUS_MAX_FRAMES 48

/* codec_of - NULL for a payload type that is not in the table. */
const struct codec *codec_of(uint8_t payload_type);

/*
 * codec_frames - how many of the @len bytes at @p are whole frames of @max_ticks at most; *@ticks:
 * how long they last. A last byte that belongs to no frame is never counted. Of Opus it is the
 * packet or nothing.
 */
size_t codec_frames(const struct codec *c, const uint8_t *p, size_t len, uint32_t max_ticks,
		    uint32_t *ticks);

/*
 * codec_closes - a payload of @len bytes that nothing can be appended to: it ends in G.729's
 * two-byte silence frame (RFC 3551 section 4.5.6).
 */
bool codec_closes(const struct codec *c, size_t len);

#endif
