/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * speexpack.c - walks over the parts of a payload by the bits of their modes (the Speex manual,
 * section 5.5 and 9.3, version 1.2).
 */
#include <errno.h>

#include "media/speexpack.h"

#define BAD -1
#define WIDE 0x10    /* the bit before a mode: a wide-band part */
#define MAX_PASSED 2 /* wide-band parts in a row that a decoder passes over */

enum { USER = 13, MESSAGE = 14, END = 15 }; /* in place of a narrow-band mode */

struct reader {
	const uint8_t *p;
	size_t at, end; /* bits */
};

/* The next @n bits, which stay there; bits behind the end are 0. */
static unsigned int bits_ahead(const struct reader *r, unsigned int n)
{
	unsigned int value = 0;
	size_t at;

	for (at = r->at; at < r->at + n; at++)
		value = value << 1 | (at < r->end ? r->p[at / 8] >> (7 - at % 8) & 1 : 0);
	return value;
}

static bool bits_skip(struct reader *r, int n)
{
	if (n == BAD || r->end - r->at < (size_t)n)
		return false;
	r->at += (size_t)n;
	return true;
}

/* Bits of a message: the bit and mode before it, 4 bits for its kind, and its content. */
static int message_bits(unsigned int kind)
{
	static const uint8_t content[] = { 1, 1, 4, 4, 4, 4, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64 };

	return 5 + 4 + content[kind];
}

/* The user's own message has 5 more bits of head, and bytes. */
static int user_bits(unsigned int bytes)
{
	return 5 + 4 + 5 + 8 * (int)bytes;
}

static int narrow_bits(unsigned int mode, unsigned int next)
{
	static const int16_t bits[] = { 5, 43, 119, 160, 220, 300, 364, 492, 79 };

	if (mode == MESSAGE)
		return message_bits(next);
	if (mode == USER)
		return user_bits(next);
	return mode < ARRAY_SIZE(bits) ? bits[mode] : BAD;
}

/*
 * Bits of a wide-band part. A decoder of @parts such parts takes as many behind a narrow-band frame
 * (@n is the number of those before this one), and passes over others; libspeex fails to pass over
 * one that is empty.
 */
static int wide_bits(unsigned int n, unsigned int parts, unsigned int mode)
{
	static const int16_t bits[][8] = {
		{ 4, 36, 112, 192, 352, BAD, BAD, BAD },
		{ 4, 36, BAD, BAD, BAD, BAD, BAD, BAD },
		{ BAD, 36, 112, 192, 352, BAD, BAD, BAD },
	};

	return bits[n < parts ? n : 2][mode];
}

static unsigned int wide_parts(unsigned int rate)
{
	return rate == 8000 ? 0 : rate == 16000 ? 1 : 2;
}

int speexpack_frames(unsigned int rate, const uint8_t *p, size_t len)
{
	const unsigned int parts = wide_parts(rate);
	struct reader r = { .p = p, .end = 8 * len };
	unsigned int mode, wide = 0;
	int n = 0;

	while (r.end - r.at >= 5) {
		mode = bits_ahead(&r, 5);
		if (mode == END)
			break;
		if (mode & WIDE) {
			if (!n || wide == parts + MAX_PASSED ||
			    !bits_skip(&r, wide_bits(wide++, parts, bits_ahead(&r, 4) & 7)))
				return -EBADMSG;
			continue;
		}
		if (!bits_skip(&r, narrow_bits(mode, bits_ahead(&r, 9) & 0xf)))
			return -EBADMSG;
		if (mode < USER && ++n > SPEEXPACK_MAX_FRAMES)
			return -EBADMSG;
		wide = mode < USER ? 0 : parts; /* a part behind a message belongs to no frame */
	}
	/* A decoder takes a bit 1 for the beginning of a wide-band part. */
	if (r.at < r.end && wide < parts && bits_ahead(&r, 1))
		return -EBADMSG;
	return n ? n : -EBADMSG;
}
