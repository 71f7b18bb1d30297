/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.c - one function per check, one table of checks. It reads /proc, /sys and the daemon, and
 * changes nothing.
 *
 * It sees the interfaces of the network namespace in which rtpxctl runs. Run it in the daemon's.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <json-c/json.h>

#include "doctor.h"
#include "ask.h"
#include "card.h"
#include "dirs.h"
#include "findings.h"
#include "host/hostpath.h"
#include "targets.h"
#include "rtpx_abi.h"

#define SOCKETS_PER_PAIR 2
#define SPARE_DESCRIPTORS 64
#define NEARLY_PERCENT 90 /* of the descriptors, when a warning is due */

struct doctor {
	struct findings f;
	struct json_object *status; /* from the daemon; NULL: no daemon answers */
	struct json_object *stats;
	const char *socket_path;
};

/* ---- the checks ---- */

static const char *pid_path(const struct doctor *d, const char *file, char buf[64])
{
	snprintf(buf, 64, "/proc/%llu/%s", json_number(d->status, "pid"), file);
	return buf;
}

/* The reason why no new call can work; the first one counts. */
static void no_call(struct doctor *d, const char *why)
{
	if (!d->f.hopeless)
		d->f.hopeless = why;
}

static void check_daemon(struct doctor *d)
{
	if (!d->status)
		no_call(d, "no daemon answers");
	if (d->status)
		found(&d->f, "daemon", OK, "", "rtpxd %s, pid %llu, answers on %s",
		      json_text(d->status, "version"), json_number(d->status, "pid"),
		      d->socket_path);
	else
		found(&d->f, "daemon", WRONG,
		      "start rtpxd, or name its --admin-socket with --socket",
		      "no answer on %s: %s", d->socket_path, strerror(errno));
}

static bool shares_sockets(const struct doctor *d)
{
	return !strcmp(json_text(d->status, "port_sockets"), "shared");
}

static void check_dataplane(struct doctor *d)
{
	if (!d->status)
		return;
	if (!strcmp(json_text(d->status, "dataplane"), "none"))
		found(&d->f, "dataplane", WARNING,
		      "read the reason; without --dataplane, rtpxd tries XDP and the module",
		      "every call is forwarded by the daemon's sockets: %s",
		      json_text(d->status, "choice"));
	else
		found(&d->f, "dataplane", OK, "", "%s: %s", json_text(d->status, "dataplane"),
		      json_text(d->status, "choice"));
}

static void check_floor(struct doctor *d)
{
	const char *text;

	if (!d->status)
		return;
	text = json_text(d->status, "floor");
	if (strstr(text, ": --port-sockets each") || shares_sockets(d))
		found(&d->f, "floor", OK, "", "%s", text);
	else
		found(&d->f, "floor", WARNING,
		      "remove the reason, or accept it with --port-sockets each; see docs/floor.md",
		      "%s", text);
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
		found(&d->f, "module", uses(d, "kmod") ? WRONG : OK,
		      "modprobe rtpx, and start rtpxd again: its sockets carry every call",
		      "rtpx.ko is not loaded; it serves interfaces without XDP%s",
		      secure ? "; Secure Boot is on, so it must be signed" : "");
		return;
	}
	first_line("/sys/module/rtpx/taint", taint, sizeof(taint));
	is_signed = !strchr(taint, 'E');
	found(&d->f, "module", is_signed || !secure ? OK : WARNING, sign,
	      "rtpx.ko %s is loaded, %s%s (taint %s), Secure Boot is %s", version,
	      is_signed ? "signed" : "not signed", uses(d, "kmod") ? ", in use" : "",
	      taint[0] ? taint : "none", secure ? "on" : "off");
	if (d->status && strcmp(version, json_text(d->status, "version")))
		found(&d->f, "module", WARNING,
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
			found(&d->f, "capabilities", OK, "", "the daemon has %s", wanted[i].name);
		else
			found(&d->f, "capabilities", WRONG,
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
		found(&d->f, "bpffs", WRONG, "mount -t bpf bpf /sys/fs/bpf",
		      "no BPF file system is mounted at %s (as seen from here)", parent);
		return;
	}
	found(&d->f, "bpffs", OK, "", "mounted at %s", parent);
	if (!d->status || uses(d, "none"))
		return;
	snprintf(path, sizeof(path), "%s/config", dir);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_map_lookup_elem(fd, &key, &config) < 0)
		found(&d->f, "maps", WRONG,
		      "run rtpxctl as root and in the daemon's mount namespace",
		      "%s cannot be read: %s", path, strerror(errno));
	else if (config.abi_version != RTPX_ABI_VERSION)
		found(&d->f, "maps", WRONG, "use the rtpxctl of the daemon's version",
		      "ABI version %u, this rtpxctl knows %u", config.abi_version,
		      RTPX_ABI_VERSION);
	else
		found(&d->f, "maps", OK, "", "pinned in %s, ABI version %u, ports %u to %u", dir,
		      config.abi_version, config.port_min, config.port_max);
	if (fd >= 0)
		close(fd);
}

/* The descriptors that the daemon has open; 0: not readable. */
static unsigned long long open_descriptors(const struct doctor *d)
{
	unsigned long long n = 0;
	struct dirent *e;
	char path[64];
	DIR *dir = opendir(pid_path(d, "fd", path));

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void check_open(struct doctor *d, unsigned long long limit, const char *remedy)
{
	unsigned long long n = open_descriptors(d);

	if (!n)
		return;
	if (n >= limit)
		no_call(d, "the daemon has no descriptor left for a new call");
	found(&d->f, "nofile", n * 100 < limit * NEARLY_PERCENT ? OK : WARNING, remedy,
	      "the daemon has %llu descriptors open, of %llu", n, limit);
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
	if (!shares_sockets(d))
		found(&d->f, "nofile", calls >= pairs / 2 ? OK : WARNING, remedy,
		      "%llu descriptors hold %llu calls of two legs; the port range has room for "
		      "%llu",
		      limit, calls, pairs / 2);
	check_open(d, limit, remedy);
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
		found(&d->f, "ports", OK, "",
		      "outgoing connections of this host take other ports (%u to %u)", lo, hi);
	else if (list_has(reserved, &first, &last))
		found(&d->f, "ports", OK, "",
		      "outgoing connections of this host take no media port: they are reserved");
	else
		found(&d->f, "ports", WARNING, remedy,
		      "outgoing connections of this host may take media ports, as %u to %u: their "
		      "range is %u to %u, and these are not reserved",
		      first, last, lo, hi);
}

/* The address whose pool has most pairs in use. */
static const char *fullest_address(struct json_object *status)
{
	struct json_object *most = NULL, *media;
	size_t i;

	if (!json_object_object_get_ex(status, "media", &media))
		return "-";
	for (i = 0; i < json_object_array_length(media); i++) {
		struct json_object *m = json_object_array_get_idx(media, i);

		if (!most || json_number(m, "pairs_in_use") > json_number(most, "pairs_in_use"))
			most = m;
	}
	return most ? json_text(most, "address") : "-";
}

static void check_ports(struct doctor *d)
{
	unsigned long long min, max, used, pairs;

	if (!d->status)
		return;
	min = json_number(d->status, "port_min");
	max = json_number(d->status, "port_max");
	used = json_number(d->status, "pairs_in_use_most");
	pairs = json_number(d->status, "pairs");
	if (used >= pairs)
		no_call(d, "every pair of media ports of an address is in use");
	found(&d->f, "ports", used * 10 < pairs * 9 ? OK : WARNING,
	      "widen the range with -m and -M, give another address to -l or -6, or add a relay",
	      "%llu to %llu, %llu of %llu pairs in use, at the address that has most (%s)", min,
	      max, used, pairs, fullest_address(d->status));
	check_outgoing_ports(d, (unsigned int)min, (unsigned int)max);
}

static struct json_object *groups_of(const struct doctor *d)
{
	struct json_object *list = NULL;

	if (d->status)
		json_object_object_get_ex(d->status, "groups", &list);
	return list;
}

static bool is_standby(struct json_object *group)
{
	return !strcmp(json_text(group, "role"), "standby");
}

/* The daemon stands by for the group of a media address. */
static bool is_elsewhere(const struct doctor *d, struct json_object *media)
{
	struct json_object *list = groups_of(d);

	for (size_t i = 0; list && i < json_object_array_length(list); i++) {
		struct json_object *group = json_object_array_get_idx(list, i);

		if (!strcmp(json_text(group, "group"), json_text(media, "group")))
			return is_standby(group);
	}
	return false;
}

static void check_group(struct doctor *d, struct json_object *group)
{
	const char *name = json_text(group, "group"), *peer = json_text(group, "peer");
	bool there = json_is(group, "peer_there"), whole = json_is(group, "whole");

	if (!json_is(group, "redis"))
		found(&d->f, "group", WARNING,
		      "start Redis, or correct --replicate; the calls go on meanwhile",
		      "%s: Redis is not there", name);
	else if (!there && is_standby(group))
		found(&d->f, "group", WARNING,
		      "start the owner, or take its calls over: rtpxctl takeover",
		      "%s: no owner is heard; this standby has %llu calls", name,
		      json_number(group, "calls"));
	else if (!there)
		found(&d->f, "group", WARNING, "start the standby",
		      "%s: this daemon is the owner, and no standby is heard", name);
	else if (!whole)
		found(&d->f, "group", WARNING, "see the daemon's log",
		      "%s: not all calls have reached %s yet", name,
		      is_standby(group) ? "this standby" : "Redis");
	else
		found(&d->f, "group", OK, "", "%s: %s, %s is the %s", name,
		      is_standby(group) ? "this daemon stands by" : "this daemon is the owner",
		      peer, is_standby(group) ? "owner" : "standby");
}

static void check_groups(struct doctor *d)
{
	struct json_object *list = groups_of(d);

	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		check_group(d, json_object_array_get_idx(list, i));
}

static void check_media(struct doctor *d)
{
	struct json_object *list;
	size_t i, good = 0;

	if (!d->status || !json_object_object_get_ex(d->status, "media", &list))
		return;
	for (i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *address = json_text(o, "address"), *why = json_text(o, "error");
		struct json_object *error;

		if (is_elsewhere(d, o)) {
			found(&d->f, "media", OK, "",
			      "%s is the address of a group that has "
			      "another owner",
			      address);
			continue;
		}
		if (json_object_object_get_ex(o, "error", &error) && error) {
			found(&d->f, "media", WRONG,
			      "give the address to an interface, or another one to -l or -6",
			      "no port can be opened on %s: %s", address, why);
			continue;
		}
		found(&d->f, "media", OK, "", "ports can be opened on %s", address);
		good++;
	}
	if (!good)
		no_call(d, groups_of(d) && json_object_array_length(groups_of(d))
				   ? "no address of a group that this daemon owns can be used"
				   : "no port can be opened on any media address");
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

		found(&d->f, "interface", native ? OK : WARNING, json_text(o, "reason"),
		      "%s (%s): %s, %s", name, json_text(o, "driver"), mode,
		      json_is(o, "can_send") ? "forwards" : "no packet can leave through it");
		card_check(&d->f, name);
	}
}

static void check_neighbours(struct doctor *d)
{
	struct json_object *n;

	if (!d->stats || !json_object_object_get_ex(d->stats, "nexthops", &n))
		return;
	found(&d->f, "next hops", json_number(n, "unresolved") ? WARNING : OK,
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
		    i < json_object_array_length(list);
	     i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		remedy = host_remedy(json_text(o, "why"));
		found(&d->f, "host", WARNING, remedy ? remedy : "", "%s: %s", json_text(o, "why"),
		      json_text(o, "found"));
		any = true;
	}
	if (json_object_object_get_ex(d->stats, "nexthops", &n) &&
	    json_object_object_get_ex(n, "why", &why)) {
		json_object_object_foreach(why, key, count)
		{
			remedy = host_remedy(key);
			if (!remedy)
				continue;
			found(&d->f, "host", WARNING, remedy,
			      "%s: calls to %lld next hops stay with the sockets", key,
			      (long long)json_object_get_int64(count));
			any = true;
		}
	}
	if (!any)
		found(&d->f, "host", OK, "", "no rule of this host keeps calls out of the kernel");
}

static void check_kernel(struct doctor *d)
{
	unsigned int major = 0, minor = 0;
	struct utsname u = { .release = "?" };
	const char *text = u.release;
	char jit[16] = "";

	uname(&u);
	if (sscanf(text, "%u.%u", &major, &minor) == 2 && (major < 5 || (major == 5 && minor < 18)))
		found(&d->f, "kernel", WARNING, "use a newer kernel, or load the module rtpx",
		      "%s is older than Linux 5.18, which the XDP program needs: the module or the "
		      "sockets forward every call",
		      text);
	if (first_line("/proc/sys/net/core/bpf_jit_enable", jit, sizeof(jit)) && jit[0] == '0')
		found(&d->f, "kernel", WARNING, "sysctl net.core.bpf_jit_enable=1",
		      "%s interprets BPF programs", text);
	else
		found(&d->f, "kernel", OK, "", "%s, BPF is compiled", text);
}

static void check_rmem(struct doctor *d)
{
	char text[32];

	if (first_line("/proc/sys/net/core/rmem_max", text, sizeof(text)))
		found(&d->f, "rmem", atol(text) >= 262144 ? OK : WARNING,
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
		found(&d->f, "admission", WARNING, "rtpxctl undrain, when the work on it is done",
		      "draining for %llu s: every new session is refused; %llu exist",
		      json_number(a, "draining_s"), sessions);
	else if (max && sessions * 10 >= max * 9)
		found(&d->f, "admission", WARNING, "raise --max-sessions, or add a relay",
		      "%llu sessions exist, --max-sessions allows %llu; %llu refused", sessions,
		      max, json_number(a, "refused_limit"));
	else if (json_number(a, "refused_limit"))
		found(&d->f, "admission", WARNING,
		      "raise --max-sessions or --max-cps, or add a relay",
		      "%llu new sessions were refused by a limit; %llu exist",
		      json_number(a, "refused_limit"), sessions);
	else
		found(&d->f, "admission", OK, "", "new sessions are admitted; %llu exist",
		      sessions);
}

static void check_targets(struct doctor *d)
{
	if (d->status)
		targets_check(&d->f, d->status);
}

static void check_directories(struct doctor *d)
{
	struct json_object *answer = d->status ? ask(d->socket_path, "config", NULL) : NULL, *list;

	if (answer && json_object_object_get_ex(answer, "config", &list))
		dirs_check(&d->f, list, (long)json_number(d->status, "pid"));
	json_object_put(answer);
}

/* The last line: the exit status in words. */
static void conclude(struct doctor *d)
{
	if (d->f.hopeless)
		found(&d->f, "calls", WRONG, "see the lines above", "no new call can work: %s",
		      d->f.hopeless);
	else
		found(&d->f, "calls", OK, "", "calls can work");
}

static void (*const checks[])(struct doctor *d) = {
	check_daemon,	    check_admission, check_dataplane,	check_kernel,	  check_module,
	check_capabilities, check_bpffs,     check_descriptors, check_ports,	  check_media,
	check_groups,	    check_rmem,	     check_interfaces,	check_neighbours, check_host,
	check_targets,	    check_floor,     check_directories, conclude,
};

static void print_lines(const struct doctor *d)
{
	size_t i;

	for (i = 0; i < json_object_array_length(d->f.lines); i++) {
		struct json_object *o = json_object_array_get_idx(d->f.lines, i);

		printf("%-8s %-13s %s\n", json_text(o, "result"), json_text(o, "check"),
		       json_text(o, "text"));
		if (strcmp(json_text(o, "result"), finding_names[OK]))
			printf("%-8s %-13s   -> %s\n", "", "", json_text(o, "remedy"));
	}
}

bool doctor_run(const char *socket_path, bool as_json)
{
	struct doctor d = { .f.lines = json_object_new_array(), .socket_path = socket_path };
	size_t i;

	d.status = ask(socket_path, "status", NULL);
	if (d.status)
		d.stats = ask(socket_path, "stats", NULL);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&d);
	if (as_json)
		puts(json_object_to_json_string_ext(d.f.lines,
						    JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print_lines(&d);
	json_object_put(d.f.lines);
	json_object_put(d.status);
	json_object_put(d.stats);
	return !d.f.hopeless;
}
