/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.c - a new thread inherits the signal mask, so it never runs without it. */
#include "base/thread.h"

#include <signal.h>

int thread_run(pthread_t *out, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(out, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
