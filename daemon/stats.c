/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - the counters behind G and I.
 */
#include <errno.h>
#include <stdio.h>

#include "stats.h"

void stats_tick(struct stats *s, uint64_t now_ns)
{
	if (s->tick_ns && now_ns > s->tick_ns)
		s->pps_in = (double)(s->npkts_rcvd - s->tick_rcvd) * NSEC_PER_SEC /
			    (double)(now_ns - s->tick_ns);
	s->tick_rcvd = s->npkts_rcvd;
	s->tick_ns = now_ns;
}

/* Every integer counter by name. */
static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define STATS_ROW(name, text) { #name, offsetof(struct stats, name) },
	STATS_COUNTERS(STATS_ROW)
#undef STATS_ROW
};

int stats_text(const struct stats *s, struct span name, char *buf, size_t size)
{
	unsigned int i;
	int len = -1;

	if (span_eq(name, span_of("total_duration")))
		len = snprintf(buf, size, "%f", s->total_duration);
	else if (span_eq(name, span_of("pps_in")))
		len = snprintf(buf, size, "%f", s->pps_in);
	for (i = 0; len < 0 && i < ARRAY_SIZE(counters); i++)
		if (span_eq(name, span_of(counters[i].name)))
			len = snprintf(buf, size, "%llu",
				       (unsigned long long)*(const uint64_t *)((const char *)s +
									       counters[i].offset));
	if (len < 0)
		return -ENOENT;
	return (size_t)len < size ? 0 : -ENOSPC;
}

void stats_add_rtp(struct stats *s, const struct rtpx_flow_stats *fs)
{
	s->rtpa_nsent += rtpx_stats_expected(fs);
	s->rtpa_nrcvd += rtpx_stats_received(fs);
	s->rtpa_ndups += fs->duplicates;
	s->rtpa_nlost += rtpx_stats_lost(fs);
	s->rtpa_perrs += fs->errors;
}
