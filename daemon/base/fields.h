/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.h - a struct as bytes that another version of the program can read: each member that is
 * not zero becomes a tag, a length and its value. Pure.
 *
 * A table lists the members. A tag never gets another meaning. A reader skips unknown tags and
 * leaves absent members zero, so a new member is a new row. A member may become wider. Numbers are
 * little endian without leading zeros. An address at the host of the first address in its table is
 * that address's port alone, so the first address of a table stays the first. Bytes 0 behind the
 * members mean nothing.
 */
#ifndef RTPX_FIELDS_H
#define RTPX_FIELDS_H

#include "base/addr.h"
#include "base/base.h"

enum field_type {
	FIELD_UINT, /* an unsigned integer of 1, 2, 4 or 8 bytes */
	FIELD_BOOL,
	FIELD_DOUBLE,
	FIELD_SPAN,   /* struct span; empty and absent are the same */
	FIELD_ADDR,   /* struct addr */
	FIELD_STRUCT, /* another struct inside this one */
};

struct field {
	uint8_t tag; /* 0: the end of the table */
	uint8_t type;
	uint16_t size;
	uint32_t offset;
	const struct field *of; /* FIELD_STRUCT: its members */
};

/* A row of a table: @member of struct @in. */
/* clang-format off */
#define FIELD(number, kind, in, member)                                                    \
	{ .tag = (number), .type = (kind), .size = sizeof(((struct in *)0)->member),       \
	  .offset = offsetof(struct in, member) }
#define FIELD_OF(number, in, member, table)                                                \
	{ .tag = (number), .type = FIELD_STRUCT, .size = sizeof(((struct in *)0)->member), \
	  .offset = offsetof(struct in, member), .of = (table) }
/* clang-format on */

/*
 * fields_write - write @from as at most @size bytes to @out. Returns their number, or -E2BIG. The
 * bytes of several tables, one behind the other, can be read with each of these tables.
 */
int fields_write(const struct field *table, const void *from, uint8_t *out, size_t size);

/*
 * fields_read - the reverse of fields_write(). The caller has zeroed @to. Spans point into @bytes.
 * 0, or -EBADMSG: fields_write() did not make these bytes, or a number does not fit its member.
 * Bytes that an earlier version wrote are good, too. Only bools and address families are checked
 * for valid values.
 */
int fields_read(const struct field *table, void *to, struct span bytes);

/* fields_equal - true if the members of @table are equal in two structs of its type. */
bool fields_equal(const struct field *table, const void *a, const void *b);

/*
 * fields_copy - copy the members of @table, and no other, from a struct to another of its type.
 * Spans still point to the same bytes.
 */
void fields_copy(const struct field *table, const void *from, void *to);

#endif
