/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * opuspack.h - Opus packets: their duration, cut into frames, joined of frames (RFC 6716 section
 * 3). Decodes nothing. The Makefile chooses opuspack.c, which calls libopus, or opuspack_none.c.
 */
#ifndef RTPX_OPUSPACK_H
#define RTPX_OPUSPACK_H

#include "base/base.h"

struct opuspack;

#define OPUSPACK_RATE 48000 /* ticks a second, whatever the audio's own rate (RFC 7587) */
#define OPUSPACK_MAX_MS 120 /* in a packet, RFC 6716 section 3.2 */
#define OPUSPACK_MAX_FRAMES 48

/*
 * opuspack_ticks - duration of all frames of the packet of @len bytes at @p. 0: not a valid packet,
 * or a build without Opus.
 */
uint32_t opuspack_ticks(const uint8_t *p, size_t len);

/* opuspack_new - an empty set of frames. 0 or -ENOMEM. */
int opuspack_new(struct opuspack **out);
void opuspack_free(struct opuspack *o); /* NULL is allowed */

/* opuspack_clear - empty the set. */
void opuspack_clear(struct opuspack *o);

/*
 * opuspack_add - add the frames of the packet at @p, which must stay there until the set is empty.
 * False: the packet is not valid, or its frames do not fit to the ones in the set: one packet has
 * frames of one kind and length, and at most OPUSPACK_MAX_MS of them.
 */
bool opuspack_add(struct opuspack *o, const uint8_t *p, size_t len);

/* opuspack_frames - number of frames in the set. */
unsigned int opuspack_frames(const struct opuspack *o);

/*
 * opuspack_cut - write the frame number @i, 0 first, as a packet of its own. opuspack_join - write
 * all frames as one packet. Return the bytes; 0: they are more than @max.
 */
size_t opuspack_cut(struct opuspack *o, unsigned int i, uint8_t *out, size_t max);
size_t opuspack_join(struct opuspack *o, uint8_t *out, size_t max);

#endif
