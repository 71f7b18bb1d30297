/* SPDX-License-Identifier: BSD-2-Clause */
/* shared.c - the options and addresses of shared sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/shared.h"
#include "net/sockopt.h"

#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif

#define RCVBUF_BYTES (16 << 20) /* of a socket; the kernel allows twice that */
#define FIRST_PORT 1024

/* The unusual address keeps the ports of the sockets off 127.0.0.1. */
static struct addr loopback_of(enum addr_family family)
{
	const char *text = family == ADDR_IP6 ? "::1" : "127.114.116.112";
	struct addr a;

	addr_parse(&a, family, text, strlen(text));
	return a;
}

static int domain_of(enum addr_family family)
{
	return family == ADDR_IP6 ? AF_INET6 : AF_INET;
}

/* Bind @fd to the first free port from @first to @last. */
static int bind_between(int fd, enum addr_family family, uint32_t first, uint32_t last)
{
	struct addr at = loopback_of(family);
	union sock_addr sa;
	uint32_t port;
	socklen_t len;

	for (port = first; port <= last; port++) {
		at.port = port;
		len = addr_to_sockaddr(&at, &sa.any);
		if (bind(fd, &sa.sa, len) == 0)
			return 0;
		if (errno != EADDRINUSE)
			return -errno;
	}
	return -EADDRINUSE;
}

/* A program can choose bound sockets only. The port is no media port, if there is such a one. */
static int bind_aside(int fd, enum addr_family family, uint32_t port_min, uint32_t port_max)
{
	int err = bind_between(fd, family, FIRST_PORT, port_min - 1);

	if (err == -EADDRINUSE)
		err = bind_between(fd, family, port_max + 1, UINT16_MAX);
	if (err == -EADDRINUSE)
		err = bind_between(fd, family, FIRST_PORT, UINT16_MAX);
	return err;
}

int shared_new(enum addr_family family, uint16_t port_min, uint16_t port_max)
{
	int fd = socket(domain_of(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (family == ADDR_IP6)
		err = sockopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err)
		err = bind_aside(fd, family, port_min, port_max);
	if (!err)
		return fd;
	close(fd);
	return err;
}

bool shared_is_usable(int fd, enum addr_family family)
{
	union sock_addr sa = { 0 };
	socklen_t len = sizeof(sa), size = sizeof(int);
	int type = 0;

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
	       type == SOCK_DGRAM && getsockname(fd, &sa.sa, &len) == 0 &&
	       sa.sa.sa_family == domain_of(family) && addr_from_sockaddr(&sa.sa).port != 0;
}

int shared_receive(int fd, enum addr_family family)
{
	int err = sockopt_told(fd, family);

	if (!err && family == ADDR_IP6)
		err = sockopt_set(fd, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1);
	else if (!err)
		err = sockopt_set(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, 1);
	if (!err && sockopt_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF_BYTES))
		sockopt_set(fd, SOL_SOCKET, SO_RCVBUF, RCVBUF_BYTES);
	return err;
}

/*
 * A raw socket gets a copy of each UDP packet for its address. Bound to loopback it gets few, and
 * drops them.
 */
int shared_new_raw(enum addr_family family)
{
	int type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, err;
	int fd = socket(domain_of(family), type, IPPROTO_UDP);
	struct addr at = loopback_of(family);
	union sock_addr sa;
	socklen_t len;

	if (fd < 0)
		return -errno;
	len = addr_to_sockaddr(&at, &sa.any);
	err = sockopt_deaf(fd);
	if (!err && bind(fd, &sa.sa, len))
		err = -errno;
	if (!err)
		err = sockopt_anyway(fd, family);
	if (!err && family == ADDR_IP6) /* where the checksum is in the UDP header */
		err = sockopt_set(fd, IPPROTO_IPV6, IPV6_CHECKSUM, 6);
	if (!err)
		return fd;
	close(fd);
	return err;
}
