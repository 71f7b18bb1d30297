/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.h - starts threads that leave all signals to the loop, and waits for them. The limit of a
 * wait does not move when the system's clock is set.
 */
#ifndef RTPX_THREAD_H
#define RTPX_THREAD_H

#include <pthread.h>
#include <stdint.h>

/*
 * thread_run - run @run(@arg) in a new thread that blocks all signals. So a write to a file over
 * the size limit is an error there, and no SIGXFSZ. 0 or -errno.
 */
int thread_run(pthread_t *out, void *(*run)(void *arg), void *arg);

/*
 * thread_cond_init - a condition for thread_wait(). pthread_cond_destroy() ends it.
 * thread_wait - wait for @cond until @until_ns of CLOCK_MONOTONIC. 0: it was signalled, or the wait
 * ended without a reason; -ETIMEDOUT.
 */
void thread_cond_init(pthread_cond_t *cond);
int thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t until_ns);

#endif
