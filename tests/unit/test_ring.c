/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ring.c - the two ways of frames: past the device's queue, and through it while there is a
 * capture. In a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <net/if.h>
#include <stdio.h>

#include "../../daemon/net/captures.c"
#include "../../daemon/net/ring.c"
#include "own_net.h"

#define START_NS (100 * NSEC_PER_SEC)

static int packet_socket(int protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(protocol));

	assert_true(fd >= 0);
	return fd;
}

static void test_captures(void **state)
{
	struct captures *c;
	int other, fd;

	(void)state;
	assert_true(captures_any(NULL, START_NS));
	assert_int_equal(captures_new(&c), 0);
	other = packet_socket(ETH_P_IP); /* sees only what arrives */
	assert_false(captures_any(c, START_NS));
	fd = packet_socket(ETH_P_ALL);
	assert_false(captures_any(c, START_NS + CAPTURES_NS - 1));
	assert_true(captures_any(c, START_NS + CAPTURES_NS));
	close(fd);
	assert_true(captures_any(c, START_NS + CAPTURES_NS + 1));
	assert_false(captures_any(c, START_NS + 2 * CAPTURES_NS));
	close(other);
	captures_free(c);
	captures_free(NULL);
}

/* More handlers than one read of the list returns; the capture is at its end or its beginning. */
static void test_long_list(void **state)
{
	enum { MANY = 500 };
	int fd[MANY], i;
	struct captures *c;

	(void)state;
	assert_int_equal(captures_new(&c), 0);
	for (i = 0; i < MANY; i++)
		fd[i] = packet_socket(ETH_P_IP);
	assert_false(captures_any(c, START_NS));
	close(fd[0]);
	fd[0] = packet_socket(ETH_P_ALL);
	assert_true(captures_any(c, START_NS + CAPTURES_NS));
	for (i = 0; i < MANY; i++)
		close(fd[i]);
	captures_free(c);
}

static struct ring_packet packet(void)
{
	return (struct ring_packet){ .source = at("10.99.0.1", 4000),
				     .dest = at("10.99.0.2", 5000),
				     .data = span_of("hello") };
}

static void send_one(struct ring *r, uint64_t now_ns)
{
	const struct ring_way way = { .ifindex = if_nametoindex("lo"), .mtu = 1500, .ttl = 64 };
	const struct ring_packet p = packet();

	assert_true(ring_put(r, &way, &p));
	assert_int_equal(ring_send(r, way.ifindex, ADDR_IP4, now_ns), 1);
}

/* The number of frames to port 5000 that the capture @fd has seen leaving. */
static unsigned int seen(int fd)
{
	struct sockaddr_ll from;
	socklen_t len = sizeof(from);
	unsigned int n = 0;
	uint8_t frame[128];
	uint16_t port;

	while (recvfrom(fd, frame, sizeof(frame), MSG_DONTWAIT, (struct sockaddr *)&from, &len) >=
	       0) {
		memcpy(&port, frame + ETHER_HDR_LEN + sizeof(struct iphdr) + 2, sizeof(port));
		n += from.sll_pkttype == PACKET_OUTGOING && port == htons(5000);
		len = sizeof(from);
	}
	return n;
}

/* Frames arrive either way. A capture sees them from a second after its beginning on. */
static void test_ways(void **state)
{
	int peer = peer_open("10.99.0.2", 5000), fd;
	struct ring *r;

	(void)state;
	assert_int_equal(ring_new(&r), 0);
	send_one(r, START_NS);
	assert_true(r->direct);
	fd = packet_socket(ETH_P_ALL);
	send_one(r, START_NS + 1);
	assert_int_equal(seen(fd), 0);
	send_one(r, START_NS + CAPTURES_NS);
	assert_false(r->direct);
	assert_int_equal(seen(fd), 1);
	close(fd);
	send_one(r, START_NS + 2 * CAPTURES_NS);
	assert_true(r->direct);
	for (int i = 0; i < 4; i++) {
		struct pollfd p = { .fd = peer, .events = POLLIN };

		assert_int_equal(poll(&p, 1, OWN_NET_PATIENCE_MS), 1);
		assert_memory_equal(peer_take(peer)->data, "hello", 5);
	}
	close(peer);
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_captures),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_ways),
	};

	if (!own_net()) {
		printf("needs root for a network namespace of its own\n");
		return 4;
	}
	/* Frames from a local address come in through lo, which the host takes for forged ones. */
	assert_int_equal(system("sysctl -qw net.ipv4.conf.all.accept_local=1 "
				"net.ipv4.conf.lo.rp_filter=0 net.ipv4.conf.all.rp_filter=0"),
			 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
