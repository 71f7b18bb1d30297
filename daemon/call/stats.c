/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stats.c - the counters behind G and I.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call/stats.h"

/* Update the average: @passed_ns divide the weight of the old value by 1 + passed / LOAD_NS. */
static void load_tick(struct stats *s, double passed_ns, double busy_ns)
{
	s->load += (MIN(busy_ns / passed_ns, 1.0) - s->load) * passed_ns / (passed_ns + LOAD_NS);
}

void stats_tick(struct stats *s, uint64_t now_ns, uint64_t cpu_ns)
{
	if (s->tick_ns && now_ns <= s->tick_ns)
		return;
	if (s->tick_ns) {
		s->pps_in = (double)(s->npkts_rcvd - s->tick_rcvd) * NSEC_PER_SEC /
			    (double)(now_ns - s->tick_ns);
		load_tick(s, (double)(now_ns - s->tick_ns), (double)(cpu_ns - s->tick_cpu_ns));
	}
	s->tick_rcvd = s->npkts_rcvd;
	s->tick_cpu_ns = cpu_ns;
	s->tick_ns = now_ns;
}

/* Every integer counter by name. */
static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define STATS_ROW(name, metric, text) { #name, offsetof(struct stats, name) },
	STATS_COUNTERS(STATS_ROW)
#undef STATS_ROW
};

static uint64_t *counter_at(const struct stats *s, size_t i)
{
	return (uint64_t *)((char *)s + counters[i].offset);
}

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
			len = snprintf(buf, size, "%llu", (unsigned long long)*counter_at(s, i));
	if (len < 0)
		return -ENOENT;
	return (size_t)len < size ? 0 : -ENOSPC;
}

size_t stats_write(const struct stats *s, char out[STATS_TEXT_MAX])
{
	size_t i, len = 0;

	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (*counter_at(s, i))
			len += snprintf(out + len, STATS_TEXT_MAX - len, "%s %llu\n",
					counters[i].name, (unsigned long long)*counter_at(s, i));
	if (s->total_duration > 0)
		len += snprintf(out + len, STATS_TEXT_MAX - len, "total_duration %f\n",
				s->total_duration);
	return MIN(len, STATS_TEXT_MAX - 1);
}

static void counter_read(struct stats *s, const char *name, const char *value)
{
	size_t i;

	if (strcmp(name, "total_duration") == 0)
		s->total_duration = strtod(value, NULL);
	for (i = 0; i < ARRAY_SIZE(counters); i++)
		if (strcmp(name, counters[i].name) == 0)
			*counter_at(s, i) = strtoull(value, NULL, 10);
}

void stats_read(struct stats *s, struct span text)
{
	char name[64], value[64];
	const char *end = text.p + text.len;

	while (text.p && text.p < end) {
		const char *eol = memchr(text.p, '\n', end - text.p);
		char line[128];

		if (!eol)
			return;
		snprintf(line, sizeof(line), "%.*s", (int)(eol - text.p), text.p);
		if (sscanf(line, "%63s %63s", name, value) == 2)
			counter_read(s, name, value);
		text.p = eol + 1;
	}
}

void stats_add_rtp(struct stats *s, const struct rtpx_flow_stats *fs)
{
	s->rtpa_nsent += rtpx_stats_expected(fs);
	s->rtpa_nrcvd += rtpx_stats_received(fs);
	s->rtpa_ndups += fs->duplicates;
	s->rtpa_nlost += rtpx_stats_lost(fs);
	s->rtpa_perrs += fs->errors;
}
