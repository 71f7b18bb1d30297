/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - executes a command line and writes its reply. proto parses the line, engine acts,
 * proto prints.
 */
#ifndef RTPX_COMMAND_H
#define RTPX_COMMAND_H

#include "base/base.h"
#include "engine/engine.h"
#include "engine/prompts.h"
#include "engine/recordings.h"

#define COMMAND_MAX_REPLY 1024

struct commands;
struct commands_opts {
	struct engine *engine;
	const struct sessions *sessions;
	const struct faces *faces;
	struct recordings recordings;
	struct prompts prompts;
	struct stats *stats;
	bool notify;	 /* -n was given */
	bool notify_rpc; /* -n was given with an RPC target */
	bool bridge;
};
int commands_new(struct commands **out, const struct commands_opts *opts);
void commands_free(struct commands *c);

/*
 * command_run - execute one command of @len bytes, which may have any values, and write the reply
 * to @reply. The reply ends in '\n'. @peer: the sender of the command, for %%CC_SELF%%; ADDR_NONE
 * for unix and stdio. Returns the length of the reply, at least 1.
 */
size_t command_run(struct commands *c, const char *line, size_t len, const struct addr *peer,
		   uint64_t now_ns, char reply[COMMAND_MAX_REPLY]);

/* Commands by letter, and those that failed by the number after E in their reply. */
#define COMMAND_ERRORS 100
struct command_counts {
	uint64_t ops[OP_FEATURE + 2]; /* by enum proto_op; the last: lines that did not parse */
	uint64_t errors[COMMAND_ERRORS];
	uint64_t no_session; /* L for an unknown session: the reply is 0 */
};
const struct command_counts *commands_counts(const struct commands *c);
/* command_letter - "U", "VF" or "unreadable", by the index in ops; NULL past the end. */
const char *command_letter(unsigned int op);

/*
 * command_capability - the table behind VF and -v: date and text of the @n-th capability; NULL past
 * the end. *@live: rtpxd has the capability, so VF answers 1. Notifications also need -n.
 */
const char *command_capability(unsigned int n, const char **text, bool *live);

#endif
