/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake_dp.h - a dataplane in memory that decides by include/rtpx_verdict.h, and next hops that a
 * test sets. For unit tests of modules that use a dataplane. Sends no packets.
 */
#ifndef TEST_FAKE_DP_H
#define TEST_FAKE_DP_H

#include <errno.h>
#include <stdlib.h>

#include "dataplane/dp.h"
#include "host/nexthop.h"
#include "verdict.h"

#define FAKE_PORTS 65536

struct fake_dp {
	struct dp dp;
	struct rtpx_flow flows[RTPX_FAMILIES][FAKE_PORTS];
	struct rtpx_flow_stats stats[RTPX_FAMILIES][FAKE_PORTS];
	struct rtpx_nexthop hops[RTPX_MAX_NEXTHOPS];
	bool lost; /* an interface */
	unsigned int puts, dels, hop_puts, rescans, pushes, seeds;
	int refuse;	      /* -errno that flow_put returns */
	int no_totals;	      /* -errno that totals returns */
	unsigned int between; /* packets to count just before statistics are set */
	unsigned int copies;  /* waiting copies */
	struct rtpx_mirrored copy[8];
};

static inline struct fake_dp *fake_of(struct dp *dp)
{
	return container_of(dp, struct fake_dp, dp);
}

static int fake_flow_put(struct dp *dp, enum rtpx_family family, uint16_t port,
			 const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	struct fake_dp *f = fake_of(dp);

	if (f->refuse)
		return f->refuse;
	assert_true(flow->flags & RTPX_FLOW_ACTIVE);
	assert_int_equal(flow->port, port);
	assert_int_not_equal(flow->nexthop, 0);
	/* Only an installed flow has statistics to keep. */
	assert_true(seed || (f->flows[family][port].flags & RTPX_FLOW_ACTIVE));
	f->puts++;
	f->flows[family][port] = *flow;
	f->seeds += seed != NULL;
	if (seed)
		f->stats[family][port] = *seed;
	return 0;
}

static int fake_flow_del(struct dp *dp, enum rtpx_family family, uint16_t port,
			 struct rtpx_flow_stats *last)
{
	struct fake_dp *f = fake_of(dp);

	if (!(f->flows[family][port].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	f->dels++;
	memset(&f->flows[family][port], 0, sizeof(f->flows[family][port]));
	if (last)
		*last = f->stats[family][port];
	return 0;
}

static int fake_stats_get(struct dp *dp, enum rtpx_family family, uint16_t port,
			  struct rtpx_flow_stats *out)
{
	struct fake_dp *f = fake_of(dp);

	if (!(f->flows[family][port].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	*out = f->stats[family][port];
	return 0;
}

static int fake_stats_set(struct dp *dp, enum rtpx_family family, uint16_t port,
			  const struct rtpx_flow_stats *before, const struct rtpx_flow_stats *in)
{
	struct fake_dp *f = fake_of(dp);

	if (!(f->flows[family][port].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	if (f->between) {
		f->between--;
		f->stats[family][port].packets++;
		return -EAGAIN;
	}
	assert_int_equal(f->stats[family][port].packets, before->packets);
	f->pushes++;
	f->stats[family][port] = *in;
	return 0;
}

static int fake_totals(struct dp *dp, struct dp_totals *out)
{
	struct fake_dp *f = fake_of(dp);
	unsigned int family, port;

	*out = (struct dp_totals){ 0 };
	for (family = 0; family < RTPX_FAMILIES; family++)
		for (port = 0; port < FAKE_PORTS; port++) {
			const struct rtpx_flow_stats *st = &f->stats[family][port];

			if (!(f->flows[family][port].flags & RTPX_FLOW_ACTIVE))
				continue;
			out->kernel += rtpx_stats_kernel(st);
			out->strangers += st->strangers;
			out->unmirrored += st->unmirrored;
		}
	return f->no_totals;
}

static int fake_flow_get(struct dp *dp, enum rtpx_family family, uint16_t port,
			 struct rtpx_flow *out)
{
	struct fake_dp *f = fake_of(dp);

	if (!(f->flows[family][port].flags & RTPX_FLOW_ACTIVE))
		return -ENOENT;
	*out = f->flows[family][port];
	return 0;
}

static int fake_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	struct fake_dp *f = fake_of(dp);

	assert_int_not_equal(id, 0);
	f->hop_puts++;
	f->hops[id] = *nh;
	return 0;
}

static bool fake_serves(struct dp *dp, unsigned int ifindex)
{
	(void)dp;
	return ifindex == 1;
}

static unsigned int fake_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	(void)dp, (void)out, (void)max;
	return 0;
}

static void fake_settled(struct dp *dp)
{
	dp->waits = false;
}

static void fake_rescan(struct dp *dp)
{
	fake_of(dp)->rescans++;
}

static bool fake_look(struct dp *dp)
{
	return fake_of(dp)->lost;
}

static int fake_counters(struct dp *dp, struct rtpx_counters *out)
{
	(void)dp;
	memset(out, 0, sizeof(*out));
	return 0;
}

static void fake_close(struct dp *dp, bool keep)
{
	(void)keep;
	free(fake_of(dp));
}

static struct fake_dp *fake_dp_new(void)
{
	static const struct dp_ops ops = {
		.name = "fake",
		.flow_put = fake_flow_put,
		.flow_del = fake_flow_del,
		.stats_get = fake_stats_get,
		.stats_set = fake_stats_set,
		.totals = fake_totals,
		.flow_get = fake_flow_get,
		.nexthop_put = fake_nexthop_put,
		.tend = fake_rescan,
		.counters = fake_counters,
		.close = fake_close,
	};
	static const struct dp_links links = {
		.serves = fake_serves,
		.interfaces = fake_interfaces,
		.settled = fake_settled,
		.rescan = fake_rescan,
		.look = fake_look,
	};
	struct fake_dp *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->dp.links = &links;
	f->dp.ops = &ops;
	f->dp.pools = RTPX_FAMILIES;
	f->dp.active = true;
	return f;
}

/*
 * fake_forward - give the dataplane a packet. Counts like a real dataplane; returns the reason.
 */
static inline enum rtpx_reason fake_forward(struct fake_dp *f, const struct addr *src,
					    const struct addr *dst, struct rtpx_packet p)
{
	const struct rtpx_config config = { .port_min = 1, .port_max = 65535, .silence_ms = 500 };
	enum rtpx_family family = dst->family == ADDR_IP6 ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4;
	struct rtpx_flow *flow = &f->flows[family][dst->port];
	struct rtpx_flow_stats *st = &f->stats[family][dst->port];
	enum rtpx_reason r;

	p.family = family;
	p.src = src->ip;
	p.dst = dst->ip;
	p.src_port = src->port;
	p.dst_port = dst->port;
	p.ttl = 64;
	r = verdict(&config, flow, st, &p);
	if (r == RTPX_REASON_relayed && !f->hops[flow->nexthop].mtu)
		r = RTPX_REASON_pass_nexthop;
	if (r == RTPX_REASON_relayed)
		rtpx_stats_packet(st, &p, flow->flags & RTPX_FLOW_RTP);
	else if (r == RTPX_REASON_drop_stranger)
		st->strangers++;
	return r;
}

/* ---- next hops: one id for each (destination, source), as nexthop.h promises ---- */

struct fake_hop {
	struct addr dest, source;
	struct nexthop_view view;
};

struct nexthops {
	struct nexthops_opts opts;
	struct fake_hop hops[1024]; /* by id; 0 is none */
	unsigned int room;	    /* ids that may be in use */
	bool reserved[1024];
	unsigned int served; /* calls of nexthops_served() */
};

static struct nexthops fake_hops;
static const struct addr fake_choice = { .family = ADDR_IP4, .ip = { 10, 99, 0, 4 } };

int nexthops_new(struct nexthops **out, struct event_base *base, const struct nexthops_opts *opts)
{
	(void)base;
	fake_hops = (struct nexthops){ .opts = *opts, .room = ARRAY_SIZE(fake_hops.hops) - 1 };
	*out = &fake_hops;
	return 0;
}

/* Checks that every id has been given back. */
void nexthops_free(struct nexthops *n)
{
	unsigned int id;

	for (id = 1; id < ARRAY_SIZE(n->hops); id++)
		assert_int_equal(n->hops[id].view.users, 0);
}

int nexthop_take_again(struct nexthops *n, const struct nexthop_want *want, uint16_t wish,
		       uint16_t *id, struct nexthop_view *view)
{
	const struct addr *dest = &want->dest, *source = &want->source;
	struct fake_hop *h, *unused = NULL;
	unsigned int i;

	assert_int_not_equal(dest->family, ADDR_NONE);
	for (i = 1; i <= n->room; i++) {
		h = &n->hops[i];
		if (!h->view.users)
			unused = unused || n->reserved[i] ? unused : h;
		else if (addr_host_eq(&h->dest, dest) && addr_host_eq(&h->source, source))
			break;
	}
	if (i > n->room) {
		if (wish && !n->hops[wish].view.users)
			unused = &n->hops[wish];
		if (!unused)
			return -ENOSPC;
		h = unused;
		*h = (struct fake_hop){ .dest = *dest, .source = *source };
		h->view.abi = (struct rtpx_nexthop){ .mtu = 1500, .tx_port = 1, .ifindex = 1 };
		h->view.why = FLOW_NO_OBJECTION;
		h->view.ttl = 64;
		h->view.source = addr_is_any(source) ? fake_choice : *source;
	}
	h->view.users++;
	*id = h - n->hops;
	*view = h->view;
	return 0;
}

int nexthop_take(struct nexthops *n, const struct nexthop_want *want, uint16_t *id,
		 struct nexthop_view *view)
{
	return nexthop_take_again(n, want, 0, id, view);
}

void nexthop_reserve(struct nexthops *n, uint16_t id)
{
	n->reserved[id] = true;
}

void nexthops_served(struct nexthops *n)
{
	n->served++;
}

void nexthops_release(struct nexthops *n)
{
	memset(n->reserved, 0, sizeof(n->reserved));
}

void nexthop_give(struct nexthops *n, uint16_t id)
{
	assert_true(id && n->hops[id].view.users);
	n->hops[id].view.users--;
}

void nexthop_view(const struct nexthops *n, uint16_t id, struct nexthop_view *out)
{
	assert_true(id && n->hops[id].view.users);
	*out = n->hops[id].view;
}

static bool fake_all_local; /* every address belongs to this host */

bool nexthop_is_local(const struct nexthops *n, const struct addr *a)
{
	(void)n, (void)a;
	return fake_all_local;
}

void nexthops_counts(const struct nexthops *n, struct nexthop_counts *out)
{
	(void)n;
	memset(out, 0, sizeof(*out));
}

/* fake_hop_answers - set the host's decision on packets from the destination of next hop @id. */
static inline void fake_hop_answers(uint16_t id, enum flow_why arrives)
{
	fake_hops.hops[id].view.arrives = arrives;
	fake_hops.opts.changed(fake_hops.opts.arg, id, &fake_hops.hops[id].view);
}

/* fake_hop_turns - the network changes: set the new state of next hop @id. */
static inline void fake_hop_turns(uint16_t id, enum flow_why why, const struct addr *source)
{
	struct fake_hop *h = &fake_hops.hops[id];

	h->view.why = why;
	h->view.abi.mtu = why == FLOW_NO_OBJECTION ? 1500 : 0;
	if (source)
		h->view.source = *source;
	fake_hops.opts.changed(fake_hops.opts.arg, id, &h->view);
}

#endif
