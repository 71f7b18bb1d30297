/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * groups.c - hands records, replies, addresses and seconds to the standbys of the groups.
 */
#include "replicate/groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/refuse.h"
#include "net/appear.h"
#include "protocol/cookies.h"
#include "restart/records.h"

#define COUNTERS_S 10 /* between two writes of a call's counters */

struct groups {
	struct standby *all[GROUPS_MAX];
	unsigned int n;
	struct keeper *keeper;
	struct cookies *cookies;
	struct keeper_sink sink;
	struct appear *appear;
	unsigned int at;    /* the group of the commands */
	unsigned int slice; /* of the calls whose counters are written next */
};

/* ---- records and replies ---- */

/* The group of a session or a message. */
static struct standby *standby_of_key(const struct groups *g, uint64_t key)
{
	unsigned int number = g->n > 1 ? session_group((uint32_t)key) : 0;

	return number < g->n ? g->all[number] : NULL;
}

static void records_put(void *arg, uint64_t key, struct span body)
{
	struct groups *g = arg;
	struct standby *s = standby_of_key(g, key);

	if (key != RECORD_META) {
		if (s)
			standby_put(s, key, body);
		return;
	}
	for (unsigned int i = 0; i < g->n; i++)
		standby_put(g->all[i], key, body);
}

static void records_gone(void *arg, uint64_t key)
{
	struct standby *s = standby_of_key(arg, key);

	if (s)
		standby_gone(s, key);
}

const struct keeper_sink *groups_sink(struct groups *g)
{
	return &g->sink;
}

static void on_reply(void *arg, struct span key, struct span reply, uint64_t stored_ns)
{
	struct groups *g = arg;

	standby_reply(g->all[g->at], key, reply, stored_ns);
}

void groups_command(struct groups *g, unsigned int number)
{
	g->at = number;
}

/* ---- roles ---- */

static void on_addresses(void *arg)
{
	struct groups *g = arg;

	for (unsigned int i = 0; i < g->n; i++)
		standby_wait(g->all[i]);
}

void groups_go_on(struct groups *g)
{
	for (unsigned int i = 0; i < g->n; i++) {
		uint64_t epoch = keeper_epoch(g->keeper, i);

		if (epoch)
			standby_go_on(g->all[i], epoch);
		else
			standby_wait(g->all[i]);
	}
}

void groups_tick(struct groups *g)
{
	for (unsigned int i = 0; i < g->n; i++)
		standby_tick(g->all[i]);
	g->slice = (g->slice + 1) % COUNTERS_S;
	keeper_put_counters(g->keeper, g->slice, COUNTERS_S);
}

/* The groups that this daemon does not own, as text. Returns their number. */
static unsigned int groups_others(const struct groups *g, unsigned int *last, char *text,
				  size_t size)
{
	struct standby_view v;
	unsigned int n = 0;
	size_t len = 0;

	*text = '\0';
	for (unsigned int i = 0; groups_view(g, i, &v); i++) {
		if (v.group.owner)
			continue;
		*last = i;
		len += (size_t)snprintf(text + len, size - len, "%s%s", n ? ", " : "", v.name);
		len = MIN(len, size - 1);
		n++;
	}
	return n;
}

static int group_named(const struct groups *g, const char *name, char *err, size_t err_size)
{
	struct standby_view v;
	unsigned int last = 0, n;
	char text[256];

	for (unsigned int i = 0; *name && groups_view(g, i, &v); i++)
		if (!strcmp(v.name, name))
			return (int)i;
	if (*name)
		return refuse(err, err_size, -ENOENT, "%s is no group of this daemon", name);
	n = groups_others(g, &last, text, sizeof(text));
	if (n > 1)
		return refuse(err, err_size, -EINVAL, "takeover of which group: %s", text);
	if (!n)
		return refuse(err, err_size, -EALREADY, "this daemon is the owner already");
	return (int)last;
}

int groups_take_over(struct groups *g, const char *name, char *err, size_t err_size)
{
	int i = group_named(g, name, err, err_size);

	if (i < 0)
		return i;
	if (!standby_take_over(g->all[i]))
		return refuse(err, err_size, -EALREADY, "this daemon is the owner already");
	return 0;
}

void groups_release(struct groups *g, unsigned int ms)
{
	const uint64_t end_ns = clock_now() + ms * NSEC_PER_MSEC;

	for (unsigned int i = 0; i < g->n; i++) {
		uint64_t now_ns = clock_now();

		if (now_ns < end_ns)
			standby_release(g->all[i],
					(unsigned int)((end_ns - now_ns) / NSEC_PER_MSEC));
	}
}

/* ---- begin and end ---- */

int groups_new(struct groups **out, struct event_base *base, const struct standby_opts *opts,
	       const char *const *names, unsigned int n, char *err, size_t err_size)
{
	struct groups *g = calloc(1, sizeof(*g));
	struct standby_opts each = *opts;
	int rc = 0;

	if (!g)
		return refuse(err, err_size, -ENOMEM, "out of memory");
	g->keeper = opts->keeper;
	g->cookies = opts->cookies;
	g->sink = (struct keeper_sink){ records_put, records_gone, g };
	each.several = n > 1;
	for (; g->n < n && !rc; g->n += !rc) {
		each.name = names[g->n];
		each.number = g->n;
		rc = standby_new(&g->all[g->n], base, &each, err, err_size);
	}
	if (!rc) {
		rc = appear_new(&g->appear, base, on_addresses, g);
		if (rc)
			refuse(err, err_size, rc, "addresses cannot be followed: %s",
			       strerror(-rc));
	}
	if (rc) {
		groups_free(g);
		return rc;
	}
	cookies_watch(g->cookies, on_reply, g);
	*out = g;
	return 0;
}

void groups_free(struct groups *g)
{
	if (!g)
		return;
	cookies_watch(g->cookies, NULL, NULL);
	appear_free(g->appear);
	for (unsigned int i = 0; i < g->n; i++)
		standby_free(g->all[i]);
	free(g);
}

bool groups_view(const struct groups *g, unsigned int number, struct standby_view *out)
{
	if (number >= g->n)
		return false;
	standby_view(g->all[number], out);
	return true;
}
