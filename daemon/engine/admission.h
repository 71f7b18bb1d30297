/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admission.h - whether a new session may begin: the limits of --max-sessions and --max-cps, and
 * draining by an operator. Existing calls are never refused. Pure.
 */
#ifndef RTPX_ADMISSION_H
#define RTPX_ADMISSION_H

#include "base/base.h"
#include "call/stats.h"
#include "protocol/proto.h"

struct admission {
	uint32_t max_sessions; /* 0: no limit */
	uint32_t max_cps;      /* new calls a second; 0: no limit */
	bool draining;	       /* new sessions get E99 */
	uint64_t draining_since_ns;
	uint64_t spent_ns;   /* its spent time, to which each new call adds a share of a second */
	struct stats *stats; /* counts refusals */
};

/* A session that a command asks for. */
struct admission_ask {
	unsigned int sessions; /* that exist now */
	bool new_call;	       /* no session has its call-id yet */
	uint64_t now_ns;
};

/*
 * admission_ask - PROTO_OK, E_SHUTDOWN (draining) or E_OVERLOAD (a limit). *@why gets the reason of
 * a refusal, as a static text. A further medium of a call never counts for --max-cps. A second's
 * worth of calls may come at once.
 */
enum proto_error admission_ask(struct admission *a, const struct admission_ask *ask,
			       const char **why);

/* admission_drain - refuse new sessions from now on, or admit them again. */
void admission_drain(struct admission *a, bool draining, uint64_t now_ns);

#endif
