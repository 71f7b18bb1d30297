/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockets.c - the floor: one UDP socket for each media port, read and written in batches.
 *
 * All sockets hang on one epoll descriptor, which is one event of the loop, so a port costs the
 * loop nothing. The descriptor is level-triggered, and the kernel serves ready sockets in turn. A
 * source that floods one port gets a bounded batch of it per round, and all ports together get a
 * bounded number of packets per turn of the loop.
 *
 * Packets that are sent while a packet is delivered carry that packet's ECN (RFC 3168), as the
 * packets of a dataplane do: a relay stands between routers that mark packets and an end that
 * reacts to the mark.
 *
 * The sockets are not connected and ask for no error queue, so no ICMP error reaches them. If a
 * socket reports an error nevertheless, it is counted and the port goes on.
 *
 * Deliberately not here: the receiver of a packet, link-local scopes (an address has none),
 * segmentation offload.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/sockets.h"
#include "rtpx_abi.h"

#define BATCH 32	 /* datagrams read from one port at a time */
#define ROUND_PORTS 16	 /* ready ports that one epoll_wait() returns at most */
#define TURN_PACKETS 512 /* after so many, other events of the loop get their turn */
/*
 * Bytes for a datagram. A power of 2 would put a whole batch into the same sets of the CPU's cache.
 */
#define ROOM (65536 + 512)
#define SEND_PACKETS 64	 /* packets queued at most before they are sent */
#define SEND_BYTES 65536
#define SMALL_BYTES 128 /* shorter packets are sent twice with -2 */
#define SKEW_NS (10 * NSEC_PER_SEC) /* a time stamp further off shows that the clock was set */

union sock_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage any;
};

struct sockets_port {
	void *owner;
	unsigned int tag;
	int fd; /* -1: closed during a turn, freed after it */
	uint8_t tos;
	bool wildcard;
	struct addr local;
	struct sockets_port *next_dead;
};

/* One element of each array is one datagram. */
struct inbox {
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	union sock_addr from[BATCH];
	struct {
		_Alignas(struct cmsghdr) char buf[CMSG_SPACE(sizeof(struct timespec)) +
						  2 * CMSG_SPACE(sizeof(int)) + /* TOS, TTL */
						  CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control[BATCH];
	uint8_t data[BATCH][ROOM];
};

struct outbox {
	unsigned int n;
	size_t bytes;
	struct mmsghdr msg[SEND_PACKETS];
	struct iovec iov[SEND_PACKETS];
	union sock_addr to[SEND_PACKETS];
	struct {
		_Alignas(struct cmsghdr) char buf[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
						  2 * CMSG_SPACE(sizeof(int))]; /* TOS, TTL */
	} control[SEND_PACKETS];
	struct sockets_port *port[SEND_PACKETS];
	unsigned int note[SEND_PACKETS];
	bool again[SEND_PACKETS]; /* an extra copy of a datagram: in no counter */
	uint8_t data[SEND_BYTES];
};

struct sockets {
	struct sockets_opts opts;
	int epoll;
	struct event *ready;
	bool anyway;  /* ports may be opened on addresses that the host lacks */
	uint8_t ecn;  /* ECN of the packet that is being delivered; else 0 */
	bool in_turn; /* ports are being read: a closed port stays in memory until the end */
	struct sockets_port *dead;
	uint64_t now_ns, real_ns; /* both clocks when the round began */
	struct sockets_counts counts;
	struct inbox in;
	struct outbox out;
};

/* ---- ports ---- */

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

static int set_tos(int fd, enum addr_family family, int tos)
{
	if (family == ADDR_IP6)
		return set_option(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
	return set_option(fd, IPPROTO_IP, IP_TOS, tos);
}

/* Ask the kernel for the TOS and TTL of arriving packets. */
static int set_told(int fd, enum addr_family family)
{
	int err;

	if (family == ADDR_IP6) {
		err = set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		return err ? err : set_option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	}
	err = set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
	return err ? err : set_option(fd, IPPROTO_IP, IP_RECVTTL, 1);
}

/*
 * Ask for the destination address of packets, and keep IPv4 out of an IPv6 socket. A socket with a
 * bound address needs neither: packets come to that address, and none of another family match.
 */
static int set_wildcard(int fd, enum addr_family family)
{
	int err;

	if (family == ADDR_IP4)
		return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
	err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return err ? err : set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static int set_anyway(int fd, enum addr_family family)
{
	if (family == ADDR_IP6)
		return set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
}

static int port_setup(const struct sockets *u, struct sockets_port *p, uint8_t tos)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = p };
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(&p->local, &sa.any);
	int err;

	p->tos = tos;
	err = set_option(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	if (!err)
		err = set_told(p->fd, p->local.family);
	if (!err && p->wildcard)
		err = set_wildcard(p->fd, p->local.family);
	if (!err && tos)
		err = set_tos(p->fd, p->local.family, tos);
	if (!err && u->anyway)
		err = set_anyway(p->fd, p->local.family);
	if (err)
		return err;
	if (u->opts.rcvbuf_bytes)
		set_option(p->fd, SOL_SOCKET, SO_RCVBUF, u->opts.rcvbuf_bytes);
	if (bind(p->fd, &sa.sa, len) || epoll_ctl(u->epoll, EPOLL_CTL_ADD, p->fd, &ev))
		return -errno;
	return 0;
}

int sockets_port_open(struct sockets *u, const struct addr *local, uint8_t tos, void *owner,
		      unsigned int tag, struct sockets_port **out)
{
	int af = local->family == ADDR_IP6 ? AF_INET6 : AF_INET, err;
	struct sockets_port *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct sockets_port){
		.owner = owner, .tag = tag, .local = *local, .wildcard = addr_is_any(local)
	};
	p->fd = socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = p->fd < 0 ? -errno : port_setup(u, p, tos);
	if (err) {
		if (p->fd >= 0)
			close(p->fd);
		free(p);
		return err;
	}
	u->counts.ports++;
	*out = p;
	return 0;
}

void sockets_bind_anyway(struct sockets *u, bool on)
{
	u->anyway = on;
}

void sockets_port_close(struct sockets *u, struct sockets_port *p)
{
	unsigned int i;

	for (i = 0; i < u->out.n; i++) {
		if (u->out.port[i] == p) {
			sockets_flush(u);
			break;
		}
	}
	close(p->fd); /* this also takes it off the epoll descriptor */
	p->fd = -1;
	u->counts.ports--;
	if (u->in_turn) {
		p->next_dead = u->dead;
		u->dead = p;
	} else {
		free(p);
	}
}

int sockets_port_set_tos(struct sockets *u, struct sockets_port *p, int tos)
{
	int err = set_tos(p->fd, p->local.family, tos & 0xff);

	(void)u;
	if (!err)
		p->tos = tos;
	return err;
}

/* ---- in ---- */

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NSEC_PER_SEC + t->tv_nsec;
}

static void read_clocks(struct sockets *u)
{
	struct timespec mono, real;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &real);
	u->now_ns = ns_of(&mono);
	u->real_ns = ns_of(&real);
}

static void take_stamp(const struct sockets *u, struct sockets_packet *pkt,
		       const struct timespec *stamp)
{
	uint64_t age = u->real_ns - ns_of(stamp);

	/* Packets that came since the clocks were read have a small negative age. */
	if (age + SKEW_NS > 2 * SKEW_NS)
		return;
	pkt->arrival_ns = u->now_ns - age;
}

static void take_control(struct sockets *u, struct sockets_packet *pkt, struct msghdr *msg)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec stamp;

			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
			take_stamp(u, pkt, &stamp);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			u->ecn = *(const uint8_t *)CMSG_DATA(c) & RTPX_ECN_MASK;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			int class;

			memcpy(&class, CMSG_DATA(c), sizeof(class));
			u->ecn = class & RTPX_ECN_MASK;
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
			int ttl;

			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
			pkt->ttl = ttl;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(pkt->local.ip, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(pkt->local.ip, &info.ipi6_addr, sizeof(info.ipi6_addr));
		}
	}
}

static void deliver(struct sockets *u, struct sockets_port *p, unsigned int i)
{
	struct mmsghdr *m = &u->in.msg[i];
	struct sockets_packet pkt = {
		.src = addr_from_sockaddr(&u->in.from[i].sa),
		.local = p->local,
		.data = u->in.data[i],
		.len = m->msg_len,
		.arrival_ns = u->now_ns,
	};

	take_control(u, &pkt, &m->msg_hdr);
	u->counts.received++;
	u->opts.on_packet(u->opts.arg, p->owner, p->tag, &pkt);
	u->ecn = 0;
}

static void inbox_reset(struct inbox *in, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		in->msg[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
		in->msg[i].msg_hdr.msg_controllen = sizeof(in->control[i]);
	}
}

static void inbox_init(struct inbox *in)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		in->iov[i] = (struct iovec){ in->data[i], ROOM };
		in->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
			.msg_control = &in->control[i],
		};
	}
	inbox_reset(in, BATCH);
}

/*
 * Read one batch of a port. Returns its count against the turn's limit. The owner may close any
 * port meanwhile.
 */
static int port_read(struct sockets *u, struct sockets_port *p)
{
	int i, n = recvmmsg(p->fd, u->in.msg, BATCH, 0, NULL);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			u->counts.icmp_errors++;
		return 1;
	}
	for (i = 0; i < n && p->fd >= 0; i++)
		deliver(u, p, i);
	inbox_reset(&u->in, n);
	u->opts.batch_end(u->opts.arg);
	return n;
}

static void bury(struct sockets *u)
{
	struct sockets_port *p;

	while ((p = u->dead)) {
		u->dead = p->next_dead;
		free(p);
	}
}

void sockets_serve(struct sockets *u)
{
	struct epoll_event ev[ROUND_PORTS];
	int left = TURN_PACKETS, i, n;

	u->in_turn = true;
	while (left > 0 && (n = epoll_wait(u->epoll, ev, ROUND_PORTS, 0)) > 0) {
		read_clocks(u);
		for (i = 0; i < n; i++) {
			struct sockets_port *p = ev[i].data.ptr;

			if (p->fd >= 0)
				left -= port_read(u, p);
		}
	}
	u->in_turn = false;
	bury(u);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	sockets_serve(arg);
}

/* ---- out ---- */

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

/* Set the port's TOS with the ECN of a relayed packet. */
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

static void count_sent(struct sockets *u, unsigned int i, int err)
{
	const struct sockets_port *p = u->out.port[i];

	if (u->out.again[i])
		return;
	u->counts.sent += !err;
	u->counts.send_errors += err != 0;
	if (u->opts.sent)
		u->opts.sent(u->opts.arg, p->owner, p->tag, u->out.note[i],
			     u->out.iov[i].iov_len, err);
}

/*
 * Send the datagrams from @i up to @end, which leave from one port. A datagram that the kernel
 * refuses is counted, and the next one goes on.
 */
static void send_run(struct sockets *u, unsigned int i, unsigned int end)
{
	struct outbox *out = &u->out;
	int fd = out->port[i]->fd, n;

	while (i < end) {
		n = sendmmsg(fd, &out->msg[i], end - i, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			count_sent(u, i++, n < 0 ? -errno : -EIO);
		for (; n > 0; n--)
			count_sent(u, i++, 0);
	}
}

void sockets_flush(struct sockets *u)
{
	struct outbox *out = &u->out;
	unsigned int i, end;

	for (i = 0; i < out->n; i = end) {
		for (end = i + 1; end < out->n && out->port[end] == out->port[i]; end++)
			;
		send_run(u, i, end);
	}
	out->n = 0;
	out->bytes = 0;
}

static void enqueue(struct outbox *out, struct sockets_port *p, const struct addr *dest,
		    const struct addr *source, struct iovec data, struct sockets_manner manner,
		    bool again)
{
	uint8_t ecn = container_of(out, struct sockets, out)->ecn;
	unsigned int i = out->n++;
	struct msghdr *msg = &out->msg[i].msg_hdr;

	out->port[i] = p;
	out->again[i] = again;
	out->note[i] = manner.note;
	out->iov[i] = data;
	*msg = (struct msghdr){
		.msg_name = &out->to[i],
		.msg_namelen = addr_to_sockaddr(dest, &out->to[i].any),
		.msg_iov = &out->iov[i],
		.msg_iovlen = 1,
	};
	msg->msg_control = out->control[i].buf;
	if (p->wildcard && source->family == p->local.family)
		put_source(msg, source);
	if (ecn)
		put_tos(msg, p->local.family, p->tos | ecn);
	if (manner.ttl)
		put_ttl(msg, p->local.family, manner.ttl);
}

/*
 * Queue one datagram, and a small one twice with -2. Copies from number @counted on are not
 * counted.
 */
static int port_queue(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, struct iovec data, struct sockets_manner manner,
		      unsigned int counted)
{
	unsigned int copies = u->opts.double_small && data.iov_len < SMALL_BYTES ? 2 : 1, i;
	struct outbox *out = &u->out;
	struct iovec mine;

	if (dest->family != p->local.family)
		return -EAFNOSUPPORT;
	if (data.iov_len > SOCKETS_MAX_PACKET)
		return -EMSGSIZE;
	if (out->n + copies > SEND_PACKETS || out->bytes + data.iov_len > SEND_BYTES)
		sockets_flush(u);
	mine = (struct iovec){ out->data + out->bytes, data.iov_len };
	memcpy(mine.iov_base, data.iov_base, data.iov_len);
	out->bytes += data.iov_len;
	for (i = 0; i < copies; i++)
		enqueue(out, p, dest, source, mine, manner, i >= counted);
	return 0;
}

int sockets_port_send_as(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			 const struct addr *source, const uint8_t *data, size_t len,
			 struct sockets_manner manner)
{
	return port_queue(u, p, dest, source, (struct iovec){ (void *)data, len }, manner, 1);
}

void sockets_port_send_also(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			    const struct addr *source, const uint8_t *data, size_t len,
			    struct sockets_manner manner)
{
	port_queue(u, p, dest, source, (struct iovec){ (void *)data, len }, manner, 0);
}

int sockets_port_send(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, const uint8_t *data, size_t len)
{
	return sockets_port_send_as(u, p, dest, source, data, len, (struct sockets_manner){ 0 });
}

/* connect() on a UDP socket asks the kernel for a route, and sends nothing. */
int sockets_source(const struct addr *dest, struct addr *source)
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

int sockets_can_bind(const struct addr *local)
{
	struct addr to = addr_with_port(*local, 0);
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(&to, &sa.any);
	int err, fd;

	fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = bind(fd, &sa.sa, len) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* ---- begin and end ---- */

int sockets_new(struct sockets **out, struct event_base *base, const struct sockets_opts *opts)
{
	struct sockets *u = calloc(1, sizeof(*u));
	int err = -ENOMEM;

	if (!u)
		return -ENOMEM;
	u->opts = *opts;
	inbox_init(&u->in);
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (u->epoll < 0) {
		err = -errno;
		goto err_free;
	}
	u->ready = event_new(base, u->epoll, EV_READ | EV_PERSIST, on_ready, u);
	if (!u->ready || event_add(u->ready, NULL))
		goto err_close;
	*out = u;
	return 0;

err_close:
	if (u->ready)
		event_free(u->ready);
	close(u->epoll);
err_free:
	free(u);
	return err;
}

void sockets_free(struct sockets *u)
{
	if (!u)
		return;
	sockets_flush(u);
	event_free(u->ready);
	close(u->epoll);
	free(u);
}

void sockets_counts(const struct sockets *u, struct sockets_counts *out)
{
	*out = u->counts;
}
