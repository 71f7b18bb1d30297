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

static const char *option_of(const struct listeners_arg *arg)
{
	return arg->of_group ? "--group" : arg->family == ADDR_IP6 ? "-6" : "-l";
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
		return refuse(m->err, m->err_size, -1, "%s '%s': '%.*s' is not a numeric address",
			      option_of(arg), arg->text, (int)len, host);
	snprintf(name, sizeof(name), "%.*s", (int)len, host);
	r = getaddrinfo(name, NULL, &hints, &found);
	if (r)
		return refuse(m->err, m->err_size, -1, "%s '%s': %s: %s", option_of(arg), arg->text,
			      name, gai_strerror(r));
	*out = addr_from_sockaddr(found->ai_addr);
	out->port = 0;
	freeaddrinfo(found);
	return 0;
}

/* The addresses of one value, or of one side of it. */
struct list {
	const char *label; /* NULL: none */
	size_t label_len;
	unsigned int group;
	bool bridge; /* no =ADVERTISED, and one family */
};

/* The text up to a comma or the end. */
static size_t item_len(const char *text, size_t len)
{
	const char *comma = memchr(text, ',', len);

	return comma ? (size_t)(comma - text) : len;
}

/* Check the newest listener against the others of its list. */
static int check_item(struct maker *m, const struct listeners_arg *arg, const struct list *list)
{
	const struct listener *l = &m->out->all[m->out->n - 1], *other;

	for (other = m->out->all; other < l; other++) {
		if (other->group != l->group)
			continue;
		if (list->bridge && other->addr.family != l->addr.family)
			return refuse(m->err, m->err_size, -1,
				      "'%s': the %s address has another family", arg->text,
				      l->group ? "other external" : "other internal");
		if (addr_is_any(&other->addr) || addr_is_any(&l->addr))
			return refuse(m->err, m->err_size, -1,
				      "'%s': an address that stands for all addresses cannot be in "
				      "a list",
				      arg->text);
		if (addr_host_eq(&other->addr, &l->addr))
			return refuse(m->err, m->err_size, -1,
				      "'%s': an address is in the list twice", arg->text);
	}
	return 0;
}

/* ADDR[=ADVERTISED] */
static int add_item(struct maker *m, const struct listeners_arg *arg, const struct list *list,
		    const char *text, size_t len)
{
	const char *equal = memchr(text, '=', len);
	size_t host = equal ? (size_t)(equal - text) : len;
	struct listener *l;
	int r;

	if (m->out->n == FACES_MAX_LISTENERS)
		return refuse(m->err, m->err_size, -1, "'%s' is one listen address too many",
			      arg->text);
	if (list->bridge && (equal || memchr(text, '@', len)))
		return refuse(
			m->err, m->err_size, -1,
			"'%s': with bridging an address can have neither label nor =ADVERTISED",
			arg->text);
	if (equal && !listeners_is_word(equal + 1, len - host - 1))
		return refuse(m->err, m->err_size, -1,
			      "'%s': the advertised address after = is not usable", arg->text);
	l = &m->out->all[m->out->n++];
	l->group = list->group;
	l->address_group = arg->address_group;
	l->label = list->label ? strndup(list->label, list->label_len) : NULL;
	l->advertised = equal ? strndup(equal + 1, len - host - 1) : NULL;
	r = resolve(m, arg, text, host, &l->addr);
	return r ? r : check_item(m, arg, list);
}

static int add_list(struct maker *m, const struct listeners_arg *arg, const struct list *list,
		    const char *text, size_t len)
{
	for (;;) {
		size_t item = item_len(text, len);
		int r = add_item(m, arg, list, text, item);

		if (r || item == len)
			return r;
		text += item + 1;
		len -= item + 1;
	}
}

/* True for A,LABEL@B. */
static bool begins_with_address(const struct listeners_arg *arg, size_t label_len)
{
	size_t len = item_len(arg->text, label_len);
	struct addr a;

	return len < label_len && addr_parse(&a, arg->family, arg->text, len) == 0;
}

/* Two address groups may have the same label. */
static bool has_label(const struct listeners *l, unsigned int address_group,
		      const struct list *list)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->all[i].address_group == address_group && l->all[i].label &&
		    strlen(l->all[i].label) == list->label_len &&
		    !memcmp(l->all[i].label, list->label, list->label_len))
			return true;
	return false;
}

/* [LABEL@]ADDR[=ADVERTISED][,ADDR[=ADVERTISED]]... */
static int add_plain(struct maker *m, const struct listeners_arg *arg)
{
	const char *at = strchr(arg->text, '@'), *text = at ? at + 1 : arg->text;
	unsigned int n = m->out->n;
	const struct list list = {
		.label = at ? arg->text : arg->label,
		.label_len = at		  ? (size_t)(at - arg->text)
			     : arg->label ? strlen(arg->label)
					  : 0,
		.group = n ? m->out->all[n - 1].group + 1 : 0,
	};

	if (at && (!listeners_is_word(arg->text, list.label_len) ||
		   memchr(arg->text, '}', list.label_len)))
		return refuse(m->err, m->err_size, -1,
			      "'%s': the label before @ is empty or not usable", arg->text);
	if (at && begins_with_address(arg, list.label_len))
		return refuse(m->err, m->err_size, -1,
			      "'%s': a label stands before the whole list: LABEL@A,B", arg->text);
	if (n && !at && !arg->of_group)
		return refuse(m->err, m->err_size, -1,
			      "'%s': a further listen address needs a label: LABEL@%s; to share "
			      "calls with the first address, give a list: -%c FIRST,%s",
			      arg->text, arg->text, arg->family == ADDR_IP6 ? '6' : 'l', arg->text);
	if (list.label && has_label(m->out, arg->address_group, &list))
		return refuse(m->err, m->err_size, -1, "'%s': this label is given twice",
			      arg->text);
	return add_list(m, arg, &list, text, strlen(text));
}

/* ---- bridging ---- */

static bool is_first(const struct maker *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (m->args->local[i].family == m->args->local[n].family)
			return false;
	return true;
}

/* The first value of each family names sides, and so does each other one with a slash. */
static bool has_sides(const struct maker *m, unsigned int n)
{
	const char *text = m->args->local[n].text;

	return is_first(m, n) || (strchr(text, '/') && !strchr(text, '@'));
}

/* The addresses that a value names for a side; @side 0: internal. */
static int add_bridge_side(struct maker *m, const struct listeners_arg *arg, unsigned int side)
{
	const struct list list = { .group = side, .bridge = true };
	const char *slash = strchr(arg->text, '/');
	const char *text = side ? (slash ? slash + 1 : "") : arg->text;
	size_t len = side || !slash ? strlen(text) : (size_t)(slash - arg->text);

	return len ? add_list(m, arg, &list, text, len) : 0;
}

static unsigned int count_of(const struct listeners *l, unsigned int group)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < l->n; i++)
		n += l->all[i].group == group;
	return n;
}

/* A text of -A for each address of a group, in order. */
static int advertise_group(struct maker *m, unsigned int group, const char *text, size_t len)
{
	unsigned int n = 1, wanted = count_of(m->out, group);

	for (size_t i = 0; i < len; i++)
		n += text[i] == ',';
	if (n != wanted)
		return refuse(m->err, m->err_size, -1,
			      "-A '%s': '%.*s' has %u addresses for the %u of -l or -6: give as "
			      "many, with commas",
			      m->args->advertised, (int)len, text, n, wanted);
	for (unsigned int i = 0; i < m->out->n; i++) {
		struct listener *l = &m->out->all[i];
		size_t item = item_len(text, len);

		if (l->group != group)
			continue;
		if (!listeners_is_word(text, item))
			return refuse(m->err, m->err_size, -1, "-A '%s': an address is missing",
				      m->args->advertised);
		if (!l->advertised)
			l->advertised = strndup(text, item);
		text += MIN(item + 1, len);
		len -= MIN(item + 1, len);
	}
	return 0;
}

static int advertise_sides(struct maker *m)
{
	const char *text = m->args->advertised, *slash = strchr(text, '/');
	int r;

	if (!slash)
		return refuse(m->err, m->err_size, -1, "-A '%s': bridging needs both: -A INT/EXT",
			      text);
	r = advertise_group(m, 0, text, (size_t)(slash - text));
	return r ? r : advertise_group(m, 1, slash + 1, strlen(slash + 1));
}

static int add_bridge(struct maker *m)
{
	int r = 0;

	for (unsigned int side = 0; side < 2; side++)
		for (unsigned int i = 0; i < m->args->n && !r; i++)
			if (has_sides(m, i))
				r = add_bridge_side(m, &m->args->local[i], side);
	if (r)
		return r;
	if (!count_of(m->out, 0) || !count_of(m->out, 1))
		return refuse(m->err, m->err_size, -1,
			      "bridging needs one internal and one external address: -l INT/EXT");
	for (unsigned int i = 0; i < m->args->n && !r; i++)
		if (!has_sides(m, i))
			r = add_plain(m, &m->args->local[i]);
	return r || !m->args->advertised ? r : advertise_sides(m);
}

/*
 * -A without bridging: advertise the address for every listener of the first address group that
 * has a numeric address of the same family and no =ADVERTISED of its own. A name in -A counts for
 * both families.
 */
static void advertise(struct maker *m)
{
	struct addr a;
	size_t len = strlen(m->args->advertised);
	bool v4 = addr_parse(&a, ADDR_IP4, m->args->advertised, len) == 0;
	bool v6 = addr_parse(&a, ADDR_IP6, m->args->advertised, len) == 0;

	for (unsigned int i = 0; i < m->out->n; i++) {
		struct listener *l = &m->out->all[i];

		if (l->advertised || l->address_group || addr_is_any(&l->addr))
			continue;
		if ((v4 && l->addr.family != ADDR_IP4) || (v6 && l->addr.family != ADDR_IP6))
			continue;
		l->advertised = strdup(m->args->advertised);
	}
}

static int advertise_plain(struct maker *m)
{
	const char *text = m->args->advertised;

	if (strchr(text, '/'))
		return refuse(m->err, m->err_size, -1,
			      "-A '%s': two addresses are for bridging only: -l INT/EXT", text);
	if (strchr(text, ',') || count_of(m->out, 0) > 1)
		return advertise_group(m, 0, text, strlen(text));
	advertise(m);
	return 0;
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
	return r || !args->advertised ? r : advertise_plain(m);
}

/* ---- one address more ---- */

static int parse_any(struct addr *out, const char *text, size_t len)
{
	enum addr_family family = memchr(text, ':', len) ? ADDR_IP6 : ADDR_IP4;

	return addr_parse(out, family, text, len);
}

/* The listener that LIST of LIST,ADDR names; NULL: none. */
static const struct listener *find_list(const struct listeners *l, const char *text, size_t len)
{
	struct addr a;
	bool numeric = parse_any(&a, text, len) == 0;

	for (unsigned int i = 0; i < l->n; i++) {
		const struct listener *one = &l->all[i];

		if (numeric ? addr_host_eq(&one->addr, &a)
			    : one->label && strlen(one->label) == len &&
				      !memcmp(one->label, text, len))
			return one;
	}
	return NULL;
}

/* ADDR[=ADVERTISED] of LIST,ADDR[=ADVERTISED]. */
static int parse_joining(struct addr *out, const char **advertised, const char *text)
{
	const char *comma = strrchr(text, ','), *equal;

	if (!comma)
		return -1;
	equal = strchr(comma, '=');
	*advertised = equal ? equal + 1 : NULL;
	return parse_any(out, comma + 1, equal ? (size_t)(equal - comma - 1) : strlen(comma + 1));
}

bool listeners_has(const struct listener *all, unsigned int n, const char *text)
{
	const char *advertised;
	struct addr a;

	if (parse_joining(&a, &advertised, text) < 0)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (addr_host_eq(&all[i].addr, &a))
			return true;
	return false;
}

static const char *why_not_join(const struct listeners *l, const struct listener *list,
				const struct addr *a, const char *advertised)
{
	if (!list)
		return "the name before the comma is no address or label of -l or -6";
	if (list->addr.family != a->family)
		return "the addresses of a list have one family";
	if (addr_is_any(a) || addr_is_any(&list->addr))
		return "an address that stands for all addresses cannot be in a list";
	if (advertised && !listeners_is_word(advertised, strlen(advertised)))
		return "the advertised address after = is not usable";
	if (list->advertised && !advertised)
		return "the list has advertised addresses: give one, as LIST,ADDR=ADVERTISED";
	return l->n == FACES_MAX_LISTENERS ? "at most 16 addresses are possible" : NULL;
}

int listeners_join(struct listeners *l, const char *text, char *err, size_t err_size)
{
	const struct listener *list;
	const char *advertised, *why;
	struct addr a;

	if (parse_joining(&a, &advertised, text) < 0)
		return refuse(err, err_size, -1,
			      "'%s': must be LIST,ADDR[=ADVERTISED] with "
			      "numeric addresses; LIST can be a label",
			      text);
	if (listeners_has(l->all, l->n, text))
		return refuse(err, err_size, -1, "'%s': this address is given already", text);
	list = find_list(l, text, (size_t)(strrchr(text, ',') - text));
	why = why_not_join(l, list, &a, advertised);
	if (why)
		return refuse(err, err_size, -1, "'%s': %s", text, why);
	l->all[l->n++] = (struct listener){
		.addr = addr_with_port(a, 0),
		.label = list->label ? strdup(list->label) : NULL,
		.advertised = advertised ? strdup(advertised) : NULL,
		.group = list->group,
	};
	return 0;
}

/* ---- pools ---- */

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
