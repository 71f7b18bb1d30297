/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.h - encodes a received packet as a record: rtpproxy's ad-hoc format, or pcap.
 *
 * Pure: works on bytes in memory. Also decodes ad-hoc records; libpcap reads pcap files. Both
 * formats are in host byte order.
 */
#ifndef RTPX_FORMAT_H
#define RTPX_FORMAT_H

#include "base/addr.h"
#include "base/base.h"

enum format {
	FORMAT_ADHOC, /* 30 bytes (rtpproxy protocol, "Ad-hoc format") and the payload */
	FORMAT_PCAP,  /* classic pcap, microseconds, Ethernet with made-up MAC addresses */
};

#define FORMAT_MAX_PAYLOAD 8192 /* longest payload of a record */
#define FORMAT_MAX_HEAD 24
#define FORMAT_MAX_RECORD (FORMAT_MAX_PAYLOAD + 16 + 14 + 40 + 8)

/* The sender of a packet. A pcap tells it in the second byte of the source's MAC address. */
enum format_party { FORMAT_NO_PARTY, FORMAT_CALLER, FORMAT_CALLEE };

struct format_packet {
	/* as they arrived, both of the same family; ad-hoc records keep the source only */
	struct addr src, dst;
	enum format_party party;
	uint64_t realtime_ns; /* time of arrival, CLOCK_REALTIME */
	const uint8_t *data;  /* UDP payload, not owned */
	size_t len;
};

/* format_head - write the file header to @head; returns its length, 0 for ad-hoc files. */
size_t format_head(enum format format, uint8_t head[FORMAT_MAX_HEAD]);
size_t format_size(enum format format, const struct format_packet *p);
/*
 * format_record - write the record to @out: format_size() bytes, at most
 * FORMAT_MAX_RECORD. Returns its length. @id is the identification of the IPv4 header; the
 * caller counts it up.
 */
size_t format_record(enum format format, const struct format_packet *p, uint16_t id, uint8_t *out);

#define FORMAT_ADHOC_HEAD 30 /* bytes before the payload */
/* format_adhoc_len - the length of the payload that follows the whole head at @head. */
size_t format_adhoc_len(const uint8_t head[FORMAT_ADHOC_HEAD]);

/*
 * format_adhoc - decode the ad-hoc record at @in, with @len bytes available. Sets @out->data to
 * point into @in, and @out->dst to ADDR_NONE. Returns the record's length, 0 for a truncated
 * record, or -EINVAL for bytes that are not a record.
 */
int format_adhoc(const uint8_t *in, size_t len, struct format_packet *out);

/* format_is_pcap - true if the file's head is that of format_head(FORMAT_PCAP). */
bool format_is_pcap(const uint8_t head[FORMAT_MAX_HEAD]);

/*
 * format_read - as format_adhoc(), for a record of either format that format_record() has written.
 * A pcap record sets data, len and realtime_ns (whole microseconds) only.
 */
int format_read(enum format format, const uint8_t *in, size_t len, struct format_packet *out);

#endif
