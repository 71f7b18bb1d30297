/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dirlock.h - a directory that one daemon at a time may use. The lock is flock(2)'s: it goes with the
 * descriptor, so whoever is killed lets go of it.
 */
#ifndef RTPX_DIRLOCK_H
#define RTPX_DIRLOCK_H

/*
 * dirlock - take the lock on an open directory, for as long as @fd or a copy of it is open. 0;
 * -EBUSY when another process has it, after a second in which a killed one may still let go of it;
 * or -errno.
 */
int dirlock(int fd);

#endif
