/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - structs to bytes and back, by tables. Knows no struct but addr and span.
 *
 * The encoding is a byte 0, and for each member a head, the tag and the length where the head has
 * no room for them, and the value:
 *
 *	upper 5 bits of the head	the tag; 31: a byte with the tag follows
 *	lower 3 bits			the length less 1; 7: a byte with the length follows, and
 *					where this byte is 255, two more bytes with the length
 *
 * Version 1 of the journal and of the group in Redis had no byte 0, and heads of three bytes: tag,
 * and two bytes of length. We still read it. No tag is 0, which tells the two apart.
 */
#include <errno.h>

#include "base/fields.h"

#define MARK 0		  /* in front of the members */
#define TAG_BYTE 31	  /* this tag in a head means that a byte with the tag follows */
#define LEN_BYTE 8	  /* this length in a head means that a byte with the length follows */
#define LEN_WORD 255	  /* this length in that byte means that two bytes with it follow */
#define ADDR_HEAD_BYTES 3 /* family (1 byte), port (2 bytes) */
#define PORT_BYTES 2	  /* all of an address at the host of the first one in its table */

/* The first address in the table: others may be at its host. */
static const struct addr *first_addr(const struct field *table, const void *of)
{
	while (table->type != FIELD_ADDR)
		table++;
	return (const struct addr *)((const char *)of + table->offset);
}

/* ---- writing ---- */

struct out {
	uint8_t *p;
	size_t len, size;
};

/* By size: to copy @size bytes into a uint64_t makes the CPU wait for its own writes. */
static uint64_t uint_get(const void *member, size_t size)
{
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} v;

	switch (size) {
	case 1:
		return *(const uint8_t *)member;
	case 2:
		memcpy(&v.u16, member, 2);
		return v.u16;
	case 4:
		memcpy(&v.u32, member, 4);
		return v.u32;
	default:
		memcpy(&v.u64, member, 8);
		return v.u64;
	}
}

static void le_put(uint8_t *p, uint64_t v, size_t n)
{
	while (n--) {
		*p++ = (uint8_t)v;
		v >>= 8;
	}
}

/* @v is not 0. */
static size_t uint_bytes(uint64_t v)
{
	return 8 - (size_t)__builtin_clzll(v) / 8;
}

/* Bytes of the head in front of a value of @len bytes. */
static size_t head_bytes(uint8_t tag, size_t len)
{
	return 1 + (tag >= TAG_BYTE) + (len < LEN_BYTE ? 0 : len < LEN_WORD ? 1 : 3);
}

/* Write the head; @p has room for it. Returns its end. */
static uint8_t *head_put(uint8_t *p, uint8_t tag, size_t len)
{
	*p++ = (uint8_t)(MIN(tag, TAG_BYTE) << 3 | (MIN(len, LEN_BYTE) - 1));
	if (tag >= TAG_BYTE)
		*p++ = tag;
	if (len >= LEN_BYTE)
		*p++ = (uint8_t)MIN(len, LEN_WORD);
	if (len >= LEN_WORD) {
		le_put(p, len, 2);
		p += 2;
	}
	return p;
}

static bool has_room(const struct out *o, uint8_t tag, size_t len)
{
	return len <= UINT16_MAX && o->size - o->len >= head_bytes(tag, len) + len;
}

/* Make room for a value of @len bytes behind its head; NULL: there is none. */
static uint8_t *field_put(struct out *o, uint8_t tag, size_t len)
{
	uint8_t *value;

	if (!has_room(o, tag, len))
		return NULL;
	value = head_put(o->p + o->len, tag, len);
	o->len = (size_t)(value - o->p) + len;
	return value;
}

static int put_uint(struct out *o, uint8_t tag, uint64_t v)
{
	size_t n = uint_bytes(v);
	uint8_t *p;

	p = field_put(o, tag, n);
	if (!p)
		return -E2BIG;
	le_put(p, v, n);
	return 0;
}

static int put_span(struct out *o, uint8_t tag, const struct span *s)
{
	uint8_t *p;

	p = field_put(o, tag, s->len);
	if (!p)
		return -E2BIG;
	memcpy(p, s->p, s->len);
	return 0;
}

static int put_port(struct out *o, uint8_t tag, uint16_t port)
{
	uint8_t *p = field_put(o, tag, PORT_BYTES);

	if (!p)
		return -E2BIG;
	le_put(p, port, PORT_BYTES);
	return 0;
}

static int put_addr(struct out *o, uint8_t tag, const struct addr *a, const struct addr *first)
{
	size_t n = addr_ip_len(a);
	uint8_t *p;

	if (a != first && addr_host_eq(a, first))
		return put_port(o, tag, a->port);
	p = field_put(o, tag, ADDR_HEAD_BYTES + n);
	if (!p)
		return -E2BIG;
	p[0] = a->family;
	le_put(p + 1, a->port, 2);
	memcpy(p + ADDR_HEAD_BYTES, a->ip, n);
	return 0;
}

static int fields_put(const struct field *table, const void *from, struct out *o);

/*
 * The length is not known before the members are written. They begin behind the shortest head, and
 * move when it is longer. A struct without members needs no room.
 */
static int put_struct(struct out *o, const struct field *f, const void *member)
{
	const size_t before = o->len, guess = MIN(head_bytes(f->tag, 1), o->size - before);
	uint8_t *head = o->p + before;
	size_t len;
	int rc;

	o->len += guess;
	rc = fields_put(f->of, member, o);
	len = o->len - before - guess;
	o->len = before;
	if (rc || !len)
		return rc;
	if (!has_room(o, f->tag, len))
		return -E2BIG;
	memmove(head + head_bytes(f->tag, len), head + guess, len);
	o->len += (size_t)(head_put(head, f->tag, len) - head) + len;
	return 0;
}

/* True for a member that is left out. Most members are, so this test is most of the work. */
static bool is_empty(const struct field *f, const void *member)
{
	switch (f->type) {
	case FIELD_SPAN:
		return !((const struct span *)member)->len;
	case FIELD_ADDR:
		return ((const struct addr *)member)->family == ADDR_NONE;
	case FIELD_STRUCT:
		return false;
	default:
		return !uint_get(member, f->size);
	}
}

/* Write the member @f of a table. */
static int write_one(const struct field *table, const struct field *f, const void *from,
		     struct out *o)
{
	const void *member = (const char *)from + f->offset;

	switch (f->type) {
	case FIELD_SPAN:
		return put_span(o, f->tag, member);
	case FIELD_ADDR:
		return put_addr(o, f->tag, member, first_addr(table, from));
	case FIELD_STRUCT:
		return put_struct(o, f, member);
	default:
		return put_uint(o, f->tag, uint_get(member, f->size));
	}
}

static int fields_put(const struct field *table, const void *from, struct out *o)
{
	const struct field *f;
	int rc = 0;

	for (f = table; f->tag && !rc; f++)
		if (!is_empty(f, (const char *)from + f->offset))
			rc = write_one(table, f, from, o);
	return rc;
}

int fields_write(const struct field *table, const void *from, uint8_t *out, size_t size)
{
	struct out o = { out, 1, size };
	int rc;

	if (!size)
		return -E2BIG;
	out[0] = MARK;
	rc = fields_put(table, from, &o);
	return rc ? rc : (int)o.len;
}

/* ---- reading ---- */

static uint64_t le_get(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static int get_uint(void *member, size_t size, const uint8_t *p, size_t len)
{
	uint64_t v;

	if (len > size)
		return -EBADMSG;
	v = le_get(p, len);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v <<= 64 - 8 * size;
#endif
	memcpy(member, &v, size);
	return 0;
}

static int get_addr(struct addr *a, const uint8_t *p, size_t len)
{
	if (len < ADDR_HEAD_BYTES || (p[0] != ADDR_IP4 && p[0] != ADDR_IP6))
		return -EBADMSG;
	a->family = p[0];
	if (len != ADDR_HEAD_BYTES + addr_ip_len(a)) {
		a->family = ADDR_NONE;
		return -EBADMSG;
	}
	a->port = (uint16_t)le_get(p + 1, 2);
	memcpy(a->ip, p + ADDR_HEAD_BYTES, addr_ip_len(a));
	return 0;
}

/* Bytes that are being read. */
struct in {
	const uint8_t *p, *end;
	bool old;    /* encoding of version 1 */
	bool nested; /* the members of a struct inside another */
};

static const struct field *field_of(const struct field *table, uint8_t tag)
{
	const struct field *f;

	for (f = table; f->tag; f++)
		if (f->tag == tag)
			return f;
	return NULL;
}

/* Take @n bytes as a number. False: they are not there. */
static bool number_take(struct in *in, size_t n, size_t *out)
{
	if ((size_t)(in->end - in->p) < n)
		return false;
	*out = (size_t)le_get(in->p, n);
	in->p += n;
	return true;
}

static bool head_take(struct in *in, size_t *tag, size_t *len)
{
	size_t head;

	if (in->old)
		return number_take(in, 1, tag) && number_take(in, 2, len);
	if (!number_take(in, 1, &head))
		return false;
	*tag = head >> 3;
	*len = (head & 7) + 1;
	return (*tag < TAG_BYTE || number_take(in, 1, tag)) &&
	       (*len < LEN_BYTE || number_take(in, 1, len)) &&
	       (*len < LEN_WORD || number_take(in, 2, len));
}

static int members_read(const struct field *table, void *to, struct in in);

static int port_take(struct addr *a, const struct addr *first, struct in value)
{
	if (first == a || first->family == ADDR_NONE)
		return -EBADMSG;
	*a = addr_with_port(*first, (uint16_t)le_get(value.p, PORT_BYTES));
	return 0;
}

/* Take the value of the member @f of a table. */
static int field_take(const struct field *table, const struct field *f, void *to, struct in value)
{
	const uint8_t *p = value.p;
	size_t len = (size_t)(value.end - p);
	void *member = (char *)to + f->offset;

	switch (f->type) {
	case FIELD_SPAN:
		*(struct span *)member = (struct span){ (const char *)p, len };
		return 0;
	case FIELD_ADDR:
		return len == PORT_BYTES && !value.old
			       ? port_take(member, first_addr(table, to), value)
			       : get_addr(member, p, len);
	case FIELD_STRUCT:
		return members_read(f->of, member, value);
	case FIELD_BOOL:
		if (len != 1 || *p > 1)
			return -EBADMSG;
		*(bool *)member = *p;
		return 0;
	default:
		return get_uint(member, f->size, p, len);
	}
}

static int members_read(const struct field *table, void *to, struct in in)
{
	while (in.p < in.end) {
		const struct field *f;
		size_t tag, len;
		int rc;

		if (!in.nested && *in.p == MARK) {
			in.old = false;
			in.p++;
			continue;
		}
		if (!head_take(&in, &tag, &len) || !tag || (size_t)(in.end - in.p) < len)
			return -EBADMSG;
		f = field_of(table, (uint8_t)tag);
		rc = f ? field_take(table, f, to, (struct in){ in.p, in.p + len, in.old, true })
		       : 0;
		if (rc)
			return rc;
		in.p += len;
	}
	return 0;
}

int fields_read(const struct field *table, void *to, struct span bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p;

	return members_read(table, to, (struct in){ p, p + bytes.len, .old = true });
}

bool fields_equal(const struct field *table, const void *a, const void *b)
{
	const struct field *f;
	bool equal = true;

	for (f = table; f->tag && equal; f++) {
		const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;

		equal = f->type == FIELD_STRUCT ? fields_equal(f->of, x, y)
						: memcmp(x, y, f->size) == 0;
	}
	return equal;
}

void fields_copy(const struct field *table, const void *from, void *to)
{
	const struct field *f;

	for (f = table; f->tag; f++) {
		const char *source = (const char *)from + f->offset;
		char *target = (char *)to + f->offset;

		if (f->type == FIELD_STRUCT)
			fields_copy(f->of, source, target);
		else
			memcpy(target, source, f->size);
	}
}
