/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own_net.h - a network namespace of the test's own, so no other program takes its ports. It has
 * local addresses outside the loopback range, and UDP sockets that play the peers. For tests that
 * run their own event loop.
 */
#ifndef TEST_OWN_NET_H
#define TEST_OWN_NET_H

#include <event2/event.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"

#define OWN_NET_PATIENCE_MS 20000 /* longer than any step takes, even on a busy machine */

/* own_net - call once, before any thread starts. False without permission: skip the test. */
static inline bool own_net(void)
{
	if (unshare(CLONE_NEWNET))
		return false;
	return system("ip link set lo up &&"
		      " for i in 1 2 3 4; do ip addr add 10.99.0.$i/32 dev lo; ip addr add "
		      "fd99::$i/128 dev lo nodad; done && "
		      /* The kernel takes a moment, even without duplicate address detection. */
		      "while ip -6 addr show dev lo tentative | grep -q .; do sleep 0.01; done") ==
	       0;
}

static inline uint64_t test_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static inline struct addr at(const char *host, uint16_t port)
{
	struct addr a;

	assert_int_equal(addr_parse(&a, strchr(host, ':') ? ADDR_IP6 : ADDR_IP4, host,
				    strlen(host)),
			 0);
	return addr_with_port(a, port);
}

/* A peer: a UDP socket on @host and @port that reports source, TOS and time-outs. */
static inline int peer_open(const char *host, uint16_t port)
{
	struct addr a = at(host, port);
	struct sockaddr_storage ss;
	socklen_t len = addr_to_sockaddr(&a, &ss);
	int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1, big = 8 << 20;

	assert_true(fd >= 0);
	if (a.family == ADDR_IP6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
	else
		setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	return fd;
}

static inline void peer_send(int fd, const struct addr *to, const void *data, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t ss_len = addr_to_sockaddr(to, &ss);

	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&ss, ss_len), (ssize_t)len);
}

struct peer_got {
	ssize_t len; /* -1: no datagram */
	struct addr src;
	int tos;
	uint8_t data[65536];
};

/* peer_take - take the datagram that waits in the socket, if any. */
static inline struct peer_got *peer_take(int fd)
{
	static struct peer_got got;
	struct sockaddr_storage from;
	char control[64];
	struct iovec iov = { got.data, sizeof(got.data) };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	got.tos = 0;
	got.len = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (got.len < 0)
		return &got;
	got.src = addr_from_sockaddr((struct sockaddr *)&from);
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			got.tos = *CMSG_DATA(c);
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			memcpy(&got.tos, CMSG_DATA(c), sizeof(got.tos));
	}
	return &got;
}

static inline bool peer_has(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* turn_until - turn the loop until *@count reaches @want. */
static inline void turn_until(struct event_base *base, const uint64_t *count, uint64_t want)
{
	uint64_t end = test_now_ns() + OWN_NET_PATIENCE_MS * NSEC_PER_MSEC;

	while (*(const volatile uint64_t *)count < want) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_true(test_now_ns() < end);
	}
}

/* turn_for - turn the loop until the peer has a datagram, and take it. */
static inline struct peer_got *turn_for(struct event_base *base, int fd)
{
	uint64_t end = test_now_ns() + OWN_NET_PATIENCE_MS * NSEC_PER_MSEC;

	while (!peer_has(fd)) {
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		assert_true(test_now_ns() < end);
	}
	return peer_take(fd);
}

#endif
