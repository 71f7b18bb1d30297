/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp.h - a dataplane forwards decided flows without the daemon.
 *
 * A dataplane holds no policy. `none` is a dataplane too: it refuses every flow, and the sockets
 * carry the call. Not thread-safe; used from the event loop only.
 */
#ifndef RTPX_DP_H
#define RTPX_DP_H

#include "base/addr.h"
#include "base/base.h"
#include "rtpx_abi.h"

/* --dataplane: the dataplanes to try, each at most once. */
enum dp_choice {
	DP_NATIVE, /* XDP, if the drivers of all interfaces take it */
	DP_KMOD,   /* the netfilter module */
	DP_XDP,	   /* XDP, on each interface as enum dp_xdp_mode allows */
	DP_NONE,   /* the daemon's sockets */
	DP_CHOICES,
};
enum dp_xdp_mode { DP_MODE_AUTO, DP_MODE_NATIVE, DP_MODE_GENERIC }; /* --xdp-mode */

#define DP_MAX_INTERFACES 32

struct dp_opts {
	enum dp_choice order[DP_CHOICES]; /* dp_open() takes the first that opens */
	unsigned int n_order;		  /* 0: all; the module if it is loaded */
	enum dp_xdp_mode mode;
	const char *pin_dir; /* /sys/fs/bpf/rtpx */
	/* --interface; none given: all interfaces that are up, without loopback */
	const char *interfaces[DP_MAX_INTERFACES];
	unsigned int n_interfaces;
	uint16_t port_min, port_max; /* first and last media port, RTCP included */
	uint32_t silence_ms;
	/* marks maps and flows in the kernel as owned by this daemon and its successors */
	uint32_t instance;
	/* take over the flows that the previous daemon of this instance left */
	bool adopt;
	bool discard; /* remove all pins, of any version */
	/* addresses with pools of ports of their own, in the order of pools; see call/ports.h */
	const struct addr *own;
	unsigned int n_own;
	bool yield; /* if another daemon has the pins: do without XDP */
	/* size of the ring for copies; rounded up to a power of 2 */
	uint32_t mirror_bytes;
};

/* The mode chosen for one interface, and the reason as sentences for people. */
struct dp_interface {
	unsigned int ifindex;
	char name[16];
	char driver[32];
	enum { DP_IF_OFF, DP_IF_GENERIC, DP_IF_NATIVE } mode;
	bool can_send;	  /* packets can be redirected out of it */
	char reason[256]; /* the attempts, and the remedies for a better mode */
};

struct dp;

/* The receiver of copies. @payload is the UDP payload, valid during the call only. */
struct dp_mirror_sink {
	void (*take)(void *arg, const struct rtpx_mirrored *copy, const uint8_t *payload,
		     size_t len);
	void *arg;
};

/* Packets in the statistics of all flows. */
struct dp_totals {
	uint64_t kernel; /* forwarded by the dataplane */
	uint64_t strangers, unmirrored;
};

/* A flow of stats_sweep. */
struct dp_swept {
	unsigned int pool;
	uint16_t port;
	uint32_t call; /* as in struct rtpx_flow */
	struct rtpx_flow_stats stats;
};

/* Flows and their counters. A flow is named by its pool of ports (call/ports.h) and its port. */
struct dp_ops {
	const char *name; /* "xdp", "kmod", "none" */
	/*
	 * flow_put - install or replace a flow. @seed starts the statistics; NULL: keep those of
	 * the element. -ENOENT, -EINVAL, -ERANGE.
	 */
	int (*flow_put)(struct dp *dp, unsigned int pool, uint16_t port,
			const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed);
	/*
	 * flow_del - stop forwarding. *@last gets the final statistics; @last may be NULL. 0 or
	 * -ENOENT.
	 */
	int (*flow_del)(struct dp *dp, unsigned int pool, uint16_t port,
			struct rtpx_flow_stats *last);
	/*
	 * stats_get, stats_set - read and write the statistics of an installed flow. With XDP this
	 * accesses memory, with the module it sends a request to the kernel. -ENOENT; -EAGAIN:
	 * packets were counted since stats_get, which gave @before.
	 */
	int (*stats_get)(struct dp *dp, unsigned int pool, uint16_t port,
			 struct rtpx_flow_stats *out);
	int (*stats_set)(struct dp *dp, unsigned int pool, uint16_t port,
			 const struct rtpx_flow_stats *before, const struct rtpx_flow_stats *in);
	/*
	 * totals - sum the statistics of all installed flows. Reads the whole table: a millisecond
	 * for 10,000 flows with XDP, several with the module. 0 or -errno.
	 */
	int (*totals)(struct dp *dp, struct dp_totals *out);
	/*
	 * stats_sweep - read the statistics of all installed flows by one question, which costs a
	 * tenth of stats_get for each. @take gets each flow; it asks the dataplane nothing. Reads
	 * until @until_ns of clock_now(). 1: call again to go on; 0: these were all; or -errno.
	 * NULL: stats_get costs as little.
	 */
	int (*stats_sweep)(struct dp *dp, uint64_t until_ns,
			   void (*take)(void *arg, const struct dp_swept *flow), void *arg);
	/*
	 * flow_get - read an installed flow with the id of its next hop. Finds the flows that a
	 * previous daemon left, too; with XDP their id is 0. -ENOENT.
	 */
	int (*flow_get)(struct dp *dp, unsigned int pool, uint16_t port, struct rtpx_flow *out);
	/*
	 * nexthop_put - write one next hop; all zero: not usable. No effect with dp->routes. 0,
	 * -EINVAL, or -ENOSPC: no room, and the next hop is not usable.
	 */
	int (*nexthop_put)(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh);
	/* tend - call once a second: repeats deletions that failed for lack of memory. */
	void (*tend)(struct dp *dp);
	/* counters - packets by reason, summed over CPUs. */
	int (*counters)(struct dp *dp, struct rtpx_counters *out);
	/*
	 * close - detach and unpin everything and free @dp. @keep: leave everything in the kernel
	 * for the next daemon.
	 */
	void (*close)(struct dp *dp, bool keep);
};

/* The interfaces that a dataplane is attached to. */
struct dp_links {
	/* serves - true if packets can leave through this interface. */
	bool (*serves)(struct dp *dp, unsigned int ifindex);
	/* interfaces - write at most @max interfaces to @out; returns the number of all. */
	unsigned int (*interfaces)(struct dp *dp, struct dp_interface *out, unsigned int max);
	/*
	 * settled - the caller has put the flows of all calls of the previous daemon. With
	 * dp->waits the previous daemon's program still forwards with its own maps; our program now
	 * replaces it.
	 */
	void (*settled)(struct dp *dp);
	/* rescan - call after links came or went: attaches to new ones, forgets old ones. */
	void (*rescan)(struct dp *dp);
	/*
	 * look - call twice a second. True: another process has detached our program or removed
	 * its own program from an interface; call rescan.
	 */
	bool (*look)(struct dp *dp);
};

/* The first member of every dataplane's own struct. */
struct dp {
	const struct dp_ops *ops;
	const struct dp_links *links; /* NULL: it is attached to no interface */
	/*
	 * mirrored - hand over waiting copies of packets of flows with RTPX_FLOW_MIRROR, oldest
	 * first. Stops once @max or more are handed over. Returns their number. NULL: this
	 * dataplane makes no copies.
	 */
	unsigned int (*mirrored)(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max);
	/*
	 * pool_add - make room for one pool more. @own has the addresses of all @n pools that
	 * belong to one address; the new one is the last. Calls go on; the caller is held up for
	 * half a second at most. 0; -errno: nothing has changed. NULL: there is room, or pools are
	 * families.
	 */
	int (*pool_add)(struct dp *dp, const struct addr *own, unsigned int n);
	bool active;		/* false: `none`, or the module was unloaded */
	bool routes;		/* the kernel routes each packet: no next hop need be usable */
	unsigned int pools;	/* it tells so many pools of ports apart */
	unsigned int inherited; /* flows of a previous daemon found when it was opened */
	bool waits;		/* for links->settled() */
	int mirror_fd;		/* with mirrored(): readable when copies wait */
	char choice[512];	/* one or two sentences: the choice and its reason */
};

/* dp_interfaces - write at most @max interfaces to @out; returns the number of all. */
static inline unsigned int dp_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	return dp->links ? dp->links->interfaces(dp, out, max) : 0;
}

#endif
