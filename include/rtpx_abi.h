/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * rtpx_abi.h - structs that daemon and dataplanes share: flows, statistics, next hops, counters.
 *
 * Compiled into the XDP program, the netfilter module, the daemon and the tools. These structs lie
 * in pinned maps that outlive the daemon, so every change of a layout or of a meaning needs a new
 * RTPX_ABI_VERSION. A reader refuses a version that it does not know.
 *
 * Ports are in host byte order, addresses are bytes in network order, so that a map dump reads
 * well. Times are nanoseconds of CLOCK_MONOTONIC. Padding is explicit and zero.
 *
 * History: 1 - IPv4 and IPv6 flows, statistics, next hops, reasons.
 *          2 - one cache line for an ordinary packet's fields, a map of their own for the rest.
 *          3 - pass_merged.
 *          4 - a mark on counts that are moved from `flows` to `flows_more`.
 *          5 - mirrored flows.
 *          6 - the configuration has a number of the daemons that it belongs to.
 *          7 - a second address of a flow and the strangers to pass, outside the cache line;
 *              the link addresses and VLANs of interfaces; clocks of RTP; flow labels.
 *          8 - telephone events pass to the daemon.
 *          9 - ports and addresses of an entry as they stand in a packet; sum_change is the
 *              negative of what it was; next hops name an element of an array `tx_ports`, and
 *              have the MTU for frames without a tag.
 *         10 - next hops with equal content share one element, and flows name it; pools of ports
 *              for single addresses. Later without a new version: the count of reordered packets,
 *              in a padding that earlier programs leave 0 and earlier daemons do not read.
 */
#ifndef RTPX_ABI_H
#define RTPX_ABI_H

#include <linux/types.h>

#define RTPX_ABI_VERSION 10

/*
 * A local port number is given out once in each pool. A pool is a family, or one local address of
 * a family. (pool, port) therefore names one media socket and, by arithmetic, one element of the
 * flow table.
 */
enum rtpx_family {
	RTPX_FAMILY_IP4,
	RTPX_FAMILY_IP6,
	RTPX_FAMILIES,
};

#define RTPX_MAX_POOLS 18	/* those of the families, and of 16 addresses */
#define RTPX_POOL_SLOTS 256	/* a power of 2 */
#define RTPX_MAX_NEXTHOPS 65536 /* ids and elements fit a __u16; 0 is never given out */
#define RTPX_MAX_TX_PORTS 256	/* elements of tx_ports; one interface less can send */
#define RTPX_LABEL_LEN 46	/* makes struct rtpx_entry_more four cache lines long */
#define RTPX_INGRESSES 512	/* elements of `ingress`; a power of 2 */
#define RTPX_INGRESS_TRIES 8
#define RTPX_INGRESS_OTHERS 4

/* Bits of struct rtpx_flow.flags. */
enum rtpx_flow_flag {
	RTPX_FLOW_ACTIVE = 1 << 0,   /* the element holds a flow */
	RTPX_FLOW_RTP = 1 << 1,	     /* analyse as RTP (clear: RTCP or other UDP) */
	RTPX_FLOW_ANY_PORT = 1 << 2, /* accept every source port of the peer's address */
	RTPX_FLOW_OUT6 = 1 << 3,     /* leaves as IPv6 (clear: as IPv4) */
	RTPX_FLOW_EVENTS = 1 << 4,   /* RTP of the type rtpx_flow.event_type passes to the daemon */
	RTPX_FLOW_MIRROR = 1 << 6,   /* copy forwarded packets into the ring buffer `mirror` */
};

/*
 * Bits of struct rtpx_flow.strangers: packets of sources other than the peer that are passed to the
 * daemon, which judges them. All others are dropped. A packet from the second address is always
 * passed. "Silent": no packet of the peer for rtpx_config.silence_ms.
 */
enum rtpx_strangers {
	RTPX_STRANGERS_CONTINUE = 1 << 0,    /* RTP that continues the peer's SSRC; when silent */
	RTPX_STRANGERS_HOST = 1 << 1,	     /* other ports of the peer's address; when silent */
	RTPX_STRANGERS_SILENT = 1 << 2,	     /* every source; when silent */
	RTPX_STRANGERS_SECOND_HOST = 1 << 3, /* every port of the second address */
	RTPX_STRANGERS_ALL = 1 << 4,	     /* every source */
};

/*
 * One direction of one medium. Packets that arrive at (local, port) from (peer, peer_port) leave
 * from (out, out_port) to (dest, dest_port) through next hop @nexthop. The element of the flow
 * decides the family of local and peer; RTPX_FLOW_OUT6 decides the family of out and dest.
 */
struct rtpx_flow {
	__u16 seq;	 /* odd: being written */
	__u16 flags;	 /* enum rtpx_flow_flag */
	__u16 nexthop;	 /* the daemon's id of the next hop */
	__u16 port;	 /* local port */
	__u16 peer_port; /* expected source port; ignored with RTPX_FLOW_ANY_PORT */
	__u16 out_port;
	__u16 dest_port;
	__u8 tos;		    /* TOS or traffic class of outgoing packets, without ECN */
	__u8 ttl;		    /* TTL or hop limit of outgoing packets */
	__u32 call;		    /* the daemon's number of the session */
	char label[RTPX_LABEL_LEN]; /* start of the call-id, NUL-terminated */
	__u8 event_type;	    /* RTP payload type, with RTPX_FLOW_EVENTS */
	__u8 strangers;		    /* enum rtpx_strangers */
	__u8 local4[4];		    /* destination of incoming packets */
	__u8 peer4[4];		    /* source of incoming packets */
	__u8 out4[4];		    /* source of outgoing packets */
	__u8 dest4[4];		    /* destination of outgoing packets */
	__u8 local6[16];
	__u8 peer6[16];
	__u8 out6[16];
	__u8 dest6[16];
	/* another source that may send, in the first 4 bytes with IPv4; its packets are passed */
	__u8 second[16];
	__u16 second_port; /* 0: there is none */
	__u16 pad;
};

/*
 * Statistics of one direction. The forwarder keeps them: a dataplane continues the daemon's counts
 * and hands them back.
 *
 * RTP analysis follows RFC 3550 A.1, A.3 and A.8. Jitter is in RTP timestamp units times 16. The
 * daemon times every packet for it. A dataplane times one packet in RTPX_TIMED_EVERY, and each that
 * is out of the ordinary. D of RFC 3550 A.8 is then the difference between two timed packets. A
 * steady jitter has the same value as in the daemon, but a change of it shows after half a minute.
 *
 * The rate of the RTP clock is known for static payload types. For a dynamic type it is measured
 * first, so there is no jitter for a second or two. XDP's times in last_ns and longest_us are exact
 * to a tick of the kernel (1 to 10 ms).
 */
struct rtpx_flow_stats {
	/* Fields that an ordinary packet changes: one cache line. */
	__u64 packets;	  /* accepted from the peer */
	__u64 bytes;	  /* their UDP payload */
	__u64 last_ns;	  /* arrival of the last packet; 0: none yet */
	__u64 window;	  /* bit n: max_seq - n was seen */
	__u32 max_seq;	  /* highest extended sequence number of this segment; 0: no RTP yet */
	__u32 ssrc;	  /* valid when max_seq is not 0 */
	__u32 longest_us; /* longest gap between two packets */
	__u32 timed_ts;	  /* RTP timestamp of the last packet that was timed, see clock */
	__u32 jitter_q4;  /* current jitter */
	__u32 jitter_max_q4;
	__u32 jitter_sum_q4; /* over jitter_count; both are halved before they overflow */
	__u16 jitter_count;
	__u8 payload_type; /* of the last packet that was timed */
	__u8 clock;	   /* enum rtpx_clock */

	__u64 first_ns;	      /* arrival of the first packet */
	__u64 daemon_packets; /* packets that no dataplane forwarded */
	__u64 strangers;      /* dropped: not from the peer */
	__u32 base_seq;	      /* extended sequence number that began this segment */
	__u32 segments;	      /* SSRC changes and sequence jumps, the first packet included */
	__u32 sent_prior;     /* packets expected in the segments before this one */
	__u32 duplicates;
	__u32 errors;	  /* not parsable as RTP */
	__u32 unmirrored; /* forwarded, but there was no room for the copy */
	__u32 timed_at;	  /* arrival of the packet of timed_ts, in 1.024 us */
	__u32 reordered;  /* arrived after a packet with a later number; not duplicates */
};

/* Rates of RTP clocks in Hz: of static payload types (RFC 3551 section 6), and of common others. */
#define RTPX_CLOCKS(X) \
	X(8000) X(11025) X(16000) X(22050) X(24000) X(32000) X(44100) X(48000) X(90000)

enum rtpx_clock {
	RTPX_CLOCK_NONE,   /* no packet was timed yet */
	RTPX_CLOCK_SOUGHT, /* the measurement of the rate began at timed_at and timed_ts */
#define RTPX_CLOCK_ENUM(hz) RTPX_CLOCK_##hz,
	RTPX_CLOCKS(RTPX_CLOCK_ENUM)
#undef RTPX_CLOCK_ENUM
};

#define RTPX_TIMED_EVERY 64 /* packets */
/*
 * Values of rtpx_entry.pending. NEW: nothing is pending, and the next packet is out of the
 * ordinary. MOVING: the counts are being moved to flows_more.
 */
#define RTPX_PENDING_NEW 255
#define RTPX_PENDING_MOVING 254

/*
 * An element of the map `flows`: one cache line, which is all that an ordinary IPv4 packet touches
 * of its flow. It holds the flow, and the counts since the statistics in `flows_more` were brought
 * up to date, which happens after RTPX_TIMED_EVERY packets at most. rtpx_entry.h writes and reads
 * both.
 *
 * Ports and pairs of addresses stand as in a packet, in network order, so that the program compares
 * and copies them as they are. Sums are one's complement sums of 16-bit words in the packet's byte
 * order.
 */
struct rtpx_entry {
	/* odd: being written; a reader that sees it odd or changed leaves the packet alone */
	__u16 seq;
	__u8 flags; /* enum rtpx_flow_flag */
	__u8 tos;
	__u8 ttl;
	__u8 pending;  /* packets counted here */
	__u16 nexthop; /* element of `nexthops`; changes by one store, without seq */
	__be16 peer_port;
	/* sum of old minus new addresses and ports, without the arriving source port */
	__u16 sum_change;
	__be16 out_port;
	__be16 dest_port;
	__u8 peer4[4];
	__u8 local4[4];
	__u8 out4[4];
	__u8 dest4[4];
	__u64 last_ns;
	__u64 window;
	__u32 ssrc;
	__u32 bytes; /* of the pending packets */
	__u32 longest_us;
	__u16 max_seq;	  /* lower 16 bits */
	__u16 sum_pseudo; /* sum of the incoming UDP pseudo-header, without its length */
};

/*
 * The element of the map `flows_more` at the same index: fields that only some packets need, and
 * fields for people.
 */
struct rtpx_entry_more {
	struct rtpx_flow_stats stats;
	__u16 port; /* agrees with the element's index */
	__u16 second_port;
	__u32 call;
	char label[RTPX_LABEL_LEN];
	__u8 event_type;
	__u8 strangers;
	__u8 local6[16];
	__u8 peer6[16];
	__u8 out6[16];
	__u8 dest6[16];
	__u8 second[16];
};

/*
 * A record of the ring buffer `mirror`: a forwarded packet of a mirrored flow, as it arrived. The
 * UDP payload follows, at most its first RTPX_MIRROR_MAX bytes.
 */
struct rtpx_mirrored {
	__u64 arrival_ns;
	__u32 call; /* rtpx_flow.call */
	__u16 port; /* local port */
	__u16 peer_port;
	__u8 local[16]; /* destination; the first 4 bytes with IPv4 */
	__u8 peer[16];	/* source */
	__u8 family;	/* enum rtpx_family */
	__u8 pad[7];
};

#define RTPX_MIRROR_MAX 8192 /* bytes of the payload */

#define RTPX_LABEL_MASK 0xfffff /* IPv6's flow label, RFC 6437 */
#define RTPX_ECN_MASK 3		/* of the TOS or traffic class, RFC 3168 */

/*
 * An element of the map `nexthops`: the way of packets onto the wire. All flows with this way share
 * it. All zero: not resolved, packets are passed.
 */
struct rtpx_nexthop {
	__u8 dst_mac[6]; /* dst_mac and src_mac stand as in the frame */
	__u8 src_mac[6];
	__u16 vlan;	  /* 802.1Q TCI to push; 0: none */
	__u16 mtu;	  /* largest IP packet in bytes; 0: this next hop is not usable */
	__u16 plain_mtu;  /* mtu if no tag is to be pushed, else 0 */
	__u16 tx_port;	  /* index into tx_ports; 0 is never given out */
	__u32 ifindex;	  /* of the device that tx_port names */
	__u32 neigh;	  /* the daemon's number of the neighbour with dst_mac; 0: not known */
	__u32 label_mask; /* bits of IPv6's flow label to use; 0: the label is 0 */
} __attribute__((aligned(8)));

/*
 * An element of the map `ingress`: an interface of the program, or a port of a bond that is one. It
 * lies at ifindex % RTPX_INGRESSES. If that is taken, it lies further on, less
 * than RTPX_INGRESS_TRIES elements away. The first element follows the last.
 */
struct rtpx_ingress {
	__u32 ifindex; /* 0: none */
	__u8 pad[2];
	__u8 mac[6]; /* its link address */
	/* link addresses at which this host takes untagged frames, too; unused ones equal mac */
	struct {
		__u8 pad[2];
		__u8 mac[6];
	} others[RTPX_INGRESS_OTHERS];
	/* a bit per VLAN id, lowest first: the host has a device for it; id 0 needs no device */
	__u8 vlans[512];
};

/*
 * The same for most frames, as the program reads it first: link addresses of interfaces that lie at
 * ifindex % RTPX_INGRESSES, in `plain_ingress`. It is the program's own memory, and empty in a new
 * program.
 */
struct rtpx_plain_ingress {
	__u64 mac;     /* see rtpx_mac() */
	__u32 ifindex; /* 0: none */
	__u32 pad;
};

/*
 * The pools of single addresses, as the program finds them: a constant of the program. An address
 * is at rtpx_pool_slot() of its family, and no two are at the same.
 */
struct rtpx_pools {
	__u32 factor;
	struct rtpx_pool_at {
		__u32 key;  /* rtpx_pool_key() */
		__u32 pool; /* 0: none */
	} at[RTPX_FAMILIES][RTPX_POOL_SLOTS];
};

/* The only element of the map `config`. */
struct rtpx_config {
	__u32 abi_version; /* RTPX_ABI_VERSION */
	__u16 port_min;	   /* first port of each family */
	__u16 port_max;	   /* last port of each family */
	/* enum rtpx_strangers: after so long without packets the peer is silent */
	__u32 silence_ms;
	/* a number that the successive daemons of these maps know them by; any value */
	__u32 instance;
	__u32 pools;	 /* number of pools */
	__u32 addresses; /* a checksum over the addresses of the pools; 0: only families */
};

/*
 * Outcomes of a packet in a dataplane, in their only table: name, text. `relayed` comes first. A
 * name with `drop_` is a drop. All other packets go to the stack untouched.
 */
#define RTPX_REASONS(X)                                                                        \
	X(relayed, "forwarded")                                                                \
	X(drop_stranger, "dropped: the source is not the call's peer")                         \
	X(pass_not_ip, "not IPv4 or IPv6")                                                     \
	X(pass_not_udp, "not UDP")                                                             \
	X(pass_fragment, "IP fragment")                                                        \
	X(pass_options, "IPv4 options or IPv6 extension header")                               \
	X(pass_malformed, "lengths do not agree with the packet")                              \
	X(pass_not_media, "UDP port outside the media range")                                  \
	X(pass_no_flow, "no flow on this port")                                                \
	X(pass_not_local, "destination address is not the call's")                             \
	X(pass_busy, "the flow was being written")                                             \
	X(pass_ttl, "TTL or hop limit would expire")                                           \
	X(pass_stun, "STUN message")                                                           \
	X(pass_event, "telephone event (DTMF), the daemon reports it")                         \
	X(pass_open, "unknown source, the daemon decides")                                     \
	X(pass_second, "from the signalled address, which is not the peer's")                  \
	X(pass_relatch, "unknown source while the peer is silent, the daemon decides")         \
	X(pass_nexthop, "next hop not resolved")                                               \
	X(pass_too_big, "larger than the next hop's MTU")                                      \
	X(pass_merged, "several packets merged into one, or put together again")               \
	X(pass_checksum, "checksum left to the hardware: perhaps several packets in one")      \
	X(pass_other_mac, "link address of another station, of a group, or of a device above") \
	X(pass_no_vlan, "VLAN for which this host has no device")                              \
	X(pass_ip_checksum, "wrong IPv4 header checksum")                                      \
	X(pass_no_checksum, "IPv6 without a UDP checksum")                                     \
	X(pass_adjust, "no room to change the header's size")

enum rtpx_reason {
#define RTPX_REASON_ENUM(name, text) RTPX_REASON_##name,
	RTPX_REASONS(RTPX_REASON_ENUM)
#undef RTPX_REASON_ENUM
		RTPX_REASON_COUNT,
};

/* Outcomes of the copies of forwarded packets. */
#define RTPX_MIRROR_COUNTS(X)                 \
	X(mirrored, "copied for a recording") \
	X(mirror_full, "not copied for a recording: the ring buffer was full")

/*
 * The only element of the map `counters`: packets by reason, in the order of enum rtpx_reason; then
 * copies.
 */
struct rtpx_counters {
#define RTPX_REASON_FIELD(name, text) __u64 name;
	RTPX_REASONS(RTPX_REASON_FIELD)
	RTPX_MIRROR_COUNTS(RTPX_REASON_FIELD)
#undef RTPX_REASON_FIELD
};

#define RTPX_ASSERT(what) _Static_assert(what, #what)
RTPX_ASSERT(sizeof(struct rtpx_flow) == 168);
RTPX_ASSERT(sizeof(struct rtpx_flow_stats) == 120);
RTPX_ASSERT(sizeof(struct rtpx_entry) == 64);
RTPX_ASSERT(sizeof(struct rtpx_entry_more) == 256);
RTPX_ASSERT(sizeof(struct rtpx_nexthop) == 32);
RTPX_ASSERT(sizeof(struct rtpx_ingress) == 556);
RTPX_ASSERT(sizeof(struct rtpx_config) == 24);
RTPX_ASSERT(sizeof(struct rtpx_mirrored) == 56);
RTPX_ASSERT(sizeof(struct rtpx_counters) == 8 * (RTPX_REASON_COUNT + 2));

/*
 * rtpx_flow_index - the element of a local port in `flows` and `flows_more`.
 * The caller has checked that @pool is a pool and @port within port_min and port_max. Pools below
 * RTPX_FAMILIES are those of families.
 */
static inline __u32 rtpx_flow_index(const struct rtpx_config *c, __u32 pool, __u32 port)
{
	return pool * (c->port_max - c->port_min + 1u) + (port - c->port_min);
}

/* rtpx_pool_key - an address as one number. */
static inline __u32 rtpx_pool_key(__u32 family, const void *ip)
{
	const __u32 *w = (const __u32 *)ip;

	return family == RTPX_FAMILY_IP4 ? w[0] : ((w[0] * 5 + w[1]) * 5 + w[2]) * 5 + w[3];
}

static inline __u32 rtpx_pool_slot(__u32 factor, __u32 key)
{
	return key * factor / (0x100000000ull / RTPX_POOL_SLOTS);
}

/* rtpx_mac - a link address as one number; @first: the first 8 bytes of a frame. */
static inline __u64 rtpx_mac(__u64 first)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first << 16;
#else
	return first >> 16;
#endif
}

#endif
