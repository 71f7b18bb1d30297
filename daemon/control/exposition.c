/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exposition.c - the lines of the text format: HELP, TYPE and samples.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "control/exposition.h"
#include "base/utf8.h"

#define VALUE_MAX 256 /* bytes of a label's value; the rest is cut off */

static const char *prefix_of(const char *name)
{
	return strncmp(name, "process_", 8) ? "rtpx_" : "";
}

void exposition_family(struct evbuffer *out, const char *name, enum metric_type type,
		       const char *help)
{
	static const char *const types[] = {
		[METRIC_COUNTER] = "counter",
		[METRIC_GAUGE] = "gauge",
		[METRIC_HISTOGRAM] = "histogram",
	};
	const char *prefix = prefix_of(name);

	evbuffer_add_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix,
			    name, types[type]);
}

/* Escapes backslash, quote and newline; bytes that are no UTF-8 become '?'. */
static void add_value(struct evbuffer *out, const char *value)
{
	size_t left = strnlen(value, VALUE_MAX), n;
	char text[2 * VALUE_MAX], *to = text;

	for (; left; value += n, left -= n) {
		n = utf8_next(value, left);
		if (!n) {
			*to++ = '?';
			n = 1;
			continue;
		}
		if (*value == '\n' || *value == '"' || *value == '\\') {
			*to++ = '\\';
			*to++ = *value == '\n' ? 'n' : *value;
			continue;
		}
		memcpy(to, value, n);
		to += n;
	}
	evbuffer_add(out, text, (size_t)(to - text));
}

static void add_name(struct evbuffer *out, const char *name, const struct label *labels)
{
	const struct label *l;

	evbuffer_add_printf(out, "%s%s", prefix_of(name), name);
	for (l = labels; l && l->name; l++) {
		evbuffer_add_printf(out, "%c%s=\"", l == labels ? '{' : ',', l->name);
		add_value(out, l->value);
		evbuffer_add(out, "\"", 1);
	}
	if (labels && labels->name)
		evbuffer_add(out, "}", 1);
}

void exposition_value(struct evbuffer *out, const char *name, const struct label *labels,
		      double value)
{
	add_name(out, name, labels);
	if (isfinite(value))
		evbuffer_add_printf(out, " %.10g\n", value);
	else
		evbuffer_add_printf(out, " NaN\n");
}

void exposition_count(struct evbuffer *out, const char *name, const struct label *labels,
		      uint64_t value)
{
	add_name(out, name, labels);
	evbuffer_add_printf(out, " %" PRIu64 "\n", value);
}

void exposition_histogram(struct evbuffer *out, const char *name, const struct histogram *h)
{
	const char *prefix = prefix_of(name);
	uint64_t below = 0;

	for (unsigned int i = 0; i < h->n; i++) {
		below += h->counts[i];
		evbuffer_add_printf(out, "%s%s_bucket{le=\"%g\"} %" PRIu64 "\n", prefix, name,
				    h->bounds[i], below);
	}
	evbuffer_add_printf(out,
			    "%s%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s%s_sum %.10g\n"
			    "%s%s_count %" PRIu64 "\n",
			    prefix, name, h->count, prefix, name, h->sum, prefix, name, h->count);
}
