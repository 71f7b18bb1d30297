/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto.c - the rtpproxy control grammar as tables: commands, their modifiers, sub-commands.
 *
 * Deliberately not here: sessions, name resolution, and the capability list behind VF. Ports are
 * decimal. rtpproxy looks service names up; here they are refused with E37.
 */
#include "protocol/proto.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#define AMPERSANDS ((struct span){ "&&", 2 })

struct tokens {
	unsigned int n;
	struct span v[PROTO_TOKENS_MAX];
};

/* The command and its sub-commands, as text. */
struct groups {
	unsigned int n;
	struct span v[1 + PROTO_SUBS_MAX];
};

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower_case(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = lower_case(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct span span_from(struct span s, size_t n)
{
	return (struct span){ s.p + n, s.len - n };
}

/* next_token - take the first token off *@rest; false when only separators are left. */
static bool next_token(struct span *rest, struct span *token)
{
	size_t start = 0, end;

	while (start < rest->len && is_separator(rest->p[start]))
		start++;
	for (end = start; end < rest->len && !is_separator(rest->p[end]); end++)
		;
	if (start == end)
		return false;
	*token = (struct span){ rest->p + start, end - start };
	*rest = span_from(*rest, end);
	return true;
}

static unsigned int tokens_split(struct tokens *t, struct span text)
{
	t->n = 0;
	while (t->n < PROTO_TOKENS_MAX && next_token(&text, &t->v[t->n]))
		t->n++;
	return t->n;
}

/* split - cut the line at every "&&" token. Makes every check that E5 stands for. */
static enum proto_error groups_split(struct groups *g, struct span line)
{
	struct span rest = line, token;
	unsigned int tokens = 0;

	if (!line.len || memchr(line.p, 0, line.len))
		return E_SYNTAX;
	g->n = 0;
	g->v[0] = (struct span){ line.p, 0 };
	while (next_token(&rest, &token)) {
		if (!span_eq(token, AMPERSANDS)) {
			if (++tokens > PROTO_TOKENS_MAX)
				return E_SYNTAX;
			g->v[g->n].len = token.p + token.len - g->v[g->n].p;
			continue;
		}
		if (!tokens || g->n == PROTO_SUBS_MAX)
			return E_SYNTAX;
		tokens = 0;
		g->v[++g->n] = (struct span){ rest.p, 0 };
	}
	g->n++;
	return tokens ? PROTO_OK : E_SYNTAX;
}

/*
 * take_int - take an optional sign and decimal digits off *@s, as strtol would; false without a
 * digit. A number that an int cannot hold becomes INT_MIN or INT_MAX.
 */
static bool take_int(struct span *s, int *out)
{
	bool negative = s->len && s->p[0] == '-';
	size_t i = s->len && (s->p[0] == '-' || s->p[0] == '+'), start = i;
	long long value = 0;

	for (; i < s->len && is_digit(s->p[i]); i++)
		value = MIN(value * 10 + (s->p[i] - '0'), (long long)INT_MAX + 1);
	if (i == start)
		return false;
	*s = span_from(*s, i);
	*out = negative ? MAX(-value, INT_MIN) : MIN(value, INT_MAX);
	return true;
}

static bool whole_int(struct span s, int *out)
{
	return take_int(&s, out) && s.len == 0;
}

/* -- modifiers of U, L and the sub-command L -- */

/* The state that each modifier works on. A modifier takes its own argument off @rest. */
struct mods {
	struct media_req *m;
	struct span rest;
	const struct proto_opts *opts;
};

static enum proto_error mod_asymmetric(struct mods *s)
{
	s->m->symmetry = SYMMETRY_NO;
	return PROTO_OK;
}

static enum proto_error mod_symmetric(struct mods *s)
{
	s->m->symmetry = SYMMETRY_YES;
	return PROTO_OK;
}

static enum proto_error mod_weak(struct mods *s)
{
	s->m->weak = true;
	return PROTO_OK;
}

static enum proto_error mod_ipv6(struct mods *s)
{
	s->m->ipv6 = true;
	return PROTO_OK;
}

static enum proto_error mod_new_port(struct mods *s)
{
	s->m->new_port = true;
	return PROTO_OK;
}

/* side - the first e or i is for one leg, the second for the other leg; a third is an error. */
static bool mod_side(struct mods *s, enum proto_side which)
{
	enum proto_side *free_slot = s->m->side;

	while (free_slot < s->m->side + ARRAY_SIZE(s->m->side) && *free_slot != SIDE_UNSET)
		free_slot++;
	if (!s->opts->bridge || free_slot == s->m->side + ARRAY_SIZE(s->m->side))
		return false;
	*free_slot = which;
	return true;
}

static enum proto_error mod_external(struct mods *s)
{
	return mod_side(s, SIDE_EXTERNAL) ? PROTO_OK : E_EXTERNAL;
}

static enum proto_error mod_internal(struct mods *s)
{
	return mod_side(s, SIDE_INTERNAL) ? PROTO_OK : E_INTERNAL;
}

static enum proto_error mod_ptime(struct mods *s)
{
	int ms;

	if (!take_int(&s->rest, &ms) || ms < 1 || ms > 999)
		return E_PTIME;
	s->m->ptime_ms = ms;
	return PROTO_OK;
}

static enum proto_error mod_codecs(struct mods *s)
{
	size_t n = 0;

	while (n < s->rest.len && (is_digit(s->rest.p[n]) || s->rest.p[n] == ','))
		n++;
	if (!n || s->m->codecs.p)
		return E_CODECS;
	s->m->codecs = (struct span){ s->rest.p, n };
	s->rest = span_from(s->rest, n);
	return PROTO_OK;
}

/*
 * take_address - take "192.0.2.1" or "[2001:db8::1]" off *@rest into *@out. Returns @malformed
 * without such a text, and @invalid when the text is no address.
 */
static enum proto_error take_address(struct span *rest, struct addr *out,
				     enum proto_error malformed, enum proto_error invalid)
{
	bool ip6 = rest->len && rest->p[0] == '[';
	struct span text = span_from(*rest, ip6);
	size_t n = 0;

	while (n < text.len && (ip6 ? hex_value(text.p[n]) >= 0 || text.p[n] == ':'
				    : is_digit(text.p[n]) || text.p[n] == '.'))
		n++;
	if (!n || (ip6 && (n == text.len || text.p[n] != ']')))
		return malformed;
	*rest = span_from(text, n + ip6);
	return addr_parse(out, ip6 ? ADDR_IP6 : ADDR_IP4, text.p, n) ? invalid : PROTO_OK;
}

static bool label_known(struct span label, const struct proto_opts *opts)
{
	unsigned int i;

	for (i = 0; i < opts->labels_n; i++)
		if (span_eq(opts->labels[i], label))
			return true;
	return !opts->labels;
}

static enum proto_error mod_local(struct mods *s)
{
	const char *end;

	if (!s->rest.len || s->rest.p[0] != '{') {
		s->m->local = PROTO_LOCAL_ADDR;
		return take_address(&s->rest, &s->m->local_addr, E_LOCAL, E_LOCAL_ADDR);
	}
	end = memchr(s->rest.p, '}', s->rest.len);
	if (!end || end == s->rest.p + 1)
		return E_LOCAL;
	s->m->local = PROTO_LOCAL_LABEL;
	s->m->label = (struct span){ s->rest.p + 1, end - s->rest.p - 1 };
	s->rest = span_from(s->rest, s->m->label.len + 2);
	return label_known(s->m->label, s->opts) ? PROTO_OK : E_LOCAL_ADDR;
}

static enum proto_error mod_route(struct mods *s)
{
	s->m->local = PROTO_LOCAL_ROUTE;
	return take_address(&s->rest, &s->m->local_addr, E_REMOTE, E_REMOTE_ADDR);
}

/* clang-format off */
static const struct media_modifier {
	char letter;
	enum proto_error (*parse)(struct mods *s);
} media_modifiers[] = {
	{ '6', mod_ipv6 },
	{ 'a', mod_asymmetric },
	{ 'c', mod_codecs },
	{ 'e', mod_external },
	{ 'i', mod_internal },
	{ 'l', mod_local },
	{ 'n', mod_new_port },
	{ 'r', mod_route },
	{ 's', mod_symmetric },
	{ 'w', mod_weak },
	{ 'z', mod_ptime },
};
/* clang-format on */

static const struct media_modifier *media_modifier_find(char letter)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(media_modifiers); i++)
		if (media_modifiers[i].letter == lower_case(letter))
			return &media_modifiers[i];
	return NULL;
}

static enum proto_error parse_media_modifiers(struct mods *s)
{
	const struct media_modifier *mod;
	enum proto_error err;

	while (s->rest.len) {
		mod = media_modifier_find(s->rest.p[0]);
		if (!mod)
			return E_VALUE;
		s->rest = span_from(s->rest, 1);
		err = mod->parse(s);
		if (err != PROTO_OK)
			return err;
	}
	return PROTO_OK;
}

/* family_missing - no modifier selects a local address, and none has the wanted family. */
static bool family_missing(const struct media_req *m, const struct proto_opts *opts)
{
	enum addr_family want = m->ipv6 ? ADDR_IP6 : ADDR_IP4;

	if (m->local != PROTO_LOCAL_UNSET || m->side[0] != SIDE_UNSET)
		return false;
	if (opts->default_family == ADDR_NONE || opts->default_family == want)
		return false;
	return !(m->ipv6 ? opts->have_ip6 : opts->have_ip4);
}

/* parse_peer - a text too short or too long for an address is no error: there is no peer yet. */
static enum proto_error peer_parse(struct media_req *m, struct span addr, struct span port)
{
	size_t shortest = m->ipv6 ? 2 : 7, longest = m->ipv6 ? 45 : 15;
	struct addr peer;
	int number;

	if (addr.len < shortest || addr.len > longest)
		return PROTO_OK;
	if (addr_parse(&peer, m->ipv6 ? ADDR_IP6 : ADDR_IP4, addr.p, addr.len))
		return E_PEER;
	if (!whole_int(port, &number) || number < 0 || number > UINT16_MAX)
		return E_PEER;
	m->on_hold = addr_is_any(&peer);
	if (!m->on_hold)
		m->peer = addr_with_port(peer, number);
	return PROTO_OK;
}

static enum proto_error parse_media(struct media_req *m, struct span mods, struct span addr,
				    struct span port, const struct proto_opts *opts)
{
	enum proto_error err = parse_media_modifiers(&(struct mods){ m, mods, opts });

	if (err != PROTO_OK)
		return err;
	if (family_missing(m, opts))
		return E_FAMILY;
	return peer_parse(m, addr, port);
}

/* -- modifiers of the other commands -- */

/* A modifier of one letter. It sets one bool of the request, or is refused with @error. */
struct flag {
	char letter; /* 0 ends a list */
	size_t field;
	enum proto_error error;
};

/* clang-format off */
#define FLAG(letter, name) { letter, offsetof(struct request, name), PROTO_OK }
/* clang-format on */

static const struct flag no_flags[] = { { 0 } };
static const struct flag delete_flags[] = { FLAG('w', weak), { 0 } };
static const struct flag record_flags[] = { FLAG('s', single_file),
					    { 'p', 0, E_RECORD_PORT },
					    { 0 } };
static const struct flag copy_flags[] = { FLAG('s', single_file), FLAG('p', reply_port), { 0 } };
static const struct flag verbose_flags[] = { FLAG('v', verbose), { 0 } };
static const struct flag info_flags[] = { FLAG('b', brief), FLAG('l', load), { 0 } };

static enum proto_error parse_flags(struct request *r, struct span mods, const struct flag *flags,
				    enum proto_error unknown)
{
	const struct flag *f;
	size_t i;

	for (i = 0; i < mods.len; i++) {
		for (f = flags; f->letter && f->letter != lower_case(mods.p[i]); f++)
			;
		if (!f->letter)
			return unknown;
		if (f->error != PROTO_OK)
			return f->error;
		*(bool *)((char *)r + f->field) = true;
	}
	return PROTO_OK;
}

static enum proto_error parse_norecord(struct request *r, struct span mods)
{
	if (!mods.len)
		return PROTO_OK;
	if (lower_case(mods.p[0]) != 'a')
		return E_RECORD_MOD;
	r->both = true;
	return mods.len == 1 ? PROTO_OK : E_RECORD_PORT;
}

static enum proto_error parse_play(struct request *r, struct span mods)
{
	r->count = 1;
	return !mods.len || whole_int(mods, &r->count) ? PROTO_OK : E_PLAY_COUNT;
}

/* -- commands -- */

/* The member of the request that a token goes to. ARG_NAMES takes all remaining tokens. */
enum arg {
	ARG_CALL_ID = 1,
	ARG_FROM,
	ARG_TO,
	ARG_ADDR,
	ARG_PORT,
	ARG_NOTIFY_SOCKET,
	ARG_NOTIFY_TAG,
	ARG_TARGET,
	ARG_CODECS,
	ARG_DATE,
	ARG_NAMES,
};

/* Each row is one form of a command. U has three forms, told apart by the number of tokens. */
static const struct form {
	const char *name; /* lower case */
	enum proto_op op;
	uint8_t min, max; /* tokens */
	bool subs;
	bool media; /* modifiers of U and L */
	bool rpc;   /* only with an RPC target as last token; it needs no tag */
	const struct flag *flags;
	enum proto_error unknown;					    /* modifier */
	enum proto_error (*modifiers)(struct request *r, struct span mods); /* replaces flags */
	uint8_t args[7];
} forms[] = {
	{ "u", OP_UPDATE, 6, 6, .subs = true, .media = true, .rpc = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_NOTIFY_SOCKET } },
	{ "u", OP_UPDATE, 7, 7, .subs = true, .media = true, .rpc = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_TO, ARG_NOTIFY_SOCKET } },
	{ "u", OP_UPDATE, 5, 6, .subs = true, .media = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_TO } },
	{ "u", OP_UPDATE, 7, 7, .subs = true, .media = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_NOTIFY_SOCKET,
		    ARG_NOTIFY_TAG } },
	{ "u", OP_UPDATE, 8, 8, .subs = true, .media = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_TO, ARG_NOTIFY_SOCKET,
		    ARG_NOTIFY_TAG } },
	{ "l", OP_LOOKUP, 5, 6, .subs = true, .media = true,
	  .args = { ARG_CALL_ID, ARG_ADDR, ARG_PORT, ARG_FROM, ARG_TO } },
	{ "d", OP_DELETE, 3, 4, .flags = delete_flags, .unknown = E_DELETE_MOD,
	  .args = { ARG_CALL_ID, ARG_FROM, ARG_TO } },
	{ "p", OP_PLAY, 5, 6, .modifiers = parse_play,
	  .args = { ARG_CALL_ID, ARG_TARGET, ARG_CODECS, ARG_FROM, ARG_TO } },
	{ "s", OP_STOP, 3, 4, .flags = no_flags, .unknown = E_MODIFIERS,
	  .args = { ARG_CALL_ID, ARG_FROM, ARG_TO } },
	{ "r", OP_RECORD, 3, 4, .flags = record_flags, .unknown = E_RECORD_MOD,
	  .args = { ARG_CALL_ID, ARG_FROM, ARG_TO } },
	{ "c", OP_COPY, 4, 5, .flags = copy_flags, .unknown = E_RECORD_MOD,
	  .args = { ARG_CALL_ID, ARG_TARGET, ARG_FROM, ARG_TO } },
	{ "n", OP_NORECORD, 3, 4, .modifiers = parse_norecord,
	  .args = { ARG_CALL_ID, ARG_FROM, ARG_TO } },
	{ "q", OP_QUERY, 3, 15, .subs = true, .flags = verbose_flags, .unknown = E_QUERY_MOD,
	  .args = { ARG_CALL_ID, ARG_FROM, ARG_TO, ARG_NAMES } },
	{ "x", OP_DELETE_ALL, 1, 1, .flags = no_flags, .unknown = E_MODIFIERS },
	{ "i", OP_INFO, 1, 1, .flags = info_flags, .unknown = E_INFO_MOD },
	{ "g", OP_STATS, 1, 23, .flags = verbose_flags, .unknown = E_STATS_MOD,
	  .args = { ARG_NAMES } },
	{ "vf", OP_FEATURE, 2, 2, .flags = no_flags, .unknown = E_MODIFIERS, .args = { ARG_DATE } },
	{ "v", OP_VERSION, 1, 1, .flags = no_flags, .unknown = E_MODIFIERS },
};

static bool word_is(struct span word, const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if (i == word.len || lower_case(word.p[i]) != name[i])
			return false;
	return true;
}

/*
 * Kamailio's timeout_socket. A SIP tag has no colon, so a token with such a prefix is no tag of
 * SIP. A notification tag may have one.
 */
static bool is_rpc_target(struct span word)
{
	return word_is(word, "xmlrpc:http://") || word_is(word, "jsonrpc:http://");
}

/*
 * form_find - find the row for the command word and number of tokens. Rows of a name are
 * neighbours.
 */
static enum proto_error form_find(const struct tokens *t, const struct form **out)
{
	const struct form *f, *end = forms + ARRAY_SIZE(forms), *first;

	for (f = forms; f < end && !word_is(t->v[0], f->name); f++)
		;
	if (f == end)
		return E_COMMAND;
	for (first = f; f < end && f->op == first->op; f++) {
		if (t->n >= f->min && t->n <= f->max &&
		    (!f->rpc || is_rpc_target(t->v[t->n - 1]))) {
			*out = f;
			return PROTO_OK;
		}
	}
	return E_ARGS;
}

static struct span *arg_field(struct request *r, enum arg arg)
{
	switch (arg) {
	case ARG_CALL_ID:
		return &r->call_id;
	case ARG_FROM:
		return &r->from_tag;
	case ARG_TO:
		return &r->to_tag;
	case ARG_NOTIFY_SOCKET:
		return &r->notify_socket;
	case ARG_NOTIFY_TAG:
		return &r->notify_tag;
	case ARG_TARGET:
		return &r->target;
	case ARG_CODECS:
		return &r->codecs;
	case ARG_DATE:
		return &r->date;
	case ARG_NAMES:
		return &r->names[r->names_n++];
	case ARG_ADDR: /* parse_request() reads address and port */
	case ARG_PORT:
		break;
	}
	return NULL;
}

static void place_args(struct request *r, const struct form *f, const struct tokens *t)
{
	const uint8_t *arg = f->args;
	struct span *field;
	unsigned int i;

	for (i = 1; i < t->n; i++) {
		field = arg_field(r, *arg);
		if (field)
			*field = t->v[i];
		if (*arg != ARG_NAMES)
			arg++;
	}
}

/* has_modifiers_wrongly - the check for E2, which precedes all other checks of modifiers. */
static bool has_modifiers_wrongly(const struct form *f, struct span mods)
{
	return f->unknown == E_MODIFIERS && mods.len;
}

static enum proto_error parse_modifiers(struct request *r, const struct form *f,
					const struct tokens *t, struct span mods,
					const struct proto_opts *opts)
{
	if (r->notify_tag.p && proto_unquote(r->notify_tag, NULL) < 0)
		return E_NOTIFY_TAG;
	if (f->media)
		return parse_media(&r->media, mods, t->v[2], t->v[3], opts);
	if (f->modifiers)
		return f->modifiers(r, mods);
	return parse_flags(r, mods, f->flags, f->unknown);
}

/* -- sub-commands: every error in a sub-command is E3 -- */

static bool parse_sub_delete(struct subcmd *s, const struct tokens *t,
			     const struct proto_opts *opts)
{
	size_t i;

	(void)opts;
	for (i = 1; i < t->v[0].len; i++)
		if (lower_case(t->v[0].p[i]) != 'w')
			return false;
	s->weak = t->v[0].len > 1;
	return true;
}

/* Any single modifier is allowed, but only r has an effect, as in rtpproxy. */
static bool parse_sub_set(struct subcmd *s, const struct tokens *t, const struct proto_opts *opts)
{
	struct span arg = t->v[1];

	(void)opts;
	if (t->v[0].len > 2 || arg.len < 5)
		return false;
	s->reverse = t->v[0].len == 2 && lower_case(t->v[0].p[1]) == 'r';
	if (!memcmp(arg.p, "ttl=", 4))
		s->what = SET_TTL;
	else if (!memcmp(arg.p, "tos=", 4))
		s->what = SET_TOS;
	else
		return false;
	return whole_int(span_from(arg, 4), &s->value) && s->value > 0;
}

static bool parse_sub_lookup(struct subcmd *s, const struct tokens *t,
			     const struct proto_opts *opts)
{
	return parse_media(&s->media, span_from(t->v[0], 1), t->v[1], t->v[2], opts) == PROTO_OK;
}

static bool parse_sub_copy(struct subcmd *s, const struct tokens *t, const struct proto_opts *opts)
{
	(void)opts;
	s->call_id = t->v[1];
	s->from_tag = t->v[2];
	s->to_tag = t->v[3];
	return t->v[0].len == 1;
}

/* The arguments of M3, which is the only module with sub-commands here. */
static void parse_dtmf(struct dtmf_req *d, const struct tokens *t)
{
	int type = PROTO_DTMF_TYPE;
	size_t i;

	if (t->n < 2 || t->n > 4)
		return;
	d->tag = t->v[1];
	if (t->n > 2 && (!whole_int(t->v[2], &type) || type < 0 || type > 127))
		return;
	for (i = 0; t->n > 3 && i < t->v[3].len; i++)
		if (lower_case(t->v[3].p[i]) != 'h')
			return;
	d->payload_type = type;
	d->hide = t->n > 3;
	d->valid = proto_unquote(d->tag, NULL) >= 0;
}

/* "M3:1" is a module number and an instance. Both must exist. */
static bool parse_sub_module(struct subcmd *s, const struct tokens *t,
			     const struct proto_opts *opts)
{
	struct span word = span_from(t->v[0], 1);
	int module, instance;

	if (!take_int(&word, &module) || !word.len || word.p[0] != ':' ||
	    !whole_int(span_from(word, 1), &instance))
		return false;
	if (module < 1 || module > 31 || instance != 1 || !(opts->modules >> module & 1))
		return false;
	s->module = module;
	s->instance = instance;
	if (module == PROTO_MODULE_DTMF)
		parse_dtmf(&s->dtmf, t);
	return true;
}

#define ON(op) (1u << (op))
#define ON_ANY (ON(OP_UPDATE) | ON(OP_LOOKUP) | ON(OP_QUERY))

static const struct sub_form {
	char letter;
	enum sub_op op;
	unsigned int on;  /* the commands that allow it, as bits */
	bool with_to;	  /* only if the command has a to-tag */
	uint8_t min, max; /* tokens */
	bool (*parse)(struct subcmd *s, const struct tokens *t, const struct proto_opts *opts);
} sub_forms[] = {
	{ 'm', SUB_MODULE, ON_ANY, false, 1, PROTO_TOKENS_MAX, parse_sub_module },
	{ 'd', SUB_DELETE, ON_ANY, false, 1, 1, parse_sub_delete },
	{ 's', SUB_SET, ON_ANY, false, 2, 2, parse_sub_set },
	{ 'l', SUB_LOOKUP, ON(OP_UPDATE), true, 3, 3, parse_sub_lookup },
	{ 'c', SUB_COPY, ON(OP_UPDATE), true, 4, 4, parse_sub_copy },
};

static const struct sub_form *sub_form_find(char letter)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sub_forms); i++)
		if (sub_forms[i].letter == lower_case(letter))
			return &sub_forms[i];
	return NULL;
}

static bool parse_sub(struct subcmd *s, const struct request *r, struct span text,
		      const struct proto_opts *opts)
{
	const struct sub_form *f;
	struct tokens t;

	if (!tokens_split(&t, text))
		return false;
	f = sub_form_find(t.v[0].p[0]);
	if (!f || !(f->on & ON(r->op)) || (f->with_to && !r->to_tag.p))
		return false;
	if (t.n < f->min || t.n > f->max)
		return false;
	s->op = f->op;
	return f->parse(s, &t, opts);
}

static enum proto_error parse_subs(struct request *r, const struct groups *g,
				   const struct proto_opts *opts)
{
	for (r->subs_n = 0; r->subs_n + 1 < g->n; r->subs_n++)
		if (!parse_sub(&r->sub[r->subs_n], r, g->v[r->subs_n + 1], opts))
			return E_SUB;
	return PROTO_OK;
}

enum proto_error proto_parse(struct request *out, const char *line, size_t len,
			     const struct proto_opts *opts)
{
	const struct form *f;
	enum proto_error err;
	struct groups g;
	struct tokens t;
	struct span mods;

	memset(out, 0, sizeof(*out));
	err = groups_split(&g, (struct span){ line, len });
	if (err != PROTO_OK)
		return err;
	tokens_split(&t, g.v[0]);
	err = form_find(&t, &f);
	if (err != PROTO_OK)
		return err;
	mods = span_from(t.v[0], strlen(f->name));
	if (has_modifiers_wrongly(f, mods))
		return E_MODIFIERS;
	if (g.n > 1 && !f->subs)
		return E_SUB;
	out->op = f->op;
	place_args(out, f, &t);
	err = parse_modifiers(out, f, &t, mods, opts);
	return err == PROTO_OK ? parse_subs(out, &g, opts) : err;
}

int proto_cookie(const char *buf, size_t len, struct span *cookie, struct span *command)
{
	struct span rest = { buf, len }, first;

	if (!next_token(&rest, &first))
		return -EINVAL;
	if (first.len > PROTO_COOKIE_MAX || memchr(first.p, 0, first.len))
		return -EINVAL;
	*cookie = first;
	*command = rest;
	return 0;
}

struct span proto_call_id(struct span command)
{
	struct span token;

	return next_token(&command, &token) && next_token(&command, &token)
		       ? token
		       : (struct span){ "", 0 };
}

int proto_unquote(struct span in, char *out)
{
	size_t i;
	int n = 0;
	char c;

	for (i = 0; i < in.len; i++, n++) {
		c = in.p[i] == '+' ? ' ' : in.p[i];
		if (c == '%') {
			if (in.len - i < 3)
				return -EINVAL;
			if (hex_value(in.p[i + 1]) < 0 || hex_value(in.p[i + 2]) < 0)
				return -EINVAL;
			c = (char)(hex_value(in.p[i + 1]) << 4 | hex_value(in.p[i + 2]));
			i += 2;
		}
		if (out)
			out[n] = c;
	}
	return n;
}

/* -- replies -- */

static void reply_add_list(struct reply *r, const char *fmt, va_list args)
{
	size_t room = sizeof(r->text) - r->len; /* vsnprintf()'s NUL takes the newline's byte */
	int n = vsnprintf(r->text + r->len, room, fmt, args);

	if (n < 0 || (size_t)n >= room)
		r->full = true;
	else
		r->len += n;
}

void reply_add(struct reply *r, const char *fmt, ...)
{
	va_list args;

	if (r->full)
		return;
	va_start(args, fmt);
	reply_add_list(r, fmt, args);
	va_end(args);
}

void reply_port(struct reply *r, const struct addr *local, const char *advertised)
{
	char text[ADDR_TEXT];

	if (addr_is_any(local))
		reply_add(r, "%u", local->port);
	else
		reply_add(r, "%u %s%s", local->port,
			  advertised ? advertised : addr_host_text(local, text),
			  local->family == ADDR_IP6 ? " 6" : "");
}

void reply_sub(struct reply *r, bool failed, const char *data)
{
	static const char and_failed[] = " && -1", and_ok[] = " && 0";
	size_t data_len = failed ? 2 : data ? strlen(data) : 0, need;

	if (r->cut)
		return;
	if (!data_len) {
		r->silent++;
		return;
	}
	need = r->silent * (sizeof(and_ok) - 1) + strlen(" && ") + data_len;
	if (r->len + need + sizeof(and_failed) > sizeof(r->text)) {
		reply_add(r, "%s", and_failed);
		r->cut = true;
		return;
	}
	for (; r->silent; r->silent--)
		reply_add(r, "%s", and_ok);
	reply_add(r, " && %s", failed ? "-1" : data);
}

void reply_end(struct reply *r, enum proto_error overflow)
{
	if (r->full)
		reply_error(r, overflow);
	else
		r->text[r->len++] = '\n';
}

void reply_error(struct reply *r, enum proto_error error)
{
	*r = (struct reply){ 0 };
	reply_add(r, "E%d\n", error);
}

void reply_number(struct reply *r, unsigned int n)
{
	*r = (struct reply){ 0 };
	reply_add(r, "%u\n", n);
}
