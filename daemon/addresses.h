/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addresses.h - adds media addresses to a list while calls go on, and remembers them for the next
 * daemon. docs/ports.md has the rules.
 */
#ifndef RTPX_ADDRESSES_H
#define RTPX_ADDRESSES_H

#include "config.h"
#include "engine/faces.h"

struct addresses {
	struct config *config; /* its listeners grow */
	struct dp *dp;
	struct ports *ports;
	struct faces *faces;
	const char *dir; /* the state directory; NULL: none */
};

/*
 * addresses_restore - at the start, before the dataplane is opened: with c->dp.adopt, add what the
 * previous daemons of @dir have added, unless the command line has it; else forget it. A line that
 * does not suit is logged and left.
 */
void addresses_restore(struct config *c, const char *dir);
/*
 * addresses_add - add an address: LIST,ADDR[=ADVERTISED], with LIST an address or a label. @arg is
 * a struct addresses. 0; or -1 with a sentence, and nothing has changed.
 */
int addresses_add(void *arg, const char *text, char *err, size_t err_size);

#endif
