/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sockopt.h - options of media sockets.
 */
#ifndef RTPX_SOCKOPT_H
#define RTPX_SOCKOPT_H

#include "base/addr.h"
#include "base/base.h"

/* A socket address of either family. */
union sock_addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage any;
};

/* sockopt_set - set an option that is an int. 0 or -errno. */
int sockopt_set(int fd, int level, int name, int value);

/* sockopt_tos - the TOS or traffic class of packets that leave. 0 or -errno. */
int sockopt_tos(int fd, enum addr_family family, int tos);

/* sockopt_told - ask for time of arrival, TOS and TTL of packets that arrive. 0 or -errno. */
int sockopt_told(int fd, enum addr_family family);

/* sockopt_anyway - allow a source address that this host lacks. 0 or -errno. */
int sockopt_anyway(int fd, enum addr_family family);

/* sockopt_deaf - drop each packet that arrives. 0 or -errno. */
int sockopt_deaf(int fd);

#endif
