/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.c - a queue of datagrams, and one system call for each run of them that leaves by one
 * socket, or by the ring and one device.
 *
 * Deliberately not here: segmentation offload, which does not help at the rate of voice; frames,
 * which are ring.c's; next hops, which are the caller's or the kernel's.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/sender.h"
#include "base/clock.h"
#include "net/sockopt.h"

#define QUEUE_PACKETS 128 /* queued at most before they are sent */
#define QUEUE_BYTES 65536
/* Payload of the longest packet that never needs fragments: RFC 791, RFC 8200 section 5 */
#define RING_BYTES4 (576 - 28)
#define RING_BYTES6 (1280 - 48)
#define SEEN_MS 5000 /* connection tracking forgets an unanswered flow after 30 s */

struct sender {
	struct sender_opts o;
	uint64_t now_ns; /* when the first datagram of the queue was put */
	uint64_t ring_sent;
	unsigned int n;
	size_t bytes;
	struct mmsghdr msg[QUEUE_PACKETS];
	struct iovec iov[QUEUE_PACKETS][2]; /* UDP header of a raw socket, payload */
	union sock_addr to[QUEUE_PACKETS];
	struct {
		_Alignas(struct cmsghdr) char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
						  2 * CMSG_SPACE(sizeof(int))]; /* TOS, TTL */
	} control[QUEUE_PACKETS];
	struct udphdr udp[QUEUE_PACKETS];
	struct ring_packet packet[QUEUE_PACKETS]; /* only without a socket of the port */
	bool by_ring[QUEUE_PACKETS];
	struct ring_way way[QUEUE_PACKETS]; /* if by_ring */
	struct sender_port *from[QUEUE_PACKETS];
	int fd[QUEUE_PACKETS]; /* of the port's own socket, or of a raw one */
	unsigned int note[QUEUE_PACKETS];
	bool reported[QUEUE_PACKETS];
	uint8_t data[QUEUE_BYTES];
};

/* ---- control messages ---- */

/* Add a control message; msg_control has room for it. */
static void put_control(struct msghdr *msg, int level, int type, const void *data, size_t size)
{
	struct cmsghdr *c = (void *)((uint8_t *)msg->msg_control + msg->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), data, size);
	msg->msg_controllen += CMSG_SPACE(size);
}

static void put_source(struct msghdr *msg, const struct addr *source)
{
	struct in6_pktinfo info6 = { 0 };
	struct in_pktinfo info4 = { 0 };

	if (source->family == ADDR_IP6) {
		memcpy(&info6.ipi6_addr, source->ip, sizeof(info6.ipi6_addr));
		put_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	} else {
		memcpy(&info4.ipi_spec_dst, source->ip, sizeof(info4.ipi_spec_dst));
		put_control(msg, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	}
}

static void put_tos(struct msghdr *msg, enum addr_family family, int tos)
{
	if (family == ADDR_IP6)
		put_control(msg, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
	else
		put_control(msg, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
}

static void put_ttl(struct msghdr *msg, enum addr_family family, int ttl)
{
	if (family == ADDR_IP6)
		put_control(msg, IPPROTO_IPV6, IPV6_HOPLIMIT, &ttl, sizeof(ttl));
	else
		put_control(msg, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
}

/* ---- the queue ---- */

static int raw_of(const struct sender *s, enum addr_family family)
{
	return family == ADDR_IP6 ? s->o.raw6 : s->o.raw4;
}

static void put_manner(struct msghdr *msg, enum addr_family family, uint8_t tos, uint8_t ttl)
{
	if (tos)
		put_tos(msg, family, tos);
	if (ttl)
		put_ttl(msg, family, ttl);
}

/*
 * A raw socket takes the ports from the UDP header; IPv6 refuses a port beside it. With IPv6 the
 * kernel computes the checksum.
 */
static void make_raw(struct sender *s, unsigned int i)
{
	const struct ring_packet *p = &s->packet[i];
	struct addr host = addr_with_port(p->dest, 0);
	struct msghdr *msg = &s->msg[i].msg_hdr;

	s->udp[i] = ring_udp(&p->source, &p->dest, p->data);
	s->iov[i][0] = (struct iovec){ &s->udp[i], sizeof(s->udp[i]) };
	msg->msg_namelen = addr_to_sockaddr(&host, &s->to[i].any);
	msg->msg_iov = s->iov[i];
	msg->msg_iovlen = 2;
	put_source(msg, &p->source);
	put_manner(msg, p->dest.family, p->tos, p->ttl);
}

/* @source: NULL if the socket is bound to an address. */
static void make_own(struct sender *s, unsigned int i, const struct addr *dest,
		     const struct addr *source, struct sender_manner manner)
{
	uint8_t tos = manner.ecn ? s->from[i]->tos | manner.ecn : 0;
	struct msghdr *msg = &s->msg[i].msg_hdr;

	msg->msg_namelen = addr_to_sockaddr(dest, &s->to[i].any);
	msg->msg_iov = &s->iov[i][1];
	msg->msg_iovlen = 1;
	if (source && source->family == dest->family)
		put_source(msg, source);
	put_manner(msg, dest->family, tos, manner.ttl);
}

/* Two destinations have the same hash once in 4 billion. */
static uint32_t hash_of(const struct addr *a)
{
	uint64_t ip[2];

	memcpy(ip, a->ip, sizeof(ip));
	ip[0] = (ip[0] ^ ((uint64_t)a->port << 48)) * 0x9e3779b97f4a7c15ull;
	return ((ip[0] ^ ip[1]) * 0xff51afd7ed558ccdull) >> 32;
}

/* May the ring send it? The host's rules see a packet of each flow now and then. */
static bool finds_way(struct sender *s, unsigned int i)
{
	const struct ring_packet *p = &s->packet[i];
	struct sender_port *from = s->from[i];
	uint32_t now_ms = (uint32_t)(s->now_ns / NSEC_PER_MSEC), to;

	if (!s->o.ring || p->data.len > (p->dest.family == ADDR_IP6 ? RING_BYTES6 : RING_BYTES4))
		return false;
	to = hash_of(&p->dest);
	if (now_ms - from->seen_ms > SEEN_MS || from->seen_to != to) {
		from->seen_to = to;
		from->seen_ms = now_ms;
		return false;
	}
	return s->o.finder->find(s->o.finder->arg, &p->source, &p->dest, p->tos, s->now_ns,
				 &s->way[i]);
}

/* @source: address and port. */
static void make_shared(struct sender *s, unsigned int i, const struct addr *dest,
			const struct addr *source, struct span data, struct sender_manner manner)
{
	s->packet[i] = (struct ring_packet){
		.source = *source,
		.dest = *dest,
		.tos = s->from[i]->tos | manner.ecn,
		.ttl = manner.ttl,
		.data = data,
	};
	s->by_ring[i] = finds_way(s, i);
	if (!s->by_ring[i])
		make_raw(s, i);
}

static void enqueue(struct sender *s, struct sender_port *from, const struct addr *dest,
		    const struct addr *source, struct span data, struct sender_manner manner,
		    bool reported)
{
	unsigned int i = s->n++;

	s->from[i] = from;
	s->fd[i] = from->own ? from->fd : raw_of(s, dest->family);
	s->note[i] = manner.note;
	s->reported[i] = reported;
	s->by_ring[i] = false;
	s->iov[i][1] = (struct iovec){ (void *)data.p, data.len };
	s->msg[i].msg_hdr = (struct msghdr){
		.msg_name = &s->to[i],
		.msg_control = s->control[i].buf,
	};
	if (from->own)
		make_own(s, i, dest, source, manner);
	else
		make_shared(s, i, dest, source, data, manner);
}

/* A raw socket needs the source of each packet. */
static int choose_source(const struct addr *local, const struct addr *dest,
			 const struct addr *source, struct addr *out)
{
	int err = 0;

	if (!addr_is_any(local))
		*out = *local;
	else if (source->family == local->family && !addr_is_any(source))
		*out = *source;
	else
		err = sender_source(dest, out);
	out->port = local->port;
	return err;
}

int sender_put(struct sender *s, struct sender_port *from, const struct addr *local,
	       const struct addr *dest, const struct addr *source, struct span data,
	       struct sender_manner manner)
{
	struct addr chosen;
	struct span mine;
	uint8_t i;
	int err;

	if (dest->family != local->family)
		return -EAFNOSUPPORT;
	if (data.len > SENDER_MAX_PACKET)
		return -EMSGSIZE;
	if (from->own) {
		source = addr_is_any(local) ? source : NULL;
	} else {
		if (!dest->port)
			return -EINVAL;
		err = choose_source(local, dest, source, &chosen);
		if (err)
			return err;
		source = &chosen;
	}
	if (s->n + manner.copies > QUEUE_PACKETS || s->bytes + data.len > QUEUE_BYTES)
		sender_flush(s);
	if (!s->n)
		s->now_ns = clock_now();
	mine = (struct span){ (char *)s->data + s->bytes, data.len };
	memcpy(s->data + s->bytes, data.p, data.len);
	s->bytes += data.len;
	for (i = 0; i < manner.copies; i++)
		enqueue(s, from, dest, source, mine, manner, i == 0 && !manner.unreported);
	return 0;
}

static void report(struct sender *s, unsigned int i, int err)
{
	if (s->reported[i] && s->o.sent)
		s->o.sent(s->o.arg, s->from[i], s->note[i], s->iov[i][1].iov_len, err);
}

/*
 * Send the datagrams from @i up to @end, which leave by one socket. A datagram that the kernel
 * refuses is reported, and the next one goes on.
 */
static void send_run(struct sender *s, unsigned int i, unsigned int end)
{
	int fd = s->fd[i], n;

	while (i < end) {
		n = sendmmsg(fd, &s->msg[i], end - i, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			report(s, i++, n < 0 ? -errno : -EIO);
		for (; n > 0; n--)
			report(s, i++, 0);
	}
}

/*
 * Send the datagrams from @i up to @end by the ring, which all have one device. Returns the first
 * one that the ring does not take.
 */
static unsigned int send_frames(struct sender *s, unsigned int i, unsigned int end)
{
	const struct ring_way *way = &s->way[i];
	enum addr_family family = s->packet[i].dest.family;
	unsigned int n = 0;

	while (i + n < end && ring_put(s->o.ring, &s->way[i + n], &s->packet[i + n]))
		n++;
	n = n ? ring_send(s->o.ring, way->ifindex, family, s->now_ns) : 0;
	s->ring_sent += n;
	for (; n; n--)
		report(s, i++, 0);
	return i;
}

static void send_by_ring(struct sender *s, unsigned int i, unsigned int end)
{
	unsigned int rest;

	i = send_frames(s, i, end);
	for (rest = i; rest < end; rest++)
		make_raw(s, rest);
	if (i < end)
		send_run(s, i, end);
}

/* True if the datagrams leave by one socket, or by the ring and one device. */
static bool is_alike(const struct sender *s, unsigned int a, unsigned int b)
{
	return s->fd[a] == s->fd[b] && s->by_ring[a] == s->by_ring[b] &&
	       (!s->by_ring[a] || s->way[a].ifindex == s->way[b].ifindex);
}

void sender_flush(struct sender *s)
{
	unsigned int i, end;

	for (i = 0; i < s->n; i = end) {
		for (end = i + 1; end < s->n && is_alike(s, i, end); end++)
			;
		if (s->by_ring[i])
			send_by_ring(s, i, end);
		else
			send_run(s, i, end);
	}
	s->n = 0;
	s->bytes = 0;
}

bool sender_has(const struct sender *s, const struct sender_port *from)
{
	unsigned int i;

	for (i = 0; i < s->n; i++)
		if (s->from[i] == from)
			return true;
	return false;
}

uint64_t sender_ring_sent(const struct sender *s)
{
	return s->ring_sent;
}

/* connect() on a UDP socket asks the kernel for a route, and sends nothing. */
int sender_source(const struct addr *dest, struct addr *source)
{
	struct addr to = addr_with_port(*dest, 1);
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(&to, &sa.any);
	int err = 0, fd;

	fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, &sa.sa, len) < 0) {
		err = -errno;
	} else {
		len = sizeof(sa);
		if (getsockname(fd, &sa.sa, &len) < 0)
			err = -errno;
		else
			*source = addr_with_port(addr_from_sockaddr(&sa.sa), 0);
	}
	close(fd);
	return err;
}

int sender_new(struct sender **out, const struct sender_opts *opts)
{
	struct sender *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->o = *opts;
	*out = s;
	return 0;
}

void sender_free(struct sender *s)
{
	if (s)
		sender_flush(s);
	free(s);
}
