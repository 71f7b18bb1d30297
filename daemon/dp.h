/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp.h - a dataplane: something that forwards decided flows without the daemon.
 *
 * A dataplane holds no policy. `none` is one too: it refuses every flow, and the sockets carry the call.
 * Not thread-safe; used from the event loop only.
 */
#ifndef RTPX_DP_H
#define RTPX_DP_H

#include "base.h"
#include "rtpx_abi.h"

enum dp_choice { DP_AUTO, DP_XDP, DP_NONE };		/* --dataplane */
enum dp_xdp_mode { DP_MODE_AUTO, DP_MODE_NATIVE, DP_MODE_GENERIC }; /* --xdp-mode */

#define DP_MAX_INTERFACES 32

struct dp_opts {
	enum dp_choice choice;
	enum dp_xdp_mode mode;
	const char *pin_dir;		       /* /sys/fs/bpf/rtpx */
	const char *interfaces[DP_MAX_INTERFACES]; /* --interface; none: every one that is up, not loopback */
	unsigned int n_interfaces;
	uint16_t port_min, port_max;	       /* first and last media port, RTCP included */
	uint32_t silence_ms;
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

struct dp_ops {
	const char *name; /* "xdp", "none" */
	/* flow_put - install or replace; @seed starts the statistics (NULL: go on with what the element has). -ENOENT, -EINVAL, -ERANGE. */
	int (*flow_put)(struct dp *dp, enum rtpx_slot slot, uint16_t port, const struct rtpx_flow *flow,
			const struct rtpx_flow_stats *seed);
	/* flow_del - stop forwarding; *@last (may be NULL) gets the statistics so far. 0 or -ENOENT. */
	int (*flow_del)(struct dp *dp, enum rtpx_slot slot, uint16_t port, struct rtpx_flow_stats *last);
	/* stats_get, stats_set - statistics of an installed flow; memory speed, no system call. */
	int (*stats_get)(struct dp *dp, enum rtpx_slot slot, uint16_t port, struct rtpx_flow_stats *out);
	int (*stats_set)(struct dp *dp, enum rtpx_slot slot, uint16_t port, const struct rtpx_flow_stats *in);
	/* nexthop_put - write one element; all zero: not usable. */
	int (*nexthop_put)(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh);
	/* serves - packets can leave through this interface. */
	bool (*serves)(struct dp *dp, unsigned int ifindex);
	/* interfaces - what was chosen, at most @max; returns how many there are. */
	unsigned int (*interfaces)(struct dp *dp, struct dp_interface *out, unsigned int max);
	/* rescan - links came or went: attach to what is new, forget what is gone. */
	void (*rescan)(struct dp *dp);
	/* counters - packets by reason, summed over CPUs. */
	int (*counters)(struct dp *dp, struct rtpx_counters *out);
	/* close - detach and unpin everything (@keep: leave all in place for the next daemon), free @dp. */
	void (*close)(struct dp *dp, bool keep);
};

/* The first member of every dataplane's own struct. */
struct dp {
	const struct dp_ops *ops;
	bool active;	   /* false: `none` */
	bool mirrors;	   /* hands over copies of what it forwards, where a flow asks for it */
	char choice[512];  /* one or two sentences: what is used and why */
};

/*
 * dp_open - the best dataplane that opens, by opts->choice. With DP_AUTO a failing XDP ends in `none` with the
 * reason in (*out)->choice and in the log; with DP_XDP it is an error whose sentence is in @err.
 */
int dp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);

int dp_none_open(struct dp **out, const char *why);	      /* dp.c */
int dp_xdp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size); /* dp_xdp.c */

#endif
