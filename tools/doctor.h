/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.h - checks the host and the daemon, and names the remedy for what is not well.
 */
#ifndef RTPX_DOCTOR_H
#define RTPX_DOCTOR_H

#include <stdbool.h>

/*
 * doctor_run - print every check's line (or JSON); false when something is wrong. Works without a
 * daemon too.
 */
bool doctor_run(const char *socket_path, bool as_json);

#endif
