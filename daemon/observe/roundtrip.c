/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * roundtrip.c - remembers sender reports in a table of fixed size, where a later report takes the
 * place of an earlier one. A report that was forgotten costs one measurement.
 */
#include "observe/roundtrip.h"

#include <errno.h>
#include <stdlib.h>

#include "observe/rtcp.h"

#define SEEN (1u << 16)		    /* sender reports; a power of 2 */
#define LONGEST (10 * NSEC_PER_SEC) /* a longer time is an error of the receiver */
#define ROUNDING NSEC_PER_MSEC	    /* its clock may be wrong by so much in a few seconds */

static const double bounds[] = { 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2 };

struct seen {
	uint32_t ssrc, ntp;
	uint64_t arrival_ns;
};

struct roundtrip {
	struct histogram seconds;
	uint64_t now_ns; /* of the packet that is read */
	struct seen seen[SEEN];
};

int roundtrip_new(struct roundtrip **out)
{
	struct roundtrip *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->seconds = (struct histogram)HISTOGRAM(bounds);
	*out = t;
	return 0;
}

void roundtrip_free(struct roundtrip *t)
{
	free(t);
}

static struct seen *place_of(struct roundtrip *t, const struct rtcp_stamp *s)
{
	uint64_t key = ((uint64_t)s->ssrc << 32 | s->ntp) * 0x9e3779b97f4a7c15ull;

	return &t->seen[key >> 48 & (SEEN - 1)];
}

static void on_stamp(void *arg, const struct rtcp_stamp *s)
{
	struct roundtrip *t = arg;
	struct seen *seen = place_of(t, s);
	uint64_t waited_ns = (uint64_t)s->delay * NSEC_PER_SEC / 65536, passed_ns;

	if (s->sent) {
		*seen = (struct seen){ s->ssrc, s->ntp, t->now_ns };
		return;
	}
	if (!s->ntp || seen->ssrc != s->ssrc || seen->ntp != s->ntp)
		return;
	passed_ns = t->now_ns - seen->arrival_ns;
	if (t->now_ns < seen->arrival_ns || passed_ns + ROUNDING < waited_ns ||
	    passed_ns > waited_ns + LONGEST)
		return;
	passed_ns -= MIN(passed_ns, waited_ns);
	histogram_add(&t->seconds, (double)passed_ns / NSEC_PER_SEC, 1);
	seen->ntp = 0; /* an answer that comes again counts once */
}

void roundtrip_packet(struct roundtrip *t, const uint8_t *data, size_t len, uint64_t arrival_ns)
{
	t->now_ns = arrival_ns;
	rtcp_stamps(data, len, on_stamp, t);
}

const struct histogram *roundtrip_seconds(const struct roundtrip *t)
{
	return &t->seconds;
}
