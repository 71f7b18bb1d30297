/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recformat.h - a received packet as a record of a recording: rtpproxy's ad-hoc format, or pcap.
 *
 * Pure: bytes in memory only. Reads ad-hoc records too; pcap files are libpcap's to read. Both
 * formats are in the byte order of the machine.
 */
#ifndef RTPX_RECFORMAT_H
#define RTPX_RECFORMAT_H

#include "base/addr.h"
#include "base/base.h"

enum recformat {
	RECFORMAT_ADHOC, /* 30 bytes (rtpproxy protocol, "Ad-hoc format") and the payload */
	RECFORMAT_PCAP,	 /* classic pcap, microseconds, Ethernet with made-up MAC addresses */
};

#define RECFORMAT_MAX_PAYLOAD 8192 /* of what is encoded */
#define RECFORMAT_MAX_HEAD 24
#define RECFORMAT_MAX_RECORD (RECFORMAT_MAX_PAYLOAD + 16 + 14 + 40 + 8)

struct recformat_packet {
	/* as it arrived, of one family; ad-hoc records keep the source only */
	struct addr src, dst;
	uint64_t realtime_ns; /* its arrival, CLOCK_REALTIME */
	const uint8_t *data;  /* UDP payload, not owned */
	size_t len;
};

/* recformat_head - what a file begins with; returns its length, which may be 0. */
size_t recformat_head(enum recformat format, uint8_t head[RECFORMAT_MAX_HEAD]);
size_t recformat_size(enum recformat format, const struct recformat_packet *p);
/*
 * recformat_record - write recformat_size() bytes, at most RECFORMAT_MAX_RECORD; returns how many.
 * @id: of the IPv4 header, the caller counts.
 */
size_t recformat_record(enum recformat format, const struct recformat_packet *p, uint16_t id,
			uint8_t *out);

/*
 * recformat_adhoc - decode the ad-hoc record at @in, of which @len bytes are there: @out->data
 * points into @in, @out->dst is ADDR_NONE. Returns the record's length; 0 when it is cut short;
 * -EINVAL for what is no record.
 */
int recformat_adhoc(const uint8_t *in, size_t len, struct recformat_packet *out);

#endif
