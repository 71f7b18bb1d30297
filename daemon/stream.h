/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - one direction of one medium: where its packets may come from and how that is learned.
 *
 * A stream belongs to a leg and is RTP or RTCP. It describes the *peer* of that leg: packets that
 * arrive on the leg's port are judged by it, and what the other leg receives is sent to
 * stream->remote. Pure: time comes in as an argument, nothing is sent, nothing is logged.
 */
#ifndef RTPX_STREAM_H
#define RTPX_STREAM_H

#include "addr.h"
#include "base.h"
#include "rtpx_verdict.h"

/* How addresses are learned from packets; docs/nat-learning.md is the contract. */
enum learning {
	/* a signalled host latches at once, another one proves itself by three packets */
	LEARN_PROOF,
	LEARN_STRICT, /* nothing but the signalled host, ever */
	LEARN_COMPAT, /* rtpproxy's rules */
};

enum stream_kind { STREAM_RTP, STREAM_RTCP, STREAM_KINDS };

enum stream_state {
	STREAM_EMPTY,	  /* no address is known */
	STREAM_SIGNALLED, /* remote is the signalled address, no packet has confirmed it */
	STREAM_LATCHED,	  /* remote sent a proving packet, or the leg is asymmetric */
};

#define STREAM_PROOF_PACKETS 3		       /* of one SSRC, rising, from one source */
#define STREAM_SILENCE_NS (500 * NSEC_PER_MSEC) /* a latched source this long silent may be followed */
#define STREAM_WINDOW_NS (10 * NSEC_PER_SEC)    /* compat: anyone re-latches this long after U or L */

#define STREAM_SETTLE_NS (2 * NSEC_PER_SEC)	       /* how long a newly signalled address is waited for */
#define STREAM_CANDIDATE_NS (100 * NSEC_PER_MSEC)      /* a candidate silent for longer loses its place */

/* A source that is proving itself, packet by packet. */
struct stream_candidate {
	struct addr addr;
	uint32_t ssrc;
	uint16_t seq;	 /* of its last packet */
	uint8_t packets; /* in a row */
	uint64_t last_ns;
};

struct stream {
	uint8_t kind;	    /* enum stream_kind */
	uint8_t state;	    /* enum stream_state */
	bool asymmetric;    /* accept any port of remote's host, learn nothing */
	bool untrusted;	    /* compat: remote was learned from a packet */
	bool has_ssrc;	    /* compat: ssrc and seq hold */
	uint16_t seq;	    /* compat: last sequence number noted of ssrc */
	uint32_t ssrc;	    /* compat: the latched one */
	uint64_t seq_ns;    /* compat: when seq was noted */
	uint32_t heard_ssrc; /* compat: of the last RTP packet that was accepted */
	uint64_t heard_packets; /* compat: stats.packets after the last packet that came here */
	uint64_t updated_ns; /* when U or L last gave an address for a leg that had one; 0: never */
	struct addr remote; /* where packets for this peer are sent; ADDR_NONE: unknown */
	struct addr signalled; /* what U or L said last; ADDR_NONE: nothing */
	struct addr previous;  /* the latched remote before the last signalling; ADDR_NONE: none */
	/* the destination address that the peer's packets carry (wildcard listeners) */
	struct addr local;
	/* the first keeps its place until it pauses, the second goes to the newest */
	struct stream_candidate candidate[2];
	struct rtpx_flow_stats stats; /* of what the peer sent */
};

enum stream_verdict {
	STREAM_RELAY,  /* accepted */
	STREAM_IGNORE, /* wrong source: count as a stranger, do not relay */
};

void stream_init(struct stream *s, enum stream_kind kind);

/*
 * stream_signal - U or L gave this peer's address (never a null address). @asymmetric as decided by
 * the command.
 */
void stream_signal(struct stream *s, const struct addr *a, bool asymmetric, enum learning how,
		   uint64_t now_ns);

/* stream_set_asymmetric - the command's a/s decision when it carried no usable address. */
void stream_set_asymmetric(struct stream *s, bool asymmetric, enum learning how);

/*
 * stream_packet - a datagram from @src arrived at the leg. @pkt has RTP members and now_ns filled.
 * @companion is the leg's other stream: what RTP learns moves an RTCP stream that nothing has
 * proven. Updates the latch state; on STREAM_RELAY also s->stats (rtpx_stats_packet), on
 * STREAM_IGNORE s->stats.strangers. Sets *@moved when remote or state changed of either stream (the
 * flow must be compiled again).
 */
enum stream_verdict stream_packet(struct stream *s, struct stream *companion,
				  const struct addr *src, const struct rtpx_packet *pkt,
				  enum learning how, bool *moved);

#endif
