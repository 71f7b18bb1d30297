/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp_watch.c - opens a dataplane and next hops as the daemon does, and prints each answer and each
 *change of one as a line. A test reads the lines; there is no judgement here.
 *
 * dp_watch PIN_DIR none|auto|native|generic INTERFACES|- [DESTINATION[=SOURCE[@PORT,PEER,LOCAL]][%TOS]…]
 *	INTERFACES is a list with commas; with "none" every interface counts as served.
 *	Without PORT, the source port is 35000; the destination's is 9999 always.
 *	With PORT, what PEER sends to LOCAL:PORT is forwarded, from SOURCE:PORT to DESTINATION:9999
 *(IPv4). Ends on SIGTERM with a clean close (0), on SIGINT with one that keeps all pins (0); 3 when
 *it does not open.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "dataplane/choice.h"
#include "host/iptables.h"
#include "base/log.h"
#include "host/nexthop.h"
#include "host/pathmtu.h"

static struct dp *dp;
static struct nexthops *hops;
static int last_signal;
static const char *dest_of[RTPX_MAX_NEXTHOPS];
static struct nexthop_want want_of[RTPX_MAX_NEXTHOPS];

static void print_interfaces(void)
{
	static const char *const modes[] = { "off", "generic", "native" };
	struct dp_interface all[DP_MAX_INTERFACES];
	unsigned int i, n = dp_interfaces(dp, all, DP_MAX_INTERFACES);

	for (i = 0; i < MIN(n, (unsigned int)DP_MAX_INTERFACES); i++)
		printf("if %s %s %s: %s\n", all[i].name, modes[all[i].mode],
		       all[i].can_send ? "sends" : "mute", all[i].reason);
}

static void print_hop(const char *dest, const struct nexthop_view *v)
{
	static const char *const whys[] = {
#define WHY_NAME(name, text) #name,
		FLOW_WHYS(WHY_NAME)
#undef WHY_NAME
	};
	const uint8_t *m = v->abi.dst_mac, *s = v->abi.src_mac;
	char gateway[ADDR_TEXT], source[ADDR_TEXT];

	printf("hop %s %s dst %02x:%02x:%02x:%02x:%02x:%02x src %02x:%02x:%02x:%02x:%02x:%02x mtu "
	       "%u vlan %u dev %s "
	       "via %s from %s answers %s ttl %u\n",
	       dest, whys[v->why], m[0], m[1], m[2], m[3], m[4], m[5], s[0], s[1], s[2], s[3], s[4],
	       s[5], v->abi.mtu, v->abi.vlan, v->ifname[0] ? v->ifname : "-",
	       v->gateway.family ? addr_host_text(&v->gateway, gateway) : "-",
	       v->source.family ? addr_host_text(&v->source, source) : "-", whys[v->arrives],
	       v->ttl);
}

static void on_changed(void *arg, uint16_t id, const struct nexthop_view *now)
{
	(void)arg;
	dp->ops->nexthop_put(dp, id, &now->abi);
	print_hop(dest_of[id], now);
}

/* No test has both flows and rules that look at ports: a flow would go on with its old next hop. */
static void on_by_port(void *arg)
{
	struct nexthop_view v;
	unsigned int old;
	uint16_t id;

	(void)arg;
	for (old = 1; old < ARRAY_SIZE(dest_of); old++) {
		if (!dest_of[old] || nexthop_take(hops, &want_of[old], &id, &v) || id == old)
			continue;
		dest_of[id] = dest_of[old];
		want_of[id] = want_of[old];
		nexthop_give(hops, old);
		dest_of[old] = NULL;
		print_hop(dest_of[id], &v);
	}
}

static bool served(void *arg, unsigned int ifindex)
{
	(void)arg;
	return dp->links ? dp->links->serves(dp, ifindex) : true;
}

static void print_choice(void)
{
	printf("choice %s %s\n", dp->ops->name, dp->choice);
}

static void on_links(void *arg)
{
	(void)arg;
	if (dp->links)
		dp->links->rescan(dp);
	print_choice();
	print_interfaces();
}

/* Those that are not 0; printed at the end. */
static void print_counters(void)
{
	static const char *const names[] = {
#define REASON_NAME(name, text) #name,
		RTPX_REASONS(REASON_NAME)
#undef REASON_NAME
	};
	struct rtpx_counters c;
	size_t i;

	if (dp->ops->counters(dp, &c))
		return;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (((uint64_t *)&c)[i])
			printf("count %s %llu\n", names[i],
			       (unsigned long long)((uint64_t *)&c)[i]);
}

static int parse_host(const char *text, struct addr *a)
{
	return addr_parse(a, strchr(text, ':') ? ADDR_IP6 : ADDR_IP4, text, strlen(text));
}

/* @how: PORT,PEER,LOCAL */
static int put_flow(char *how, const struct addr *dest, const struct addr *source, uint16_t id)
{
	struct rtpx_flow f = { .flags = RTPX_FLOW_ACTIVE | RTPX_FLOW_ANY_PORT,
			       .nexthop = id,
			       .dest_port = 9999,
			       .ttl = 64 };
	static const struct rtpx_flow_stats none;
	struct addr peer, local;

	f.port = f.out_port = atoi(strtok(how, ","));
	if (parse_host(strtok(NULL, ","), &peer) || parse_host(strtok(NULL, ","), &local))
		return -EINVAL;
	memcpy(f.peer4, peer.ip, 4);
	memcpy(f.local4, local.ip, 4);
	memcpy(f.out4, source->ip, 4);
	memcpy(f.dest4, dest->ip, 4);
	return dp->ops->flow_put(dp, RTPX_FAMILY_IP4, f.port, &f, &none);
}

static int take(char *arg)
{
	char *flow = strchr(arg, '@');
	char *source_text = strchr(arg, '=');
	char *tos = strchr(arg, '%');
	struct addr dest, source = { 0 };
	struct nexthop_want want;
	struct nexthop_view v;
	uint16_t id;
	int rc;

	if (source_text)
		*source_text++ = '\0';
	if (tos)
		*tos++ = '\0';
	if (flow)
		*flow++ = '\0';
	if (parse_host(arg, &dest) || (source_text && parse_host(source_text, &source)))
		return -EINVAL;
	want = (struct nexthop_want){ .dest = addr_with_port(dest, 9999),
				      .source = addr_with_port(source, 35000),
				      .tos = tos ? strtoul(tos, NULL, 0) : 0 };
	rc = nexthop_take(hops, &want, &id, &v);
	if (rc)
		return rc;
	dest_of[id] = arg;
	want_of[id] = want;
	on_changed(NULL, id, &v);
	return flow ? put_flow(flow, &dest, &source, id) : 0;
}

static void on_signal(evutil_socket_t sig, short what, void *base)
{
	(void)what;
	last_signal = sig;
	event_base_loopbreak(base);
}

static int open_dp(char **argv, char *err, size_t err_size)
{
	struct dp_opts o = {
		.pin_dir = argv[1], .port_min = 35000, .port_max = 35999, .silence_ms = 500
	};
	char *name;

	o.n_order = strcmp(argv[2], "auto") != 0;
	o.order[0] = strcmp(argv[2], "none") == 0   ? DP_NONE
		     : strcmp(argv[2], "kmod") == 0 ? DP_KMOD
						    : DP_XDP;
	o.mode = strcmp(argv[2], "native") == 0	   ? DP_MODE_NATIVE
		 : strcmp(argv[2], "generic") == 0 ? DP_MODE_GENERIC
						   : DP_MODE_AUTO;
	for (name = strtok(argv[3], ","); name && strcmp(name, "-"); name = strtok(NULL, ","))
		o.interfaces[o.n_interfaces++] = name;
	return dp_open(&dp, &o, err, err_size);
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct nexthops_opts o = { .changed = on_changed,
				   .served = served,
				   .links_changed = on_links,
				   .by_port = on_by_port,
				   .pathmtu = pathmtu_open(),
				   .iptables = iptables_open(),
				   .max = 1000 };
	struct event *term, *keep;
	char err[512];
	int i;

	if (argc < 4 || !base)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	log_open(LOG_LVL_DBUG, true, false, 0);
	if (open_dp(argv, err, sizeof(err))) {
		printf("refused %s\n", err);
		event_base_free(base);
		return 3;
	}
	print_choice();
	print_interfaces();
	if (nexthops_new(&hops, base, &o))
		return 2;
	for (i = 4; i < argc; i++)
		if (take(argv[i]))
			return 2;
	term = evsignal_new(base, SIGTERM, on_signal, base);
	keep = evsignal_new(base, SIGINT, on_signal, base);
	event_add(term, NULL);
	event_add(keep, NULL);
	printf("ready\n");
	event_base_dispatch(base);
	print_counters();
	nexthops_free(hops);
	pathmtu_free(o.pathmtu);
	iptables_free(o.iptables);
	dp->ops->close(dp, last_signal == SIGINT);
	event_free(term);
	event_free(keep);
	event_base_free(base);
	return 0;
}
