/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - counts of values by range, as Prometheus wants them. Only computes.
 */
#ifndef RTPX_HISTOGRAM_H
#define RTPX_HISTOGRAM_H

#include "base/base.h"

#define HISTOGRAM_MAX 15 /* bounds */

struct histogram {
	const double *bounds;		    /* rising; not owned */
	unsigned int n;			    /* number of bounds */
	uint64_t counts[HISTOGRAM_MAX + 1]; /* values up to each bound; the last: above all */
	uint64_t count;
	double sum;
};

/* HISTOGRAM - an empty histogram over an array of at most HISTOGRAM_MAX bounds. */
/* clang-format off */
#define HISTOGRAM(array) { .bounds = (array), .n = ARRAY_SIZE(array) }
/* clang-format on */

static inline void histogram_add(struct histogram *h, double value, uint64_t times)
{
	unsigned int i = 0;

	while (i < h->n && value > h->bounds[i])
		i++;
	h->counts[i] += times;
	h->count += times;
	h->sum += value * (double)times;
}

#endif
