/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faces.c - chooses the local address of a leg from the listeners and the modifiers of U and L.
 */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "engine/faces.h"
#include "base/hash.h"
#include "call/session.h"
#include "net/sender.h"

#define AVOID_NS NSEC_PER_SEC

/* A text that replies show instead of an address of restored legs; each text once. */
struct text {
	struct text *next;
	char text[];
};

struct local {
	UT_hash_handle hh; /* by l.addr; has the newest of several with the same address */
	struct listener l;
	bool configured;
	unsigned int pool; /* of ports, if configured */
	unsigned int legs;
	uint64_t avoid_until_ns;   /* no pair could be opened before */
	struct local *prev, *next; /* list of all, most recently added first */
};

/* Configured addresses that share new legs. */
struct group {
	struct local *member[FACES_MAX_LISTENERS];
	unsigned int n;
};

struct faces {
	const struct ports *ports;
	struct text *texts;
	struct local *newest;  /* most recently added first */
	struct local *by_addr; /* the same, as a hash */
	struct group group[FACES_MAX_LISTENERS];
	const struct group *internal, *external;   /* without bridging both are the default group */
	const struct group *first[SESSION_GROUPS]; /* by address group */
	unsigned int address_group;		   /* of the commands */
	unsigned int closed;			   /* a bit for each address group */
	struct span labels[FACES_MAX_LISTENERS];
	struct proto_opts proto;
};

/* ---- local addresses ---- */

static struct local *local_of(const struct faces *f, const struct addr *addr)
{
	const struct addr key = addr_with_port(*addr, 0);
	struct local *found;

	HASH_FIND(hh, f->by_addr, &key, sizeof(key), found);
	return found;
}

static struct listener *listener_of_addr(const struct faces *f, const struct addr *addr)
{
	struct local *found = local_of(f, addr);

	return found ? &found->l : NULL;
}

static void local_free(struct local *p)
{
	free(p->l.label);
	free(p->l.advertised);
	free(p);
}

static void local_remove(struct faces *f, struct local *p)
{
	struct local *found = local_of(f, &p->l.addr);

	if (found == p)
		HASH_DEL(f->by_addr, p);
	DL_DELETE(f->newest, p);
	local_free(p);
}

static struct local *local_make(const struct addr *addr, const char *label, const char *advertised)
{
	struct local *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->l.addr = addr_with_port(*addr, 0);
	p->l.label = label ? strdup(label) : NULL;
	p->l.advertised = advertised ? strdup(advertised) : NULL;
	if ((!label || p->l.label) && (!advertised || p->l.advertised))
		return p;
	local_free(p);
	return NULL;
}

static struct local *local_add(struct faces *f, const struct addr *addr, const char *label,
			       const char *advertised)
{
	struct local *older = local_of(f, addr), *p = local_make(addr, label, advertised);

	if (!p)
		return NULL;
	if (older)
		HASH_DEL(f->by_addr, older);
	HASH_ADD(hh, f->by_addr, l.addr, sizeof(p->l.addr), p);
	if (!p->hh.tbl) {
		local_free(p);
		return NULL;
	}
	DL_PREPEND(f->newest, p);
	if (p->l.addr.family == ADDR_IP6)
		f->proto.have_ip6 = true;
	else
		f->proto.have_ip4 = true;
	return p;
}

static const struct local *newest_of(const struct faces *f, enum addr_family family)
{
	const struct local *p;

	DL_FOREACH(f->newest, p)
		if (p->l.addr.family == family)
			return p;
	return NULL;
}

/* The newest address of the family that the commands' address group may use. */
static const struct local *newest_here(const struct faces *f, enum addr_family family)
{
	const struct local *p;

	DL_FOREACH(f->newest, p)
		if (p->l.addr.family == family &&
		    (!p->configured || p->l.address_group == f->address_group))
			return p;
	return NULL;
}

static void local_remove_unused(struct faces *f, struct local *p)
{
	if (p && !p->configured && !p->legs && newest_of(f, p->l.addr.family) != p)
		local_remove(f, p);
}

void faces_use(struct faces *f, const struct addr *addr)
{
	struct local *p = local_of(f, addr), *before;

	if (!p) {
		before = (struct local *)newest_of(f, addr->family);
		p = local_add(f, addr, NULL, NULL);
		local_remove_unused(f, before);
	}
	if (p)
		p->legs++;
}

void faces_leave(struct faces *f, const struct addr *addr)
{
	struct local *p = local_of(f, addr);

	if (p && p->legs)
		p->legs--;
	local_remove_unused(f, p);
}

/* ---- the choice in a group ---- */

static struct face face_of(const struct listener *l)
{
	return (struct face){ l->addr, l->advertised };
}

static bool local_is_full(const struct faces *f, const struct local *p)
{
	return ports_taken(f->ports, p->pool) >= ports_pairs(f->ports);
}

static bool local_is_usable(const struct faces *f, const struct local *p, uint64_t now_ns)
{
	return p->avoid_until_ns <= now_ns && !local_is_full(f, p);
}

/* True if @a is better for a new leg than @b. */
static bool local_is_better(const struct faces *f, const struct local *a, const struct local *b,
			    uint64_t now_ns)
{
	unsigned int taken_a = ports_taken(f->ports, a->pool);
	unsigned int taken_b = ports_taken(f->ports, b->pool);

	if (local_is_usable(f, a, now_ns) != local_is_usable(f, b, now_ns))
		return local_is_usable(f, a, now_ns);
	return taken_a != taken_b ? taken_a < taken_b : a->legs < b->legs;
}

/* The member of @g that the call has already, if it is usable. */
static struct local *member_of_call(const struct faces *f, const struct group *g,
				    const struct faces_near *near)
{
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(near->of_call); k++)
		for (i = 0; near->of_call[k] && i < g->n; i++)
			if (addr_host_eq(&g->member[i]->l.addr, near->of_call[k]) &&
			    local_is_usable(f, g->member[i], near->now_ns))
				return g->member[i];
	return NULL;
}

static struct local *member_best(const struct faces *f, const struct group *g, uint64_t now_ns)
{
	struct local *best = g->member[0];
	unsigned int i;

	for (i = 1; i < g->n; i++)
		if (local_is_better(f, g->member[i], best, now_ns))
			best = g->member[i];
	return best;
}

static struct face face_of_group(const struct faces *f, const struct group *g,
				 const struct faces_near *near)
{
	struct local *p = g->n > 1 ? member_of_call(f, g, near) : g->member[0];

	if (!p)
		p = member_best(f, g, near->now_ns);
	return face_of(&p->l);
}

bool faces_pass_over(struct faces *f, struct face *face, uint64_t now_ns)
{
	struct local *p = local_of(f, &face->addr), *other;
	const struct group *g;

	if (!p || !p->configured || f->group[p->l.group].n == 1)
		return false;
	g = &f->group[p->l.group];
	if (!local_is_full(f, p))
		p->avoid_until_ns = now_ns + AVOID_NS;
	other = member_best(f, g, now_ns);
	if (!local_is_usable(f, other, now_ns))
		return false;
	*face = face_of(&other->l);
	return true;
}

/* ---- the choice by a command ---- */

static bool is_closed(const struct faces *f, unsigned int address_group)
{
	return f->closed & 1u << address_group;
}

/* The commands' address group comes first: two may have the same label. */
static const struct local *local_of_label(const struct faces *f, struct span label)
{
	const struct local *p, *other = NULL;

	DL_FOREACH(f->newest, p) {
		if (!p->l.label || !span_eq(span_of(p->l.label), label))
			continue;
		if (p->l.address_group == f->address_group)
			return p;
		other = other ? other : p;
	}
	return other;
}

/* The face that l or r names. faces_use() adds a new address once it is bound. */
static enum proto_error face_requested(const struct faces *f, const struct media_req *m,
				       const struct faces_near *near, struct face *out)
{
	struct addr addr = m->local_addr;
	const struct local *p;
	struct listener *l;

	if (m->local == PROTO_LOCAL_LABEL) {
		p = local_of_label(f, m->label);
		if (!p || is_closed(f, p->l.address_group))
			return E_LOCAL_ADDR;
		*out = face_of_group(f, &f->group[p->l.group], near);
		return PROTO_OK;
	}
	if (m->local == PROTO_LOCAL_ROUTE && sender_source(&m->local_addr, &addr) < 0)
		return E_REMOTE_ADDR;
	l = listener_of_addr(f, &addr);
	if (is_closed(f, faces_address_group(f, &addr)))
		return E_LOCAL_ADDR;
	*out = l ? face_of(l) : (struct face){ addr, NULL };
	return PROTO_OK;
}

static struct face face_of_side(const struct faces *f, enum proto_side side,
				const struct faces_near *near)
{
	return face_of_group(f, side == SIDE_EXTERNAL ? f->external : f->internal, near);
}

static enum addr_family family_of(const struct group *g)
{
	return g->member[0]->l.addr.family;
}

/*
 * The newest listener of the family that the command asks for (`6`: IPv6). Applies if no modifier
 * selects a listener and the default listener has another family.
 */
static enum proto_error face_of_family(const struct faces *f, const struct media_req *m,
				       const struct faces_near *near, struct face *out)
{
	enum addr_family family = m->ipv6 ? ADDR_IP6 : ADDR_IP4;
	const struct local *p;

	if (m->local != PROTO_LOCAL_UNSET || m->side[0] != SIDE_UNSET ||
	    family_of(f->internal) == family)
		return PROTO_OK;
	p = newest_here(f, family);
	if (!p)
		return E_FAMILY;
	*out = p->configured ? face_of_group(f, &f->group[p->l.group], near) : face_of(&p->l);
	return PROTO_OK;
}

enum proto_error faces_of_session(const struct faces *f, const struct media_req *m,
				  const struct faces_near *near, struct face face[2])
{
	enum proto_error bad;

	face[0] = face_of_group(f, f->internal, near);
	if (m->local != PROTO_LOCAL_UNSET)
		bad = face_requested(f, m, near, &face[0]);
	else
		bad = face_of_family(f, m, near, &face[0]);
	face[1] = face[0];
	if (m->local == PROTO_LOCAL_UNSET && m->side[0] != SIDE_UNSET)
		face[1] = face_of_side(f, m->side[0], near);
	if (m->local == PROTO_LOCAL_UNSET && m->side[1] != SIDE_UNSET)
		face[0] = face_of_side(f, m->side[1], near);
	return bad;
}

enum proto_error face_of_leg(const struct faces *f, const struct face *now,
			     const struct media_req *m, const struct faces_near *near,
			     struct face *out)
{
	enum proto_error bad;

	*out = *now;
	if (m->local != PROTO_LOCAL_UNSET) {
		bad = face_requested(f, m, near, out);
		if (bad)
			return bad;
		return faces_address_group(f, &out->addr) == faces_address_group(f, &now->addr)
			       ? PROTO_OK
			       : E_LOCAL_ADDR;
	}
	if (m->new_port && m->side[0] != SIDE_UNSET && m->side[1] != SIDE_UNSET)
		*out = face_of_side(f, m->side[1], near);
	return face_of_family(f, m, near, out);
}

void faces_turn_to(struct faces *f, unsigned int address_group)
{
	if (f->address_group == address_group)
		return;
	f->address_group = address_group;
	f->internal = f->external = f->first[address_group];
	f->proto.default_family = family_of(f->internal);
}

unsigned int faces_at(const struct faces *f)
{
	return f->address_group;
}

void faces_open(struct faces *f, unsigned int address_group, bool open)
{
	f->closed &= ~(1u << address_group);
	f->closed |= (unsigned int)!open << address_group;
}

unsigned int faces_address_group(const struct faces *f, const struct addr *local)
{
	const struct local *p = local_of(f, local);

	return p && p->configured ? p->l.address_group : f->address_group;
}

const char *faces_advertised(const struct faces *f, const struct addr *local)
{
	const struct listener *l = listener_of_addr(f, local);

	return l ? l->advertised : NULL;
}

void faces_each(const struct faces *f,
		void (*fn)(void *arg, const struct listener *l, unsigned int legs), void *arg)
{
	const struct local *p;

	DL_FOREACH(f->newest, p)
		fn(arg, &p->l, p->legs);
}

const struct proto_opts *faces_proto_opts(const struct faces *f)
{
	return &f->proto;
}

/* ---- texts of restored legs ---- */

const char *faces_keep_text(struct faces *f, struct span text)
{
	struct text *t;

	for (t = f->texts; t; t = t->next)
		if (span_eq(span_of(t->text), text))
			return t->text;
	t = calloc(1, sizeof(*t) + text.len + 1);
	if (!t)
		return NULL;
	memcpy(t->text, text.p, text.len);
	t->next = f->texts;
	f->texts = t;
	return t->text;
}

/* ---- beginning and end ---- */

static int listener_add(struct faces *f, const struct listener *l)
{
	struct local *mine = local_add(f, &l->addr, l->label, l->advertised);
	struct group *g = &f->group[l->group];

	if (!mine)
		return -ENOMEM;
	mine->configured = true;
	mine->l.group = l->group;
	mine->l.address_group = l->address_group;
	mine->pool = ports_pool(f->ports, &l->addr);
	if (mine->l.label && !g->n)
		f->labels[f->proto.labels_n++] = span_of(mine->l.label);
	g->member[g->n++] = mine;
	if (!f->first[l->address_group])
		f->first[l->address_group] = g;
	return 0;
}

int faces_add(struct faces *f, const struct listener *l)
{
	struct local *unused = local_of(f, &l->addr);
	int r = listener_add(f, l);

	/* an l modifier has named the address before */
	if (!r && unused && !unused->configured)
		local_remove(f, unused);
	return r;
}

unsigned int faces_legs(const struct faces *f, const struct addr *local)
{
	const struct local *p = local_of(f, local);

	return p ? p->legs : 0;
}

int faces_new(struct faces **out, const struct listener *listeners, unsigned int n, bool bridge,
	      const struct ports *ports)
{
	struct faces *f = calloc(1, sizeof(*f));
	unsigned int i;
	int r = 0;

	if (!f)
		return -ENOMEM;
	f->ports = ports;
	for (i = 0; i < n && !r; i++)
		r = listener_add(f, &listeners[i]);
	if (r) {
		faces_free(f);
		return r;
	}
	f->internal = &f->group[0];
	f->external = &f->group[bridge ? 1 : 0];
	f->proto.labels = f->labels;
	f->proto.bridge = bridge;
	f->proto.modules = 1u << PROTO_MODULE_DTMF;
	f->proto.default_family = family_of(f->internal);
	*out = f;
	return 0;
}

void faces_free(struct faces *f)
{
	struct text *t, *next;

	if (!f)
		return;
	while (f->newest)
		local_remove(f, f->newest);
	LL_FOREACH_SAFE(f->texts, t, next)
		free(t);
	free(f);
}
