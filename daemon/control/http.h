/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http.h - reads the head of an HTTP/1.1 request (RFC 9112): GET and HEAD, without a body. Pure.
 */
#ifndef RTPX_HTTP_H
#define RTPX_HTTP_H

#include "base/base.h"

#define HTTP_HEAD_MAX 8192 /* bytes of a request with its headers */

struct evhttp_uri;

struct http_request {
	bool head;		/* HEAD: no body */
	bool last;		/* the client wants the connection to end */
	struct evhttp_uri *uri; /* set if the parser returns 0; it may be set otherwise */
	char host[256];		/* empty: none */
};

/*
 * http_parse - read the lines of @text, each ended by CR LF or LF, into the empty @r; @text is
 * changed. 0, or the status of a refusal. End it with http_free().
 */
int http_parse(struct http_request *r, char *text);
void http_free(struct http_request *r);

/*
 * http_argument - the decoded value of @name in the query of an understood request, at most
 * HTTP_HEAD_MAX bytes, up to its first NUL; "" if it has none.
 */
void http_argument(const struct http_request *r, const char *name, char out[HTTP_HEAD_MAX + 1]);

/* http_names_address - the Host header names an IP address or localhost, with any port. */
bool http_names_address(const struct http_request *r);

#endif
