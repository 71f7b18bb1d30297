/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirlock.h - a directory that one daemon at a time may use. The lock is a flock(2): it goes with
 * the descriptor, so a killed daemon leaves no lock behind.
 */
#ifndef RTPX_DIRLOCK_H
#define RTPX_DIRLOCK_H

/*
 * dirlock - take the lock on an open directory or file. It lasts as long as @fd or a copy of it is
 * open.
 *
 * 0, -EBUSY or -errno. If the holder goes on, -EBUSY comes at once. If the holder ends, wait for
 * it: 10 seconds when it has called dirlock_ending() or has a signal to end, 1 second when it was
 * killed or cannot be seen (another pid namespace, no /proc).
 */
int dirlock(int fd);

/*
 * dirlock_try - as dirlock() without waiting: -EBUSY even if the holder ends. For the event loop.
 */
int dirlock_try(int fd);

/*
 * dirlock_ending - this process ends: from now on other processes wait for its locks. Also renames
 * the process to "rtpxd-ending", for people to see.
 */
void dirlock_ending(void);

#endif
