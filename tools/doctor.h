/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.h - checks the host and the daemon, and names a remedy for each fault.
 */
#ifndef RTPX_DOCTOR_H
#define RTPX_DOCTOR_H

#include <stdbool.h>

/*
 * doctor_run - print the findings of every check, as lines or JSON. False: no new call can work. It
 * works without a daemon, too.
 */
bool doctor_run(const char *socket_path, bool as_json);

#endif
