/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redis.h - one connection to Redis or Valkey: connects, authenticates, and connects again after an
 * error. Never waits: commands and replies pass through the event loop.
 *
 * The protocol is RESP2 (redis.io/docs/reference/protocol-spec); hiredis formats and parses it,
 * libevent carries it, OpenSSL encrypts it.
 */
#ifndef RTPX_REDIS_H
#define RTPX_REDIS_H

#include "base/base.h"
#include "replicate/redis_url.h"

struct event_base;
struct redis;
struct redisReply; /* <hiredis/hiredis.h> */

struct redis_opts {
	const struct redis_url *url; /* borrowed until redis_free() */
	const char *password;	     /* instead of the URL's; NULL: the URL's */
	const char *ca_file;	     /* of TLS; NULL: the system's */
	/* the connection can take commands; every earlier command is void */
	void (*up)(void *arg);
	/* the connection ended, @why is a sentence; opts.up follows when there is a new one */
	void (*down)(void *arg, const char *why);
	void *arg;
};

/* redis_new - begins to connect. 0, -ENOMEM or, when TLS cannot be set up, -EPROTO with @err. */
int redis_new(struct redis **out, struct event_base *base, const struct redis_opts *opts, char *err,
	      size_t err_size);
void redis_free(struct redis *r); /* NULL is allowed; no callback is called any more */

/*
 * redis_ask - send a command of @argc arguments; @answer gets its reply, once, unless the
 * connection ends before. @answer may be NULL. 0; -ENOTCONN; -ENOBUFS: more than REDIS_MAX_QUEUE
 * bytes wait to be sent; -ENOMEM.
 */
#define REDIS_MAX_QUEUE (16u << 20)
int redis_ask(struct redis *r, unsigned int argc, const struct span *argv,
	      void (*answer)(void *arg, const struct redisReply *reply), void *arg);

bool redis_is_up(const struct redis *r);

/* redis_span - the text of a string or status reply; .p NULL: another kind of reply. */
struct span redis_span(const struct redisReply *reply);

#endif
