/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipsec.h - the host's IPsec (XFRM) policies for outgoing packets, kept current by XFRM netlink.
 */
#ifndef RTPX_IPSEC_H
#define RTPX_IPSEC_H

#include "base/base.h"
#include "host/outgoing.h"

struct event_base;
struct ipsec;

/*
 * ipsec_new - read the policies. @changed is called from the event loop after they changed. 0 or
 * -errno. Without @base nothing is read, and there are no policies.
 */
int ipsec_new(struct ipsec **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void ipsec_free(struct ipsec *i); /* NULL is allowed */

/* ipsec_refused - the kernel does not let this process read policies: CAP_NET_ADMIN is missing. */
bool ipsec_refused(const struct ipsec *i);

/*
 * ipsec_takes - true when the host encrypts or drops @p. If a port of @p is unknown, true when it
 * does so for some port. True for every packet when the policies cannot be read.
 */
bool ipsec_takes(const struct ipsec *i, const struct outgoing *p);

/* ipsec_by_port - a policy names ports, so ipsec_takes() needs the ports of the packet. */
bool ipsec_by_port(const struct ipsec *i);

/* ipsec_describe - "2 outgoing IPsec policies that encrypt or block"; "" when there are none. */
const char *ipsec_describe(const struct ipsec *i, char *buf, size_t size);

#endif
