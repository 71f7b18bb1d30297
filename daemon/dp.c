/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp.c - which dataplane: the choice, and `none`, which refuses every flow so that the sockets
 * carry it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dp.h"
#include "log.h"

static int none_flow_put(struct dp *dp, enum rtpx_slot slot, uint16_t port,
			 const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	(void)dp, (void)slot, (void)port, (void)flow, (void)seed;
	return -ENOENT;
}

static int none_flow_del(struct dp *dp, enum rtpx_slot slot, uint16_t port,
			 struct rtpx_flow_stats *last)
{
	(void)dp, (void)slot, (void)port, (void)last;
	return -ENOENT;
}

static int none_stats_get(struct dp *dp, enum rtpx_slot slot, uint16_t port,
			  struct rtpx_flow_stats *out)
{
	(void)dp, (void)slot, (void)port, (void)out;
	return -ENOENT;
}

static int none_stats_set(struct dp *dp, enum rtpx_slot slot, uint16_t port,
			  const struct rtpx_flow_stats *in)
{
	(void)dp, (void)slot, (void)port, (void)in;
	return -ENOENT;
}

static int none_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	(void)dp, (void)id, (void)nh;
	return 0;
}

static bool none_serves(struct dp *dp, unsigned int ifindex)
{
	(void)dp, (void)ifindex;
	return false;
}

static unsigned int none_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	(void)dp, (void)out, (void)max;
	return 0;
}

static void none_rescan(struct dp *dp)
{
	(void)dp;
}

static int none_counters(struct dp *dp, struct rtpx_counters *out)
{
	(void)dp;
	*out = (struct rtpx_counters){ 0 };
	return 0;
}

static void none_close(struct dp *dp, bool keep)
{
	(void)keep;
	free(dp);
}

static const struct dp_ops none_ops = {
	.name = "none",
	.flow_put = none_flow_put,
	.flow_del = none_flow_del,
	.stats_get = none_stats_get,
	.stats_set = none_stats_set,
	.nexthop_put = none_nexthop_put,
	.serves = none_serves,
	.interfaces = none_interfaces,
	.rescan = none_rescan,
	.counters = none_counters,
	.close = none_close,
};

int dp_none_open(struct dp **out, const char *why)
{
	struct dp *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return -ENOMEM;
	dp->ops = &none_ops;
	snprintf(dp->choice, sizeof(dp->choice), "%s", why);
	*out = dp;
	return 0;
}

int dp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	char why[512];
	char choice[512];
	int rc;

	snprintf(err, err_size, "out of memory");
	if (opts->choice == DP_NONE)
		return dp_none_open(
			out, "no dataplane, as asked for: the daemon's sockets carry every call");
	rc = dp_xdp_open(out, opts, why, sizeof(why));
	if (rc == 0)
		return 0;
	if (opts->choice == DP_XDP) {
		snprintf(err, err_size, "%s", why);
		return rc;
	}
	log_warn("XDP is not in use: %s", why);
	snprintf(choice, sizeof(choice),
		 "the daemon's sockets carry every call, because XDP is not to be had: %.430s",
		 why);
	return dp_none_open(out, choice);
}
