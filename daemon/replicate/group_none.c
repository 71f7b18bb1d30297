/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group_none.c - the twin of group.c for a build without Redis: there is no group to join, so
 * --replicate is refused, and no other function is called.
 */
#include "replicate/group.h"

#include <errno.h>
#include <stdio.h>

int group_new(struct group **out, struct event_base *base, const struct group_opts *opts,
	      const char *name, char *err, size_t err_size)
{
	(void)out, (void)base, (void)opts, (void)name;
	snprintf(err, err_size, "this rtpxd was built without Redis (REPLICATE=no)");
	return -ENOTSUP;
}

void group_free(struct group *g)
{
	(void)g;
}

void group_take_over(struct group *g)
{
	(void)g;
}

void group_go_on(struct group *g, uint64_t epoch)
{
	(void)g, (void)epoch;
}

void group_put(struct group *g, uint64_t key, struct span body)
{
	(void)g, (void)key, (void)body;
}

void group_gone(struct group *g, uint64_t key)
{
	(void)g, (void)key;
}

void group_pass(struct group *g, uint64_t key, struct span body)
{
	(void)g, (void)key, (void)body;
}

void group_all_put(struct group *g)
{
	(void)g;
}

void group_release(struct group *g, unsigned int ms)
{
	(void)g, (void)ms;
}

void group_view(const struct group *g, struct group_view *out)
{
	(void)g;
	*out = (struct group_view){ 0 };
}
