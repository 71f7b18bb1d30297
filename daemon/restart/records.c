/* SPDX-License-Identifier: BSD-2-Clause */
/* records.c - tables of the members. A tag never gets another meaning: see fields.h. */
#include "restart/records.h"

#include "base/fields.h"

static const struct field meta_fields[] = {
	FIELD(1, FIELD_UINT, meta, instance),
	FIELD(2, FIELD_BOOL, meta, clean),
	FIELD(3, FIELD_UINT, meta, alive_ns),
	FIELD(4, FIELD_SPAN, meta, boot_id),
	FIELD(5, FIELD_SPAN, meta, version),
	FIELD(6, FIELD_SPAN, meta, counters),
	FIELD(7, FIELD_UINT, meta, last_port[RTPX_FAMILY_IP4]),
	FIELD(8, FIELD_UINT, meta, last_port[RTPX_FAMILY_IP6]),
	FIELD(9, FIELD_BOOL, meta, has_live),
	FIELD(10, FIELD_UINT, meta, live_relayed),
	FIELD(11, FIELD_UINT, meta, live_strangers),
	FIELD(12, FIELD_UINT, meta, epoch),
	FIELD(13, FIELD_UINT, meta, ended_to),
	{ 0 },
};

/* The tags differ from those of a session: an earlier version would take the record for one. */
static const struct field waiting_fields[] = {
	FIELD(64, FIELD_SPAN, waiting, target),
	FIELD(65, FIELD_SPAN, waiting, call_id),
	FIELD(66, FIELD_SPAN, waiting, from_tag),
	FIELD(67, FIELD_SPAN, waiting, to_tag),
	FIELD(68, FIELD_SPAN, waiting, tag),
	FIELD(69, FIELD_UINT, waiting, queued_ns),
	{ 0 },
};

static const struct field replied_fields[] = {
	FIELD(80, FIELD_SPAN, replied, key),
	FIELD(81, FIELD_SPAN, replied, reply),
	FIELD(82, FIELD_UINT, replied, stored_ns),
	{ 0 },
};

static const struct field group_epoch_fields[] = {
	FIELD(96, FIELD_SPAN, group_epoch, name),
	FIELD(97, FIELD_UINT, group_epoch, epoch),
	{ 0 },
};

int meta_write(const struct meta *m, uint8_t *out, size_t size)
{
	return fields_write(meta_fields, m, out, size);
}

int waiting_write(const struct waiting *w, uint8_t *out, size_t size)
{
	return fields_write(waiting_fields, w, out, size);
}

int replied_write(const struct replied *r, uint8_t *out, size_t size)
{
	return fields_write(replied_fields, r, out, size);
}

int group_epoch_write(const struct group_epoch *g, uint8_t *out, size_t size)
{
	return fields_write(group_epoch_fields, g, out, size);
}

int meta_read(struct meta *out, struct span bytes)
{
	*out = (struct meta){ 0 };
	return fields_read(meta_fields, out, bytes);
}

int waiting_read(struct waiting *out, struct span bytes)
{
	*out = (struct waiting){ 0 };
	return fields_read(waiting_fields, out, bytes);
}

int replied_read(struct replied *out, struct span bytes)
{
	*out = (struct replied){ 0 };
	return fields_read(replied_fields, out, bytes);
}

int group_epoch_read(struct group_epoch *out, struct span bytes)
{
	*out = (struct group_epoch){ 0 };
	return fields_read(group_epoch_fields, out, bytes);
}
