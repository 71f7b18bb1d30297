/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shared.h - makes the sockets that all media ports share.
 */
#ifndef RTPX_SHARED_H
#define RTPX_SHARED_H

#include "base/addr.h"
#include "base/base.h"

/*
 * shared_new - a UDP socket that a program can choose for packets of any port. It is bound to an
 * address of loopback, and to a port outside @port_min to @port_max while one is free. Returns its
 * descriptor, or -errno.
 * shared_is_usable - another process made @fd that way for this family.
 */
int shared_new(enum addr_family family, uint16_t port_min, uint16_t port_max);
bool shared_is_usable(int fd, enum addr_family family);

/*
 * shared_receive - let the socket hold thousands of packets, and ask for the destination, the time
 * of arrival, TOS and TTL of each. 0 or -errno.
 */
int shared_receive(int fd, enum addr_family family);

/* shared_new_raw - a raw socket that sends from any port. Its descriptor, or -errno. */
int shared_new_raw(enum addr_family family);

#endif
