/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.c - atomic counters with a reference count.
 */
#include <stdlib.h>

#include "base/tally.h"

struct tally {
	struct tally *parent;
	unsigned int holders;
	struct tally_counts counts;
};

static void atomic_add(uint64_t *to, uint64_t n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

struct tally *tally_new(struct tally *parent)
{
	struct tally *t = calloc(1, sizeof(*t));

	if (t) {
		t->parent = parent ? tally_hold(parent) : NULL;
		t->holders = 1;
	}
	return t;
}

struct tally *tally_hold(struct tally *t)
{
	__atomic_fetch_add(&t->holders, 1, __ATOMIC_RELAXED);
	return t;
}

void tally_drop(struct tally *t)
{
	struct tally *parent;

	while (t && __atomic_sub_fetch(&t->holders, 1, __ATOMIC_ACQ_REL) == 0) {
		parent = t->parent;
		free(t);
		t = parent;
	}
}

void tally_recorded(struct tally *t, uint64_t packets, uint64_t bytes)
{
	for (; t; t = t->parent) {
		atomic_add(&t->counts.packets, packets);
		atomic_add(&t->counts.bytes, bytes);
	}
}

void tally_lost(struct tally *t, enum tally_loss why, uint64_t packets)
{
	for (; t; t = t->parent)
		atomic_add(&t->counts.lost_by[why], packets);
}

const char *tally_loss_name(enum tally_loss why)
{
	static const char *const names[] = {
#define TALLY_NAME(id, name) name,
		TALLY_LOSSES(TALLY_NAME)
#undef TALLY_NAME
	};

	return names[why];
}

static uint64_t atomic_get(const uint64_t *from)
{
	return __atomic_load_n(from, __ATOMIC_RELAXED);
}

struct tally_counts tally_read(const struct tally *t)
{
	struct tally_counts out = { 0 };
	unsigned int why;

	if (!t)
		return out;
	out.packets = atomic_get(&t->counts.packets);
	out.bytes = atomic_get(&t->counts.bytes);
	for (why = 0; why < TALLY_LOSS_COUNT; why++) {
		out.lost_by[why] = atomic_get(&t->counts.lost_by[why]);
		out.lost += out.lost_by[why];
	}
	return out;
}
