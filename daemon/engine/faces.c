/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * faces.c - chooses the local address of a leg from the listeners and the modifiers of U and L.
 */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "engine/faces.h"
#include "base/hash.h"
#include "net/sender.h"

/* A text that replies show instead of an address of restored legs; each text once. */
struct text {
	struct text *next;
	char text[];
};

struct local {
	UT_hash_handle hh; /* by l.addr; has the newest of several with the same address */
	struct listener l;
	bool configured;
	unsigned int legs;
	struct local *prev, *next; /* list of all, most recently added first */
};

struct faces {
	struct text *texts;
	struct local *newest;  /* most recently added first */
	struct local *by_addr; /* the same, as a hash */
	struct listener *internal, *external; /* without bridging both are the default listener */
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

	DL_FOREACH (f->newest, p)
		if (p->l.addr.family == family)
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

static struct listener *listener_of_label(const struct faces *f, struct span label)
{
	struct local *p;

	DL_FOREACH (f->newest, p)
		if (p->l.label && span_eq(span_of(p->l.label), label))
			return &p->l;
	return NULL;
}

static struct face face_of(const struct listener *l)
{
	return (struct face){ l->addr, l->advertised };
}

/* The face that l or r names. faces_use() adds a new address once it is bound. */
static enum proto_error face_requested(const struct faces *f, const struct media_req *m,
				       struct face *out)
{
	struct addr addr = m->local_addr;
	struct listener *l;

	if (m->local == PROTO_LOCAL_LABEL) {
		l = listener_of_label(f, m->label);
		if (!l)
			return E_LOCAL_ADDR;
		*out = face_of(l);
		return PROTO_OK;
	}
	if (m->local == PROTO_LOCAL_ROUTE && sender_source(&m->local_addr, &addr) < 0)
		return E_REMOTE_ADDR;
	l = listener_of_addr(f, &addr);
	*out = l ? face_of(l) : (struct face){ addr, NULL };
	return PROTO_OK;
}

static struct face face_of_side(const struct faces *f, enum proto_side side)
{
	return face_of(side == SIDE_EXTERNAL ? f->external : f->internal);
}

/*
 * The newest listener of the family that the command asks for (`6`: IPv6). Applies if no modifier
 * selects a listener and the default listener has another family.
 */
static enum proto_error face_of_family(const struct faces *f, const struct media_req *m,
				       struct face *out)
{
	enum addr_family family = m->ipv6 ? ADDR_IP6 : ADDR_IP4;
	const struct local *p;

	if (m->local != PROTO_LOCAL_UNSET || m->side[0] != SIDE_UNSET ||
	    f->internal->addr.family == family)
		return PROTO_OK;
	p = newest_of(f, family);
	if (!p)
		return E_FAMILY;
	*out = face_of(&p->l);
	return PROTO_OK;
}

enum proto_error faces_of_session(const struct faces *f, const struct media_req *m,
				  struct face face[2])
{
	enum proto_error bad;

	face[0] = face_of(f->internal);
	if (m->local != PROTO_LOCAL_UNSET)
		bad = face_requested(f, m, &face[0]);
	else
		bad = face_of_family(f, m, &face[0]);
	face[1] = face[0];
	if (m->local == PROTO_LOCAL_UNSET && m->side[0] != SIDE_UNSET)
		face[1] = face_of_side(f, m->side[0]);
	if (m->local == PROTO_LOCAL_UNSET && m->side[1] != SIDE_UNSET)
		face[0] = face_of_side(f, m->side[1]);
	return bad;
}

enum proto_error face_of_leg(const struct faces *f, const struct face *now,
			     const struct media_req *m, struct face *out)
{
	*out = *now;
	if (m->local != PROTO_LOCAL_UNSET)
		return face_requested(f, m, out);
	if (m->new_port && m->side[0] != SIDE_UNSET && m->side[1] != SIDE_UNSET)
		*out = face_of_side(f, m->side[1]);
	return face_of_family(f, m, out);
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

int faces_new(struct faces **out, const struct listener *listeners, unsigned int n, bool bridge)
{
	struct faces *f = calloc(1, sizeof(*f));
	unsigned int i;

	if (!f)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct listener *l = &listeners[i];
		struct local *mine = local_add(f, &l->addr, l->label, l->advertised);

		if (!mine) {
			faces_free(f);
			return -ENOMEM;
		}
		mine->configured = true;
		if (i == 0)
			f->internal = f->external = &mine->l;
		else if (i == 1 && bridge)
			f->external = &mine->l;
		if (mine->l.label)
			f->labels[f->proto.labels_n++] = span_of(mine->l.label);
	}
	f->proto.labels = f->labels;
	f->proto.bridge = bridge;
	f->proto.modules = 1u << PROTO_MODULE_DTMF;
	f->proto.default_family = f->internal->addr.family;
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
