/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirlock.h - a directory that one daemon at a time may use. The lock is flock(2)'s: it goes with the
 * descriptor, so a killed daemon leaves none behind.
 */
#ifndef RTPX_DIRLOCK_H
#define RTPX_DIRLOCK_H

/*
 * dirlock - take the lock on an open directory or file, for as long as @fd or a copy of it is open.
 *
 * 0, -EBUSY or -errno. -EBUSY comes at once when a process that goes on holds the lock. A process
 * that ends is waited for: 10 seconds for one that has called dirlock_ending() or has a signal to
 * end, 1 second for one that was killed or cannot be seen (another pid namespace, no /proc).
 */
int dirlock(int fd);

/* dirlock_try - the same without waiting: -EBUSY whoever holds the lock. For the event loop. */
int dirlock_try(int fd);

/*
 * dirlock_ending - this process ends: from now on other processes wait for its locks. It is called
 * "rtpxd-ending" then, for people, too.
 */
void dirlock_ending(void);

#endif
