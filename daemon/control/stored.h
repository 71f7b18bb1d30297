/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stored.h - the shared sockets of media ports in the service manager's store, where they outlive
 * the process. docs/floor.md is the contract. Without a service manager each function does nothing.
 */
#ifndef RTPX_STORED_H
#define RTPX_STORED_H

#include "control/systemd.h"
#include "net/switchboard.h"

/*
 * stored_take - move the descriptors of shared sockets from @given, which has *@n of them, to @out.
 * The caller owns these. Those without a place in it are closed and leave the store.
 */
void stored_take(struct switchboard_fds *out, struct systemd_fd *given, unsigned int *n);
/* stored_refuse - close those of @left that were not taken over, and empty the store if any was. */
void stored_refuse(struct switchboard_fds *left);

/* stored_put - give copies of the descriptors to the store. */
void stored_put(const struct switchboard_fds *fds);
/* stored_drop - take all of them out of the store. */
void stored_drop(void);

#endif
