/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.c - reads queueing disciplines and their filters by route netlink, and asks for BPF
 * programs at tcx.
 *
 * A discipline that only queues packets, and sends as fast as the device can, does not matter. All
 * others count as shapers.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/traffic.h"
#include "base/log.h"
#include "net/netwatch.h"

#define MAX_DEVICES 256 /* with shapers or filters; with more, every device counts as shaped */
#define MAX_PLACES 256	/* where filters may be attached */
#define MAX_ASKED 64	/* devices with a remembered answer about BPF programs */
#define TCX_EGRESS 47	/* BPF_TCX_EGRESS, Linux 6.6 */

#ifndef TC_H_MIN_EGRESS
#define TC_H_MIN_EGRESS 0xfff3U
#endif

struct place {
	int ifindex;
	uint32_t parent;
};

struct device {
	unsigned int ifindex;
	char what[16]; /* the discipline, or "filters" */
};

struct devices {
	struct device all[MAX_DEVICES];
	size_t n;
	bool broken; /* not readable, or too many */
};

struct tcx {
	unsigned int ifindex;
	bool programs;
};

struct traffic {
	struct follower follower;
	struct devices now, next;
	struct place places[MAX_PLACES]; /* found by the present reading */
	size_t n_places;
	struct tcx asked[MAX_ASKED];
	size_t n_asked;
};

/* ---- reading ---- */

static void add_device(struct traffic *t, int ifindex, const char *what)
{
	struct device *d = &t->next.all[t->next.n];
	size_t i;

	for (i = 0; i < t->next.n; i++)
		if (t->next.all[i].ifindex == (unsigned int)ifindex)
			return;
	if (t->next.n == MAX_DEVICES) {
		t->next.broken = true;
		return;
	}
	*d = (struct device){ .ifindex = ifindex };
	snprintf(d->what, sizeof(d->what), "%.15s", what);
	t->next.n++;
}

static void add_place(struct traffic *t, int ifindex, uint32_t parent)
{
	if (t->n_places < MAX_PLACES)
		t->places[t->n_places++] = (struct place){ ifindex, parent };
	else
		t->next.broken = true;
}

/* Disciplines that send without delay. Filters of the classful ones count as shapers. */
static const struct {
	const char *kind;
	enum { NO_FILTERS, FILTERS_AT_HANDLE, FILTERS_AT_EGRESS } filters;
} harmless[] = {
	{ "noqueue", NO_FILTERS },
	{ "mq", NO_FILTERS },
	{ "pfifo", NO_FILTERS },
	{ "bfifo", NO_FILTERS },
	{ "pfifo_fast", NO_FILTERS },
	{ "pfifo_head_drop", NO_FILTERS },
	{ "fq", NO_FILTERS },
	{ "codel", NO_FILTERS },
	{ "pie", NO_FILTERS },
	{ "ingress", NO_FILTERS },
	{ "fq_codel", FILTERS_AT_HANDLE },
	{ "fq_pie", FILTERS_AT_HANDLE },
	{ "sfq", FILTERS_AT_HANDLE },
	{ "prio", FILTERS_AT_HANDLE },
	{ "multiq", FILTERS_AT_HANDLE },
	{ "mqprio", FILTERS_AT_HANDLE },
	{ "clsact", FILTERS_AT_EGRESS },
};

static void take_qdisc(struct traffic *t, const struct tcmsg *tc, const char *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		if (strcmp(kind, harmless[i].kind))
			continue;
		if (harmless[i].filters == FILTERS_AT_HANDLE && tc->tcm_handle)
			add_place(t, tc->tcm_ifindex, tc->tcm_handle);
		else if (harmless[i].filters == FILTERS_AT_EGRESS)
			add_place(t, tc->tcm_ifindex, TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS));
		return;
	}
	add_device(t, tc->tcm_ifindex, kind);
}

static void on_take(void *arg, unsigned int request, const struct nlmsghdr *h)
{
	const struct tcmsg *tc = mnl_nlmsg_get_payload(h);
	struct traffic *t = arg;
	const char *kind = "";
	const struct nlattr *a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*tc))
		return;
	mnl_attr_for_each(a, h, sizeof(*tc))
		if (mnl_attr_get_type(a) == TCA_KIND && !mnl_attr_validate(a, MNL_TYPE_NUL_STRING))
			kind = mnl_attr_get_str(a);
	if (request == 0 && h->nlmsg_type == RTM_NEWQDISC)
		take_qdisc(t, tc, kind);
	else if (request > 0 && h->nlmsg_type == RTM_NEWTFILTER)
		add_device(t, tc->tcm_ifindex, "filters");
}

static bool on_ask(void *arg, unsigned int n, struct nlmsghdr *h)
{
	const struct traffic *t = arg;
	struct tcmsg *tc;

	h->nlmsg_type = n ? RTM_GETTFILTER : RTM_GETQDISC;
	h->nlmsg_flags = NLM_F_DUMP;
	tc = mnl_nlmsg_put_extra_header(h, sizeof(*tc));
	if (n > t->n_places)
		return false;
	if (n) {
		tc->tcm_ifindex = t->places[n - 1].ifindex;
		tc->tcm_parent = t->places[n - 1].parent;
	}
	return true;
}

static void on_begin(void *arg)
{
	struct traffic *t = arg;

	memset(&t->next, 0, sizeof(t->next));
	t->n_places = 0;
}

static void on_done(void *arg, int err)
{
	struct traffic *t = arg;
	bool same;

	/* A device may vanish between two requests: its notice starts another reading. */
	if (err && err != -ENODEV && err != -EINVAL && err != -EOPNOTSUPP && err != -ENOENT) {
		log_err("traffic control: cannot be read: %s; calls stay with the sockets",
			strerror(-err));
		t->next.broken = true;
	}
	same = memcmp(&t->now, &t->next, sizeof(t->now)) == 0;
	t->now = t->next;
	if (!same)
		follower_tell(&t->follower);
}

/* ---- BPF programs ---- */

static bool has_device_programs(unsigned int ifindex)
{
	uint32_t flags, n = 0;

	return bpf_prog_query(ifindex, TCX_EGRESS, 0, &flags, NULL, &n) == 0 && n;
}

void traffic_look(struct traffic *t)
{
	bool now, moved = false;
	size_t i;

	for (i = 0; i < t->n_asked; i++) {
		now = has_device_programs(t->asked[i].ifindex);
		moved |= now != t->asked[i].programs;
		t->asked[i].programs = now;
	}
	if (moved)
		follower_tell(&t->follower);
}

static bool tcx_takes(struct traffic *t, unsigned int ifindex)
{
	struct tcx *x;
	size_t i;

	for (i = 0; i < t->n_asked; i++)
		if (t->asked[i].ifindex == ifindex)
			return t->asked[i].programs;
	if (t->n_asked == MAX_ASKED) /* forget the oldest answer; it can be asked for again */
		memmove(t->asked, t->asked + 1, --t->n_asked * sizeof(t->asked[0]));
	x = &t->asked[t->n_asked++];
	*x = (struct tcx){ .ifindex = ifindex, .programs = has_device_programs(ifindex) };
	return x->programs;
}

/* ---- answers ---- */

bool traffic_takes(struct traffic *t, unsigned int ifindex)
{
	size_t i;

	for (i = 0; i < t->now.n; i++)
		if (t->now.all[i].ifindex == ifindex)
			return true;
	return t->now.broken || tcx_takes(t, ifindex);
}

static void finding_add_text(char *buf, size_t size, unsigned int ifindex, const char *what)
{
	char name[IF_NAMESIZE] = "?";
	size_t len = strlen(buf);

	if_indextoname(ifindex, name);
	snprintf(buf + len, size - len, "%s%s: %s", len ? ", " : "", name, what);
}

const char *traffic_describe(const struct traffic *t, char *buf, size_t size)
{
	size_t i;

	buf[0] = '\0';
	if (t->now.broken)
		snprintf(buf, size, "traffic control cannot be read");
	for (i = 0; i < t->now.n; i++)
		finding_add_text(buf, size, t->now.all[i].ifindex, t->now.all[i].what);
	for (i = 0; i < t->n_asked; i++)
		if (t->asked[i].programs)
			finding_add_text(buf, size, t->asked[i].ifindex, "BPF programs (tcx)");
	return buf;
}

/* ---- beginning and end ---- */

static const unsigned int groups[] = { RTNLGRP_TC };

static const struct netwatch_table table = {
	.name = "traffic control",
	.bus = NETLINK_ROUTE,
	.groups = groups,
	.n_groups = ARRAY_SIZE(groups),
	.begin = on_begin,
	.ask = on_ask,
	.take = on_take,
	.done = on_done,
};

int traffic_new(struct traffic **out, struct event_base *base, void (*changed)(void *arg),
		void *arg)
{
	int rc;

	*out = follower_new(sizeof(**out), &table, base, changed, arg, &rc);
	return rc;
}

void traffic_free(struct traffic *t)
{
	if (t)
		follower_free(&t->follower);
	free(t);
}
