/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.h - readiness, socket units, and the store for descriptors, in which sockets outlive the
 * process. The Makefile chooses systemd.c, or systemd_none.c where there is no libsystemd.
 */
#ifndef RTPX_SYSTEMD_H
#define RTPX_SYSTEMD_H

#include "base/base.h"

struct systemd_fd {
	int fd;
	bool stored; /* by systemd_store() of an earlier process; else of a socket unit */
};

/*
 * systemd_passed - the descriptors that the service manager has passed (LISTEN_FDS, LISTEN_PID),
 * close-on-exec, at most @max. The caller owns them. Call it once, before the process forks.
 */
unsigned int systemd_passed(struct systemd_fd *out, unsigned int max);

/* systemd_is_here - a service manager has started this process and listens to it. */
bool systemd_is_here(void);

/*
 * systemd_store - have the service manager hold a copy of a socket, for the next process of this
 * service. It does so if its unit has FileDescriptorStoreMax=. @name tells the socket from others.
 * systemd_unstore - it is to let go of the copy with this name.
 */
void systemd_store(int fd, const char *name);
void systemd_unstore(const char *name);

/* systemd_notify - tell the service manager a state such as "READY=1", if there is one to tell. */
void systemd_notify(const char *state);

#endif
