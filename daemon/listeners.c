/* SPDX-License-Identifier: BSD-2-Clause */
/* listeners.c - media addresses of the command line. */
#include "listeners.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/refuse.h"

struct maker {
	const struct listeners_args *args;
	struct listeners *out;
	char *err;
	size_t err_size;
};

bool listeners_is_word(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] <= ' ' || s[i] == 0x7f)
			return false;
	return len > 0;
}

static int resolve(struct maker *m, const struct listeners_arg *arg, const char *host, size_t len,
		   struct addr *out)
{
	struct addrinfo hints = { .ai_family = arg->family == ADDR_IP6 ? AF_INET6 : AF_INET,
				  .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found;
	char name[256];
	int r;

	if (len == 1 && *host == '*') {
		*out = (struct addr){ .family = arg->family };
		return 0;
	}
	if (addr_parse(out, arg->family, host, len) == 0)
		return 0;
	if (m->args->no_resolve || !len || len >= sizeof(name))
		return refuse(m->err, m->err_size, -1, "-%c '%s': '%.*s' is not a numeric address",
			      arg->family == ADDR_IP6 ? '6' : 'l', arg->text, (int)len, host);
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	r = getaddrinfo(name, NULL, &hints, &found);
	if (r)
		return refuse(m->err, m->err_size, -1, "-%c '%s': %s: %s",
			      arg->family == ADDR_IP6 ? '6' : 'l', arg->text, name,
			      gai_strerror(r));
	*out = addr_from_sockaddr(found->ai_addr);
	out->port = 0;
	freeaddrinfo(found);
	return 0;
}

/* [LABEL@]ADDR[=ADVERTISED] */
static int add_plain(struct maker *m, const struct listeners_arg *arg)
{
	const char *at = strchr(arg->text, '@'), *host = at ? at + 1 : arg->text;
	const char *equal = strchr(host, '=');
	size_t label_len = at ? (size_t)(at - arg->text) : 0;
	struct listener *l;

	if (m->out->n == FACES_MAX_LISTENERS)
		return refuse(m->err, m->err_size, -1, "'%s' is one listen address too many",
			      arg->text);
	if (at && (!listeners_is_word(arg->text, label_len) || memchr(arg->text, '}', label_len)))
		return refuse(m->err, m->err_size, -1,
			      "'%s': the label before @ is empty or not usable", arg->text);
	if (equal && !listeners_is_word(equal + 1, strlen(equal + 1)))
		return refuse(m->err, m->err_size, -1,
			      "'%s': the advertised address after = is not usable", arg->text);
	if (m->out->n && !at)
		return refuse(m->err, m->err_size, -1,
			      "'%s': a further listen address needs a label: LABEL@%s", arg->text,
			      arg->text);
	for (unsigned int i = 0; at && i < m->out->n; i++)
		if (m->out->all[i].label && strlen(m->out->all[i].label) == label_len &&
		    !memcmp(m->out->all[i].label, arg->text, label_len))
			return refuse(m->err, m->err_size, -1, "'%s': this label is given twice",
				      arg->text);
	l = &m->out->all[m->out->n++];
	l->label = at ? strndup(arg->text, label_len) : NULL;
	l->advertised = equal ? strdup(equal + 1) : NULL;
	return resolve(m, arg, host, equal ? (size_t)(equal - host) : strlen(host), &l->addr);
}

/* One side of the first -l or -6 with bridging; @side 0: internal. */
static int add_bridge_side(struct maker *m, const struct listeners_arg *arg, unsigned int side,
			   bool taken[2])
{
	const char *slash = strchr(arg->text, '/');
	const char *host = side ? (slash ? slash + 1 : "") : arg->text;
	size_t len = side || !slash ? strlen(host) : (size_t)(slash - arg->text);

	if (!len)
		return 0;
	if (memchr(host, '@', len) || memchr(host, '=', len))
		return refuse(
			m->err, m->err_size, -1,
			"'%s': with bridging an address can have neither label nor =ADVERTISED",
			arg->text);
	if (taken[side])
		return refuse(m->err, m->err_size, -1, "'%s': there is a second %s address",
			      arg->text, side ? "external" : "internal");
	taken[side] = true;
	return resolve(m, arg, host, len, &m->out->all[side].addr);
}

static bool is_first(const struct maker *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (m->args->local[i].family == m->args->local[n].family)
			return false;
	return true;
}

static int add_bridge(struct maker *m)
{
	const char *slash = m->args->advertised ? strchr(m->args->advertised, '/') : NULL;
	bool taken[2] = { false, false };
	int r = 0;

	for (unsigned int i = 0; i < m->args->n && !r; i++)
		for (unsigned int side = 0; side < 2 && !r && is_first(m, i); side++)
			r = add_bridge_side(m, &m->args->local[i], side, taken);
	if (r)
		return r;
	if (!taken[0] || !taken[1])
		return refuse(m->err, m->err_size, -1,
			      "bridging needs one internal and one external address: -l INT/EXT");
	m->out->n = 2;
	for (unsigned int i = 0; i < m->args->n && !r; i++)
		if (!is_first(m, i))
			r = add_plain(m, &m->args->local[i]);
	if (r || !m->args->advertised)
		return r;
	if (!slash)
		return refuse(m->err, m->err_size, -1, "-A '%s': bridging needs both: -A INT/EXT",
			      m->args->advertised);
	m->out->all[0].advertised =
		strndup(m->args->advertised, (size_t)(slash - m->args->advertised));
	m->out->all[1].advertised = strdup(slash + 1);
	return 0;
}

/*
 * -A without bridging: advertise the address for every listener that has a numeric address of the
 * same family and no =ADVERTISED of its own. A name in -A counts for both families.
 */
static void advertise(struct maker *m)
{
	struct addr a;
	size_t len = strlen(m->args->advertised);
	bool v4 = addr_parse(&a, ADDR_IP4, m->args->advertised, len) == 0;
	bool v6 = addr_parse(&a, ADDR_IP6, m->args->advertised, len) == 0;

	for (unsigned int i = 0; i < m->out->n; i++) {
		struct listener *l = &m->out->all[i];

		if (l->advertised || addr_is_any(&l->addr))
			continue;
		if ((v4 && l->addr.family != ADDR_IP4) || (v6 && l->addr.family != ADDR_IP6))
			continue;
		l->advertised = strdup(m->args->advertised);
	}
}

int listeners_make(struct listeners *out, const struct listeners_args *args, char *err,
		   size_t err_size)
{
	struct maker maker = { args, out, err, err_size }, *m = &maker;
	int r = 0;

	for (unsigned int i = 0; i < args->n; i++)
		out->bridge |= is_first(m, i) && strchr(args->local[i].text, '/');
	if (out->bridge)
		return add_bridge(m);
	for (unsigned int i = 0; i < args->n && !r; i++)
		r = add_plain(m, &args->local[i]);
	if (!r && args->advertised && strchr(args->advertised, '/'))
		return refuse(m->err, m->err_size, -1,
			      "-A '%s': two addresses are for bridging only: -l INT/EXT",
			      args->advertised);
	if (!r && args->advertised)
		advertise(m);
	return r;
}

static bool has_own(const struct listeners *l, unsigned int n)
{
	const struct addr *a = &l->all[n].addr;
	bool first = true;

	for (unsigned int i = 0; i < n; i++) {
		if (addr_host_eq(&l->all[i].addr, a))
			return false;
		first &= l->all[i].addr.family != a->family;
	}
	return !first && !addr_is_any(a);
}

unsigned int listeners_own(const struct listeners *l, struct addr out[FACES_MAX_LISTENERS])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < l->n; i++)
		if (has_own(l, i))
			out[n++] = l->all[i].addr;
	return n;
}
