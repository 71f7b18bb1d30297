/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - rtpxd --check: judges a command line on this host without starting.
 */
#ifndef RTPX_CHECK_H
#define RTPX_CHECK_H

#include "config.h"

/*
 * check_host - print a line for each thing that the options name: "ok", "warning" or "wrong", with
 * the remedy. Changes nothing. Returns the exit code: 0, or 1 when no call could work.
 */
int check_host(const struct config *c);
/*
 * check_warn - log each media address that the host lacks. Only a warning: another program or a
 * failover may add it later.
 */
void check_warn(const struct config *c);

#endif
