/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h - control sockets: unix, cunix, udp, udp6, tcp, tcp6, stdio, stdioc, systemd; framing,
 * cookies and the retransmission cache. Knows nothing of what a command means.
 */
#ifndef RTPX_LISTEN_H
#define RTPX_LISTEN_H

#include <sys/types.h>

#include "base/addr.h"
#include "base/base.h"
#include "control/passed.h"

struct cookies;
struct event_base;
struct listen;

struct listen_opts {
	/*
	 * run - execute one command; writes at most 1024 bytes to @reply and returns their number.
	 * @peer: ADDR_NONE on unix sockets and stdio. @now_ns: CLOCK_MONOTONIC, once per batch.
	 */
	size_t (*run)(void *arg, const char *line, size_t len, const struct addr *peer,
		      uint64_t now_ns, char *reply);
	/*
	 * settle - what the commands of a batch have done is to be made lasting: their replies
	 * leave when it returns. May be NULL.
	 */
	void (*settle)(void *arg);
	/* duplicate - a datagram was answered from the cache. */
	void (*duplicate)(void *arg);
	/* eof - stdio reached its end: slow shutdown (@must_exit: stdioc, end at once). */
	void (*eof)(void *arg, bool must_exit);
	void *arg;
	bool no_resolve;
	uid_t uid; /* owner of unix sockets, (uid_t)-1: leave */
	gid_t gid;
	int mode;  /* of unix sockets, -1: leave to umask */
	/* so long an address may still be that of a previous daemon, which was killed; 0: it is not */
	unsigned int patience_ms;
};

int listen_new(struct listen **out, const struct listen_opts *opts);

/*
 * listen_passed - before listen_add(): a bound socket that was open before this process. Takes @fd
 * over. listen_add() uses it in place of one of its own with the same type and address.
 */
void listen_passed(struct listen *l, int fd, enum passed_origin origin);

/*
 * listen_add - open one -s SPEC (before the daemon forks). On failure -errno, with a sentence in
 * @err that names the spec and the remedy. @foreground: stdio is allowed.
 */
int listen_add(struct listen *l, const char *spec, bool foreground, char *err, size_t err_size);

/*
 * listen_added - after the last listen_add(): "systemd:" gets the sockets of socket units that are
 * left, others are closed. On failure -errno, with a sentence in @err.
 */
int listen_added(struct listen *l, char *err, size_t err_size);

/* listen_store - ask the service manager to hold what it does not hold yet; see systemd.h. */
void listen_store(const struct listen *l);

/* listen_start - begin to serve all that were added, in @base. */
int listen_start(struct listen *l, struct event_base *base);

/*
 * listen_stop - stop accepting and reading. @leave: the sockets are left to the next daemon, else
 * unix sockets are unlinked and the service manager lets go of all. listen_free also frees.
 *
 * listen_is_answering - after that: a peer of "unix:", whose connection has been accepted, still
 * waits for its one reply. Turn the loop until it has it.
 */
void listen_stop(struct listen *l, bool leave);
bool listen_is_answering(const struct listen *l);
void listen_free(struct listen *l);

/*
 * listen_fds - descriptors of all sockets, also of those that no listen_add() has taken yet, at most
 * @max; returns their number. They stay ours.
 */
unsigned int listen_fds(const struct listen *l, int *fds, unsigned int max);

/* listen_describe - the n-th listener as text ("udp:127.0.0.1:7722"); NULL past the end. */
const char *listen_describe(const struct listen *l, unsigned int n);
/* listen_has_udp - some listener is udp or udp6 (root check of rtpproxy's -F). */
bool listen_has_udp(const struct listen *l);
/* listen_cookies - the retransmission cache, for the keeper. */
struct cookies *listen_cookies(const struct listen *l);
/* listen_replies_bytes - memory of the retransmission cache. */
size_t listen_replies_bytes(const struct listen *l);

#endif
