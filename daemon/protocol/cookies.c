/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.c - a cache of replies to datagrams. It reads no clock and uses no socket.
 *
 * uthash keeps the entries in the order of their insertion, so the oldest entry is the first.
 */
#include "protocol/cookies.h"
#include "base/hash.h"
#include "protocol/proto.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* The key of an entry. */
struct key {
	uint64_t command_hash;
	uint8_t ip[16];
	uint8_t family; /* enum addr_family */
	char cookie[PROTO_COOKIE_MAX];
};

struct entry {
	UT_hash_handle hh;
	uint64_t stored_ns;
	uint32_t key_len, reply_len;
	char bytes[]; /* the key, then the reply */
};

struct cookies {
	struct entry *entries;
	size_t bytes, max_bytes;
	void (*stored)(void *arg, struct span key, struct span reply, uint64_t stored_ns);
	void *arg; /* of stored */
};

/* Bytes that malloc keeps in front of a block. cookies_bytes() adds the buckets of the hash. */
#define MALLOC_HEAD sizeof(size_t)

static size_t entry_bytes(struct entry *e)
{
	return malloc_usable_size(e) + MALLOC_HEAD;
}

static void entry_forget(struct cookies *c, struct entry *e)
{
	c->bytes -= entry_bytes(e);
	HASH_DEL(c->entries, e);
	free(e);
}

int cookies_new(struct cookies **out, size_t max_bytes)
{
	struct cookies *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->max_bytes = max_bytes;
	*out = c;
	return 0;
}

size_t cookies_bytes(const struct cookies *c)
{
	return c->bytes +
	       (c->entries ? c->entries->hh.tbl->num_buckets * sizeof(UT_hash_bucket) : 0);
}

void cookies_free(struct cookies *c)
{
	if (!c)
		return;
	while (c->entries)
		entry_forget(c, c->entries);
	free(c);
}

/* FNV-1a. A collision also needs the same host and cookie, within COOKIES_LIFE_NS. */
static uint64_t hash_of(struct span text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ (uint8_t)text.p[i]) * 0x100000001b3;
	return h;
}

/* Returns the length of the key in bytes. */
static size_t make_key(struct key *k, const struct cookies_key *of)
{
	const size_t len = MIN(of->cookie.len, sizeof(k->cookie));

	k->command_hash = hash_of(of->command);
	memcpy(k->ip, of->from->ip, sizeof(k->ip));
	k->family = of->from->family;
	memcpy(k->cookie, of->cookie.p, len);
	return offsetof(struct key, cookie) + len;
}

struct span cookies_find(const struct cookies *c, const struct cookies_key *key)
{
	struct entry *e;
	struct key k;
	size_t len = make_key(&k, key);

	HASH_FIND(hh, c->entries, &k, len, e);
	return e ? (struct span){ e->bytes + e->key_len, e->reply_len } : (struct span){ NULL, 0 };
}

static void add(struct cookies *c, const void *key, size_t len, struct span reply,
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
	while (c->entries && c->bytes + entry_bytes(e) > c->max_bytes)
		entry_forget(c, c->entries);
	HASH_ADD_KEYPTR(hh, c->entries, e->bytes, len, e);
	if (!e->hh.tbl) {
		free(e);
		return;
	}
	c->bytes += entry_bytes(e);
}

void cookies_store(struct cookies *c, const struct cookies_key *key, struct span reply,
		   uint64_t now_ns)
{
	struct key k;
	size_t len = make_key(&k, key);

	add(c, &k, len, reply, now_ns);
	if (c->stored)
		c->stored(c->arg, (struct span){ (char *)&k, len }, reply, now_ns);
}

void cookies_watch(struct cookies *c,
		   void (*stored)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		   void *arg)
{
	c->stored = stored;
	c->arg = arg;
}

void cookies_each(const struct cookies *c, uint64_t since_ns, unsigned int max,
		  void (*fn)(void *arg, struct span key, struct span reply, uint64_t stored_ns),
		  void *arg)
{
	unsigned int n = HASH_COUNT(c->entries), skip = n > max ? n - max : 0;
	const struct entry *e;

	for (e = c->entries; e; e = e->hh.next) {
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
	struct entry *e;

	if (key.len < offsetof(struct key, cookie) || key.len > sizeof(struct key) ||
	    reply.len > COOKIES_REPLY_MAX)
		return;
	HASH_FIND(hh, c->entries, key.p, key.len, e);
	if (!e)
		add(c, key.p, key.len, reply, stored_ns);
}

void cookies_sweep(struct cookies *c, uint64_t now_ns)
{
	while (c->entries && now_ns - c->entries->stored_ns >= COOKIES_LIFE_NS)
		entry_forget(c, c->entries);
}
