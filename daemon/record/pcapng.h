/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.h - packets as blocks of a pcapng stream (draft-ietf-opsawg-pcapng), in host byte order,
 * with times in nanoseconds and the made-up Ethernet headers of record/format.h. Pure.
 */
#ifndef RTPX_PCAPNG_H
#define RTPX_PCAPNG_H

#include "record/format.h"

#define PCAPNG_MAX_HEAD 256
#define PCAPNG_MAX_COMMENT 64 /* bytes of a comment; more are cut off */
#define PCAPNG_MAX_PACKET (FORMAT_MAX_RECORD + 64 + PCAPNG_MAX_COMMENT)
#define PCAPNG_LOSS 64

/* pcapng_head - section header and the one interface, @name. Returns the length. */
size_t pcapng_head(const char *name, uint8_t out[PCAPNG_MAX_HEAD]);

/* pcapng_packet - one packet; @id as format_record(). Returns the length. */
size_t pcapng_packet(const struct format_packet *p, uint16_t id, const char *comment,
		     uint8_t out[PCAPNG_MAX_PACKET]);

/* pcapng_loss - interface statistics: the number of @lost packets so far. Returns the length. */
size_t pcapng_loss(uint64_t realtime_ns, uint64_t lost, uint8_t out[PCAPNG_LOSS]);

#endif
