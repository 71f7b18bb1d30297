/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompt.c - cuts a prompt into RTP packets (RFC 3550 section 5.1, RFC 3551). It adds no padding,
 * extension or CSRC, and does not look at the audio.
 */
#include <errno.h>

#include "media/prompt.h"
#include "media/codec.h"

#define RTP_HEADER 12
#define RTP_VERSION 0x80
#define RTP_MARKER 0x80

/* Number of frames in a packet; 0: unknown. */
static uint32_t frames_of(const struct prompt_opts *o)
{
	const struct codec *c = codec_of(o->payload_type);

	if (!c || o->ptime_ms < 1 || o->ptime_ms > PROMPT_MAX_MS)
		return 0;
	return (o->ptime_ms * CODEC_TICKS_PER_MS + c->frame_ticks - 1) / c->frame_ticks;
}

uint64_t prompt_packet_ns(const struct prompt_opts *o)
{
	uint32_t frames = frames_of(o);

	return frames ? frames * codec_of(o->payload_type)->frame_ticks * NSEC_PER_MSEC /
				CODEC_TICKS_PER_MS : 0;
}

int prompt_start(struct prompt *p, const struct prompt_opts *o)
{
	const struct codec *c = codec_of(o->payload_type);
	uint32_t frames = frames_of(o);

	if (!frames)
		return -EINVAL;
	*p = (struct prompt){
		.data = o->data,
		.len = o->len,
		.packet_bytes = (size_t)frames * c->frame_bytes,
		.packet_ticks = frames * c->frame_ticks,
		.count = o->count,
		.ssrc = o->ssrc,
		.ts = o->ts,
		.seq = o->seq,
		.payload_type = o->payload_type,
	};
	return p->len < p->packet_bytes || p->count == 0 ? -ENODATA : 0;
}

static void put_header(uint8_t *out, const struct prompt *p)
{
	const uint8_t header[RTP_HEADER] = {
		RTP_VERSION,
		p->payload_type | (p->begun ? 0 : RTP_MARKER),
		p->seq >> 8, p->seq & 0xff,
		p->ts >> 24, p->ts >> 16 & 0xff, p->ts >> 8 & 0xff, p->ts & 0xff,
		p->ssrc >> 24, p->ssrc >> 16 & 0xff, p->ssrc >> 8 & 0xff, p->ssrc & 0xff,
	};

	memcpy(out, header, sizeof(header));
}

/* Begin the next round if this one is at its end; false after the last round. */
static bool go_round(struct prompt *p)
{
	if (p->len - p->at >= p->packet_bytes)
		return true;
	p->at = 0;
	if (p->count > 0)
		p->count--;
	return p->count != 0;
}

size_t prompt_next(struct prompt *p, uint8_t out[PROMPT_MAX_PACKET])
{
	if (p->count == 0 || !go_round(p))
		return 0;
	put_header(out, p);
	memcpy(out + RTP_HEADER, p->data + p->at, p->packet_bytes);
	p->at += p->packet_bytes;
	p->seq++;
	p->ts += p->packet_ticks;
	p->begun = true;
	return RTP_HEADER + p->packet_bytes;
}

void prompt_skip(struct prompt *p, uint64_t packets)
{
	uint64_t round = p->len / p->packet_bytes, rounds = packets / round;

	p->at = packets % round * p->packet_bytes;
	if (p->count > 0)
		p->count = rounds < (uint64_t)p->count ? p->count - (int)rounds : 0;
}
