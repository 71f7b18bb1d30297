/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * naming.c - text of a call is escaped piece by piece, so only the pattern can begin a directory.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "record/naming.h"
#include "base/fnv.h"

#define STEM_MAX 231  /* bytes of a name before the part and the suffix */
#define STEM_KEPT 200 /* bytes that a cut stem keeps */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Escape a '%' that reads as an escape: two texts must not give the same name. */
static bool must_escape(struct span text, size_t i, bool first)
{
	unsigned char c = text.p[i];

	if (c == '%')
		return i + 2 < text.len && is_hex(text.p[i + 1]) && is_hex(text.p[i + 2]);
	return c == '/' || c < ' ' || c == 0x7f || (c == '.' && first);
}

/* Append @text at *@len, escaped for a file name. -ENAMETOOLONG if it does not fit. */
static int name_add(char name[NAME_MAX + 1], size_t *len, struct span text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i;

	for (i = 0; i < text.len; i++) {
		bool escape = must_escape(text, i, *len == 0 || name[*len - 1] == '/');
		unsigned char c = text.p[i];

		if (*len + (escape ? 3 : 1) > NAME_MAX)
			return -ENAMETOOLONG;
		if (escape) {
			name[(*len)++] = '%';
			name[(*len)++] = digits[c >> 4];
			name[(*len)++] = digits[c & 15];
		} else {
			name[(*len)++] = c;
		}
	}
	name[*len] = '\0';
	return 0;
}

/* End the name of a directory. An empty one, of a tag that is not known, is left out. */
static int name_descend(char name[NAME_MAX + 1], size_t *len)
{
	if (*len == 0 || name[*len - 1] == '/')
		return 0;
	if (*len == NAME_MAX)
		return -ENAMETOOLONG;
	name[(*len)++] = '/';
	name[*len] = '\0';
	return 0;
}

/* As in rtpproxy, the first medium's tag loses its number; other media keep theirs. */
static struct span name_tag(const char *tag)
{
	const char *number = tag ? strchr(tag, ';') : NULL;

	if (number && strcmp(number, ";1") == 0)
		return (struct span){ tag, number - tag };
	return span_of(tag);
}

/* Of both texts with a zero between them. */
static uint64_t key_hash(struct span a, struct span b)
{
	return fnv_add(fnv_add(fnv_add(FNV_BASIS, a), (struct span){ "", 1 }), b);
}

void naming_key(const char *call_id, const char *from_tag, char key[17])
{
	snprintf(key, 17, "%016llx",
		 (unsigned long long)key_hash(span_of(call_id), span_of(from_tag)));
}

/* ---- patterns ---- */

const char *naming_check(const char *pattern)
{
	bool begins = true;
	const char *p;

	for (p = pattern; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return "must not have control characters";
		if (begins && (*p == '/' || *p == '.'))
			return "no directory or file may be without a name, or begin with '.'";
		begins = *p == '/';
		if (*p == '%' && (!p[1] || !strchr("cftYmdHMS%", *++p)))
			return "after '%' must come one of c f t Y m d H M S %";
	}
	if (begins)
		return "must end with the name of a file";
	if (!strstr(pattern, "%c"))
		return "must have %c, the call-id";
	return strlen(pattern) > 100 ? "must have at most 100 characters" : NULL;
}

/* The text that stands for %@letter. @date has room for numbers. */
static struct span letter_value(char letter, const struct naming_call *call, const struct tm *tm,
				char date[8])
{
	const char format[] = { '%', letter, '\0' };

	switch (letter) {
	case 'c':
		return span_of(call->call_id);
	case 'f':
		return name_tag(call->from_tag);
	case 't':
		return name_tag(call->to_tag);
	case '%':
		return span_of("%");
	default:
		return (struct span){ date, strftime(date, 8, format, tm) };
	}
}

void naming_of(const char *pattern, const struct naming_call *call, char stem[NAME_MAX + 1])
{
	const time_t t = call->realtime_ns / NSEC_PER_SEC;
	size_t len = 0;
	struct tm tm;
	char date[8];
	int err = 0;

	gmtime_r(&t, &tm);
	stem[0] = '\0';
	for (; *pattern && !err; pattern++) {
		if (*pattern == '%')
			err = name_add(stem, &len, letter_value(*++pattern, call, &tm, date));
		else if (*pattern == '/')
			err = name_descend(stem, &len);
		else
			err = name_add(stem, &len, (struct span){ pattern, 1 });
	}
	if (!err && len <= STEM_MAX)
		return;
	snprintf(stem + MIN(len, STEM_KEPT), NAME_MAX + 1 - STEM_KEPT, "~%016llx",
		 (unsigned long long)key_hash(span_of(call->call_id), name_tag(call->from_tag)));
}

/* ---- names of commands ---- */

/*
 * True: the target names a receiver on the network, SCHEME:HOST:PORT or tcp:…, and no file. Such a
 * name would make a file that its sender does not expect.
 */
static bool is_receiver(struct span target)
{
	static const char tcp[] = "tcp:";
	size_t scheme = 0, port = target.len;

	if (target.len > 4 && !memcmp(target.p, tcp, 4))
		return true;
	while (scheme < target.len && isalnum((unsigned char)target.p[scheme]))
		scheme++;
	while (port > 0 && isdigit((unsigned char)target.p[port - 1]))
		port--;
	return scheme > 0 && port < target.len && port > scheme + 1 && target.p[scheme] == ':' &&
	       target.p[port - 1] == ':';
}

int naming_given(struct span target, char stem[NAME_MAX + 1])
{
	static const char json[] = ".json";
	size_t i;

	for (i = 0; i < target.len; i++)
		if (target.p[i] == '/' || (unsigned char)target.p[i] < ' ')
			return -EINVAL;
	if (!target.len || target.p[0] == '.')
		return -EINVAL;
	if (target.len >= 5 && !memcmp(target.p + target.len - 5, json, 5))
		return -EINVAL;
	if (is_receiver(target))
		return -EPROTONOSUPPORT;
	if (target.len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(stem, target.p, target.len);
	stem[target.len] = '\0';
	return 0;
}
