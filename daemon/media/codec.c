/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.c - the table of static audio payload types and their frames.
 */
#include "media/codec.h"
#include "media/opuspack.h"

enum { PCMU = 0, GSM = 3, G723 = 4, PCMA = 8, G722 = 9, G729 = 18 };

#define G729_SILENCE_BYTES 2

static const struct codec codecs[] = {
	/* type, ticks a ms, frame bytes and ticks, unit ticks */
	{ PCMU, CODEC_TICKS_PER_MS, 1, 1, 80 },	   { PCMA, CODEC_TICKS_PER_MS, 1, 1, 80 },
	{ G722, CODEC_TICKS_PER_MS, 1, 1, 80 },	   { G729, CODEC_TICKS_PER_MS, 10, 80, 80 },
	{ GSM, CODEC_TICKS_PER_MS, 33, 160, 160 }, { G723, CODEC_TICKS_PER_MS, 24, 240, 240 },
};

const struct codec codec_opus = { .ticks_per_ms = OPUSPACK_RATE / 1000 };

const struct codec *codec_of(uint8_t payload_type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(codecs); i++)
		if (codecs[i].payload_type == payload_type)
			return &codecs[i];
	return NULL;
}

/* The two low bits of a G.723.1 frame tell its kind, RFC 3551 section 4.5.3. */
static size_t frame_bytes(const struct codec *c, const uint8_t *p, size_t len)
{
	static const uint8_t g723[] = { 24, 20, 4, 1 };

	if (c->payload_type == G723)
		return g723[p[0] & 3];
	if (c->payload_type == G729 && len == G729_SILENCE_BYTES)
		return G729_SILENCE_BYTES;
	return c->frame_bytes;
}

size_t codec_frames(const struct codec *c, const uint8_t *p, size_t len, uint32_t max_ticks,
		    uint32_t *ticks)
{
	size_t at = 0;

	*ticks = 0;
	if (c == &codec_opus) {
		*ticks = opuspack_ticks(p, len);
		if (*ticks > max_ticks)
			*ticks = 0;
		return *ticks ? len : 0;
	}
	if (c->frame_ticks == 1) {
		*ticks = MIN(len, max_ticks);
		return *ticks;
	}
	while (at < len && max_ticks - *ticks >= c->frame_ticks) {
		size_t bytes = frame_bytes(c, p + at, len - at);

		if (bytes > len - at)
			break;
		at += bytes;
		*ticks += c->frame_ticks;
	}
	return at;
}

bool codec_closes(const struct codec *c, size_t len)
{
	return c->payload_type == G729 && len % c->frame_bytes != 0;
}
