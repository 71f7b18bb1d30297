/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.h - readiness, socket units, and the store for descriptors, in which sockets outlive the
 * process. Without a service manager each function does nothing.
 */
#ifndef RTPX_SYSTEMD_H
#define RTPX_SYSTEMD_H

#include "base/base.h"

#define SYSTEMD_STORE 16 /* descriptors with one name */

struct systemd_fd {
	int fd;
	bool stored;	  /* an earlier process called systemd_store(); false: from a socket unit */
	struct span name; /* of systemd_store(), if it was stored; in the environment */
};

/*
 * systemd_passed - take the descriptors that the service manager has passed (LISTEN_FDS,
 * LISTEN_PID). Returns their number, at most @max. The caller owns them; they are close-on-exec.
 * Call it once, before the process forks.
 */
unsigned int systemd_passed(struct systemd_fd *out, unsigned int max);

/* systemd_is_here - a service manager started this process and takes its notifications. */
bool systemd_is_here(void);

/*
 * systemd_store - ask the service manager to hold copies of @n descriptors, at most SYSTEMD_STORE,
 * for the next process of this service. The service manager does so if the unit has
 * FileDescriptorStoreMax=.
 * systemd_unstore - ask it to close all copies with this name.
 */
void systemd_store(const int *fds, unsigned int n, struct span name);
void systemd_unstore(struct span name);

/* systemd_notify - send a state such as "READY=1" to the service manager, if there is one. */
void systemd_notify(const char *state);

/* systemd_alive - tell a watchdog that the event loop turns. Call it about once a second. */
void systemd_alive(void);

#endif
