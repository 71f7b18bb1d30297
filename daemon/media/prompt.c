/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prompt.c - cuts a prompt into RTP packets (RFC 3550 section 5.1, RFC 3551). It adds no padding,
 * extension or CSRC, and does not look at the audio.
 */
#include <errno.h>

#include "media/prompt.h"
#include "media/codec.h"

#define G723 4	 /* payload type */
#define LENGTH 2 /* bytes before a payload */
#define RTP_HEADER 12
#define RTP_VERSION 0x80
#define RTP_MARKER 0x80

/* Duration of a packet in ticks of the RTP clock; 0: unknown. */
static uint32_t ticks_of(const struct prompt_opts *o)
{
	const struct codec *c = codec_of(o->frames_type);

	if (o->ptime_ms < 1 || o->ptime_ms > PROMPT_MAX_MS)
		return 0;
	if (o->packet_khz)
		return PROMPT_PACKET_MS * o->packet_khz;
	if (!c)
		return 0;
	return (o->ptime_ms * c->ticks_per_ms + c->frame_ticks - 1) / c->frame_ticks *
	       c->frame_ticks;
}

static unsigned int per_ms(const struct prompt_opts *o)
{
	return o->packet_khz ? o->packet_khz : CODEC_TICKS_PER_MS;
}

uint64_t prompt_packet_ns(const struct prompt_opts *o)
{
	return ticks_of(o) * NSEC_PER_MSEC / per_ms(o);
}

/*
 * Find the payload of the packet that begins at @at. Sets *@bytes to its length, and returns the
 * bytes up to the next packet. 0: there is no whole packet.
 */
static size_t packet_at(const struct prompt *p, size_t at, size_t *bytes)
{
	const uint8_t *d = p->data + at;
	size_t left = p->len - at;
	uint32_t ticks;

	if (p->packet_bytes) {
		*bytes = p->packet_bytes;
		return left >= *bytes ? *bytes : 0;
	}
	if (p->codec) {
		*bytes = codec_frames(p->codec, d, left, p->packet_ticks, &ticks);
		return ticks == p->packet_ticks ? *bytes : 0;
	}
	if (left < LENGTH)
		return 0;
	*bytes = d[0] << 8 | d[1];
	return *bytes && *bytes <= left - LENGTH ? LENGTH + *bytes : 0;
}

/*
 * The whole file is frames of G.723.1 that tell their length: 24, 20 or 4 bytes (RFC 3551 section
 * 4.5.3). Otherwise all frames are taken to have 24 bytes, as rtpproxy does.
 */
static bool tells_lengths(const uint8_t *data, size_t len)
{
	static const uint8_t bytes[] = { 24, 20, 4, 0 };
	size_t at = 0;

	while (at < len && bytes[data[at] & 3])
		at += bytes[data[at] & 3];
	return at == len;
}

/* Bytes of each packet; 0: they differ. */
static size_t packet_bytes(const struct prompt_opts *o, uint32_t ticks)
{
	const struct codec *c = codec_of(o->frames_type);

	if (o->packet_khz || (o->frames_type == G723 && tells_lengths(o->data, o->len)))
		return 0;
	return ticks / c->frame_ticks * c->frame_bytes;
}

int prompt_start(struct prompt *p, const struct prompt_opts *o)
{
	uint32_t ticks = ticks_of(o);
	size_t bytes;

	if (!ticks)
		return -EINVAL;
	*p = (struct prompt){
		.data = o->data,
		.len = o->len,
		.codec = o->packet_khz ? NULL : codec_of(o->frames_type),
		.ticks_per_ms = per_ms(o),
		.packet_ticks = ticks,
		.packet_bytes = packet_bytes(o, ticks),
		.count = o->count,
		.ssrc = o->ssrc,
		.ts = o->ts,
		.seq = o->seq,
		.payload_type = o->payload_type,
		.more = o->more,
	};
	return !packet_at(p, 0, &bytes) || p->count == 0 ? -ENODATA : 0;
}

void prompt_extend(struct prompt *p, const uint8_t *data, size_t len, bool more)
{
	p->data = data;
	p->len = len;
	p->more = more;
}

bool prompt_is_short(const struct prompt *p)
{
	size_t bytes;

	return p->more && !packet_at(p, p->at, &bytes);
}

void prompt_pause(struct prompt *p)
{
	p->ts += p->packet_ticks;
	p->talks = false;
}

static void put_header(uint8_t *out, const struct prompt *p)
{
	const uint8_t header[RTP_HEADER] = {
		RTP_VERSION,	     p->payload_type | (p->talks ? 0 : RTP_MARKER),
		p->seq >> 8,	     p->seq & 0xff,
		p->ts >> 24,	     p->ts >> 16 & 0xff,
		p->ts >> 8 & 0xff,   p->ts & 0xff,
		p->ssrc >> 24,	     p->ssrc >> 16 & 0xff,
		p->ssrc >> 8 & 0xff, p->ssrc & 0xff,
	};

	memcpy(out, header, sizeof(header));
}

/* Begin the next round if this one is at its end; false after the last round. */
static bool go_round(struct prompt *p)
{
	size_t bytes;

	if (packet_at(p, p->at, &bytes))
		return true;
	if (p->more)
		return false;
	p->at = 0;
	if (p->count > 0)
		p->count--;
	return p->count != 0;
}

size_t prompt_next(struct prompt *p, uint8_t out[PROMPT_MAX_PACKET])
{
	size_t bytes, whole;

	if (p->count == 0 || !go_round(p))
		return 0;
	whole = packet_at(p, p->at, &bytes);
	put_header(out, p);
	memcpy(out + RTP_HEADER, p->data + p->at + whole - bytes, bytes);
	p->at += whole;
	p->seq++;
	p->ts += p->packet_ticks;
	p->talks = true;
	return RTP_HEADER + bytes;
}

/* Packets from @at to the end of the round. Walks over them if they have several lengths. */
static uint64_t packets_from(const struct prompt *p, size_t at)
{
	size_t step, bytes;
	uint64_t n = 0;

	if (p->packet_bytes)
		return (p->len - at) / p->packet_bytes;
	for (; (step = packet_at(p, at, &bytes)); at += step)
		n++;
	return n;
}

static uint64_t ms_of(const struct prompt *p, uint64_t packets)
{
	return packets * p->packet_ticks / p->ticks_per_ms;
}

uint64_t prompt_round_ms(const struct prompt *p)
{
	return p->more ? 0 : ms_of(p, packets_from(p, 0));
}

int64_t prompt_left_ms(const struct prompt *p)
{
	if (p->count <= 0 || p->more)
		return p->count ? -1 : 0;
	return ms_of(p, packets_from(p, p->at) + (p->count - 1) * packets_from(p, 0));
}

bool prompt_skip(struct prompt *p, uint64_t packets)
{
	uint64_t round = packets_from(p, 0), rounds = packets / round, rest = packets % round;
	size_t bytes;

	if (p->more && packets > round)
		return false;
	if (p->more)
		rounds = 0, rest = packets;
	p->at = p->packet_bytes * rest;
	for (; rest && !p->packet_bytes; rest--)
		p->at += packet_at(p, p->at, &bytes);
	if (p->count > 0)
		p->count = rounds < (uint64_t)p->count ? p->count - (int)rounds : 0;
	return true;
}
