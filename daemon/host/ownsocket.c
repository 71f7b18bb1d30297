/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ownsocket.c - asks the kernel about a socket of this process. Nothing is sent.
 */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/ownsocket.h"

#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef IPV6_AUTOFLOWLABEL
#define IPV6_AUTOFLOWLABEL 70
#endif
#define DEFAULT_TTL 64

static int socket_option(int fd, int level, int name, int otherwise)
{
	socklen_t len = sizeof(otherwise);
	int value;

	return getsockopt(fd, level, name, &value, &len) ? otherwise : value;
}

static uint8_t default_ttl(void)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ip_default_ttl", "re");
	int ttl = 0;

	if (f && fscanf(f, "%d", &ttl) != 1)
		ttl = 0;
	if (f)
		fclose(f);
	return ttl > 0 && ttl < 256 ? ttl : DEFAULT_TTL;
}

/* Open this process's directory in the unified hierarchy; a descriptor or -1. */
static int open_cgroup(void)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024], path[1100];
	size_t i;
	int fd = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3))
			continue;
		line[strcspn(line, "\n")] = '\0';
		for (i = 0; i < ARRAY_SIZE(roots) && fd < 0; i++) {
			snprintf(path, sizeof(path), "%s%s/cgroup.procs", roots[i], line + 3);
			if (access(path, F_OK))
				continue;
			*strrchr(path, '/') = '\0';
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
	}
	if (f)
		fclose(f);
	return fd;
}

static bool has_cgroup_programs(const enum bpf_attach_type *types, size_t n_types)
{
	int fd = open_cgroup();
	uint32_t flags, n;
	bool any = false;
	size_t i;

	for (i = 0; i < n_types && fd >= 0; i++) {
		n = 0;
		any |= bpf_prog_query(fd, types[i], BPF_F_QUERY_EFFECTIVE, &flags, NULL, &n) == 0 &&
		       n;
	}
	if (fd >= 0)
		close(fd);
	return any;
}

/* Types of programs that see a packet leave; sendmsg() of UDP comes first. */
static const enum bpf_attach_type outgoing[] = { BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP6_SENDMSG,
						 BPF_CGROUP_INET_EGRESS };
#define SENDMSG_TYPES 2

bool ownsocket_sendmsg_programs(void)
{
	return has_cgroup_programs(outgoing, SENDMSG_TYPES);
}

static bool has_flow_labels(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), on;

	if (fd < 0)
		return false;
	on = socket_option(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
	close(fd);
	return on;
}

bool ownsocket_read(struct ownsocket *o)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), i, tos;

	if (fd < 0)
		return false;
	*o = (struct ownsocket){
		.bound_dev = socket_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, 0),
		.mark = socket_option(fd, SOL_SOCKET, SO_MARK, 0),
		.priority = socket_option(fd, SOL_SOCKET, SO_PRIORITY, 0),
		.fragments = socket_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT) ==
			     IP_PMTUDISC_DONT,
		.flow_labels = has_flow_labels(),
		.uid = geteuid(),
		.gid = getegid(),
		.ttl = default_ttl(),
		.programs = has_cgroup_programs(outgoing, ARRAY_SIZE(outgoing)),
	};
	for (i = 0; i < (int)ARRAY_SIZE(o->tos_priority); i++) {
		tos = i << 1;
		if (setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)) == 0)
			o->tos_priority[i] = socket_option(fd, SOL_SOCKET, SO_PRIORITY, 0);
	}
	close(fd);
	return true;
}

/* The kernel derives the priority from these four bits of the IPv4 TOS; IPv6 has no such rule. */
#define TOS_INDEX(tos) (((tos)&0x1e) >> 1)

uint32_t ownsocket_priority(const struct ownsocket *o, enum addr_family family, uint8_t tos)
{
	return family == ADDR_IP6 || !tos ? o->priority : o->tos_priority[TOS_INDEX(tos)];
}
