/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flows.c - reads and fills the pinned flow table of a running rtpxd for the bench.
 *
 *     flows PIN-DIR active        the local IPv4 ports that hold a flow, one a line
 *     flows PIN-DIR clone PORT    for each line "PEER-PORT LOCAL-PORT" on stdin a copy of PORT's flow
 *
 * A copy is what the daemon would have compiled for one more call between the same hosts. It lets the program in
 * the kernel forward more flows than the daemon may open sockets for; the daemon knows nothing of them, and
 * they go with its table.
 */
#include <bpf/bpf.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rtpx_sum.h"

static int open_pin(const char *dir, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void get_entry(int fd, const struct rtpx_config *c, unsigned int port, struct rtpx_entry *out)
{
	__u32 key = rtpx_flow_index(c, RTPX_SLOT_IP4, port);

	if (bpf_map_lookup_elem(fd, &key, out))
		err(1, "flow of port %u", port);
}

static void list_active(int fd, const struct rtpx_config *c)
{
	struct rtpx_entry e;

	for (unsigned int port = c->port_min; port <= c->port_max; port++) {
		get_entry(fd, c, port, &e);
		if (e.flow.flags & RTPX_FLOW_ACTIVE)
			printf("%u\n", port);
	}
}

static void clone_flow(int fd, const struct rtpx_config *c, unsigned int from)
{
	struct rtpx_entry e, there;
	struct rtpx_flow f = { 0 };
	unsigned int peer, port;
	__u32 key;

	get_entry(fd, c, from, &e);
	f.head = e.flow;
	if (!(f.flags & RTPX_FLOW_ACTIVE))
		errx(1, "port %u has no flow to copy", from);
	while (scanf("%u %u", &peer, &port) == 2) {
		if (peer > 65535 || port < c->port_min || port > c->port_max)
			errx(1, "%u %u is outside the media range", peer, port);
		get_entry(fd, c, port, &there);
		if (there.flow.flags & RTPX_FLOW_ACTIVE)
			errx(1, "port %u is a call's", port);
		f.port = port;
		f.out_port = port;
		f.peer_port = peer;
		f.dest_port = peer;
		rtpx_flow_sums(&f, RTPX_SLOT_IP4);
		there.flow = f.head;
		key = rtpx_flow_index(c, RTPX_SLOT_IP4, port);
		if (bpf_map_update_elem(fd, &key, &there, BPF_ANY))
			err(1, "flow of port %u", port);
	}
}

int main(int argc, char **argv)
{
	struct rtpx_config c;
	__u32 zero = 0;
	int fd;

	if (argc < 3)
		errx(2, "usage: flows PIN-DIR active | flows PIN-DIR clone PORT");
	if (bpf_map_lookup_elem(open_pin(argv[1], "config"), &zero, &c))
		err(1, "config");
	if (c.abi_version != RTPX_ABI_VERSION)
		errx(1, "ABI version %u, not %u", c.abi_version, RTPX_ABI_VERSION);
	fd = open_pin(argv[1], "flows");
	if (strcmp(argv[2], "active") == 0)
		list_active(fd, &c);
	else if (strcmp(argv[2], "clone") == 0 && argc == 4)
		clone_flow(fd, &c, atoi(argv[3]));
	else
		errx(2, "flows: arguments");
	return 0;
}
