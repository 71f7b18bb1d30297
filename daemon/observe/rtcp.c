/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtcp.c - reads sender reports and receiver reports. Other parts of a packet are skipped.
 */
#include "observe/rtcp.h"

#include <errno.h>
#include <stdio.h>

#define PART_HEAD 4	/* version, count, type, length */
#define BLOCK_BYTES 24	/* a report block */
#define SENDER_BYTES 20 /* sender information */
#define TYPE_FIRST 192	/* the types that RTCP may use: RFC 5761, 4 */
#define TYPE_LAST 223
#define TYPE_SR 200
#define TYPE_RR 201

struct part {
	uint8_t type, count;
	const uint8_t *body;
	size_t len; /* of the body */
};

/* A text that grows; it is long enough for 31 report blocks of the longest numbers. */
struct text {
	size_t len;
	char buf[RTCP_JSON_MAX];
};

static uint32_t rtcp_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_report(const struct part *p)
{
	return p->type == TYPE_SR || p->type == TYPE_RR;
}

static size_t bytes_needed(const struct part *p)
{
	if (!is_report(p))
		return 0;
	return 4 + (p->type == TYPE_SR ? SENDER_BYTES : 0) + (size_t)p->count * BLOCK_BYTES;
}

/* The first part of @data. Returns its length with the head, or 0 if it is not RTCP. */
static size_t part_take(struct part *out, const uint8_t *data, size_t len)
{
	size_t whole;

	if (len < PART_HEAD || data[0] >> 6 != 2)
		return 0;
	whole = 4 * (((size_t)data[2] << 8 | data[3]) + 1);
	if (whole > len || data[1] < TYPE_FIRST || data[1] > TYPE_LAST)
		return 0;
	*out = (struct part){ data[1], data[0] & 0x1f, data + PART_HEAD, whole - PART_HEAD };
	return bytes_needed(out) <= out->len ? whole : 0;
}

#define ADD(t, ...)  \
	((t)->len += \
	 (size_t)snprintf((t)->buf + (t)->len, sizeof((t)->buf) - (t)->len, __VA_ARGS__))

static void add_sender(struct text *t, const uint8_t *p)
{
	ADD(t,
	    "\"sender_information\":{\"ntp_timestamp_sec\":%u,\"ntp_timestamp_usec\":%u,"
	    "\"rtp_timestamp\":%u,\"packets\":%u,\"octets\":%u},",
	    rtcp_u32(p), rtcp_u32(p + 4), rtcp_u32(p + 8), rtcp_u32(p + 12), rtcp_u32(p + 16));
}

/* The number of lost packets is signed, of 24 bits. */
static int32_t lost_of(const uint8_t *block)
{
	return (int32_t)(rtcp_u32(block + 4) << 8) / 256;
}

static void add_block(struct text *t, const uint8_t *b)
{
	ADD(t,
	    "{\"source_ssrc\":%u,\"fraction_lost\":%u,\"packets_lost\":%d,\"highest_seq_no\":%u,"
	    "\"ia_jitter\":%u,\"lsr\":%u,\"dlsr\":%u}",
	    rtcp_u32(b), b[4], lost_of(b), rtcp_u32(b + 8), rtcp_u32(b + 12), rtcp_u32(b + 16),
	    rtcp_u32(b + 20));
}

static void write_report(struct text *t, const struct part *p)
{
	const uint8_t *at = p->body + 4;

	t->len = 0;
	ADD(t, "{\"ssrc\":%u,", rtcp_u32(p->body));
	if (p->type == TYPE_SR) {
		add_sender(t, at);
		at += SENDER_BYTES;
	}
	ADD(t, "\"type\":%u,\"report_count\":%u,\"report_blocks\":[", p->type, p->count);
	for (unsigned int i = 0; i < p->count; i++) {
		if (i)
			ADD(t, ",");
		add_block(t, at + (size_t)i * BLOCK_BYTES);
	}
	ADD(t, "]}");
}

static bool is_whole(const uint8_t *data, size_t len)
{
	struct part p;
	size_t n;

	if (!len)
		return false;
	for (; len; data += n, len -= n) {
		n = part_take(&p, data, len);
		if (!n)
			return false;
	}
	return true;
}

/* Take the next report off the packet, which is_whole(). False: there is none. */
static bool report_take(struct part *out, const uint8_t **data, size_t *len)
{
	while (*len) {
		size_t n = part_take(out, *data, *len);

		*data += n;
		*len -= n;
		if (is_report(out))
			return true;
	}
	return false;
}

int rtcp_reports(const uint8_t *data, size_t data_len,
		 void (*report)(void *arg, const char *json, size_t len), void *arg)
{
	struct part p = { 0 };
	struct text t;
	int reports = 0;

	if (!is_whole(data, data_len))
		return -EINVAL;
	for (; report_take(&p, &data, &data_len); reports++) {
		write_report(&t, &p);
		report(arg, t.buf, t.len);
	}
	return reports;
}

int rtcp_stamps(const uint8_t *data, size_t data_len,
		void (*stamp)(void *arg, const struct rtcp_stamp *stamp), void *arg)
{
	struct part p = { 0 };
	int reports = 0;

	if (!is_whole(data, data_len))
		return -EINVAL;
	for (; report_take(&p, &data, &data_len); reports++) {
		const uint8_t *at = p.body + 4;

		if (p.type == TYPE_SR) {
			stamp(arg,
			      &(struct rtcp_stamp){ true, rtcp_u32(p.body), rtcp_u32(at + 2), 0 });
			at += SENDER_BYTES;
		}
		for (unsigned int i = 0; i < p.count; i++, at += BLOCK_BYTES)
			stamp(arg, &(struct rtcp_stamp){ false, rtcp_u32(at), rtcp_u32(at + 16),
							 rtcp_u32(at + 20) });
	}
	return reports;
}
