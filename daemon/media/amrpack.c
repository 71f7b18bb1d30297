/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * amrpack.c - a table of the bits of each frame type, and a reader and a writer of bits.
 */
#include <errno.h>

#include "media/amrpack.h"

#define NO_REQUEST 15	  /* codec mode request, section 4.3.1 */
#define HEAD_FOLLOWS 0x80 /* bits of the byte before a frame, section 4.4.2 */
#define HEAD_TYPE_SHIFT 3
#define HEAD_GOOD 0x04
#define HEAD_KEPT 0x7c /* frame type and quality, the others are padding */
#define TYPES 16
#define NOTHING 15
#define RESERVED -1

/* Bits of a frame by its type: 3GPP TS 26.101 and TS 26.201. */
static const int16_t bits_of_type[2][TYPES] = {
	{ 95, 103, 118, 134, 148, 159, 204, 244, 39, RESERVED, RESERVED, RESERVED, RESERVED,
	  RESERVED, RESERVED, 0 },
	{ 132, 177, 253, 285, 317, 365, 397, 461, 477, 40, RESERVED, RESERVED, RESERVED, RESERVED,
	  0, 0 },
};

static unsigned int frame_type(uint8_t head)
{
	return head >> HEAD_TYPE_SHIFT & 0xf;
}

static int frame_bits(bool wide, const uint8_t *frame)
{
	return bits_of_type[wide][frame_type(frame[0])];
}

static size_t whole_bytes(int bits)
{
	return ((size_t)bits + 7) / 8;
}

enum amrpack_kind amrpack_kind(bool wide, const uint8_t *frame)
{
	unsigned int silence = wide ? 9 : 8, type = frame_type(frame[0]);

	return type < silence	 ? AMRPACK_SPEECH
	       : type == silence ? AMRPACK_SILENCE
				 : AMRPACK_NOTHING;
}

bool amrpack_is_good(const uint8_t *frame)
{
	return frame[0] & HEAD_GOOD;
}

/* ---- bits, the highest of a byte first ---- */

/* The caller checks that there are @n bits from @at on; @n is at most 8. */
static unsigned int bits_get(const uint8_t *p, size_t *at, unsigned int n)
{
	unsigned int value = 0;

	for (; n; n--, ++*at)
		value = value << 1 | (p[*at / 8] >> (7 - *at % 8) & 1);
	return value;
}

/* The bytes of @out from @at on are zero. */
static void bits_put(uint8_t *out, size_t *at, unsigned int value, unsigned int n)
{
	for (; n; n--, ++*at)
		out[*at / 8] |= (uint8_t)((value >> (n - 1) & 1) << (7 - *at % 8));
}

static void bits_copy(uint8_t *out, size_t *to, const uint8_t *p, size_t *from, int n)
{
	unsigned int part;

	for (; n > 0; n -= (int)part) {
		part = (unsigned int)MIN(n, 8);
		bits_put(out, to, bits_get(p, from, part), part);
	}
}

/* ---- payloads ---- */

/*
 * Read the table of contents, section 4.3.2 or 4.4.2, from bit *@at on into the first bytes of the
 * frames. Returns their number.
 */
static int read_contents(struct amrpack_form form, const uint8_t *p, size_t len, size_t *at,
			 uint8_t out[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME])
{
	unsigned int width = form.octet_aligned ? 8 : 6, head;
	int n = 0;

	do {
		if (n == AMRPACK_MAX_FRAMES || *at + width > len * 8)
			return -EBADMSG;
		head = bits_get(p, at, width) << (8 - width);
		out[n][0] = head & HEAD_KEPT;
		if (frame_bits(form.wide, out[n]) == RESERVED)
			return -EBADMSG;
		n++;
	} while (head & HEAD_FOLLOWS);
	return n;
}

/* Bits of a frame's speech in a payload. */
static size_t room_of(struct amrpack_form form, const uint8_t *frame)
{
	int bits = frame_bits(form.wide, frame);

	return form.octet_aligned ? 8 * whole_bytes(bits) : (size_t)bits;
}

int amrpack_parse(struct amrpack_form form, const uint8_t *p, size_t len,
		  uint8_t out[AMRPACK_MAX_FRAMES][AMRPACK_MAX_FRAME])
{
	size_t at = form.octet_aligned ? 8 : 4, end, from, to;
	int n = len ? read_contents(form, p, len, &at, out) : -EBADMSG, i;

	for (i = 0, end = at; i < n; i++)
		end += room_of(form, out[i]);
	if (n < 0 || (end + 7) / 8 != len)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		memset(out[i] + 1, 0, AMRPACK_MAX_FRAME - 1);
		from = at;
		to = 8;
		bits_copy(out[i], &to, p, &from, frame_bits(form.wide, out[i]));
		at += room_of(form, out[i]);
	}
	return n;
}

size_t amrpack_write(struct amrpack_form form, const uint8_t *frame,
		     uint8_t out[AMRPACK_MAX_PAYLOAD])
{
	size_t at = 0, from = 8;

	memset(out, 0, AMRPACK_MAX_PAYLOAD);
	bits_put(out, &at, NO_REQUEST, 4);
	if (form.octet_aligned)
		at = 8;
	bits_put(out, &at, (frame[0] & HEAD_KEPT) >> 2, 6);
	if (form.octet_aligned)
		at = 16;
	bits_copy(out, &at, frame, &from, MAX(frame_bits(form.wide, frame), 0));
	return (at + 7) / 8;
}

/* ---- files ---- */

const char *amrpack_magic(bool wide)
{
	return wide ? "#!AMR-WB\n" : "#!AMR\n";
}

size_t amrpack_file_next(bool wide, const uint8_t *p, size_t len)
{
	int bits = len ? frame_bits(wide, p) : RESERVED;

	return bits != RESERVED && 1 + whole_bytes(bits) <= len ? 1 + whole_bytes(bits) : 0;
}
