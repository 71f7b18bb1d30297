/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reporter.h - sends the RTCP reports of all calls to a HEP collector such as Homer, with the
 * Call-ID as correlation. Calls stay in the kernel, which copies their RTCP. Measures round-trip
 * times by them.
 */
#ifndef RTPX_REPORTER_H
#define RTPX_REPORTER_H

#include "base/histogram.h"
#include "observe/collector.h"
#include "record/taps.h"

struct reporter;

struct reporter_opts {
	struct taps *taps;
	struct hep_address collector;
	uint32_t agent; /* number of the capture agent */
	bool no_resolve;
};

struct reporter_view {
	struct collector_view collector;
	uint64_t unreadable; /* RTCP packets that are encrypted or malformed */
	uint64_t uncopied;   /* forwarded RTCP packets without room for their copies */
	const struct histogram *roundtrip_s; /* between this host and parties; not owned */
};

/* reporter_new - from now on, for all sessions. Errors: as collector_new(). */
int reporter_new(struct reporter **out, struct event_base *base, const struct reporter_opts *opts);
void reporter_free(struct reporter *r); /* NULL is allowed */
void reporter_view(const struct reporter *r, struct reporter_view *out);

#endif
