/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spec.c - parses unix:PATH, tcp:HOST:PORT, xmlrpc:URL, jsonrpc:URL, and a path alone.
 */
#include <errno.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "notify/spec.h"

#define HTTP_PORT 80

static bool begins_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int port_parse(const char *text, uint16_t *out)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || strspn(text, "0123456789") != strlen(text) || n < 1 ||
	    n > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)n;
	return 0;
}

static int parse_unix(struct notify_spec *out, const char *path, const char **why)
{
	out->kind = NOTIFY_UNIX;
	*why = "must not be empty";
	if (!*path)
		return -EINVAL;
	*why = "is too long for the path of a socket";
	if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return -EINVAL;
	strcpy(out->path, path);
	return 0;
}

static int parse_tcp(struct notify_spec *out, const char *text, const char **why)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	*why = "must be tcp:HOST:PORT with a port from 1 to 65535, an IPv6 address in brackets";
	if (!len || len >= sizeof(out->host) || port_parse(colon + 1, &out->port) < 0)
		return -EINVAL;
	if (*text == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL;
	}
	memcpy(out->host, text, len);
	out->kind = strcmp(out->host, "%%CC_SELF%%") ? NOTIFY_TCP : NOTIFY_SELF;
	return 0;
}

static int url_parse(struct notify_spec *out, struct evhttp_uri *uri)
{
	const char *scheme = evhttp_uri_get_scheme(uri), *host = evhttp_uri_get_host(uri);
	const char *path = evhttp_uri_get_path(uri), *query = evhttp_uri_get_query(uri);
	int port = evhttp_uri_get_port(uri);
	size_t len;

	if (!scheme || strcmp(scheme, "http") || !host || !*host || !port || port > UINT16_MAX ||
	    evhttp_uri_get_userinfo(uri) || evhttp_uri_get_fragment(uri))
		return -EINVAL;
	host += *host == '[';
	len = strcspn(host, "]");
	if (len >= sizeof(out->host) ||
	    (size_t)snprintf(out->path, sizeof(out->path), "%s%s%s", path && *path ? path : "/",
			     query ? "?" : "", query ? query : "") >= sizeof(out->path))
		return -EINVAL;
	memcpy(out->host, host, len);
	out->port = port < 0 ? HTTP_PORT : (uint16_t)port;
	return 0;
}

static int parse_rpc(struct notify_spec *out, const char *url, const char **why)
{
	struct evhttp_uri *uri = evhttp_uri_parse(url);
	int r = uri ? url_parse(out, uri) : -EINVAL;

	*why = "must be xmlrpc: or jsonrpc: and http://HOST[:PORT][/PATH]";
	if (uri)
		evhttp_uri_free(uri);
	return r;
}

int notify_parse(struct notify_spec *out, const char *text, const char **why)
{
	memset(out, 0, sizeof(*out));
	if (begins_with(text, "tcp:"))
		return parse_tcp(out, text + 4, why);
	if (begins_with(text, "xmlrpc:")) {
		out->kind = NOTIFY_XMLRPC;
		return parse_rpc(out, text + 7, why);
	}
	if (begins_with(text, "jsonrpc:")) {
		out->kind = NOTIFY_JSONRPC;
		return parse_rpc(out, text + 8, why);
	}
	*why = "must be xmlrpc: or jsonrpc: and then this URL";
	if (begins_with(text, "http://") || begins_with(text, "https://"))
		return -EINVAL;
	return parse_unix(out, begins_with(text, "unix:") ? text + 5 : text, why);
}
