/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * notify.h - tells controllers of sessions that have timed out: the targets of -n, and a queue for
 * each. Nothing here waits: connections and HTTP go through the event loop.
 *
 * To unix: and tcp: targets goes the tag that the controller has given with its U, and a newline,
 * over a connection that is opened at first use and kept. To xmlrpc: and jsonrpc: targets goes the
 * request to end the dialog, see notify_rpc.h; they need no tag, so the first of them serves every
 * session that names no target.
 */
#ifndef RTPX_NOTIFY_H
#define RTPX_NOTIFY_H

#include "base/addr.h"
#include "base/base.h"

#define NOTIFY_MAX_TARGETS 64 /* of -n, and those that %%CC_SELF%% has led to */
#define NOTIFY_MAX_SELF 2     /* of -n with %%CC_SELF%% */
#define NOTIFY_MAX_QUEUED 10000 /* waiting for one target */
#define NOTIFY_PATIENCE_MS 30000

enum notify_kind { NOTIFY_UNIX, NOTIFY_TCP, NOTIFY_SELF, NOTIFY_XMLRPC, NOTIFY_JSONRPC };

/* What a value of -n says. */
struct notify_spec {
	enum notify_kind kind;
	char path[1024]; /* of the socket, or that of the URL with its query */
	char host[256];	 /* without the brackets of an IPv6 address */
	uint16_t port;
};

/* notify_parse - 0, or -EINVAL with what is wrong with @text in *@why (static). */
int notify_parse(struct notify_spec *out, const char *text, const char **why);

static inline bool notify_is_rpc(enum notify_kind kind)
{
	return kind == NOTIFY_XMLRPC || kind == NOTIFY_JSONRPC;
}

struct event_base;
struct notify;

struct notify_opts {
	const char *const *targets; /* values of -n */
	unsigned int n_targets;
	bool no_resolve;
	uint32_t patience_ms; /* so long a message is tried again, and once in any case */
};

/*
 * notify_new - begins to ask for the names of hosts; what a name server says is logged, and messages
 * wait for it. -errno with a sentence in @err for a target that can never work.
 */
int notify_new(struct notify **out, struct event_base *base, const struct notify_opts *opts,
	       char *err, size_t err_size);
/* notify_free - what still waits is lost, and that is logged. NULL is allowed. */
void notify_free(struct notify *n);

bool notify_enabled(const struct notify *n); /* there is a -n */
/*
 * notify_find - the target that a command means by @name, which must be a value of -n; "unix:" may
 * be left out. @peer: who sent the command, for %%CC_SELF%%: 127.0.0.1 unless it is IPv4. -1: none.
 */
int notify_find(struct notify *n, struct span name, const struct addr *peer);
/* notify_name - what names a target to notify_again(); NULL for -1. */
const char *notify_name(const struct notify *n, int target);
/* notify_again - the target that had this name in an earlier daemon; -1: there is none such now. */
int notify_again(struct notify *n, struct span name);
/* notify_default - the target of sessions that name none: the first RPC target of -n, or -1. */
int notify_default(const struct notify *n);
/* notify_ends_calls - the target is told once for all sessions of a call. */
bool notify_ends_calls(const struct notify *n, int target);

/* A session that has timed out, as its controller has named it. */
struct notify_event {
	const char *call_id, *from_tag;
	const char *to_tag; /* NULL: not known */
	const char *tag;    /* decoded; NULL: none, which only an RPC target can do without */
};

/* notify_send - queue it. What cannot be delivered is logged and counted. */
void notify_send(struct notify *n, int target, const struct notify_event *event, uint64_t now_ns);

/* A message that waits or is under way. */
struct notify_message {
	uint32_t number;    /* not used again while this process lives, or not for a long time */
	const char *target; /* as notify_name() gives it */
	struct notify_event event;
	uint64_t queued_ns;
};

/*
 * notify_watch - @queued is told of each message that begins to wait, @gone when it was delivered,
 * refused or given up.
 */
void notify_watch(struct notify *n,
		  void (*queued)(void *arg, const struct notify_message *m),
		  void (*gone)(void *arg, uint32_t number), void *arg);
/* notify_each - every message, those of a target in the order in which they are sent. */
void notify_each(const struct notify *n,
		 void (*fn)(void *arg, const struct notify_message *m), void *arg);
/*
 * notify_restore - a message of the previous daemon waits again; it is given up when it would have
 * been there. -ENOENT: its target is none of -n now; or -ENOMEM.
 */
int notify_restore(struct notify *n, const struct notify_message *m);
/* notify_left - the next daemon has the messages, so notify_free() does not call them lost. */
void notify_left(struct notify *n);

/*
 * notify_is_idle - no message is under way, and none waits but for a target that cannot be reached,
 * for longer than it is to be tried again.
 */
bool notify_is_idle(const struct notify *n);

/* name, text */
#define NOTIFY_COUNTERS(X)                                             \
	X(sent, "delivered")                                           \
	X(refused, "the controller would not, as it has said")         \
	X(lost, "given up after the time that was left for retrying")  \
	X(overflow, "not queued because too many waited")              \
	X(retries, "attempts that failed and were made again")

struct notify_counts {
#define NOTIFY_FIELD(name, text) uint64_t name;
	NOTIFY_COUNTERS(NOTIFY_FIELD)
#undef NOTIFY_FIELD
};

struct notify_view {
	const char *name;
	const char *error; /* of the last failure since something was delivered; NULL: none */
	unsigned int queued;
	struct notify_counts counts;
};

/* notify_view - the @i-th target; false past the end. The texts live until the loop's next turn. */
bool notify_view(const struct notify *n, unsigned int i, struct notify_view *out);

#endif
