/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.c - a cache of replies to datagrams. It reads no clock and uses no socket.
 */
#include "protocol/cookies.h"
#include "base/fnv.h"
#include "base/table.h"
#include "protocol/proto.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SWEPT_MAX 10000 /* old entries that one sweep removes; a millisecond's work */

/* The key of an entry. */
struct key {
	uint64_t command_hash;
	uint8_t ip[16];
	uint8_t family; /* enum addr_family */
	char cookie[PROTO_COOKIE_MAX];
};

struct entry {
	struct table_link link;
	STAILQ_ENTRY(entry) list;
	uint64_t stored_ns;
	uint32_t key_len, reply_len;
	char bytes[]; /* the key, then the reply */
};

struct cookies {
	struct table table;
	STAILQ_HEAD(, entry) entries; /* oldest first */
	size_t bytes, max_bytes;
	void (*stored)(void *arg, struct span key, struct span reply, uint64_t stored_ns);
	void *arg; /* of stored */
};

/* Bytes that malloc keeps in front of a block. cookies_bytes() adds the buckets of the table. */
#define MALLOC_HEAD sizeof(size_t)

static size_t entry_bytes(struct entry *e)
{
	return malloc_usable_size(e) + MALLOC_HEAD;
}

static void forget_oldest(struct cookies *c)
{
	struct entry *e = STAILQ_FIRST(&c->entries);

	c->bytes -= entry_bytes(e);
	table_del(&c->table, &e->link);
	STAILQ_REMOVE_HEAD(&c->entries, list);
	free(e);
}

int cookies_new(struct cookies **out, size_t max_bytes)
{
	struct cookies *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->max_bytes = max_bytes;
	STAILQ_INIT(&c->entries);
	*out = c;
	return 0;
}

size_t cookies_bytes(const struct cookies *c)
{
	return c->bytes + table_bytes(&c->table);
}

void cookies_free(struct cookies *c)
{
	if (!c)
		return;
	while (!STAILQ_EMPTY(&c->entries))
		forget_oldest(c);
	table_free(&c->table);
	free(c);
}

/* Returns the length of the key in bytes. */
static size_t make_key(struct key *k, const struct cookies_key *of)
{
	const size_t len = MIN(of->cookie.len, sizeof(k->cookie));

	/* A collision also needs the same host and cookie, within COOKIES_LIFE_NS. */
	k->command_hash = fnv_add(FNV_BASIS, of->command);
	memcpy(k->ip, of->from->ip, sizeof(k->ip));
	k->family = of->from->family;
	memcpy(k->cookie, of->cookie.p, len);
	return offsetof(struct key, cookie) + len;
}

static struct entry *entry_find(const struct cookies *c, const void *key, size_t len)
{
	struct table_link *link = table_first(&c->table, table_hash(key, len));
	struct entry *e;

	for (; link; link = table_next(link)) {
		e = container_of(link, struct entry, link);
		if (e->key_len == len && memcmp(e->bytes, key, len) == 0)
			return e;
	}
	return NULL;
}

struct span cookies_find(const struct cookies *c, const struct cookies_key *key)
{
	struct key k;
	size_t len = make_key(&k, key);
	struct entry *e = entry_find(c, &k, len);

	return e ? (struct span){ e->bytes + e->key_len, e->reply_len } : (struct span){ NULL, 0 };
}

static void cookie_add(struct cookies *c, const void *key, size_t len, struct span reply,
		       uint64_t stored_ns)
{
	struct entry *e = malloc(sizeof(*e) + len + reply.len);

	if (!e)
		return;
	e->stored_ns = stored_ns;
	e->key_len = len;
	e->reply_len = reply.len;
	memcpy(e->bytes, key, len);
	memcpy(e->bytes + len, reply.p, reply.len);
	while (!STAILQ_EMPTY(&c->entries) && c->bytes + entry_bytes(e) > c->max_bytes)
		forget_oldest(c);
	if (table_add(&c->table, &e->link, table_hash(key, len))) {
		free(e);
		return;
	}
	STAILQ_INSERT_TAIL(&c->entries, e, list);
	c->bytes += entry_bytes(e);
}

/* Remove at most @max of the entries that are too old. */
static void forget_old(struct cookies *c, uint64_t now_ns, unsigned int max)
{
	while (max-- && !STAILQ_EMPTY(&c->entries) &&
	       now_ns - STAILQ_FIRST(&c->entries)->stored_ns >= COOKIES_LIFE_NS)
		forget_oldest(c);
}

/* Each new entry removes two old ones, so the sweep never has a backlog. */
void cookies_store(struct cookies *c, const struct cookies_key *key, struct span reply,
		   uint64_t now_ns)
{
	struct key k;
	size_t len = make_key(&k, key);

	forget_old(c, now_ns, 2);
	cookie_add(c, &k, len, reply, now_ns);
	if (c->stored)
		c->stored(c->arg, (struct span){ (char *)&k, len }, reply, now_ns);
}

void cookies_watch(struct cookies *c,
		   void (*stored)(void *arg, struct span key, struct span reply,
				  uint64_t stored_ns),
		   void *arg)
{
	c->stored = stored;
	c->arg = arg;
}

void cookies_each(const struct cookies *c, uint64_t since_ns, unsigned int max,
		  void (*fn)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		  void *arg)
{
	unsigned int n = c->table.n, skip = n > max ? n - max : 0;
	const struct entry *e;

	STAILQ_FOREACH(e, &c->entries, list)
	{
		if (skip) {
			skip--;
			continue;
		}
		if (e->stored_ns >= since_ns)
			fn(arg, (struct span){ e->bytes, e->key_len },
			   (struct span){ e->bytes + e->key_len, e->reply_len }, e->stored_ns);
	}
}

/* The bytes may come from a damaged file. Check the lengths: callers have room for no more. */
void cookies_restore(struct cookies *c, struct span key, struct span reply, uint64_t stored_ns)
{
	if (key.len < offsetof(struct key, cookie) || key.len > sizeof(struct key) ||
	    reply.len > COOKIES_REPLY_MAX)
		return;
	if (!entry_find(c, key.p, key.len))
		cookie_add(c, key.p, key.len, reply, stored_ns);
}

void cookies_sweep(struct cookies *c, uint64_t now_ns)
{
	forget_old(c, now_ns, SWEPT_MAX);
}
