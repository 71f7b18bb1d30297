/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flows.c - reads and fills the pinned flow table of a running rtpxd for the bench.
 *
 *     flows PIN-DIR active        the local IPv4 ports that hold a flow, one a line
 *     flows PIN-DIR count         the number of flows of all addresses
 *     flows PIN-DIR clone PORT    for each line "PEER-PORT LOCAL-PORT" on stdin a copy of PORT's
 * flow
 *     flows PIN-DIR gateway N     the flows take turns at N destinations behind their next hop
 *     flows PIN-DIR link N        the flows take turns at N next hops, copies of their own
 *
 * A copy is what the daemon would have compiled for one more call between the same hosts. It lets
 * the program in the kernel forward more flows than the daemon may open sockets for; the daemon
 * knows nothing of them, and they go with its table.
 */
#include <bpf/bpf.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rtpx_entry.h"

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

static int is_active(int flows, const struct rtpx_config *c, unsigned int port)
{
	__u32 key = rtpx_flow_index(c, RTPX_FAMILY_IP4, port);
	struct rtpx_entry e;

	if (bpf_map_lookup_elem(flows, &key, &e))
		err(1, "flow of port %u", port);
	return e.flags & RTPX_FLOW_ACTIVE;
}

static void list_active(int flows, const struct rtpx_config *c)
{
	for (unsigned int port = c->port_min; port <= c->port_max; port++)
		if (is_active(flows, c, port))
			printf("%u\n", port);
}

static void count_active(int flows, const struct rtpx_config *c)
{
	unsigned int n = c->pools * (c->port_max - c->port_min + 1), active = 0;
	const struct rtpx_entry *e = mmap(NULL, n * sizeof(*e), PROT_READ, MAP_SHARED, flows, 0);

	if (e == MAP_FAILED)
		err(1, "flows");
	for (unsigned int i = 0; i < n; i++)
		active += !!(e[i].flags & RTPX_FLOW_ACTIVE);
	printf("%u\n", active);
}

static void read_flow(int flows, int more, const struct rtpx_config *c, unsigned int port,
		      struct rtpx_flow *out)
{
	__u32 key = rtpx_flow_index(c, RTPX_FAMILY_IP4, port);
	struct rtpx_entry_more m;
	struct rtpx_entry e;

	if (bpf_map_lookup_elem(flows, &key, &e) || bpf_map_lookup_elem(more, &key, &m))
		err(1, "flow of port %u", port);
	rtpx_entry_get_flow(&e, &m, out);
}

static void write_flow(int flows, int more, const struct rtpx_config *c, const struct rtpx_flow *f)
{
	static const struct rtpx_flow_stats none;
	__u32 key = rtpx_flow_index(c, RTPX_FAMILY_IP4, f->port);
	struct rtpx_entry_more m = { 0 };
	struct rtpx_entry e = { 0 };

	rtpx_entry_put_flow(&e, &m, f, RTPX_FAMILY_IP4);
	rtpx_entry_put_stats(&e, &m, &none);
	if (bpf_map_update_elem(more, &key, &m, BPF_ANY) ||
	    bpf_map_update_elem(flows, &key, &e, BPF_ANY))
		err(1, "flow of port %u", f->port);
}

static void clone_flow(int flows, int more, const struct rtpx_config *c, unsigned int from)
{
	unsigned int peer, port;
	struct rtpx_flow f;

	read_flow(flows, more, c, from, &f);
	if (!(f.flags & RTPX_FLOW_ACTIVE))
		errx(1, "port %u has no flow to copy", from);
	while (scanf("%u %u", &peer, &port) == 2) {
		if (peer > 65535 || port < c->port_min || port > c->port_max)
			errx(1, "%u %u is outside the media range", peer, port);
		if (is_active(flows, c, port))
			errx(1, "port %u is a call's", port);
		f.port = port;
		f.out_port = port;
		f.peer_port = peer;
		f.dest_port = peer;
		write_flow(flows, more, c, &f);
	}
}

/* As the daemon does it: all destinations behind one gateway share the element of `nexthops`. */
static void spread_gateway(int flows, int more, const struct rtpx_config *c, unsigned int hosts)
{
	unsigned int port, n = 0, host;
	struct rtpx_flow f;

	for (port = c->port_min; port <= c->port_max; port++) {
		if (!is_active(flows, c, port))
			continue;
		read_flow(flows, more, c, port, &f);
		host = n++ % hosts;
		f.dest4[2] = host >> 8;
		f.dest4[3] = host;
		write_flow(flows, more, c, &f);
	}
}

/* Elements from the end of the table: the daemon gives out those from its beginning. */
static void spread_link(int flows, int nexthops, const struct rtpx_config *c, unsigned int hops)
{
	unsigned int port, n = 0;
	struct rtpx_nexthop nh;
	struct rtpx_entry e;

	for (port = c->port_min; port <= c->port_max; port++) {
		__u32 key = rtpx_flow_index(c, RTPX_FAMILY_IP4, port), from, to;

		if (bpf_map_lookup_elem(flows, &key, &e))
			err(1, "flow of port %u", port);
		if (!(e.flags & RTPX_FLOW_ACTIVE))
			continue;
		from = e.nexthop;
		to = RTPX_MAX_NEXTHOPS - 1 - n++ % hops;
		e.nexthop = to;
		if (bpf_map_lookup_elem(nexthops, &from, &nh) ||
		    bpf_map_update_elem(nexthops, &to, &nh, BPF_ANY) ||
		    bpf_map_update_elem(flows, &key, &e, BPF_ANY))
			err(1, "next hop of port %u", port);
	}
}

int main(int argc, char **argv)
{
	struct rtpx_config c;
	__u32 zero = 0;
	int fd;

	if (argc < 3)
		errx(2, "usage: flows PIN-DIR active | count | clone PORT | gateway N | link N");
	if (bpf_map_lookup_elem(open_pin(argv[1], "config"), &zero, &c))
		err(1, "config");
	if (c.abi_version != RTPX_ABI_VERSION)
		errx(1, "ABI version %u, not %u", c.abi_version, RTPX_ABI_VERSION);
	fd = open_pin(argv[1], "flows");
	if (strcmp(argv[2], "active") == 0)
		list_active(fd, &c);
	else if (strcmp(argv[2], "count") == 0)
		count_active(fd, &c);
	else if (strcmp(argv[2], "clone") == 0 && argc == 4)
		clone_flow(fd, open_pin(argv[1], "flows_more"), &c, atoi(argv[3]));
	else if (strcmp(argv[2], "gateway") == 0 && argc == 4 && atoi(argv[3]) > 0)
		spread_gateway(fd, open_pin(argv[1], "flows_more"), &c, atoi(argv[3]));
	else if (strcmp(argv[2], "link") == 0 && argc == 4 && atoi(argv[3]) > 0 &&
		 atoi(argv[3]) <= RTPX_MAX_NEXTHOPS / 2)
		spread_link(fd, open_pin(argv[1], "nexthops"), &c, atoi(argv[3]));
	else
		errx(2, "flows: arguments");
	return 0;
}
