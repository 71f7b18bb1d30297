/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.h - the control sockets of a daemon that leaves its calls stay open until the next daemon
 * has them, so that commands which come meanwhile wait and are not refused.
 *
 * The daemon that leaves offers them at a unix socket in its state directory. A child of it holds
 * them for HANDOVER_HOLD_S seconds after its end. A service manager with a store for descriptors
 * (systemd.h) does better: it also holds them after a crash.
 */
#ifndef RTPX_HANDOVER_H
#define RTPX_HANDOVER_H

#include <sys/types.h>

#include "base/base.h"

#define HANDOVER_MAX 64    /* sockets */
#define HANDOVER_HOLD_S 30

/*
 * handover_offer - from now on the next daemon can ask at @dir for the sockets; it waits until they
 * are held. Returns a descriptor for handover_hold(), or -errno.
 */
int handover_offer(const char *dir);

/*
 * handover_hold - the last thing before the process ends: leave copies of @fds to a child, which
 * gives them to the first process of root or of our user that asks, or closes them. The child keeps
 * no other descriptor. Call it without other threads. Takes @offer over.
 */
void handover_hold(int offer, const int *fds, unsigned int n);

/*
 * handover_take - the sockets that the previous daemon, which had the lock on @dir before us, offers
 * there. @uid: whose process may offer them, beside root's. Returns how many @fds the caller owns
 * now, close-on-exec, at most HANDOVER_MAX; 0 when there is no offer.
 */
unsigned int handover_take(const char *dir, uid_t uid, int fds[HANDOVER_MAX]);

#endif
