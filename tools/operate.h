/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * operate.h - rtpxctl's commands that change a running rtpxd.
 */
#ifndef RTPX_TOOLS_OPERATE_H
#define RTPX_TOOLS_OPERATE_H

#include <stdbool.h>

struct json_object;

/*
 * operate_show - ask for the change @request [@arg], and print the result as a sentence or, with
 * @as_json, as JSON. Returns 0; 1: there was nothing to change; 2: refused, after a sentence on
 * stderr; 3: no daemon answers (errno), and nothing was printed.
 */
int operate_show(const char *socket_path, bool as_json, const char *request, const char *arg);

/* operate_admission_line - print the line of `status` about limits and draining. */
void operate_admission_line(struct json_object *admission);

#endif
