/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - a hash table for very many elements: no addition moves more than a few of them.
 *
 * uthash moves all elements when its table grows, which holds the event loop for milliseconds with
 * 50,000 elements. This table grows by one bucket with each addition (linear hashing, W. Litwin
 * 1980). It never shrinks. The caller hashes and compares keys; elements with one hash are found
 * in no particular order.
 */
#ifndef RTPX_TABLE_H
#define RTPX_TABLE_H

#include "base/base.h"

/* A member of each element. */
struct table_link {
	struct table_link *next;
	uint32_t hash;
};

/* All zero: an empty table. */
struct table {
	struct table_link **buckets;
	unsigned int n;		/* elements */
	unsigned int n_buckets; /* in use */
	unsigned int room;	/* allocated */
};

/* table_hash - a hash of @len bytes. */
uint32_t table_hash(const void *bytes, size_t len);

/* table_add - add @link under @hash. 0 or -ENOMEM, then the table is unchanged. */
int table_add(struct table *t, struct table_link *link, uint32_t hash);
/* table_del - remove @link, which is in the table. */
void table_del(struct table *t, struct table_link *link);
/* table_free - free the table's own memory. The elements are the caller's. */
void table_free(struct table *t);

/*
 * table_fetch_bucket, table_fetch_first - bring the memory that table_first() will read to the
 * CPU's cache, without waiting for it. Call the second one a moment after the first one.
 */
void table_fetch_bucket(const struct table *t, uint32_t hash);
void table_fetch_first(const struct table *t, uint32_t hash);

/* table_first, table_next - each element with @hash; NULL at the end. */
struct table_link *table_first(const struct table *t, uint32_t hash);
struct table_link *table_next(const struct table_link *link);

/* table_bytes - memory of the table itself. */
static inline size_t table_bytes(const struct table *t)
{
	return t->room * sizeof(t->buckets[0]);
}

#endif
