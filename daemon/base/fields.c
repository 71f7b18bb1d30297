/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - structs to bytes and back, by tables. Knows no struct but addr and span.
 */
#include <errno.h>

#include "base/fields.h"

#define HEAD_BYTES 3	  /* tag (1 byte), length (2 bytes) */
#define ADDR_HEAD_BYTES 3 /* family (1 byte), port (2 bytes) */

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

static size_t uint_bytes(uint64_t v)
{
	return v ? 8 - (size_t)__builtin_clzll(v) / 8 : 0;
}

/* Make room for a value of @len bytes behind its head; NULL: there is none. */
static uint8_t *field_put(struct out *o, uint8_t tag, size_t len)
{
	uint8_t *p = o->p + o->len;

	if (len > UINT16_MAX || o->size - o->len < HEAD_BYTES + len)
		return NULL;
	p[0] = tag;
	le_put(p + 1, len, 2);
	o->len += HEAD_BYTES + len;
	return p + HEAD_BYTES;
}

static int put_uint(struct out *o, uint8_t tag, uint64_t v)
{
	size_t n = uint_bytes(v);
	uint8_t *p;

	if (!n)
		return 0;
	p = field_put(o, tag, n);
	if (!p)
		return -E2BIG;
	le_put(p, v, n);
	return 0;
}

static int put_span(struct out *o, uint8_t tag, const struct span *s)
{
	uint8_t *p;

	if (!s->len)
		return 0;
	p = field_put(o, tag, s->len);
	if (!p)
		return -E2BIG;
	memcpy(p, s->p, s->len);
	return 0;
}

static int put_addr(struct out *o, uint8_t tag, const struct addr *a)
{
	size_t n = addr_ip_len(a);
	uint8_t *p;

	if (a->family == ADDR_NONE)
		return 0;
	p = field_put(o, tag, ADDR_HEAD_BYTES + n);
	if (!p)
		return -E2BIG;
	p[0] = a->family;
	le_put(p + 1, a->port, 2);
	memcpy(p + ADDR_HEAD_BYTES, a->ip, n);
	return 0;
}

static int fields_put(const struct field *table, const void *from, struct out *o);

static int put_struct(struct out *o, const struct field *f, const void *member)
{
	uint8_t *head = o->p + o->len;
	size_t before = o->len;
	int rc;

	if (!field_put(o, f->tag, 0))
		return -E2BIG;
	rc = fields_put(f->of, member, o);
	if (rc)
		return rc;
	if (o->len - before - HEAD_BYTES > UINT16_MAX)
		return -E2BIG;
	if (o->len == before + HEAD_BYTES)
		o->len = before;
	else
		le_put(head + 1, o->len - before - HEAD_BYTES, 2);
	return 0;
}

static int write_one(const struct field *f, const void *member, struct out *o)
{
	switch (f->type) {
	case FIELD_SPAN:
		return put_span(o, f->tag, member);
	case FIELD_ADDR:
		return put_addr(o, f->tag, member);
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
		rc = write_one(f, (const char *)from + f->offset, o);
	return rc;
}

int fields_write(const struct field *table, const void *from, uint8_t *out, size_t size)
{
	struct out o = { .p = out, .size = size };
	int rc = fields_put(table, from, &o);

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

static int field_take(const struct field *f, void *member, const uint8_t *p, size_t len)
{
	switch (f->type) {
	case FIELD_SPAN:
		*(struct span *)member = (struct span){ (const char *)p, len };
		return 0;
	case FIELD_ADDR:
		return get_addr(member, p, len);
	case FIELD_STRUCT:
		return fields_read(f->of, member, (struct span){ (const char *)p, len });
	case FIELD_BOOL:
		if (len != 1 || *p > 1)
			return -EBADMSG;
		*(bool *)member = *p;
		return 0;
	default:
		return get_uint(member, f->size, p, len);
	}
}

static const struct field *field_of(const struct field *table, uint8_t tag)
{
	const struct field *f;

	for (f = table; f->tag; f++)
		if (f->tag == tag)
			return f;
	return NULL;
}

int fields_read(const struct field *table, void *to, struct span bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.p, *end = p + bytes.len;

	while (p < end) {
		const struct field *f;
		size_t len;
		int rc;

		if (end - p < HEAD_BYTES || p[0] == 0)
			return -EBADMSG;
		len = le_get(p + 1, 2);
		if ((size_t)(end - p) - HEAD_BYTES < len)
			return -EBADMSG;
		f = field_of(table, p[0]);
		rc = f ? field_take(f, (char *)to + f->offset, p + HEAD_BYTES, len) : 0;
		if (rc)
			return rc;
		p += HEAD_BYTES + len;
	}
	return 0;
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
