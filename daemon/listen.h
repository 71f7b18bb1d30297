/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.h - control sockets: unix, cunix, udp, udp6, tcp, tcp6, stdio, stdioc, systemd; framing,
 * cookies and the retransmission cache. Knows nothing of what a command means.
 */
#ifndef RTPX_LISTEN_H
#define RTPX_LISTEN_H

#include <sys/types.h>

#include "addr.h"
#include "base.h"

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
};

int listen_new(struct listen **out, const struct listen_opts *opts);

/*
 * listen_add - open one -s SPEC (before the daemon forks). On failure -errno, with a sentence in
 * @err that names the spec and the remedy. @foreground: stdio is allowed.
 */
int listen_add(struct listen *l, const char *spec, bool foreground, char *err, size_t err_size);

/* listen_start - begin to serve all that were added, in @base. */
int listen_start(struct listen *l, struct event_base *base);

/* listen_stop - stop accepting and reading; unlink unix sockets. listen_free also frees. */
void listen_stop(struct listen *l);
void listen_free(struct listen *l);

/* listen_describe - the n-th listener as text ("udp:127.0.0.1:7722"); NULL past the end. */
const char *listen_describe(const struct listen *l, unsigned int n);
/* listen_has_udp - some listener is udp or udp6 (root check of rtpproxy's -F). */
bool listen_has_udp(const struct listen *l);
/* listen_replies_bytes - memory of the retransmission cache. */
size_t listen_replies_bytes(const struct listen *l);

#endif
