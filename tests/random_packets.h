/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random_packets.h - what the packet table has not thought of, for every dataplane: its frames with
 * random bytes changed, and RTP streams as a bad network delivers them. What must hold for them is
 * here, too.
 */
#ifndef RTPX_TESTS_RANDOM_PACKETS_H
#define RTPX_TESTS_RANDOM_PACKETS_H

#include <time.h>

#include "packets.h"
#include "rtpx_verdict.h"

static inline uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Lengths and checksums of what leaves agree, whatever came. */
static inline bool frame_holds(const uint8_t *frame, size_t len, bool sum_may_be_wrong)
{
	size_t l3 = frame[12] == 0x81 ? 18 : 14, header = frame[l3 - 2] == 0x86 ? 40 : 20, bytes;
	const uint8_t *ip = frame + l3, *udp = ip + header;
	struct packet_headers h = { .ip6 = header == 40 };

	if (len < l3 + header + 8)
		return false;
	bytes = udp[4] << 8 | udp[5];
	if (bytes < 8 || l3 + header + bytes > len)
		return false;
	if (h.ip6 ? (size_t)(ip[4] << 8 | ip[5]) != bytes
		  : (size_t)(ip[2] << 8 | ip[3]) != header + bytes)
		return false;
	if (!h.ip6 && sum16(ip, 20, 0) != 0xffff)
		return false;
	if (!udp[6] && !udp[7])
		return !h.ip6;
	memcpy(h.src, h.ip6 ? ip + 8 : ip + 12, h.ip6 ? 16 : 4);
	memcpy(h.dst, h.ip6 ? ip + 24 : ip + 16, h.ip6 ? 16 : 4);
	h.payload_bytes = bytes - 8;
	return sum_may_be_wrong || sum16(udp, bytes, pseudo_sum(&h)) == 0xffff;
}

/* Was the UDP checksum of an arriving frame wrong? Then it leaves so, for the receiver to see. */
static inline bool arrives_broken(const struct packet_row *r, const uint8_t *f)
{
	size_t l3 = packet_l3(r->tag_in), header = packet_in_is_6(r) ? 40 : 20, bytes;
	const uint8_t *ip = f + l3, *udp = ip + header;
	struct packet_headers h = { .ip6 = header == 40 };
	uint32_t check = udp[6] << 8 | udp[7];

	bytes = udp[4] << 8 | udp[5];
	memcpy(h.src, h.ip6 ? ip + 8 : ip + 12, h.ip6 ? 16 : 4);
	memcpy(h.dst, h.ip6 ? ip + 24 : ip + 16, h.ip6 ? 16 : 4);
	h.payload_bytes = bytes - 8;
	return check && check != pseudo_sum(&h) && sum16(udp, bytes, pseudo_sum(&h)) != 0xffff;
}

/* A frame of the table's, with some bytes changed; returns its length, and *@row. */
static inline size_t random_frame(uint64_t *seed, const struct packet_row **row, uint8_t *in)
{
	const struct packet_row *r =
		&packet_rows[next_random(seed) % (sizeof(packet_rows) / sizeof(packet_rows[0]))];
	size_t len = packet_in(r, in), changes = 1 + next_random(seed) % 4;

	while (changes--) {
		/* Headers are where it hurts: three of four changes go there. */
		size_t at =
			next_random(seed) % (next_random(seed) % 4 ? (len < 62 ? len : 62) : len);

		in[at] = next_random(seed);
	}
	/* Most of them with a header checksum that holds, or hardly any would get far. */
	if (!packet_in_is_6(r) && len > packet_l3(r->tag_in) + 60 && next_random(seed) % 8)
		fix_ip4_sum(in + packet_l3(r->tag_in));
	if (!(next_random(seed) % 8) && len > 16)
		len = 15 + next_random(seed) % (len - 15);
	*row = r;
	return len;
}

/* ---- streams ---- */

#define STREAM_PACKETS 20000

/* How streams reach the program: each row takes another way through it. */
static const struct packet_row stream_rows[] = {
	{ .name = "stream, v4", .family = P44, .payload_bytes = 172 },
	{ .name = "stream, v6", .family = P66, .payload_bytes = 172 },
	{ .name = "stream, v4 to v6", .family = P46, .payload_bytes = 172, .sum = SUM_PARTIAL },
	{ .name = "stream, v4, tag in", .family = P44, .payload_bytes = 172, .tag_in = true },
	{ .name = "stream, RTCP", .family = P44, .payload = PAYLOAD_RTCP, .payload_bytes = 172 },
};

/* A bad network's next packet: in order, after a loss, twice, late, of a new sender, or no RTP; some with a marker. */
static inline struct rtpx_packet stream_packet(uint64_t *seed, struct rtpx_packet p)
{
	unsigned int dice = next_random(seed) % 1000;

	p.kind = dice < 970 ? RTPX_PAYLOAD_RTP : RTPX_PAYLOAD_OTHER;
	if (dice < 800 || dice >= 970)
		p.rtp_seq++;
	else if (dice < 850)
		p.rtp_seq += next_random(seed) % 70;
	else if (dice < 940)
		p.rtp_seq -= next_random(seed) % 70;
	else if (dice < 945)
		p.rtp_seq += 530 + next_random(seed) % 12;
	else if (dice < 950)
		p.rtp_seq -= 530 + next_random(seed) % 12;
	else
		p.ssrc++;
	if (dice >= 960)
		p.rtp_seq++;
	p.rtp_ts = 160u * p.rtp_seq;
	p.marker = next_random(seed) % 8 ? 0 : 0x80;
	return p;
}

/* The frame of @p on the way of @r. Its checksum is wrong, which is the receiver's business. */
static inline size_t stream_frame(uint64_t *seed, const struct packet_row *r, struct rtpx_packet *p,
				  uint8_t *frame)
{
	enum { NOT_VERSION_2, RTCP_TYPE, CUT_SHORT, CUT_BY_SOURCES, WAYS };
	unsigned int how = p->kind == RTPX_PAYLOAD_RTP ? WAYS : next_random(seed) % WAYS;
	struct packet_row row = *r;
	uint8_t *rtp = frame + packet_l3(r->tag_in) + (packet_in_is_6(r) ? 40 : 20) + 8;
	size_t len;

	row.twist = TWIST_PAD;
	if (how == CUT_SHORT)
		row.payload_bytes = 11;
	else if (how == CUT_BY_SOURCES)
		row.payload_bytes = 12 + 4 * 15 - 1;
	p->payload_bytes = row.payload_bytes;
	len = packet_in(&row, frame);
	rtp[0] = 0x80;
	rtp[1] = p->marker;
	put16(rtp + 2, p->rtp_seq);
	put32(rtp + 4, p->rtp_ts);
	if (row.payload_bytes >= 12)
		put32(rtp + 8, p->ssrc);
	if (how == NOT_VERSION_2)
		rtp[0] = 0x40;
	else if (how == RTCP_TYPE)
		rtp[1] = 200 + next_random(seed) % 8;
	else if (how == CUT_BY_SOURCES)
		rtp[0] = 0x8f;
	return len;
}

/* How statistics differ from what they should be; NULL: they do not. */
static inline const char *stream_differs(const struct rtpx_flow_stats *is,
					 const struct rtpx_flow_stats *want)
{
	if (is->packets != want->packets || is->bytes != want->bytes)
		return "packets or bytes";
	if (is->segments != want->segments || is->ssrc != want->ssrc ||
	    is->sent_prior != want->sent_prior)
		return "segments";
	if (is->base_seq != want->base_seq || is->max_seq != want->max_seq ||
	    is->window != want->window)
		return "sequence numbers";
	if (is->duplicates != want->duplicates || is->errors != want->errors)
		return "duplicates or errors";
	if (rtpx_stats_expected(is) != rtpx_stats_expected(want) ||
	    rtpx_stats_lost(is) != rtpx_stats_lost(want))
		return "expected or lost";
	return want->last_ns - is->last_ns + 1000000000 > 2000000000 ? "time of the last packet"
								     : NULL;
}

#endif
