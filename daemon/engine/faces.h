/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faces.h - the local addresses of legs, and the texts that replies show instead of them.
 *
 * Addresses of the command line stay. An l or r modifier adds an address; it is removed with the
 * last leg that is bound to it, unless it is the newest of its family. Opens no port.
 *
 * New legs are spread over the addresses of a group (docs/ports.md).
 */
#ifndef RTPX_FACES_H
#define RTPX_FACES_H

#include "base/addr.h"
#include "base/base.h"
#include "call/ports.h"
#include "protocol/proto.h"

#define FACES_MAX_LISTENERS 16

/* A configured local address, or one that an l or r modifier has added. */
struct listener {
	struct addr addr;   /* port 0; any-address possible */
	char *label;	    /* owned; NULL: none */
	char *advertised;   /* owned; NULL: the numeric address */
	unsigned int group; /* listeners with one number share new legs */
	/* group of addresses that move together, see replicate/groups.h; 0 without --group */
	unsigned int address_group;
};

/* A local address for a leg, and the text that replies show instead of it. */
struct face {
	struct addr addr;	/* port 0 */
	const char *advertised; /* not owned; NULL: the numeric address */
};

struct faces;

/*
 * faces_new - copies the @n listeners, at least one. Group 0 is the default; with @bridge it is the
 * internal side, and group 1 the external one. @ports is valid until faces_free(). 0 or -ENOMEM.
 */
int faces_new(struct faces **out, const struct listener *listeners, unsigned int n, bool bridge,
	      const struct ports *ports);
void faces_free(struct faces *f); /* NULL is allowed */
/* faces_add - one listener more, which is copied. 0 or -ENOMEM. */
int faces_add(struct faces *f, const struct listener *l);
/* faces_legs - the number of legs that are bound to a local address. */
unsigned int faces_legs(const struct faces *f, const struct addr *local);

/* What the choice in a group depends on. */
struct faces_near {
	const struct addr *of_call[2]; /* local addresses that the call has; NULL: none */
	uint64_t now_ns;
};

/*
 * faces_turn_to - the commands from now on come for this address group: the first listeners of the
 * group are the default. 0 at first.
 * faces_at - that address group.
 * faces_open - this daemon owns the address group, or has lost it. Commands cannot name addresses
 * of an address group that it does not own. All are open at first.
 * faces_address_group - that of a local address; that of the command, if no listener has it.
 */
void faces_turn_to(struct faces *f, unsigned int address_group);
unsigned int faces_at(const struct faces *f);
void faces_open(struct faces *f, unsigned int address_group, bool open);
unsigned int faces_address_group(const struct faces *f, const struct addr *local);

/*
 * faces_of_session - the faces of a new session's legs: l or r, else e and i, else by family.
 * PROTO_OK, E_LOCAL_ADDR, E_REMOTE_ADDR or E_FAMILY.
 */
enum proto_error faces_of_session(const struct faces *f, const struct media_req *m,
				  const struct faces_near *near, struct face face[2]);
/*
 * face_of_leg - the face for a new pair of ports of a leg that has the face @now, in the same
 * address group. @near has its address. Errors as faces_of_session().
 */
enum proto_error face_of_leg(const struct faces *f, const struct face *now,
			     const struct media_req *m, const struct faces_near *near,
			     struct face *out);
/*
 * faces_pass_over - no pair could be opened at @face. Unless it is full, choose other addresses of
 * its group for a second. True: *@face is one of them.
 */
bool faces_pass_over(struct faces *f, struct face *face, uint64_t now_ns);

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
