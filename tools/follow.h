/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow.h - rtpxctl's commands that read from the daemon until they are interrupted.
 */
#ifndef RTPX_TOOLS_FOLLOW_H
#define RTPX_TOOLS_FOLLOW_H

/*
 * follow_run - send "@request @arg" and copy the answer to @path, or to standard output if it is
 * NULL, until SIGINT, SIGTERM or the end of the daemon. Returns 0; 1: the output cannot be written;
 * 2: refused, after a sentence on stderr; 3: no daemon answers (errno).
 */
int follow_run(const char *socket_path, const char *request, const char *arg, const char *path);

#endif
