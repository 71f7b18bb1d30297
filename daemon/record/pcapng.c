/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.c - writes blocks: type, length, body, options, length again, all in multiples of 4 bytes.
 */
#include "record/pcapng.h"

#define SECTION 0x0a0d0d0a
#define INTERFACE 1
#define STATISTICS 5
#define PACKET 6
#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define ETHERNET 1
#define PCAP_RECORD_HEAD 16 /* of format_record(), before the frame */

/* options */
#define END 0
#define COMMENT 1
#define IF_NAME 2
#define IF_TSRESOL 9
#define ISB_IFDROP 5
#define NANOSECONDS 9 /* if_tsresol: 10^-9 s */

static size_t padded_len(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static uint8_t *bytes_put(uint8_t *at, const void *data, size_t len)
{
	memcpy(at, data, len);
	memset(at + len, 0, padded_len(len) - len);
	return at + padded_len(len);
}

static uint8_t *put_32(uint8_t *at, uint32_t n)
{
	return bytes_put(at, &n, sizeof(n));
}

/* The higher half comes first, whatever the byte order. */
static uint8_t *time_put(uint8_t *at, uint64_t realtime_ns)
{
	return put_32(put_32(at, realtime_ns >> 32), (uint32_t)realtime_ns);
}

static uint8_t *put_option(uint8_t *at, uint16_t code, const void *value, uint16_t len)
{
	const uint16_t head[] = { code, len };

	return bytes_put(bytes_put(at, head, sizeof(head)), value, len);
}

/* Write the length at both ends of the block that begins at @block and ends before @at. */
static size_t block_finish(uint8_t *block, uint8_t *at)
{
	uint32_t len = (uint32_t)(at - block) + sizeof(len);

	memcpy(block + 4, &len, sizeof(len));
	memcpy(at, &len, sizeof(len));
	return len;
}

static size_t put_interface(const char *name, uint8_t *out)
{
	const uint16_t link[] = { ETHERNET, 0 };
	const uint8_t resolution = NANOSECONDS;
	uint8_t *at = put_32(put_32(out, INTERFACE), 0);

	at = put_32(bytes_put(at, link, sizeof(link)), 0); /* no limit of packets' lengths */
	at = put_option(at, IF_NAME, name, MIN(strlen(name), PCAPNG_MAX_COMMENT));
	at = put_option(at, IF_TSRESOL, &resolution, sizeof(resolution));
	return block_finish(out, put_option(at, END, NULL, 0));
}

size_t pcapng_head(const char *name, uint8_t out[PCAPNG_MAX_HEAD])
{
	const uint16_t version[] = { 1, 0 };
	const uint64_t unknown = UINT64_MAX; /* length of the section */
	uint8_t *at = put_32(put_32(put_32(out, SECTION), 0), BYTE_ORDER_MAGIC);
	size_t len;

	at = bytes_put(at, version, sizeof(version));
	len = block_finish(out, bytes_put(at, &unknown, sizeof(unknown)));
	return len + put_interface(name, out + len);
}

size_t pcapng_packet(const struct format_packet *p, uint16_t id, const char *comment,
		     uint8_t out[PCAPNG_MAX_PACKET])
{
	uint8_t record[FORMAT_MAX_RECORD];
	uint32_t len = (uint32_t)format_record(FORMAT_PCAP, p, id, record) - PCAP_RECORD_HEAD;
	uint8_t *at = put_32(put_32(put_32(out, PACKET), 0), 0); /* interface 0 */

	at = time_put(at, p->realtime_ns);
	at = put_32(put_32(at, len), len);
	at = bytes_put(at, record + PCAP_RECORD_HEAD, len);
	at = put_option(at, COMMENT, comment, MIN(strlen(comment), PCAPNG_MAX_COMMENT));
	return block_finish(out, put_option(at, END, NULL, 0));
}

size_t pcapng_loss(uint64_t realtime_ns, uint64_t lost, uint8_t out[PCAPNG_LOSS])
{
	uint8_t *at = time_put(put_32(put_32(put_32(out, STATISTICS), 0), 0), realtime_ns);

	at = put_option(at, ISB_IFDROP, &lost, sizeof(lost));
	return block_finish(out, put_option(at, END, NULL, 0));
}
