/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exposition.h - writes metrics in the text format of Prometheus, version 0.0.4. It knows no
 * metric.
 *
 * Memory that is short leaves out the rest of the text.
 */
#ifndef RTPX_EXPOSITION_H
#define RTPX_EXPOSITION_H

#include "base/base.h"
#include "base/histogram.h"

struct evbuffer;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* exposition_family - the head of a family. @name without "rtpx_", unless it begins with
 * "process_". */
void exposition_family(struct evbuffer *out, const char *name, enum metric_type type,
		       const char *help);

/* A label; a list ends with a name of NULL. */
struct label {
	const char *name, *value; /* the value may have any bytes */
};

/* exposition_value - a sample of the family @name. @labels NULL: none. */
void exposition_value(struct evbuffer *out, const char *name, const struct label *labels,
		      double value);
/* exposition_count - the same for an integer, in full. */
void exposition_count(struct evbuffer *out, const char *name, const struct label *labels,
		      uint64_t value);
void exposition_histogram(struct evbuffer *out, const char *name, const struct histogram *h);

#define LABELS(...) ((const struct label[]){ __VA_ARGS__, { NULL, NULL } })

#endif
