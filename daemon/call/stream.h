/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - one direction of one medium: the sources of its packets, and how they are learned.
 *
 * A stream belongs to a leg and is RTP or RTCP. It describes the *peer* of that leg. It judges
 * packets that arrive on the leg's port. Packets that the other leg receives go to stream->remote.
 * Pure: time comes in as an argument, nothing is sent, nothing is logged.
 */
#ifndef RTPX_STREAM_H
#define RTPX_STREAM_H

#include "base/addr.h"
#include "base/base.h"
#include "rtpx_verdict.h"

/* How addresses are learned from packets; docs/nat-learning.md is the contract. */
enum learning {
	/* a signalled host latches at once, any other host proves itself by three packets */
	LEARN_PROOF,
	LEARN_STRICT, /* only the signalled host is believed */
	LEARN_COMPAT, /* rtpproxy's rules */
	LEARNINGS,
};
/* The words of --learning. */
extern const char *const learning_words[LEARNINGS];

enum stream_kind { STREAM_RTP, STREAM_RTCP, STREAM_KINDS };
extern const char *const stream_kind_words[STREAM_KINDS]; /* "rtp", "rtcp" */

enum stream_state {
	STREAM_EMPTY,	  /* no address is known */
	STREAM_SIGNALLED, /* remote is the signalled address, no packet has confirmed it */
	STREAM_LATCHED,	  /* remote has sent packets that were believed, or the leg is asymmetric */
};

#define STREAM_PROOF_PACKETS 3 /* of one SSRC, rising, from one source */
/* a candidate silent for longer loses its place */
#define STREAM_CANDIDATE_NS (100 * NSEC_PER_MSEC)
#define STREAM_WEAK_NS (3 * NSEC_PER_SEC)	/* the same for a source without RTP */
#define STREAM_SILENCE_NS (500 * NSEC_PER_MSEC) /* after this silence the remote may have moved */
#define STREAM_SETTLE_NS (2 * NSEC_PER_SEC)	/* a remote heard for so long is settled */
#define STREAM_AWAIT_NS (10 * NSEC_PER_SEC)	/* the same while a new address is awaited */
/* a remote silent for so long has left, if a new address is awaited */
#define STREAM_LEAVE_NS (5 * NSEC_PER_SEC)
#define STREAM_RTCP_NS (15 * NSEC_PER_SEC)   /* the longest silence before RTCP may move */
#define STREAM_WINDOW_NS (10 * NSEC_PER_SEC) /* compat: any source re-latches after U or L */

/* A source that is proving itself, packet by packet. */
struct stream_candidate {
	struct addr addr;
	uint32_t ssrc;
	uint16_t seq;	 /* sequence number of its last packet */
	uint8_t packets; /* packets in a row */
	uint64_t last_ns;
};

/* The sources that are proving themselves. */
struct stream_trial {
	/* the first keeps its place until it pauses, the second is the newest source */
	struct stream_candidate candidate[2];
	/* the same for packets not of the stream's kind */
	struct stream_candidate weak_candidate[2];
};

/* Members that most streams do not need. */
struct stream_rest {
	struct stream_trial *trial; /* owned; NULL stands for a block of zeros */
	struct addr previous;	    /* the latched remote before this one; ADDR_NONE: none */
	/* the destination address that the peer's packets carry (wildcard listeners) */
	struct addr local;
	bool has_ssrc;		/* compat: ssrc and seq are valid */
	uint16_t seq;		/* compat: last sequence number noted of ssrc */
	uint32_t ssrc;		/* compat: the latched SSRC */
	uint64_t seq_ns;	/* compat: when seq was noted */
	uint32_t heard_ssrc;	/* compat: SSRC of the last RTP packet that was accepted */
	uint64_t heard_packets; /* compat: packets in the statistics after the daemon's last one */
};

/*
 * A daemon has up to 200,000 streams, and most of them neither prove a source nor need a rest. So
 * these blocks are allocated when something is written to them. NULL stands for a block of zeros.
 */
struct stream {
	uint8_t kind;		   /* enum stream_kind */
	uint8_t state;		   /* enum stream_state */
	bool asymmetric;	   /* accept any port of remote's host, learn nothing */
	bool open;		   /* another source may take it over; compat: not used */
	bool awaited;		   /* remote is latched, the signalled address has not sent yet */
	bool twice;		   /* awaited, and packets go to that address as well */
	bool roams;		   /* awaited, and that address is behind an unknown NAT */
	bool weak;		   /* remote was latched by packets not of the stream's kind */
	bool replaced;		   /* previous lost the stream to a newly signalled party */
	uint8_t unproven;	   /* packets that remote must still send for a firm latch */
	bool untrusted;		   /* compat: remote was learned from a packet */
	uint32_t latched_evidence; /* packets of its kind when remote was latched, mod 2^32 */
	/*
	 * time of the last U or L; 0: never. compat: of the last one that gave an address to a leg
	 * that had one
	 */
	uint64_t updated_ns;
	uint64_t latched_ns;   /* when remote was latched */
	struct addr remote;    /* where packets for this peer are sent; ADDR_NONE: unknown */
	struct addr signalled; /* given by the last U or L with an address; ADDR_NONE: nothing */
	/* owned; read them with stream_stats() and stream_rest() */
	struct rtpx_flow_stats *stats;
	struct stream_rest *rest;
};

/*
 * stream_stats - statistics of the peer's packets; last_ns is of remote alone, as in a dataplane.
 * stream_rest - the members that most streams do not need.
 */
static inline const struct rtpx_flow_stats *stream_stats(const struct stream *s)
{
	static const struct rtpx_flow_stats none;

	return s->stats ? s->stats : &none;
}

static inline const struct stream_rest *stream_rest(const struct stream *s)
{
	static const struct stream_rest none;

	return s->rest ? s->rest : &none;
}

/* stream_stats_set, stream_rest_set - the same, to be written. NULL: no memory. */
struct rtpx_flow_stats *stream_stats_set(struct stream *s);
struct stream_rest *stream_rest_set(struct stream *s);

/* stream_free - free what the stream owns. It has no statistics then. */
void stream_free(struct stream *s);
/* stream_tidy - free the blocks that have only zeros again, except statistics. */
void stream_tidy(struct stream *s);

/* A copy of a stream with all that it owns. */
struct stream_kept {
	struct stream is; /* its pointers are not valid */
	struct rtpx_flow_stats stats;
	struct stream_rest rest; /* nor is its pointer */
	struct stream_trial trial;
};
/*
 * stream_keep - make a copy.
 * stream_go_back - be as the copy again. Since then stream_packet() alone has changed the stream.
 */
void stream_keep(struct stream_kept *to, const struct stream *s);
void stream_go_back(struct stream *s, const struct stream_kept *to);

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

/*
 * stream_other_party - the next stream_signal() gives the address of another party. It may equal
 * the previous address: private addresses are the same in many homes.
 */
void stream_other_party(struct stream *s, enum learning how);

/* stream_hold - U or L gave no usable address: a null one, or port 0. */
void stream_hold(struct stream *s, enum learning how, uint64_t now_ns);

/* stream_set_asymmetric - the command's a/s decision when it carried no usable address. */
void stream_set_asymmetric(struct stream *s, bool asymmetric, enum learning how);

/*
 * stream_packet - a datagram from @src arrived at the leg. @pkt has kind, RTP members and now_ns
 * filled, and the statistics are current. @companion is the leg's other stream: RTCP follows RTP.
 * Updates the latch state; on STREAM_RELAY also the statistics (rtpx_stats_packet), on
 * STREAM_IGNORE their strangers. Sets *@moved when a flow of either stream must be compiled again.
 * Without memory for the statistics it returns STREAM_IGNORE: each relayed packet is counted.
 * Without memory for a proof, or for the previous remote, the source is not believed yet, or the
 * stream cannot go back.
 */
enum stream_verdict stream_packet(struct stream *s, struct stream *companion,
				  const struct addr *src, const struct rtpx_packet *pkt,
				  enum learning how, bool *moved);

/*
 * stream_tick - time has passed, and the statistics are current. Decide again whether packets go to
 * the awaited address as well, or to it alone. True when the flow must be compiled again. Call it
 * about once a second while s->awaited.
 */
bool stream_tick(struct stream *s, uint64_t now_ns);

/* stream_is_open - another source may take it over; the statistics are current. */
bool stream_is_open(const struct stream *s);

/*
 * stream_strangers - the packets of sources other than the remote that a dataplane must pass to
 * stream_packet(): bits of enum rtpx_strangers. For a latched stream.
 */
uint8_t stream_strangers(const struct stream *s, enum learning how);
/* stream_second - an address beside remote; a dataplane must pass its packets. ADDR_NONE: none. */
const struct addr *stream_second(const struct stream *s, enum learning how);

#endif
