/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * paths.c - a table of next hops, one for each pair of hosts and TOS, or for each pair of ports if
 * this host's rules look at ports. The answers are nexthop.c's and change there, so a path is
 * looked up again for each packet.
 */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "host/paths.h"
#include "base/table.h"
#include "host/nexthop.h"

#define MAX_PATHS 16384		    /* the ids of next hops serve the flows of a dataplane, too */
#define IDLE_NS (60 * NSEC_PER_SEC) /* a path without packets is forgotten */
/*
 * A new path asks the kernel for a route, which takes some 50 us. This time between two of them
 * leaves most of the loop to packets.
 */
#define PAUSE_NS (NSEC_PER_MSEC / 5)
#define FORGET 256 /* paths at once */

struct path_key {
	struct addr source, dest; /* port 0: all */
	uint8_t tos;
};

struct path {
	struct table_link link;
	struct path_key key;
	uint16_t id;
	uint64_t used_ns;
	struct path *prev, *next;
};

struct paths {
	struct nexthops *nexthops;
	struct table table;
	struct path *oldest; /* list by used_ns, about: see path_touch() */
	uint64_t asked_ns;   /* the latest new path */
};

static void path_key_set(struct addr *to, const struct addr *a, bool port)
{
	to->family = a->family;
	to->port = port ? a->port : 0;
	memcpy(to->ip, a->ip, addr_ip_len(a));
}

static struct path_key path_key_of(const struct addr *source, const struct addr *dest, uint8_t tos,
				   bool ports)
{
	struct path_key key;

	memset(&key, 0, sizeof(key));
	path_key_set(&key.source, source, ports);
	path_key_set(&key.dest, dest, ports);
	key.tos = tos;
	return key;
}

static struct path *path_find(const struct paths *all, const struct path_key *key, uint32_t hash)
{
	struct table_link *l;

	for (l = table_first(&all->table, hash); l; l = table_next(l)) {
		struct path *p = container_of(l, struct path, link);

		if (memcmp(&p->key, key, sizeof(*key)) == 0)
			return p;
	}
	return NULL;
}

static void path_forget(struct paths *all, struct path *p)
{
	DL_DELETE(all->oldest, p);
	table_del(&all->table, &p->link);
	nexthop_give(all->nexthops, p->id);
	free(p);
}

/* Take the next hop of @p and add it to the table. 0 or -errno. */
static int path_take(struct paths *all, struct path *p, uint32_t hash)
{
	const struct nexthop_want want = {
		.dest = p->key.dest,
		.source = p->key.source,
		.tos = p->key.tos,
		.direct = true,
	};
	struct nexthop_view view;
	int err = nexthop_take(all->nexthops, &want, &p->id, &view);

	if (err)
		return err;
	err = table_add(&all->table, &p->link, hash);
	if (err)
		nexthop_give(all->nexthops, p->id);
	return err;
}

static struct path *path_add(struct paths *all, const struct path_key *key, uint32_t hash,
			     uint64_t now_ns)
{
	struct path *p;

	if (now_ns - all->asked_ns < PAUSE_NS || all->table.n >= MAX_PATHS)
		return NULL;
	all->asked_ns = now_ns;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->key = *key;
	if (path_take(all, p, hash)) {
		free(p);
		return NULL;
	}
	p->used_ns = now_ns;
	DL_APPEND(all->oldest, p);
	return p;
}

/* The list is in order to a second: most packets need no change of it. */
static void path_touch(struct paths *all, struct path *p, uint64_t now_ns)
{
	if (now_ns - p->used_ns < NSEC_PER_SEC)
		return;
	p->used_ns = now_ns;
	DL_DELETE(all->oldest, p);
	DL_APPEND(all->oldest, p);
}

bool paths_find(void *paths, const struct addr *source, const struct addr *dest, uint8_t tos,
		uint64_t now_ns, struct ring_way *out)
{
	struct paths *all = paths;
	const struct path_key key = path_key_of(source, dest, tos, nexthops_by_port(all->nexthops));
	const uint32_t hash = table_hash(&key, sizeof(key));
	struct nexthop_view view;
	struct path *p;

	p = path_find(all, &key, hash);
	if (!p)
		p = path_add(all, &key, hash, now_ns);
	if (!p)
		return false;
	path_touch(all, p, now_ns);
	nexthop_view(all->nexthops, p->id, &view);
	if (view.why != FLOW_NO_OBJECTION || view.abi.vlan)
		return false;
	*out = (struct ring_way){
		.ifindex = view.abi.ifindex,
		.mtu = view.abi.mtu,
		.ttl = view.ttl,
		.label_mask = view.abi.label_mask,
	};
	memcpy(out->macs, view.abi.dst_mac, sizeof(view.abi.dst_mac));
	memcpy(out->macs + sizeof(view.abi.dst_mac), view.abi.src_mac, sizeof(view.abi.src_mac));
	return true;
}

void paths_tick(struct paths *all, uint64_t now_ns)
{
	unsigned int left = FORGET;

	while (left-- && all->oldest && now_ns - all->oldest->used_ns > IDLE_NS)
		path_forget(all, all->oldest);
}

int paths_new(struct paths **out, struct nexthops *nexthops)
{
	struct paths *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->nexthops = nexthops;
	*out = all;
	return 0;
}

void paths_free(struct paths *all)
{
	if (!all)
		return;
	while (all->oldest)
		path_forget(all, all->oldest);
	table_free(&all->table);
	free(all);
}
