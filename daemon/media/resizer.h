/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resizer.h - the z modifier: cuts and joins the audio of one RTP stream into packets of another
 * length (rtpproxy protocol, "Re-packetizer"). Pure: time comes in as an argument.
 *
 * Taken apart are the payload types of codec.h; of Opus its frames, which are joined where their
 * kind allows it (RFC 6716 section 3.2). Every other RTP packet of the stream (telephone
 * events of RFC 4733, comfort noise, unknown codecs) passes at once with its marker, time stamp and
 * payload as they are, after the audio that came before it; only its sequence number goes on with
 * that of the audio, because both share one numbering at the receiver. What is not RTP, and RTP of
 * another SSRC that is no such audio, passes bit by bit. Loss stays visible in the time stamps, as
 * with rtpproxy, but not in the sequence numbers.
 *
 * rtpproxy sends only when a packet arrives. This one also offers a deadline, so that no audio
 * waits longer than the packet length that was asked for.
 */
#ifndef RTPX_RESIZER_H
#define RTPX_RESIZER_H

#include "base/base.h"
#include "call/stats.h"

#define RESIZER_MAX_MS 999
#define RESIZER_FIRST_DYNAMIC 96 /* payload type of the first bit of opus_types */
#define RESIZER_NEVER UINT64_MAX

struct resizer; /* about 17 KiB, and the audio that waits in it: less than its packet length */

/*
 * Where packets go. @arrival_ns: when the first audio in it arrived. The bytes are valid during the
 * call only, which must not enter or free the resizer.
 */
struct resizer_sink {
	void (*out)(void *arg, const uint8_t *packet, size_t len, uint64_t arrival_ns);
	void *arg;
};

/*
 * resizer_new - for one direction of one call. @target_ms: 1 to RESIZER_MAX_MS, rounded up to what
 * the codec can do. @opus_types: a bit for each payload type from 96 up that is Opus. @stats: its
 * npkts_resizer_ counters are kept.
 */
int resizer_new(struct resizer **out, unsigned int target_ms, uint32_t opus_types,
		struct stats *stats);
/* resizer_free - what still waits counts as discarded; NULL is allowed. */
void resizer_free(struct resizer *r);
/* resizer_retarget - a new length for what is sent from now on. */
void resizer_retarget(struct resizer *r, unsigned int target_ms);

/* resizer_in - a datagram that the stream has accepted; any number of packets may leave. */
void resizer_in(struct resizer *r, const uint8_t *packet, size_t len, uint64_t arrival_ns,
		const struct resizer_sink *sink);
/*
 * resizer_deadline - when resizer_run() has to be called at the latest, RESIZER_NEVER: nothing
 * waits. It changes with every call of the other functions.
 */
uint64_t resizer_deadline(const struct resizer *r);
/* resizer_run - sends what has waited long enough. */
void resizer_run(struct resizer *r, uint64_t now_ns, const struct resizer_sink *sink);
/* resizer_flush - sends all that waits: the direction is about to be relayed as it is again. */
void resizer_flush(struct resizer *r, const struct resizer_sink *sink);

#endif
