/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockopt.c - setsockopt() for both address families.
 */
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "net/sockopt.h"

int sockopt_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

int sockopt_tos(int fd, enum addr_family family, int tos)
{
	if (family == ADDR_IP6)
		return sockopt_set(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
	return sockopt_set(fd, IPPROTO_IP, IP_TOS, tos);
}

int sockopt_told(int fd, enum addr_family family)
{
	int err = sockopt_set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);

	if (err)
		return err;
	if (family == ADDR_IP6) {
		err = sockopt_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		return err ? err : sockopt_set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	}
	err = sockopt_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	return err ? err : sockopt_set(fd, IPPROTO_IP, IP_RECVTTL, 1);
}

int sockopt_anyway(int fd, enum addr_family family)
{
	if (family == ADDR_IP6)
		return sockopt_set(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	return sockopt_set(fd, IPPROTO_IP, IP_FREEBIND, 1);
}

int sockopt_deaf(int fd)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = { 1, &drop };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) ? -errno : 0;
}
