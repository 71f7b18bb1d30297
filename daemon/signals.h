/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.h - the signals of the process, and their effects. main carries the effects out.
 */
#ifndef RTPX_SIGNALS_H
#define RTPX_SIGNALS_H

#include <signal.h>

enum signal_effect {
	SIGNAL_STOP,	  /* end, with all calls */
	SIGNAL_SLOW,	  /* refuse new sessions, and end after the last one */
	SIGNAL_LEAVE,	  /* end, and leave the calls to the next rtpxd */
	SIGNAL_FILE_SIZE, /* ignored if the kernel sent it */
	SIGNAL_FATAL,	  /* a crash */
};

/*
 * signals_hold - block the signals of signals_held(), from before the control sockets are opened
 * until the process ends: they start no handler and no default action. A signal during the start
 * waits for the event loop; a signal after the event loop has no effect. dirlock() of another
 * process sees a waiting signal, and knows that this process is about to end. The other signals get
 * handlers.
 */
void signals_hold(void);
/* signals_held - the signals that the event loop reads from a descriptor. */
sigset_t signals_held(void);
/* signals_effect - the effect of a held signal. */
enum signal_effect signals_effect(int number);

#endif
