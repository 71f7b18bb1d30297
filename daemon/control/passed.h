/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passed.h - sockets that were open before this process: of a socket unit, from the service manager's
 * store, or from the previous daemon. Each is found by the address that it is bound to.
 */
#ifndef RTPX_PASSED_H
#define RTPX_PASSED_H

#include <sys/socket.h>

#include "base/base.h"

#define PASSED_MAX 64
#define PASSED_TEXT 128 /* bytes for passed_text() */

enum passed_origin {
	PASSED_UNIT,	 /* of a socket unit, which goes on holding it */
	PASSED_STORE,	 /* of the service manager's store, which holds a copy */
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

/* passed_add - takes @fd over: it becomes non-blocking. One that is no bound socket is closed. */
void passed_add(struct passed *p, int fd, enum passed_origin origin);

/*
 * passed_take - the socket of @type (SOCK_…) that is bound to exactly @sa; the caller owns it then.
 * A unix socket must still have its name in the file system. False: there is none such.
 */
bool passed_take(struct passed *p, int type, const struct sockaddr *sa, struct passed_socket *out);
/* passed_take_unit - the next one that belongs to a socket unit; false: none is left. */
bool passed_take_unit(struct passed *p, struct passed_socket *out);
/* passed_take_any - the next one; false: none is left. */
bool passed_take_any(struct passed *p, struct passed_socket *out);

/* passed_type - SOCK_STREAM, SOCK_DGRAM, or another one. */
int passed_type(int fd);
/* passed_text - a bound socket as -s names it, such as "udp:127.0.0.1:7722". */
const char *passed_text(int fd, char text[PASSED_TEXT]);

#endif
