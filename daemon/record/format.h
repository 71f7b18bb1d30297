/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.h - encodes a received packet as a record: rtpproxy's ad-hoc format, or pcap.
 *
 * Pure: works on bytes in memory. Also decodes ad-hoc records; libpcap reads pcap files. Both
 * formats are in host byte order.
 */
#ifndef RTPX_RECFORMAT_H
#define RTPX_RECFORMAT_H

#include "base/addr.h"
#include "base/base.h"

enum recformat {
	RECFORMAT_ADHOC, /* 30 bytes (rtpproxy protocol, "Ad-hoc format") and the payload */
	RECFORMAT_PCAP,	 /* classic pcap, microseconds, Ethernet with made-up MAC addresses */
};

#define RECFORMAT_MAX_PAYLOAD 8192 /* longest payload of a record */
#define RECFORMAT_MAX_HEAD 24
#define RECFORMAT_MAX_RECORD (RECFORMAT_MAX_PAYLOAD + 16 + 14 + 40 + 8)

/* The sender of a packet. A pcap tells it in the second byte of the source's MAC address. */
enum recformat_party { RECFORMAT_NO_PARTY, RECFORMAT_CALLER, RECFORMAT_CALLEE };

struct recformat_packet {
	/* as they arrived, both of the same family; ad-hoc records keep the source only */
	struct addr src, dst;
	enum recformat_party party;
	uint64_t realtime_ns; /* time of arrival, CLOCK_REALTIME */
	const uint8_t *data;  /* UDP payload, not owned */
	size_t len;
};

/* recformat_head - write the file header to @head; returns its length, 0 for ad-hoc files. */
size_t recformat_head(enum recformat format, uint8_t head[RECFORMAT_MAX_HEAD]);
size_t recformat_size(enum recformat format, const struct recformat_packet *p);
/*
 * recformat_record - write the record to @out: recformat_size() bytes, at most
 * RECFORMAT_MAX_RECORD. Returns its length. @id is the identification of the IPv4 header; the
 * caller counts it up.
 */
size_t recformat_record(enum recformat format, const struct recformat_packet *p, uint16_t id,
			uint8_t *out);

#define RECFORMAT_ADHOC_HEAD 30 /* bytes before the payload */
/* recformat_adhoc_len - the length of the payload that follows the whole head at @head. */
size_t recformat_adhoc_len(const uint8_t head[RECFORMAT_ADHOC_HEAD]);

/*
 * recformat_adhoc - decode the ad-hoc record at @in, with @len bytes available. Sets @out->data to
 * point into @in, and @out->dst to ADDR_NONE. Returns the record's length, 0 for a truncated
 * record, or -EINVAL for bytes that are not a record.
 */
int recformat_adhoc(const uint8_t *in, size_t len, struct recformat_packet *out);

#endif
