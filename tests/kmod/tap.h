/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tap.h - a network in which the module forwards frames from one TAP device to another, for the
 * tests of this directory. Holds no test.
 */
#ifndef RTPX_TESTS_KMOD_TAP_H
#define RTPX_TESTS_KMOD_TAP_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <net/if.h>

#include "dataplane/kmod.h"
#include "packets.h"

#define COPIES_BYTES 65536 /* room for copies of packets */

struct tap_net {
	int in, out;   /* TAP devices */
	int socket[2]; /* by family, on PACKET_PORT */
};

static inline void __attribute__((noreturn)) die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- the network ---- */

static inline void __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command))
		die(command);
}

static inline int tap(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("TAP device");
	return fd;
}

static inline const char *mac_text(int i, char buf[18])
{
	const uint8_t *m = packet_macs[i];

	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

static inline int udp_socket(int family)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6, .sin6_port = htons(PACKET_PORT) };
	struct sockaddr_in any4 = { .sin_family = AF_INET, .sin_port = htons(PACKET_PORT) };
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;

	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (fd < 0 || bind(fd, family == AF_INET6 ? (void *)&any6 : (void *)&any4,
			   family == AF_INET6 ? sizeof(any6) : sizeof(any4)))
		die("UDP socket");
	return fd;
}

/*
 * Packets arrive at the address of in0 (in0.100 for a tag) and leave from that of out0 (out0.200).
 * The devices send nothing of their own accord.
 */
static inline void make_network(struct tap_net *net)
{
	static const char *const devices[] = { "in0", "in0.100", "out0", "out0.200" };
	const struct packet_addresses *a = &packet_addresses;
	char mac[18];
	int i;

	if (unshare(CLONE_NEWNET))
		die("network namespace");
	net->in = tap("in0");
	net->out = tap("out0");
	run("ip link set lo up && sysctl -qw net.ipv6.conf.all.accept_dad=0 "
	    "net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 "
	    "net.ipv4.conf.default.rp_filter=0");
	run("ip link set in0 address %s", mac_text(0, mac));
	run("ip link set out0 address %s", mac_text(3, mac));
	run("ip link add link in0 name in0.100 type vlan id 100 && "
	    "ip link add link out0 name out0.200 type vlan id 200");
	for (i = 0; i < 4; i++)
		run("ip link set %s addrgenmode none && ip link set %s up", devices[i], devices[i]);
	run("ip addr add %s/32 dev in0 && ip addr add %s/128 dev in0 nodad", a->local4, a->local6);
	run("ip addr add %s/32 dev out0 && ip addr add %s/128 dev out0 nodad", a->out4, a->out6);
	for (i = 2; i < 4; i++)
		run("ip neigh replace %s lladdr %s dev %s && ip neigh replace %s lladdr %s dev %s",
		    a->dest4, mac_text(2, mac), devices[i], a->dest6, mac, devices[i]);
	/* The kernel must accept packets from the sender: it needs a route to it. */
	run("ip route add 192.0.2.0/24 dev in0 && ip route add 2001:db8:1::/64 dev in0");
	net->socket[RTPX_FAMILY_IP4] = udp_socket(AF_INET);
	net->socket[RTPX_FAMILY_IP6] = udp_socket(AF_INET6);
}

/* Send a frame; returns after the kernel has handled it. */
static inline bool send_frame(const struct tap_net *net, const struct packet_row *r,
			      const uint8_t *frame, size_t len)
{
	struct {
		struct virtio_net_hdr header;
		uint8_t frame[PACKET_MAX];
	} __attribute__((packed)) to = { 0 };

	if (r->sum == SUM_PARTIAL && r->payload != PAYLOAD_TWIN) {
		to.header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		to.header.csum_start = packet_l3(r->tag_in) + (packet_in_is_6(r) ? 40 : 20);
		to.header.csum_offset = 6;
	}
	memcpy(to.frame, frame, len);
	return write(net->in, &to, sizeof(to.header) + len) == (ssize_t)(sizeof(to.header) + len);
}

/* Read a frame that left, without multicast of the kernel itself. */
static inline size_t read_frame(const struct tap_net *net, uint8_t *frame)
{
	struct {
		struct virtio_net_hdr header;
		uint8_t frame[PACKET_MAX];
	} __attribute__((packed)) from;
	ssize_t n;

	while ((n = read(net->out, &from, sizeof(from))) > (ssize_t)sizeof(from.header)) {
		if (from.frame[0] & 1)
			continue;
		n -= sizeof(from.header);
		memcpy(frame, from.frame, n);
		return n;
	}
	return 0;
}

static inline enum rtpx_family family_of(const struct packet_row *r)
{
	return packet_in_is_6(r) ? RTPX_FAMILY_IP6 : RTPX_FAMILY_IP4;
}

/* The options for the table that packets.h describes. */
static inline struct dp_opts table_options(void)
{
	return (struct dp_opts){ .port_min = PACKET_PORT_MIN,
				 .port_max = PACKET_PORT_MAX,
				 .silence_ms = PACKET_SILENCE_MS,
				 .mirror_bytes = COPIES_BYTES };
}

/* The row's flow in the form that the module takes. */
static inline struct rtpx_flow module_flow(const struct packet_row *r)
{
	struct rtpx_flow flow = packet_flow(r);

	flow.seq = 0;
	return flow;
}

#endif
