/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * roundtrip.h - round-trip times between this host and the parties of calls, from their RTCP. Pure.
 *
 * A sender report passes this host, and its receiver later answers with a report block that names
 * it. The time between both, less the time that the receiver waited, is the way to the receiver and
 * back (RFC 3550, 6.4.1; there the sender computes it).
 */
#ifndef RTPX_ROUNDTRIP_H
#define RTPX_ROUNDTRIP_H

#include "base/histogram.h"

struct roundtrip;

/* roundtrip_new - without any report yet. 0, or -ENOMEM. */
int roundtrip_new(struct roundtrip **out);
void roundtrip_free(struct roundtrip *t); /* NULL is allowed */

/*
 * roundtrip_packet - read an RTCP packet that arrived at @arrival_ns of a clock that is not set.
 * Encrypted and malformed ones are ignored.
 */
void roundtrip_packet(struct roundtrip *t, const uint8_t *data, size_t len, uint64_t arrival_ns);

/* roundtrip_seconds - all times so far, in seconds. */
const struct histogram *roundtrip_seconds(const struct roundtrip *t);

#endif
