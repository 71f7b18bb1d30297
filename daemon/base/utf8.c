/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8.c - the table of well-formed sequences of RFC 3629.
 */
#include "base/utf8.h"

/* Characters of several bytes: the ranges of the first two. All further bytes are 80 to BF. */
/* clang-format off */
static const struct {
	uint8_t first_min, first_max, second_min, second_max, len;
} forms[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};
/* clang-format on */

size_t utf8_next(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t i, n;

	if (p[0] < 0x80)
		return 1;
	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (p[0] >= forms[i].first_min && p[0] <= forms[i].first_max)
			break;
	if (i == ARRAY_SIZE(forms) || forms[i].len > len)
		return 0;
	if (p[1] < forms[i].second_min || p[1] > forms[i].second_max)
		return 0;
	for (n = 2; n < forms[i].len; n++)
		if ((p[n] & 0xc0) != 0x80)
			return 0;
	return forms[i].len;
}

bool utf8_is_valid(const char *text, size_t len)
{
	size_t n;

	for (; len; text += n, len -= n) {
		n = utf8_next(text, len);
		if (!n)
			return false;
	}
	return true;
}

char *utf8_repair(const char *text, char *out)
{
	size_t len = strlen(text), n;
	char *to = out;

	for (; len; text += n, len -= n) {
		n = utf8_next(text, len);
		memcpy(to, n ? text : "\xef\xbf\xbd", n ? n : 3);
		to += n ? n : 3;
		n = n ? n : 1;
	}
	*to = '\0';
	return out;
}

static uint32_t code_point(const char *text, size_t len)
{
	const uint8_t *p = (const uint8_t *)text;
	uint32_t c = len == 1 ? p[0] : p[0] & (0x7f >> len);

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Controls (C0, DEL, C1), and of general punctuation the invisible and bidirectional characters. */
static bool is_wild(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

char *utf8_tame(const char *text, char *out)
{
	size_t len = strlen(text), n;
	char *to = out;

	for (; len; text += n, len -= n) {
		if (*text >= 0x20 && *text < 0x7f) {
			*to++ = *text;
			n = 1;
			continue;
		}
		n = utf8_next(text, len);
		if (!n || is_wild(code_point(text, n))) {
			*to++ = '?';
			n = n ? n : 1;
			continue;
		}
		memmove(to, text, n);
		to += n;
	}
	*to = '\0';
	return out;
}
