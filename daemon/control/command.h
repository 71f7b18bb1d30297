/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - a command line in, a reply out: proto parses, engine acts, proto prints. Thin.
 */
#ifndef RTPX_COMMAND_H
#define RTPX_COMMAND_H

#include "base/base.h"
#include "engine/engine.h"

#define COMMAND_MAX_REPLY 1024

struct commands;
struct commands_opts {
	struct engine *engine;
	struct stats *stats;
	bool notify;	 /* some -n was given */
	bool notify_rpc; /* some of them an RPC target */
	bool bridge;
};
int commands_new(struct commands **out, const struct commands_opts *opts);
void commands_free(struct commands *c);

/*
 * command_run - execute one command of @len bytes (any bytes) and write the reply, ending in '\n',
 * to @reply. @peer: who sent it (ADDR_NONE for unix and stdio), for %%CC_SELF%%. Returns the
 * reply's length, at least 1.
 */
size_t command_run(struct commands *c, const char *line, size_t len, const struct addr *peer,
		   uint64_t now_ns, char reply[COMMAND_MAX_REPLY]);

/*
 * command_capabilities - the table behind VF and -v: date and text of the n-th; NULL past the end.
 * *@live: VF answers 1.
 */
const char *command_capability(unsigned int n, const char **text, bool *live);

#endif
