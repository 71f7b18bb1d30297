/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sockets.c - media ports against real peers in a network namespace of the test's own: each with
 * a socket of its own, and all with shared sockets that send by raw sockets or by the ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "own_net.h"

#include "../../daemon/net/sockets.c"

#include <net/if.h>
#include <sys/resource.h>

#define KEPT 64
#define QUEUE 128 /* packets that the sender queues */

static struct event_base *base;
static struct sockets *user;
static bool sharing; /* ports have a switchboard */
static bool ringing; /* its ring sends */
static struct switchboard *board;
static struct addr expected[2]; /* ports that it expects */
static unsigned int n_expected;
static unsigned int finds; /* the device that the ring's finder names; 0: it finds no way */

/* Results of the callbacks, and instructions for on_packet. */
static struct {
	uint64_t n, bytes, batches, by_owner[32];
	uint64_t bytes_sent, refused;
	unsigned int note;
	struct sockets_packet pkt[KEPT]; /* .data is no longer valid */
	uint8_t data[KEPT][64];
	void *owner;
	unsigned int tag;
	struct sockets_port *close[4]; /* pairs that the first packet closes */
} got;

/* Owners of pairs: on_packet() counts by them. */
static char owners[ARRAY_SIZE(got.by_owner)];

/* close_pair - close the pair of @p. */
static void close_pair(struct sockets_port *p)
{
	sockets_pair_close(user, port_pair(p));
}

static void on_packet(void *arg, void *owner, unsigned int tag, const struct sockets_packet *pkt)
{
	unsigned int i;

	assert_ptr_equal(arg, &got);
	if (got.n < KEPT) {
		got.pkt[got.n] = *pkt;
		memcpy(got.data[got.n], pkt->data, MIN(pkt->len, sizeof(got.data[0])));
	}
	got.owner = owner;
	got.tag = tag;
	got.by_owner[(char *)owner - owners]++;
	got.n++;
	got.bytes += pkt->len;
	for (i = 0; i < ARRAY_SIZE(got.close) && got.close[i]; i++) {
		close_pair(got.close[i]);
		got.close[i] = NULL;
	}
}

static void on_batch_end(void *arg)
{
	assert_ptr_equal(arg, &got);
	got.batches++;
	sockets_flush(user);
}

static void on_sent(void *arg, void *owner, unsigned int tag, unsigned int note, size_t len,
		    int err)
{
	assert_ptr_equal(arg, &got);
	(void)owner, (void)tag;
	got.note = note;
	got.bytes_sent += err ? 0 : len;
	got.refused += err < 0;
}

/* Frames of the loopback device need no link address. */
static bool find_way(void *arg, const struct addr *source, const struct addr *dest, uint8_t tos,
		     uint64_t now_ns, struct ring_way *out)
{
	assert_ptr_equal(arg, &got);
	assert_true(source->port && dest->port && source->family == dest->family);
	assert_true(now_ns > 0);
	(void)tos;
	*out = (struct ring_way){ .ifindex = finds, .mtu = 1500, .ttl = 64 };
	return finds && (dest->ip[0] == 10 || dest->ip[0] == 0xfd);
}

static const struct ring_finder finder = { find_way, &got };

static int open_board(void)
{
	const struct switchboard_opts opts = {
		.port_min = 3000,
		.port_max = 20000,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.hosts = expected,
		.n_hosts = MIN(n_expected, 1u),
		.expected = expected,
		.n_expected = n_expected,
	};
	char err[256];

	if (switchboard_new(&board, &opts, err, sizeof(err))) {
		print_message("%s\n", err);
		return -1;
	}
	finds = if_nametoindex("lo");
	if (ringing)
		switchboard_use_ring(board, &finder);
	return 0;
}

static int begin_with(bool double_small)
{
	struct sockets_opts opts = {
		.on_packet = on_packet,
		.batch_end = on_batch_end,
		.sent = on_sent,
		.arg = &got,
		.rcvbuf_bytes = 256 * 1024,
		.double_small = double_small,
	};

	memset(&got, 0, sizeof(got));
	if (sharing && open_board())
		return -1;
	opts.switchboard = board;
	base = event_base_new();
	return sockets_new(&user, base, &opts);
}

static int begin(void **state)
{
	(void)state;
	return begin_with(false);
}

static int begin_double(void **state)
{
	(void)state;
	return begin_with(true);
}

static int begin_expecting(void **state)
{
	int rc;

	(void)state;
	expected[0] = at("10.99.0.1", 4000);
	expected[1] = at("10.99.0.1", 4002);
	n_expected = ARRAY_SIZE(expected);
	rc = begin_with(false);
	n_expected = 0;
	return rc;
}

static int end(void **state)
{
	struct sockets_counts c;

	(void)state;
	sockets_counts(user, &c);
	sockets_free(user);
	event_base_free(base);
	switchboard_free(board);
	board = NULL;
	return c.ports; /* every test closes its ports */
}

/* The even port @port of a new pair. */
static struct sockets_port *pair_at(const char *host, uint16_t port, uint8_t tos,
				    unsigned int owner)
{
	const struct sockets_bind to = { .local = at(host, port), .tos = tos };
	struct sockets_pair *pair;

	assert_int_equal(sockets_pair_open(user, &to, &owners[owner], &pair), 0);
	return sockets_port(pair, 0);
}

static int try_open(const char *host, uint16_t port)
{
	const struct sockets_bind to = { .local = at(host, port) };
	struct sockets_pair *pair;
	int err = sockets_pair_open(user, &to, owners, &pair);

	if (!err)
		sockets_pair_close(user, pair);
	return err;
}

static void send_text(struct sockets_port *p, const char *host, uint16_t port, const char *source,
		      const char *text)
{
	struct addr to = at(host, port), from = { 0 };

	if (source)
		from = at(source, 0);
	assert_int_equal(sockets_port_send(user, p, &to, &from, (const uint8_t *)text,
					   strlen(text)),
			 0);
}

static struct sockets_counts counts(void)
{
	struct sockets_counts c;

	sockets_counts(user, &c);
	return c;
}

/* ---- in ---- */

static void receives(const char *local, const char *peer)
{
	struct sockets_port *p = pair_at(local, 4000, 0, 7);
	struct addr to = at(local, 4000), from = at(peer, 5000);
	int fd = peer_open(peer, 5000);

	peer_send(fd, &to, "hello", 5);
	peer_send(fd, &to, "", 0);
	turn_until(base, &got.n, 2);
	assert_true(addr_eq(&got.pkt[0].src, &from));
	assert_true(addr_eq(&got.pkt[0].local, &to));
	assert_int_equal(got.pkt[0].len, 5);
	assert_memory_equal(got.data[0], "hello", 5);
	assert_int_equal(got.pkt[1].len, 0);
	assert_ptr_equal(got.owner, &owners[7]);
	assert_int_equal(got.tag, 0);
	assert_int_equal(counts().received, 2);
	close(fd);
	close_pair(p);
}

/* The odd port of a pair: packets to it have tag 1, and packets from it its number. */
static void test_odd_port(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 7);
	struct addr to = at("10.99.0.1", 4001);
	int fd = peer_open("10.99.0.2", 5000);

	(void)state;
	peer_send(fd, &to, "rtcp", 4);
	turn_until(base, &got.n, 1);
	assert_true(addr_eq(&got.pkt[0].local, &to));
	assert_ptr_equal(got.owner, &owners[7]);
	assert_int_equal(got.tag, 1);
	send_text(p + 1, "10.99.0.2", 5000, NULL, "answer");
	sockets_flush(user);
	assert_true(addr_eq(&turn_for(base, fd)->src, &to));
	close(fd);
	close_pair(p);
}

static void test_receive4(void **state)
{
	(void)state;
	receives("10.99.0.1", "10.99.0.2");
}

static void test_receive6(void **state)
{
	(void)state;
	receives("fd99::1", "fd99::2");
}

/*
 * The kernel begins to timestamp packets a moment after the first socket asks for it, because a
 * work queue does it. Until then it gives the time of reading.
 */
static void wait_for_stamps(int fd, const struct addr *to)
{
	uint64_t end = test_now_ns() + OWN_NET_PATIENCE_MS * NSEC_PER_MSEC, sent;

	do {
		assert_true(test_now_ns() < end);
		got.n = 0;
		peer_send(fd, to, "?", 1);
		sent = test_now_ns();
		while (test_now_ns() < sent + 5 * NSEC_PER_MSEC)
			;
		turn_until(base, &got.n, 1);
	} while (got.pkt[0].arrival_ns > sent + 2 * NSEC_PER_MSEC);
	got.n = 0;
}

/* The time of arrival is the kernel's timestamp, not the time of reading. */
static void test_arrival(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.1", 4000);
	int fd = peer_open("10.99.0.2", 5000);
	uint64_t before, after;

	(void)state;
	wait_for_stamps(fd, &to);
	before = test_now_ns();
	peer_send(fd, &to, "x", 1);
	after = test_now_ns();
	while (test_now_ns() < after + 30 * NSEC_PER_MSEC)
		;
	turn_until(base, &got.n, 1);
	/* Both clocks are read one after the other; on a busy machine time may pass in between. */
	assert_true(got.pkt[0].arrival_ns + 15 * NSEC_PER_MSEC > before);
	assert_true(got.pkt[0].arrival_ns < after + 15 * NSEC_PER_MSEC);
	close(fd);
	close_pair(p);
}

/* A timestamp from before the clock was set is ignored. */
static void test_clock_was_set(void **state)
{
	struct sockets_packet pkt = { .arrival_ns = 77 };
	struct timespec stamp = { .tv_sec = 1000 };

	(void)state;
	user->now_ns = 500 * NSEC_PER_SEC;
	user->real_ns = 1001 * NSEC_PER_SEC;
	take_stamp(user, &pkt, &stamp);
	assert_int_equal(pkt.arrival_ns, 499 * NSEC_PER_SEC);
	stamp.tv_sec = 1002;
	take_stamp(user, &pkt, &stamp);
	assert_int_equal(pkt.arrival_ns, 501 * NSEC_PER_SEC);
	stamp.tv_sec = 5000;
	take_stamp(user, &pkt, &stamp);
	assert_int_equal(pkt.arrival_ns, 501 * NSEC_PER_SEC);
	stamp.tv_sec = 100;
	take_stamp(user, &pkt, &stamp);
	assert_int_equal(pkt.arrival_ns, 501 * NSEC_PER_SEC);
}

static void test_long(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.1", 4000);
	int fd = peer_open("10.99.0.2", 5000);
	static uint8_t big[65507]; /* the longest of IPv4 */

	(void)state;
	peer_send(fd, &to, big, 9000);
	peer_send(fd, &to, big, sizeof(big));
	peer_send(fd, &to, "x", 1);
	turn_until(base, &got.n, 3);
	assert_int_equal(got.pkt[0].len, 9000);
	assert_int_equal(got.pkt[1].len, sizeof(big));
	assert_int_equal(got.pkt[2].len, 1);
	close(fd);
	close_pair(p);
}

/* Send a datagram with @ttl between ports of the same family. Returns its TTL on arrival. */
static uint8_t ttl_between(const char *from, const char *to, uint8_t ttl)
{
	struct sockets_port *a = pair_at(from, 4000, 0, 0), *b = pair_at(to, 4002, 0, 0);
	struct addr dest = at(to, 4002), none = { 0 };
	const uint64_t before = got.n;

	assert_int_equal(sockets_port_send_as(user, a, &dest, &none, (const uint8_t *)"x", 1,
					      (struct sockets_manner){ ttl, 7 }),
			 0);
	sockets_flush(user);
	assert_int_equal(got.note, 7);
	turn_until(base, &got.n, before + 1);
	close_pair(a);
	close_pair(b);
	return got.pkt[before].ttl;
}

static void test_ttl(void **state)
{
	(void)state;
	assert_int_equal(ttl_between("10.99.0.1", "10.99.0.2", 0), 64);
	assert_int_equal(ttl_between("10.99.0.1", "10.99.0.2", 3), 3);
	assert_int_equal(ttl_between("fd99::1", "fd99::2", 0), 64);
	assert_int_equal(ttl_between("fd99::1", "fd99::2", 1), 1);
}

/* ---- wildcards ---- */

/*
 * @a and @b are two addresses of this host. A packet names the address that it came to, and either
 * can be the source of packets that leave.
 */
static void wildcard(const char *any, const char *a, const char *b, const char *peer)
{
	struct sockets_port *p = pair_at(any, 4000, 0, 0);
	struct addr to_a = at(a, 4000), to_b = at(b, 4000);
	int fd = peer_open(peer, 5000);

	peer_send(fd, &to_a, "1", 1);
	peer_send(fd, &to_b, "2", 1);
	turn_until(base, &got.n, 2);
	assert_true(addr_eq(&got.pkt[0].local, &to_a));
	assert_true(addr_eq(&got.pkt[1].local, &to_b));
	send_text(p, peer, 5000, b, "from b");
	send_text(p, peer, 5000, a, "from a");
	send_text(p, peer, 5000, NULL, "from any");
	sockets_flush(user);
	assert_true(addr_eq(&turn_for(base, fd)->src, &to_b));
	assert_true(addr_eq(&turn_for(base, fd)->src, &to_a));
	assert_int_equal(turn_for(base, fd)->src.port, 4000);
	close(fd);
	close_pair(p);
}

static void test_wildcard4(void **state)
{
	(void)state;
	wildcard("0.0.0.0", "10.99.0.1", "10.99.0.2", "10.99.0.3");
}

static void test_wildcard6(void **state)
{
	(void)state;
	wildcard("::", "fd99::1", "fd99::2", "fd99::3");
}

/* Both families have the same port numbers, wildcards too. */
static void test_both_families(void **state)
{
	struct sockets_port *p6 = pair_at("::", 4000, 0, 6), *p4 = pair_at("0.0.0.0", 4000, 0, 4);
	struct addr to4 = at("10.99.0.1", 4000), to6 = at("fd99::1", 4000);
	int fd4 = peer_open("10.99.0.2", 5000), fd6 = peer_open("fd99::2", 5000);

	(void)state;
	peer_send(fd4, &to4, "4", 1);
	turn_until(base, &got.by_owner[4], 1);
	peer_send(fd6, &to6, "6", 1);
	turn_until(base, &got.by_owner[6], 1);
	assert_int_equal(got.n, 2);
	close(fd4);
	close(fd6);
	close_pair(p6);
	close_pair(p4);
}

/* ---- out ---- */

static void test_tos(void **state)
{
	static const char *const pairs[][2] = { { "10.99.0.1", "10.99.0.2" },
						{ "fd99::1", "fd99::2" } };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pairs); i++) {
		struct sockets_port *marked = pair_at(pairs[i][0], 4000, 0xb8, 0);
		struct sockets_port *plain = pair_at(pairs[i][0], 4002, 0, 0);
		int fd = peer_open(pairs[i][1], 5000);

		send_text(marked, pairs[i][1], 5000, NULL, "x");
		send_text(plain, pairs[i][1], 5000, NULL, "x");
		sockets_flush(user);
		assert_int_equal(turn_for(base, fd)->tos, 0xb8);
		assert_int_equal(turn_for(base, fd)->tos, 0);
		assert_int_equal(sockets_pair_set_tos(user, port_pair(marked), 0x100 + 0x28), 0);
		send_text(marked, pairs[i][1], 5000, NULL, "x");
		sockets_flush(user);
		assert_int_equal(turn_for(base, fd)->tos, 0x28);
		close(fd);
		close_pair(marked);
		close_pair(plain);
	}
}

static void test_double_small(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.2", 5000), none = { 0 };
	int fd = peer_open("10.99.0.2", 5000);
	uint8_t data[200] = { 0 };
	unsigned int i;

	(void)state;
	assert_int_equal(sockets_port_send(user, p, &to, &none, data, 127), 0);
	assert_int_equal(sockets_port_send(user, p, &to, &none, data, 128), 0);
	sockets_flush(user);
	assert_int_equal(turn_for(base, fd)->len, 127);
	assert_int_equal(turn_for(base, fd)->len, 127);
	assert_int_equal(turn_for(base, fd)->len, 128);
	assert_false(peer_has(fd));
	assert_int_equal(counts().sent, 2);
	assert_int_equal(got.bytes_sent, 127 + 128);
	/* Begin at an odd place in the queue, before it fills up. */
	assert_int_equal(sockets_port_send(user, p, &to, &none, data, 200), 0);
	for (i = 0; i < QUEUE; i++)
		assert_int_equal(sockets_port_send(user, p, &to, &none, data, 100), 0);
	sockets_flush(user);
	for (i = 0; i < 1 + 2 * QUEUE; i++)
		assert_int_equal(turn_for(base, fd)->len, i ? 100 : 200);
	assert_false(peer_has(fd));
	close(fd);
	close_pair(p);
}

/*
 * More packets and bytes than the queue holds, from several ports: all arrive, those of each port
 * in order.
 */
static void test_queue(void **state)
{
	struct sockets_port *p[2] = { pair_at("10.99.0.1", 4000, 0, 0),
				      pair_at("10.99.0.1", 4002, 0, 0) };
	struct addr to = at("10.99.0.2", 5000), none = { 0 };
	int fd = peer_open("10.99.0.2", 5000);
	static uint8_t data[SENDER_MAX_PACKET];
	unsigned int i, next[2] = { 0, 0 };

	(void)state;
	for (i = 0; i < 300; i++) {
		data[0] = i / 3;
		assert_int_equal(sockets_port_send(user, p[i % 3 == 0], &to, &none, data,
						   i < 150 ? 20 : 4000),
				 0);
	}
	sockets_flush(user);
	for (i = 0; i < 300; i++) {
		struct peer_got *g = turn_for(base, fd);
		unsigned int which = g->src.port == 4000 ? 0 : 1, nth = next[which]++;

		assert_int_equal(g->data[0], which ? nth : nth / 2);
	}
	assert_int_equal(next[1], 100);
	assert_int_equal(counts().sent, 300);
	assert_int_equal(counts().send_errors, 0);
	close(fd);
	close_pair(p[0]);
	close_pair(p[1]);
}

/* A packet that the kernel refuses is counted, and the packets after it are sent. */
static void test_send_errors(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to6 = at("fd99::2", 5000), to = at("10.99.0.2", 5000), none = { 0 };
	int fd = peer_open("10.99.0.2", 5000);
	static uint8_t big[SENDER_MAX_PACKET + 1];

	(void)state;
	assert_int_equal(sockets_port_send(user, p, &to6, &none, big, 1), -EAFNOSUPPORT);
	assert_int_equal(sockets_port_send(user, p, &none, &none, big, 1), -EAFNOSUPPORT);
	assert_int_equal(sockets_port_send(user, p, &to, &none, big, sizeof(big)), -EMSGSIZE);
	send_text(p, "10.99.0.2", 5000, NULL, "first");
	send_text(p, "192.0.2.1", 5000, NULL, "no route");
	send_text(p, "255.255.255.255", 5000, NULL, "broadcast");
	send_text(p, "10.99.0.2", 5000, NULL, "last");
	sockets_flush(user);
	assert_memory_equal(turn_for(base, fd)->data, "first", 5);
	assert_memory_equal(turn_for(base, fd)->data, "last", 4);
	assert_int_equal(counts().sent, 2);
	assert_int_equal(counts().send_errors, 2);
	assert_int_equal(got.bytes_sent, strlen("first") + strlen("last"));
	assert_int_equal(got.refused, 2);
	close(fd);
	close_pair(p);
}

/* The peer's port is closed: after a thousand ICMP errors our port still sends and receives. */
static void closed_peer(const char *local, const char *peer)
{
	struct sockets_port *p = pair_at(local, 4000, 0, 0);
	struct addr to = at(local, 4000);
	int fd = peer_open(peer, 5000);
	unsigned int i;

	memset(&got, 0, sizeof(got));
	for (i = 0; i < 1000; i++) {
		send_text(p, peer, 6000, NULL, "anybody?");
		send_text(p, peer, 5000, NULL, "there");
		sockets_flush(user);
		peer_send(fd, &to, "here", 4);
		turn_until(base, &got.n, i + 1);
		assert_int_equal(turn_for(base, fd)->len, 5);
	}
	close(fd);
	close_pair(p);
}

static void test_icmp(void **state)
{
	(void)state;
	closed_peer("10.99.0.1", "10.99.0.2");
	closed_peer("fd99::1", "fd99::2");
	assert_int_equal(counts().sent, 4000);
	assert_int_equal(counts().send_errors, 0);
}

/* An error of the socket itself is read and counted, and the loop does not spin on it. */
static void test_socket_error(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr gone = at("10.99.0.2", 6000), to = at("10.99.0.1", 4000);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&gone, &ss);
	int fd;

	(void)state;
	/* Only connected sockets get the error. */
	assert_int_equal(connect(p->way.fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(send(p->way.fd, "x", 1, 0), 1);
	turn_until(base, &user->counts.icmp_errors, 1);
	fd = peer_open("10.99.0.2", 6000);
	peer_send(fd, &to, "x", 1);
	turn_until(base, &got.n, 1);
	assert_int_equal(counts().icmp_errors, 1);
	close(fd);
	close_pair(p);
}

/* ---- closing at a bad moment ---- */

/*
 * Packets wait at each port. The first packet that is read, at any port, closes several of them.
 */
static void test_close_in_callback(void **state)
{
	struct sockets_port *p[5];
	int fd = peer_open("10.99.0.2", 5000), i, k;

	(void)state;
	for (i = 0; i < 5; i++) {
		struct addr to = at("10.99.0.1", 4000 + 2 * i);

		p[i] = pair_at("10.99.0.1", 4000 + 2 * i, 0, i);
		for (k = 0; k < 10; k++)
			peer_send(fd, &to, "x", 1);
	}
	for (i = 0; i < 4; i++) {
		got.close[i] = p[i];
		send_text(p[i], "10.99.0.2", 5000, NULL, "queued");
	}
	turn_until(base, &got.by_owner[4], 10);
	event_base_loop(base, EVLOOP_NONBLOCK);
	/* The port read first delivered one packet, or was the port that stayed open. */
	assert_in_range(got.n, 10, 11);
	for (i = 0; i < 4; i++)
		assert_memory_equal(turn_for(base, fd)->data, "queued", 6);
	assert_int_equal(counts().ports, SOCKETS_PAIR);
	assert_int_equal(counts().icmp_errors, 0); /* a closed port is not read */
	assert_int_equal(try_open("10.99.0.1", 4000), 0);
	close(fd);
	close_pair(p[4]);
}

/* ---- fairness ---- */

static void on_control(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(uint64_t *)arg = got.n;
}

/*
 * Twelve ports are full of packets. One turn of the loop reads a bounded number of them, runs other
 * events, and reads a port with a single packet that came last.
 */
static void test_flood(void **state)
{
	struct sockets_port *p[12], *quiet;
	struct addr to = at("10.99.0.1", 6000);
	int fd = peer_open("10.99.0.2", 5000), i, k;
	uint64_t sent = 0, seen = UINT64_MAX;
	struct event *control = event_new(base, -1, 0, on_control, &seen);

	(void)state;
	for (i = 0; i < 12; i++) {
		struct addr flooded = at("10.99.0.1", 4000 + 2 * i);

		p[i] = pair_at("10.99.0.1", 4000 + 2 * i, 0, i);
		for (k = 0; k < 200; k++, sent++)
			peer_send(fd, &flooded, "flood", 5);
	}
	quiet = pair_at("10.99.0.1", 6000, 0, 20);
	peer_send(fd, &to, "quiet", 5);
	event_active(control, EV_TIMEOUT, 0);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_in_range(got.n, 1, 1024);
	assert_in_range(seen, 0, 1024);
	for (i = 0; i < 12 && !sharing; i++)
		assert_true(got.by_owner[i] >= PORT_BATCH);
	if (!sharing)
		assert_int_equal(got.by_owner[20], 1);
	turn_until(base, &got.n, sent + 1);
	for (i = 0; i < 12; i++)
		close_pair(p[i]);
	close_pair(quiet);
	event_free(control);
	close(fd);
}

/* Turn the loop until the sockets rest, or do not. */
static void turn_until_rests(bool rests)
{
	uint64_t end = test_now_ns() + OWN_NET_PATIENCE_MS * NSEC_PER_MSEC;

	while (user->rests != rests) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_true(test_now_ns() < end);
	}
}

static void send_many(int fd, const struct addr *to, unsigned int n)
{
	while (n--)
		peer_send(fd, to, "x", 1);
}

/*
 * A few packets are read at once. Many packets make the sockets rest, and those that come meanwhile
 * are read at a tick. The rest ends with the packets, and begins again with them.
 */
static void test_rest(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.1", 4000);
	int fd = peer_open("10.99.0.2", 5000), round;

	(void)state;
	send_many(fd, &to, MANY - 1);
	turn_until(base, &got.n, MANY - 1);
	assert_false(user->rests);
	for (round = 0; round < 2; round++) {
		got.n = 0;
		send_many(fd, &to, MANY);
		turn_until(base, &got.n, MANY);
		assert_true(user->rests);
		assert_false(event_pending(user->ready, EV_READ, NULL));
		send_many(fd, &to, 3 * MANY);
		turn_until(base, &got.n, 4 * MANY);
		turn_until_rests(false);
		assert_true(event_pending(user->ready, EV_READ, NULL));
		assert_false(event_pending(user->tick, EV_READ, NULL));
	}
	got.n = 0;
	peer_send(fd, &to, "x", 1);
	turn_until(base, &got.n, 1);
	assert_false(user->rests);
	close(fd);
	close_pair(p);
}

/*
 * A port that gets more than its share of a shared socket loses packets, and the port that comes
 * after it in the same socket loses none. The next turn has room again.
 */
static void test_share(void **state)
{
	enum { SHARE = 512, MORE = 300, ONE = 4000, SAME_SHARD = ONE + 2 * FLOOR_SHARDS };
	struct sockets_port *flooded, *quiet;
	struct addr one = at("10.99.0.1", ONE), two = at("10.99.0.1", SAME_SHARD);
	int fd = peer_open("10.99.0.2", 5000), i;

	(void)state;
	flooded = pair_at("10.99.0.1", ONE, 0, 1);
	quiet = pair_at("10.99.0.1", SAME_SHARD, 0, 2);
	for (i = 0; i < SHARE + MORE; i++)
		peer_send(fd, &one, "flood", 5);
	peer_send(fd, &two, "quiet", 5);
	turn_until(base, &got.by_owner[2], 1);
	assert_int_equal(got.by_owner[1], SHARE);
	assert_int_equal(switchboard_refused(board), MORE);
	peer_send(fd, &one, "again", 5);
	turn_until(base, &got.by_owner[1], SHARE + 1);
	close(fd);
	close_pair(flooded);
	close_pair(quiet);
}

/* Ports that are missing when their packets arrive. */
static struct {
	unsigned int asked;
	int fd; /* of the peer */
	struct sockets_port *before;
	struct sockets_pair *opened;
} missed;

/*
 * Open port 4000, and close a port whose packet is in the same batch. Wait before, as for a file: no
 * further packet is read, because the batch is in use.
 */
static void on_missing(void *arg, const struct addr *dest)
{
	const struct sockets_bind to = { .local = *dest, .anyway = true };
	struct addr before = at("10.99.0.1", 4004);
	uint64_t n = got.n;

	assert_ptr_equal(arg, &missed);
	if (dest->port == 4004)
		return; /* "nested", which comes when the port is closed */
	missed.asked++;
	peer_send(missed.fd, &before, "nested", 6);
	sockets_serve(user);
	assert_int_equal(got.n, n);
	if (dest->port != 4000)
		return;
	assert_int_equal(sockets_pair_open(user, &to, &owners[2], &missed.opened), 0);
	close_pair(missed.before);
}

/* A packet opens its port; a packet for a port that is not opened then is dropped. */
static void test_missing(void **state)
{
	struct addr to = at("10.99.0.1", 4000), other = at("10.99.0.1", 4002);
	struct addr before = at("10.99.0.1", 4004);
	int fd = peer_open("10.99.0.2", 5000);

	(void)state;
	memset(&missed, 0, sizeof(missed));
	missed.fd = fd;
	missed.before = pair_at("10.99.0.1", 4004, 0, 1);
	sockets_expect(user, on_missing, &missed);
	peer_send(fd, &before, "closed", 6);
	peer_send(fd, &other, "other", 5);
	peer_send(fd, &to, "first", 5);
	turn_until(base, &got.by_owner[2], 1);
	assert_int_equal(missed.asked, 2);
	peer_send(fd, &to, "later", 5);
	turn_until(base, &got.by_owner[2], 2);
	assert_int_equal(missed.asked, 2);
	sockets_expect(user, NULL, NULL);
	peer_send(fd, &other, "other", 5);
	peer_send(fd, &to, "last", 4);
	turn_until(base, &got.by_owner[2], 3);
	assert_int_equal(missed.asked, 2);
	assert_int_equal(got.n, got.by_owner[2] + got.by_owner[1]);
	close(fd);
	sockets_pair_close(user, missed.opened);
}

/* A port that only sends: its packets reach no port, and no ICMP error answers them. */
static void test_deaf(void **state)
{
	const struct sockets_opts opts = { .on_packet = on_packet,
					   .batch_end = on_batch_end,
					   .arg = &got,
					   .switchboard = board,
					   .deaf = true };
	const struct sockets_bind here = { .local = at("10.99.0.1", 4000) };
	struct addr to = at("10.99.0.2", 5000), none = { 0 };
	int fd = peer_open("10.99.0.2", 5000), error = 0;
	socklen_t len = sizeof(error);
	struct sockets_pair *pair;
	struct sockets *deaf;

	(void)state;
	assert_int_equal(sockets_new(&deaf, base, &opts), 0);
	assert_int_equal(sockets_pair_open(deaf, &here, owners, &pair), 0);
	assert_int_equal(sockets_port_send(deaf, sockets_port(pair, 0), &to, &none,
					   (const uint8_t *)"copy", 4),
			 0);
	sockets_flush(deaf);
	assert_int_equal(turn_for(base, fd)->len, 4);
	/* Only a connected socket hears of an ICMP error. */
	assert_int_equal(connect(fd,
				 (struct sockaddr *)&(struct sockaddr_in){
					 .sin_family = AF_INET,
					 .sin_port = htons(4000),
					 .sin_addr.s_addr = inet_addr("10.99.0.1") },
				 sizeof(struct sockaddr_in)),
			 0);
	assert_int_equal(send(fd, "answer", 6, 0), 6);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, 0);
	assert_int_equal(got.n, 0);
	sockets_pair_close(deaf, pair);
	assert_int_equal(send(fd, "answer", 6, 0), 6);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	assert_int_equal(error, ECONNREFUSED); /* the port is closed now */
	sockets_free(deaf);
	close(fd);
}

/* ---- the ring ---- */

/* Send @len bytes to the peer, and check that they arrive whole. */
static void ring_sends(struct sockets_port *p, int fd, const struct addr *to, size_t len)
{
	struct addr none = { 0 };
	struct peer_got *h;
	uint8_t data[2000];
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = len + i * 7;
	assert_int_equal(sockets_port_send(user, p, to, &none, data, len), 0);
	sockets_flush(user);
	h = turn_for(base, fd);
	assert_int_equal(h->len, len);
	assert_memory_equal(h->data, data, MIN(len, sizeof(h->data)));
}

/* Every length has its checksum, which the receiving kernel checks. @max: the longest by the ring. */
static void ring_lengths(const char *local, const char *peer, size_t max)
{
	struct sockets_port *p = pair_at(local, 4000, 0xb8, 0);
	struct addr to = at(peer, 5000);
	int fd = peer_open(peer, 5000);
	const uint64_t before = counts().ring;
	size_t len;

	ring_sends(p, fd, &to, 1); /* the first one goes by the raw socket */
	assert_int_equal(counts().ring, before);
	for (len = 0; len <= 200; len++)
		ring_sends(p, fd, &to, len);
	assert_int_equal(counts().ring, before + 201);
	ring_sends(p, fd, &to, max);
	assert_int_equal(counts().ring, before + 202);
	ring_sends(p, fd, &to, max + 1);
	assert_int_equal(counts().ring, before + 202);
	assert_int_equal(counts().sent, 204 + before);
	assert_int_equal(counts().send_errors, 0);
	close(fd);
	close_pair(p);
}

static void test_ring_lengths(void **state)
{
	(void)state;
	ring_lengths("10.99.0.1", "10.99.0.2", 576 - 28);
	user->counts.sent = 202; /* as many as went by the ring */
	ring_lengths("fd99::1", "fd99::2", 1280 - 48);
}

/* A checksum of 0 is sent as 0xffff: 0 would say that there is none, which IPv6 forbids. */
static void test_ring_zero(void **state)
{
	struct addr a = at("fd99::1", 4000), b = at("fd99::2", 5000);
	uint8_t data[2] = { 0, 0 };
	const struct span span = { (const char *)data, sizeof(data) };
	uint16_t check = ring_udp(&a, &b, span).check;

	(void)state;
	memcpy(data, &check, sizeof(check)); /* the sum is now 0xffff, and its complement 0 */
	assert_int_equal(ring_udp(&a, &b, span).check, 0xffff);
}

/* More packets than the ring has places, in batches: each leaves once, and in order. */
static void test_ring_wraps(void **state)
{
	enum { ROUNDS = 40, BATCH_SENT = 100 };
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.2", 5000), none = { 0 };
	int fd = peer_open("10.99.0.2", 5000);
	uint32_t i, n = 0;

	(void)state;
	ring_sends(p, fd, &to, 1);
	for (i = 0; i < ROUNDS * BATCH_SENT; i++) {
		assert_int_equal(sockets_port_send(user, p, &to, &none, (uint8_t *)&i, sizeof(i)),
				 0);
		if ((i + 1) % BATCH_SENT)
			continue;
		sockets_flush(user);
		for (; n <= i; n++)
			assert_memory_equal(turn_for(base, fd)->data, &n, sizeof(n));
	}
	assert_true(counts().ring > 0);
	assert_int_equal(counts().sent, ROUNDS * BATCH_SENT + 1);
	close(fd);
	close_pair(p);
}

/* A device that refuses frames: they leave by the raw socket, and the ring goes on afterwards. */
static void test_ring_refused(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr to = at("10.99.0.2", 5000);
	int fd = peer_open("10.99.0.2", 5000), i;

	(void)state;
	ring_sends(p, fd, &to, 1);
	for (i = 0; i < 5; i++) {
		finds = 99999; /* there is no such device */
		ring_sends(p, fd, &to, 10);
		assert_int_equal(counts().ring, i);
		finds = if_nametoindex("lo");
		ring_sends(p, fd, &to, 10);
		assert_int_equal(counts().ring, i + 1);
	}
	assert_int_equal(counts().sent, 11);
	assert_int_equal(counts().send_errors, 0);
	close(fd);
	close_pair(p);
}

/* The host's rules see the first packet to each destination, and one every 5 s. */
static void test_ring_seen(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct addr one = at("10.99.0.2", 5000), two = at("10.99.0.3", 5000);
	int fd1 = peer_open("10.99.0.2", 5000), fd2 = peer_open("10.99.0.3", 5000);

	(void)state;
	ring_sends(p, fd1, &one, 10);
	assert_int_equal(counts().ring, 0);
	ring_sends(p, fd1, &one, 10);
	assert_int_equal(counts().ring, 1);
	ring_sends(p, fd2, &two, 10);
	assert_int_equal(counts().ring, 1);
	ring_sends(p, fd2, &two, 10);
	assert_int_equal(counts().ring, 2);
	p->way.seen_ms -= 6000;
	ring_sends(p, fd2, &two, 10);
	assert_int_equal(counts().ring, 2);
	ring_sends(p, fd2, &two, 10);
	assert_int_equal(counts().ring, 3);
	close(fd1);
	close(fd2);
	close_pair(p);
}

/* ---- opening ---- */

/* Another program has the port: at this address, at all of them, or as a wildcard of ours. */
static void taken(const char *ours, const char *theirs, int err)
{
	int fd = peer_open(theirs, 4000);

	assert_int_equal(try_open(ours, 4000), err);
	assert_int_equal(try_open(ours, 4002), 0);
	close(fd);
	assert_int_equal(try_open(ours, 4000), 0);
}

static void test_taken(void **state)
{
	(void)state;
	taken("10.99.0.1", "10.99.0.1", -EADDRINUSE);
	taken("10.99.0.1", "0.0.0.0", -EADDRINUSE);
	taken("10.99.0.1", "10.99.0.2", 0);
	taken("10.99.0.1", "fd99::1", 0);
	taken("0.0.0.0", "10.99.0.1", -EADDRINUSE);
	taken("fd99::1", "fd99::1", -EADDRINUSE);
	taken("fd99::1", "::", -EADDRINUSE);
	taken("fd99::1", "fd99::2", 0);
	taken("::", "fd99::1", -EADDRINUSE);
}

/* Another program has the odd port: the pair is not opened, and its even port is free again. */
static void test_odd_taken(void **state)
{
	int fd = peer_open("10.99.0.1", 4001);

	(void)state;
	assert_int_equal(try_open("10.99.0.1", 4000), -EADDRINUSE);
	assert_int_equal(counts().ports, 0);
	assert_int_equal(counts().own, 0);
	close(peer_open("10.99.0.1", 4000));
	close(fd);
	assert_int_equal(try_open("10.99.0.1", 4000), 0);
}

/*
 * Two daemons in one network namespace find each other's ports, also for a call that goes on. One of
 * them knows its addresses before the first port.
 */
static void test_two(void **state)
{
	const struct addr hosts[] = { at("10.99.0.1", 0), at("10.99.0.2", 0), at("10.99.0.1", 0),
				      at("fd99::1", 0) };
	const struct switchboard_opts opts = {
		.port_min = 3000,
		.port_max = 5000,
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.hosts = hosts,
		.n_hosts = ARRAY_SIZE(hosts),
	};
	struct addr mine = at("10.99.0.1", 4000), free_one = at("10.99.0.1", 4002);
	struct switchboard *other;
	struct sockets_port *p;
	char err[256];

	(void)state;
	p = pair_at("10.99.0.1", 4000, 0, 1);
	assert_int_equal(switchboard_new(&other, &opts, err, sizeof(err)), 0);
	assert_int_equal(switchboard_open(other, &mine, &mine, false, false), -EADDRINUSE);
	assert_int_equal(switchboard_open(other, &mine, &mine, false, true), -EADDRINUSE);
	assert_int_equal(switchboard_open(other, &free_one, &mine, false, false), 0);
	assert_int_equal(try_open("10.99.0.1", 4002), -EADDRINUSE);
	close_pair(p);
	assert_int_equal(switchboard_open(other, &mine, &mine, false, true), 0);
	assert_ptr_equal(switchboard_find(other, &mine), &mine);
	switchboard_free(other);
	assert_int_equal(try_open("10.99.0.1", 4000), 0);
}

/* An address of this host goes and comes back. A port may be opened anyway meanwhile. */
static void test_address_gone(void **state)
{
	const struct sockets_bind anyway = { .local = at("10.99.0.4", 4000), .anyway = true };
	struct sockets_pair *pair;

	(void)state;
	assert_int_equal(try_open("10.99.0.4", 4000), 0);
	assert_int_equal(system("ip addr del 10.99.0.4/32 dev lo"), 0);
	assert_int_equal(try_open("10.99.0.4", 4000), -EADDRNOTAVAIL);
	assert_int_equal(sockets_pair_open(user, &anyway, &owners[3], &pair), 0);
	assert_int_equal(system("ip addr add 10.99.0.4/32 dev lo"), 0);
	assert_int_equal(try_open("10.99.0.4", 4002), 0);
	receives("10.99.0.3", "10.99.0.4");
	sockets_pair_close(user, pair);
}

static void test_open_errors(void **state)
{
	struct sockets_port *p = pair_at("10.99.0.1", 4000, 0, 0);
	struct rlimit was, low;

	(void)state;
	assert_int_equal(try_open("10.99.0.1", 4000), -EADDRINUSE);
	assert_int_equal(try_open("10.99.0.2", 4000), 0);
	assert_int_equal(try_open("192.0.2.1", 4000), -EADDRNOTAVAIL);
	close_pair(p);
	assert_int_equal(try_open("10.99.0.1", 4000), 0);

	if (sharing)
		return; /* a port costs no descriptor */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(try_open("10.99.0.1", 4000), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(counts().ports, 0);
}

/* As many ports as a busy relay has: opening stays fast, and every port works. */
static void test_many_ports(void **state)
{
	enum { N = 4000 };
	static struct sockets_port *p[N / SOCKETS_PAIR];
	int fd = peer_open("10.99.0.2", 5000);
	uint64_t t0, t1, t2, t3;
	unsigned int i;

	(void)state;
	t0 = clock_cpu();
	for (i = 0; i < N / SOCKETS_PAIR; i++)
		p[i] = pair_at("10.99.0.1", 10000 + SOCKETS_PAIR * i, 0xb8, 0);
	t1 = clock_cpu();
	for (i = 0; i < N; i++) {
		struct addr to = at("10.99.0.1", 10000 + i);

		peer_send(fd, &to, "x", 1);
	}
	turn_until(base, &got.n, N);
	t2 = clock_cpu();
	for (i = 0; i < N / SOCKETS_PAIR; i++)
		close_pair(p[i]);
	t3 = clock_cpu();
	print_message("%d ports: %.2f us of CPU to open one, %.2f us to close\n", N,
		      (t1 - t0) / 1e3 / N, (t3 - t2) / 1e3 / N);
	assert_true(t1 - t0 < N * 200000ull);
	close(fd);
}

int main(void)
{
	int failed;
	const struct CMUnitTest of_each[] = {
		cmocka_unit_test_setup_teardown(test_socket_error, begin, end),
	};
	const struct CMUnitTest of_shared[] = {
		cmocka_unit_test_setup_teardown(test_share, begin, end),
		cmocka_unit_test_setup_teardown(test_missing, begin_expecting, end),
		cmocka_unit_test_setup_teardown(test_deaf, begin, end),
		cmocka_unit_test_setup_teardown(test_two, begin, end),
	};
	const struct CMUnitTest of_ring[] = {
		cmocka_unit_test_setup_teardown(test_ring_lengths, begin, end),
		cmocka_unit_test(test_ring_zero),
		cmocka_unit_test_setup_teardown(test_ring_wraps, begin, end),
		cmocka_unit_test_setup_teardown(test_ring_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_ring_seen, begin, end),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_receive4, begin, end),
		cmocka_unit_test_setup_teardown(test_receive6, begin, end),
		cmocka_unit_test_setup_teardown(test_odd_port, begin, end),
		cmocka_unit_test_setup_teardown(test_arrival, begin, end),
		cmocka_unit_test_setup_teardown(test_clock_was_set, begin, end),
		cmocka_unit_test_setup_teardown(test_long, begin, end),
		cmocka_unit_test_setup_teardown(test_ttl, begin, end),
		cmocka_unit_test_setup_teardown(test_wildcard4, begin, end),
		cmocka_unit_test_setup_teardown(test_wildcard6, begin, end),
		cmocka_unit_test_setup_teardown(test_both_families, begin, end),
		cmocka_unit_test_setup_teardown(test_tos, begin, end),
		cmocka_unit_test_setup_teardown(test_double_small, begin_double, end),
		cmocka_unit_test_setup_teardown(test_queue, begin, end),
		cmocka_unit_test_setup_teardown(test_send_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_icmp, begin, end),
		cmocka_unit_test_setup_teardown(test_close_in_callback, begin, end),
		cmocka_unit_test_setup_teardown(test_flood, begin, end),
		cmocka_unit_test_setup_teardown(test_rest, begin, end),
		cmocka_unit_test_setup_teardown(test_taken, begin, end),
		cmocka_unit_test_setup_teardown(test_odd_taken, begin, end),
		cmocka_unit_test_setup_teardown(test_address_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_open_errors, begin, end),
		cmocka_unit_test_setup_teardown(test_many_ports, begin, end),
	};

	if (!own_net()) {
		printf("needs root for a network namespace of its own\n");
		return 4;
	}
	failed = cmocka_run_group_tests_name("a socket for each port", tests, NULL, NULL);
	failed += cmocka_run_group_tests(of_each, NULL, NULL);
	sharing = true;
	failed += cmocka_run_group_tests_name("shared sockets", tests, NULL, NULL);
	failed += cmocka_run_group_tests(of_shared, NULL, NULL);
	ringing = true;
	/* Frames from a local address come in through lo, which the host takes for forged ones. */
	assert_int_equal(system("sysctl -qw net.ipv4.conf.all.accept_local=1 "
				"net.ipv4.conf.lo.rp_filter=0 net.ipv4.conf.all.rp_filter=0"),
			 0);
	failed += cmocka_run_group_tests_name("shared sockets with the ring", tests, NULL, NULL);
	return failed + cmocka_run_group_tests(of_ring, NULL, NULL);
}
