/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.h - frames in the audio of RFC 3551's static payload types and of Opus. Does not encode or
 * decode. Pure.
 *
 * The control protocol does not name the codecs of dynamic payload types, so the caller must know
 * the payload types of Opus.
 */
#ifndef RTPX_CODEC_H
#define RTPX_CODEC_H

#include "base/base.h"

/* RTP clock of all static types, also of G.722 (RFC 3551 section 4.5.2) */
#define CODEC_TICKS_PER_MS 8

struct codec {
	uint8_t payload_type;
	uint8_t ticks_per_ms;
	uint8_t frame_bytes; /* the usual frame; G.729 and G.723 have shorter ones for silence */
	uint16_t frame_ticks;
	uint16_t unit_ticks; /* re-packetized packets last a multiple of this */
};

/*
 * Opus has a dynamic payload type, and each packet gives the length of its frames (RFC 7587), so
 * only ticks_per_ms is set here.
 */
extern const struct codec codec_opus;

/* codec_of - codec of a static payload type; NULL if it is not in the table. */
const struct codec *codec_of(uint8_t payload_type);

/*
 * codec_frames - count the bytes at @p, at most @len, that are whole frames of at most @max_ticks
 * together. Sets *@ticks to their duration. Does not count trailing bytes that are no whole frame.
 * An Opus packet counts as a whole or not at all.
 */
size_t codec_frames(const struct codec *c, const uint8_t *p, size_t len, uint32_t max_ticks,
		    uint32_t *ticks);

/*
 * codec_closes - true if no frame can follow a payload of @len bytes, because it ends in G.729's
 * two-byte silence frame (RFC 3551 section 4.5.6).
 */
bool codec_closes(const struct codec *c, size_t len);

#endif
