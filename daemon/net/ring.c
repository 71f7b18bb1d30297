/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - writes frames into memory that a packet socket shares with the kernel.
 *
 * The kernel sends the frames in order, up to the first that is not marked. It marks a place as
 * free when the device has sent the frame, which may be long after send() has returned. A frame
 * that it refuses keeps its mark, and so do all behind it: ring_send() unmarks them, and goes on
 * with the place of the first.
 *
 * A frame goes to the device directly, and not into the queue in front of it (PACKET_QDISC_BYPASS).
 * That is the quicker way by a tenth and more, and captures do not see the frame there. So while
 * there is a capture, frames take the way through the queue.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ring.h"
#include "base/checksum.h"
#include "net/captures.h"
#include "net/sockopt.h"
#include "rtpx_entry.h"

#define PLACES 1024
#define PLACE_BYTES 2048
#define BLOCK_BYTES 65536
#define HEAD_BYTES TPACKET_ALIGN(sizeof(struct tpacket2_hdr)) /* before the frame */
#define SEND_BYTES (8 << 20) /* memory for frames that the device has not sent yet */
#define IP4_VERSION 4
#define IP6_VERSION 6

struct ring {
	int fd;
	uint8_t *places;	   /* MAP_FAILED: not mapped */
	unsigned int next;	   /* the place for the next frame */
	unsigned int waiting;	   /* frames before it that were not sent yet */
	size_t bytes;		   /* of these frames */
	struct captures *captures; /* NULL: unknown */
	bool direct;		   /* past the device's queue */
};

/* ---- frames ---- */

struct udphdr ring_udp(const struct addr *source, const struct addr *dest, struct span data)
{
	struct udphdr udp = {
		.source = htons(source->port),
		.dest = htons(dest->port),
		.len = htons(sizeof(struct udphdr) + data.len),
	};
	uint64_t sum = checksum_add(0, data.p, data.len);

	sum = checksum_add(sum, source->ip, addr_ip_len(source));
	sum = checksum_add(sum, dest->ip, addr_ip_len(dest));
	sum += htons(IPPROTO_UDP) + udp.len;
	sum = checksum_add(sum, &udp, sizeof(udp));
	udp.check = checksum_end(sum);
	if (!udp.check)
		udp.check = 0xffff; /* 0 means that there is no checksum */
	return udp;
}

static size_t ip_header_bytes(enum addr_family family)
{
	return family == ADDR_IP6 ? sizeof(struct ip6_hdr) : sizeof(struct iphdr);
}

static void write_ip4(uint8_t *to, const struct ring_way *way, const struct ring_packet *p,
		      size_t len)
{
	struct iphdr ip = {
		.version = IP4_VERSION,
		.ihl = sizeof(ip) / 4,
		.tos = p->tos,
		.tot_len = htons(len),
		.frag_off = htons(IP_DF),
		.ttl = p->ttl ? p->ttl : way->ttl,
		.protocol = IPPROTO_UDP,
	};

	memcpy(&ip.saddr, p->source.ip, sizeof(ip.saddr));
	memcpy(&ip.daddr, p->dest.ip, sizeof(ip.daddr));
	ip.check = checksum_end(checksum_add(0, &ip, sizeof(ip)));
	memcpy(to, &ip, sizeof(ip));
}

static void write_ip6(uint8_t *to, const struct ring_way *way, const struct ring_packet *p,
		      size_t len)
{
	uint32_t label = rtpx_flow_label(p->source.port, p->dest.port) & way->label_mask;
	struct ip6_hdr ip = {
		.ip6_flow = htonl((uint32_t)IP6_VERSION << 28 | (uint32_t)p->tos << 20 | label),
		.ip6_plen = htons(len - sizeof(ip)),
		.ip6_nxt = IPPROTO_UDP,
		.ip6_hlim = p->ttl ? p->ttl : way->ttl,
	};

	memcpy(&ip.ip6_src, p->source.ip, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, p->dest.ip, sizeof(ip.ip6_dst));
	memcpy(to, &ip, sizeof(ip));
}

/* Write a frame of an IP packet of @len bytes. */
static void write_frame(uint8_t *to, const struct ring_way *way, const struct ring_packet *p,
			size_t len)
{
	const struct udphdr udp = ring_udp(&p->source, &p->dest, p->data);
	bool ip6 = p->dest.family == ADDR_IP6;
	uint16_t type = htons(ip6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);

	memcpy(to, way->macs, sizeof(way->macs));
	memcpy(to + sizeof(way->macs), &type, sizeof(type));
	to += ETHER_HDR_LEN;
	if (ip6)
		write_ip6(to, way, p, len);
	else
		write_ip4(to, way, p, len);
	to += ip_header_bytes(p->dest.family);
	memcpy(to, &udp, sizeof(udp));
	memcpy(to + sizeof(udp), p->data.p, p->data.len);
}

static struct tpacket2_hdr *place_at(const struct ring *r, unsigned int i)
{
	return (void *)(r->places + (size_t)(i % PLACES) * PLACE_BYTES);
}

static uint32_t place_status(const struct tpacket2_hdr *h)
{
	return __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
}

static void place_mark(struct tpacket2_hdr *h, uint32_t status)
{
	__atomic_store_n(&h->tp_status, status, __ATOMIC_RELEASE);
}

bool ring_put(struct ring *r, const struct ring_way *way, const struct ring_packet *p)
{
	size_t len = ip_header_bytes(p->dest.family) + sizeof(struct udphdr) + p->data.len;
	struct tpacket2_hdr *h = place_at(r, r->next);

	if (len > way->mtu || HEAD_BYTES + ETHER_HDR_LEN + len > PLACE_BYTES ||
	    r->waiting == PLACES || place_status(h) != TP_STATUS_AVAILABLE)
		return false;
	write_frame((uint8_t *)h + HEAD_BYTES, way, p, len);
	h->tp_len = ETHER_HDR_LEN + len;
	place_mark(h, TP_STATUS_SEND_REQUEST);
	r->next = (r->next + 1) % PLACES;
	r->waiting++;
	r->bytes += h->tp_len;
	return true;
}

/* Take the frames back that the kernel has refused or not looked at. Returns their number. */
static unsigned int ring_take_back(struct ring *r)
{
	unsigned int first = r->next + PLACES - r->waiting, end = r->next + PLACES, i;
	uint32_t status;

	for (; first < end; first++) {
		status = place_status(place_at(r, first));
		if (status == TP_STATUS_SEND_REQUEST || status == TP_STATUS_WRONG_FORMAT)
			break;
	}
	for (i = first; i < end; i++)
		place_mark(place_at(r, i), TP_STATUS_AVAILABLE);
	r->next = first % PLACES;
	return end - first;
}

static void choose_way(struct ring *r, uint64_t now_ns)
{
	bool direct = !captures_any(r->captures, now_ns);

	if (direct != r->direct && !sockopt_set(r->fd, SOL_PACKET, PACKET_QDISC_BYPASS, direct))
		r->direct = direct;
}

unsigned int ring_send(struct ring *r, unsigned int ifindex, enum addr_family family,
		       uint64_t now_ns)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(family == ADDR_IP6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP),
		.sll_ifindex = (int)ifindex,
		.sll_halen = ETHER_ADDR_LEN,
	};
	unsigned int sent = r->waiting;
	ssize_t n;

	choose_way(r, now_ns);
	do {
		n = sendto(r->fd, NULL, 0, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	} while (n < 0 && errno == EINTR);
	if (n < 0 || (size_t)n != r->bytes)
		sent -= ring_take_back(r);
	r->waiting = 0;
	r->bytes = 0;
	return sent;
}

/* ---- begin and end ---- */

static int ring_set_up(struct ring *r)
{
	const struct tpacket_req req = {
		.tp_block_size = BLOCK_BYTES,
		.tp_block_nr = PLACES * PLACE_BYTES / BLOCK_BYTES,
		.tp_frame_size = PLACE_BYTES,
		.tp_frame_nr = PLACES,
	};
	int err;

	r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: it receives nothing */
	if (r->fd < 0)
		return -errno;
	err = sockopt_set(r->fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2);
	if (err)
		return err;
	if (sockopt_set(r->fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES))
		sockopt_set(r->fd, SOL_SOCKET, SO_SNDBUF, SEND_BYTES);
	if (setsockopt(r->fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)))
		return -errno;
	r->places = mmap(NULL, PLACES * PLACE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	return r->places == MAP_FAILED ? -errno : 0;
}

int ring_new(struct ring **out)
{
	struct ring *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->places = MAP_FAILED;
	err = ring_set_up(r);
	if (err) {
		ring_free(r);
		return err;
	}
	captures_new(&r->captures); /* without it, frames take the way through the queue */
	*out = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	if (r->places != MAP_FAILED)
		munmap(r->places, PLACES * PLACE_BYTES);
	if (r->fd >= 0)
		close(r->fd);
	captures_free(r->captures);
	free(r);
}
