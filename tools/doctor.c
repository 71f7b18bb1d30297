/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.c - one function per check, one table of checks. It reads /proc, /sys and the daemon, and
 * changes nothing.
 *
 * It sees the interfaces of the network namespace in which rtpxctl runs. Run it in the daemon's.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <json-c/json.h>

#include "doctor.h"
#include "ask.h"
#include "host/hostpath.h"
#include "rtpx_abi.h"

#define SOCKETS_PER_PAIR 2
#define SPARE_DESCRIPTORS 64
#define XDP_MTU_MAX 3498 /* a packet in one page beside its headroom, in most drivers */

enum result { OK, WARNING, WRONG };

static const char *const result_names[] = { "ok", "warning", "wrong" };

struct doctor {
	struct json_object *lines;  /* the findings, one object a line */
	struct json_object *status; /* from the daemon; NULL: no daemon answers */
	struct json_object *stats;
	const char *socket_path;
	enum result worst;
};

/* Adds one line to the report: the check, its finding @fmt, and the remedy ("": none needed). */
static void found(struct doctor *d, const char *check, enum result result, const char *remedy,
		  const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void found(struct doctor *d, const char *check, enum result result, const char *remedy,
		  const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_object_add(o, "check", json_object_new_string(check));
	json_object_object_add(o, "result", json_object_new_string(result_names[result]));
	json_object_object_add(o, "text", json_object_new_string(text));
	json_object_object_add(o, "remedy", result == OK ? NULL : json_object_new_string(remedy));
	json_object_array_add(d->lines, o);
	if (result > d->worst)
		d->worst = result;
}

/* ---- reading the system ---- */

/* Reads the first line of a file, without its newline; false: the file cannot be read. */
static bool first_line(const char *path, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	bool good = f && fgets(buf, size, f);

	if (f)
		fclose(f);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

/* Finds the line in @path that starts with @key, and reads the rest of the line. */
static bool line_of(const char *path, const char *key, char *buf, size_t size)
{
	FILE *f = fopen(path, "re");
	char line[512];
	bool good = false;

	while (f && !good && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(buf, size, "%s", line + strlen(key));
		good = true;
	}
	if (f)
		fclose(f);
	return good;
}

static const char *pid_path(const struct doctor *d, const char *file, char buf[64])
{
	snprintf(buf, 64, "/proc/%llu/%s", json_number(d->status, "pid"), file);
	return buf;
}

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

/* ---- the checks ---- */

static void check_daemon(struct doctor *d)
{
	if (d->status)
		found(d, "daemon", OK, "", "rtpxd %s, pid %llu, answers on %s",
		      json_text(d->status, "version"), json_number(d->status, "pid"),
		      d->socket_path);
	else
		found(d, "daemon", WRONG, "start rtpxd, or name its --admin-socket with --socket",
		      "no answer on %s: %s", d->socket_path, strerror(errno));
}

static void check_dataplane(struct doctor *d)
{
	if (!d->status)
		return;
	if (!strcmp(json_text(d->status, "dataplane"), "none"))
		found(d, "dataplane", WARNING,
		      "read the reason; without --dataplane, rtpxd tries XDP and the module",
		      "every call is forwarded by the daemon's sockets: %s",
		      json_text(d->status, "choice"));
	else
		found(d, "dataplane", OK, "", "%s: %s", json_text(d->status, "dataplane"),
		      json_text(d->status, "choice"));
}

static bool uses(const struct doctor *d, const char *dataplane)
{
	return d->status && !strcmp(json_text(d->status, "dataplane"), dataplane);
}

/* The last byte of the variable, behind its attributes, is the state. No variable: no UEFI. */
static bool is_secure_boot(void)
{
	static const char path[] = "/sys/firmware/efi/efivars/SecureBoot-"
				   "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	FILE *f = fopen(path, "re");
	unsigned char bytes[5] = { 0 };
	bool on = f && fread(bytes, sizeof(bytes), 1, f) == 1 && bytes[4];

	if (f)
		fclose(f);
	return on;
}

/*
 * The kernel shows the module's taint as letters. O: built outside the kernel's tree; E: not signed
 * with a key that the kernel trusts.
 */
static void check_module(struct doctor *d)
{
	const char *sign = "sign rtpx.ko with a key of this machine's (mokutil --import, and "
			   "scripts/sign-file of the kernel headers; DKMS does both)";
	char version[64], taint[16] = "";
	bool secure = is_secure_boot(), is_signed;

	if (!first_line("/sys/module/rtpx/version", version, sizeof(version))) {
		found(d, "module", uses(d, "kmod") ? WRONG : OK,
		      "modprobe rtpx, and start rtpxd again: its sockets carry every call",
		      "rtpx.ko is not loaded; it serves interfaces without XDP%s",
		      secure ? "; Secure Boot is on, so it must be signed" : "");
		return;
	}
	first_line("/sys/module/rtpx/taint", taint, sizeof(taint));
	is_signed = !strchr(taint, 'E');
	found(d, "module", is_signed || !secure ? OK : WARNING, sign,
	      "rtpx.ko %s is loaded, %s%s (taint %s), Secure Boot is %s", version,
	      is_signed ? "signed" : "not signed", uses(d, "kmod") ? ", in use" : "",
	      taint[0] ? taint : "none", secure ? "on" : "off");
	if (d->status && strcmp(version, json_text(d->status, "version")))
		found(d, "module", WARNING,
		      "make kmod, stop rtpxd, rmmod rtpx, load the new one, start rtpxd",
		      "the daemon is of version %s", json_text(d->status, "version"));
}

static void check_capabilities(struct doctor *d)
{
	static const struct {
		int bit;
		const char *name;
	} wanted[] = { { CAP_NET_ADMIN, "CAP_NET_ADMIN" }, { CAP_BPF, "CAP_BPF" } };
	char path[64], text[64];
	unsigned long long caps;
	size_t i;

	if (!d->status || !line_of(pid_path(d, "status", path), "CapEff:", text, sizeof(text)))
		return;
	caps = strtoull(text, NULL, 16);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (wanted[i].bit == CAP_BPF && uses(d, "kmod"))
			continue;
		if (caps & (1ull << wanted[i].bit))
			found(d, "capabilities", OK, "", "the daemon has %s", wanted[i].name);
		else
			found(d, "capabilities", WRONG,
			      "start it as root (-u drops unneeded privileges), or give it the "
			      "capability in its unit",
			      "the daemon lacks %s", wanted[i].name);
	}
}

static void check_bpffs(struct doctor *d)
{
	const char *dir = d->status ? json_text(d->status, "pin_dir") : "/sys/fs/bpf/rtpx";
	char parent[256], path[320];
	struct rtpx_config config;
	struct statfs fs;
	__u32 key = 0;
	int fd;

	if (uses(d, "kmod"))
		return;
	snprintf(parent, sizeof(parent), "%s", dir);
	if (strrchr(parent, '/') > parent)
		*strrchr(parent, '/') = '\0';
	if (statfs(parent, &fs) < 0 || fs.f_type != BPF_FS_MAGIC) {
		found(d, "bpffs", WRONG, "mount -t bpf bpf /sys/fs/bpf",
		      "no BPF file system is mounted at %s (as seen from here)", parent);
		return;
	}
	found(d, "bpffs", OK, "", "mounted at %s", parent);
	if (!d->status || uses(d, "none"))
		return;
	snprintf(path, sizeof(path), "%s/config", dir);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, &config) < 0)
		found(d, "maps", WRONG, "run rtpxctl as root and in the daemon's mount namespace",
		      "%s cannot be read: %s", path, strerror(errno));
	else if (config.abi_version != RTPX_ABI_VERSION)
		found(d, "maps", WRONG, "use the rtpxctl of the daemon's version",
		      "ABI version %u, this rtpxctl knows %u", config.abi_version,
		      RTPX_ABI_VERSION);
	else
		found(d, "maps", OK, "", "pinned in %s, ABI version %u, ports %u to %u", dir,
		      config.abi_version, config.port_min, config.port_max);
	if (fd >= 0)
		close(fd);
}

static void check_descriptors(struct doctor *d)
{
	unsigned long long pairs, limit, calls;
	char path[64], text[128], remedy[160];

	if (!d->status ||
	    !line_of(pid_path(d, "limits", path), "Max open files", text, sizeof(text)))
		return;
	limit = strtoull(text, NULL, 10);
	pairs = json_number(d->status, "pairs");
	calls = limit > SPARE_DESCRIPTORS ? (limit - SPARE_DESCRIPTORS) / (2 * SOCKETS_PER_PAIR)
					  : 0;
	snprintf(remedy, sizeof(remedy),
		 "raise the limit to %llu: -L %llu, or LimitNOFILE= in the unit",
		 pairs * SOCKETS_PER_PAIR + SPARE_DESCRIPTORS,
		 pairs * SOCKETS_PER_PAIR + SPARE_DESCRIPTORS);
	found(d, "nofile", calls >= pairs / 2 ? OK : WARNING, remedy,
	      "%llu descriptors hold %llu calls of two legs; the port range has room for %llu",
	      limit, calls, pairs / 2);
}

/*
 * @path has a list of ports such as "1000,2000-2999", in ascending order. True: the list has all
 * ports from *@lo to *@hi. False: *@lo and *@hi become the first range that is missing.
 */
static bool list_has(const char *path, unsigned int *lo, unsigned int *hi)
{
	FILE *f = fopen(path, "re");
	unsigned int at = *lo, first, last;

	while (f && at <= *hi && fscanf(f, "%u", &first) == 1) {
		int c = fgetc(f);

		last = first;
		if (c == '-' && fscanf(f, "%u", &last) == 1)
			fgetc(f);
		if (first > at) {
			*hi = first <= *hi ? first - 1 : *hi;
			break;
		}
		if (last >= at)
			at = last + 1;
	}
	if (f)
		fclose(f);
	if (at > *hi)
		return true;
	*lo = at;
	return false;
}

/*
 * The kernel takes ports for outgoing connections from one range, except reserved ports. Media
 * ports in that range must therefore be reserved.
 */
static void check_outgoing_ports(struct doctor *d, unsigned int min, unsigned int max)
{
	static const char reserved[] = "/proc/sys/net/ipv4/ip_local_reserved_ports";
	unsigned int lo, hi, first, last;
	char text[64], remedy[160];

	if (!first_line("/proc/sys/net/ipv4/ip_local_port_range", text, sizeof(text)) ||
	    sscanf(text, "%u %u", &lo, &hi) != 2)
		return;
	first = lo > min ? lo : min;
	last = hi < max ? hi : max;
	snprintf(remedy, sizeof(remedy),
		 "sysctl net.ipv4.ip_local_reserved_ports=%u-%u, beside those that are there", min,
		 max);
	if (first > last)
		found(d, "ports", OK, "",
		      "outgoing connections of this host take other ports (%u to %u)", lo, hi);
	else if (list_has(reserved, &first, &last))
		found(d, "ports", OK, "",
		      "outgoing connections of this host take no media port: they are reserved");
	else
		found(d, "ports", WARNING, remedy,
		      "outgoing connections of this host may take media ports, as %u to %u: their "
		      "range is %u to %u, and these are not reserved",
		      first, last, lo, hi);
}

static void check_ports(struct doctor *d)
{
	unsigned long long min, max, used;

	if (!d->status)
		return;
	min = json_number(d->status, "port_min");
	max = json_number(d->status, "port_max");
	used = json_number(d->status, "pairs_in_use_ip4");
	if (json_number(d->status, "pairs_in_use_ip6") > used)
		used = json_number(d->status, "pairs_in_use_ip6");
	found(d, "ports", used * 10 < json_number(d->status, "pairs") * 9 ? OK : WARNING,
	      "widen the range with -m and -M, or add a relay",
	      "%llu to %llu, %llu of %llu pairs in use", min, max, used,
	      json_number(d->status, "pairs"));
	check_outgoing_ports(d, (unsigned int)min, (unsigned int)max);
}

static void check_media(struct doctor *d)
{
	struct json_object *list;
	size_t i;

	if (!d->status || !json_object_object_get_ex(d->status, "media", &list))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *address = json_text(o, "address"), *why = json_text(o, "error");
		struct json_object *error;

		if (json_object_object_get_ex(o, "error", &error) && error)
			found(d, "media", WRONG,
			      "give the address to an interface, or another one to -l or -6",
			      "no port can be opened on %s: %s", address, why);
		else
			found(d, "media", OK, "", "ports can be opened on %s", address);
	}
}

static void check_offload(struct doctor *d, const char *ifname, __u32 cmd, __u32 bit,
			  const char *what, const char *flag)
{
	struct ethtool_value v = { .cmd = cmd };
	char remedy[96];

	if (!ethtool(ifname, &v))
		return;
	snprintf(remedy, sizeof(remedy), "ethtool -K %s %s off", ifname, flag);
	if (v.data & bit)
		found(d, "offload", WARNING, remedy,
		      "%s: %s is on, merged packets do not reach XDP", ifname, what);
	else
		found(d, "offload", OK, "", "%s: %s is off", ifname, what);
}

static void check_link(struct doctor *d, const char *ifname)
{
	struct ifreq mtu = { 0 }, flags = { 0 };

	if (!ask_link(ifname, SIOCGIFMTU, &mtu) || !ask_link(ifname, SIOCGIFFLAGS, &flags)) {
		found(d, "interface", WARNING, "run rtpxctl in the daemon's network namespace",
		      "%s is not visible from here", ifname);
		return;
	}
	if (flags.ifr_flags & IFF_RUNNING)
		found(d, "link", OK, "", "%s: up", ifname);
	else
		found(d, "link", WRONG, "ip link set up, and check the cable or the peer",
		      "%s: down", ifname);
	found(d, "mtu", mtu.ifr_mtu <= XDP_MTU_MAX ? OK : WARNING,
	      "an MTU of at most about 3,500 lets most drivers run XDP natively", "%s: %d bytes",
	      ifname, mtu.ifr_mtu);
	check_offload(d, ifname, ETHTOOL_GFLAGS, ETH_FLAG_LRO, "large receive offload (LRO)",
		      "lro");
}

static void check_queues(struct doctor *d, const char *ifname)
{
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	char remedy[96];
	unsigned int rx;

	if (!ethtool(ifname, &ch))
		return;
	snprintf(remedy, sizeof(remedy),
		 "ethtool -L %s combined %ld (or rx) spreads the load over the CPUs", ifname, cpus);
	rx = ch.rx_count + ch.combined_count;
	found(d, "queues", rx > 1 || cpus == 1 ? OK : WARNING, remedy,
	      "%s: %u receive queue%s, %ld CPUs", ifname, rx, rx == 1 ? "" : "s", cpus);
}

static void check_interfaces(struct doctor *d)
{
	struct json_object *list;
	size_t i;

	if (!d->status || !json_object_object_get_ex(d->status, "interfaces", &list))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *name = json_text(o, "name"), *mode = json_text(o, "mode");
		bool native = !strcmp(mode, "native") && json_is(o, "can_send");

		found(d, "interface", native ? OK : WARNING, json_text(o, "reason"),
		      "%s (%s): %s, %s", name, json_text(o, "driver"), mode,
		      json_is(o, "can_send") ? "forwards" : "no packet can leave through it");
		check_link(d, name);
		check_queues(d, name);
	}
}

static void check_neighbours(struct doctor *d)
{
	struct json_object *n;

	if (!d->stats || !json_object_object_get_ex(d->stats, "nexthops", &n))
		return;
	found(d, "next hops", json_number(n, "unresolved") ? WARNING : OK,
	      "rtpxctl why CALL-ID names the reason; ip route get ADDRESS and ip neigh show the "
	      "kernel's view",
	      "%llu in use, %llu not resolved", json_number(n, "in_use"),
	      json_number(n, "unresolved"));
}

/* The command that remedies a reason about the host; NULL: the reason is not about the host. */
static const char *host_remedy(const char *why)
{
	static const struct {
		const char *why, *remedy;
	} rows[] = {
#define REMEDY_ROW(name, text) { #name, text },
		HOST_REMEDIES(REMEDY_ROW)
#undef REMEDY_ROW
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(why, rows[i].why))
			return rows[i].remedy;
	return NULL;
}

/* Lists properties of this host that keep calls out of the kernel, then the refused next hops. */
static void check_host(struct doctor *d)
{
	struct json_object *list, *n, *why;
	const char *remedy;
	bool any = false;
	size_t i;

	if (!d->stats || !d->status || uses(d, "none"))
		return;
	for (i = 0; json_object_object_get_ex(d->status, "host", &list) &&
		    i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		remedy = host_remedy(json_text(o, "why"));
		found(d, "host", WARNING, remedy ? remedy : "", "%s: %s", json_text(o, "why"),
		      json_text(o, "found"));
		any = true;
	}
	if (json_object_object_get_ex(d->stats, "nexthops", &n) &&
	    json_object_object_get_ex(n, "why", &why)) {
		json_object_object_foreach(why, key, count) {
			remedy = host_remedy(key);
			if (!remedy)
				continue;
			found(d, "host", WARNING, remedy,
			      "%s: calls to %lld next hops stay with the sockets", key,
			      (long long)json_object_get_int64(count));
			any = true;
		}
	}
	if (!any)
		found(d, "host", OK, "", "no rule of this host keeps calls out of the kernel");
}

static void check_kernel(struct doctor *d)
{
	char text[128] = "?", jit[16] = "";
	unsigned int major = 0, minor = 0;

	first_line("/proc/sys/kernel/osrelease", text, sizeof(text));
	if (sscanf(text, "%u.%u", &major, &minor) == 2 &&
	    (major < 5 || (major == 5 && minor < 18)))
		found(d, "kernel", WARNING, "use a newer kernel, or load the module rtpx",
		      "%s is older than Linux 5.18, which the XDP program needs: the module or the "
		      "sockets forward every call",
		      text);
	if (first_line("/proc/sys/net/core/bpf_jit_enable", jit, sizeof(jit)) && jit[0] == '0')
		found(d, "kernel", WARNING, "sysctl net.core.bpf_jit_enable=1",
		      "%s interprets BPF programs", text);
	else
		found(d, "kernel", OK, "", "%s, BPF is compiled", text);
}

static void check_rmem(struct doctor *d)
{
	char text[32];

	if (first_line("/proc/sys/net/core/rmem_max", text, sizeof(text)))
		found(d, "rmem", atol(text) >= 262144 ? OK : WARNING,
		      "sysctl net.core.rmem_max=262144",
		      "media sockets may have %s bytes of receive buffer", text);
}

static void check_admission(struct doctor *d)
{
	struct json_object *a;
	unsigned long long max, sessions;

	if (!d->status || !json_object_object_get_ex(d->status, "admission", &a))
		return;
	max = json_number(a, "max_sessions");
	sessions = json_number(a, "sessions");
	if (json_is(a, "draining"))
		found(d, "admission", WARNING, "rtpxctl undrain, when the work on it is done",
		      "draining for %llu s: every new session is refused; %llu exist",
		      json_number(a, "draining_s"), sessions);
	else if (max && sessions * 10 >= max * 9)
		found(d, "admission", WARNING, "raise --max-sessions, or add a relay",
		      "%llu sessions exist, --max-sessions allows %llu; %llu refused", sessions,
		      max, json_number(a, "refused_limit"));
	else if (json_number(a, "refused_limit"))
		found(d, "admission", WARNING,
		      "raise --max-sessions or --max-cps, or add a relay",
		      "%llu new sessions were refused by a limit; %llu exist",
		      json_number(a, "refused_limit"), sessions);
	else
		found(d, "admission", OK, "", "new sessions are admitted; %llu exist", sessions);
}

static void (*const checks[])(struct doctor *d) = {
	check_daemon,	    check_admission,  check_dataplane,	 check_kernel, check_module,
	check_capabilities, check_bpffs,      check_descriptors, check_ports,  check_media,
	check_rmem,	    check_interfaces, check_neighbours,	 check_host,
};

static void print_lines(const struct doctor *d)
{
	size_t i;

	for (i = 0; i < json_object_array_length(d->lines); i++) {
		struct json_object *o = json_object_array_get_idx(d->lines, i);

		printf("%-8s %-13s %s\n", json_text(o, "result"), json_text(o, "check"),
		       json_text(o, "text"));
		if (strcmp(json_text(o, "result"), result_names[OK]))
			printf("%-8s %-13s   -> %s\n", "", "", json_text(o, "remedy"));
	}
}

bool doctor_run(const char *socket_path, bool as_json)
{
	struct doctor d = { .lines = json_object_new_array(), .socket_path = socket_path };
	size_t i;

	d.status = ask(socket_path, "status", NULL);
	if (d.status)
		d.stats = ask(socket_path, "stats", NULL);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&d);
	if (as_json)
		puts(json_object_to_json_string_ext(
			d.lines, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					 JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_lines(&d);
	json_object_put(d.lines);
	json_object_put(d.status);
	json_object_put(d.stats);
	return d.worst != WRONG;
}
