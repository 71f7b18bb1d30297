/* SPDX-License-Identifier: BSD-2-Clause */
/* redis_url.c - parses by hand: no library that we need anyway knows these addresses. */
#include "replicate/redis_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DEFAULT_PORT 6379

static int url_wrong(char *err, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int url_wrong(char *err, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A copy of @len bytes with its %XX decoded. NULL: no memory, or a bad escape. */
static char *percent_decoded(const char *from, size_t len)
{
	char *out = malloc(len + 1), *to = out;
	unsigned int byte;

	for (size_t i = 0; out && i < len; i++) {
		if (from[i] != '%') {
			*to++ = from[i];
			continue;
		}
		if (len - i < 3 || !isxdigit((unsigned char)from[i + 1]) ||
		    sscanf(from + i + 1, "%2x", &byte) != 1 || !byte) {
			free(out);
			return NULL;
		}
		*to++ = (char)byte;
		i += 2;
	}
	if (out)
		*to = '\0';
	return out;
}

/* Read a decimal number of at most @max that ends at @end. */
static bool number_of(const char *from, const char *end, unsigned int max, unsigned int *out)
{
	*out = 0;
	if (from == end || end - from > 5)
		return false;
	for (; from < end; from++) {
		if (!isdigit((unsigned char)*from))
			return false;
		*out = *out * 10 + (unsigned int)(*from - '0');
	}
	return *out <= max;
}

/* USER:PASSWORD or :PASSWORD, up to @end. */
static bool parse_login(struct redis_url *out, const char *text, const char *end)
{
	const char *colon = memchr(text, ':', (size_t)(end - text));

	if (!colon)
		return false;
	if (colon > text && !(out->user = percent_decoded(text, (size_t)(colon - text))))
		return false;
	out->password = percent_decoded(colon + 1, (size_t)(end - colon - 1));
	return out->password != NULL;
}

static bool parse_place(struct redis_url *out, const char *text, const char *end)
{
	const char *close = *text == '[' ? memchr(text, ']', (size_t)(end - text)) : NULL;
	const char *colon = close ? (close + 1 < end ? close + 1 : NULL)
				  : memchr(text, ':', (size_t)(end - text));
	const char *host_end = close ? close : colon ? colon : end;

	text += close != NULL;
	if (host_end <= text || (colon && *colon != ':'))
		return false;
	out->port = DEFAULT_PORT;
	if (colon && (!number_of(colon + 1, end, 65535, &out->port) || !out->port))
		return false;
	out->host = strndup(text, (size_t)(host_end - text));
	return out->host != NULL;
}

static int url_split(struct redis_url *out, const char *text, char *err, size_t size)
{
	const char *at, *end, *slash;

	if (!strncmp(text, "unix:", 5)) {
		struct sockaddr_un un;

		if (text[5] != '/' || strlen(text + 5) >= sizeof(un.sun_path))
			return url_wrong(err, size, "'%s': unix: takes an absolute path", text);
		out->path = strdup(text + 5);
		return out->path ? 0 : -ENOMEM;
	}
	out->tls = !strncmp(text, "rediss://", 9);
	if (!out->tls && strncmp(text, "redis://", 8))
		return url_wrong(err, size,
				 "'%s' begins with none of redis://, rediss:// and unix:", text);
	text += out->tls ? 9 : 8;
	slash = strchr(text, '/');
	end = slash ? slash : text + strlen(text);
	at = memrchr(text, '@', (size_t)(end - text));
	if (at && !parse_login(out, text, at))
		return url_wrong(err, size, "before the @ there is no USER:PASSWORD");
	if (!parse_place(out, at ? at + 1 : text, end))
		return url_wrong(err, size, "there is no HOST[:PORT] in it");
	if (slash && slash[1] && !number_of(slash + 1, slash + strlen(slash), 99999, &out->db))
		return url_wrong(err, size, "'%s' is no number of a database", slash + 1);
	return 0;
}

int redis_url_parse(struct redis_url *out, const char *text, char *err, size_t err_size)
{
	int rc;

	*out = (struct redis_url){ 0 };
	rc = url_split(out, text, err, err_size);
	if (rc)
		redis_url_free(out);
	return rc;
}

void redis_url_free(struct redis_url *url)
{
	free(url->path);
	free(url->host);
	free(url->user);
	free(url->password);
	*url = (struct redis_url){ 0 };
}
