/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.h - how the audio of RFC 3551's static payload types is cut into frames. Encodes and
 * decodes nothing. Pure.
 *
 * Only payload types whose meaning needs no signalling are here: the control protocol never says
 * what a dynamic one stands for, so Opus, for one, cannot be known.
 */
#ifndef RTPX_CODEC_H
#define RTPX_CODEC_H

#include "base.h"

#define CODEC_TICKS_PER_MS 8 /* of the RTP clock, for all of them: G.722 too, RFC 3551 section 4.5.2 */

struct codec {
	uint8_t payload_type;
	uint8_t frame_bytes;  /* the usual frame; G.729 and G.723 have shorter ones for silence */
	uint16_t frame_ticks;
	uint16_t unit_ticks;  /* re-packetization works in multiples of it */
};

/* codec_of - NULL for a payload type that is not in the table. */
const struct codec *codec_of(uint8_t payload_type);

/*
 * codec_frames - how many of the @len bytes at @p are whole frames of @max_ticks at most; *@ticks:
 * how long they last. A last byte that belongs to no frame is never counted.
 */
size_t codec_frames(const struct codec *c, const uint8_t *p, size_t len, uint32_t max_ticks,
		    uint32_t *ticks);

/*
 * codec_closes - a payload of @len bytes that nothing can be appended to: it ends in G.729's
 * two-byte silence frame (RFC 3551 section 4.5.6).
 */
bool codec_closes(const struct codec *c, size_t len);

#endif
