/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis_url.h - the address of a Redis server as text. Pure.
 */
#ifndef RTPX_REDIS_URL_H
#define RTPX_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

/* An address of a server, parsed by redis_url_parse(). Strings are owned. */
struct redis_url {
	bool tls;
	char *path; /* of a unix socket; NULL: @host and @port */
	char *host;
	unsigned int port;
	char *user, *password; /* NULL: none */
	unsigned int db;
};

/*
 * redis_url_parse - parse redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://… (TLS) or unix:PATH.
 * Percent-encoding in user and password is decoded. 0; -EINVAL with a sentence in @err; -ENOMEM.
 */
int redis_url_parse(struct redis_url *out, const char *text, char *err, size_t err_size);
void redis_url_free(struct redis_url *url);

#endif
