/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync.c - carries flows, next hops and statistics between the model and the dataplane. It writes
 * the difference between the wanted and the installed flows.
 *
 * While a flow is installed, the dataplane owns its statistics. The stream has a copy from the most
 * recent pull or push. The difference between the two is the traffic since then; no other mark is
 * kept.
 *
 * A flow refers to its next hop by id and stays installed even if the next hop is not usable. A
 * change of a route, link or neighbour visits no session. In three cases the
 * sessions are compiled again: the flow contains a source address that the kernel chose (a wildcard
 * port whose peer has not sent yet), the flow's TTL changes, or the host's rules decide otherwise.
 *
 * Deliberately not here: whether a stream is fit for the kernel (flow.c), and how to reach a host
 * (nexthop.c).
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/sync.h"
#include "base/clock.h"
#include "call/flow.h"
#include "call/ports.h"
#include "base/log.h"
#include "base/provoked.h"
#include "host/nexthop.h"

#define RUN_SESSIONS 512 /* compiled per turn of the loop, within RUN_NS */
#define RUN_NS (2 * NSEC_PER_MSEC)
#define RETRY_SESSIONS 128     /* tried again per second */
#define RETRY_LOOKS 4096       /* sessions looked at for that */
#define MARK_SESSIONS 1024     /* looked at per turn of the loop, for outdated flows */
#define WATCH_NS NSEC_PER_MSEC /* per turn of the loop, for sessions that time changes */
#define WATCH_GLANCE 16	       /* of these, between two readings of the clock */
#define RUN_GLANCE 8	       /* sessions between two readings of the clock */
#define PASSED 8 /* packets by the sockets in a row that are no chance, see sync_why() */
#define WORD_BITS 64
#define ID_WORDS (RTPX_MAX_NEXTHOPS / WORD_BITS)

struct sync {
	struct sync_opts o;
	struct nexthops *nexthops;
	struct event *more, *tick, *look;
	bool sweeping;	     /* a round of sync_sweep() is not over */
	bool left_out;	     /* the dataplane had no room for a flow */
	uint32_t tried_last; /* number of the session most recently looked at for that */
	bool tried_any;	     /* this round of looks has found one */
	/* packets in the statistics of installed flows, as of the latest pull or push of each */
	struct dp_totals pulled;
	/* packets that sync_count() has counted, and no pull yet */
	uint64_t ahead_relayed, ahead_strangers;
	bool left;   /* sync_leave() was called: write nothing */
	bool adopts; /* between sync_adopt_begin() and sync_adopt_end() */
	/*
	 * A bit for each port with an inherited flow that no session has taken over yet. NULL
	 * outside of adoption.
	 */
	uint64_t *inherited;
	bool any_moved;		 /* a bit of `moved` is set */
	bool all_moved;		 /* all flows are outdated */
	unsigned int watch_left; /* sessions that time changes, not looked at in this second */
	/* The round that marks the sessions with outdated flows. */
	struct {
		bool runs, all;
		uint32_t last;	   /* number of the session most recently looked at */
		unsigned int left; /* sessions to look at in this turn */
		uint64_t moved[ID_WORDS];
	} mark;
	/* A bit for each id. */
	uint64_t chosen_source[ID_WORDS]; /* the kernel chooses the source */
	uint64_t refused[ID_WORDS];	  /* the host's rules keep it out of the kernel */
	uint64_t unheard[ID_WORDS];	  /* the host's rules act on packets from there */
	uint64_t moved[ID_WORDS];	  /* flows that refer to it are outdated */
	uint8_t ttl[RTPX_MAX_NEXTHOPS];	  /* by id: the TTL in the flows */
	struct usage usage;
	uint8_t slot[RTPX_MAX_NEXTHOPS]; /* by id: the interface in usage */
};

static void bit_put(uint64_t *bits, uint16_t id, bool value)
{
	uint64_t bit = 1ull << (id % WORD_BITS);

	if (value)
		bits[id / WORD_BITS] |= bit;
	else
		bits[id / WORD_BITS] &= ~bit;
}

static bool bit_get(const uint64_t *bits, uint16_t id)
{
	return bits[id / WORD_BITS] >> (id % WORD_BITS) & 1;
}

/* ---- which element ---- */

static unsigned int pool_of(const struct sync *y, struct direction d)
{
	const struct addr *local = &d.in->local;

	return y->o.ports ? ports_pool(y->o.ports, local) : ports_family_of(local);
}

static bool is_installed(struct direction d)
{
	return d.in->installed & direction_bit(d);
}

/* ---- statistics ---- */

/* A dataplane's counter may step back: a push may lose a packet that arrives meanwhile. */
static uint64_t growth(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/*
 * Count packets of living sessions, in the counters of all and for the journal. While sessions are
 * adopted, only for the journal: what dataplanes have forwarded since the counters were written is
 * known when all sessions are there.
 */
static void count(struct sync *y, uint64_t relayed, uint64_t strangers)
{
	struct stats *st = y->o.stats;

	st->live_relayed += relayed;
	st->live_strangers += strangers;
	if (y->adopts)
		return;
	st->npkts_rcvd += relayed + strangers;
	st->npkts_relayed += relayed;
	st->npkts_discard += strangers;
}

/* The part of @n that sync_count() has not counted. */
static uint64_t beyond(uint64_t *ahead, uint64_t n)
{
	uint64_t known = MIN(*ahead, n);

	*ahead -= known;
	return n - known;
}

/* An installed flow's statistics in the model were @before and are @now; NULL: none. */
static void pulled_change(struct sync *y, const struct rtpx_flow_stats *before,
			  const struct rtpx_flow_stats *now)
{
	static const struct rtpx_flow_stats none;

	before = before ? before : &none;
	now = now ? now : &none;
	y->pulled.kernel += rtpx_stats_kernel(now) - rtpx_stats_kernel(before);
	y->pulled.strangers += now->strangers - before->strangers;
	y->pulled.unmirrored += now->unmirrored - before->unmirrored;
}

/*
 * Copy the dataplane's statistics of the direction into the model, and count the difference.
 * Without memory for the copy, a later call does so.
 */
static void take_stats(struct sync *y, struct direction d, const struct rtpx_flow_stats *now)
{
	struct session *s = direction_session(d);
	const struct rtpx_flow_stats *mine = stream_stats(direction_sender(d));
	uint64_t relayed = growth(rtpx_stats_kernel(now), rtpx_stats_kernel(mine));
	uint64_t strangers = growth(now->strangers, mine->strangers);
	uint64_t bytes = growth(now->bytes, mine->bytes);
	uint64_t unmirrored = growth(now->unmirrored, mine->unmirrored);
	bool newer = now->last_ns > mine->last_ns;

	if (relayed)
		d.in->passed[d.kind] = 0;
	if (!relayed && !strangers)
		return;
	if (newer)
		leg_ttl_restart(y->o.sessions, d.in, now->last_ns);
	if (!stream_stats_set(direction_sender(d)))
		return;
	pulled_change(y, mine, now);
	*direction_sender(d)->stats = *now;
	s->kernel_relayed += relayed;
	s->kernel_strangers += strangers;
	count(y, beyond(&y->ahead_relayed, relayed), beyond(&y->ahead_strangers, strangers));
	usage_add(&y->usage, y->slot[*direction_nexthop(d)], USAGE_KERNEL, relayed, bytes);
	if (d.kind == STREAM_RTP)
		d.in->nrelayed += relayed;
	if (unmirrored && y->o.unmirrored)
		y->o.unmirrored(y->o.arg, d, unmirrored);
}

void sync_pull(struct sync *y, struct session *s)
{
	const struct dp_ops *ops = y->o.dp->ops;
	struct rtpx_flow_stats now;
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (is_installed(d) &&
		    ops->stats_get(y->o.dp, pool_of(y, d), direction_port(d), &now) == 0)
			take_stats(y, d, &now);
	}
}

static bool pull_each(void *arg, struct session *s)
{
	sync_pull(arg, s);
	return true;
}

/* The dataplane may have a flow that could not be deleted: its session does not have it. */
static void pull_swept(void *arg, const struct dp_swept *flow)
{
	struct sync *y = arg;
	struct session *s = session_numbered(y->o.sessions, flow->call);
	unsigned int i;

	for (i = 0; s && i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (is_installed(d) && pool_of(y, d) == flow->pool &&
		    direction_port(d) == flow->port)
			take_stats(y, d, &flow->stats);
	}
}

bool sync_sweeps(const struct sync *y)
{
	return y->o.dp->active && y->o.dp->ops->stats_sweep;
}

int sync_sweep(struct sync *y, uint64_t until_ns)
{
	int rc = y->o.dp->ops->stats_sweep(y->o.dp, until_ns, pull_swept, y);

	y->sweeping = rc > 0;
	return rc;
}

void sync_pull_all(struct sync *y)
{
	if (!y->o.dp->active)
		return;
	/* A round that has begun has read some flows a while ago. */
	if (y->sweeping)
		sync_sweep(y, UINT64_MAX);
	if (sync_sweeps(y) && sync_sweep(y, UINT64_MAX) == 0)
		return;
	sessions_each(y->o.sessions, pull_each, y);
}

void sync_count(struct sync *y)
{
	struct dp_totals now;
	uint64_t relayed, strangers;

	if (!y->o.dp->active || y->adopts)
		return;
	/* Packets without a copy are charged to their recordings, which takes a pull. */
	if (y->o.dp->ops->totals(y->o.dp, &now) || now.unmirrored != y->pulled.unmirrored) {
		sync_pull_all(y);
		return;
	}
	relayed = growth(growth(now.kernel, y->pulled.kernel), y->ahead_relayed);
	strangers = growth(growth(now.strangers, y->pulled.strangers), y->ahead_strangers);
	y->ahead_relayed += relayed;
	y->ahead_strangers += strangers;
	count(y, relayed, strangers);
}

bool sync_push_stats(struct sync *y, struct direction d, const struct rtpx_flow_stats *before)
{
	const struct rtpx_flow_stats *now = stream_stats(direction_sender(d));

	if (!is_installed(d))
		return true;
	if (y->o.dp->ops->stats_set(y->o.dp, pool_of(y, d), direction_port(d), before, now) ==
	    -EAGAIN)
		return false;
	pulled_change(y, before, now);
	return true;
}

void sync_relayed(struct sync *y, struct direction d, size_t bytes)
{
	if (is_installed(d) && d.in->passed[d.kind] < PASSED)
		d.in->passed[d.kind]++;
	usage_add(&y->usage, y->slot[*direction_nexthop(d)], USAGE_SOCKETS, 1, bytes);
}

const struct usage *sync_usage(const struct sync *y)
{
	return &y->usage;
}

/* ---- next hops ---- */

static void hop_write(struct sync *y, uint16_t id, const struct rtpx_nexthop *abi)
{
	int err = y->left ? 0 : y->o.dp->ops->nexthop_put(y->o.dp, id, abi);

	if (err)
		log_provoked(PROVOKED_HOP_REFUSED, NULL, id, strerror(-err));
}

static int hop_take(struct sync *y, const struct nexthop_want *want, uint16_t wish, uint16_t *id,
		    struct nexthop_view *view)
{
	int err = nexthop_take_again(y->nexthops, want, wish, id, view);

	if (err)
		return err;
	y->ttl[*id] = view->ttl;
	y->slot[*id] = usage_slot_of(&y->usage, view->ifname);
	bit_put(y->refused, *id, view->refused);
	bit_put(y->unheard, *id, view->arrives != FLOW_NO_OBJECTION);
	if (view->users == 1) {
		bit_put(y->chosen_source, *id, addr_is_any(&want->source));
		hop_write(y, *id, &view->abi);
	}
	return 0;
}

/* The caller has no flow any more that refers to this id. */
static void hop_give(struct sync *y, uint16_t id)
{
	static const struct rtpx_nexthop none;
	struct nexthop_view view;

	if (!id)
		return;
	nexthop_view(y->nexthops, id, &view);
	if (view.users == 1)
		hop_write(y, id, &none);
	nexthop_give(y->nexthops, id);
}

/*
 * Most changes are one write. Sessions are compiled again if their flows contain the changed value
 * (TTL, source), or if the host's rules change their decision about these packets.
 */
static void on_hop_changed(void *arg, uint16_t id, const struct nexthop_view *now)
{
	struct sync *y = arg;
	bool unheard = now->arrives != FLOW_NO_OBJECTION;
	bool flips = (y->o.dp->routes && bit_get(y->refused, id) != now->refused) ||
		     bit_get(y->unheard, id) != unheard;

	hop_write(y, id, &now->abi);
	y->slot[id] = usage_slot_of(&y->usage, now->ifname);
	if (!flips && y->ttl[id] == now->ttl && !bit_get(y->chosen_source, id))
		return;
	y->ttl[id] = now->ttl;
	bit_put(y->refused, id, now->refused);
	bit_put(y->unheard, id, unheard);
	bit_put(y->moved, id, true);
	y->any_moved = true;
}

static void on_by_port(void *arg)
{
	struct sync *y = arg;

	y->all_moved = true;
}

static bool on_hop_served(void *arg, unsigned int ifindex)
{
	struct sync *y = arg;

	return y->o.dp->links ? y->o.dp->links->serves(y->o.dp, ifindex) : y->o.dp->routes;
}

static void on_links_changed(void *arg)
{
	struct sync *y = arg;

	if (y->o.dp->links)
		y->o.dp->links->rescan(y->o.dp);
}

/* A leg has a new address that has not sent yet: decide whether to send to it already. */
static bool watch_awaited(struct sync *y, struct session *s, uint64_t now_ns)
{
	bool awaited = false, changed = false;
	unsigned int i;

	sync_pull(y, s);
	for (i = 0; i < DIRECTIONS; i++) {
		struct stream *sender = direction_sender(session_direction(s, i));

		changed |= sender->awaited && stream_tick(sender, now_ns);
		awaited |= sender->awaited;
	}
	if (changed)
		session_dirty(y->o.sessions, s);
	return awaited;
}

static bool watch_each(void *arg, struct session *s)
{
	return watch_awaited(arg, s, clock_now());
}

/* Look at the sessions that time changes, as far as WATCH_NS goes. */
static void watch(struct sync *y)
{
	uint64_t until = y->watch_left ? clock_now() + WATCH_NS : 0;
	unsigned int n;

	while (y->watch_left && clock_now() < until) {
		n = MIN(y->watch_left, (unsigned int)WATCH_GLANCE);
		sessions_each_watched(y->o.sessions, n, watch_each, y);
		y->watch_left -= n;
	}
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct sync *y = arg;

	(void)fd, (void)what;
	if (y->o.dp->links && y->o.dp->links->look(y->o.dp))
		nexthops_served(y->nexthops);
}

static bool is_left_out(const struct session *s)
{
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);
		enum flow_why why = d.in->why[d.kind];

		if (why == FLOW_WHY_REFUSED || why == FLOW_WHY_TABLE_FULL)
			return true;
	}
	return false;
}

struct retry {
	struct sync *y;
	unsigned int looks, left;
};

static bool retry_each(void *arg, struct session *s)
{
	struct retry *r = arg;

	r->y->tried_last = s->number;
	if (is_left_out(s)) {
		session_recompile(r->y->o.sessions, s);
		r->y->tried_any = true;
		r->left--;
	}
	return --r->looks > 0 && r->left > 0;
}

/* Compile sessions again that the dataplane had no room for, RETRY_SESSIONS per second. */
static void retry_left_out(struct sync *y)
{
	struct retry r = { y, RETRY_LOOKS, RETRY_SESSIONS };

	if (!y->left_out)
		return;
	sessions_after_sleeping(y->o.sessions, y->tried_last, retry_each, &r);
	if (!r.looks || !r.left)
		return;
	y->left_out = y->tried_any; /* one more round, from the beginning */
	y->tried_any = false;
	y->tried_last = 0;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct sync *y = arg;

	(void)fd, (void)what;
	y->watch_left = sessions_watched(y->o.sessions);
	watch(y);
	y->o.dp->ops->tend(y->o.dp);
	retry_left_out(y);
}

/* ---- flows ---- */

static void flow_remove(struct sync *y, struct direction d)
{
	struct rtpx_flow_stats last;

	if (!is_installed(d))
		return;
	if (!y->left &&
	    y->o.dp->ops->flow_del(y->o.dp, pool_of(y, d), direction_port(d), &last) == 0)
		take_stats(y, d, &last);
	pulled_change(y, stream_stats(direction_sender(d)), NULL);
	d.in->installed &= ~direction_bit(d);
}

static enum flow_why flow_install(struct sync *y, struct direction d, const struct rtpx_flow *flow)
{
	const struct rtpx_flow_stats *from =
		is_installed(d) ? NULL : stream_stats(direction_sender(d));
	uint16_t port = direction_port(d);
	int err = y->o.dp->ops->flow_put(y->o.dp, pool_of(y, d), port, flow, from);

	if (err) {
		log_provoked(PROVOKED_FLOW_REFUSED, direction_session(d)->call_id, port,
			     strerror(-err));
		return FLOW_WHY_REFUSED;
	}
	if (from) {
		pulled_change(y, NULL, from);
		d.in->passed[d.kind] = 0;
	}
	d.in->installed |= direction_bit(d);
	return FLOW_WHY_KERNEL;
}

static struct flow_env env_of(const struct sync *y)
{
	return (struct flow_env){
		.learning = y->o.learning,
		.dataplane = y->o.dp->active,
		.mirror = y->o.dp->mirrored != NULL,
		.double_small = y->o.double_small,
	};
}

/*
 * Take the next hop and compile the flow. If *@id is not 0 on return, the caller must give it back.
 * A new next hop gets the id @wish; 0: any.
 */
static enum flow_why flow_prepare(struct sync *y, struct direction d, uint16_t wish, uint16_t *id,
				  struct rtpx_flow *flow)
{
	struct flow_env env = env_of(y);
	struct nexthop_view view;
	struct nexthop_want want;
	struct addr dest, source;
	enum flow_why why = flow_wants(d, &env, &dest, &source);

	if (why != FLOW_NO_OBJECTION)
		return why;
	env.out_source = *direction_source(d);
	if (addr_is_any(&source) && env.out_source.family == dest.family)
		source = env.out_source;
	want = (struct nexthop_want){
		.dest = dest,
		.source = addr_with_port(source, direction_out_port(d)),
		.tos = direction_out(d)->tos,
	};
	if (hop_take(y, &want, wish, id, &view))
		return FLOW_WHY_TABLE_FULL;
	if (y->o.dp->routes && view.refused)
		return view.why;
	if (env.out_source.family == ADDR_NONE)
		env.out_source = view.source;
	env.nexthop = *id;
	env.ttl = view.ttl;
	env.nexthop_usable = true; /* now or later: the dataplane checks it for each packet */
	return flow_compile(d, &env, flow);
}

/*
 * arrival_why - the reason why the host must handle arriving packets itself. Known only if there is
 * a next hop to their sender.
 */
static enum flow_why arrival_why(struct sync *y, struct direction d)
{
	uint16_t hop = d.in->nexthop[d.kind];
	struct nexthop_view view;

	if (!hop || !bit_get(y->unheard, hop))
		return FLOW_NO_OBJECTION;
	nexthop_view(y->nexthops, hop, &view);
	return view.arrives;
}

/* Give the old next hop back at the end, when no flow refers to it any more. */
static void sync_direction(struct sync *y, struct direction d, uint16_t wish)
{
	uint16_t *hop = direction_nexthop(d), old = *hop, id = 0;
	struct rtpx_flow flow;
	enum flow_why why = flow_prepare(y, d, wish, &id, &flow);

	if (why == FLOW_NO_OBJECTION)
		why = arrival_why(y, d);
	if (why == FLOW_NO_OBJECTION)
		why = flow_install(y, d, &flow);
	if (d.in->why[d.kind] != why)
		log_trace(direction_session(d)->call_id, "%s: %s%s", direction_text(d),
			  why == FLOW_WHY_KERNEL ? "" : "not in the kernel: ", flow_why_text(why));
	d.in->why[d.kind] = why;
	y->left_out |= why == FLOW_WHY_REFUSED || why == FLOW_WHY_TABLE_FULL;
	if (why != FLOW_WHY_KERNEL)
		flow_remove(y, d);
	*hop = id;
	hop_give(y, old);
}

static bool mark_each(void *arg, struct session *s)
{
	struct sync *y = arg;
	bool moved = y->mark.all;
	unsigned int i;

	for (i = 0; i < DIRECTIONS && !moved; i++)
		moved = bit_get(y->mark.moved, *direction_nexthop(session_direction(s, i)));
	if (moved)
		session_recompile(y->o.sessions, s);
	y->mark.last = s->number;
	return --y->mark.left > 0;
}

/*
 * Mark the sessions with outdated flows, MARK_SESSIONS of all in a turn. A change that comes
 * meanwhile waits for the next round. True: there is more to do.
 */
static bool mark_moved(struct sync *y)
{
	if (!y->mark.runs) {
		if (!y->any_moved && !y->all_moved)
			return false;
		memcpy(y->mark.moved, y->moved, sizeof(y->moved));
		memset(y->moved, 0, sizeof(y->moved));
		y->mark.all = y->all_moved;
		y->mark.last = 0;
		y->mark.runs = true;
		y->any_moved = y->all_moved = false;
	}
	y->mark.left = MARK_SESSIONS;
	sessions_after_sleeping(y->o.sessions, y->mark.last, mark_each, y);
	y->mark.runs = !y->mark.left;
	return y->mark.runs || y->any_moved || y->all_moved;
}

/*
 * The next hop to the sender of arriving packets tells how the host handles them (arrival_why()).
 * The other direction may take that next hop later, or replace it. Then sync this direction again.
 */
static void sync_session(struct sync *y, struct session *s)
{
	enum flow_why arrival[DIRECTIONS];
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		arrival[i] = arrival_why(y, d);
		sync_direction(y, d, 0);
		if (direction_sender(d)->awaited)
			session_watch(y->o.sessions, s);
	}
	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (arrival_why(y, d) != arrival[i])
			sync_direction(y, d, 0);
	}
}

void sync_run(struct sync *y)
{
	uint64_t until = 0;
	struct session *s;
	int n;

	watch(y);
	if (mark_moved(y) || y->watch_left)
		event_active(y->more, EV_TIMEOUT, 0);
	for (n = 0; n < RUN_SESSIONS; n++) {
		s = session_dirty_pop(y->o.sessions);
		if (!s)
			return;
		sync_session(y, s);
		if (n % RUN_GLANCE)
			continue;
		if (until && clock_now() > until)
			break;
		if (!until)
			until = clock_now() + RUN_NS;
	}
	event_active(y->more, EV_TIMEOUT, 0);
}

/* Each direction needs the ports of both legs, so remove the flows of both. */
void sync_close(struct sync *y, struct session *s)
{
	unsigned int i;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);
		uint16_t *hop = direction_nexthop(d);

		flow_remove(y, d);
		hop_give(y, *hop);
		*hop = 0;
	}
}

enum flow_why sync_why(struct sync *y, struct direction d)
{
	const struct flow_env env = env_of(y);
	struct nexthop_view view;
	struct addr dest, source;

	if (direction_session(d)->dirty || !env.dataplane)
		return flow_wants(d, &env, &dest, &source);
	if (!is_installed(d))
		return d.in->why[d.kind];
	nexthop_view(y->nexthops, *direction_nexthop(d), &view);
	if (y->o.dp->routes &&
	    (view.why == FLOW_WHY_NO_NEIGHBOUR || view.why == FLOW_WHY_NO_INTERFACE))
		view.why = FLOW_WHY_KERNEL; /* it resolves neighbours, serves every interface */
	if (view.why == FLOW_WHY_KERNEL && d.in->passed[d.kind] == PASSED)
		return FLOW_WHY_BY_SOCKETS;
	return view.why;
}

/* ---- flows of a previous daemon ---- */

#define PORT_WORDS (65536 / WORD_BITS)

static uint64_t *inherited_bits(const struct sync *y, unsigned int pool)
{
	return y->inherited + pool * PORT_WORDS;
}

/* Reserve the next hop ids of inherited flows until sync_adopt_end(). */
void sync_adopt_begin(struct sync *y)
{
	struct rtpx_flow flow;
	unsigned int pool, port;

	y->adopts = true;
	if (y->o.dp->inherited)
		y->inherited = calloc(y->o.dp->pools * PORT_WORDS, sizeof(*y->inherited));
	for (pool = 0; y->inherited && pool < y->o.dp->pools; pool++) {
		for (port = 1; port < 65536; port++) {
			if (y->o.dp->ops->flow_get(y->o.dp, pool, port, &flow))
				continue;
			bit_put(inherited_bits(y, pool), port, true);
			nexthop_reserve(y->nexthops, flow.nexthop);
		}
	}
}

/* True if the element of the port has a flow of this session. */
static bool inherits(struct sync *y, struct direction d, struct rtpx_flow *flow)
{
	const struct session *s = direction_session(d);
	char label[RTPX_LABEL_LEN];

	if (!d.in->local.port ||
	    y->o.dp->ops->flow_get(y->o.dp, pool_of(y, d), direction_port(d), flow))
		return false;
	snprintf(label, sizeof(label), "%s", s->call_id);
	return flow->call == s->number && strncmp(flow->label, label, sizeof(label)) == 0;
}

static bool adopt_direction(struct sync *y, struct direction d)
{
	uint16_t port = direction_port(d);
	struct rtpx_flow_stats now;
	struct rtpx_flow flow;
	unsigned int pool;

	if (!inherits(y, d, &flow))
		return false;
	pool = pool_of(y, d);
	if (y->inherited)
		bit_put(inherited_bits(y, pool), port, false);
	d.in->installed |= direction_bit(d);
	pulled_change(y, NULL, stream_stats(direction_sender(d)));
	if (y->o.dp->ops->stats_get(y->o.dp, pool, port, &now) == 0)
		take_stats(y, d, &now);
	sync_direction(y, d, flow.nexthop);
	return is_installed(d);
}

unsigned int sync_adopt(struct sync *y, struct session *s)
{
	unsigned int i, rtp = 0;

	for (i = 0; i < DIRECTIONS; i++) {
		struct direction d = session_direction(s, i);

		if (adopt_direction(y, d) && d.kind == STREAM_RTP)
			rtp |= 1 << d.in->party;
	}
	session_dirty(y->o.sessions, s);
	return rtp;
}

/*
 * Packets follow the previous daemon's flows until every new flow is put. Unlike sync_run(), do all
 * sessions at once: a pause for other work gains nothing here.
 */
static void settle(struct sync *y)
{
	struct session *s;

	while (y->o.dp->waits && (s = session_dirty_pop(y->o.sessions)))
		sync_session(y, s);
	if (y->o.dp->links)
		y->o.dp->links->settled(y->o.dp);
}

unsigned int sync_adopt_end(struct sync *y)
{
	unsigned int pool, port, n = 0;

	for (pool = 0; y->inherited && pool < y->o.dp->pools; pool++)
		for (port = 1; port < 65536; port++)
			if (bit_get(inherited_bits(y, pool), port))
				n += y->o.dp->ops->flow_del(y->o.dp, pool, port, NULL) == 0;
	free(y->inherited);
	y->inherited = NULL;
	y->adopts = false;
	nexthops_release(y->nexthops);
	settle(y);
	return n;
}

void sync_leave(struct sync *y)
{
	y->left = true;
}

/* ---- begin and end ---- */

/* Only keeps the loop from sleeping: sync_run() then continues. */
static void on_more(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

int sync_new(struct sync **out, struct event_base *base, const struct sync_opts *opts)
{
	static const struct timeval second = { 1, 0 }, half = { 0, 500000 };
	struct sync *y = calloc(1, sizeof(*y));
	const struct nexthops_opts hops = {
		.changed = on_hop_changed,
		.served = on_hop_served,
		.links_changed = on_links_changed,
		.by_port = on_by_port,
		.pathmtu = opts->pathmtu,
		.iptables = opts->iptables,
		.routes = opts->dp->routes,
		.idle = !opts->dp->active && !opts->judge,
		.arg = y,
		.max = RTPX_MAX_NEXTHOPS,
	};
	int err = -ENOMEM;

	if (!y)
		return -ENOMEM;
	y->o = *opts;
	y->more = event_new(base, -1, 0, on_more, NULL);
	y->tick = event_new(base, -1, EV_PERSIST, on_tick, y);
	y->look = event_new(base, -1, EV_PERSIST, on_look, y);
	if (!y->more || !y->tick || !y->look || event_add(y->tick, &second) ||
	    event_add(y->look, &half))
		goto err_free;
	err = nexthops_new(&y->nexthops, base, &hops);
	if (err)
		goto err_free;
	*out = y;
	return 0;

err_free:
	sync_free(y);
	return err;
}

void sync_free(struct sync *y)
{
	if (!y)
		return;
	if (y->nexthops)
		nexthops_free(y->nexthops);
	if (y->more)
		event_free(y->more);
	if (y->tick)
		event_free(y->tick);
	if (y->look)
		event_free(y->look);
	free(y);
}

struct nexthops *sync_nexthops(struct sync *y)
{
	return y->nexthops;
}
