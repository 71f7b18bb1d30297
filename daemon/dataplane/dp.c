/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dp.c - chooses the dataplane. Also has the dataplane `none`: it refuses every flow, and the
 * sockets carry the calls.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dp.h"
#include "base/log.h"

static int none_flow_put(struct dp *dp, enum rtpx_family family, uint16_t port,
			 const struct rtpx_flow *flow, const struct rtpx_flow_stats *seed)
{
	(void)dp, (void)family, (void)port, (void)flow, (void)seed;
	return -ENOENT;
}

static int none_flow_del(struct dp *dp, enum rtpx_family family, uint16_t port,
			 struct rtpx_flow_stats *last)
{
	(void)dp, (void)family, (void)port, (void)last;
	return -ENOENT;
}

static int none_stats_get(struct dp *dp, enum rtpx_family family, uint16_t port,
			  struct rtpx_flow_stats *out)
{
	(void)dp, (void)family, (void)port, (void)out;
	return -ENOENT;
}

static int none_stats_set(struct dp *dp, enum rtpx_family family, uint16_t port,
			  const struct rtpx_flow_stats *in)
{
	(void)dp, (void)family, (void)port, (void)in;
	return -ENOENT;
}

static int none_flow_get(struct dp *dp, enum rtpx_family family, uint16_t port, struct rtpx_flow *out)
{
	(void)dp, (void)family, (void)port, (void)out;
	return -ENOENT;
}

static int none_nexthop_put(struct dp *dp, uint16_t id, const struct rtpx_nexthop *nh)
{
	(void)dp, (void)id, (void)nh;
	return 0;
}

static bool none_serves(struct dp *dp, unsigned int ifindex)
{
	(void)dp, (void)ifindex;
	return false;
}

static unsigned int none_interfaces(struct dp *dp, struct dp_interface *out, unsigned int max)
{
	(void)dp, (void)out, (void)max;
	return 0;
}

static void none_settled(struct dp *dp)
{
	(void)dp;
}

static void none_tend(struct dp *dp)
{
	(void)dp;
}

static bool none_look(struct dp *dp)
{
	(void)dp;
	return false;
}

static void none_rescan(struct dp *dp)
{
	(void)dp;
}

static unsigned int none_mirrored(struct dp *dp, const struct dp_mirror_sink *to, unsigned int max)
{
	(void)dp, (void)to, (void)max;
	return 0;
}

static int none_counters(struct dp *dp, struct rtpx_counters *out)
{
	(void)dp;
	*out = (struct rtpx_counters){ 0 };
	return 0;
}

static void none_close(struct dp *dp, bool keep)
{
	(void)keep;
	free(dp);
}

static const struct dp_ops none_ops = {
	.name = "none",
	.flow_put = none_flow_put,
	.flow_del = none_flow_del,
	.stats_get = none_stats_get,
	.stats_set = none_stats_set,
	.flow_get = none_flow_get,
	.nexthop_put = none_nexthop_put,
	.serves = none_serves,
	.interfaces = none_interfaces,
	.settled = none_settled,
	.tend = none_tend,
	.rescan = none_rescan,
	.look = none_look,
	.mirrored = none_mirrored,
	.counters = none_counters,
	.close = none_close,
};

int dp_none_open(struct dp **out, const char *why)
{
	struct dp *dp = calloc(1, sizeof(*dp));

	if (!dp)
		return -ENOMEM;
	dp->ops = &none_ops;
	snprintf(dp->choice, sizeof(dp->choice), "%s", why);
	*out = dp;
	return 0;
}

/* ---- the choice ---- */

bool dp_opts_has(const struct dp_opts *opts, enum dp_choice choice)
{
	unsigned int i;

	for (i = 0; i < opts->n_order; i++)
		if (opts->order[i] == choice)
			return true;
	return opts->n_order == 0;
}

/*
 * Open XDP in native mode only. If one interface cannot run it or cannot send, fail: the caller
 * then tries another dataplane.
 */
static int native_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	struct dp_interface ifs[DP_MAX_INTERFACES];
	struct dp_opts native = *opts;
	unsigned int i, n;
	int rc;

	native.mode = DP_MODE_NATIVE;
	rc = dp_xdp_open(out, &native, err, err_size);
	if (rc)
		return rc;
	n = (*out)->ops->interfaces(*out, ifs, ARRAY_SIZE(ifs));
	for (i = 0; i < MIN(n, ARRAY_SIZE(ifs)); i++) {
		if (ifs[i].mode == DP_IF_NATIVE && ifs[i].can_send)
			continue;
		snprintf(err, err_size, "%s: %s", ifs[i].name, ifs[i].reason);
		(*out)->ops->close(*out, (*out)->inherited || (*out)->waits);
		return -EOPNOTSUPP;
	}
	return 0;
}

static const struct {
	const char *text;
	int (*open)(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);
} choices[DP_CHOICES] = {
	[DP_NATIVE] = { "XDP in the drivers of all interfaces", native_open },
	[DP_KMOD] = { "the netfilter module", dp_kmod_open },
	[DP_XDP] = { "XDP", dp_xdp_open },
};

/*
 * The order if the operator gives none. Try the module only if it is loaded. Otherwise try XDP
 * alone, which tries native mode by itself.
 */
static unsigned int usual_order(const struct dp_opts *opts, enum dp_choice order[DP_CHOICES])
{
	unsigned int n = 0;

	if (dp_kmod_loaded()) {
		if (opts->mode != DP_MODE_GENERIC)
			order[n++] = DP_NATIVE;
		order[n++] = DP_KMOD;
	}
	order[n++] = DP_XDP;
	order[n++] = DP_NONE;
	return n;
}

/* An error after which dp_open() tries no other dataplane. */
static bool is_final(enum dp_choice tried, int rc, const struct dp_opts *opts)
{
	if (tried == DP_KMOD)
		return rc == -EEXIST;
	return rc == -EPROTO || (rc == -EBUSY && !opts->yield);
}

/*
 * Check that CLOCK_MONOTONIC has no offset from a time namespace. The kernel stamps packets with
 * its own clock. With an offset, every call would look silent, or would never time out.
 */
static int has_clock_of_kernel(char *err, size_t err_size)
{
	FILE *f = fopen("/proc/self/timens_offsets", "re");
	long long s = 0, ns = 0;

	if (f && fscanf(f, "monotonic %lld %lld", &s, &ns) != 2)
		s = ns = 0;
	if (f)
		fclose(f);
	if (s == 0 && ns == 0)
		return 0;
	snprintf(err, err_size,
		 "the clock of this process is %lld s off the kernel's: start it outside of the time "
		 "namespace",
		 s);
	return -EOPNOTSUPP;
}

int dp_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size)
{
	enum dp_choice order[DP_CHOICES];
	char one[512], why[430] = "", choice[512];
	unsigned int i, n = opts->n_order;
	size_t len = 0;
	int rc = -EINVAL;

	if (n)
		memcpy(order, opts->order, sizeof(order));
	else
		n = usual_order(opts, order);
	for (i = 0; i < n && order[i] != DP_NONE; i++) {
		rc = has_clock_of_kernel(one, sizeof(one));
		if (rc == 0)
			rc = choices[order[i]].open(out, opts, one, sizeof(one));
		if (rc == 0 && order[i] == DP_KMOD)
			dp_xdp_abandon(opts);
		else if (rc == 0)
			dp_kmod_abandon(opts);
		if (rc == 0)
			return 0;
		if (is_final(order[i], rc, opts)) {
			snprintf(err, err_size, "%s", one);
			return rc;
		}
		if (n > 1)
			log_warn("%s is not in use: %s", choices[order[i]].text, one);
		if (len < sizeof(why))
			len += snprintf(why + len, sizeof(why) - len, "%s%s", len ? "; " : "", one);
	}
	snprintf(err, err_size, "%s", why);
	if (i == n)
		return rc;
	if (i == 0)
		snprintf(choice, sizeof(choice),
			 "no dataplane, as asked for: the daemon's sockets carry every call");
	else
		snprintf(choice, sizeof(choice),
			 "the daemon's sockets carry every call, because no dataplane is to be "
			 "had: %s",
			 why);
	dp_xdp_abandon(opts);
	dp_kmod_abandon(opts);
	rc = dp_none_open(out, choice);
	if (rc)
		snprintf(err, err_size, "out of memory");
	return rc;
}
