/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.h - tells controllers about sessions that have timed out. Each target of -n has a queue.
 * No function here blocks: connections and HTTP go through the event loop.
 *
 * A unix: or tcp: target gets the tag that the controller gave with its U, and a newline. The
 * connection is opened at first use and kept. An xmlrpc: or jsonrpc: target gets a request to end
 * the dialog, see rpc.h. An RPC target needs no tag, so the first one serves every session
 * that names no target.
 */
#ifndef RTPX_NOTIFY_H
#define RTPX_NOTIFY_H

#include "base/addr.h"
#include "base/base.h"
#include "notify/spec.h"

#define NOTIFY_MAX_TARGETS 64 /* of -n, and those made for %%CC_SELF%% */
/* messages in the queue of one target: all calls may time out at once */
#define NOTIFY_MAX_QUEUED 65536
#define NOTIFY_PATIENCE_MS 30000

struct event_base;
struct notify;

struct notify_opts {
	const char *const *targets; /* values of -n */
	unsigned int n_targets;
	bool no_resolve;
	uint32_t patience_ms; /* how long a message is retried; it is tried at least once */
};

/*
 * notify_new - make the targets and start to look up their host names. Messages wait for the
 * answers of the name server; its errors are logged. 0, or -errno with a sentence in @err for a
 * target that can never work.
 */
int notify_new(struct notify **out, struct event_base *base, const struct notify_opts *opts,
	       char *err, size_t err_size);
/* notify_free - waiting messages are lost, and their number is logged. NULL is allowed. */
void notify_free(struct notify *n);

bool notify_enabled(const struct notify *n); /* -n was given */
/*
 * notify_find - the target that a command names. @name must be a value of -n; it may lack "unix:".
 * @peer: the sender of the command, for %%CC_SELF%%; if it is not IPv4, 127.0.0.1 is used. -1:
 * none.
 */
int notify_find(struct notify *n, struct span name, const struct addr *peer);
/* notify_name - the name of a target for notify_again(); NULL for -1. */
const char *notify_name(const struct notify *n, int target);
/* notify_again - the target that had @name in a previous daemon; -1: it does not exist now. */
int notify_again(struct notify *n, struct span name);
/* notify_default - the target for sessions without one: the first RPC target of -n, or -1. */
int notify_default(const struct notify *n);
/* notify_ends_calls - the target wants one message per call, not per session. */
bool notify_ends_calls(const struct notify *n, int target);

/* A session that has timed out, with the names that its controller gave. */
struct notify_event {
	const char *call_id, *from_tag;
	const char *to_tag; /* NULL: not known */
	const char *tag;    /* decoded; NULL: none; only an RPC target needs none */
	unsigned int group; /* of the session's number, see session.h */
};

/* notify_send - queue a message. A message that cannot be delivered is logged and counted. */
void notify_send(struct notify *n, int target, const struct notify_event *event, uint64_t now_ns);

/* A message that waits or is being sent. */
struct notify_message {
	/* has the session's group; unique in this process until 2^28 messages later */
	uint32_t number;
	const char *target; /* as notify_name() gives it */
	struct notify_event event;
	uint64_t queued_ns;
};

/*
 * notify_watch - call @queued for each new message of notify_send(), and @gone when a message was
 * delivered, refused or given up.
 */
void notify_watch(struct notify *n, void (*queued)(void *arg, const struct notify_message *m),
		  void (*gone)(void *arg, uint32_t number), void *arg);
/* notify_each - call @fn for every message; those of one target in the order of sending. */
void notify_each(const struct notify *n, void (*fn)(void *arg, const struct notify_message *m),
		 void *arg);
/*
 * notify_restore - queue a message of the previous daemon. Its age counts from its first queueing,
 * in that daemon. 0, -ENOENT if -n does not name its target now, or -ENOMEM.
 */
int notify_restore(struct notify *n, const struct notify_message *m);
/* notify_left - the next daemon has the messages, so notify_free() does not log them as lost. */
void notify_left(struct notify *n);

/*
 * notify_is_idle - no message is being sent, and every waiting message is too old to be retried
 * because its target cannot be reached.
 */
bool notify_is_idle(const struct notify *n);

/* name, text */
#define NOTIFY_COUNTERS(X)                                      \
	X(sent, "delivered")                                    \
	X(refused, "refused by the controller")                 \
	X(lost, "given up when the time for retrying was over") \
	X(overflow, "not queued because the queue was full")    \
	X(retries, "failed attempts that were repeated")

struct notify_counts {
#define NOTIFY_FIELD(name, text) uint64_t name;
	NOTIFY_COUNTERS(NOTIFY_FIELD)
#undef NOTIFY_FIELD
};

struct notify_view {
	const char *name;
	const char *error; /* latest failure since a delivery; NULL: none */
	unsigned int queued;
	struct notify_counts counts;
};

/*
 * notify_view - the @i-th target; false past the end. Its texts are valid in this turn of the loop.
 */
bool notify_view(const struct notify *n, unsigned int i, struct notify_view *out);

#endif
