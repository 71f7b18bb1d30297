/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.h - readiness and socket activation. The Makefile chooses systemd.c, or systemd_none.c
 * where there is no libsystemd.
 */
#ifndef RTPX_SYSTEMD_H
#define RTPX_SYSTEMD_H

#include "base.h"

/*
 * systemd_listen_fd - the one listening stream socket that the service manager passed (LISTEN_FDS,
 * LISTEN_PID), close-on-exec. Call it before the process forks. On failure -errno with a sentence
 * in @err.
 */
int systemd_listen_fd(char *err, size_t err_size);

/* systemd_notify - tell the service manager a state such as "READY=1", if there is one to tell. */
void systemd_notify(const char *state);

#endif
