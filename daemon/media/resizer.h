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
 * another SSRC that is not such audio, pass unchanged.
 *
 * Audio leaves as soon as a packet is full; it does not wait for packets that are missing before
 * it. Numbers are kept free for them, up to 64, as many as they would have had. A packet that is
 * only late leaves by itself with these numbers. Loss is visible in the sequence numbers and in the
 * time stamps. (rtpproxy shows it in the time stamps only, and drops late packets.)
 *
 * No sequence number of a source leaves twice for other audio, also before and after
 * re-packetization: see resizer_resume() and resizer_stop().
 *
 * rtpproxy sends only when a packet arrives. The resizer also has a deadline, so no audio waits
 * longer than the wanted packet length.
 */
#ifndef RTPX_RESIZER_H
#define RTPX_RESIZER_H

#include "base/base.h"
#include "call/session.h"
#include "call/stats.h"

#define RESIZER_MAX_MS 999
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
/*
 * resizer_retarget - set the length of packets that leave from now on, 1 to RESIZER_MAX_MS. Ends
 * what resizer_stop() began.
 */
void resizer_retarget(struct resizer *r, unsigned int target_ms);

/*
 * resizer_resume - for a new resizer: packets of the source before from->next have left, with their
 * numbers plus from->ahead. from->stale: the next one leaves with its number plus from->ahead, else
 * with from->next plus from->ahead.
 * resizer_numbers - the state for resizer_resume() in the next daemon.
 * resizer_kept - the state of now is written where the next daemon finds it.
 * resizer_has_moved - it must be written again, or a daemon that is killed may use numbers twice.
 */
void resizer_resume(struct resizer *r, const struct leg_numbers *from);
void resizer_numbers(const struct resizer *r, struct leg_numbers *out);
void resizer_kept(struct resizer *r);
bool resizer_has_moved(const struct resizer *r);

/*
 * resizer_stop - re-packetization ends: send all waiting audio; packets pass uncut from now on. If
 * outgoing numbers lead ahead of the source's, packets of the source get numbers that go on from
 * there.
 * resizer_is_over - no number needs a change any more, so packets may be relayed without the
 * resizer: the source's numbers are those of the packets that leave, or lead ahead of them, or
 * another source has taken its place.
 */
void resizer_stop(struct resizer *r, const struct resizer_sink *sink);
bool resizer_is_over(const struct resizer *r);

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
/* resizer_flush - send all waiting audio. */
void resizer_flush(struct resizer *r, const struct resizer_sink *sink);

#endif
