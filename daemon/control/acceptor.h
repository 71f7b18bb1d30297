/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * acceptor.h - accepts the connections of one listening socket. When there are no descriptors it
 * pauses instead of turning the event loop for nothing, and keeps a few back, so that control goes
 * on when media have taken all others. Does not know what is said on a connection.
 */
#ifndef RTPX_ACCEPTOR_H
#define RTPX_ACCEPTOR_H

#include <sys/socket.h>

#include "base/base.h"

#define ACCEPTOR_SPARES 4 /* descriptors that each acceptor keeps back */

struct acceptor;
struct event_base;

/* Takes the descriptor @fd of a new connection, non-blocking, from then on its own. */
typedef void (*acceptor_welcome)(void *arg, int fd, const struct sockaddr_storage *from);

/*
 * acceptor_new - begin to accept on @fd, a non-blocking listening socket, which stays the caller's
 * as does @name, for the log. 0 or -ENOMEM.
 */
int acceptor_new(struct acceptor **out, struct event_base *base, int fd, const char *name,
		 acceptor_welcome welcome, void *arg);
/* acceptor_closed - a connection's descriptor was closed: one can be kept back again. */
void acceptor_closed(struct acceptor *a);
/* acceptor_free - accepts nothing any more. NULL is allowed. */
void acceptor_free(struct acceptor *a);

#endif
