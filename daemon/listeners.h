/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listeners.h - the media addresses of the command line: -l, -6 and -A, with labels and bridging.
 */
#ifndef RTPX_LISTENERS_H
#define RTPX_LISTENERS_H

#include "engine/faces.h"

/* A value of -l or -6. */
struct listeners_arg {
	enum addr_family family;
	const char *text;
	unsigned int address_group; /* see struct listener */
	bool of_group;		    /* of --group: needs no label */
	const char *label;	    /* of the addresses, if the text has none; or NULL */
};

struct listeners_args {
	struct listeners_arg local[FACES_MAX_LISTENERS];
	unsigned int n;		/* at least one */
	const char *advertised; /* -A; NULL: none */
	bool no_resolve;	/* refuse host names */
};

struct listeners {
	struct listener *all; /* room for FACES_MAX_LISTENERS */
	unsigned int n;
	bool bridge; /* the groups 0 and 1 are the internal and the external side */
};

/*
 * listeners_make - the listeners of @args, in the order of their groups. Host names are resolved,
 * which may block. 0, or -1 with a sentence in @err. Labels and advertised texts belong to the
 * caller, also those of an error.
 */
int listeners_make(struct listeners *out, const struct listeners_args *args, char *err,
		   size_t err_size);
/*
 * listeners_join - add one address to a list: LIST,ADDR[=ADVERTISED], with LIST an address or a
 * label. Numeric addresses only. 0, or -1 with a sentence in @err and nothing added.
 * listeners_has - true if @text is LIST,ADDR... with an ADDR that is among the listeners.
 */
int listeners_join(struct listeners *l, const char *text, char *err, size_t err_size);
bool listeners_has(const struct listener *all, unsigned int n, const char *text);
/*
 * listeners_own - write the addresses with pools of ports of their own to @out, and return their
 * number (call/ports.h). The first address of a family, and one that means all addresses, use the
 * pool of the family.
 */
unsigned int listeners_own(const struct listeners *l, struct addr out[FACES_MAX_LISTENERS]);
/* listeners_is_word - one or more characters, none of them a blank or a control character. */
bool listeners_is_word(const char *s, size_t len);

#endif
