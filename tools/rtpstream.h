/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpstream.h - finds RTP streams in captured datagrams. A stream has the packets of one sender in
 * order, their statistics, and their sound on a common time line.
 */
#ifndef RTPX_RTPSTREAM_H
#define RTPX_RTPSTREAM_H

#include "media/audio.h"
#include "capture.h"
#include "rtpx_verdict.h"
#include "media/sound.h"

#define RTPSTREAM_TYPES 128

struct rtpstream_packet {
	const uint8_t *payload; /* in the capture, which owns it */
	size_t len;
	uint64_t arrival_ns;
	uint64_t order; /* segment and extended sequence number: the order of sending */
	uint32_t ts;
	uint8_t payload_type;
};

/* All packets with one SSRC from one source address. */
struct rtpstream {
	struct addr src;
	uint32_t ssrc;
	struct rtpx_flow_stats stats;
	/* owned; in order and without duplicates after rtpstreams_find() */
	struct rtpstream_packet *packets;
	size_t n;
	uint64_t first_ns, last_ns;
	uint32_t types[RTPSTREAM_TYPES]; /* packets by payload type */
	/* packets with a broken payload; rtpstream_sound() counts them */
	uint32_t undecoded;
};

struct rtpstreams {
	struct rtpstream *all; /* owned, in order of appearance */
	size_t n;
	size_t packets, not_rtp;
};

/*
 * rtpstreams_find - find all streams in @c, which must outlive them. Datagrams that are not RTP are
 * counted. 0 or -ENOMEM.
 */
int rtpstreams_find(const struct capture *c, struct rtpstreams *out);
void rtpstreams_free(struct rtpstreams *s);

/* rtpstream_is_noise - the type is comfort noise (RFC 3389), which is not a codec of its own. */
bool rtpstream_is_noise(unsigned int payload_type);

/* The codecs of the 128 payload types; NULL: not known. */
struct rtpstream_codecs {
	const struct audio_codec *of[RTPSTREAM_TYPES];
};

/*
 * rtpstream_sound - decode the packets of @s with payload types of @codec. @out begins at
 * @s->first_ns. It has silence where no packet arrived, and noise where the sender sent comfort
 * noise (RFC 3389). Two channels are averaged. @out is empty if @s has no such packet. 0, -ENOMEM,
 * or -EFBIG (longer than a day).
 */
int rtpstream_sound(struct rtpstream *s, const struct rtpstream_codecs *codecs,
		    const struct audio_codec *codec, struct sound *out);

#endif
