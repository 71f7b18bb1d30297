/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_attach.c - attaches the program, and explains failures in sentences. Drivers explain a
 * refusal only in a netlink message, while a BPF link gives a bare errno. A refused attach is
 * therefore repeated by netlink, to get the driver's message. Never replaces or detaches a program
 * of another owner.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/xdp_attach.h"
#include "base/log.h"
#include "net/netdev.h"

/* ---- libbpf's messages ---- */

static char last_words[200];

static int on_message(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[1024];
	const char *text = line;
	size_t len;

	vsnprintf(line, sizeof(line), fmt, ap);
	for (len = strlen(line); len && line[len - 1] == '\n';)
		line[--len] = '\0';
	if (strncmp(text, "libbpf: ", 8) == 0)
		text += 8;
	if (level == LIBBPF_WARN)
		snprintf(last_words, sizeof(last_words), "%.199s", text);
	if (level != LIBBPF_DEBUG)
		log_dbug("libbpf: %s", text);
	return 0;
}

void xdp_messages(void)
{
	libbpf_set_print(on_message);
	last_words[0] = '\0';
}

const char *xdp_last_words(void)
{
	return last_words;
}

/* ---- ethtool ---- */

static int ethtool_ask(const char *ifname, void *cmd)
{
	struct ifreq ifr = { .ifr_data = cmd };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	rc = ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
	close(fd);
	return rc;
}

void xdp_driver(const char *ifname, char driver[32])
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	driver[0] = '\0';
	if (ethtool_ask(ifname, &info) == 0)
		snprintf(driver, 32, "%.31s", info.driver);
}

bool xdp_preflight(const struct dp_interface *i, char *why, size_t size)
{
	struct ethtool_value flags = { .cmd = ETHTOOL_GFLAGS };

	if (ethtool_ask(i->name, &flags) || !(flags.data & ETH_FLAG_LRO))
		return false;
	snprintf(why, size, "LRO merges packets before XDP sees them: ethtool -K %s lro off",
		 i->name);
	return true;
}

/* set_count - the number of strings in a set; 0: no such set. */
static int set_count(const char *ifname, enum ethtool_stringset set)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t n;
	} q = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << set } };

	return ethtool_ask(ifname, &q) == 0 && q.info.sset_mask ? (int)q.n : 0;
}

/* frames_sent - the sum of a veth's counters of frames that XDP sent out of it
 * (tx_queue_N_xdp_xmit); 0 or -errno. */
static int frames_sent(const char *ifname, uint64_t *sum)
{
	int n = set_count(ifname, ETH_SS_STATS), k, rc = -EOPNOTSUPP;
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	struct ethtool_stats *values = calloc(1, sizeof(*values) + (size_t)n * sizeof(__u64));
	const char *name, *end;

	if (!names || !values || n == 0)
		goto out;
	*names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
					    .string_set = ETH_SS_STATS,
					    .len = n };
	*values = (struct ethtool_stats){ .cmd = ETHTOOL_GSTATS, .n_stats = n };
	if (ethtool_ask(ifname, names) || ethtool_ask(ifname, values))
		goto out;
	*sum = 0;
	for (k = 0; k < n; k++) {
		name = (const char *)names->data + (size_t)k * ETH_GSTRING_LEN;
		end = memchr(name, '\0', ETH_GSTRING_LEN);
		if (!end || end - name < 9 || memcmp(end - 9, "_xdp_xmit", 9))
			continue;
		*sum += values->data[k];
		rc = 0;
	}
out:
	free(names);
	free(values);
	return rc;
}

/* feature_is_on - an offload by the name that `ethtool -k` gives it. */
static bool feature_is_on(const char *ifname, const char *feature)
{
	int n = set_count(ifname, ETH_SS_FEATURES), k, blocks = (n + 31) / 32;
	struct ethtool_gstrings *names = calloc(1, sizeof(*names) + (size_t)n * ETH_GSTRING_LEN);
	struct ethtool_gfeatures *values =
		calloc(1, sizeof(*values) + (size_t)blocks * sizeof(values->features[0]));
	bool on = false;

	if (!names || !values || n == 0)
		goto out;
	*names = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS,
					    .string_set = ETH_SS_FEATURES,
					    .len = n };
	*values = (struct ethtool_gfeatures){ .cmd = ETHTOOL_GFEATURES, .size = blocks };
	if (ethtool_ask(ifname, names) || ethtool_ask(ifname, values))
		goto out;
	for (k = 0; k < n; k++)
		if (!strncmp((const char *)names->data + (size_t)k * ETH_GSTRING_LEN, feature,
			     ETH_GSTRING_LEN))
			on = values->features[k / 32].active >> k % 32 & 1;
out:
	free(names);
	free(values);
	return on;
}

/* ---- frames that generic mode does not see as they are ---- */

bool xdp_generic_fault(const struct dp_interface *i, bool vlans, char *why, size_t size)
{
	const bool veth = strcmp(i->driver, "veth") == 0;

	if (vlans && veth) {
		snprintf(why, size,
			 "generic XDP does not see the VLAN tag of a packet from a veth, because "
			 "the frame does not have it");
		return true;
	}
	if (vlans && feature_is_on(i->name, "rx-vlan-hw-parse")) {
		snprintf(why, size,
			 "generic XDP does not see VLAN tags that the driver has removed: ethtool "
			 "-K %s rxvlan off",
			 i->name);
		return true;
	}
	if (feature_is_on(i->name, "rx-gro-list")) {
		snprintf(why, size,
			 "generic XDP takes merged packets for one packet: ethtool -K %s "
			 "rx-gro-list off",
			 i->name);
		return true;
	}
	return false;
}

/* ---- attaching ---- */

uint32_t xdp_foreign(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query(ifindex, 0, &q))
		return 0;
	return q.prog_id       ? q.prog_id
	       : q.drv_prog_id ? q.drv_prog_id
	       : q.skb_prog_id ? q.skb_prog_id
			       : q.hw_prog_id;
}

static void foreign_text(uint32_t id, struct dp_interface *i)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	if (fd >= 0) {
		bpf_obj_get_info_by_fd(fd, &info, &len);
		close(fd);
	}
	snprintf(
		i->reason, sizeof(i->reason),
		"it carries another XDP program, %.15s (id %u), which is not replaced: see it with "
		"`bpftool net list dev %s`, and have its owner remove it",
		info.name[0] ? info.name : "without a name", id, i->name);
}

/* Remedies for a driver's refusal: the first row that fits counts. %1$s is the interface. */
static const struct remedy {
	int error;
	const char *driver; /* NULL: any */
	const char *text;
} remedies[] = {
	{ EPERM, NULL, "run as root, or with CAP_NET_ADMIN and CAP_BPF" },
	{ EACCES, NULL, "run as root, or with CAP_NET_ADMIN and CAP_BPF" },
	{ ERANGE, "veth", "in the other end's namespace: ip link set dev PEER mtu 3500" },
	{ ENOSPC, "veth",
	  "in the other end's namespace: ethtool -L PEER tx 1, or here: ethtool -L %1$s rx N, "
	  "N being its number of tx queues" },
	{ ENOTCONN, "veth", "its other end is gone; make the pair again" },
	{ EOPNOTSUPP, "virtio_net", "ethtool -K %1$s lro off rx-gro-hw off" },
	{ ERANGE, NULL, "ip link set dev %1$s mtu 1500" },
	{ EINVAL, NULL, "try: ip link set dev %1$s mtu 1500; ethtool -K %1$s lro off" },
	{ ENOMEM, NULL,
	  "use fewer queues: ethtool -L %1$s combined N, N at most half of the maximum" },
	{ ENOSPC, NULL,
	  "use fewer queues: ethtool -L %1$s combined N, N at most half of the maximum" },
	{ E2BIG, NULL,
	  "use fewer queues: ethtool -L %1$s combined N, N at most half of the maximum" },
	{ EBUSY, NULL, "something else uses its XDP queues: bpftool net list dev %1$s" },
	{ EEXIST, NULL, "something else uses its XDP queues: bpftool net list dev %1$s" },
	{ ENETDOWN, NULL, "ip link set dev %1$s up" },
};

static void remedy_text(int error, const struct dp_interface *i, char *text, size_t size)
{
	const struct remedy *r;

	text[0] = '\0';
	for (r = remedies; r < remedies + ARRAY_SIZE(remedies); r++) {
		if (r->error != error || (r->driver && strcmp(r->driver, i->driver)))
			continue;
		snprintf(text, size, r->text, i->name);
		return;
	}
}

/* link_create - the link's descriptor, or -errno with the driver's message in last_words. */
static int link_create(int prog, unsigned int ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	int fd = bpf_link_create(prog, ifindex, BPF_XDP, &opts), error = errno;

	if (fd >= 0)
		return fd;
	last_words[0] = '\0';
	if (bpf_xdp_attach(ifindex, prog, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL) == 0)
		bpf_xdp_detach(ifindex, flags, NULL);
	return -error;
}

void xdp_reason_add(struct dp_interface *i, const char *text)
{
	size_t len = strlen(i->reason);

	snprintf(i->reason + len, sizeof(i->reason) - len, "%s%s", len ? "; " : "", text);
}

/* Adds "HOW is refused (WORDS); REMEDY" to the reason. */
static void refused_text(const char *how, int error, struct dp_interface *i)
{
	const char *words = strrchr(last_words, ':');
	size_t len = strlen(i->reason);
	char remedy[160];

	remedy_text(error, i, remedy, sizeof(remedy));
	words = words ? words + 2 : strerror(error);
	snprintf(i->reason + len, sizeof(i->reason) - len, "%s%s XDP is refused (%.80s)%s%s",
		 len ? "; " : "", how, words, remedy[0] ? ": " : "", remedy);
}

static const struct way {
	enum dp_xdp_mode mode;
	int result; /* dp_interface.mode */
	uint32_t flags;
	const char *name;
} ways[] = {
	{ DP_MODE_NATIVE, DP_IF_NATIVE, XDP_FLAGS_DRV_MODE, "native" },
	{ DP_MODE_GENERIC, DP_IF_GENERIC, XDP_FLAGS_SKB_MODE, "generic" },
};

int xdp_attach(int native, int generic, struct dp_interface *i, enum dp_xdp_mode mode,
	       const char *not_generic)
{
	uint32_t foreign = xdp_foreign(i->ifindex);
	const struct way *w;
	int fd = -EINVAL;

	i->mode = DP_IF_OFF;
	i->reason[0] = '\0';
	if (foreign) {
		foreign_text(foreign, i);
		return -EBUSY;
	}
	for (w = ways; w < ways + ARRAY_SIZE(ways); w++) {
		if (mode != DP_MODE_AUTO && mode != w->mode)
			continue;
		if (w->mode == DP_MODE_GENERIC && not_generic) {
			xdp_reason_add(i, not_generic);
			continue;
		}
		fd = link_create(w->mode == DP_MODE_GENERIC ? generic : native, i->ifindex,
				 w->flags);
		if (fd >= 0) {
			i->mode = w->result;
			return fd;
		}
		refused_text(w->name, -fd, i);
		if (fd == -EPERM || fd == -ENODEV)
			break;
	}
	return fd;
}

/* ---- can it send? ---- */

/*
 * send_one - make the kernel transmit one frame through @i by XDP. Runs a program that returns
 * XDP_TX, as if the frame had arrived on @i. The frame has the experimental EtherType and goes to a
 * group address that no bridge forwards (IEEE 802.1Q, 8.6.3). 0, or -errno: the kernel cannot do
 * that (before 5.18).
 */
static int send_one(const struct dp_interface *i)
{
	static const struct bpf_insn tx[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_TX },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	uint8_t frame[ETH_ZLEN] = { 0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e, 0x02,
				    0,	  0,	0,    0,    1,	  0x88, 0xb5 };
	struct xdp_md ctx = { .data_end = sizeof(frame), .ingress_ifindex = i->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = 1,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int prog = bpf_prog_load(BPF_PROG_TYPE_XDP, "rtpx_probe", "BSD", tx, ARRAY_SIZE(tx), NULL),
	    rc;

	if (prog < 0)
		return prog;
	rc = bpf_prog_test_run_opts(prog, &run);
	close(prog);
	return rc;
}

/* frame_vanishes - true if a frame was sent and the counters show that it did not get out. */
static bool frame_vanishes(const struct dp_interface *i)
{
	uint64_t before, after;

	if (frames_sent(i->name, &before) || send_one(i) || frames_sent(i->name, &after))
		return false;
	return after == before;
}

bool xdp_can_send(const struct dp_interface *i, bool try, char *why, size_t size)
{
	bool veth = strcmp(i->driver, "veth") == 0, mute;
	uint64_t features;
	int rc = netdev_xdp_features(i->ifindex, &features);

	if (rc == -ENODEV) {
		snprintf(why, size, "it is gone");
		return false;
	}
	/*
	 * Before Linux 6.3 the kernel does not tell the features. A driver that refused the program
	 * then counts as unable to transmit frames.
	 */
	mute = rc ? !veth && i->mode == DP_IF_GENERIC : !(features & NETDEV_XDP_XMIT);
	if (mute || (veth && (try || rc) && frame_vanishes(i))) {
		if (veth)
			snprintf(why, size,
				 "frames that native XDP sends here vanish, because the other end "
				 "does not run NAPI: "
				 "in its namespace: ethtool -K PEER gro off; "
				 "ethtool -K PEER gro on");
		else
			snprintf(why, size,
				 "its driver cannot send packets that native XDP forwards; use "
				 "--xdp-mode generic");
		return false;
	}
	return true;
}
