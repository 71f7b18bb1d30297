/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * put.h - adds members to JSON objects. The text of a document is always valid UTF-8.
 */
#ifndef RTPX_PUT_H
#define RTPX_PUT_H

#include <json-c/json.h>

#include "base/addr.h"
#include "base/base.h"

/* put_text - @text may have any bytes: those that are not UTF-8 become U+FFFD. NULL: null. */
void put_text(struct json_object *o, const char *key, const char *text);
void put_number(struct json_object *o, const char *key, uint64_t n);
void put_real(struct json_object *o, const char *key, double d); /* with three decimals */
void put_bool(struct json_object *o, const char *key, bool b);
/* put_addr - "192.0.2.1:5"; ADDR_NONE: null. */
void put_addr(struct json_object *o, const char *key, const struct addr *a);

#endif
