/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - everything that is known about a session when it ends, as one value. Pure.
 *
 * The engine makes it after the dataplane has given its last statistics, and before ports close.
 */
#ifndef RTPX_REPORT_H
#define RTPX_REPORT_H

#include "base/addr.h"
#include "base/base.h"
#include "call/quality.h"
#include "call/session.h"

/* name in records, text in log lines: the reasons why a session ends, in their only table */
#define REPORT_ENDS(X)                                                   \
	X(DELETED, "deleted", "a D command ended it")                    \
	X(DELETED_ALL, "deleted_all", "an X command ended all sessions") \
	X(TIMEOUT, "timeout", "it timed out")                            \
	X(TERMINATED, "terminated", "an operator terminated it")         \
	X(SHUTDOWN, "shutdown", "rtpxd ended")

enum report_end {
#define REPORT_END_ENUM(id, name, text) REPORT_END_##id,
	REPORT_ENDS(REPORT_END_ENUM)
#undef REPORT_END_ENUM
		REPORT_END_COUNT,
};

/* report_end_name, report_end_text - the two columns of the table. */
const char *report_end_name(enum report_end end);
const char *report_end_text(enum report_end end);

/* RTP or RTCP from one party. */
struct report_stream {
	struct addr peer;  /* where packets for the party were sent; ADDR_NONE: never known */
	struct addr local; /* the port that the party sent to; ADDR_NONE: none */
	struct rtpx_flow_stats stats;
	uint64_t kernel_packets; /* of stats.packets */
	struct quality quality;	 /* of RTP; all 0 for RTCP */
};

/* One party: leg 0 has the packets of the callee, leg 1 those of the caller. */
struct report_leg {
	const char *advertised; /* text for replies instead of the local address; NULL: none */
	struct report_stream stream[STREAM_KINDS];
	uint64_t relayed, dropped; /* RTP of the party */
	bool on_hold;		   /* at the end */
	uint32_t holds;		   /* commands that put the party on hold */
};

/* The texts belong to the session: they are valid while the receiver of the report runs. */
struct call_report {
	const char *call_id, *from_tag;
	const char *to_tag; /* NULL: no command has given it */
	uint32_t number;
	bool complete; /* both legs had ports */
	enum report_end end;
	bool silent[2]; /* with TIMEOUT, by leg: the party whose silence ended the session */
	uint64_t created_ns, ended_ns; /* CLOCK_MONOTONIC */
	struct report_leg leg[2];
	uint64_t packets, bytes; /* RTP and RTCP from both parties */
	uint64_t kernel_packets; /* of these, forwarded in the kernel */
	double mos;		 /* of the worse party; 0: no estimate */
	enum { REPORT_BOTH_WAYS, REPORT_ONE_WAY, REPORT_SILENT } heard; /* parties that sent RTP */
};

/* report_make - @s has its last statistics, and its ports are open. */
void report_make(const struct session *s, enum report_end end, uint64_t now_ns,
		 struct call_report *out);

/* report_duration_s - from the first command to the end. */
double report_duration_s(const struct call_report *r);

/* report_kernel_share - 0 to 1; 0 without packets. */
double report_kernel_share(const struct call_report *r);

/*
 * report_line - write the report as one line for the log, at most @size bytes. It has no call-id:
 * every log line begins with it. Returns @buf.
 */
#define REPORT_LINE_MAX 1024
const char *report_line(const struct call_report *r, char *buf, size_t size);

#endif
