/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kmod.c - the netfilter module as a dataplane. Every change is one request to its generic netlink
 * family (include/rtpx_genl.h). The module answers before the function returns.
 *
 * The module asks the kernel's routing for every packet. It needs no next hops from nexthop.c and
 * attaches to no interface. Neither this file nor a request for the family loads the module: the
 * operator does.
 *
 * The kernel may have no memory to delete a flow. This file then marks the flow as doomed and tries
 * again to delete it until it is gone. No other part of the daemon knows of a doomed flow.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "dataplane/kmod.h"
#include "base/clock.h"
#include "base/log.h"
#include "rtpx_genl.h"
#include "rtpx_verdict.h"

#define ANSWER_SECONDS 5 /* the module answers at once, unless it waits for memory */

struct dp_kmod {
	struct dp dp;
	struct mnl_socket *nl;
	struct mnl_socket *bell; /* rung when copies wait; NULL: no copies */
	/* asks for all flows, while requests for single ones go on */
	struct mnl_socket *sweep;
	bool sweeps; /* the kernel has more flows to tell */
	uint32_t sweep_seq;
	bool copies_wait;
	uint8_t there[RTPX_FAMILIES][65536 / 8];  /* by port: a flow is installed */
	uint8_t doomed[RTPX_FAMILIES][65536 / 8]; /* by port: a flow must be deleted */
	unsigned int n_doomed;
	uint16_t genl_id;
	uint32_t seq;
	char words[160]; /* the kernel's message about the previous request, "" if none */
	char buf[16384] __attribute__((aligned(8)));
};

static struct dp_kmod *kmod_of(struct dp *dp)
{
	return container_of(dp, struct dp_kmod, dp);
}

/* ---- one question and its answer ---- */

static struct nlmsghdr *request_begin(struct dp_kmod *k, uint16_t type, uint8_t cmd,
				      uint8_t version)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(k->buf);
	struct genlmsghdr *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = ++k->seq;
	g->cmd = cmd;
	g->version = version;
	return h;
}

static struct nlmsghdr *command_begin(struct dp_kmod *k, enum rtpx_cmd cmd)
{
	return request_begin(k, k->genl_id, cmd, RTPX_GENL_VERSION);
}

static struct nlmsghdr *command_on(struct dp_kmod *k, enum rtpx_cmd cmd, enum rtpx_family family,
				   uint16_t port)
{
	struct nlmsghdr *h = command_begin(k, cmd);

	mnl_attr_put_u8(h, RTPX_A_FAMILY, family);
	mnl_attr_put_u16(h, RTPX_A_PORT, port);
	return h;
}

static int take_words(const struct nlattr *a, void *arg)
{
	struct dp_kmod *k = arg;

	if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
	    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		snprintf(k->words, sizeof(k->words), "%s", mnl_attr_get_str(a));
	return MNL_CB_OK;
}

/* An acknowledgement: the error, and the kernel's sentence about it. */
static int on_ack(const struct nlmsghdr *h, void *arg)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
	struct dp_kmod *k = arg;

	if (h->nlmsg_len < mnl_nlmsg_size(sizeof(*e)))
		return -EBADMSG;
	/* With NETLINK_CAP_ACK the kernel repeats no part of the request. */
	if (h->nlmsg_flags & NLM_F_ACK_TLVS)
		mnl_attr_parse(h, sizeof(*e), take_words, k);
	return e->error;
}

/*
 * The module was unloaded and took all its flows along. The kernel now delivers their packets to
 * the sockets.
 */
static void lost_module(struct dp_kmod *k)
{
	log_err("the module rtpx was unloaded: the daemon's sockets carry every call; load it and "
		"start rtpxd again");
	k->dp.active = false;
	snprintf(k->dp.choice, sizeof(k->dp.choice),
		 "the daemon's sockets carry every call, because the module was unloaded");
}

/*
 * ask - send @h and read until the kernel acknowledges it or the dump ends. @fn gets each answer.
 * 0 or the kernel's -errno; k->words then has its message.
 */
static int module_ask(struct dp_kmod *k, const struct nlmsghdr *h,
		      void (*fn)(const struct nlmsghdr *h, void *arg), void *arg)
{
	const uint32_t seq = h->nlmsg_seq;

	k->words[0] = '\0';
	if (mnl_socket_sendto(k->nl, h, h->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(k->nl, k->buf, sizeof(k->buf));
		int left = n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (h = (void *)k->buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return *(const int *)mnl_nlmsg_get_payload(h);
			if (h->nlmsg_type == NLMSG_ERROR) {
				int rc = on_ack(h, k);

				/* The kernel also says -ENOENT if the family is gone. */
				if (rc == -ENOENT && k->dp.active && !dp_kmod_loaded())
					lost_module(k);
				return rc;
			}
			if (fn && h->nlmsg_type >= NLMSG_MIN_TYPE)
				fn(h, arg);
		}
	}
}

static int module_tell(struct dp_kmod *k, const struct nlmsghdr *h)
{
	return module_ask(k, h, NULL, NULL);
}

/* The contents of answers: a member for each used attribute. has: a bit for each attribute. */
struct answer {
	uint32_t has;
	char module[48];
	uint32_t abi, flow_bytes, stats_bytes, counters_bytes, flows;
	struct rtpx_counters counters;
	struct rtpx_flow_stats stats;
	struct rtpx_flow flow;
	uint8_t family;
	uint16_t port, port_min, port_max;
};

#define INTO(attr, member) \
	[attr] = { offsetof(struct answer, member), sizeof(((struct answer *)0)->member) }

/* The member for each attribute. A shorter attribute leaves the rest as it is, a longer is cut. */
static const struct place {
	size_t at, bytes;
} places[RTPX_A_END] = {
	INTO(RTPX_A_MODULE, module),
	INTO(RTPX_A_ABI_VERSION, abi),
	INTO(RTPX_A_FLOW_BYTES, flow_bytes),
	INTO(RTPX_A_STATS_BYTES, stats_bytes),
	INTO(RTPX_A_COUNTERS_BYTES, counters_bytes),
	INTO(RTPX_A_PORT_MIN, port_min),
	INTO(RTPX_A_PORT_MAX, port_max),
	INTO(RTPX_A_FLOWS, flows),
	INTO(RTPX_A_COUNTERS, counters),
	INTO(RTPX_A_FAMILY, family),
	INTO(RTPX_A_PORT, port),
	INTO(RTPX_A_STATS, stats),
	INTO(RTPX_A_FLOW, flow),
};

static void answer_take(const struct nlmsghdr *h, void *arg)
{
	struct answer *to = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) {
		unsigned int type = mnl_attr_get_type(a);

		if (type >= RTPX_A_END || !places[type].bytes)
			continue;
		memcpy((char *)to + places[type].at, mnl_attr_get_payload(a),
		       MIN((size_t)mnl_attr_get_payload_len(a), places[type].bytes));
		to->has |= 1u << type;
	}
	to->module[sizeof(to->module) - 1] = '\0';
}

/* ---- the dataplane ---- */

/* Returns the previous value of the bit. */
static bool set_bit(uint8_t bits[], uint16_t port, bool on)
{
	uint8_t *byte = &bits[port / 8], bit = 1 << port % 8;
	bool was = *byte & bit;

	*byte = on ? *byte | bit : *byte & ~bit;
	return was;
}

static void there_note(struct dp_kmod *k, unsigned int family, uint16_t port, bool there)
{
	set_bit(k->there[family], port, there);
}

static void flow_doom(struct dp_kmod *k, unsigned int family, uint16_t port, bool doomed)
{
	k->n_doomed -= set_bit(k->doomed[family], port, doomed);
	k->n_doomed += doomed;
}

static int kmod_flow_put(struct dp *dp, unsigned int family, uint16_t port,
			 const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	struct dp_kmod *k = kmod_of(dp);
	struct nlmsghdr *h = command_on(k, RTPX_CMD_PUT, family, port);
	int rc;

	mnl_attr_put(h, RTPX_A_FLOW, sizeof(*flow), flow);
	if (seed)
		mnl_attr_put(h, RTPX_A_STATS, sizeof(*seed), seed);
	rc = module_tell(k, h);
	if (rc == 0) {
		there_note(k, family, port, true);
		flow_doom(k, family, port, false);
	}
	return rc;
}

/* Send a request whose answer has statistics. */
static int ask_stats(struct dp_kmod *k, const struct nlmsghdr *h, struct rtpx_flow_stats *out)
{
	struct answer a = { 0 };
	int rc = module_ask(k, h, answer_take, &a);

	if (rc == -ERANGE)
		rc = -ENOENT;
	if (rc == 0 && !(a.has & 1u << RTPX_A_STATS))
		rc = -EBADMSG;
	if (rc == 0 && out)
		*out = a.stats;
	return rc;
}

static int kmod_flow_del(struct dp *dp, unsigned int family, uint16_t port,
			 struct rtpx_flow_stats *last)
{
	struct dp_kmod *k = kmod_of(dp);
	int rc;

	there_note(k, family, port, false);
	rc = ask_stats(k, command_on(k, RTPX_CMD_DEL, family, port), last);
	flow_doom(k, family, port, rc && rc != -ENOENT && k->dp.active);
	return rc;
}

static void kmod_tend(struct dp *dp)
{
	struct dp_kmod *k = kmod_of(dp);
	unsigned int family, port;

	for (family = 0; family < RTPX_FAMILIES; family++)
		for (port = 0; port < 65536 && k->n_doomed; port++)
			if (k->doomed[family][port / 8] & 1 << port % 8 &&
			    kmod_flow_del(dp, family, port, NULL) && k->n_doomed)
				return; /* still no memory: try again in a second */
}

static int kmod_stats_get(struct dp *dp, unsigned int family, uint16_t port,
			  struct rtpx_flow_stats *out)
{
	struct dp_kmod *k = kmod_of(dp);

	return ask_stats(k, command_on(k, RTPX_CMD_GET, family, port), out);
}

/* The module itself knows whether a packet came since stats_get. */
static int kmod_stats_set(struct dp *dp, unsigned int family, uint16_t port,
			  const struct rtpx_flow_stats *before, const struct rtpx_flow_stats *in)
{
	struct dp_kmod *k = kmod_of(dp);
	struct nlmsghdr *h = command_on(k, RTPX_CMD_SET_STATS, family, port);
	int rc;

	(void)before;
	mnl_attr_put(h, RTPX_A_STATS, sizeof(*in), in);
	rc = module_tell(k, h);
	return rc == -ERANGE ? -ENOENT : rc;
}

/* The sum of all flows, while the kernel dumps them. */
struct summing {
	struct dp_kmod *k;
	struct dp_totals totals;
};

/* A flow that could not be deleted is none to the caller of totals(). */
static void sum_flow(const struct nlmsghdr *h, void *arg)
{
	struct summing *sum = arg;
	struct answer a = { 0 };

	answer_take(h, &a);
	if (!(a.has & 1u << RTPX_A_STATS) || a.family >= RTPX_FAMILIES ||
	    sum->k->doomed[a.family][a.port / 8] & 1 << a.port % 8)
		return;
	sum->totals.kernel += rtpx_stats_kernel(&a.stats);
	sum->totals.strangers += a.stats.strangers;
	sum->totals.unmirrored += a.stats.unmirrored;
}

/* One dump costs the kernel a tenth of a request for each flow. */
static int kmod_totals(struct dp *dp, struct dp_totals *out)
{
	struct dp_kmod *k = kmod_of(dp);
	struct summing sum = { .k = k };
	struct nlmsghdr *h = command_begin(k, RTPX_CMD_GET);
	int rc;

	h->nlmsg_flags |= NLM_F_DUMP;
	rc = module_ask(k, h, sum_flow, &sum);
	if (rc >= 0)
		*out = sum.totals;
	return MIN(rc, 0);
}

struct sweeping {
	struct dp_kmod *k;
	void (*take)(void *arg, const struct dp_swept *flow);
	void *arg;
};

static void sweep_flow(const struct nlmsghdr *h, struct sweeping *s)
{
	struct answer a = { 0 };

	answer_take(h, &a);
	if ((a.has & 1u << RTPX_A_STATS) && (a.has & 1u << RTPX_A_FLOW) && a.family < RTPX_FAMILIES)
		s->take(s->arg, &(struct dp_swept){ a.family, a.port, a.flow.call, a.stats });
}

static int sweep_begin(struct dp_kmod *k)
{
	struct nlmsghdr *h = command_begin(k, RTPX_CMD_GET);

	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	k->sweep_seq = h->nlmsg_seq;
	if (mnl_socket_sendto(k->sweep, h, h->nlmsg_len) < 0)
		return -errno;
	k->sweeps = true;
	return 0;
}

/* Read some hundred flows. 1: there are more; 0 or -errno. */
static int sweep_some(struct dp_kmod *k, struct sweeping *s)
{
	ssize_t n = mnl_socket_recvfrom(k->sweep, k->buf, sizeof(k->buf));
	struct nlmsghdr *h = (void *)k->buf;
	int left = n;

	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != k->sweep_seq)
			continue;
		if (h->nlmsg_type == NLMSG_DONE)
			return *(const int *)mnl_nlmsg_get_payload(h);
		if (h->nlmsg_type == NLMSG_ERROR)
			return on_ack(h, k);
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			sweep_flow(h, s);
	}
	return 1;
}

static int kmod_stats_sweep(struct dp *dp, uint64_t until_ns,
			    void (*take)(void *arg, const struct dp_swept *flow), void *arg)
{
	struct dp_kmod *k = kmod_of(dp);
	struct sweeping s = { k, take, arg };
	int rc = k->sweeps ? 1 : sweep_begin(k);

	if (rc < 0)
		return rc;
	do
		rc = sweep_some(k, &s);
	while (rc > 0 && clock_now() < until_ns);
	k->sweeps = rc > 0;
	return rc;
}

/* sync_adopt_begin() asks for every port. Most have no flow, so check the bit before the module. */
static int kmod_flow_get(struct dp *dp, unsigned int family, uint16_t port, struct rtpx_flow *out)
{
	struct dp_kmod *k = kmod_of(dp);
	struct answer a = { 0 };
	int rc;

	if (!(k->there[family][port / 8] & 1 << port % 8))
		return -ENOENT;
	rc = module_ask(k, command_on(k, RTPX_CMD_GET, family, port), answer_take, &a);
	if (rc == 0 && !(a.has & 1u << RTPX_A_FLOW))
		rc = -EBADMSG;
	if (rc == 0)
		*out = a.flow;
	return rc;
}

static int kmod_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	(void)dp, (void)nh;
	return id ? 0 : -EINVAL;
}

/* The receiver for one message of copies, and their number so far. */
struct delivery {
	const struct dp_mirror_sink *to;
	unsigned int n;
};

static void take_copies(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *a, *head = NULL;
	struct delivery *d = arg;
	struct rtpx_mirrored copy;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(a) == RTPX_A_COPY)
			head = a;
		if (mnl_attr_get_type(a) != RTPX_A_PAYLOAD || !head ||
		    mnl_attr_get_payload_len(head) != sizeof(copy))
			continue;
		memcpy(&copy, mnl_attr_get_payload(head), sizeof(copy));
		d->to->take(d->to->arg, &copy, mnl_attr_get_payload(a),
			    mnl_attr_get_payload_len(a));
		d->n++;
	}
}

/* True if the module has announced copies and no answer since then was empty. */
static bool copies_wait(struct dp_kmod *k)
{
	char word[64];

	while (recv(mnl_socket_get_fd(k->bell), word, sizeof(word), MSG_DONTWAIT) >= 0)
		k->copies_wait = true;
	return k->copies_wait;
}

static unsigned int kmod_mirrored(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max)
{
	struct dp_kmod *k = kmod_of(dp);
	struct delivery d = { to, 0 };
	unsigned int before;

	while (dp->active && d.n < max && copies_wait(k)) {
		before = d.n;
		if (module_ask(k, command_begin(k, RTPX_CMD_COPIES), take_copies, &d))
			break;
		k->copies_wait = d.n > before;
	}
	return d.n;
}

static int kmod_counters(struct dp *dp, struct rtpx_counters *out)
{
	struct dp_kmod *k = kmod_of(dp);
	struct answer a = { 0 };
	int rc = module_ask(k, command_begin(k, RTPX_CMD_HELLO), answer_take, &a);

	*out = a.counters;
	return rc;
}

static void kmod_close(struct dp *dp, bool keep)
{
	struct dp_kmod *k = kmod_of(dp);
	int rc = keep || !dp->active ? 0 : module_tell(k, command_begin(k, RTPX_CMD_CLOSE));

	if (rc)
		log_warn("the module keeps its flows: %s", strerror(-rc));
	if (k->bell)
		mnl_socket_close(k->bell);
	if (k->sweep)
		mnl_socket_close(k->sweep);
	if (k->nl)
		mnl_socket_close(k->nl);
	free(k);
}

static const struct dp_ops kmod_ops = {
	.name = "kmod",
	.flow_put = kmod_flow_put,
	.flow_del = kmod_flow_del,
	.stats_get = kmod_stats_get,
	.stats_set = kmod_stats_set,
	.totals = kmod_totals,
	.stats_sweep = kmod_stats_sweep,
	.flow_get = kmod_flow_get,
	.nexthop_put = kmod_nexthop_put,
	.tend = kmod_tend,
	.counters = kmod_counters,
	.close = kmod_close,
};

/* ---- beginning ---- */

static int socket_open(struct mnl_socket **out)
{
	const struct timeval patience = { .tv_sec = ANSWER_SECONDS };

	*out = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!*out || mnl_socket_bind(*out, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	setsockopt(mnl_socket_get_fd(*out), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return 0;
}

static int connect_netlink(struct dp_kmod *k)
{
	int on = 1, rc = socket_open(&k->nl);

	if (rc)
		return rc;
	/* Without these options the kernel sends no message, or repeats the request before it. */
	mnl_socket_setsockopt(k->nl, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(k->nl, NETLINK_CAP_ACK, &on, sizeof(on));
	return socket_open(&k->sweep);
}

static void family_take(const struct nlmsghdr *h, void *arg)
{
	struct dp_kmod *k = arg;
	const struct nlattr *a;

	mnl_attr_for_each(a, h, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID)
			k->genl_id = mnl_attr_get_u16(a);
}

static int find_family(struct dp_kmod *k, char *err, size_t err_size)
{
	struct nlmsghdr *h = request_begin(k, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int rc;

	mnl_attr_put_strz(h, CTRL_ATTR_FAMILY_NAME, RTPX_GENL_NAME);
	rc = module_ask(k, h, family_take, k);
	if (rc == 0 && !k->genl_id)
		rc = -ENOENT;
	if (rc)
		snprintf(err, err_size,
			 rc == -ENOENT ? "the module rtpx is not loaded: modprobe rtpx, or make "
					 "kmod and insmod rtpx.ko"
				       : "generic netlink does not answer: %s",
			 strerror(-rc));
	return rc;
}

/* Check that the module has the same structs as this daemon. Call before any other command. */
static int check_module(struct dp_kmod *k, struct answer *a, char *err, size_t err_size)
{
	int rc = module_ask(k, command_begin(k, RTPX_CMD_HELLO), answer_take, a);

	if (rc == -EPERM)
		snprintf(err, err_size,
			 "the module refuses this process: run as root, or with CAP_NET_ADMIN");
	else if (rc)
		snprintf(err, err_size, "the module does not answer: %s%s%s", strerror(-rc),
			 k->words[0] ? ", " : "", k->words);
	if (rc)
		return rc;
	if (a->abi == RTPX_ABI_VERSION && a->flow_bytes == sizeof(struct rtpx_flow) &&
	    a->stats_bytes == sizeof(struct rtpx_flow_stats) &&
	    a->counters_bytes == sizeof(struct rtpx_counters))
		return 0;
	snprintf(err, err_size,
		 "the loaded module is of another version of rtpx (%s, ABI %u; this daemon has ABI "
		 "%u): rmmod rtpx, and load the module that was built with this daemon",
		 a->module, a->abi, RTPX_ABI_VERSION);
	return -EPROTO;
}

static void take_inherited(const struct nlmsghdr *h, void *arg)
{
	struct dp_kmod *k = arg;
	struct answer a = { 0 };

	answer_take(h, &a);
	if (!(a.has & 1u << RTPX_A_FAMILY) || !(a.has & 1u << RTPX_A_PORT) ||
	    a.family >= RTPX_FAMILIES)
		return;
	there_note(k, a.family, a.port, true);
	k->dp.inherited++;
}

static int find_inherited(struct dp_kmod *k, char *err, size_t err_size)
{
	struct nlmsghdr *h = command_begin(k, RTPX_CMD_GET);
	int rc;

	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	rc = module_ask(k, h, take_inherited, k);
	if (rc)
		snprintf(err, err_size, "the module does not list its flows: %s", strerror(-rc));
	return rc;
}

static int open_table(struct dp_kmod *k, const struct dp_opts *opts, struct answer *a, char *err,
		      size_t err_size)
{
	struct nlmsghdr *h = command_begin(k, RTPX_CMD_OPEN);
	uint32_t left = a->flows;
	int rc;

	mnl_attr_put_u32(h, RTPX_A_ABI_VERSION, RTPX_ABI_VERSION);
	mnl_attr_put_u16(h, RTPX_A_PORT_MIN, opts->port_min);
	mnl_attr_put_u16(h, RTPX_A_PORT_MAX, opts->port_max);
	mnl_attr_put_u32(h, RTPX_A_SILENCE_MS, opts->silence_ms);
	if (!opts->adopt)
		mnl_attr_put(h, RTPX_A_FRESH, 0, NULL);
	rc = module_ask(k, h, answer_take, a);
	if (rc == -EBUSY)
		snprintf(
			err, err_size,
			"another rtpxd uses the module in this network namespace: stop that rtpxd, "
			"or run this one in a namespace of its own");
	else if (rc == -EEXIST)
		snprintf(err, err_size,
			 "the module has calls on ports %u to %u, this rtpxd was given %u to %u: "
			 "start it with -m %u -M %u, let these calls end (SIGHUP) and change the "
			 "ports then, or give --discard-state to end them now",
			 a->port_min, a->port_max, opts->port_min, opts->port_max, a->port_min,
			 a->port_max);
	else if (rc)
		snprintf(err, err_size, "the module refuses a table for ports %u to %u: %s%s%s",
			 opts->port_min, opts->port_max, strerror(-rc), k->words[0] ? ", " : "",
			 k->words);
	else if (opts->adopt)
		rc = find_inherited(k, err, err_size);
	else if (left)
		log_warn("removed %u flows of the previous rtpxd in the module: its calls "
			 "have ended",
			 left);
	return rc;
}

/* Open a separate socket that is readable when copies wait. Requests do not disturb it. */
static int open_bell(struct dp_kmod *k, uint32_t bytes)
{
	struct nlmsghdr *h;

	k->bell = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!k->bell || mnl_socket_bind(k->bell, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	h = command_begin(k, RTPX_CMD_MIRROR);
	mnl_attr_put_u32(h, RTPX_A_LISTENER, mnl_socket_get_portid(k->bell));
	mnl_attr_put_u32(h, RTPX_A_MIRROR_BYTES, bytes);
	return module_tell(k, h);
}

/* Without room for copies the module still forwards; the daemon forwards recorded calls. */
static void open_mirror(struct dp_kmod *k, uint32_t bytes)
{
	int rc = open_bell(k, bytes);

	if (rc == 0) {
		k->dp.mirrored = kmod_mirrored;
		k->dp.mirror_fd = mnl_socket_get_fd(k->bell);
		return;
	}
	log_warn("the module has no room for copies of packets (%s): the daemon forwards recorded "
		 "calls itself; another --mirror-bytes may help",
		 strerror(-rc));
	if (k->bell)
		mnl_socket_close(k->bell);
	k->bell = NULL;
}

int dp_kmod_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct dp_kmod *k = calloc(1, sizeof(*k));
	struct answer a = { 0 };
	int rc;

	snprintf(err, err_size, "out of memory");
	if (!k)
		return -ENOMEM;
	k->dp.ops = &kmod_ops;
	k->dp.routes = true;
	k->dp.pools = RTPX_FAMILIES;
	rc = connect_netlink(k);
	if (rc)
		snprintf(err, err_size, "no netlink socket: %s", strerror(-rc));
	else
		rc = find_family(k, err, err_size);
	if (rc == 0)
		rc = check_module(k, &a, err, err_size);
	if (rc == 0)
		rc = open_table(k, opts, &a, err, err_size);
	if (rc) {
		kmod_close(&k->dp, true);
		return rc;
	}
	open_mirror(k, opts->mirror_bytes);
	k->dp.active = true;
	snprintf(k->dp.choice, sizeof(k->dp.choice),
		 "the netfilter module %s: it takes packets of every interface before routing and "
		 "tracking, and the kernel routes them",
		 a.module);
	*out = &k->dp;
	return 0;
}

bool dp_kmod_loaded(void)
{
	return access("/sys/module/rtpx", F_OK) == 0;
}

/* Removes only flows without an owner: the module refuses to open a table that has an owner. */
void dp_kmod_abandon(const struct dp_opts *opts)
{
	struct dp_opts fresh = *opts;
	char err[512];
	struct dp *dp;

	fresh.adopt = false;
	if (dp_kmod_loaded() && dp_kmod_open(&dp, &fresh, err, sizeof(err)) == 0)
		dp->ops->close(dp, false);
}
