/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - the command line: rtpproxy's options with rtpproxy's meanings, and our own as long
 * options.
 */
#ifndef RTPX_OPTIONS_H
#define RTPX_OPTIONS_H

#include "config.h"

struct admin_setting;

enum options_action {
	OPTIONS_RUN,
	OPTIONS_EXIT
}; /* OPTIONS_EXIT: -v, -V, -C, --help, or an error; see c->exit_code */

/*
 * options_parse - fill @c from the command line. Errors print a sentence on stderr. The exit code
 * is 1 for rtpproxy's options (as with rtpproxy). It is 2 for ours, and for unknown or
 * contradictory options unless started as `rtpproxy`. config_free() it after OPTIONS_RUN.
 */
enum options_action options_parse(struct config *c, int argc, char **argv);
/*
 * options_setting - struct admin_opts.setting; @config is a struct config. Options are in the order
 * of --help. The texts of *@out are valid until the next call.
 */
bool options_setting(void *config, unsigned int i, struct admin_setting *out);

#endif
