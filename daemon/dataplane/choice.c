/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choice.c - tries dataplanes in order, until one opens.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/choice.h"
#include "base/log.h"
#include "dataplane/kmod.h"
#include "dataplane/none.h"
#include "dataplane/xdp.h"

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
	n = dp_interfaces(*out, ifs, ARRAY_SIZE(ifs));
	for (i = 0; i < MIN(n, ARRAY_SIZE(ifs)); i++) {
		if (ifs[i].mode == DP_IF_NATIVE && ifs[i].can_send)
			continue;
		snprintf(err, err_size, "%s: %s", ifs[i].name, ifs[i].reason);
		(*out)->ops->close(*out, (*out)->inherited || (*out)->waits);
		return -EOPNOTSUPP;
	}
	return 0;
}

const struct dataplane dataplanes[DP_CHOICES] = {
	[DP_NATIVE] = { "native", "XDP in the drivers of all interfaces", NULL, native_open, NULL },
	[DP_KMOD] = { "kmod", "the netfilter module", dp_kmod_loaded, dp_kmod_open,
		      dp_kmod_abandon },
	[DP_XDP] = { "xdp", "XDP", NULL, dp_xdp_open, dp_xdp_abandon },
	[DP_NONE] = { "none", "no dataplane", NULL, NULL, NULL },
};

/*
 * The order if the operator gives none. Try the module only if it is loaded. Otherwise try XDP
 * alone, which tries native mode by itself.
 */
static unsigned int usual_order(const struct dp_opts *opts, enum dp_choice order[DP_CHOICES])
{
	unsigned int n = 0;

	if (dataplanes[DP_KMOD].loaded()) {
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
	snprintf(
		err, err_size,
		"the clock of this process is %lld s off the kernel's: start it outside of the time "
		"namespace",
		s);
	return -EOPNOTSUPP;
}

/* Native mode is XDP, so its flows are those of DP_XDP. */
static void abandon_others(enum dp_choice used, const struct dp_opts *opts)
{
	enum dp_choice i;

	for (i = 0; i < DP_CHOICES; i++)
		if (i != used && dataplanes[i].abandon && !(i == DP_XDP && used == DP_NATIVE))
			dataplanes[i].abandon(opts);
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
			rc = dataplanes[order[i]].open(out, opts, one, sizeof(one));
		if (rc == 0) {
			abandon_others(order[i], opts);
			return 0;
		}
		if (is_final(order[i], rc, opts)) {
			snprintf(err, err_size, "%s", one);
			return rc;
		}
		if (n > 1)
			log_warn("%s is not in use: %s", dataplanes[order[i]].text, one);
		if (len < sizeof(why))
			len += snprintf(why + len, sizeof(why) - len, "%s%s", len ? "; " : "", one);
	}
	snprintf(err, err_size, "%s", why);
	if (i == n)
		return rc;
	if (i == 0)
		snprintf(choice, sizeof(choice),
			 "no dataplane (--dataplane none): the daemon's sockets carry every call");
	else
		snprintf(choice, sizeof(choice),
			 "the daemon's sockets carry every call, because no dataplane is usable: "
			 "%s",
			 why);
	abandon_others(DP_NONE, opts);
	rc = dp_none_open(out, choice);
	if (rc)
		snprintf(err, err_size, "out of memory");
	return rc;
}
