/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - linear hashing: buckets 0 to n_buckets - 1 exist, and addition number n_buckets + 1
 * splits the first bucket that was not split since their number was last a power of 2. Owns no
 * element, and knows no key.
 */
#include "base/table.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_ROOM 64

uint32_t table_hash(const void *bytes, size_t len)
{
	unsigned int hash;

	HASH_JEN(bytes, len, hash);
	return hash;
}

/* The largest power of 2 that is not above n_buckets. */
static uint32_t level_of(const struct table *t)
{
	return 1u << (31 - __builtin_clz(t->n_buckets));
}

static struct table_link **bucket_for(const struct table *t, uint32_t hash)
{
	uint32_t level = level_of(t), i = hash & (2 * level - 1);

	return &t->buckets[i < t->n_buckets ? i : hash & (level - 1)];
}

/* Make room for one more bucket. The copy of pointers is small beside a move of all elements. */
static int buckets_grow(struct table *t)
{
	unsigned int room = t->room ? 2 * t->room : FIRST_ROOM;
	struct table_link **more;

	if (t->n_buckets < t->room)
		return 0;
	more = realloc(t->buckets, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->buckets = more;
	t->room = room;
	return 0;
}

/* The bucket that is split when bucket @made comes, which is not the first one. */
static struct table_link **split_for(const struct table *t, uint32_t made)
{
	return &t->buckets[made - (1u << (31 - __builtin_clz(made)))];
}

/* Move the elements of one bucket that belong into the new last bucket. */
static void split_bucket(struct table *t)
{
	uint32_t made = t->n_buckets++;
	struct table_link **at, *link;

	t->buckets[made] = NULL;
	if (!made)
		return;
	at = split_for(t, made);
	while ((link = *at)) {
		if (bucket_for(t, link->hash) != &t->buckets[made]) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		link->next = t->buckets[made];
		t->buckets[made] = link;
	}
	/* The next addition reads this element. Fetch it meanwhile. */
	__builtin_prefetch(*split_for(t, made + 1));
}

int table_add(struct table *t, struct table_link *link, uint32_t hash)
{
	struct table_link **bucket;

	if (t->n >= t->n_buckets) {
		if (buckets_grow(t) == 0)
			split_bucket(t);
		else if (!t->n_buckets)
			return -ENOMEM;
	}
	bucket = bucket_for(t, hash);
	link->hash = hash;
	link->next = *bucket;
	*bucket = link;
	t->n++;
	return 0;
}

void table_del(struct table *t, struct table_link *link)
{
	struct table_link **at = bucket_for(t, link->hash);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	t->n--;
}

void table_free(struct table *t)
{
	free(t->buckets);
	*t = (struct table){ 0 };
}

void table_fetch_bucket(const struct table *t, uint32_t hash)
{
	if (t->n)
		__builtin_prefetch(bucket_for(t, hash));
}

void table_fetch_first(const struct table *t, uint32_t hash)
{
	if (t->n)
		__builtin_prefetch(*bucket_for(t, hash));
}

static struct table_link *with_hash(struct table_link *link, uint32_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

struct table_link *table_first(const struct table *t, uint32_t hash)
{
	return t->n ? with_hash(*bucket_for(t, hash), hash) : NULL;
}

struct table_link *table_next(const struct table_link *link)
{
	return with_hash(link->next, link->hash);
}
