/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.h - the internet checksum (RFC 1071), of data in network byte order. */
#ifndef RTPX_CHECKSUM_H
#define RTPX_CHECKSUM_H

#include "base/base.h"

/*
 * checksum_add - the sum of 32-bit words, added to @sum. The bytes that are left over are filled up
 * with zeros, so only the last of several pieces may have an odd length.
 */
static inline uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	return sum + word;
}

/* checksum_end - the checksum of a sum, in network byte order. */
static inline uint16_t checksum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

#endif
