/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp.h - a dataplane: something that forwards decided flows without the daemon.
 *
 * A dataplane holds no policy. `none` is one too: it refuses every flow, and the sockets carry the
 * call. Not thread-safe; used from the event loop only.
 */
#ifndef RTPX_DP_H
#define RTPX_DP_H

#include "base/base.h"
#include "rtpx_abi.h"

/* --dataplane: what can be tried, each once. */
enum dp_choice {
	DP_NATIVE, /* XDP, if all interfaces take it in their drivers */
	DP_KMOD,   /* the netfilter module */
	DP_XDP,	   /* XDP, on each interface as enum dp_xdp_mode allows */
	DP_NONE,   /* the daemon's sockets */
	DP_CHOICES,
};
enum dp_xdp_mode { DP_MODE_AUTO, DP_MODE_NATIVE, DP_MODE_GENERIC }; /* --xdp-mode */

#define DP_MAX_INTERFACES 32

struct dp_opts {
	enum dp_choice order[DP_CHOICES];      /* the first that opens is taken */
	unsigned int n_order;		       /* 0: all; the module if it is loaded */
	enum dp_xdp_mode mode;
	const char *pin_dir;		       /* /sys/fs/bpf/rtpx */
	/* --interface; none: every one that is up, not loopback */
	const char *interfaces[DP_MAX_INTERFACES];
	unsigned int n_interfaces;
	uint16_t port_min, port_max;	       /* first and last media port, RTCP included */
	uint32_t silence_ms;
	/* names what is in the kernel as this daemon's and its successors' */
	uint32_t instance;
	/* take over what the last daemon of this instance left */
	bool adopt;
	bool discard;			       /* remove whatever is there, of any version */
	bool yield;			       /* when another daemon has the pins: do without */
	/* of the ring for copies; made a power of 2 that is not less */
	uint32_t mirror_bytes;
};

/* What was chosen for one interface, and why; sentences for people. */
struct dp_interface {
	unsigned int ifindex;
	char name[16];
	char driver[32];
	enum { DP_IF_OFF, DP_IF_GENERIC, DP_IF_NATIVE } mode;
	bool can_send;	  /* packets can be redirected out of it */
	char reason[256]; /* what was tried and what to do to get better */
};

struct dp;

/* Who takes copies of forwarded packets; @payload, of UDP, is valid during the call only. */
struct dp_mirror_sink {
	void (*take)(void *arg, const struct rtpx_mirrored *copy, const uint8_t *payload,
		     size_t len);
	void *arg;
};

struct dp_ops {
	const char *name; /* "xdp", "kmod", "none" */
	/*
	 * flow_put - install or replace; @seed starts the statistics (NULL: go on with what the
	 * element has). -ENOENT, -EINVAL, -ERANGE.
	 */
	int (*flow_put)(struct dp *dp, enum rtpx_family family, uint16_t port,
			const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed);
	/*
	 * flow_del - stop forwarding; *@last (may be NULL) gets the statistics so far. 0 or
	 * -ENOENT.
	 */
	int (*flow_del)(struct dp *dp, enum rtpx_family family, uint16_t port,
			struct rtpx_flow_stats *last);
	/*
	 * stats_get, stats_set - statistics of an installed flow. -ENOENT. With XDP memory, with
	 * the module a request to the kernel; -EAGAIN: packets were counted since stats_get.
	 */
	int (*stats_get)(struct dp *dp, enum rtpx_family family, uint16_t port,
			 struct rtpx_flow_stats *out);
	int (*stats_set)(struct dp *dp, enum rtpx_family family, uint16_t port,
			 const struct rtpx_flow_stats *in);
	/*
	 * flow_get - an installed flow, with the next hop's id that it refers to: what an earlier
	 * daemon left. -ENOENT.
	 */
	int (*flow_get)(struct dp *dp, enum rtpx_family family, uint16_t port, struct rtpx_flow *out);
	/* nexthop_put - write one element; all zero: not usable. Nothing with dp->routes. */
	int (*nexthop_put)(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh);
	/* serves - packets can leave through this interface. */
	bool (*serves)(struct dp *dp, unsigned int ifindex);
	/* interfaces - what was chosen, at most @max; returns how many there are. */
	unsigned int (*interfaces)(struct dp *dp, struct dp_interface *out, unsigned int max);
	/*
	 * settled - the flows of all calls of the previous daemon have been put. With dp->waits a
	 * program of the previous daemon still forwards by maps of its own: ours takes its place.
	 */
	void (*settled)(struct dp *dp);
	/* tend - once a second: try again what failed for want of memory. */
	void (*tend)(struct dp *dp);
	/* rescan - links came or went: attach to what is new, forget what is gone. */
	void (*rescan)(struct dp *dp);
	/*
	 * look - twice a second: another process has taken an interface away or given one back;
	 * true: rescan.
	 */
	bool (*look)(struct dp *dp);
	/*
	 * mirrored - hand over the copies that wait, oldest first, until @max or more have been;
	 * returns how many.
	 */
	unsigned int (*mirrored)(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max);
	/* counters - packets by reason, summed over CPUs. */
	int (*counters)(struct dp *dp, struct rtpx_counters *out);
	/*
	 * close - detach and unpin everything (@keep: leave all in place for the next daemon), free
	 * @dp.
	 */
	void (*close)(struct dp *dp, bool keep);
};

/* The first member of every dataplane's own struct. */
struct dp {
	const struct dp_ops *ops;
	bool active;	   /* false: `none`, or what it was has been taken away */
	bool routes;	   /* it asks the kernel for each way: no next hop need be usable */
	unsigned int inherited; /* flows of an earlier daemon were there when it was opened */
	bool waits;	   /* for settled() */
	bool mirrors;	   /* makes copies of what it forwards for flows with RTPX_FLOW_MIRROR */
	int mirror_fd;	   /* with mirrors: readable when copies wait */
	char choice[512];  /* one or two sentences: what is used and why */
};

/*
 * dp_open - the first dataplane of opts->order that opens. Why others did not is in the log, and
 * with `none` in (*out)->choice; when none opens it is in @err. So it is, and nothing else is
 * tried, when somebody would have to be disturbed: -EBUSY, another daemon uses the pins (unless
 * opts->yield); -EPROTO, or with the module -EEXIST, an earlier one left calls that cannot be taken
 * over.
 */
int dp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);

int dp_none_open(struct dp **out, const char *why);	      /* dp.c */
int dp_xdp_open(struct dp **out, const struct dp_opts *opts, char *err,
		size_t err_size); /* dp_xdp.c */
/*
 * dp_xdp_abandon - XDP is not used this time: flows of the last daemon of this instance, which
 * would be forwarded without anybody knowing of it, are removed. Nothing when somebody else has the
 * pins.
 */
void dp_xdp_abandon(const struct dp_opts *opts);
/* dp_kmod.c */
int dp_kmod_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);
void dp_kmod_abandon(const struct dp_opts *opts); /* as dp_xdp_abandon(); of no living daemon's */
bool dp_kmod_loaded(void); /* the module is in this kernel */

/* dp_opts_has - this choice may be taken. */
bool dp_opts_has(const struct dp_opts *opts, enum dp_choice choice);

#endif
