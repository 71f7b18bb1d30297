/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amrpack.h - AMR and AMR-WB frames in RTP payloads (RFC 4867 section 4) and in files (section 5).
 * Neither encodes nor decodes speech. Pure.
 *
 * A frame here has the form of a file: a byte with the frame type and the quality bit, then the
 * speech bits, the first one highest, filled up to a byte with zeros. Libraries have this form too.
 *
 * Deliberately not here: interleaving, robust sorting, CRC and more than one channel. SDP must
 * agree on them, and audio_codec refuses them.
 */
#ifndef RTPX_AMRPACK_H
#define RTPX_AMRPACK_H

#include "base/base.h"

#define AMRPACK_MAX_FRAME 61  /* bytes: AMR-WB's 477 bits, behind a byte */
#define AMRPACK_MAX_FRAMES 64 /* of a payload that is taken: ffmpeg sends 40 */
#define AMRPACK_MAX_PAYLOAD (1 + AMRPACK_MAX_FRAME) /* with one frame */
#define AMRPACK_FRAME_MS 20

/* The form of a stream, which SDP gives. */
struct amrpack_form {
	bool wide;	    /* AMR-WB */
	bool octet_aligned; /* section 4.4; else bandwidth-efficient, section 4.3 */
};

enum amrpack_kind {
	AMRPACK_SPEECH,
	AMRPACK_SILENCE, /* describes the noise of a pause (SID) */
	AMRPACK_NOTHING, /* no data, or lost before it was sent */
};

/* amrpack_kind - the kind of a frame that amrpack_parse() or amrpack_file_next() gave. */
enum amrpack_kind amrpack_kind(bool wide, const uint8_t *frame);

/* amrpack_is_good - false if the frame was damaged before it was sent: its quality bit is 0. */
bool amrpack_is_good(const uint8_t *frame);

/*
 * amrpack_parse - take the payload of @len bytes at @p apart into @out. Returns the number of
 * frames, 1 to AMRPACK_MAX_FRAMES, or -EBADMSG: a frame type that is reserved, a length that is not
 * the one of its frames, or too many frames. The codec mode request is not looked at.
 */
int amrpack_parse(struct amrpack_form form, const uint8_t *p, size_t len,
		  uint8_t out[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME]);

/*
 * amrpack_write - write the payload of one frame to @out, with a codec mode request of 15, which
 * requests nothing. Returns its bytes.
 */
size_t amrpack_write(struct amrpack_form form, const uint8_t *frame,
		     uint8_t out[AMRPACK_MAX_PAYLOAD]);

/* amrpack_magic - the line that begins a file of one channel, section 5.1. */
const char *amrpack_magic(bool wide);

/*
 * amrpack_file_next - bytes of the frame at @p in a file that has @len more bytes. 0: there is no
 * whole frame, or its type is reserved.
 */
size_t amrpack_file_next(bool wide, const uint8_t *p, size_t len);

#endif
