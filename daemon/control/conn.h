/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - one peer of a stream control socket: bytes in, framed into commands, replies out.
 *
 * From a peer that does not read its replies, no more commands are read; after a while the peer is
 * dropped. No call here blocks, so no peer delays another peer or the media. This module does not
 * accept connections and handles no cookies.
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
	CONN_LINES,    /* each line is a command */
	CONN_ONE_READ, /* the first read is the only command; after its reply the connection ends */
};

struct conn_ops {
	/* run - execute one command: see run in struct listen_opts. */
	size_t (*run)(void *arg, const char *line, size_t len, const struct addr *peer,
		      uint64_t now_ns, char *reply);
	/* settle - called after a batch of commands, before their replies leave; may be NULL. */
	void (*settle)(void *arg);
	/* ended - the connection is over or has failed; the owner calls conn_free(). */
	void (*ended)(void *arg);
};

/*
 * conn_new - serve a peer that sends on @fd_in and reads from @fd_out. The two may be the same
 * descriptor. They may be sockets, files, pipes or terminals, and may block. The caller closes
 * them, and keeps @ops valid. 0 or -ENOMEM.
 */
int conn_new(struct conn **out, struct event_base *base, const struct conn_ops *ops, void *arg,
	     int fd_in, int fd_out, enum conn_framing framing, const struct addr *peer);
void conn_free(struct conn *c);

#endif
