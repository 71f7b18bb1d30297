/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * card.h - the checks of one network interface by rtpxctl doctor: its link, MTU and offloads, and
 * whether its packets reach all CPUs.
 */
#ifndef RTPX_CARD_H
#define RTPX_CARD_H

#include "findings.h"

/* card_check - of an interface in the network namespace of this process. */
void card_check(struct findings *f, const char *ifname);

#endif
