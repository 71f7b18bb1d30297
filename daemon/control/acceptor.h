/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acceptor.h - accepts the connections of one listening socket. It keeps a few descriptors back,
 * for control connections that arrive when media sockets have taken all others. Without any
 * descriptor it pauses; otherwise the event loop would spin. It does not read from a connection.
 */
#ifndef RTPX_ACCEPTOR_H
#define RTPX_ACCEPTOR_H

#include <sys/socket.h>

#include "base/base.h"

#define ACCEPTOR_SPARES 4 /* descriptors that each acceptor keeps back */

struct acceptor;
struct event_base;

/* Called for each new connection. The callee owns @fd, which is non-blocking. @from: the peer. */
typedef void (*acceptor_welcome)(void *arg, int fd, const struct sockaddr_storage *from);

/*
 * acceptor_new - begin to accept on @fd, a non-blocking listening socket. @name is for the log. The
 * caller owns @fd and @name, and keeps them until acceptor_free(). 0 or -ENOMEM.
 */
int acceptor_new(struct acceptor **out, struct event_base *base, int fd, const char *name,
		 acceptor_welcome welcome, void *arg);
/*
 * acceptor_closed - call it after closing a connection: the acceptor keeps descriptors back again.
 */
void acceptor_closed(struct acceptor *a);
/* acceptor_free - stop accepting. NULL is allowed. */
void acceptor_free(struct acceptor *a);

#endif
