/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.h - starts a thread that leaves all signals to the loop. */
#ifndef RTPX_THREAD_H
#define RTPX_THREAD_H

#include <pthread.h>

/*
 * thread_run - run @run(@arg) in a new thread that blocks all signals. So a write to a file over
 * the size limit is an error there, and no SIGXFSZ. 0 or -errno.
 */
int thread_run(pthread_t *out, void *(*run)(void *arg), void *arg);

#endif
