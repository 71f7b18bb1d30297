/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_abi.c - any bytes as an element of the pinned tables, as the next daemon reads it back: the flow, its statistics,
 * and packets that go on from there.
 *
 * What is read and written again is the same; whatever the counts, nothing that is computed of them leaves its range.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rtpx_entry.h"
#include "rtpx_verdict.h"

#define PACKETS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	struct rtpx_entry e;
	struct rtpx_entry_more m;
	struct rtpx_packet packets[PACKETS];
};

static void must(int good)
{
	if (!good)
		abort();
}

static void read_and_write_again(const struct input *in)
{
	struct rtpx_entry_more m = { 0 };
	struct rtpx_flow flow, again;
	struct rtpx_entry e = { 0 };

	/* padding is compared, too */
	memset(&flow, 0, sizeof(flow));
	memset(&again, 0, sizeof(again));
	rtpx_entry_get_flow(&in->e, &in->m, &flow);
	rtpx_entry_put_flow(&e, &m, &flow, RTPX_FAMILY_IP4);
	e.seq = in->e.seq;
	rtpx_entry_get_flow(&e, &m, &again);
	must(!memcmp(&flow, &again, sizeof(flow)));
}

static void count_on(struct input *in)
{
	struct rtpx_flow_stats st = in->m.stats;
	unsigned int i;

	rtpx_entry_settle(&in->e, in->e.pending, &st);
	for (i = 0; i < PACKETS; i++) {
		struct rtpx_packet *p = &in->packets[i];

		p->kind %= RTPX_PAYLOAD_ZRTP + 1;
		if (!rtpx_stats_next(&in->e, p))
			rtpx_stats_in_full(&in->e, &in->m, p);
		must(in->e.pending < RTPX_TIMED_EVERY || in->e.pending == RTPX_PENDING_NEW);
		rtpx_stats_packet(&st, p, in->e.flags & RTPX_FLOW_RTP);
	}
	must(rtpx_stats_lost(&st) <= rtpx_stats_expected(&st));
	must(rtpx_stats_lost(&in->m.stats) <= rtpx_stats_expected(&in->m.stats));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct input in;

	memset(&in, 0, sizeof(in));
	memcpy(&in, data, size < sizeof(in) ? size : sizeof(in));
	read_and_write_again(&in);
	count_on(&in);
	return 0;
}
