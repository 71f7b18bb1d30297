/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture.c - reads captures. The first bytes of a file tell its format. libpcap reads pcap and
 * pcapng. This file parses the frames: Ethernet with VLAN tags, Linux cooked, BSD loopback, raw IP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture.h"
#include "record/format.h"

#define ETHER_BYTES 14
#define ETHER_TAG_BYTES 4
#define TYPE_IP4 0x0800
#define TYPE_IP6 0x86dd
#define TYPE_TAG 0x8100
#define TYPE_SERVICE_TAG 0x88a8
#define NULL_BYTES 4
#define IS_FRAGMENT 0x3fff /* more fragments, or an offset */
#define READ_BYTES (1 << 16)

static int keep(struct capture *c, const struct capture_packet *p)
{
	struct capture_packet *to;

	if ((c->n & (c->n - 1)) == 0) {
		to = realloc(c->packets, (c->n ? 2 * c->n : 1) * sizeof(*to));
		if (!to)
			return -ENOMEM;
		c->packets = to;
	}
	to = &c->packets[c->n];
	*to = *p;
	to->data = malloc(p->len ? p->len : 1);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, p->data, p->len);
	c->n++;
	return 0;
}

void capture_free(struct capture *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->packets[i].data);
	free(c->packets);
	*c = (struct capture){ 0 };
}

/* ---- frames ---- */

static struct addr addr_of(enum addr_family family, const void *ip, const void *port)
{
	struct addr a = { .family = family };

	memcpy(a.ip, ip, family == ADDR_IP6 ? 16 : 4);
	memcpy(&a.port, port, sizeof(a.port));
	a.port = ntohs(a.port);
	return a;
}

/* False: not UDP, or a datagram that is cut. */
static bool take_udp(const uint8_t *p, size_t len, enum addr_family family, const uint8_t *src,
		     const uint8_t *dst, struct capture_packet *out)
{
	struct udphdr udp;

	if (len < sizeof(udp))
		return false;
	memcpy(&udp, p, sizeof(udp));
	out->len = ntohs(udp.len);
	if (out->len < sizeof(udp) || out->len > len)
		return false;
	out->src = addr_of(family, src, p);
	out->dst = addr_of(family, dst, p + sizeof(uint16_t));
	out->data = (uint8_t *)p + sizeof(udp);
	out->len -= sizeof(udp);
	return true;
}

static bool take_ip(const uint8_t *p, size_t len, struct capture_packet *out)
{
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (len >= sizeof(ip) && p[0] >> 4 == 4) {
		memcpy(&ip, p, sizeof(ip));
		if (ip.protocol != IPPROTO_UDP || ip.ihl < 5 || ip.ihl * 4u > len ||
		    (ntohs(ip.frag_off) & IS_FRAGMENT))
			return false;
		return take_udp(p + ip.ihl * 4, len - ip.ihl * 4, ADDR_IP4,
				p + offsetof(struct iphdr, saddr),
				p + offsetof(struct iphdr, daddr), out);
	}
	if (len >= sizeof(ip6) && p[0] >> 4 == 6) {
		memcpy(&ip6, p, sizeof(ip6));
		return ip6.nexthdr == IPPROTO_UDP &&
		       take_udp(p + sizeof(ip6), len - sizeof(ip6), ADDR_IP6,
				p + offsetof(struct ipv6hdr, saddr),
				p + offsetof(struct ipv6hdr, daddr), out);
	}
	return false;
}

static bool take_ether(const uint8_t *p, size_t len, struct capture_packet *out)
{
	size_t at = ETHER_BYTES;
	uint16_t type;

	for (; at <= len; at += ETHER_TAG_BYTES) {
		type = p[at - 2] << 8 | p[at - 1];
		if (type != TYPE_TAG && type != TYPE_SERVICE_TAG)
			return (type == TYPE_IP4 || type == TYPE_IP6) &&
			       take_ip(p + at, len - at, out);
	}
	return false;
}

static bool take_frame(int link, const uint8_t *p, size_t len, struct capture_packet *out)
{
	size_t skip;

	switch (link) {
	case DLT_EN10MB:
		return take_ether(p, len, out);
	case DLT_NULL:
	case DLT_LOOP:
		skip = NULL_BYTES;
		break;
	case DLT_LINUX_SLL:
		skip = SLL_HDR_LEN;
		break;
	case DLT_LINUX_SLL2:
		skip = SLL2_HDR_LEN;
		break;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		skip = 0;
		break;
	default:
		return false;
	}
	return len >= skip && take_ip(p + skip, len - skip, out);
}

/* ---- files ---- */

static int read_pcap(FILE *f, const char *path, struct capture *out, char *err, size_t err_size)
{
	char why[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *head;
	const u_char *data;
	size_t partial = 0;
	int rc = 0, got;
	pcap_t *pcap;

	pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!pcap) {
		snprintf(err, err_size, "cannot read %.200s: %.200s", path, why);
		fclose(f);
		return -EINVAL;
	}
	while (!rc && (got = pcap_next_ex(pcap, &head, &data)) == 1) {
		struct capture_packet p = { .arrival_ns = head->ts.tv_sec * NSEC_PER_SEC +
							  head->ts.tv_usec };

		if (take_frame(pcap_datalink(pcap), data, head->caplen, &p))
			rc = keep(out, &p);
		else
			partial += head->caplen < head->len;
	}
	if (!rc && got == PCAP_ERROR)
		snprintf(out->trouble, sizeof(out->trouble),
			 "%.80s: read no further than packet %zu: %.150s", path, out->n,
			 pcap_geterr(pcap));
	else if (partial)
		snprintf(out->trouble, sizeof(out->trouble),
			 "%.150s: %zu packets were captured in part only and are left out", path,
			 partial);
	pcap_close(pcap);
	return rc;
}

static int read_whole(FILE *f, uint8_t **data, size_t *len)
{
	size_t room = 0, n;
	uint8_t *p = NULL, *more;

	*len = 0;
	do {
		if (*len == room) {
			room = room ? 2 * room : READ_BYTES;
			more = realloc(p, room);
			if (!more) {
				free(p);
				return -ENOMEM;
			}
			p = more;
		}
		n = fread(p + *len, 1, room - *len, f);
		*len += n;
	} while (n);
	*data = p;
	return ferror(f) ? -EIO : 0;
}

static int read_adhoc(FILE *f, const char *path, struct capture *out, char *err, size_t err_size)
{
	struct recformat_packet r;
	uint8_t *data = NULL;
	size_t len, at;
	int n = 0, rc = read_whole(f, &data, &len);

	for (at = 0; !rc && at < len; at += n) {
		n = recformat_adhoc(data + at, len - at, &r);
		if (n <= 0)
			break;
		rc = keep(out, &(struct capture_packet){ r.src, r.dst, r.realtime_ns,
							 (uint8_t *)r.data, r.len });
	}
	if (!rc && at < len && !out->n) {
		snprintf(err, err_size, "cannot read %.300s: it is no recording", path);
		rc = -EINVAL;
	} else if (!rc && at < len) {
		snprintf(out->trouble, sizeof(out->trouble),
			 "%.150s: %s at byte %zu; the last %zu bytes are left out", path,
			 n ? "no record begins" : "a record is cut short", at, len - at);
	}
	free(data);
	fclose(f);
	return rc;
}

static bool is_pcap(FILE *f)
{
	static const uint32_t magics[] = { 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1,
					   0x0a0d0d0a };
	uint32_t magic = 0;
	size_t i, n = fread(&magic, sizeof(magic), 1, f);

	rewind(f);
	for (i = 0; n && i < ARRAY_SIZE(magics); i++)
		if (magic == magics[i])
			return true;
	return false;
}

int capture_read(const char *path, struct capture *out, char *err, size_t err_size)
{
	FILE *f = fopen(path, "r");
	int rc;

	*out = (struct capture){ 0 };
	*err = '\0';
	if (!f) {
		rc = -errno;
		snprintf(err, err_size, "cannot open %.300s: %s", path, strerror(-rc));
		return rc;
	}
	rc = is_pcap(f) ? read_pcap(f, path, out, err, err_size)
			: read_adhoc(f, path, out, err, err_size);
	if (rc && !*err)
		snprintf(err, err_size, "cannot read %.300s: %s", path, strerror(-rc));
	if (rc)
		capture_free(out);
	return rc;
}
