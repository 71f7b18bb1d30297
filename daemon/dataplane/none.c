/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * none.c - refuses every flow.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/none.h"

static int none_flow_put(struct dp *dp, unsigned int pool, uint16_t port,
			 const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	(void)dp, (void)pool, (void)port, (void)flow, (void)seed;
	return -ENOENT;
}

static int none_flow_del(struct dp *dp, unsigned int pool, uint16_t port,
			 struct rtpx_flow_stats *last)
{
	(void)dp, (void)pool, (void)port, (void)last;
	return -ENOENT;
}

static int none_stats_get(struct dp *dp, unsigned int pool, uint16_t port,
			  struct rtpx_flow_stats *out)
{
	(void)dp, (void)pool, (void)port, (void)out;
	return -ENOENT;
}

static int none_totals(struct dp *dp, struct dp_totals *out)
{
	(void)dp;
	*out = (struct dp_totals){ 0 };
	return 0;
}

static int none_stats_set(struct dp *dp, unsigned int pool, uint16_t port,
			  const struct rtpx_flow_stats *before, const struct rtpx_flow_stats *in)
{
	(void)dp, (void)pool, (void)port, (void)before, (void)in;
	return -ENOENT;
}

static int none_flow_get(struct dp *dp, unsigned int pool, uint16_t port, struct rtpx_flow *out)
{
	(void)dp, (void)pool, (void)port, (void)out;
	return -ENOENT;
}

static int none_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	(void)dp, (void)id, (void)nh;
	return 0;
}

static void none_tend(struct dp *dp)
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
	.totals = none_totals,
	.flow_get = none_flow_get,
	.nexthop_put = none_nexthop_put,
	.tend = none_tend,
	.counters = none_counters,
	.close = none_close,
};

int dp_none_open(struct dp **out, const char *why)
{
	struct dp *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return -ENOMEM;
	dp->ops = &none_ops;
	dp->pools = RTPX_MAX_POOLS;
	snprintf(dp->choice, sizeof(dp->choice), "%s", why);
	*out = dp;
	return 0;
}
