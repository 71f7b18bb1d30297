/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompt.h - the bytes of a prompt file (raw codec frames, rtpproxy's `name.<payload type>`) as the
 * packets of one RTP stream. Pure: knows no file, no clock, no random numbers.
 */
#ifndef RTPX_PROMPT_H
#define RTPX_PROMPT_H

#include "base/base.h"

#define PROMPT_MAX_MS 999
#define PROMPT_MAX_PACKET 8192

struct prompt_opts {
	const uint8_t *data; /* stays the caller's, as long as the prompt is used */
	size_t len;
	uint8_t payload_type;
	unsigned int ptime_ms; /* 1 to PROMPT_MAX_MS; rounded up to the codec's frame */
	int count; /* how many times; negative: for ever */
	uint32_t ssrc, ts; /* RFC 3550 section 5.1 wants them random */
	uint16_t seq;
};

/* A stream that is being made; its members are prompt.c's. */
struct prompt {
	const uint8_t *data;
	size_t len, at;
	size_t packet_bytes;
	uint32_t packet_ticks;
	int count; /* rounds left, this one included; negative: for ever */
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t payload_type;
	bool begun;
};

/*
 * prompt_start - -EINVAL: nobody knows the frames of this payload type; -ENODATA: not even one
 * packet can be made, or @count is 0.
 */
int prompt_start(struct prompt *p, const struct prompt_opts *opts);

/*
 * prompt_next - write the next packet to @out; returns its length, 0 at the end. The first one has
 * the marker. What is left of the file when no whole packet can be made of it is skipped in each
 * round; sequence numbers and time stamps go on.
 */
size_t prompt_next(struct prompt *p, uint8_t out[PROMPT_MAX_PACKET]);

/* prompt_skip - as if so many packets had been made; their sequence numbers are not used up. */
void prompt_skip(struct prompt *p, uint64_t packets);

/* prompt_packet_ns - how long a packet will last; 0: prompt_start() would say -EINVAL. */
uint64_t prompt_packet_ns(const struct prompt_opts *opts);

#endif
