/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - one line per event: to stderr in the foreground, to syslog as a daemon, to systemd's
 * journal if that reads stderr. No function waits for a reader of the log, except log_close():
 * lines wait in memory. Lines beyond that memory are lost; the log gets their number when it takes
 * lines again.
 *
 * Format "LEVEL:CALLID|GLOBAL:function:line: text". On stderr a relative time precedes it when the
 * environment has RTPP_LOG_TFORM=rel (rtpproxy's convention). In the journal PRIORITY, CALL_ID,
 * CODE_FUNC and CODE_LINE are fields of the entry.
 */
#ifndef RTPX_LOG_H
#define RTPX_LOG_H

#include "base/base.h"

enum log_level { LOG_LVL_DBUG, LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERR, LOG_LVL_CRIT };

/* log_level_of - the level named @name ("dbug" … "crit", any case); -1 when there is none. */
int log_level_of(const char *name);

/*
 * log_facility_of - the syslog facility named @name, with or without "LOG_"; -1 when there is none.
 */
int log_facility_of(const char *name);

/*
 * log_open - set the lowest level and the destinations of lines. @facility matters only with
 * @to_syslog.
 */
void log_open(enum log_level level, bool to_stderr, bool to_syslog, int facility);

/*
 * log_prefix - what stands before a line that is written to stderr without this module: "<3>" and
 * so on, from which journald takes the level, or "" if journald does not read stderr.
 */
const char *log_prefix(enum log_level level);

/* log_level, log_set_level - the lowest level of lines. log_level_name - "DBUG" … "CRIT". */
enum log_level log_level(void);
void log_set_level(enum log_level level);
const char *log_level_name(enum log_level level);

/* log_close - call before the process ends: waits for readers of the log, half a second at most. */
void log_close(void);

/*
 * log_run - write waiting lines as far as the log takes them, and the numbers of lines that
 * log_kind_line() left out. Call it about once a second. @now_ns: CLOCK_MONOTONIC.
 */
void log_run(uint64_t now_ns);

/* log_line - write one line of @level; use the macros below. @call NULL or empty: GLOBAL. */
void log_line(enum log_level level, const char *call, const char *func, int line, const char *fmt,
	      ...) __attribute__((format(printf, 5, 6)));

#define log_call(level, call, ...) log_line(level, call, __func__, __LINE__, __VA_ARGS__)
#define log_dbug(...) log_line(LOG_LVL_DBUG, NULL, __func__, __LINE__, __VA_ARGS__)
#define log_info(...) log_line(LOG_LVL_INFO, NULL, __func__, __LINE__, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LVL_WARN, NULL, __func__, __LINE__, __VA_ARGS__)
#define log_err(...) log_line(LOG_LVL_ERR, NULL, __func__, __LINE__, __VA_ARGS__)

/* One kind of line: a row of base/provoked.h, or a level of a library's lines. */
struct log_kind {
	enum log_level level;
	unsigned int per_s; /* lines a second; 0: one */
	const char *func;
	int line;
	uint64_t spent_ns;	/* its spent time, to which each line adds its share of a second */
	unsigned long left_out; /* lines left out since its last line */
	struct log_kind *next;	/* next kind that left lines out */
};

/*
 * log_kind_line - as log_line(), for lines that a peer or its commands can provoke: per_s lines of
 * @kind a second, and LOG_BURST times as many at once. log_run() writes the number of lines left
 * out.
 */
void log_kind_line(struct log_kind *kind, const char *call, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define LOG_BURST 10 /* seconds whose lines a kind may write at once */

/*
 * A reader of all lines of one call, of every level and beyond all limits, and of log_trace(). The
 * caller owns it. Only lines of the thread that called log_follow() are told; @line runs in it and
 * must not log. A line ends with a newline.
 */
struct log_follower {
	const char *call;
	void (*line)(void *arg, const char *line, size_t len);
	void *arg;
	struct log_follower *prev, *next;
};

void log_follow(struct log_follower *f);
void log_unfollow(struct log_follower *f);

/*
 * log_trace - a line that only followers of @call get: a command, or a decision about a packet. It
 * costs a comparison when there are none.
 */
void log_trace(const char *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* log_is_followed - whether a line of log_trace() for @call has a reader. */
bool log_is_followed(struct span call);

#endif
