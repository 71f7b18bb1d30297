/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * format.c - writes records field by field. The Ethernet and IP headers that a packet arrived with
 * are not known here, so pcap records get headers made up from the addresses and ports.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "record/format.h"
#include "base/checksum.h"

#define PCAP_MAGIC 0xa1b2c3d4 /* microseconds */
#define PCAP_ETHERNET 1
#define MAC_BYTES 6
#define MAX_TIME 1e10 /* seconds of the Unix epoch: the year 2286 */

struct adhoc_head {
	uint16_t family;
	uint16_t port;	/* network order */
	uint8_t ip[16]; /* network order; IPv4: the first four bytes */
	double time;	/* seconds of the Unix epoch */
	uint16_t len;
} __attribute__((packed));
_Static_assert(sizeof(struct adhoc_head) == FORMAT_ADHOC_HEAD, "as rtpproxy on 64 bits");

struct pcap_head {
	uint32_t magic;
	uint16_t major, minor;
	int32_t zone;
	uint32_t sigfigs, snaplen, linktype;
};
_Static_assert(sizeof(struct pcap_head) == FORMAT_MAX_HEAD, "pcap file format");

struct pcap_record {
	uint32_t sec, usec, incl_len, orig_len;
};

size_t format_head(enum format format, uint8_t head[FORMAT_MAX_HEAD])
{
	const struct pcap_head h = {
		.magic = PCAP_MAGIC,
		.major = 2,
		.minor = 4,
		.snaplen = 65535,
		.linktype = PCAP_ETHERNET,
	};

	if (format != FORMAT_PCAP)
		return 0;
	memcpy(head, &h, sizeof(h));
	return sizeof(h);
}

static size_t ip_bytes(const struct format_packet *p)
{
	return p->src.family == ADDR_IP6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

static size_t frame_len(const struct format_packet *p)
{
	return sizeof(struct ethhdr) + ip_bytes(p) + sizeof(struct udphdr) + p->len;
}

size_t format_size(enum format format, const struct format_packet *p)
{
	if (format == FORMAT_ADHOC)
		return sizeof(struct adhoc_head) + p->len;
	return sizeof(struct pcap_record) + frame_len(p);
}

static size_t write_adhoc(const struct format_packet *p, uint8_t *out)
{
	struct adhoc_head h = {
		.family = p->src.family == ADDR_IP6 ? AF_INET6 : AF_INET,
		.port = htons(p->src.port),
		.time = p->realtime_ns / NSEC_PER_SEC + p->realtime_ns % NSEC_PER_SEC / 1e9,
		.len = p->len,
	};

	memcpy(h.ip, p->src.ip, sizeof(h.ip));
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), p->data, p->len);
	return sizeof(h) + p->len;
}

size_t format_adhoc_len(const uint8_t head[FORMAT_ADHOC_HEAD])
{
	struct adhoc_head h;

	memcpy(&h, head, sizeof(h));
	return h.len;
}

/* Both comparisons of the time are false for NaN, so it is -EINVAL too. */
int format_adhoc(const uint8_t *in, size_t len, struct format_packet *out)
{
	struct adhoc_head h;
	uint64_t sec;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, in, sizeof(h));
	if ((h.family != AF_INET && h.family != AF_INET6) || !(h.time >= 0 && h.time < MAX_TIME))
		return -EINVAL;
	if (len < sizeof(h) + h.len)
		return 0;
	sec = h.time;
	*out = (struct format_packet){
		.src.family = h.family == AF_INET6 ? ADDR_IP6 : ADDR_IP4,
		.src.port = ntohs(h.port),
		.realtime_ns = sec * NSEC_PER_SEC + (uint64_t)((h.time - sec) * NSEC_PER_SEC + 0.5),
		.data = in + sizeof(h),
		.len = h.len,
	};
	memcpy(out->src.ip, h.ip, addr_ip_len(&out->src));
	return sizeof(h) + h.len;
}

/* ---- pcap ---- */

/*
 * 02, which marks a local address of one host, the party, and four bytes: the IPv4 address, or the
 * 16 bytes of the IPv6 address XORed. Without a party as rtpproxy has it: 00:00 and the IPv4
 * address, or the IPv6 address XORed into six bytes, here without the bit of a group.
 */
static void made_up_mac(const struct addr *a, enum format_party party, uint8_t mac[MAC_BYTES])
{
	size_t first = party == FORMAT_NO_PARTY && a->family == ADDR_IP6 ? 0 : 2, i;

	memset(mac, 0, MAC_BYTES);
	for (i = 0; i < addr_ip_len(a); i++)
		mac[first + i % (MAC_BYTES - first)] ^= a->ip[i];
	mac[0] &= 0xfe;
	if (party == FORMAT_NO_PARTY)
		return;
	mac[0] = 0x02;
	mac[1] = party;
}

static uint8_t *write_ip(const struct format_packet *p, uint16_t udp_len, uint16_t id, uint8_t *out)
{
	struct iphdr ip4 = {
		.version = 4,
		.ihl = 5,
		.ttl = 127,
		.protocol = IPPROTO_UDP,
		.id = htons(id),
		.tot_len = htons(sizeof(ip4) + udp_len),
	};
	struct ipv6hdr ip6 = {
		.version = 6,
		.hop_limit = 64,
		.nexthdr = IPPROTO_UDP,
		.payload_len = htons(udp_len),
	};

	if (p->src.family == ADDR_IP6) {
		memcpy(&ip6.saddr, p->src.ip, sizeof(ip6.saddr));
		memcpy(&ip6.daddr, p->dst.ip, sizeof(ip6.daddr));
		memcpy(out, &ip6, sizeof(ip6));
		return out + sizeof(ip6);
	}
	memcpy(&ip4.saddr, p->src.ip, sizeof(ip4.saddr));
	memcpy(&ip4.daddr, p->dst.ip, sizeof(ip4.daddr));
	ip4.check = checksum_end(checksum_add(0, &ip4, sizeof(ip4)));
	memcpy(out, &ip4, sizeof(ip4));
	return out + sizeof(ip4);
}

/* The UDP checksum covers the pseudo-header (RFC 768; RFC 8200 section 8.1). */
static uint8_t *write_udp(const struct format_packet *p, uint16_t udp_len, uint8_t *out)
{
	const uint16_t tail[] = { htons(IPPROTO_UDP), htons(udp_len) };
	struct udphdr udp = {
		.source = htons(p->src.port),
		.dest = htons(p->dst.port),
		.len = htons(udp_len),
	};
	uint64_t sum = checksum_add(0, tail, sizeof(tail));

	sum = checksum_add(sum, p->src.ip, addr_ip_len(&p->src));
	sum = checksum_add(sum, p->dst.ip, addr_ip_len(&p->src));
	sum = checksum_add(sum, &udp, sizeof(udp));
	udp.check = checksum_end(checksum_add(sum, p->data, p->len));
	if (!udp.check)
		udp.check = 0xffff;
	memcpy(out, &udp, sizeof(udp));
	memcpy(out + sizeof(udp), p->data, p->len);
	return out + udp_len;
}

static size_t write_pcap(const struct format_packet *p, uint16_t id, uint8_t *out)
{
	const uint16_t udp_len = sizeof(struct udphdr) + p->len;
	const struct pcap_record h = {
		.sec = p->realtime_ns / NSEC_PER_SEC,
		.usec = p->realtime_ns % NSEC_PER_SEC / 1000,
		.incl_len = frame_len(p),
		.orig_len = frame_len(p),
	};
	struct ethhdr eth = { .h_proto = htons(p->src.family == ADDR_IP6 ? ETH_P_IPV6 : ETH_P_IP) };
	uint8_t *at = out;

	made_up_mac(&p->dst, FORMAT_NO_PARTY, eth.h_dest);
	made_up_mac(&p->src, p->party, eth.h_source);
	memcpy(at, &h, sizeof(h));
	at += sizeof(h);
	memcpy(at, &eth, sizeof(eth));
	at = write_ip(p, udp_len, id, at + sizeof(eth));
	at = write_udp(p, udp_len, at);
	return at - out;
}

size_t format_record(enum format format, const struct format_packet *p, uint16_t id, uint8_t *out)
{
	return format == FORMAT_PCAP ? write_pcap(p, id, out) : write_adhoc(p, out);
}

bool format_is_pcap(const uint8_t head[FORMAT_MAX_HEAD])
{
	uint8_t ours[FORMAT_MAX_HEAD];

	return !memcmp(head, ours, format_head(FORMAT_PCAP, ours));
}

static int read_pcap(const uint8_t *in, size_t len, struct format_packet *out)
{
	size_t before = sizeof(struct ethhdr) + sizeof(struct udphdr);
	struct pcap_record h;
	struct ethhdr eth;

	if (len < sizeof(h))
		return 0;
	memcpy(&h, in, sizeof(h));
	if (h.incl_len > FORMAT_MAX_RECORD || h.incl_len < sizeof(eth))
		return -EINVAL;
	if (len < sizeof(h) + h.incl_len)
		return 0;
	memcpy(&eth, in + sizeof(h), sizeof(eth));
	before += eth.h_proto == htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	if (h.incl_len < before)
		return -EINVAL;
	*out = (struct format_packet){
		.realtime_ns = h.sec * NSEC_PER_SEC + h.usec * 1000ull,
		.data = in + sizeof(h) + before,
		.len = h.incl_len - before,
	};
	return sizeof(h) + h.incl_len;
}

int format_read(enum format format, const uint8_t *in, size_t len, struct format_packet *out)
{
	return format == FORMAT_PCAP ? read_pcap(in, len, out) : format_adhoc(in, len, out);
}
