/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.c - each layer tells the next one: link type, then Ethernet types, then IP.
 */
#include <arpa/inet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stdlib.h>

#include "frame.h"

#define ETHER_BYTES 14
#define MAC_BYTES 6
#define NULL_BYTES 4
#define TAG_BYTES 4	/* a VLAN tag or an MPLS label */
#define PPPOE_BYTES 8	/* PPPoE's header and PPP's protocol */
#define LABEL_IS_LAST 1 /* bit of an MPLS label's third byte */

/* Ethernet types */
#define TYPE_IP4 0x0800
#define TYPE_IP6 0x86dd
#define TYPE_TAG 0x8100
#define TYPE_SERVICE_TAG 0x88a8
#define TYPE_OLD_SERVICE_TAG 0x9100
#define TYPE_PPPOE 0x8864
#define TYPE_MPLS 0x8847
#define TYPE_MPLS_MULTICAST 0x8848

#define EXTENSION_MAX 8 /* IPv6 headers before UDP */
#define DATAGRAM_MAX 65536

/* A datagram of which some fragments are there. */
struct parts {
	struct addr src, dst; /* without ports */
	uint32_t id;
	uint64_t age; /* larger is younger; 0: free */
	size_t end;   /* length of the whole; 0: the last fragment is missing */
	size_t got;
	uint8_t have[DATAGRAM_MAX / 8 / 8]; /* a bit for each 8 bytes */
	uint8_t *data;			    /* DATAGRAM_MAX bytes; NULL: never used */
};

#define PARTS_MAX 16

struct frame_fragments {
	struct parts parts[PARTS_MAX];
	uint64_t ages;
};

struct frame_fragments *frame_fragments_new(void)
{
	return calloc(1, sizeof(struct frame_fragments));
}

void frame_fragments_free(struct frame_fragments *f)
{
	size_t i;

	for (i = 0; f && i < PARTS_MAX; i++)
		free(f->parts[i].data);
	free(f);
}

size_t frame_fragments_waiting(const struct frame_fragments *f)
{
	size_t i, n = 0;

	for (i = 0; i < PARTS_MAX; i++)
		n += f->parts[i].age != 0;
	return n;
}

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static struct addr addr_of(enum addr_family family, const uint8_t *ip)
{
	struct addr a = { .family = family };

	memcpy(a.ip, ip, family == ADDR_IP6 ? 16 : 4);
	return a;
}

/* ---- UDP ---- */

static enum frame_found take_udp(const uint8_t *p, size_t len, struct frame_datagram *out)
{
	size_t bytes;

	if (len < sizeof(struct udphdr))
		return FRAME_PARTIAL;
	bytes = get16(p + 4);
	if (bytes < sizeof(struct udphdr))
		return FRAME_OTHER;
	if (bytes > len)
		return FRAME_PARTIAL;
	out->src.port = get16(p);
	out->dst.port = get16(p + 2);
	out->data = p + sizeof(struct udphdr);
	out->len = bytes - sizeof(struct udphdr);
	return FRAME_DATAGRAM;
}

/* ---- fragments ---- */

/* The parts of a datagram, else room for them in place of the oldest. NULL: no memory. */
static struct parts *parts_of(struct frame_fragments *f, const struct frame_datagram *d,
			      uint32_t id)
{
	struct parts *p, *oldest = &f->parts[0];

	for (p = f->parts; p < f->parts + PARTS_MAX; p++) {
		if (p->age && p->id == id && addr_eq(&p->src, &d->src) && addr_eq(&p->dst, &d->dst))
			return p;
		if (p->age < oldest->age)
			oldest = p;
	}
	if (!oldest->data)
		oldest->data = malloc(DATAGRAM_MAX);
	if (!oldest->data)
		return NULL;
	oldest->src = d->src;
	oldest->dst = d->dst;
	oldest->id = id;
	oldest->age = ++f->ages;
	oldest->end = oldest->got = 0;
	memset(oldest->have, 0, sizeof(oldest->have));
	return oldest;
}

/* A fragment of @len bytes at @at; @more: it is not the last. */
static enum frame_found take_fragment(struct frame_fragments *f, struct frame_datagram *out,
				      uint32_t id, size_t at, bool more, const uint8_t *data,
				      size_t len)
{
	struct parts *p;
	size_t unit;

	if (at + len > DATAGRAM_MAX || (more && len % 8))
		return FRAME_OTHER;
	p = parts_of(f, out, id);
	if (!p)
		return FRAME_PARTIAL;
	memcpy(p->data + at, data, len);
	for (unit = at / 8; unit < (at + len + 7) / 8; unit++) {
		p->got += !(p->have[unit / 8] >> (unit % 8) & 1);
		p->have[unit / 8] |= 1 << (unit % 8);
	}
	if (!more)
		p->end = at + len;
	if (!p->end || p->got < (p->end + 7) / 8)
		return FRAME_FRAGMENT;
	p->age = 0;
	return take_udp(p->data, p->end, out);
}

/* ---- IP ---- */

static enum frame_found take_ip4(const uint8_t *p, size_t len, struct frame_fragments *f,
				 struct frame_datagram *out)
{
	size_t head = (p[0] & 15) * 4, whole = get16(p + 2);
	unsigned int fragment = get16(p + 6);

	if (p[offsetof(struct iphdr, protocol)] != IPPROTO_UDP || head < sizeof(struct iphdr))
		return FRAME_OTHER;
	if (head > len)
		return FRAME_PARTIAL;
	out->src = addr_of(ADDR_IP4, p + offsetof(struct iphdr, saddr));
	out->dst = addr_of(ADDR_IP4, p + offsetof(struct iphdr, daddr));
	if (!(fragment & 0x3fff))
		return take_udp(p + head, len - head, out);
	if (whole < head || whole > len)
		return FRAME_PARTIAL;
	return take_fragment(f, out, get16(p + 4), (fragment & 0x1fff) * 8, fragment & 0x2000,
			     p + head, whole - head);
}

/* Extension headers of known form, then UDP. */
static enum frame_found take_ip6(const uint8_t *p, size_t len, struct frame_fragments *f,
				 struct frame_datagram *out)
{
	size_t at = sizeof(struct ipv6hdr), end = at + get16(p + 4);
	unsigned int next = p[offsetof(struct ipv6hdr, nexthdr)], n;

	out->src = addr_of(ADDR_IP6, p + offsetof(struct ipv6hdr, saddr));
	out->dst = addr_of(ADDR_IP6, p + offsetof(struct ipv6hdr, daddr));
	for (n = 0; n < EXTENSION_MAX && next != IPPROTO_UDP; n++) {
		if (len < at + 8)
			return FRAME_OTHER;
		if (next == IPPROTO_FRAGMENT)
			return p[at] != IPPROTO_UDP ? FRAME_OTHER
			       : end > len || end < at + 8
				       ? FRAME_PARTIAL
				       : take_fragment(f, out,
						       (uint32_t)get16(p + at + 4) << 16 |
							       get16(p + at + 6),
						       get16(p + at + 2) & 0xfff8,
						       get16(p + at + 2) & 1, p + at + 8,
						       end - at - 8);
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return FRAME_OTHER;
		next = p[at];
		at += 8 + p[at + 1] * 8;
	}
	if (next != IPPROTO_UDP)
		return FRAME_OTHER;
	return at > len ? FRAME_PARTIAL : take_udp(p + at, len - at, out);
}

static enum frame_found take_ip(const uint8_t *p, size_t len, struct frame_fragments *f,
				struct frame_datagram *out)
{
	if (len >= sizeof(struct iphdr) && p[0] >> 4 == 4)
		return take_ip4(p, len, f, out);
	if (len >= sizeof(struct ipv6hdr) && p[0] >> 4 == 6)
		return take_ip6(p, len, f, out);
	return FRAME_OTHER;
}

/* ---- links ---- */

static enum frame_found take_labels(const uint8_t *p, size_t len, struct frame_fragments *f,
				    struct frame_datagram *out)
{
	while (len >= TAG_BYTES) {
		bool last = p[2] & LABEL_IS_LAST;

		p += TAG_BYTES;
		len -= TAG_BYTES;
		if (last)
			return take_ip(p, len, f, out);
	}
	return FRAME_OTHER;
}

/* @p is behind the Ethernet type @type. */
static enum frame_found take_type(unsigned int type, const uint8_t *p, size_t len,
				  struct frame_fragments *f, struct frame_datagram *out)
{
	for (; len >= TAG_BYTES; p += TAG_BYTES, len -= TAG_BYTES) {
		if (type != TYPE_TAG && type != TYPE_SERVICE_TAG && type != TYPE_OLD_SERVICE_TAG)
			break;
		type = get16(p + 2);
	}
	switch (type) {
	case TYPE_IP4:
	case TYPE_IP6:
		return take_ip(p, len, f, out);
	case TYPE_MPLS:
	case TYPE_MPLS_MULTICAST:
		return take_labels(p, len, f, out);
	case TYPE_PPPOE:
		return len < PPPOE_BYTES ? FRAME_OTHER
					 : take_ip(p + PPPOE_BYTES, len - PPPOE_BYTES, f, out);
	default:
		return FRAME_OTHER;
	}
}

/* The party that rtpxd's made-up source address names; see record/format.c. */
static enum format_party party_of(const uint8_t *mac, const struct addr *src)
{
	uint8_t folded[4] = { 0 };
	size_t i;

	for (i = 0; i < addr_ip_len(src); i++)
		folded[i % 4] ^= src->ip[i];
	if (mac[0] != 2 || mac[1] > FORMAT_CALLEE || memcmp(mac + 2, folded, sizeof(folded)))
		return FORMAT_NO_PARTY;
	return (enum format_party)mac[1];
}

static enum frame_found take_ether(const uint8_t *p, size_t len, struct frame_fragments *f,
				   struct frame_datagram *out)
{
	enum frame_found found;

	if (len < ETHER_BYTES)
		return FRAME_OTHER;
	found = take_type(get16(p + ETHER_BYTES - 2), p + ETHER_BYTES, len - ETHER_BYTES, f, out);
	if (found == FRAME_DATAGRAM)
		out->party = party_of(p + MAC_BYTES, &out->src);
	return found;
}

bool frame_known(int link)
{
	static const int known[] = { DLT_EN10MB, DLT_NULL, DLT_LOOP, DLT_LINUX_SLL, DLT_LINUX_SLL2,
				     DLT_RAW,	 DLT_IPV4, DLT_IPV6, DLT_PPP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i] == link)
			return true;
	return false;
}

enum frame_found frame_datagram(int link, const uint8_t *p, size_t len, struct frame_fragments *f,
				struct frame_datagram *out)
{
	*out = (struct frame_datagram){ 0 };
	switch (link) {
	case DLT_EN10MB:
		return take_ether(p, len, f, out);
	case DLT_NULL:
	case DLT_LOOP:
	case DLT_PPP: /* address, control and protocol */
		return len < NULL_BYTES ? FRAME_OTHER
					: take_ip(p + NULL_BYTES, len - NULL_BYTES, f, out);
	case DLT_LINUX_SLL:
		return len < SLL_HDR_LEN ? FRAME_OTHER
					 : take_type(get16(p + SLL_HDR_LEN - 2), p + SLL_HDR_LEN,
						     len - SLL_HDR_LEN, f, out);
	case DLT_LINUX_SLL2:
		return len < SLL2_HDR_LEN
			       ? FRAME_OTHER
			       : take_type(get16(p), p + SLL2_HDR_LEN, len - SLL2_HDR_LEN, f, out);
	default:
		return take_ip(p, len, f, out);
	}
}
