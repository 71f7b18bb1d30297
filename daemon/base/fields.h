/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.h - a struct as bytes that another version of the program can read: each member that is
 * not zero is a tag, a length and its value. Pure.
 *
 * A table says which members there are. A tag is never given another meaning; a reader skips those
 * that it does not know, and leaves zero what is not there, so a new member is a new row. A member
 * may become wider. Numbers are little endian without leading zeros.
 */
#ifndef RTPX_FIELDS_H
#define RTPX_FIELDS_H

#include "base/addr.h"
#include "base/base.h"

enum field_type {
	FIELD_UINT,   /* an unsigned integer of 1, 2, 4 or 8 bytes */
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

/* A row: @in is the struct, @member what it stands for. */
#define FIELD(number, kind, in, member)                                                    \
	{ .tag = (number), .type = (kind), .size = sizeof(((struct in *)0)->member),       \
	  .offset = offsetof(struct in, member) }
#define FIELD_OF(number, in, member, table)                                                \
	{ .tag = (number), .type = FIELD_STRUCT, .size = sizeof(((struct in *)0)->member), \
	  .offset = offsetof(struct in, member), .of = (table) }

/* fields_write - @from as at most @size bytes at @out; returns their number, or -E2BIG. */
int fields_write(const struct field *table, const void *from, uint8_t *out, size_t size);

/*
 * fields_read - the opposite; @to is zero before. Spans point into @bytes. 0 or -EBADMSG: these
 * bytes were not made by fields_write(), or a number does not fit its member. Values are not
 * judged, but that a bool and an address family are ones.
 */
int fields_read(const struct field *table, void *to, struct span bytes);

#endif
