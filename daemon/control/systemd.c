/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * systemd.c - calls libsystemd. A build without libsystemd has systemd_none.c instead.
 */
#include "control/systemd.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* Marks names in the store. Descriptors of a socket unit have the unit's name instead. */
#define PREFIX "rtpxd="
#define NAME_MAX_BYTES 255

unsigned int systemd_passed(struct systemd_fd *out, unsigned int max)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names);
	unsigned int i;

	for (i = 0; n > 0 && i < MIN(max, (unsigned int)n); i++)
		out[i] = (struct systemd_fd){
			.fd = SD_LISTEN_FDS_START + (int)i,
			.stored = names && !strncmp(names[i], PREFIX, strlen(PREFIX)),
		};
	for (int j = 0; names && j < n; j++)
		free(names[j]);
	free(names);
	return i;
}

bool systemd_is_here(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

/* sd_pid_notify_with_fds(3) allows only printable characters, and no colon. */
static void store_name(char out[NAME_MAX_BYTES + 1], const char *name)
{
	snprintf(out, NAME_MAX_BYTES + 1, PREFIX "%s", name);
	for (char *c = out; *c; c++)
		if (!isgraph((unsigned char)*c) || *c == ':')
			*c = '_';
}

/* FDPOLL=0: the service manager keeps the socket even if it has an error. */
void systemd_store(int fd, const char *name)
{
	char text[NAME_MAX_BYTES + 1], state[NAME_MAX_BYTES + 64];

	store_name(text, name);
	snprintf(state, sizeof(state), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", text);
	sd_pid_notify_with_fds(0, 0, state, &fd, 1);
}

void systemd_unstore(const char *name)
{
	char text[NAME_MAX_BYTES + 1], state[NAME_MAX_BYTES + 64];

	store_name(text, name);
	snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", text);
	sd_notify(0, state);
}

void systemd_notify(const char *state)
{
	sd_notify(0, state);
}

void systemd_alive(void)
{
	if (sd_watchdog_enabled(0, NULL) > 0)
		sd_notify(0, "WATCHDOG=1");
}
