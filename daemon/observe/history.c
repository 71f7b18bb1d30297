/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history.c - a ring of points.
 */
#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "observe/history.h"

enum kind { LEVEL, RATE, MEAN };

static const struct {
	const char *name;
	enum kind kind;
} columns[] = {
#define HISTORY_ROW(name, kind) { #name, kind },
	HISTORY_COLUMNS(HISTORY_ROW)
#undef HISTORY_ROW
};

struct history {
	struct history_now before;
	uint64_t before_ns; /* 0: no step yet */
	unsigned int n, first;
	struct point {
		double at_s;			   /* Unix time */
		float value[HISTORY_COLUMN_COUNT]; /* NAN: none */
	} point[HISTORY_POINTS];
};

int history_new(struct history **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void history_free(struct history *h)
{
	free(h);
}

bool history_is_due(const struct history *h, uint64_t now_ns)
{
	return now_ns - h->before_ns >= HISTORY_STEP_NS;
}

static float column_value(const struct history *h, const struct history_now *now, unsigned int i,
			  double seconds)
{
	double grown = now->column[i].value - h->before.column[i].value;
	double count = now->column[i].count - h->before.column[i].count;

	switch (columns[i].kind) {
	case RATE:
		return (float)MAX(grown / seconds, 0);
	case MEAN:
		return count > 0 ? (float)(grown / count) : NAN;
	default:
		return (float)now->column[i].value;
	}
}

void history_add(struct history *h, const struct history_now *now, uint64_t now_ns,
		 uint64_t realtime_ns)
{
	struct point *p;

	if (h->before_ns) {
		p = &h->point[(h->first + h->n) % HISTORY_POINTS];
		if (h->n == HISTORY_POINTS)
			h->first = (h->first + 1) % HISTORY_POINTS;
		else
			h->n++;
		p->at_s = (double)realtime_ns / NSEC_PER_SEC;
		for (unsigned int i = 0; i < HISTORY_COLUMN_COUNT; i++)
			p->value[i] = column_value(h, now, i,
						   (double)(now_ns - h->before_ns) / NSEC_PER_SEC);
	}
	h->before = *now;
	h->before_ns = now_ns;
}

static struct json_object *number_json(double d, const char *format)
{
	char text[64];

	if (isnan(d))
		return NULL;
	snprintf(text, sizeof(text), format, d);
	return json_object_new_double_s(d, text);
}

static struct json_object *point_json(const struct point *p)
{
	struct json_object *o = json_object_new_array();

	json_object_array_add(o, number_json(p->at_s, "%.0f"));
	for (unsigned int i = 0; i < HISTORY_COLUMN_COUNT; i++)
		json_object_array_add(o, number_json((double)p->value[i], "%.6g"));
	return o;
}

struct json_object *history_json(const struct history *h)
{
	struct json_object *o = json_object_new_object(), *names = json_object_new_array(),
			   *points = json_object_new_array();

	json_object_object_add(o, "step_s", json_object_new_int(HISTORY_STEP_NS / NSEC_PER_SEC));
	for (unsigned int i = 0; i < HISTORY_COLUMN_COUNT; i++)
		json_object_array_add(names, json_object_new_string(columns[i].name));
	for (unsigned int i = 0; i < h->n; i++)
		json_object_array_add(points,
				      point_json(&h->point[(h->first + i) % HISTORY_POINTS]));
	json_object_object_add(o, "columns", names);
	json_object_object_add(o, "points", points);
	return o;
}
