/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * put.c - JSON members from C values.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/put.h"
#include "base/utf8.h"

static struct json_object *json_text(const char *text)
{
	struct json_object *o;
	char *repaired;

	if (!text)
		return NULL;
	if (utf8_is_valid(text, strlen(text)))
		return json_object_new_string(text);
	repaired = malloc(3 * strlen(text) + 1);
	o = json_object_new_string(repaired ? utf8_repair(text, repaired) : "");
	free(repaired);
	return o;
}

void put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_text(text));
}

void put_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_uint64(n));
}

void put_real(struct json_object *o, const char *key, double d)
{
	char text[64];

	snprintf(text, sizeof(text), "%.3f", d);
	json_object_object_add(o, key, json_object_new_double_s(d, text));
}

void put_bool(struct json_object *o, const char *key, bool b)
{
	json_object_object_add(o, key, json_object_new_boolean(b));
}

void put_addr(struct json_object *o, const char *key, const struct addr *a)
{
	char buf[ADDR_TEXT];

	put_text(o, key, a->family == ADDR_NONE ? NULL : addr_text(a, buf));
}
