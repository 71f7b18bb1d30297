/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirs.h - the check of the directories that the daemon uses, by rtpxctl doctor.
 */
#ifndef RTPX_DIRS_H
#define RTPX_DIRS_H

#include "findings.h"

/*
 * dirs_check - for each directory in @settings, the daemon's answer to "config", tell whether the
 * process @pid may use it, as its user and in its mount namespace. Needs root. A directory on a
 * file system that hangs takes as long as that.
 */
void dirs_check(struct findings *f, struct json_object *settings, long pid);

#endif
