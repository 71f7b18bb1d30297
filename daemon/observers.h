/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * observers.h - all that shows figures and calls to others: the admin socket, metrics with the
 * status page, accounting, RTCP reports to a collector, and the sums over ended sessions.
 *
 * Order of calls: observers_new while the process has its first rights, observers_start when all
 * modules are there, observers_stop before they end, observers_free after the last session ended.
 */
#ifndef RTPX_OBSERVERS_H
#define RTPX_OBSERVERS_H

#include "call/report.h"
#include "config.h"

struct floor;
struct observers;

/* The modules that are shown. Borrowed until observers_stop(). */
struct observers_opts {
	struct event_base *base;
	struct stats *stats;
	struct sessions *sessions;
	struct ports *ports;
	struct dp *dp;
	const struct floor *floor;
	struct sync *sync;
	struct recorder *recorder;
	struct mirror *mirror;
	struct taps *taps;
	struct relay *relay;
	struct players *players;
	struct notify *notify;
	struct faces *faces;
	struct engine *engine;
	struct admission *admission;
	struct commands *commands;
	struct keeper *keeper; /* NULL: no journal */
	struct groups *groups; /* NULL: without --replicate */
	struct listen *listen;
};

/*
 * observers_new - open the admin socket of @c, which is borrowed. 0, or -1 with a sentence in
 * @err. A default socket that another daemon uses is only logged, and tried again each second.
 */
int observers_new(struct observers **out, struct config *c, char *err, size_t err_size);
/*
 * observers_start - open the files of accounting and serve requests. As the user of -u, because
 * that user opens the files again when they were renamed. 0, or -1 with a sentence in @err.
 */
int observers_start(struct observers *o, const struct observers_opts *opts, char *err,
		    size_t err_size);
/* observers_stop - serve no more requests. */
void observers_stop(struct observers *o); /* NULL is allowed */
void observers_free(struct observers *o); /* NULL is allowed */

/* observers_tick - about once a second. */
void observers_tick(struct observers *o);
/* observers_ended - a session has ended: count it, write its record, and log it. */
void observers_ended(struct observers *o, const struct call_report *r);
/* observers_command, observers_settled - as metrics_command() and metrics_settled(). */
void observers_command(struct observers *o, uint64_t read_ns);
void observers_settled(struct observers *o);
/* observers_are_asked - rtpxctl can connect. */
bool observers_are_asked(const struct observers *o);

#endif
