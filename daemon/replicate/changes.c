/* SPDX-License-Identifier: BSD-2-Clause */
/* changes.c - a hash of the waiting records, which uthash keeps in the order of their arrival. */
#include "replicate/changes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

struct waiting_change {
	uint64_t key;
	struct change *change;
	UT_hash_handle hh;
};

struct changes {
	struct waiting_change *first;
	size_t bytes;
};

int changes_new(struct changes **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void changes_free(struct changes *c)
{
	if (!c)
		return;
	changes_drop(c);
	free(c);
}

static size_t change_cost(const struct change *change)
{
	return sizeof(struct waiting_change) + sizeof(*change) + change->len;
}

static void change_forget(struct changes *c, struct waiting_change *w)
{
	HASH_DEL(c->first, w);
	free(w);
}

struct change *changes_take(struct changes *c)
{
	struct waiting_change *w = c->first;
	struct change *change;

	if (!w)
		return NULL;
	change = w->change;
	c->bytes -= change_cost(change);
	change_forget(c, w);
	return change;
}

void changes_drop(struct changes *c)
{
	struct change *change;

	while ((change = changes_take(c)))
		free(change);
}

unsigned int changes_count(const struct changes *c)
{
	return HASH_COUNT(c->first);
}

static int change_add(struct changes *c, uint64_t key, struct change *change)
{
	struct waiting_change *w;

	HASH_FIND(hh, c->first, &key, sizeof(key), w);
	if (w) {
		c->bytes -= change_cost(w->change);
		free(w->change);
	} else {
		w = calloc(1, sizeof(*w));
		if (!w)
			return -ENOMEM;
		w->key = key;
		HASH_ADD(hh, c->first, key, sizeof(key), w);
		if (!w->hh.tbl) {
			free(w);
			return -ENOMEM;
		}
	}
	w->change = change;
	c->bytes += change_cost(change);
	return 0;
}

int changes_add(struct changes *c, enum change_kind kind, uint64_t key, struct span body)
{
	struct change *change = malloc(sizeof(*change) + body.len);
	int rc = -ENOMEM;

	if (change) {
		snprintf(change->name, sizeof(change->name), "%c%" PRIu64, kind, key);
		change->len = body.len;
		if (body.len)
			memcpy(change->body, body.p, body.len);
		rc = c->bytes + change_cost(change) > CHANGES_MAX_BYTES
			     ? -ENOBUFS
			     : change_add(c, key, change);
	}
	if (rc) {
		free(change);
		changes_drop(c);
	}
	return rc;
}

bool changes_has(const struct changes *c, uint64_t key)
{
	struct waiting_change *w;

	HASH_FIND(hh, c->first, &key, sizeof(key), w);
	return w != NULL;
}

bool change_key(struct span text, uint64_t *key)
{
	*key = 0;
	for (size_t i = 0; i < text.len; i++)
		if (!isdigit((unsigned char)text.p[i]) ||
		    __builtin_mul_overflow(*key, (uint64_t)10, key) ||
		    __builtin_add_overflow(*key, (uint64_t)(text.p[i] - '0'), key))
			return false;
	return text.len > 0;
}

bool change_parse(struct span name, enum change_kind *kind, uint64_t *key)
{
	if (name.len < 2 || !memchr("pdr", name.p[0], 3))
		return false;
	*kind = (enum change_kind)name.p[0];
	return change_key((struct span){ name.p + 1, name.len - 1 }, key);
}
