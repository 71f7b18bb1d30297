/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - one table of signals.
 */
#include <stddef.h>
#include <unistd.h>

#include "signals.h"
#include "base/base.h"
#include "base/log.h"

/* clang-format off */
static const struct {
	int number;
	enum signal_effect effect;
} signals[] = {
	{ SIGTERM, SIGNAL_STOP },  { SIGINT, SIGNAL_STOP },    { SIGUSR1, SIGNAL_STOP },
	{ SIGUSR2, SIGNAL_STOP },  { SIGXCPU, SIGNAL_STOP },   { SIGXFSZ, SIGNAL_FILE_SIZE },
	{ SIGPROF, SIGNAL_STOP },  { SIGVTALRM, SIGNAL_STOP }, { SIGHUP, SIGNAL_SLOW },
	{ SIGPWR, SIGNAL_LEAVE },
	{ SIGQUIT, SIGNAL_FATAL }, { SIGILL, SIGNAL_FATAL },   { SIGTRAP, SIGNAL_FATAL },
	{ SIGABRT, SIGNAL_FATAL }, { SIGFPE, SIGNAL_FATAL },   { SIGBUS, SIGNAL_FATAL },
	{ SIGSEGV, SIGNAL_FATAL }, { SIGSYS, SIGNAL_FATAL },
};
/* clang-format on */

/*
 * SIGXFSZ. The kernel sends it when we write beyond the limit on file sizes; si_pid is our own
 * then. The write fails with an error, so the signal is ignored. From another process it ends the
 * daemon, as with rtpproxy.
 */
static void on_file_size(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	if (info->si_pid != getpid())
		kill(getpid(), SIGTERM);
}

/*
 * Log a crash, then take the default action. The log may hang in a crashed process; the alarm ends
 * the process then.
 */
static void on_fatal(int number)
{
	alarm(2);
	log_line(LOG_LVL_CRIT, NULL, __func__, __LINE__, "signal %d: rtpxd has crashed", number);
	raise(number);
}

sigset_t signals_held(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i].effect < SIGNAL_FILE_SIZE)
			sigaddset(&set, signals[i].number);
	return set;
}

void signals_hold(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	const struct sigaction file_size = { .sa_sigaction = on_file_size, .sa_flags = SA_SIGINFO };
	const struct sigaction fatal = { .sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND };
	const sigset_t set = signals_held();

	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		if (signals[i].effect == SIGNAL_FATAL)
			sigaction(signals[i].number, &fatal, NULL);
		else if (signals[i].effect == SIGNAL_FILE_SIZE)
			sigaction(signals[i].number, &file_size, NULL);
	}
}

enum signal_effect signals_effect(int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (signals[i].number == number)
			return signals[i].effect;
	return SIGNAL_FATAL;
}
