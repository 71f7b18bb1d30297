/* SPDX-License-Identifier: BSD-2-Clause */
/* xdp_stats.c - reads memory of the XDP program until no count was moved meanwhile. */
#include <unistd.h>

#include "dataplane/xdp_stats.h"

/* The CPU that moves statistics may be halted (virtual CPU, real-time kernel): bound the wait. */
#define STATS_SPINS 1000
#define STATS_TRIES 11000
#define STATS_NAP_US 100

/*
 * The program moves its counts from @e to @m now and then, within less than a microsecond. If a
 * move disturbs the reading, read again.
 */
void xdp_stats_read(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		    struct rtpx_flow_stats *out)
{
	unsigned int tries = 0;
	struct rtpx_entry now;
	uint64_t packets;
	bool moving;

	do {
		if (tries > STATS_SPINS)
			usleep(STATS_NAP_US);
		moving = __atomic_load_n(&e->pending, __ATOMIC_ACQUIRE) == RTPX_PENDING_MOVING;
		packets = __atomic_load_n(&m->stats.packets, __ATOMIC_ACQUIRE);
		now = *e;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		rtpx_entry_get_stats(&now, m, out);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((moving || now.pending == RTPX_PENDING_MOVING ||
		  __atomic_load_n(&m->stats.packets, __ATOMIC_RELAXED) != packets) &&
		 ++tries < STATS_TRIES);
}

void xdp_stats_add(const struct rtpx_entry *e, const struct rtpx_entry_more *m,
		   struct dp_totals *to)
{
	unsigned int tries = 0;
	uint64_t packets;
	uint8_t pending;

	do {
		if (tries > STATS_SPINS)
			usleep(STATS_NAP_US);
		packets = __atomic_load_n(&m->stats.packets, __ATOMIC_ACQUIRE);
		pending = __atomic_load_n(&e->pending, __ATOMIC_ACQUIRE);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((pending == RTPX_PENDING_MOVING ||
		  __atomic_load_n(&m->stats.packets, __ATOMIC_RELAXED) != packets) &&
		 ++tries < STATS_TRIES);
	to->kernel +=
		packets + (pending < RTPX_PENDING_MOVING ? pending : 0) - m->stats.daemon_packets;
	to->strangers += m->stats.strangers;
	to->unmirrored += m->stats.unmirrored;
}
