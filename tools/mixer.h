/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mixer.h - mixes sound of any rates into one or two channels, in blocks of a few seconds.
 *
 * A bus takes all sound of one rate for one channel. The caller adds sound a few seconds around the
 * present time, and then moves the time on.
 */
#ifndef RTPX_MIXER_H
#define RTPX_MIXER_H

#include "base/base.h"

#define MIXER_WINDOW_S 12 /* sound may be added so far beyond the end of mixer_run() */
#define MIXER_MAX_BUSES 32

struct mixer;

struct mixer_opts {
	unsigned int rate, channels; /* of the output: samples a second, 1 or 2 */
	/* write - take @frames frames of interleaved samples. 0 or -errno. */
	int (*write)(void *arg, const int16_t *samples, size_t frames);
	void *arg;
};

int mixer_new(struct mixer **out, const struct mixer_opts *opts); /* 0, -ENOMEM */
void mixer_free(struct mixer *m);				  /* NULL is allowed */

/*
 * mixer_bus - the bus of @rate and @channel; made at its first use, which must come before
 * mixer_run(). Returns its number, -ENOMEM, or -ENOSPC with MIXER_MAX_BUSES.
 */
int mixer_bus(struct mixer *m, unsigned int rate, unsigned int channel);
/* mixer_add - add @n samples at sample @at of the bus. Sound outside of the window is dropped. */
void mixer_add(struct mixer *m, int bus, int64_t at, const int16_t *samples, size_t n);
/* mixer_run - write all sound before @until_ns. 0 or the error of write(). */
int mixer_run(struct mixer *m, uint64_t until_ns);
/* mixer_end - write the rest, up to the last sample that was added. */
int mixer_end(struct mixer *m);

#endif
