/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passed.h - sockets that were open before this process started. They come from a socket unit, from
 * the service manager's store, or from the previous daemon. A caller finds a socket by the address
 * that it is bound to.
 */
#ifndef RTPX_PASSED_H
#define RTPX_PASSED_H

#include <sys/socket.h>

#include "base/base.h"

#define PASSED_MAX 128
#define PASSED_TEXT 128 /* bytes for passed_text() */

enum passed_origin {
	PASSED_UNIT,	 /* from a socket unit; the service manager holds it, too */
	PASSED_STORE,	 /* from the service manager's store, which holds a copy */
	PASSED_PREVIOUS, /* from the previous daemon: the only copy */
};

struct passed_socket {
	int fd;
	enum passed_origin origin;
};

struct passed {
	struct passed_socket at[PASSED_MAX];
	unsigned int n;
};

/* passed_add - take @fd over and make it non-blocking; close it if it is no bound socket. */
void passed_add(struct passed *p, int fd, enum passed_origin origin);

/*
 * passed_take - take the socket of @type (SOCK_…) that is bound to exactly @sa. The file of a
 * unix socket must still exist. The caller owns the socket. False: the set has no such socket.
 */
bool passed_take(struct passed *p, int type, const struct sockaddr *sa, struct passed_socket *out);
/* passed_take_unit - take the next socket of a socket unit; false: none is left. */
bool passed_take_unit(struct passed *p, struct passed_socket *out);
/* passed_take_any - take the next socket; false: none is left. */
bool passed_take_any(struct passed *p, struct passed_socket *out);

/* passed_type - SOCK_STREAM, SOCK_DGRAM or another type; -1: @fd is no socket. */
int passed_type(int fd);
/* passed_text - the text of a bound socket, in the form of -s: "udp:127.0.0.1:7722". */
const char *passed_text(int fd, char text[PASSED_TEXT]);

#endif
