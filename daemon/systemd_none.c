/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd_none.c - the twin of systemd.c for a build without libsystemd: no activation, nobody to
 * notify.
 */
#include "systemd.h"

#include <errno.h>
#include <stdio.h>

int systemd_listen_fd(char *err, size_t err_size)
{
	snprintf(err, err_size,
		 "systemd: this rtpxd was built without libsystemd; use another -s, "
		 "or build it again with libsystemd's headers installed");
	return -ENOSYS;
}

void systemd_notify(const char *state)
{
	(void)state;
}
