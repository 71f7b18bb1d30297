/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resizer.h - the z modifier: cuts and joins the audio of one RTP stream into packets of another
 * length (rtpproxy protocol, "Re-packetizer"). Pure: time comes in as an argument.
 *
 * Cuts and joins the payload types of codec.h. Opus is cut into its frames; frames of the same kind
 * are joined (RFC 6716 section 3.2). Every other RTP packet of the stream (telephone events of RFC
 * 4733, comfort noise, unknown codecs) passes at once, after the audio that came before it, with
 * its marker, time stamp and payload unchanged. Only its sequence number continues that of the
 * audio, because both share one numbering at the receiver. Packets that are not RTP, and RTP of
 * another SSRC that is not such audio, pass unchanged. As with rtpproxy, loss stays visible in the
 * time stamps but not in the sequence numbers.
 *
 * rtpproxy sends only when a packet arrives. The resizer also has a deadline, so no audio waits
 * longer than the wanted packet length.
 */
#ifndef RTPX_RESIZER_H
#define RTPX_RESIZER_H

#include "base/base.h"
#include "call/stats.h"

#define RESIZER_MAX_MS 999
#define RESIZER_FIRST_DYNAMIC 96 /* payload type of the first bit of opus_types */
#define RESIZER_NEVER UINT64_MAX

struct resizer; /* about 17 KiB, plus the waiting audio, which is less than one packet */

/*
 * Receives packets that leave. @arrival_ns is the arrival of the first audio in the packet. The
 * bytes are valid during the call only. out() must not call or free the resizer.
 */
struct resizer_sink {
	void (*out)(void *arg, const uint8_t *packet, size_t len, uint64_t arrival_ns);
	void *arg;
};

/*
 * resizer_new - for one direction of one call. @target_ms is 1 to RESIZER_MAX_MS, rounded up to the
 * codec's unit. @opus_types has a bit for each payload type from 96 up that is Opus. The resizer
 * counts in the npkts_resizer_ counters of @stats. 0, -EINVAL or -ENOMEM.
 */
int resizer_new(struct resizer **out, unsigned int target_ms, uint32_t opus_types,
		struct stats *stats);
/* resizer_free - waiting packets count as discarded; @r may be NULL. */
void resizer_free(struct resizer *r);
/* resizer_retarget - set the length of packets that leave from now on. */
void resizer_retarget(struct resizer *r, unsigned int target_ms);

/* resizer_in - take a datagram that the stream has accepted; any number of packets may leave. */
void resizer_in(struct resizer *r, const uint8_t *packet, size_t len, uint64_t arrival_ns,
		const struct resizer_sink *sink);
/*
 * resizer_deadline - the latest time to call resizer_run(); RESIZER_NEVER: no audio waits. Every
 * other function may change it.
 */
uint64_t resizer_deadline(const struct resizer *r);
/* resizer_run - send full packets, and audio that has reached its deadline. */
void resizer_run(struct resizer *r, uint64_t now_ns, const struct resizer_sink *sink);
/* resizer_flush - send all waiting audio, before the direction is relayed unchanged again. */
void resizer_flush(struct resizer *r, const struct resizer_sink *sink);

#endif
