/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpstream.h - what one sender said, found in captured datagrams: its packets in order, its
 * statistics, its sound on a common time line.
 */
#ifndef RTPX_RTPSTREAM_H
#define RTPX_RTPSTREAM_H

#include "media/audio.h"
#include "capture.h"
#include "rtpx_verdict.h"
#include "media/sound.h"

#define RTPSTREAM_TYPES 128

struct rtpstream_packet {
	const uint8_t *payload; /* the capture's */
	size_t len;
	uint64_t arrival_ns;
	uint64_t order; /* segment and extended sequence number: rises as it was sent */
	uint32_t ts;
	uint8_t payload_type;
};

/* Everything with one SSRC from one source address. */
struct rtpstream {
	struct addr src;
	uint32_t ssrc;
	struct rtpx_flow_stats stats;
	/* owned; after rtpstream_sort() in order, without duplicates */
	struct rtpstream_packet *packets;
	size_t n;
	uint64_t first_ns, last_ns;
	uint32_t types[RTPSTREAM_TYPES]; /* packets by payload type */
	/* packets whose payload was broken; by rtpstream_sound() */
	uint32_t undecoded;
};

struct rtpstreams {
	struct rtpstream *all; /* owned, in order of appearance */
	size_t n;
	size_t packets, not_rtp;
};

/*
 * rtpstreams_find - all streams in @c, which must outlive them; datagrams that are no RTP are
 * counted. -ENOMEM.
 */
int rtpstreams_find(const struct capture *c, struct rtpstreams *out);
void rtpstreams_free(struct rtpstreams *s);

/* rtpstream_is_noise - comfort noise, RFC 3389: no codec of its own. */
bool rtpstream_is_noise(unsigned int payload_type);

/* What the 128 payload types mean; NULL: not known. */
struct rtpstream_codecs {
	const struct audio_codec *of[RTPSTREAM_TYPES];
};

/*
 * rtpstream_sound - what is said with @codec's payload types in @s, from @s->first_ns on; silence
 * where nothing arrived, noise where comfort noise was asked for (RFC 3389). Two channels are
 * averaged. @out is empty when there is none. -ENOMEM, -EFBIG (beyond a day).
 */
int rtpstream_sound(struct rtpstream *s, const struct rtpstream_codecs *codecs,
		    const struct audio_codec *codec, struct sound *out);

#endif
