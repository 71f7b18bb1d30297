/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_stats.h - reads the statistics that the XDP program counts at the same time.
 */
#ifndef RTPX_XDP_STATS_H
#define RTPX_XDP_STATS_H

#include "dataplane/dp.h"
#include "rtpx_entry.h"

/* xdp_stats_read - the statistics of a flow, exact to the packet. */
void xdp_stats_read(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		    struct rtpx_flow_stats *out);
/* xdp_stats_add - the same, for the members of struct dp_totals only, which are added to @to. */
void xdp_stats_add(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		   struct dp_totals *to);

#endif
