/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.c - readiness and socket activation by libsystemd. Systems without it get systemd_none.c.
 */
#include "systemd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

int systemd_listen_fd(char *err, size_t err_size)
{
	int n = sd_listen_fds(0);

	if (n != 1) {
		snprintf(
			err, err_size,
			"systemd: the service manager passed %d sockets; "
			 "a socket unit with exactly one ListenStream= is needed",
			n < 0 ? 0 : n);
		return n < 0 ? n : -ENOTCONN;
	}
	if (sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1) <= 0) {
		snprintf(
			err, err_size,
			"systemd: what was passed is not a listening stream socket; "
			"use ListenStream= with Accept=no");
		return -ENOTSOCK;
	}
	return SD_LISTEN_FDS_START;
}

void systemd_notify(const char *state)
{
	sd_notify(0, state);
}
