/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd_none.c - the twin of systemd.c for a build without libsystemd. There is no service
 * manager, so no sockets are passed and notifications go nowhere.
 */
#include "control/systemd.h"

unsigned int systemd_passed(struct systemd_fd *out, unsigned int max)
{
	(void)out, (void)max;
	return 0;
}

bool systemd_is_here(void)
{
	return false;
}

void systemd_store(int fd, const char *name)
{
	(void)fd, (void)name;
}

void systemd_unstore(const char *name)
{
	(void)name;
}

void systemd_notify(const char *state)
{
	(void)state;
}

void systemd_alive(void)
{
}
