/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_ifs.c - a list of interfaces, brought up to date by reading all links.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/xdp_ifs.h"
#include "base/log.h"
#include "dataplane/xdp_attach.h"
#include "dataplane/xdp_inquiry.h"

#define FOREIGN_UNKNOWN UINT32_MAX /* no id of a program */

struct xdp_if {
	struct dp_interface pub;
	char attached[256];	/* result of attaching; pub.reason adds later findings */
	int link;		/* BPF link; -1 when off */
	char pin[XDP_PIN_NAME]; /* "": none */
	bool seen;		/* by the current rescan */
	bool tried;		/* a test frame got out through it */
	unsigned int mtu;	/* at the previous attempt to attach */
	uint32_t foreign;	/* id of another owner's program at that attempt */
	char not_generic[160];	/* the reason against generic mode at that attempt; "": none */
};

struct xdp_ifs {
	struct xdp_ifs_program program;
	enum dp_xdp_mode mode;
	char *names[DP_MAX_INTERFACES]; /* --interface; none: all suitable interfaces */
	unsigned int n_names;
	struct xdp_if *all;
	unsigned int n;
	bool settles; /* xdp_ifs_put_program() is still to come */
	struct xdp_inquiry *inquiry;
};

/* ---- which interfaces ---- */

static bool is_named(const struct xdp_ifs *ifs, const char *name)
{
	unsigned int i;

	for (i = 0; i < ifs->n_names; i++)
		if (strcmp(ifs->names[i], name) == 0)
			return true;
	return false;
}

static bool is_type(struct rtnl_link *l, const char *type)
{
	const char *t = l ? rtnl_link_get_type(l) : NULL;

	return t && strcmp(t, type) == 0;
}

/*
 * unsuitable - the reason why the program does not belong on this link; NULL: it does. A port of a
 * bridge or bond is left to its master. A device that is stacked on another device of this
 * namespace is left to the lower device, which sees the frames first.
 */
static const char *unsuitable(struct nl_cache *links, struct rtnl_link *l)
{
	struct rtnl_link *master = rtnl_link_get(links, rtnl_link_get_master(l));
	bool port = master && !is_type(master, "vrf");
	int32_t netns;

	rtnl_link_put(master);
	if (rtnl_link_get_flags(l) & IFF_LOOPBACK)
		return "the loopback device carries no media of others";
	if (rtnl_link_get_arptype(l) != ARPHRD_ETHER)
		return "it is not Ethernet";
	if (port)
		return "it is a port of a bridge or bond: name that one instead";
	if (is_type(l, "vrf"))
		return "a VRF receives through its ports: name those instead";
	if (!is_type(l, "veth") && rtnl_link_get_link(l) > 0 &&
	    rtnl_link_get_link_netnsid(l, &netns) < 0)
		return "it is stacked on another device, which sees its frames first: name that "
		       "one instead";
	return NULL;
}

static struct xdp_if *if_find(const struct xdp_ifs *ifs, unsigned int ifindex)
{
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->all[i].pub.ifindex == ifindex)
			return &ifs->all[i];
	return NULL;
}

/* if_add - add an interface, or fill the place that add_missing() has kept for it. NULL: no room
 * for more interfaces, or no memory. */
static struct xdp_if *if_add(struct xdp_ifs *ifs, unsigned int ifindex, const char *name)
{
	struct xdp_if *more;
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->all[i].pub.ifindex == 0 && strcmp(ifs->all[i].pub.name, name) == 0) {
			ifs->all[i].pub.ifindex = ifindex;
			xdp_driver(name, ifs->all[i].pub.driver);
			return &ifs->all[i];
		}
	if (ifs->n == RTPX_MAX_TX_PORTS - 1)
		return NULL;
	more = realloc(ifs->all, (ifs->n + 1) * sizeof(*more));
	if (!more)
		return NULL;
	ifs->all = more;
	more += ifs->n++;
	*more = (struct xdp_if){ .link = -1 };
	more->pub.ifindex = ifindex;
	snprintf(more->pub.name, sizeof(more->pub.name), "%s", name);
	xdp_driver(name, more->pub.driver);
	return more;
}

/* ---- one interface ---- */

static void if_attach(struct xdp_ifs *ifs, struct xdp_if *f, enum dp_xdp_mode mode)
{
	f->foreign = xdp_foreign(f->pub.ifindex);
	f->link = xdp_attach(ifs->program.native, ifs->program.generic, &f->pub, mode,
			     f->not_generic[0] ? f->not_generic : NULL);
	snprintf(f->attached, sizeof(f->attached), "%s", f->pub.reason);
	f->tried = false;
	if (f->link >= 0)
		xdp_pins_link(ifs->program.pins, f->link, f->pub.name, f->pin);
	else
		f->link = -1;
}

static void if_detach(struct xdp_ifs *ifs, struct xdp_if *f)
{
	if (f->link < 0)
		return;
	bpf_link_detach(f->link);
	close(f->link);
	f->link = -1;
	f->pub.mode = DP_IF_OFF;
	xdp_pins_unlink(ifs->program.pins, f->pin);
}

/* if_allow - allow packets to leave through it, or forbid it. */
static void if_allow(struct xdp_ifs *ifs, struct xdp_if *f, bool allow)
{
	int rc = allow ? xdp_hops_allow(ifs->program.hops, f->pub.ifindex) : 0;

	if (rc) {
		snprintf(f->pub.reason, sizeof(f->pub.reason),
			 "the kernel refuses to send through it: %s", strerror(-rc));
		allow = false;
	}
	if (!allow && f->pub.can_send)
		xdp_hops_forbid(ifs->program.hops, f->pub.ifindex);
	f->pub.can_send = allow;
}

/* if_judge - find out whether packets can leave through it now. @any_native: packets may come from
 * an interface in native mode. */
static void if_judge(struct xdp_ifs *ifs, struct xdp_if *f, bool any_native)
{
	struct dp_interface before = f->pub;
	char why[256];
	bool can = f->link >= 0;

	snprintf(f->pub.reason, sizeof(f->pub.reason), "%s", f->attached);
	if (can && any_native) {
		can = xdp_can_send(&f->pub, !f->tried, why, sizeof(why));
		f->tried = can;
		if (!can)
			xdp_reason_add(&f->pub, why);
	}
	if (f->link >= 0 && xdp_preflight(&f->pub, why, sizeof(why)))
		xdp_reason_add(&f->pub, why);
	if_allow(ifs, f, can);
	if (before.mode == f->pub.mode && before.can_send == f->pub.can_send &&
	    strcmp(before.reason, f->pub.reason) == 0)
		return;
	log_info("%s: %s%s%s%s", f->pub.name,
		 f->pub.mode == DP_IF_NATIVE	? "XDP, native mode"
		 : f->pub.mode == DP_IF_GENERIC ? "XDP, generic mode"
						: "no XDP",
		 f->pub.can_send || f->link < 0 ? "" : ", no packet leaves through it",
		 f->pub.reason[0] ? ": " : "", f->pub.reason);
}

static void judge_all(struct xdp_ifs *ifs)
{
	bool any_native = false;
	unsigned int i;

	for (i = 0; i < ifs->n; i++)
		any_native |= ifs->all[i].pub.mode == DP_IF_NATIVE;
	for (i = 0; i < ifs->n; i++)
		if_judge(ifs, &ifs->all[i], any_native);
}

/* ---- looking at the links ---- */

struct look {
	struct xdp_ifs *ifs;
	struct nl_cache *links;
};

static void see(struct nl_object *o, void *arg)
{
	struct look *look = arg;
	struct xdp_if *f = if_find(look->ifs, rtnl_link_get_ifindex((struct rtnl_link *)o));

	if (f)
		f->seen = true;
}

/* ask_generic - find out whether generic mode is possible now. True: the answer has changed. */
static bool ask_generic(struct look *look, struct xdp_if *f)
{
	bool vlans = xdp_ingress_has_vlans(look->links, f->pub.ifindex);
	char why[sizeof(f->not_generic)] = "";

	xdp_generic_fault(&f->pub, vlans, why, sizeof(why));
	if (strcmp(why, f->not_generic) == 0)
		return false;
	strcpy(f->not_generic, why);
	return true;
}

/*
 * is_settled - true if the interface is attached, or nothing has changed since the previous
 * attempt to attach. Then do not try again: some drivers reset the link at each attempt.
 */
static bool is_settled(struct look *look, struct xdp_if *f, struct rtnl_link *l)
{
	const bool asked = ask_generic(look, f);

	if (f->link >= 0 && f->pub.mode == DP_IF_GENERIC && f->not_generic[0]) {
		if_detach(look->ifs, f);
		return false;
	}
	return f->link >= 0 || (!asked && f->mtu == rtnl_link_get_mtu(l) &&
				f->foreign == xdp_foreign(f->pub.ifindex));
}

static void look_at(struct nl_object *o, void *arg)
{
	struct look *look = arg;
	struct xdp_ifs *ifs = look->ifs;
	struct rtnl_link *l = (struct rtnl_link *)o;
	const char *name = rtnl_link_get_name(l), *no = unsuitable(look->links, l);
	unsigned int ifindex = rtnl_link_get_ifindex(l);
	bool up = rtnl_link_get_flags(l) & IFF_UP;
	struct xdp_if *f = if_find(ifs, ifindex);

	if (!f) {
		if (ifs->n_names ? !is_named(ifs, name) : no || !up)
			return;
		f = if_add(ifs, ifindex, name);
		if (!f)
			return;
		ask_generic(look, f);
	} else if (is_settled(look, f, l)) {
		snprintf(f->pub.name, sizeof(f->pub.name), "%s", name);
		return;
	}
	f->mtu = rtnl_link_get_mtu(l);
	if (no)
		snprintf(f->attached, sizeof(f->attached), "%s", no);
	else
		if_attach(ifs, f, ifs->mode);
}

/* The kernel has removed the program of interfaces that are gone. Their pins are still there. */
static void forget_gone(struct xdp_ifs *ifs)
{
	unsigned int i = 0;

	while (i < ifs->n) {
		if (ifs->all[i].seen) {
			i++;
			continue;
		}
		log_info("%s is gone", ifs->all[i].pub.name);
		if_detach(ifs, &ifs->all[i]);
		xdp_hops_forbid(ifs->program.hops, ifs->all[i].pub.ifindex);
		ifs->all[i] = ifs->all[--ifs->n];
	}
}

/* List named interfaces that do not exist: the operator wants to read why they are not served. */
static void add_missing(struct xdp_ifs *ifs)
{
	struct xdp_if *f;
	unsigned int i, k;

	for (i = 0; i < ifs->n_names; i++) {
		for (k = 0; k < ifs->n && strcmp(ifs->all[k].pub.name, ifs->names[i]); k++)
			;
		f = k == ifs->n ? if_add(ifs, 0, ifs->names[i]) : NULL;
		if (f)
			snprintf(f->attached, sizeof(f->attached),
				 "there is no such interface; it is served when it appears");
	}
}

static void write_ingress(struct xdp_ifs *ifs, struct nl_cache *links)
{
	unsigned int ifindex[RTPX_MAX_TX_PORTS], n = 0, i;

	for (i = 0; i < ifs->n; i++)
		if (ifs->all[i].link >= 0)
			ifindex[n++] = ifs->all[i].pub.ifindex;
	xdp_ingress_write(ifs->program.ingress, links, ifindex, n);
}

static unsigned int if_attached(const struct xdp_ifs *ifs)
{
	unsigned int i, n = 0;

	for (i = 0; i < ifs->n; i++)
		n += ifs->all[i].link >= 0;
	return n;
}

void xdp_ifs_describe(const struct xdp_ifs *ifs, char *text, size_t size)
{
	static const char *const modes[] = {
		[DP_IF_OFF] = "no XDP", [DP_IF_GENERIC] = "generic", [DP_IF_NATIVE] = "native"
	};
	unsigned int i;
	size_t len;

	len = snprintf(text, size, "XDP:%s",
		       if_attached(ifs) ? ""
					: " no interface, the daemon's sockets carry every call:");
	for (i = 0; i < ifs->n && len < size; i++)
		len += snprintf(text + len, size - len, "%s %s %s", i ? "," : "",
				ifs->all[i].pub.name, modes[ifs->all[i].pub.mode]);
	if (!ifs->n)
		snprintf(text, size,
			 "XDP: no Ethernet interface is up, the daemon's sockets carry "
			 "every call");
}

void xdp_ifs_rescan(struct xdp_ifs *ifs)
{
	struct look look = { .ifs = ifs };
	struct nl_sock *sk = nl_socket_alloc();
	unsigned int i;

	if (!sk || nl_connect(sk, NETLINK_ROUTE) < 0 ||
	    rtnl_link_alloc_cache(sk, AF_UNSPEC, &look.links) < 0) {
		log_warn("cannot read the links");
		nl_socket_free(sk);
		return;
	}
	for (i = 0; i < ifs->n; i++)
		ifs->all[i].seen = ifs->all[i].pub.ifindex == 0;
	/* An interface that was made again has the name and the pin of the old one. Forget the old
	 * one first. */
	nl_cache_foreach(look.links, see, &look);
	forget_gone(ifs);
	nl_cache_foreach(look.links, look_at, &look);
	add_missing(ifs);
	judge_all(ifs);
	write_ingress(ifs, look.links);
	nl_cache_free(look.links);
	nl_socket_free(sk);
}

/* Our program was detached. The rescan attaches it again, or reports another program there. */
static void if_lose(struct xdp_ifs *ifs, struct xdp_if *f)
{
	const uint32_t other = xdp_foreign(f->pub.ifindex);

	close(f->link);
	f->link = -1;
	f->pub.mode = DP_IF_OFF;
	xdp_pins_unlink(ifs->program.pins, f->pin);
	f->foreign = FOREIGN_UNKNOWN;
	if (other)
		log_warn("%s: its XDP program was detached, and another XDP program (id %u) has "
			 "its place: its calls stay with the sockets until that one is removed: "
			 "bpftool net list dev %s",
			 f->pub.name, other, f->pub.name);
	else
		log_warn("%s: its XDP program was detached by another process; attaching it again",
			 f->pub.name);
}

/* Skip interfaces that are gone: route netlink announces those. */
static void ask_all(struct xdp_ifs *ifs)
{
	struct xdp_asked about[RTPX_MAX_TX_PORTS];
	char name[IF_NAMESIZE];
	unsigned int n = 0;
	struct xdp_if *f;

	for (f = ifs->all; f < ifs->all + ifs->n; f++)
		if (f->pub.ifindex && if_indextoname(f->pub.ifindex, name))
			about[n++] = (struct xdp_asked){ f->pub.ifindex, f->link, false, 0 };
	if (n)
		xdp_inquiry_ask(ifs->inquiry, about, n);
}

/* True if the interface has changed. It may have got another link since the question. */
static bool judge_answer(struct xdp_ifs *ifs, const struct xdp_asked *a)
{
	struct xdp_if *f = if_find(ifs, a->ifindex);

	if (!f || (f->link < 0) != (a->link < 0))
		return false;
	if (f->link < 0)
		return f->foreign != a->programs;
	if (!a->detached || !xdp_link_is_detached(f->link))
		return false;
	if_lose(ifs, f);
	return true;
}

bool xdp_ifs_look(struct xdp_ifs *ifs)
{
	struct xdp_asked answers[RTPX_MAX_TX_PORTS];
	unsigned int n = xdp_inquiry_answers(ifs->inquiry, answers), i;
	bool moved = false;

	for (i = 0; i < n; i++)
		moved |= judge_answer(ifs, &answers[i]);
	if (!moved && xdp_inquiry_is_idle(ifs->inquiry))
		ask_all(ifs);
	return moved;
}

bool xdp_ifs_serves(const struct xdp_ifs *ifs, unsigned int ifindex)
{
	const struct xdp_if *f = if_find(ifs, ifindex);

	return f && f->pub.can_send;
}

unsigned int xdp_ifs_count(const struct xdp_ifs *ifs)
{
	return ifs->n;
}

unsigned int xdp_ifs_list(const struct xdp_ifs *ifs, struct dp_interface *out, unsigned int max)
{
	unsigned int i;

	for (i = 0; i < MIN(max, ifs->n); i++)
		out[i] = ifs->all[i].pub;
	return ifs->n;
}

/* ---- taking over ---- */

/* link_mode - the mode in which the kernel runs the link's program. */
static int link_mode(const struct bpf_link_info *info)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query((int)info->xdp.ifindex, 0, &q))
		return DP_IF_OFF;
	return q.drv_prog_id == info->prog_id	? DP_IF_NATIVE
	       : q.skb_prog_id == info->prog_id ? DP_IF_GENERIC
						: DP_IF_OFF;
}

static bool is_wanted(const struct xdp_ifs *ifs, const char *name, int mode)
{
	if (ifs->n_names && !is_named(ifs, name))
		return false;
	return mode != DP_IF_OFF && (ifs->mode == DP_MODE_AUTO ||
				     (ifs->mode == DP_MODE_NATIVE) == (mode == DP_IF_NATIVE));
}

/* put_program - replace the link's program by ours, between two packets. */
static int put_program(const struct xdp_ifs *ifs, int link, int mode)
{
	const struct xdp_ifs_program *p = &ifs->program;

	return bpf_link_update(link, mode == DP_IF_NATIVE ? p->native : p->generic, NULL);
}

/*
 * Take over one link of the previous daemon. It gets our program: now, or in xdp_ifs_put_program()
 * with ifs->settles. Remove a link that is not wanted or fails; the rescan may attach anew.
 */
static void take_link(void *arg, const char *pin, int link)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);
	char name[IF_NAMESIZE] = "";
	struct xdp_ifs *ifs = arg;
	struct xdp_if *f = NULL;
	int mode = DP_IF_OFF, rc = 0;

	if (bpf_obj_get_info_by_fd(link, &info, &len) == 0 && info.type == BPF_LINK_TYPE_XDP &&
	    if_indextoname(info.xdp.ifindex, name))
		mode = link_mode(&info);
	if (is_wanted(ifs, name, mode)) {
		rc = ifs->settles ? 0 : put_program(ifs, link, mode);
		f = rc ? NULL : if_add(ifs, info.xdp.ifindex, name);
	}
	if (f) {
		f->link = link;
		f->pub.mode = mode;
		snprintf(f->pin, sizeof(f->pin), "%s", pin);
		return;
	}
	if (rc)
		log_warn("%s: the kernel does not replace the program of the previous rtpxd: "
			 "%s",
			 name, strerror(-rc));
	bpf_link_detach(link);
	close(link);
	xdp_pins_unlink(ifs->program.pins, pin);
}

/* Forbid the interfaces that the previous daemon allowed and this one does not. */
static void forbid_others(struct xdp_ifs *ifs)
{
	uint32_t ifindex[RTPX_MAX_TX_PORTS];
	unsigned int n = xdp_hops_allowed(ifs->program.hops, ifindex), i;

	for (i = 0; i < n; i++)
		if (!xdp_ifs_serves(ifs, ifindex[i]))
			xdp_hops_forbid(ifs->program.hops, ifindex[i]);
}

void xdp_ifs_take_over(struct xdp_ifs *ifs, bool later)
{
	ifs->settles = later;
	xdp_pins_links(ifs->program.pins, take_link, ifs);
}

void xdp_ifs_put_program(struct xdp_ifs *ifs)
{
	unsigned int i;
	int rc;

	ifs->settles = false;
	for (i = 0; i < ifs->n; i++) {
		struct xdp_if *f = &ifs->all[i];

		rc = f->link < 0 ? 0 : put_program(ifs, f->link, f->pub.mode);
		if (!rc)
			continue;
		log_warn("%s: the kernel does not replace the previous program: %s", f->pub.name,
			 strerror(-rc));
		if_detach(ifs, f);
	}
}

void xdp_ifs_change_program(struct xdp_ifs *ifs, int native, int generic)
{
	ifs->program.native = native;
	ifs->program.generic = generic;
	xdp_ifs_put_program(ifs);
}

/* ---- beginning and end ---- */

/*
 * If no interface can send in native mode, switch all to generic mode, which sends through all of
 * them. Later interfaces get generic mode too: frames from one native interface could not leave
 * through the others. Do this only at the beginning: a later change would interrupt calls.
 */
static void reconsider_mode(struct xdp_ifs *ifs)
{
	struct xdp_if *f;
	char why[300];
	unsigned int i;

	if (ifs->mode != DP_MODE_AUTO)
		return;
	for (i = 0; i < ifs->n; i++)
		if (ifs->all[i].pub.can_send)
			return;
	for (f = ifs->all; f < ifs->all + ifs->n; f++) {
		if (f->pub.mode != DP_IF_NATIVE)
			continue;
		snprintf(why, sizeof(why), "native mode cannot send: %s", f->pub.reason);
		ifs->mode = DP_MODE_GENERIC;
		if_detach(ifs, f);
		if_attach(ifs, f, DP_MODE_GENERIC);
		if (f->link >= 0)
			snprintf(f->attached, sizeof(f->attached), "%.255s", why);
	}
	judge_all(ifs);
}

static int check_any(const struct xdp_ifs *ifs, char *err, size_t err_size)
{
	if (if_attached(ifs))
		return 0;
	if (ifs->n)
		snprintf(err, err_size, "no interface takes the program: %s: %s",
			 ifs->all[0].pub.name, ifs->all[0].pub.reason);
	else
		snprintf(err, err_size,
			 "there is no Ethernet interface that is up: ip link set dev IFNAME up, or "
			 "name one with --interface");
	return -ENODEV;
}

int xdp_ifs_begin(struct xdp_ifs *ifs, char *err, size_t err_size)
{
	xdp_ifs_rescan(ifs);
	reconsider_mode(ifs);
	forbid_others(ifs);
	return check_any(ifs, err, err_size);
}

int xdp_ifs_new(struct xdp_ifs **out, const struct dp_opts *opts, const struct xdp_ifs_program *p)
{
	struct xdp_ifs *ifs = calloc(1, sizeof(*ifs));
	unsigned int i;

	if (!ifs)
		return -ENOMEM;
	if (xdp_inquiry_new(&ifs->inquiry)) {
		free(ifs);
		return -ENOMEM;
	}
	ifs->program = *p;
	ifs->mode = opts->mode;
	for (i = 0; i < opts->n_interfaces; i++) {
		ifs->names[i] = strdup(opts->interfaces[i]);
		if (!ifs->names[i]) {
			xdp_ifs_close(ifs, false);
			return -ENOMEM;
		}
		ifs->n_names++;
	}
	*out = ifs;
	return 0;
}

void xdp_ifs_close(struct xdp_ifs *ifs, bool keep)
{
	unsigned int i;

	if (!ifs)
		return;
	xdp_inquiry_free(ifs->inquiry);
	for (i = 0; i < ifs->n; i++) {
		if (!keep)
			if_detach(ifs, &ifs->all[i]);
		else if (ifs->all[i].link >= 0)
			close(ifs->all[i].link);
	}
	for (i = 0; i < ifs->n_names; i++)
		free(ifs->names[i]);
	free(ifs->all);
	free(ifs);
}
