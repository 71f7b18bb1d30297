/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookies.c - replies already given, by cookie. Reads no clock and knows no socket.
 *
 * uthash keeps the entries in the order of their insertion, which is the order of their age.
 */
#include "cookies.h"
#include "hash.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

struct entry {
	UT_hash_handle hh;
	uint64_t stored_ns;
	uint32_t cookie_len, reply_len;
	char bytes[]; /* cookie, reply */
};

struct cookies {
	struct entry *entries;
	size_t bytes, max_bytes;
};

/* What malloc keeps in front of a block; the hash's buckets are not counted here. */
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

struct span cookies_find(const struct cookies *c, struct span cookie)
{
	struct entry *e;

	HASH_FIND(hh, c->entries, cookie.p, cookie.len, e);
	return e ? (struct span){ e->bytes + e->cookie_len, e->reply_len }
		 : (struct span){ NULL, 0 };
}

void cookies_store(struct cookies *c, struct span cookie, struct span reply, uint64_t now_ns)
{
	struct entry *e = malloc(sizeof(*e) + cookie.len + reply.len);

	if (!e)
		return;
	e->stored_ns = now_ns;
	e->cookie_len = cookie.len;
	e->reply_len = reply.len;
	memcpy(e->bytes, cookie.p, cookie.len);
	memcpy(e->bytes + cookie.len, reply.p, reply.len);
	while (c->entries && c->bytes + entry_bytes(e) > c->max_bytes)
		entry_forget(c, c->entries);
	HASH_ADD_KEYPTR(hh, c->entries, e->bytes, cookie.len, e);
	if (!e->hh.tbl) {
		free(e);
		return;
	}
	c->bytes += entry_bytes(e);
}

void cookies_sweep(struct cookies *c, uint64_t now_ns)
{
	while (c->entries && now_ns - c->entries->stored_ns >= COOKIES_LIFE_NS)
		entry_forget(c, c->entries);
}
