/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * provoked.h - the log lines that a packet, a command or a failing disk can provoke time and again,
 * in one table. Each kind is limited: see log_kind_line(). The number of lines left out follows.
 *
 * One line is not limited: that of an ended session, of which the log has each. tests/style refuses
 * other lines in modules that peers reach.
 */
#ifndef RTPX_PROVOKED_H
#define RTPX_PROVOKED_H

#include "base/log.h"

/* name, level, lines a second, text */
#define PROVOKED(X)                                                                               \
	X(MALFORMED, WARN, 1, "command \"%.*s\" from %s: malformed, refused (E%d)")               \
	X(NO_SESSION, INFO, 1, "command \"%.*s\" from %s: there is no such session")              \
	X(MANY_PEERS, WARN, 1, "%s: %u control connections are open; for a new one %s")           \
	X(PEER_WAITS, WARN, 1, "%s: a connection waits: %s")                                      \
	X(NO_COMMAND, WARN, 1, "%s: cannot receive: %s")                                          \
	X(NO_REPLY, WARN, 1, "%s: cannot send a reply: %s")                                       \
	X(NOT_ADMITTED, WARN, 1, "new session refused (E%d): %s; %u sessions")                    \
	X(NO_PORTS_NEW, ERR, 1, "no media ports for a new session on %s: %s")                     \
	X(NO_PORTS, ERR, 1, "no media ports for the session on %s: %s")                           \
	X(ITSELF, DBUG, 1, "the address of a party is a port of the same session: ignored")       \
	X(NO_TARGET, ERR, 1, "notification target '%.*s' is none of the -n options: ignored")     \
	X(SILENT, INFO, 20, "session %u timed out: no media from %s")                             \
	X(NO_CALLEE, INFO, 20, "session %u timed out: no L has named its callee%s")               \
	X(NOT_NOTIFIED, WARN, 1, "notification to %s: %s; %u waiting")                            \
	X(DIGITS_REFUSED, WARN, 1,                                                                \
	  "digits of the %s (M3:1): refused, the U of this call names no target of -n that "      \
	  "takes digits; name a unix: or tcp: one")                                               \
	X(DIGITS_MANY, WARN, 1,                                                                   \
	  "digits of the %s: more than %d a second; the further ones are not reported")           \
	X(PROMPT_DOUBT, WARN, 1, "prompt %s: %s")                                                 \
	X(PROMPT_BAD, ERR, 1, "prompt %s: %s")                                                    \
	X(PROMPT_CACHE, WARN, 1,                                                                  \
	  "prompt %s: its file in the cache: %s; the prompt is encoded again")                    \
	X(PROMPT_LATE, WARN, 1,                                                                   \
	  "prompt %s: encoding falls behind, the listener hears pauses; encode it with makeann")  \
	X(PROMPT_MISSING, DBUG, 1, "prompt %.*s.%d: %s")                                          \
	X(PROMPT_UNKNOWN, WARN, 1,                                                                \
	  "prompt %.*s: no file for the other codecs, and the codec of payload type %d is not "   \
	  "known; name it with --codec")                                                          \
	X(PROMPT_NO_ENCODER, WARN, 1,                                                             \
	  "prompt %.*s: cannot be encoded for payload type %d: %s; provide a file of its frames") \
	X(PROMPT_OUTSIDE, WARN, 1,                                                                \
	  "prompt %.*s: rtpxd may not read it; it must be in --prompt-dir")                       \
	X(NOT_RECORDED, ERR, 1, "cannot record: %s")                                              \
	X(NO_FILE, ERR, 1, "cannot record to %s/%s%s: %s")                                        \
	X(NOT_COPIED, ERR, 1, "cannot copy to udp:%.*s: %s")                                      \
	X(NOT_WRITTEN, ERR, 1, "recording %s/%s: %s; packets are lost, the call goes on")         \
	X(NOT_MOVED, ERR, 1, "recording %s stays in %s, it cannot be moved to %s: %s")            \
	X(NOT_RESCUED, ERR, 1, "recording %s stays in %s: out of memory")                         \
	X(NO_SHEET, ERR, 1,                                                                       \
	  "recording %s: cannot write its description in %s: %s; the next rtpxd writes it")       \
	X(NO_NOTE, WARN, 1,                                                                       \
	  "%s/%s: cannot note a recording that begins: %s; it gets no description after a kill")  \
	X(SHEETS_FULL, ERR, 1,                                                                    \
	  "%s: the disk is too slow for descriptions of recordings; the next start writes them")  \
	X(ORPHAN_DONE, WARN, 5, "recording %s: completed after a daemon that did not")            \
	X(STEP_FAILED, ERR, 2, "recording %s: its %s failed: %s")                                 \
	X(NO_JOB, ERR, 1, "%s/%s/%s: it is no description of a recording")                        \
	X(NOT_REMOVED, ERR, 1, "recording %s: cannot remove it: %s")                              \
	X(REMOVED, INFO, 5, "recording %s: removed by --record-days or --record-quota")           \
	X(SPOOL_ORPHAN, WARN, 1,                                                                  \
	  "recording %s: no recording of this rtpxd has this file, and it stays; if no other "    \
	  "rtpxd writes there, move it to the directory of -r")                                   \
	X(RECORDED_AGAIN, WARN, 1, "recording %s goes on, %llu packets are missing")              \
	X(SLOW_DISK, WARN, 1, "the disk of the recordings is slow to open files")                 \
	X(FLOW_REFUSED, WARN, 1, "the dataplane refuses the flow of port %u: %s")                 \
	X(HOP_REFUSED, ERR, 1, "cannot write next hop %u: %s")                                    \
	X(COLLECTOR_GONE, WARN, 1, "HEP collector %s: %s; reports %s until it is back")           \
	X(COLLECTOR_BACK, WARN, 1, "HEP collector %s: takes reports again, %llu were lost")       \
	X(STANDBY_RECORD, ERR, 1,                                                                 \
	  "standby: a record of the owner describes no call that this version knows: that "       \
	  "call cannot be taken over")                                                            \
	X(STANDBY_MEMORY, ERR, 1, "standby: out of memory for a record of the owner")             \
	X(REDIS_SLOW, WARN, 1,                                                                    \
	  "standby: Redis is too slow for the changes; all records are written again when "       \
	  "it has caught up")                                                                     \
	X(REDIS_NEWER, ERR, 1,                                                                    \
	  "standby: a newer version of rtpx owns the calls, so this one cannot take them "        \
	  "over: upgrade it")                                                                     \
	X(REDIS_EPOCH, ERR, 1,                                                                    \
	  "standby: the epoch cannot be raised (%s): the previous owner is not refused; it "      \
	  "is tried again every second")

enum provoked {
#define PROVOKED_ENUM(name, level, per_s, text) PROVOKED_##name,
	PROVOKED(PROVOKED_ENUM)
#undef PROVOKED_ENUM
		PROVOKED_KINDS
};

/* The texts, where the compiler compares them with their arguments. */
#define PROVOKED_TEXT(name, level, per_s, text) \
	static const char text_of_PROVOKED_##name[] __attribute__((unused)) = text;
PROVOKED(PROVOKED_TEXT)
#undef PROVOKED_TEXT

/* provoked_kind - its limiter, for a line of this place in the sources. */
struct log_kind *provoked_kind(enum provoked name, const char *func, int line);

/* log_provoked - a line of the kind PROVOKED_…, with the arguments of its text. */
#define log_provoked(name, call, ...) \
	log_kind_line(provoked_kind(name, __func__, __LINE__), call, text_of_##name, ##__VA_ARGS__)

#endif
