/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faces.h - the local addresses of legs, and the texts that replies show instead of them.
 *
 * Addresses of the command line stay. An l or r modifier adds an address; it is removed with the
 * last leg that is bound to it, unless it is the newest of its family. Opens no port.
 */
#ifndef RTPX_FACES_H
#define RTPX_FACES_H

#include "base/addr.h"
#include "base/base.h"
#include "protocol/proto.h"

#define FACES_MAX_LISTENERS 16

/* A configured local address, or one that an l or r modifier has added. */
struct listener {
	struct addr addr;	/* port 0; any-address possible */
	char *label;		/* owned; NULL: none */
	char *advertised;	/* owned; NULL: the numeric address */
};

/* A local address for a leg, and the text that replies show instead of it. */
struct face {
	struct addr addr; /* port 0 */
	const char *advertised; /* not owned; NULL: the numeric address */
};

struct faces;

/*
 * faces_new - copies @listeners, which are in the order of the command line. [0] is the default
 * listener; with @bridge it is the internal one, and [1] the external one. 0 or -ENOMEM.
 */
int faces_new(struct faces **out, const struct listener *listeners, unsigned int n, bool bridge);
void faces_free(struct faces *f); /* NULL is allowed */

/*
 * faces_of_session - the faces of a new session's legs: l or r, else e and i, else by family.
 * PROTO_OK, E_LOCAL_ADDR, E_REMOTE_ADDR or E_FAMILY.
 */
enum proto_error faces_of_session(const struct faces *f, const struct media_req *m,
				  struct face face[2]);
/*
 * face_of_leg - the face for a new pair of ports of a leg that has the face @now. Errors as
 * faces_of_session().
 */
enum proto_error face_of_leg(const struct faces *f, const struct face *now,
			     const struct media_req *m, struct face *out);

/*
 * faces_use - a leg is bound to @local: remember the address. If there is no memory, the only
 * effect is that a command that asks for any address of the family does not find it.
 * faces_leave - the leg is closed.
 */
void faces_use(struct faces *f, const struct addr *local);
void faces_leave(struct faces *f, const struct addr *local);

/* faces_advertised - the text that replies show instead of @local; NULL: none. */
const char *faces_advertised(const struct faces *f, const struct addr *local);
/* faces_keep_text - a copy of @text that lives until faces_free(); NULL without memory. */
const char *faces_keep_text(struct faces *f, struct span text);

/* faces_each - call @fn for each local address: its listener, and the number of legs bound to it.
 */
void faces_each(const struct faces *f,
		void (*fn)(void *arg, const struct listener *l, unsigned int legs), void *arg);

/* faces_proto_opts - the parser's options. They change when a leg is bound to a new address. */
const struct proto_opts *faces_proto_opts(const struct faces *f);

#endif
