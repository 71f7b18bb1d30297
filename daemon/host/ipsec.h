/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipsec.h - the host's IPsec (XFRM) policies for what it sends, followed by XFRM netlink.
 */
#ifndef RTPX_IPSEC_H
#define RTPX_IPSEC_H

#include "base/base.h"
#include "host/outgoing.h"

struct event_base;
struct ipsec;

/*
 * ipsec_new - @changed: the policies are others now; from the event loop. 0 or -errno. Without @base
 * nothing is read, and there are no policies.
 */
int ipsec_new(struct ipsec **out, struct event_base *base, void (*changed)(void *arg), void *arg);
void ipsec_free(struct ipsec *i); /* NULL is allowed */

/* ipsec_refused - the kernel does not let this process read policies: CAP_NET_ADMIN is missing. */
bool ipsec_refused(const struct ipsec *i);

/*
 * ipsec_takes - the host encrypts or drops @p; when a port of @p is not known, also when it does so
 * for some port. True for every packet when the policies cannot be read.
 */
bool ipsec_takes(const struct ipsec *i, const struct outgoing *p);

/* ipsec_by_port - the answer for @p needs its ports. */
bool ipsec_by_port(const struct ipsec *i);

/* ipsec_describe - what the host has, for people: "2 outgoing IPsec policies"; "" when nothing. */
const char *ipsec_describe(const struct ipsec *i, char *buf, size_t size);

#endif
