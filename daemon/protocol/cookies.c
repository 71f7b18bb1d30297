/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.c - a cache of replies to datagrams. It reads no clock and uses no socket.
 */
#include "protocol/cookies.h"
#include "base/fnv.h"
#include "base/table.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/queue.h>

#define SWEPT_MAX 10000 /* old entries that one sweep removes; a millisecond's work */

/* An entry begins with these bytes of its key, as many as its cookie has. */
#define KEY_HEAD offsetof(struct cookies_key, cookie)
#define KEY_MAX (KEY_HEAD + PROTO_COOKIE_MAX)
_Static_assert(PROTO_COOKIE_MAX <= UINT8_MAX, "cookie_len is large enough");

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

static struct span bytes_of(const struct cookies_key *key)
{
	return (struct span){ (const char *)key, KEY_HEAD + key->cookie_len };
}

void cookies_key_set(struct cookies_key *key, const struct addr *from, struct span cookie,
		     struct span command)
{
	struct span bytes;

	/* A collision also needs the same host and cookie, within COOKIES_LIFE_NS. */
	key->command_hash = fnv_add(FNV_BASIS, command);
	memcpy(key->ip, from->ip, sizeof(key->ip));
	key->family = from->family;
	key->cookie_len = MIN(cookie.len, sizeof(key->cookie));
	memcpy(key->cookie, cookie.p, key->cookie_len);
	bytes = bytes_of(key);
	key->hash = table_hash(bytes.p, bytes.len);
}

void cookies_fetch(const struct cookies *c, const struct cookies_key *keys, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		table_fetch_bucket(&c->table, keys[i].hash);
	for (i = 0; i < n; i++)
		table_fetch_first(&c->table, keys[i].hash);
}

static struct entry *entry_find(const struct cookies *c, struct span key, uint32_t hash)
{
	struct table_link *link = table_first(&c->table, hash);
	struct entry *e;

	for (; link; link = table_next(link)) {
		e = container_of(link, struct entry, link);
		if (span_eq((struct span){ e->bytes, e->key_len }, key))
			return e;
	}
	return NULL;
}

struct span cookies_find(const struct cookies *c, const struct cookies_key *key)
{
	struct entry *e = entry_find(c, bytes_of(key), key->hash);

	return e ? (struct span){ e->bytes + e->key_len, e->reply_len } : (struct span){ NULL, 0 };
}

static void cookie_add(struct cookies *c, struct span key, uint32_t hash, struct span reply,
		       uint64_t stored_ns)
{
	struct entry *e = malloc(sizeof(*e) + key.len + reply.len);

	if (!e)
		return;
	e->stored_ns = stored_ns;
	e->key_len = key.len;
	e->reply_len = reply.len;
	memcpy(e->bytes, key.p, key.len);
	memcpy(e->bytes + key.len, reply.p, reply.len);
	while (!STAILQ_EMPTY(&c->entries) && c->bytes + entry_bytes(e) > c->max_bytes)
		forget_oldest(c);
	if (table_add(&c->table, &e->link, hash)) {
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
	struct span bytes = bytes_of(key);

	forget_old(c, now_ns, 2);
	cookie_add(c, bytes, key->hash, reply, now_ns);
	if (c->stored)
		c->stored(c->arg, bytes, reply, now_ns);
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
	uint32_t hash = table_hash(key.p, key.len);

	if (key.len < KEY_HEAD || key.len > KEY_MAX || reply.len > COOKIES_REPLY_MAX)
		return;
	if (!entry_find(c, key, hash))
		cookie_add(c, key, hash, reply, stored_ns);
}

void cookies_sweep(struct cookies *c, uint64_t now_ns)
{
	forget_old(c, now_ns, SWEPT_MAX);
}
