/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stored.c - names of the shared sockets in the store. A name tells the kind of socket, not its
 * number, so another version may have more or fewer of a kind.
 */
#include <string.h>
#include <unistd.h>

#include "control/stored.h"

#define PREFIX "floor-"
#define LINK PREFIX "link"

static const struct kind {
	const char *name;
	unsigned int first, n; /* of switchboard_fds.sockets */
} kinds[] = {
	{ PREFIX "ip4", 0, FLOOR_SHARDS },
	{ PREFIX "ip6", FLOOR_SHARDS, FLOOR_SHARDS },
	{ PREFIX "ip4-drop", FLOOR_SOCKETS, 1 },
	{ PREFIX "ip6-drop", FLOOR_SOCKETS + 1, 1 },
};

/* The first free place for a descriptor with this name; NULL: there is none. */
static int *place_for(struct switchboard_fds *fds, struct span name)
{
	unsigned int k, i;

	if (span_eq(name, span_of(LINK)))
		return fds->link < 0 ? &fds->link : NULL;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; i < kinds[k].n && span_eq(name, span_of(kinds[k].name)); i++)
			if (fds->sockets[kinds[k].first + i] < 0)
				return &fds->sockets[kinds[k].first + i];
	return NULL;
}

static void take_one(struct switchboard_fds *out, const struct systemd_fd *given)
{
	int *place = place_for(out, given->name);

	if (place) {
		*place = given->fd;
		return;
	}
	systemd_unstore(given->name);
	close(given->fd);
}

void stored_take(struct switchboard_fds *out, struct systemd_fd *given, unsigned int *n)
{
	unsigned int i, left = 0;

	out->link = -1;
	for (i = 0; i < FLOOR_RECEIVERS; i++)
		out->sockets[i] = -1;
	for (i = 0; i < *n; i++) {
		if (given[i].stored && given[i].name.len > strlen(PREFIX) &&
		    !memcmp(given[i].name.p, PREFIX, strlen(PREFIX)))
			take_one(out, &given[i]);
		else
			given[left++] = given[i];
	}
	*n = left;
}

static bool refuse_one(int *fd)
{
	if (*fd < 0)
		return false;
	close(*fd);
	*fd = -1;
	return true;
}

void stored_refuse(struct switchboard_fds *left)
{
	bool any = refuse_one(&left->link);
	unsigned int i;

	for (i = 0; i < FLOOR_RECEIVERS; i++)
		any |= refuse_one(&left->sockets[i]);
	if (any)
		stored_drop();
}

/* The link is the last one: a store that has it has the sockets, too. */
void stored_put(const struct switchboard_fds *fds)
{
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		if (fds->sockets[kinds[k].first] >= 0)
			systemd_store(fds->sockets + kinds[k].first, kinds[k].n,
				      span_of(kinds[k].name));
	systemd_store(&fds->link, 1, span_of(LINK));
}

void stored_drop(void)
{
	unsigned int k;

	systemd_unstore(span_of(LINK));
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		systemd_unstore(span_of(kinds[k].name));
}
