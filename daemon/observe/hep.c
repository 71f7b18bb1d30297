/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hep.c - writes the chunks of a message. It sends nothing.
 */
#include "observe/hep.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define HEAD 6	     /* "HEP3" and the length */
#define CHUNK_HEAD 6 /* vendor, type, length */

/* Types of chunks, of vendor 0. */
enum {
	CHUNK_FAMILY = 1,
	CHUNK_PROTOCOL = 2,
	CHUNK_SRC_IP4 = 3,
	CHUNK_DST_IP4 = 4,
	CHUNK_SRC_IP6 = 5,
	CHUNK_DST_IP6 = 6,
	CHUNK_SRC_PORT = 7,
	CHUNK_DST_PORT = 8,
	CHUNK_SECONDS = 9,
	CHUNK_MICROSECONDS = 10,
	CHUNK_TYPE = 11,
	CHUNK_AGENT = 12,
	CHUNK_PAYLOAD = 15,
	CHUNK_CORRELATION = 17,
};

static uint8_t *put16(uint8_t *at, size_t n)
{
	*at++ = (uint8_t)(n >> 8);
	*at++ = (uint8_t)n;
	return at;
}

static uint8_t *put_bytes(uint8_t *at, unsigned int type, const void *value, size_t len)
{
	at = put16(at, 0);
	at = put16(at, type);
	at = put16(at, CHUNK_HEAD + len);
	if (len)
		memcpy(at, value, len);
	return at + len;
}

/* @bytes: of the number, 1, 2 or 4. */
static uint8_t *put_number(uint8_t *at, unsigned int type, uint32_t n, unsigned int bytes)
{
	uint8_t value[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
			     (uint8_t)n };

	return put_bytes(at, type, value + 4 - bytes, bytes);
}

int hep_encode(const struct hep_packet *p, uint8_t *out)
{
	bool ip6 = p->src.family == ADDR_IP6;
	size_t room = HEP_MAX - HEP_OVERHEAD;
	uint8_t *at = out + HEAD;

	if (p->payload.len > room)
		return -EMSGSIZE;
	at = put_number(at, CHUNK_FAMILY, ip6 ? AF_INET6 : AF_INET, 1);
	at = put_number(at, CHUNK_PROTOCOL, IPPROTO_UDP, 1);
	at = put_bytes(at, ip6 ? CHUNK_SRC_IP6 : CHUNK_SRC_IP4, p->src.ip, addr_ip_len(&p->src));
	at = put_bytes(at, ip6 ? CHUNK_DST_IP6 : CHUNK_DST_IP4, p->dst.ip, addr_ip_len(&p->dst));
	at = put_number(at, CHUNK_SRC_PORT, p->src.port, 2);
	at = put_number(at, CHUNK_DST_PORT, p->dst.port, 2);
	at = put_number(at, CHUNK_SECONDS, (uint32_t)(p->realtime_ns / NSEC_PER_SEC), 4);
	at = put_number(at, CHUNK_MICROSECONDS, (uint32_t)(p->realtime_ns % NSEC_PER_SEC / 1000),
			4);
	at = put_number(at, CHUNK_TYPE, p->type, 1);
	at = put_number(at, CHUNK_AGENT, p->agent, 4);
	at = put_bytes(at, CHUNK_CORRELATION, p->correlation.p,
		       MIN(p->correlation.len, room - p->payload.len));
	at = put_bytes(at, CHUNK_PAYLOAD, p->payload.p, p->payload.len);
	memcpy(out, "HEP3", 4);
	put16(out + 4, (size_t)(at - out));
	return (int)(at - out);
}
