/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - rtpxctl top: a screen of the state of all calls that is drawn again every two seconds.
 */
#ifndef RTPX_TOP_H
#define RTPX_TOP_H

/*
 * top_run - draw until the user presses q or ^C. When standard output is no terminal: print one
 * screen and return. 0; -1: no daemon answered, errno has the error.
 */
int top_run(const char *socket_path);

#endif
