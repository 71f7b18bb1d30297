/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iptables.c - asks x_tables where the chains of a table begin and where their policies are. Asks
 * only for tables on the list in /proc, because a question about another table creates it.
 *
 * A chain that begins with its policy has no rule. Policies are read from the entries.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <net/if.h>

#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/iptables.h"

#define FAMILIES 2
#define VERDICT_ACCEPT (-NF_ACCEPT - 1)

static const struct family {
	enum addr_family family;
	int af, level;
	const char *names; /* file with the list of tables */
	const char *text;
} families[FAMILIES] = {
	{ ADDR_IP4, AF_INET, IPPROTO_IP, "/proc/net/ip_tables_names", "IPv4" },
	{ ADDR_IP6, AF_INET6, IPPROTO_IPV6, "/proc/net/ip6_tables_names", "IPv6" },
};

/* The hooks of each table that see outgoing packets, and for NAT also incoming ones. */
static const struct table {
	const char *name;
	bool nat;
	unsigned int hooks;
} tables[] = {
	{ "raw", false, 1 << NF_INET_LOCAL_OUT },
	{ "mangle", false, 1 << NF_INET_LOCAL_OUT | 1 << NF_INET_POST_ROUTING },
	{ "nat", true,
	  1 << NF_INET_PRE_ROUTING | 1 << NF_INET_LOCAL_OUT | 1 << NF_INET_POST_ROUTING },
	{ "filter", false, 1 << NF_INET_LOCAL_OUT },
	{ "security", false, 1 << NF_INET_LOCAL_OUT },
};

struct state {
	unsigned int acting; /* bit n: tables[n] has rules, or drops */
	bool hidden;	     /* tables exist, but cannot be read */
};

struct iptables {
	int names[FAMILIES]; /* -1: not open */
	struct state state[FAMILIES];
};

struct iptables *iptables_open(void)
{
	struct iptables *t = calloc(1, sizeof(*t));
	int i;

	if (!t)
		return NULL;
	for (i = 0; i < FAMILIES; i++)
		t->names[i] = open(families[i].names, O_RDONLY | O_CLOEXEC);
	return t;
}

void iptables_free(struct iptables *t)
{
	int i;

	if (!t)
		return;
	for (i = 0; i < FAMILIES; i++)
		if (t->names[i] >= 0)
			close(t->names[i]);
	free(t);
}

/* ---- reading ---- */

/*
 * The verdict of the entry at offset @at; @size: bytes of all @entries. The verdict stands in the
 * entry's target, behind the target's header.
 */
static int policy_at(const uint8_t *entries, size_t size, size_t at, bool ip6)
{
	size_t target = at + (ip6 ? offsetof(struct ip6t_entry, target_offset)
				  : offsetof(struct ipt_entry, target_offset));
	uint16_t offset;
	int verdict;

	if (target + sizeof(offset) > size)
		return 0;
	memcpy(&offset, entries + target, sizeof(offset));
	if (at + offset + sizeof(struct xt_standard_target) > size)
		return 0;
	memcpy(&verdict, entries + at + offset + offsetof(struct xt_standard_target, verdict),
	       sizeof(verdict));
	return verdict;
}

/* IPv4 and IPv6 have the same request structs, so those of IPv4 serve both. */
static bool table_drops(int fd, const struct family *f, const struct ipt_getinfo *info,
			unsigned int hooks)
{
	socklen_t len = sizeof(struct ipt_get_entries) + info->size;
	struct ipt_get_entries *e = calloc(1, len);
	bool any = true;
	unsigned int h;

	if (!e)
		return true;
	memcpy(e->name, info->name, sizeof(e->name));
	e->size = info->size;
	if (getsockopt(fd, f->level, IPT_SO_GET_ENTRIES, e, &len) == 0) {
		any = false;
		for (h = 0; h < NF_INET_NUMHOOKS; h++)
			any |= (hooks & info->valid_hooks & 1u << h) &&
			       policy_at((const uint8_t *)e->entrytable, info->size,
					 info->underflow[h],
					 f->family == ADDR_IP6) != VERDICT_ACCEPT;
	}
	free(e);
	return any;
}

static bool table_acts(int fd, const struct family *f, const struct table *t)
{
	struct ipt_getinfo info = { 0 };
	socklen_t len = sizeof(info);
	unsigned int h;

	snprintf(info.name, sizeof(info.name), "%s", t->name);
	if (getsockopt(fd, f->level, IPT_SO_GET_INFO, &info, &len))
		return errno != ENOENT;
	for (h = 0; h < NF_INET_NUMHOOKS; h++)
		if ((t->hooks & info.valid_hooks & 1u << h) &&
		    info.hook_entry[h] != info.underflow[h])
			return true;
	return !t->nat && table_drops(fd, f, &info, t->hooks);
}

/* The list has one name a line. */
static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *p;

	for (p = list; (p = strstr(p, name)); p += len)
		if ((p == list || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
			return true;
	return false;
}

static struct state read_family(struct iptables *t, int i)
{
	const struct family *f = &families[i];
	struct state s = { 0 };
	char list[256];
	ssize_t n;
	size_t k;
	int fd;

	if (t->names[i] < 0)
		t->names[i] = open(f->names, O_RDONLY | O_CLOEXEC);
	if (t->names[i] < 0) {
		s.hidden = errno == EACCES;
		return s;
	}
	n = pread(t->names[i], list, sizeof(list) - 1, 0);
	if (n <= 0)
		return s;
	list[n] = '\0';
	fd = socket(f->af, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (k = 0; k < ARRAY_SIZE(tables) && fd >= 0; k++)
		if (is_listed(list, tables[k].name) && table_acts(fd, f, &tables[k]))
			s.acting |= 1u << k;
	if (fd >= 0)
		close(fd);
	return s;
}

bool iptables_look(struct iptables *t)
{
	bool moved = false;
	struct state s;
	int i;

	for (i = 0; i < FAMILIES; i++) {
		s = read_family(t, i);
		moved |= s.acting != t->state[i].acting || s.hidden != t->state[i].hidden;
		t->state[i] = s;
	}
	return moved;
}

/* ---- answers ---- */

static bool any_of(const struct iptables *t, enum addr_family family, bool nat)
{
	const struct state *s = &t->state[family == ADDR_IP6];
	size_t k;

	for (k = 0; k < ARRAY_SIZE(tables); k++)
		if (tables[k].nat == nat && s->acting & 1u << k)
			return true;
	return s->hidden;
}

bool iptables_acts(const struct iptables *t, enum addr_family family)
{
	return any_of(t, family, false);
}

bool iptables_translates(const struct iptables *t, enum addr_family family)
{
	return any_of(t, family, true);
}

const char *iptables_describe(const struct iptables *t, char *buf, size_t size)
{
	size_t len = 0, k;
	int i;

	buf[0] = '\0';
	for (i = 0; i < FAMILIES; i++) {
		if (t->state[i].hidden && len < size)
			len += snprintf(buf + len, size - len, "%stables that cannot be read",
					len ? ", " : "");
		for (k = 0; k < ARRAY_SIZE(tables); k++)
			if (t->state[i].acting & 1u << k && len < size)
				len += snprintf(buf + len, size - len, "%s%s of %s",
						len ? ", " : "", tables[k].name, families[i].text);
	}
	return buf;
}
