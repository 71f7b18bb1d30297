/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - one peer of a stream control socket: bytes in, framed into commands, replies out.
 *
 * A peer that does not read its replies is not read from either, and is dropped when it stays so.
 * Nothing here blocks, so no peer delays another one or the media. Does not accept and does not
 * know the cookie.
 */
#ifndef RTPX_CONN_H
#define RTPX_CONN_H

#include "base/addr.h"
#include "base/base.h"

struct event_base;
struct conn;

#define CONN_LINE_MAX 8191  /* longest line without its newline, longest single read */
#define CONN_REPLY_MAX 1024 /* bytes of one reply */

enum conn_framing {
	CONN_LINES,    /* a command a line, any number of them */
	CONN_ONE_READ, /* what the first read gives is the command; then the reply, then the end */
};

struct conn_ops {
	/* run - as that of struct listen_opts. */
	size_t (*run)(void *arg, const char *line, size_t len, const struct addr *peer,
		      uint64_t now_ns, char *reply);
	/* settle - before replies leave, once for all that were written since; may be NULL. */
	void (*settle)(void *arg);
	/* ended - the peer is gone and all is answered; the owner calls conn_free(). */
	void (*ended)(void *arg);
};

/*
 * conn_new - serve @fd_in and @fd_out, which may be the same, may be sockets, files, pipes or
 * terminals, and need not be non-blocking. They stay the caller's to close. @ops stays valid.
 * 0 or -ENOMEM.
 */
int conn_new(struct conn **out, struct event_base *base, const struct conn_ops *ops, void *arg,
	     int fd_in, int fd_out, enum conn_framing framing, const struct addr *peer);
void conn_free(struct conn *c);

#endif
