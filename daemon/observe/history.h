/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * history.h - the last hour as points of time, for plots. It is kept in memory only, and measures
 * nothing itself.
 */
#ifndef RTPX_HISTORY_H
#define RTPX_HISTORY_H

#include "base/base.h"

#define HISTORY_STEP_NS (10 * NSEC_PER_SEC)
#define HISTORY_POINTS 360 /* an hour */

/*
 * name, kind. LEVEL: the value at the end of a step. RATE: growth of a counter, per second. MEAN:
 * growth of a sum divided by the growth of its count; no value when the count did not grow.
 */
#define HISTORY_COLUMNS(X)      \
	X(sessions, LEVEL)      \
	X(one_way, LEVEL)       \
	X(silent, LEVEL)        \
	X(sessions_begun, RATE) \
	X(commands, RATE)       \
	X(command_errors, RATE) \
	X(kernel_packets, RATE) \
	X(socket_packets, RATE) \
	X(strangers, RATE)      \
	X(loss, MEAN)           \
	X(jitter, MEAN)         \
	X(mos, MEAN)            \
	X(loop_lag, MEAN)

enum history_column {
#define HISTORY_ENUM(name, kind) HISTORY_##name,
	HISTORY_COLUMNS(HISTORY_ENUM)
#undef HISTORY_ENUM
		HISTORY_COLUMN_COUNT,
};

/* The present figures: level, counter, or sum with its count. */
struct history_now {
	struct {
		double value, count;
	} column[HISTORY_COLUMN_COUNT];
};

struct history;
struct json_object;

int history_new(struct history **out); /* 0 or -ENOMEM */
void history_free(struct history *h);  /* NULL is allowed */

/* history_is_due - a step is over: call history_add(). */
bool history_is_due(const struct history *h, uint64_t now_ns);
/* history_add - end a step. @realtime_ns: CLOCK_REALTIME. */
void history_add(struct history *h, const struct history_now *now, uint64_t now_ns,
		 uint64_t realtime_ns);
/*
 * history_json - {"step_s", "columns": [names], "points": [[Unix time in s, values or null, …]]},
 * oldest first. NULL without memory.
 */
struct json_object *history_json(const struct history *h);

#endif
