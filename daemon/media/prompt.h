/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompt.h - makes the packets of one RTP stream from the bytes of a prompt file (raw codec frames,
 * rtpproxy's `name.<payload type>`), or from payloads, each behind its length of two bytes. Pure:
 * uses no file, clock or random numbers.
 */
#ifndef RTPX_PROMPT_H
#define RTPX_PROMPT_H

#include "base/base.h"

#define PROMPT_MAX_MS 999
#define PROMPT_PACKET_MS 20 /* of payloads behind their lengths */
#define PROMPT_MAX_PACKET 8192

struct prompt_opts {
	const uint8_t *data; /* owned by the caller, who keeps it as long as the prompt */
	size_t len;
	bool more;		 /* @data has the beginning only; see prompt_extend() */
	uint8_t payload_type;	 /* of the packets */
	uint8_t frames_type;	 /* static payload type of the frames */
	unsigned int packet_khz; /* the data is payloads, of so many ticks a ms; 0: it is frames */
	unsigned int ptime_ms;	 /* 1 to PROMPT_MAX_MS; rounded up to the codec's frame */
	int count;		 /* rounds to play; negative: for ever */
	uint32_t ssrc, ts;	 /* RFC 3550 section 5.1 wants them random */
	uint16_t seq;
};

/* State of a stream; only prompt.c changes the members. */
struct prompt {
	const uint8_t *data;
	size_t len, at;
	const struct codec *codec; /* of the frames; NULL: payloads behind their lengths */
	size_t packet_bytes;	   /* of the payload; 0: packets differ */
	uint32_t packet_ticks;
	unsigned int ticks_per_ms;
	int count; /* rounds left, this one included; negative: for ever */
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t payload_type;
	bool more;
	bool talks; /* the next packet has no marker */
};

/*
 * prompt_start - begin a stream. Returns 0, -EINVAL for a ptime out of range or a payload type with
 * unknown frames, or -ENODATA if the data is shorter than a packet or count is 0.
 */
int prompt_start(struct prompt *p, const struct prompt_opts *opts);

/*
 * prompt_extend - the data is now @len bytes at @data, which begin with those of before. @more: and
 * still not whole.
 */
void prompt_extend(struct prompt *p, const uint8_t *data, size_t len, bool more);

/* prompt_is_short - true if the next packet is not there yet. */
bool prompt_is_short(const struct prompt *p);

/* prompt_pause - count the duration of a packet as silence. The next packet has the marker. */
void prompt_pause(struct prompt *p);

/*
 * prompt_next - write the next packet to @out; returns its length, 0 at the end, also at that of
 * incomplete data. The first packet has the marker. Each round skips the rest of the file that is
 * too short for a packet. Sequence numbers and time stamps continue over rounds.
 */
size_t prompt_next(struct prompt *p, uint8_t out[PROMPT_MAX_PACKET]);

/*
 * prompt_round_ms - duration of a round; 0: not known yet. prompt_left_ms - duration of all packets
 * that are left; -1: for ever, or not known yet. Both walk over the prompt if its packets differ in
 * length.
 */
uint64_t prompt_round_ms(const struct prompt *p);
int64_t prompt_left_ms(const struct prompt *p);

/*
 * prompt_skip - skip @packets packets from the beginning; uses up no sequence numbers. False: the
 * data is incomplete and does not reach so far, and nothing is skipped.
 */
bool prompt_skip(struct prompt *p, uint64_t packets);

/* prompt_packet_ns - duration of a packet; 0 if prompt_start() would return -EINVAL. */
uint64_t prompt_packet_ns(const struct prompt_opts *opts);

#endif
