/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtpstream.h - finds RTP streams in captured datagrams, and gives each packet its place in time.
 *
 * A capture is read twice. The first time, rtpstreams_take() learns the streams and their runs: a
 * run is a part of a stream whose time stamps agree with the times of arrival within half a second.
 * The second time, the packets come out of rtpstreams_take() in the order of sending, each with its
 * time. Memory does not grow with the length of the capture, except for 32 bytes for each run.
 */
#ifndef RTPX_RTPSTREAM_H
#define RTPX_RTPSTREAM_H

#include "capture.h"
#include "media/audio.h"
#include "rtpx_verdict.h"

#define RTPSTREAM_TYPES 128
#define RTPSTREAM_KINDS 8 /* payload types of a stream that are told apart */
#define RTPSTREAM_MAX 4096
#define RTPSTREAM_APART_NS ((int64_t)NSEC_PER_SEC / 2)

/* The meaning of a payload type. */
enum rtpstream_meaning {
	RTPSTREAM_UNKNOWN,
	RTPSTREAM_AUDIO,
	RTPSTREAM_NOISE, /* comfort noise (RFC 3389) */
	RTPSTREAM_EVENT, /* telephone events (RFC 4733) */
};

/* The codecs of the 128 payload types. */
struct rtpstream_codecs {
	const struct audio_codec *of[RTPSTREAM_TYPES]; /* NULL: not known, or no audio */
	enum rtpstream_meaning meaning[RTPSTREAM_TYPES];
};

struct rtpstream_run {
	uint64_t order;	   /* of its first packet */
	uint64_t begin_ns; /* time of its first packet's time stamp */
	uint32_t ts;
	unsigned int clock; /* ticks a second */
};

struct rtpstream_kind {
	uint8_t type;
	uint32_t packets;
};

/*
 * All packets with one SSRC from one source to one destination. A sender that moves to another port
 * and goes on with its numbers is one stream; @src is then its first source.
 */
struct rtpstream {
	struct addr src, dst;
	uint32_t ssrc;
	enum format_party party;
	struct rtpx_flow_stats stats; /* of the first reading */
	uint64_t first_ns, last_ns;   /* of arrival */
	struct rtpstream_kind kinds[RTPSTREAM_KINDS];
	struct rtpstream_run *runs;
	size_t n_runs;
	bool is_copy;	    /* another stream has its packets: the capture saw them twice */
	bool is_encrypted;  /* the payloads have the length of SRTP's */
	uint32_t clock_16k; /* pairs of G.722 packets with a clock of 16 kHz (not RFC 3551's) */
	uint32_t events;    /* packets of unknown types that have the form of telephone events */
	uint32_t undecoded, ahead;     /* packets that are no frames, and that came too fast */
	unsigned int side;	       /* for the caller */
	void *user;		       /* for the caller, who frees it */
	struct rtpstream_state *state; /* private */
};

/* One packet in its place. */
struct rtpstream_packet {
	const uint8_t *payload;
	size_t len;
	uint64_t arrival_ns;
	uint64_t time_ns; /* of its first sample */
	size_t run;	  /* the number of its run */
	uint8_t payload_type;
};

struct rtpstreams;

struct rtpstreams_opts {
	const struct rtpstream_codecs *codecs;
	/* The second reading: a packet. 0 or -errno, which ends the reading. */
	int (*play)(void *arg, struct rtpstream *s, const struct rtpstream_packet *p);
	void *arg;
};

int rtpstreams_new(struct rtpstreams **out, const struct rtpstreams_opts *opts); /* 0, -ENOMEM */
void rtpstreams_free(struct rtpstreams *all); /* NULL is allowed */

/*
 * rtpstreams_take - take a datagram. Times of arrival must not go backwards. 0, -ENOMEM, or the
 * error of play().
 */
int rtpstreams_take(struct rtpstreams *all, const struct capture_packet *p);
/* rtpstreams_end - the end of a reading. The first call ends the first reading. */
int rtpstreams_end(struct rtpstreams *all);

size_t rtpstreams_count(const struct rtpstreams *all);
struct rtpstream *rtpstreams_at(struct rtpstreams *all, size_t i); /* in order of appearance */
uint64_t rtpstreams_packets(const struct rtpstreams *all); /* RTP packets of the first reading */
uint64_t rtpstreams_not_rtp(const struct rtpstreams *all);
/* rtpstreams_crowded - packets left out because more than RTPSTREAM_MAX streams are there. */
uint64_t rtpstreams_crowded(const struct rtpstreams *all);

#endif
