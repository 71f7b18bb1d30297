/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * speexpack.h - Speex frames in RTP payloads (RFC 5574 section 3). Neither encodes nor decodes
 * speech. Pure.
 */
#ifndef RTPX_SPEEXPACK_H
#define RTPX_SPEEXPACK_H

#include "base/base.h"

#define SPEEXPACK_MAX_FRAMES 12 /* of a payload that is taken: 240 ms */
#define SPEEXPACK_MAX_FRAME 110 /* bytes of one frame, of any rate: 492 + 36 + 352 bits */
#define SPEEXPACK_FRAME_MS 20

/*
 * speexpack_frames - the number of frames in the payload of @len bytes at @p, 1 to
 * SPEEXPACK_MAX_FRAMES, for a decoder of 8000, 16000 or 32000 samples a second; -EBADMSG: a mode
 * that does not exist, a frame that is cut, no frame or too many. The wide-band parts belong to the
 * narrow-band frames before them. Bits behind the last frame are padding.
 */
int speexpack_frames(unsigned int rate, const uint8_t *p, size_t len);

#endif
