/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http.c - libevent parses targets and queries; headers and the first line are read here.
 */
#include "control/http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>
#include <sys/queue.h>

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

/* @list is words with commas between them. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		list += strspn(list, " \t,");
		if (!strncasecmp(list, word, len) && (!list[len] || strchr(" \t,", list[len])))
			return true;
		list += strcspn(list, ",");
	}
	return false;
}

/* A header line. 0, or the status of a refusal. */
static int take_header(struct http_request *r, char *line)
{
	char *value = strchr(line, ':');

	if (!value || value == line || strcspn(line, " \t") < (size_t)(value - line))
		return 400;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Host"))
		snprintf(r->host, sizeof(r->host), "%s", value);
	else if (!strcasecmp(line, "Connection"))
		r->last = has_word(value, "close") || (r->last && !has_word(value, "keep-alive"));
	else if (!strcasecmp(line, "Transfer-Encoding") ||
		 (!strcasecmp(line, "Content-Length") && strcmp(value, "0")))
		return 413; /* nothing here takes a body */
	return 0;
}

/* "GET /metrics HTTP/1.1". 0, or the status of a refusal. */
static int take_first_line(struct http_request *r, char *line)
{
	char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version)
		return 400;
	*target++ = '\0';
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0"))
		return 400;
	r->last = !strcmp(version, "HTTP/1.0");
	r->head = !strcmp(line, "HEAD");
	if (!r->head && strcmp(line, "GET"))
		return 405;
	r->uri = evhttp_uri_parse(target);
	return r->uri ? 0 : 400;
}

int http_parse(struct http_request *r, char *text)
{
	char *line, *rest = text;
	int status = 0;

	for (line = strsep(&rest, "\n"); line && !status; line = strsep(&rest, "\n")) {
		size_t len = strlen(line);

		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		if (line == text)
			status = take_first_line(r, line);
		else if (*line)
			status = take_header(r, line);
	}
	return status;
}

void http_free(struct http_request *r)
{
	if (r->uri)
		evhttp_uri_free(r->uri);
	r->uri = NULL;
}

void http_argument(const struct http_request *r, const char *name, char out[HTTP_HEAD_MAX + 1])
{
	const char *query = evhttp_uri_get_query(r->uri), *value = NULL;
	struct evkeyvalq values = { 0 };

	TAILQ_INIT(&values);
	if (query && evhttp_parse_query_str(query, &values) == 0)
		value = evhttp_find_header(&values, name);
	snprintf(out, HTTP_HEAD_MAX + 1, "%s", value ? value : "");
	evhttp_clear_headers(&values);
}

bool http_names_address(const struct http_request *r)
{
	struct in6_addr ip;
	char text[256];

	if (*r->host == '[')
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(r->host + 1, "]"), r->host + 1);
	else
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(r->host, ":"), r->host);
	return !strcasecmp(text, "localhost") || inet_pton(AF_INET, text, &ip) == 1 ||
	       inet_pton(AF_INET6, text, &ip) == 1;
}
