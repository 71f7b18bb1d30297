/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender.c - a queue of datagrams, and sendmmsg() for each run of them that leaves by one socket.
 * With raw sockets that is the whole queue.
 *
 * Deliberately not here: segmentation offload, which does not help at the rate of voice; devices
 * and next hops, which are the kernel's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/sender.h"
#include "net/sockopt.h"

#define QUEUE_PACKETS 128 /* queued at most before they are sent */
#define QUEUE_BYTES 65536

struct sender {
	struct sender_opts o;
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
	struct sender_port *from[QUEUE_PACKETS];
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

/* ---- UDP headers ---- */

/* The sum of 32-bit words; the bytes that are left over are filled up with zeros. */
static uint64_t sum_of(const void *data, size_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint32_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum += word;
	}
	word = 0;
	memcpy(&word, p, len);
	return sum + word;
}

/* The checksum of UDP with IPv4 (RFC 768), in network byte order. */
static uint16_t checksum4(const struct udphdr *udp, const struct addr *source,
			  const struct addr *dest, struct span data)
{
	uint64_t sum = sum_of(data.p, data.len, 0);

	sum = sum_of(source->ip, 4, sum);
	sum = sum_of(dest->ip, 4, sum);
	sum += htons(IPPROTO_UDP) + udp->len;
	sum += (uint64_t)udp->source + udp->dest + udp->len;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff ? 0xffff : ~sum & 0xffff;
}

/* With IPv6 the kernel computes the checksum. */
static struct udphdr header(const struct sender_port *from, const struct addr *source,
			    const struct addr *dest, struct span data)
{
	struct udphdr udp = {
		.source = htons(from->local.port),
		.dest = htons(dest->port),
		.len = htons(sizeof(struct udphdr) + data.len),
	};

	if (dest->family == ADDR_IP4)
		udp.check = checksum4(&udp, source, dest, data);
	return udp;
}

/* ---- the queue ---- */

static int raw_of(const struct sender *s, enum addr_family family)
{
	return family == ADDR_IP6 ? s->o.raw6 : s->o.raw4;
}

/* A raw socket takes the ports from the UDP header; IPv6 refuses a port beside it. */
static void make_raw(struct sender *s, unsigned int i, const struct addr *dest,
		     const struct addr *source, struct span data)
{
	struct addr host = addr_with_port(*dest, 0);
	struct msghdr *msg = &s->msg[i].msg_hdr;

	s->udp[i] = header(s->from[i], source, dest, data);
	s->iov[i][0] = (struct iovec){ &s->udp[i], sizeof(s->udp[i]) };
	msg->msg_namelen = addr_to_sockaddr(&host, &s->to[i].any);
	msg->msg_iov = s->iov[i];
	msg->msg_iovlen = 2;
	put_source(msg, source);
}

static void make_own(struct sender *s, unsigned int i, const struct addr *dest,
		     const struct addr *source)
{
	struct msghdr *msg = &s->msg[i].msg_hdr;

	msg->msg_namelen = addr_to_sockaddr(dest, &s->to[i].any);
	msg->msg_iov = &s->iov[i][1];
	msg->msg_iovlen = 1;
	if (s->from[i]->wildcard && source->family == s->from[i]->local.family)
		put_source(msg, source);
}

static void enqueue(struct sender *s, struct sender_port *from, const struct addr *dest,
		    const struct addr *source, struct span data, struct sender_manner manner,
		    bool reported)
{
	enum addr_family family = from->local.family;
	unsigned int i = s->n++;
	uint8_t tos = from->tos | manner.ecn;

	s->from[i] = from;
	s->note[i] = manner.note;
	s->reported[i] = reported;
	s->iov[i][1] = (struct iovec){ (void *)data.p, data.len };
	s->msg[i].msg_hdr = (struct msghdr){
		.msg_name = &s->to[i], .msg_control = s->control[i].buf,
	};
	if (from->fd < 0)
		make_raw(s, i, dest, source, data);
	else
		make_own(s, i, dest, source);
	if (manner.ecn || (from->fd < 0 && tos))
		put_tos(&s->msg[i].msg_hdr, family, tos);
	if (manner.ttl)
		put_ttl(&s->msg[i].msg_hdr, family, manner.ttl);
}

/* A raw socket needs the source of each packet. */
static int choose_source(const struct sender_port *from, const struct addr *dest,
			 const struct addr *source, struct addr *out)
{
	if (!from->wildcard)
		*out = from->local;
	else if (source->family == from->local.family && !addr_is_any(source))
		*out = *source;
	else
		return sender_source(dest, out);
	return 0;
}

int sender_put(struct sender *s, struct sender_port *from, const struct addr *dest,
	       const struct addr *source, struct span data, struct sender_manner manner)
{
	struct addr chosen;
	struct span mine;
	uint8_t i;
	int err;

	if (dest->family != from->local.family)
		return -EAFNOSUPPORT;
	if (data.len > SENDER_MAX_PACKET)
		return -EMSGSIZE;
	if (from->fd < 0) {
		if (!dest->port)
			return -EINVAL;
		err = choose_source(from, dest, source, &chosen);
		if (err)
			return err;
		source = &chosen;
	}
	if (s->n + manner.copies > QUEUE_PACKETS || s->bytes + data.len > QUEUE_BYTES)
		sender_flush(s);
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

static int fd_of(const struct sender *s, unsigned int i)
{
	const struct sender_port *from = s->from[i];

	return from->fd >= 0 ? from->fd : raw_of(s, from->local.family);
}

/*
 * Send the datagrams from @i up to @end, which leave by one socket. A datagram that the kernel
 * refuses is reported, and the next one goes on.
 */
static void send_run(struct sender *s, unsigned int i, unsigned int end)
{
	int fd = fd_of(s, i), n;

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

void sender_flush(struct sender *s)
{
	unsigned int i, end;

	for (i = 0; i < s->n; i = end) {
		for (end = i + 1; end < s->n && fd_of(s, end) == fd_of(s, i); end++)
			;
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
