/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verdict.h - all judges of include/rtpx_verdict.h in the order of the dataplanes.
 */
#ifndef TEST_VERDICT_H
#define TEST_VERDICT_H

#include "rtpx_verdict.h"

/*
 * verdict - rtpx_judge(), rtpx_judge_event() and rtpx_judge_stranger() for a flow and statistics
 * outside the maps. Returns the reason that a dataplane would count.
 */
static inline enum rtpx_reason verdict(const struct rtpx_config *c, const struct rtpx_flow *f,
				       const struct rtpx_flow_stats *st,
				       const struct rtpx_packet *p)
{
	struct rtpx_entry e = { 0 };
	struct rtpx_entry_more m;
	enum rtpx_reason reason;

	rtpx_entry_put_flow(&e, &m, f, p->family);
	rtpx_entry_put_stats(&e, &m, st);
	reason = rtpx_judge(&e, &m, p);
	if (reason == RTPX_GO_ON)
		return rtpx_judge_event(&e, &m, p);
	return reason == RTPX_STRANGER ? rtpx_judge_stranger(c, &e, &m, p) : reason;
}

#endif
