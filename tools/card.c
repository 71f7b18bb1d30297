/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * card.c - asks the driver by ethtool's ioctl, and the kernel about the card's interrupts. It
 * changes nothing.
 */
#include "card.h"

#include <dirent.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/base.h"

#define XDP_MTU_MAX 3498 /* a packet in one page beside its headroom, in most drivers */
#define CPUS_MAX 1024
#define PORTS_HASHED (RXH_L4_B_0_1 | RXH_L4_B_2_3)

/*
 * Sends an ioctl about an interface of our network namespace. /sys may show another namespace, so
 * do not read it there.
 */
static bool ask_link(const char *ifname, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", ifname);
	good = fd >= 0 && ioctl(fd, request, ifr) == 0;
	if (fd >= 0)
		close(fd);
	return good;
}

static bool ethtool(const char *ifname, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	return ask_link(ifname, SIOCETHTOOL, &ifr);
}

static void check_offload(struct findings *f, const char *ifname, __u32 cmd, __u32 bit,
			  const char *offload, const char *flag)
{
	struct ethtool_value v = { .cmd = cmd };
	char remedy[96];

	if (!ethtool(ifname, &v))
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -K %s %s off", ifname, flag);
	if (v.data & bit)
		found(f, "offload", WARNING, remedy,
		      "%s: %s is on, merged packets do not reach XDP", ifname, offload);
	else
		found(f, "offload", OK, "", "%s: %s is off", ifname, offload);
}

/* False: the interface cannot be seen. */
static bool check_link(struct findings *f, const char *ifname)
{
	struct ifreq mtu = { 0 }, flags = { 0 };

	if (!ask_link(ifname, SIOCGIFMTU, &mtu) || !ask_link(ifname, SIOCGIFFLAGS, &flags)) {
		found(f, "interface", WARNING, "run rtpxctl in the daemon's network namespace",
		      "%s is not visible from here", ifname);
		return false;
	}
	if (flags.ifr_flags & IFF_RUNNING)
		found(f, "link", OK, "", "%s: up", ifname);
	else
		found(f, "link", WRONG, "ip link set up, and check the cable or the peer",
		      "%s: down", ifname);
	found(f, "mtu", mtu.ifr_mtu <= XDP_MTU_MAX ? OK : WARNING,
	      "an MTU of at most about 3,500 lets most drivers run XDP natively", "%s: %d bytes",
	      ifname, mtu.ifr_mtu);
	return true;
}

/* The number of receive queues; 0: the driver does not tell. */
static unsigned int check_queues(struct findings *f, const char *ifname)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char remedy[96];
	unsigned int rx;

	if (!ethtool(ifname, &ch))
		return 0;
	snprintf(remedy, sizeof(remedy),
		 "ethtool -L %s combined %ld (or rx) spreads the load over the CPUs", ifname, cpus);
	rx = ch.rx_count + ch.combined_count;
	found(f, "queues", rx > 1 || cpus == 1 ? OK : WARNING, remedy,
	      "%s: %u receive queue%s, %ld CPUs", ifname, rx, rx == 1 ? "" : "s", cpus);
	return rx;
}

/*
 * The media of one gateway come from one address: without the ports in the hash, one queue gets
 * all of them. A driver that names no field does not tell how it spreads.
 */
static void check_hash(struct findings *f, const char *ifname, __u32 flow, const char *word)
{
	struct ethtool_rxnfc hash = { .cmd = ETHTOOL_GRXFH, .flow_type = flow };
	char remedy[96];

	if (!ethtool(ifname, &hash) || !hash.data)
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -N %s rx-flow-hash %s sdfn", ifname, word);
	if ((hash.data & PORTS_HASHED) == PORTS_HASHED)
		found(f, "hash", OK, "", "%s: addresses and ports spread %s over the queues",
		      ifname, word);
	else
		found(f, "hash", WARNING, remedy,
		      "%s: ports do not spread %s over the queues, so calls of one gateway share one",
		      ifname, word);
}

/* Adds the CPUs of a list such as "0,2-3"; returns how many are new. */
static unsigned int add_cpus(const char *list, bool cpus[CPUS_MAX])
{
	unsigned int added = 0;

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			break;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < CPUS_MAX; first++) {
			added += !cpus[first];
			cpus[first] = true;
		}
		list = end + (*end == ',');
	}
	return added;
}

/* How many CPUs serve the interrupts in the directory @irqs; 0: not known. */
static unsigned int interrupt_cpus(const char *irqs)
{
	DIR *dir = opendir(irqs);
	bool cpus[CPUS_MAX] = { false };
	char path[320], list[256];
	unsigned int n = 0;
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/irq/%.32s/effective_affinity_list", e->d_name);
		if (first_line(path, list, sizeof(list)))
			n += add_cpus(list, cpus);
	}
	if (dir)
		closedir(dir);
	return n;
}

/* The kernel tells interrupts by the card's address on the bus, whatever the namespace. */
static void check_interrupts(struct findings *f, const char *ifname, unsigned int queues)
{
	struct ethtool_drvinfo driver = { .cmd = ETHTOOL_GDRVINFO };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char path[128];
	unsigned int n;

	if (!ethtool(ifname, &driver) || !driver.bus_info[0] || strchr(driver.bus_info, '/'))
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%.32s/msi_irqs", driver.bus_info);
	n = interrupt_cpus(path);
	if (!n)
		return;
	found(f, "interrupts", n > 1 || queues < 2 || cpus < 2 ? OK : WARNING,
	      "start irqbalance, or write a CPU for each queue to /proc/irq/NUMBER/smp_affinity_list",
	      "%s: %u of %ld CPUs serve%s its interrupts", ifname, n, cpus, n == 1 ? "s" : "");
}

void card_check(struct findings *f, const char *ifname)
{
	unsigned int queues;

	if (!check_link(f, ifname))
		return;
	check_offload(f, ifname, ETHTOOL_GFLAGS, ETH_FLAG_LRO, "large receive offload (LRO)",
		      "lro");
	queues = check_queues(f, ifname);
	if (queues > 1) {
		check_hash(f, ifname, UDP_V4_FLOW, "udp4");
		check_hash(f, ifname, UDP_V6_FLOW, "udp6");
	}
	check_interrupts(f, ifname, queues);
}
