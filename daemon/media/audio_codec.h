/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * audio_codec.h - the encodings of audio in RTP: names, rates and parameters as in SDP, and the
 * static payload types of RFC 3551. Neither encodes nor decodes. Pure.
 */
#ifndef RTPX_AUDIO_CODEC_H
#define RTPX_AUDIO_CODEC_H

#include "base/base.h"

enum audio_kind {
	AUDIO_PCMU,
	AUDIO_PCMA,
	AUDIO_GSM,
	AUDIO_G722,
	AUDIO_G729,
	AUDIO_L16,
	AUDIO_OPUS,
	AUDIO_AMR,
	AUDIO_AMR_WB,
	AUDIO_SPEEX,
};

/* One way to carry audio in RTP. */
struct audio_codec {
	enum audio_kind kind;
	const char *name;   /* encoding name in SDP */
	int payload_type;   /* static type of RFC 3551; -1: none */
	unsigned int rate;  /* samples a second */
	unsigned int clock; /* RTP ticks a second; G.722: not its rate */
	unsigned int channels;
	unsigned int frame_samples; /* samples in a frame to encode */
	unsigned int frame_bytes;   /* longest encoded frame */
	bool octet_aligned;	    /* AMR, AMR-WB: RFC 4867 section 4.4; else section 4.3 */
	uint8_t mode;		    /* AMR, AMR-WB: the frame type to encode */
};

#define AUDIO_CODEC_DYNAMIC 32 /* payload types, from RTP_FIRST_DYNAMIC up */

/* The codecs of the payload types 96 to 127. All zero: none is known. */
struct audio_codec_map {
	struct audio_codec of[AUDIO_CODEC_DYNAMIC]; /* name NULL: not known */
};

#define AUDIO_CODEC_TEXT 64
#define AUDIO_CODEC_KEY 16

/* audio_codec_of - codec of a static payload type; NULL: no such type, or not known here. */
const struct audio_codec *audio_codec_of(unsigned int payload_type);

/*
 * audio_codec_parse - parse "NAME[/RATE[/CHANNELS]][;PARAMETER=VALUE]..." as in an rtpmap and fmtp
 * of SDP, ignoring case. 0, or -EINVAL with a static sentence in *@why: an unknown encoding, one
 * that has not this rate or number of channels, or a parameter that is unknown or asks for a form
 * of payloads that is not understood here.
 */
int audio_codec_parse(const char *text, struct audio_codec *out, const char **why);

/* audio_codec_text - the text of @c for audio_codec_parse(). Returns @out. */
char *audio_codec_text(const struct audio_codec *c, char out[AUDIO_CODEC_TEXT]);

/*
 * audio_codec_key - a word of at most 8 characters for the encoded form of @c: "18", "opus",
 * "amr7". Codecs with the same key encode alike. Returns @out.
 */
char *audio_codec_key(const struct audio_codec *c, char out[AUDIO_CODEC_KEY]);

/*
 * audio_codec_varies - true if the frames of one duration have several lengths, or a packet tells
 * its own number of frames.
 */
bool audio_codec_varies(const struct audio_codec *c);

/*
 * audio_codec_map_add - add "TYPE=NAME..." with a dynamic payload type; a later one replaces an
 * earlier one. NULL, or the reason against @text as a static sentence.
 */
const char *audio_codec_map_add(struct audio_codec_map *m, const char *text);

/*
 * audio_codec_mapped - codec of a dynamic payload type; NULL: not known, or not dynamic. @m may be
 * NULL.
 */
const struct audio_codec *audio_codec_mapped(const struct audio_codec_map *m, unsigned int type);

/* audio_codec_map_types - a bit for each payload type from 96 up that has a codec of @kind. */
uint32_t audio_codec_map_types(const struct audio_codec_map *m, enum audio_kind kind);

#endif
