/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * traffic.h - what the generator's and the sink's XDP programs share with traffic.c through one
 * mapped variable.
 *
 * Addresses, ports and the frame are in network byte order as they stand on the wire.
 */
#ifndef BENCH_TRAFFIC_H
#define BENCH_TRAFFIC_H

#include <linux/types.h>

#define BENCH_MAX_FLOWS 65536 /* a power of two */
#define BENCH_MAX_CPUS 64     /* a power of two */
#define BENCH_MAGIC 0x72747078

/*
 * The frame: Ethernet, IPv4, UDP, RTP, then the bench's mark and send time, then a constant
 * filling.
 */
#define BENCH_HEADERS 42
#define BENCH_RTP 12
#define BENCH_PAYLOAD 160
#define BENCH_FRAME (BENCH_HEADERS + BENCH_RTP + BENCH_PAYLOAD)
#define BENCH_BACKLOG_NS 200000 /* a paced generator that was held up forgets what is older */

/*
 * Latencies in nanoseconds: 16 buckets to each power of two, so a bucket is at most 1/16 wide. What
 * is longer than 2^36 ns ends in the last one.
 */
#define BENCH_BUCKETS (34 * 16)

struct bench_pair {
	__be16 src, dst; /* UDP ports of a flow as it leaves the generator */
};

/* The addresses of a flow, where flows have several: from and to the relay, and from it to the sink. */
struct bench_hosts {
	__be32 src, dst, sink;
};

/* What after the UDP header differs between two packets; the sink looks at mark and sent_ns. */
struct bench_rtp {
	__u8 version, payload_type;
	__be16 seq;
	__be32 timestamp;
	__be32 ssrc;
	__be32 mark;
	__u64 sent_ns; /* 0: no time was taken */
} __attribute__((packed));

/*
 * One CPU's share of the generator. A flow always leaves from the same CPU, as from a NIC with RSS.
 */
struct bench_lane {
	__u32 first, step; /* flows first, first + step, … */
	__u32 flow;	   /* the next one */
	__u32 round;	   /* times that all of them were sent */
	__u64 interval_ns; /* between two packets; 0: as fast as it goes */
	__u64 next_ns;	   /* when the next one is due */
	__u64 sent;
	__u64 skipped_ns; /* time that was forgotten, see BENCH_BACKLOG_NS */
	__u64 pad[9];
};

struct bench_sink {
	__u64 received;
	__u64 foreign; /* frames that are not the generator's */
	__u64 wrong;   /* verify: not what a relay must make of it */
	__u64 partial; /* verify: right, with a checksum left to a NIC */
	__u64 pad[12];
	__u64 latency[BENCH_BUCKETS];
};

struct bench_shared {
	__u32 flows;
	__u32 stamp;	/* write send times */
	__u32 verify;	/* the sink checks addresses, ports and checksums */
	__u32 many;	/* flows have the addresses of `hosts` instead of those of `headers` */
	__be32 sink_ip; /* verify: what packets must be addressed to, without `many` */
	/* one's complement sum of what the UDP checksum covers and never changes */
	__u64 sum;
	/* what UDP's checksum field has when it is left to a NIC: the sum of the pseudo-header alone */
	__u64 unfinished;
	__u8 headers[BENCH_HEADERS + 6];
	struct bench_lane lanes[BENCH_MAX_CPUS];
	struct bench_sink sinks[BENCH_MAX_CPUS];
	struct bench_pair pairs[BENCH_MAX_FLOWS];
	struct bench_hosts hosts[BENCH_MAX_FLOWS];
};

#endif
