/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockets.c - the floor: reads media ports in batches, and sends from them.
 *
 * A port has a UDP socket of its own, or all ports share the sockets of a switchboard. Sockets that
 * receive hang on one epoll descriptor, which is one event of the loop, so a port costs the loop
 * nothing. The descriptor is level-triggered, and the kernel serves ready sockets in turn. A source
 * that floods one port gets a bounded batch of it per round, and all ports together get a bounded
 * number of packets per turn of the loop. With shared sockets the switchboard bounds a port.
 *
 * Each packet belongs to another call, whose memory the CPU's cache does not have when there are
 * thousands. So the packets of a round are read first, then the memory of all their calls is asked
 * for, and then they are delivered.
 *
 * A wake-up costs as much as several packets. So while many arrive, the loop does not wait for the
 * sockets but for the ticks of a timer, and reads all that has arrived: they rest in between.
 *
 * Packets that are sent while a packet is delivered carry that packet's ECN (RFC 3168), as the
 * packets of a dataplane do: a relay stands between routers that mark packets and an end that
 * reacts to the mark.
 *
 * The sockets are not connected and ask for no error queue, so no ICMP error reaches them. If a
 * socket reports an error nevertheless, it is counted and the port goes on.
 *
 * Deliberately not here: the receiver of a packet, link-local scopes (an address has none).
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "net/sockets.h"
#include "base/clock.h"
#include "net/sender.h"
#include "net/sockopt.h"
#include "net/switchboard.h"
#include "rtpx_abi.h"

#define BATCH 64	      /* datagrams of all sockets that are delivered together */
#define PORT_BATCH 32	      /* datagrams read from one port's own socket at a time */
#define ROUND_PORTS 16	      /* ready ports that one epoll_wait() returns at most */
#define TURN_PACKETS 512      /* after so many, other events of the loop get their turn */
#define MISSING_PACKETS 8     /* a packet whose port must be opened counts as so many */
#define REST_NS NSEC_PER_MSEC /* from one tick to the next while many packets arrive */
#define MANY 8		      /* packets of a time as long as a tick: the sockets begin to rest */
#define FEW 4		      /* with fewer packets of a tick, they end it */
/*
 * Bytes for a datagram. A power of 2 would put a whole batch into the same sets of the CPU's cache.
 */
#define ROOM (65536 + 512)
#define SMALL_BYTES 128 /* shorter packets are sent twice with -2 */
/*
 * A port on a shared socket gets packets from so long before it was opened, because the clock of
 * time stamps is another one. The model keeps a closed port unused for longer.
 */
#define EARLY_NS (100 * NSEC_PER_MSEC)
#define EPOCH_NS (64 * NSEC_PER_MSEC) /* 32 bits of these are 8 years of uptime */
#define SKEW_NS (10 * NSEC_PER_SEC)   /* a time stamp further off shows that the clock was set */

/* One media port of a pair. Its `way.tag` tells which one. */
struct sockets_port {
	struct sender_port way;
};

struct sockets_pair {
	union {
		void *owner;
		struct sockets_pair *next_dead; /* if closed */
	};
	struct addr local; /* with the even port; ADDR_NONE: closed during a turn, freed after it */
	uint32_t opened;   /* in EPOCH_NS: earlier packets of a shared socket are not for it */
	struct sockets_port port[SOCKETS_PAIR];
};

/* Two for each call: with more, malloc() takes 16 bytes more. */
_Static_assert(sizeof(struct sockets_pair) <= 56, "a pair has become larger");

/* A datagram with what its control messages say. */
struct arrived {
	struct sockets_packet pkt;
	struct sockets_port *port;
	bool shared; /* by a shared socket: the port is found later */
	uint8_t ecn;
};

/* Datagrams of several sockets. One element of each array is one datagram. */
struct inbox {
	unsigned int n;
	struct arrived arrived[BATCH];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	union sock_addr from[BATCH];
	struct {
		_Alignas(struct cmsghdr) char buf[CMSG_SPACE(sizeof(struct timespec)) +
						  2 * CMSG_SPACE(sizeof(int)) + /* TOS, TTL */
						  CMSG_SPACE(sizeof(struct in6_pktinfo)) +
						  CMSG_SPACE(sizeof(struct sockaddr_in6))];
	} control[BATCH];
	uint8_t data[BATCH][ROOM];
};

struct sockets {
	struct sockets_opts opts;
	int epoll;
	struct event *ready;
	int timer; /* ticks while the sockets rest */
	struct event *tick;
	bool rests;	   /* the loop waits for the tick, and not for `ready` */
	uint64_t since_ns; /* packets are counted from this time on, to find many */
	unsigned int n_since;
	uint8_t ecn;  /* ECN of the packet that is being delivered; else 0 */
	bool in_turn; /* ports are being read: a closed port stays in memory until the end */
	struct sockets_pair *dead;
	void (*missing)(void *arg, const struct addr *dest); /* NULL: no port is expected */
	void *missing_arg;
	int n_missing;		  /* packets of this round whose port was not open */
	uint64_t now_ns, real_ns; /* both clocks when the round began */
	uint64_t stamp_ns;	  /* CLOCK_REALTIME of the latest packet's arrival */
	struct sockets_counts counts;
	struct sender *sender;
	struct inbox in;
};

/* ---- ports ---- */

static struct sockets_pair *port_pair(const struct sockets_port *p)
{
	return container_of(p - p->way.tag, struct sockets_pair, port[0]);
}

static struct addr port_local(const struct sockets_port *p)
{
	const struct addr *local = &port_pair(p)->local;

	return addr_with_port(*local, local->port + p->way.tag);
}

static bool port_is_closed(const struct sockets_port *p)
{
	return port_pair(p)->local.family == ADDR_NONE;
}

/*
 * Ask for the destination address of packets, and keep IPv4 out of an IPv6 socket. A socket with a
 * bound address needs neither: packets come to that address, and none of another family match.
 */
static int set_wildcard(int fd, enum addr_family family)
{
	int err;

	if (family == ADDR_IP4)
		return sockopt_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
	err = sockopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	return err ? err : sockopt_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static int prepare_socket(const struct sockets *u, const struct sockets_bind *to, int fd,
			  bool receives)
{
	const struct addr *local = &to->local;
	union sock_addr sa;
	socklen_t len = addr_to_sockaddr(local, &sa.any);
	int err = receives ? sockopt_told(fd, local->family) : 0;

	if (!err && addr_is_any(local))
		err = set_wildcard(fd, local->family);
	if (!err && to->tos)
		err = sockopt_tos(fd, local->family, to->tos);
	if (!err && to->anyway)
		err = sockopt_anyway(fd, local->family);
	if (err)
		return err;
	if (receives && u->opts.rcvbuf_bytes)
		sockopt_set(fd, SOL_SOCKET, SO_RCVBUF, u->opts.rcvbuf_bytes);
	return bind(fd, &sa.sa, len) ? -errno : 0;
}

/* A socket that is bound to the port; or -errno. */
static int bound_socket(const struct sockets *u, const struct sockets_bind *to, bool receives)
{
	int af = to->local.family == ADDR_IP6 ? AF_INET6 : AF_INET, err;
	int fd = socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	err = prepare_socket(u, to, fd, receives);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static void have_own(struct sockets *u, struct sockets_port *p, int fd)
{
	p->way.own = true;
	p->way.fd = fd;
	u->counts.own++;
}

static int open_own(struct sockets *u, struct sockets_port *p, const struct sockets_bind *to)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = p } };
	int fd = bound_socket(u, to, true), err;

	if (fd < 0)
		return fd;
	if (epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &ev) == 0) {
		have_own(u, p, fd);
		return 0;
	}
	err = -errno;
	close(fd);
	return err;
}

/*
 * The host's rules look at ports since this port was opened: it sends from a socket of its own.
 * Packets to it go on to the shared socket, because the program is asked first.
 */
static int open_own_to_send(struct sockets *u, struct sockets_port *p)
{
	const struct sockets_bind to = {
		.local = port_local(p),
		.tos = p->way.tos,
		.anyway = true,
	};
	int fd = bound_socket(u, &to, false);

	if (fd < 0)
		return fd;
	if (sender_has(u->sender, &p->way))
		sender_flush(u->sender);
	have_own(u, p, fd);
	return 0;
}

static int open_port(struct sockets *u, struct sockets_port *p, const struct sockets_bind *to)
{
	if (!u->opts.switchboard)
		return open_own(u, p, to);
	return switchboard_open(u->opts.switchboard, &to->local, p, u->opts.deaf, to->anyway);
}

static void close_port(struct sockets *u, struct sockets_port *p)
{
	const struct addr local = port_local(p);

	if (sender_has(u->sender, &p->way))
		sender_flush(u->sender);
	if (u->opts.switchboard)
		switchboard_close(u->opts.switchboard, &local);
	if (!p->way.own)
		return;
	close(p->way.fd); /* this also takes it off the epoll descriptor */
	u->counts.own--;
}

static int open_pair(struct sockets *u, struct sockets_pair *pair, const struct sockets_bind *to)
{
	struct sockets_bind at = *to;
	unsigned int i;
	int err;

	for (i = 0; i < SOCKETS_PAIR; i++) {
		at.local.port = to->local.port + i;
		err = open_port(u, &pair->port[i], &at);
		if (!err)
			continue;
		while (i--)
			close_port(u, &pair->port[i]);
		return err;
	}
	return 0;
}

int sockets_pair_open(struct sockets *u, const struct sockets_bind *to, void *owner,
		      struct sockets_pair **out)
{
	struct sockets_pair *pair = malloc(sizeof(*pair));
	int err;

	if (!pair)
		return -ENOMEM;
	*pair = (struct sockets_pair){
		.owner = owner,
		.local = to->local,
		.opened = to->anyway ? 0 : (clock_now() - EARLY_NS) / EPOCH_NS,
		.port = { { { .tos = to->tos, .tag = 0 } }, { { .tos = to->tos, .tag = 1 } } },
	};
	err = open_pair(u, pair, to);
	if (err) {
		free(pair);
		return err;
	}
	u->counts.ports += SOCKETS_PAIR;
	*out = pair;
	return 0;
}

void sockets_pair_close(struct sockets *u, struct sockets_pair *pair)
{
	unsigned int i;

	for (i = 0; i < SOCKETS_PAIR; i++)
		close_port(u, &pair->port[i]);
	u->counts.ports -= SOCKETS_PAIR;
	if (!u->in_turn) {
		free(pair);
		return;
	}
	pair->local = (struct addr){ 0 };
	pair->next_dead = u->dead;
	u->dead = pair;
}

static int set_tos(struct sockets *u, struct sockets_port *p, int tos)
{
	enum addr_family family = port_pair(p)->local.family;
	int err = 0;

	if (sender_has(u->sender, &p->way))
		sender_flush(u->sender); /* those packets keep the TOS of before */
	if (p->way.own)
		err = sockopt_tos(p->way.fd, family, tos & 0xff);
	if (!err)
		p->way.tos = tos;
	return err;
}

int sockets_pair_set_tos(struct sockets *u, struct sockets_pair *pair, int tos)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < SOCKETS_PAIR && !err; i++)
		err = set_tos(u, &pair->port[i], tos);
	return err;
}

struct sockets_port *sockets_port(struct sockets_pair *pair, unsigned int tag)
{
	return &pair->port[tag];
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

static void take_stamp(struct sockets *u, struct sockets_packet *pkt, const struct timespec *stamp)
{
	uint64_t age = u->real_ns - ns_of(stamp);

	u->stamp_ns = ns_of(stamp);
	/* Packets that came since the clocks were read have a small negative age. */
	if (age + SKEW_NS > 2 * SKEW_NS)
		return;
	pkt->arrival_ns = u->now_ns - age;
}

static void take_control(struct sockets *u, struct arrived *a, struct msghdr *msg)
{
	struct sockets_packet *pkt = &a->pkt;
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec stamp;

			memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
			take_stamp(u, pkt, &stamp);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			a->ecn = *(const uint8_t *)CMSG_DATA(c) & RTPX_ECN_MASK;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			int class;

			memcpy(&class, CMSG_DATA(c), sizeof(class));
			a->ecn = class & RTPX_ECN_MASK;
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
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_ORIGDSTADDR)) {
			pkt->local = addr_from_sockaddr((struct sockaddr *)CMSG_DATA(c));
		}
	}
}

/* Describe datagram @i of the inbox. @port: the one that it came to; NULL: to a shared socket. */
static void describe_arrived(struct sockets *u, unsigned int i, struct sockets_port *port)
{
	struct inbox *in = &u->in;
	struct arrived *a = &in->arrived[i];

	*a = (struct arrived){
		.pkt = {
			.src = addr_from_sockaddr(&in->from[i].sa),
			.data = in->data[i],
			.len = in->msg[i].msg_len,
			.arrival_ns = u->now_ns,
		},
		.port = port,
	};
	if (port)
		a->pkt.local = port_local(port);
	take_control(u, a, &in->msg[i].msg_hdr);
	a->shared = !port;
	if (a->shared)
		__builtin_prefetch(switchboard_slot(u->opts.switchboard, &a->pkt.local));
}

static void inbox_reset(struct inbox *in, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		in->msg[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
		in->msg[i].msg_hdr.msg_controllen = sizeof(in->control[i]);
	}
	in->n = 0;
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

/* The port of a datagram of a shared socket; NULL: it is not open. */
static struct sockets_port *shared_port(struct sockets *u, const struct addr *dest)
{
	struct sockets_port *p = switchboard_find(u->opts.switchboard, dest);

	if (p || !u->missing)
		return p;
	u->n_missing++;
	u->missing(u->missing_arg, dest);
	return switchboard_find(u->opts.switchboard, dest);
}

/* Fetch the memory of the pair whose even port is @first. */
static void fetch_pair(const struct sockets_port *first)
{
	__builtin_prefetch(container_of(first, struct sockets_pair, port[0]));
	__builtin_prefetch((const uint8_t *)(first + SOCKETS_PAIR) - 1);
}

/* Find the ports of all datagrams, and have the memory of their calls ready. */
static void expect_inbox(struct sockets *u)
{
	struct arrived *a, *end = u->in.arrived + u->in.n;
	unsigned int step;

	for (a = u->in.arrived; a < end; a++) {
		if (a->shared)
			a->port = shared_port(u, &a->pkt.local);
		if (a->port)
			fetch_pair(a->port - (a->pkt.local.port & 1));
	}
	for (step = 0; step < SOCKETS_STEPS && u->opts.expect; step++)
		for (a = u->in.arrived; a < end; a++)
			if (a->port && !port_is_closed(a->port))
				u->opts.expect(u->opts.arg, port_pair(a->port)->owner,
					       a->port->way.tag, step);
}

/* Deliver the inbox. The owner of a port may close any port meanwhile. */
static void deliver_inbox(struct sockets *u)
{
	unsigned int i, n = u->in.n;

	expect_inbox(u);
	for (i = 0; i < n; i++) {
		const struct arrived *a = &u->in.arrived[i];
		struct sockets_port *p = a->port;

		if (!p || port_is_closed(p) ||
		    (a->shared && a->pkt.arrival_ns / EPOCH_NS < port_pair(p)->opened))
			continue;
		u->counts.received++;
		u->ecn = a->ecn;
		u->opts.on_packet(u->opts.arg, port_pair(p)->owner, p->way.tag, &a->pkt);
	}
	u->ecn = 0;
	inbox_reset(&u->in, n);
}

/* Read up to @max datagrams into the inbox. Returns their number; -1: none. */
static int read_batch(struct sockets *u, int fd, struct sockets_port *port, unsigned int max)
{
	struct inbox *in = &u->in;
	int i, n = recvmmsg(fd, in->msg + in->n, max, 0, NULL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		u->counts.icmp_errors++;
	for (i = 0; i < n; i++)
		describe_arrived(u, in->n++, port);
	return n;
}

static void bury(struct sockets *u)
{
	struct sockets_pair *pair;

	while ((pair = u->dead)) {
		u->dead = pair->next_dead;
		free(pair);
	}
}

/*
 * Read from a shared socket with the number @source, or from a port that has its own. Returns the
 * count against the turn's limit. *@more: datagrams may be left.
 */
static int source_read(struct sockets *u, epoll_data_t source, bool *more)
{
	struct switchboard *b = u->opts.switchboard;
	bool shared = source.u64 < FLOOR_SOCKETS;
	struct sockets_port *p = shared ? NULL : source.ptr;
	int fd = shared ? switchboard_socket(b, source.u64) : p->way.fd, n, max;

	if (u->in.n > BATCH - PORT_BATCH)
		deliver_inbox(u);
	if (p && port_is_closed(p))
		return 0;
	max = shared ? BATCH - u->in.n : PORT_BATCH;
	u->stamp_ns = 0;
	n = read_batch(u, fd, p, max);
	if (shared)
		switchboard_read(b, source.u64, u->stamp_ns, u->real_ns, n < max);
	*more |= n == max;
	return MAX(n, 1);
}

/* Read what has arrived, within the limit of a turn. Returns the number of packets. */
static int serve_turn(struct sockets *u)
{
	struct epoll_event ev[ROUND_PORTS];
	int left = TURN_PACKETS, i, n;
	bool more = true;

	u->in_turn = true;
	while (more && left > 0 && (n = epoll_wait(u->epoll, ev, ROUND_PORTS, 0)) > 0) {
		read_clocks(u);
		more = n == ROUND_PORTS;
		for (i = 0; i < n; i++)
			left -= source_read(u, ev[i].data, &more);
		deliver_inbox(u);
		left -= u->n_missing * MISSING_PACKETS;
		u->n_missing = 0;
		u->opts.batch_end(u->opts.arg);
	}
	if (left <= 0 && u->opts.switchboard)
		switchboard_behind(u->opts.switchboard, u->real_ns);
	u->in_turn = false;
	bury(u);
	return TURN_PACKETS - left;
}

void sockets_serve(struct sockets *u)
{
	if (!u->in_turn)
		serve_turn(u);
}

/* ---- rest ---- */

static void timer_set(const struct sockets *u, long ns)
{
	const struct itimerspec at = { { 0, ns }, { 0, ns } };

	timerfd_settime(u->timer, 0, &at, NULL);
}

static void rest_begin(struct sockets *u)
{
	if (event_add(u->tick, NULL))
		return;
	timer_set(u, REST_NS);
	event_del(u->ready);
	u->rests = true;
}

static void rest_end(struct sockets *u)
{
	if (event_add(u->ready, NULL))
		return;
	timer_set(u, 0);
	event_del(u->tick);
	u->rests = false;
	u->n_since = 0;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct sockets *u = arg;
	int n = serve_turn(u);

	(void)fd, (void)what;
	if (u->now_ns - u->since_ns > REST_NS) {
		u->since_ns = u->now_ns;
		u->n_since = 0;
	}
	u->n_since += n;
	if (u->n_since >= MANY)
		rest_begin(u);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	uint64_t ticks;

	(void)what;
	if (read(fd, &ticks, sizeof(ticks)) == sizeof(ticks) && serve_turn(arg) < FEW)
		rest_end(arg);
}

void sockets_expect(struct sockets *u, void (*missing)(void *arg, const struct addr *dest),
		    void *arg)
{
	u->missing = missing;
	u->missing_arg = arg;
}

/* ---- out ---- */

static void count_sent(void *arg, struct sender_port *from, unsigned int note, size_t len, int err)
{
	const struct sockets_port *p = container_of(from, struct sockets_port, way);
	struct sockets *u = arg;

	u->counts.sent += !err;
	u->counts.send_errors += err != 0;
	if (u->opts.sent)
		u->opts.sent(u->opts.arg, port_pair(p)->owner, p->way.tag, note, len, err);
}

void sockets_flush(struct sockets *u)
{
	sender_flush(u->sender);
}

/* Queue one datagram, and a small one twice with -2. The first copy is counted if @counted. */
static int port_queue(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, struct span data, struct sockets_manner manner,
		      bool counted)
{
	const struct sender_manner how = {
		.ecn = u->ecn,
		.ttl = manner.ttl,
		.note = manner.note,
		.copies = u->opts.double_small && data.len < SMALL_BYTES ? 2 : 1,
		.unreported = !counted,
	};
	const struct switchboard *b = u->opts.switchboard;
	int err = b && switchboard_by_port(b) && !p->way.own ? open_own_to_send(u, p) : 0;
	const struct addr local = port_local(p);

	return err ? err : sender_put(u->sender, &p->way, &local, dest, source, data, how);
}

int sockets_port_send_as(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			 const struct addr *source, const uint8_t *data, size_t len,
			 struct sockets_manner manner)
{
	return port_queue(u, p, dest, source, (struct span){ (const char *)data, len }, manner,
			  true);
}

void sockets_port_send_also(struct sockets *u, struct sockets_port *p, const struct addr *dest,
			    const struct addr *source, const uint8_t *data, size_t len,
			    struct sockets_manner manner)
{
	port_queue(u, p, dest, source, (struct span){ (const char *)data, len }, manner, false);
}

int sockets_port_send(struct sockets *u, struct sockets_port *p, const struct addr *dest,
		      const struct addr *source, const uint8_t *data, size_t len)
{
	return sockets_port_send_as(u, p, dest, source, data, len, (struct sockets_manner){ 0 });
}

void sockets_pair_expect(const struct sockets_pair *pair)
{
	fetch_pair(pair->port);
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

/* The shared sockets get their packets from now on. */
static int watch_shared(struct sockets *u)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd;

	for (ev.data.u64 = 0; ev.data.u64 < FLOOR_SOCKETS; ev.data.u64++) {
		fd = switchboard_socket(u->opts.switchboard, ev.data.u64);
		if (fd >= 0 && epoll_ctl(u->epoll, EPOLL_CTL_ADD, fd, &ev))
			return -errno;
	}
	return 0;
}

static int open_sender(struct sockets *u)
{
	const struct switchboard *b = u->opts.switchboard;
	struct sender_opts opts = {
		.raw4 = b ? switchboard_raw(b, ADDR_IP4) : -1,
		.raw6 = b ? switchboard_raw(b, ADDR_IP6) : -1,
		.sent = count_sent,
		.arg = u,
	};

	if (b)
		opts.ring = switchboard_ring(b, &opts.finder);
	return sender_new(&u->sender, &opts);
}

static int open_events(struct sockets *u, struct event_base *base)
{
	u->ready = event_new(base, u->epoll, EV_READ | EV_PERSIST, on_ready, u);
	u->tick = event_new(base, u->timer, EV_READ | EV_PERSIST, on_tick, u);
	return u->ready && u->tick && event_add(u->ready, NULL) == 0 ? 0 : -ENOMEM;
}

int sockets_new(struct sockets **out, struct event_base *base, const struct sockets_opts *opts)
{
	struct sockets *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return -ENOMEM;
	u->opts = *opts;
	inbox_init(&u->in);
	u->epoll = epoll_create1(EPOLL_CLOEXEC);
	u->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	err = u->epoll < 0 || u->timer < 0 ? -errno : open_sender(u);
	if (!err && opts->switchboard && !opts->deaf)
		err = watch_shared(u);
	if (!err)
		err = open_events(u, base);
	if (err) {
		sockets_free(u);
		return err;
	}
	*out = u;
	return 0;
}

void sockets_free(struct sockets *u)
{
	if (!u)
		return;
	sender_free(u->sender);
	if (u->ready)
		event_free(u->ready);
	if (u->tick)
		event_free(u->tick);
	if (u->timer >= 0)
		close(u->timer);
	if (u->epoll >= 0)
		close(u->epoll);
	free(u);
}

void sockets_counts(const struct sockets *u, struct sockets_counts *out)
{
	*out = u->counts;
	out->ring = sender_ring_sent(u->sender);
	if (u->opts.switchboard)
		out->refused = switchboard_refused(u->opts.switchboard);
}
