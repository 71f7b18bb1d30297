/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mixer.c - a ring of samples for each bus, a resampler of soxr behind it, and the sum of all buses
 * as output. Samples are floating point at the scale of 16 bits, so sums without resampling are
 * exact.
 */
#include <errno.h>
#include <math.h>
#include <soxr.h>
#include <stdlib.h>

#include "mixer.h"

#define SLICE_NS (NSEC_PER_SEC / 10)
#define BLOCK 4096

struct bus {
	unsigned int rate, channel;
	float *ring;
	size_t room;
	int64_t done, end; /* samples taken out of the ring; samples up to the last one added */
	soxr_t resampler;  /* NULL: the rate is that of the output */
	float *fifo;	   /* at the rate of the output */
	size_t n, fifo_room;
};

struct mixer {
	struct mixer_opts o;
	struct bus buses[MIXER_MAX_BUSES];
	int n_buses;
	uint64_t now_ns;
	uint64_t written, last; /* frames; @last: none is written behind it */
};

/* ---- buses ---- */

int mixer_bus(struct mixer *m, unsigned int rate, unsigned int channel)
{
	const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
	const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
	struct bus *b;
	int i;

	for (i = 0; i < m->n_buses; i++)
		if (m->buses[i].rate == rate && m->buses[i].channel == channel)
			return i;
	if (m->n_buses == MIXER_MAX_BUSES)
		return -ENOSPC;
	b = &m->buses[m->n_buses];
	*b = (struct bus){ .rate = rate,
			   .channel = channel,
			   .room = (size_t)rate * MIXER_WINDOW_S };
	b->ring = calloc(b->room, sizeof(*b->ring));
	if (b->ring && rate != m->o.rate)
		b->resampler = soxr_create(rate, m->o.rate, 1, NULL, &io, &quality, NULL);
	if (!b->ring || (rate != m->o.rate && !b->resampler)) {
		free(b->ring);
		return -ENOMEM;
	}
	return m->n_buses++;
}

void mixer_add(struct mixer *m, int bus, int64_t at, const int16_t *samples, size_t n)
{
	struct bus *b = &m->buses[bus];
	size_t i = at < b->done ? MIN(n, (uint64_t)(b->done - at)) : 0;

	for (; i < n && at + (int64_t)i < b->done + (int64_t)b->room; i++)
		b->ring[(uint64_t)(at + (int64_t)i) % b->room] += samples[i];
	if (i == n)
		b->end = MAX(b->end, at + (int64_t)n);
}

static int fifo_reach(struct bus *b, size_t n)
{
	size_t room = MAX(b->fifo_room, (size_t)BLOCK);
	float *more;

	while (room < n)
		room *= 2;
	if (room == b->fifo_room)
		return 0;
	more = realloc(b->fifo, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	b->fifo = more;
	b->fifo_room = room;
	return 0;
}

/* Put @n samples through the resampler into the FIFO; @in NULL: the end of all samples. */
static int bus_resample(const struct mixer *m, struct bus *b, const float *in, size_t n)
{
	size_t done = 0, out, room = (size_t)((double)MAX(n, BLOCK) * m->o.rate / b->rate) + BLOCK;

	do {
		if (fifo_reach(b, b->n + room))
			return -ENOMEM;
		if (soxr_process(b->resampler, in, n, &done, b->fifo + b->n, room, &out))
			return -ENOMEM;
		b->n += out;
		if (in) {
			in += done;
			n -= done;
		}
	} while (in ? n > 0 : out > 0);
	return 0;
}

/* Move the samples before @until from the ring to the FIFO. */
static int bus_run(const struct mixer *m, struct bus *b, int64_t until)
{
	float block[BLOCK];
	int rc = 0;

	while (!rc && b->done < until) {
		size_t n = (size_t)MIN(until - b->done, BLOCK), i;

		for (i = 0; i < n; i++) {
			float *sample = &b->ring[(uint64_t)b->done++ % b->room];

			block[i] = *sample;
			*sample = 0;
		}
		if (b->resampler) {
			rc = bus_resample(m, b, block, n);
			continue;
		}
		rc = fifo_reach(b, b->n + n);
		if (!rc) {
			memcpy(b->fifo + b->n, block, n * sizeof(*block));
			b->n += n;
		}
	}
	return rc;
}

/* ---- output ---- */

static int16_t sample_of(float x)
{
	return (int16_t)lrintf(MAX(INT16_MIN, MIN(x, INT16_MAX)));
}

/* Write @n frames; a bus with fewer samples is silent for the rest. */
static int write_frames(struct mixer *m, size_t n)
{
	float sum[2 * BLOCK];
	int16_t out[2 * BLOCK];
	unsigned int channels = m->o.channels;
	size_t i, block;
	int k, rc = 0;

	n = (size_t)MIN(n, m->last - m->written);
	for (; !rc && n > 0; n -= block) {
		block = MIN(n, BLOCK);
		memset(sum, 0, sizeof(sum));
		for (k = 0; k < m->n_buses; k++) {
			struct bus *b = &m->buses[k];
			size_t have = MIN(b->n, block);

			for (i = 0; i < have; i++)
				sum[i * channels + (channels > 1 ? b->channel : 0)] += b->fifo[i];
			if (have)
				memmove(b->fifo, b->fifo + have, (b->n - have) * sizeof(*b->fifo));
			b->n -= have;
		}
		for (i = 0; i < block * channels; i++)
			out[i] = sample_of(sum[i]);
		rc = m->o.write(m->o.arg, out, block);
		m->written += block;
	}
	return rc;
}

static size_t frames_ready(const struct mixer *m)
{
	size_t n = m->n_buses ? m->buses[0].n : 0;
	int k;

	for (k = 1; k < m->n_buses; k++)
		n = MIN(n, m->buses[k].n);
	return n;
}

int mixer_run(struct mixer *m, uint64_t until_ns)
{
	int k, rc = 0;

	while (!rc && m->now_ns + SLICE_NS <= until_ns) {
		m->now_ns += SLICE_NS;
		for (k = 0; k < m->n_buses && !rc; k++)
			rc = bus_run(m, &m->buses[k],
				     (int64_t)((double)m->now_ns * m->buses[k].rate / 1e9));
		if (!rc)
			rc = write_frames(m, frames_ready(m));
	}
	return rc;
}

int mixer_end(struct mixer *m)
{
	uint64_t last_ns = 0, frames = 0;
	int k, rc = 0;

	for (k = 0; k < m->n_buses; k++) {
		const struct bus *b = &m->buses[k];

		last_ns = MAX(last_ns, (uint64_t)((double)b->end / b->rate * 1e9) + 1);
		frames = MAX(frames, (uint64_t)llround((double)b->end * m->o.rate / b->rate));
	}
	m->last = MAX(frames, m->written);
	rc = mixer_run(m, last_ns + SLICE_NS);
	for (k = 0; k < m->n_buses && !rc; k++)
		if (m->buses[k].resampler)
			rc = bus_resample(m, &m->buses[k], NULL, 0);
	return rc ? rc : write_frames(m, (size_t)(m->last - m->written));
}

/* ---- begin and end ---- */

int mixer_new(struct mixer **out, const struct mixer_opts *opts)
{
	struct mixer *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->o = *opts;
	m->last = UINT64_MAX;
	*out = m;
	return 0;
}

void mixer_free(struct mixer *m)
{
	int k;

	if (!m)
		return;
	for (k = 0; k < m->n_buses; k++) {
		if (m->buses[k].resampler)
			soxr_delete(m->buses[k].resampler);
		free(m->buses[k].ring);
		free(m->buses[k].fifo);
	}
	free(m);
}
