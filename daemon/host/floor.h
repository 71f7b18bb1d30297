/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.h - chooses whether media ports share sockets, or have a socket each. docs/floor.md is the
 * contract.
 */
#ifndef RTPX_FLOOR_H
#define RTPX_FLOOR_H

#include "base/base.h"
#include "net/switchboard.h"

struct event_base;
struct floor;
struct nexthops;

enum floor_choice {
	FLOOR_AUTO,   /* shared sockets where this host and this process allow them */
	FLOOR_SHARED, /* shared sockets, or no start */
	FLOOR_EACH,   /* a socket for each port */
};

/*
 * floor_open - choose, and open shared sockets. Call it before the process gives up its rights. 0;
 * or -errno with a sentence in @err: shared sockets were demanded and cannot be had.
 */
int floor_open(struct floor **out, enum floor_choice choice, const struct switchboard_opts *opts,
	       char *err, size_t err_size);
void floor_free(struct floor *f); /* NULL is allowed */

/*
 * floor_watch - follow this host's rules: while they look at ports, each port sends from a socket
 * of its own. Send by the ring where @nexthops allow it, which are borrowed until floor_free();
 * NULL: without the ring. Call it before media ports are made. 0 or -errno.
 */
int floor_watch(struct floor *f, struct event_base *base, struct nexthops *nexthops);
/* floor_has_ring - floor_watch() can use nexthops. */
bool floor_has_ring(const struct floor *f);

/* floor_board - the shared sockets; NULL: each port has its own. */
struct switchboard *floor_board(const struct floor *f);
/* floor_text - the choice and its reason, for the status output. */
const char *floor_text(const struct floor *f);

#endif
