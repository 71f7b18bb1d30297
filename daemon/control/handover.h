/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.h - passes the control sockets from a daemon that exits to the next daemon. The sockets
 * stay open in between, so commands that arrive meanwhile wait and are not refused.
 *
 * The exiting daemon offers them at a unix socket in its state directory. Its child holds them for
 * HANDOVER_HOLD_S seconds after the daemon's exit. A service manager with a store for descriptors
 * (systemd.h) does better: it also holds them after a crash.
 */
#ifndef RTPX_HANDOVER_H
#define RTPX_HANDOVER_H

#include <sys/types.h>

#include "base/base.h"

#define HANDOVER_MAX 64 /* sockets */
#define HANDOVER_HOLD_S 30

/*
 * handover_offer - open the unix socket in @dir at which the next daemon asks for the control
 * sockets. A daemon that asks now waits for handover_hold(). Returns a descriptor for
 * handover_hold(), or -errno.
 */
int handover_offer(const char *dir);

/*
 * handover_hold - fork a child that holds copies of @fds. The child gives them to the first process
 * of root or of our user that asks, else it closes them after HANDOVER_HOLD_S. It keeps no other
 * descriptor. Call it last before the process exits, when no other thread runs. Takes @offer over.
 */
void handover_hold(int offer, const int *fds, unsigned int n);

/*
 * handover_take - take the sockets that the previous daemon offers in @dir. Call it with the lock
 * on @dir. Only processes of root and of @uid may offer sockets. Returns the number of @fds, at
 * most HANDOVER_MAX; 0: no offer. The caller owns them; they are close-on-exec.
 */
unsigned int handover_take(const char *dir, uid_t uid, int fds[HANDOVER_MAX]);

#endif
