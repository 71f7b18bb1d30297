/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metrics.h - all figures of the daemon as metrics for Prometheus. docs/metrics.md is the
 * reference.
 *
 * A scrape walks over no sessions: it prints counters, and the figures of the survey's latest
 * round.
 */
#ifndef RTPX_METRICS_H
#define RTPX_METRICS_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "engine/engine.h"
#include "engine/faces.h"
#include "observe/history.h"
#include "observe/survey.h"
#include "observe/totals.h"

struct accounts;
struct admission;
struct evbuffer;
struct event_base;
struct commands;
struct keeper;
struct listen;
struct metrics;
struct notify;
struct players;
struct recorder;
struct reporter;
struct groups;

struct metrics_opts {
	struct stats *stats;
	struct sessions *sessions;
	struct ports *ports;
	struct dp *dp;
	struct sync *sync;
	struct relay *relay;
	struct recorder *recorder;
	struct players *players;
	struct notify *notify;
	const struct accounts *accounts;
	const struct reporter *reporter; /* NULL: without --hep */
	const struct groups *groups;	 /* NULL: without --replicate */
	struct keeper *keeper;		 /* NULL: no journal */
	struct listen *listen;
	struct faces *faces;
	struct commands *commands;
	const struct admission *admission;
	struct survey *survey;
	const struct totals *totals;
	const char *version;
	uint16_t port_min, port_max;
};

/* metrics_new - from now on it measures how late the event loop of @base is. 0 or -ENOMEM. */
int metrics_new(struct metrics **out, struct event_base *base, const struct metrics_opts *opts);
void metrics_free(struct metrics *m); /* NULL is allowed */

/*
 * metrics_command - a command was executed that the daemon had read at @read_ns.
 * metrics_settled - the journal has the commands, and their replies leave now.
 */
void metrics_command(struct metrics *m, uint64_t read_ns);
void metrics_settled(struct metrics *m);

/* metrics_sample - the present figures of the plots. */
void metrics_sample(const struct metrics *m, struct history_now *out);

/* metrics_write - add the whole text to @out. */
void metrics_write(struct metrics *m, struct evbuffer *out);

#endif
