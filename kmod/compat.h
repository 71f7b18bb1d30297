/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * compat.h - the differences between kernels from 6.1 on, as features.sh finds them. Each entry
 * names the kernel version with which it can go: once that is the oldest supported kernel.
 */
#ifndef RTPX_KMOD_COMPAT_H
#define RTPX_KMOD_COMPAT_H

#include <net/flow.h>
#include <net/ip.h>

#include "features.h"

#if !defined(RTPX_HAVE_ANYTHING) || defined(RTPX_HAVE_NONSENSE)
#error "features.sh cannot tell what compiles for this kernel"
#endif

/* 6.2: the operation that pre_doit() and post_doit() get has another type name. */
#ifndef RTPX_HAVE_GENL_SPLIT_OPS
#define genl_split_ops genl_ops
#endif

/* 6.18: routing takes a DSCP instead of a TOS. */
#ifdef RTPX_HAVE_FLOWI4_DSCP
static inline void flow_set_tos(struct flowi4 *fl, u8 tos)
{
	fl->flowi4_dscp = inet_dsfield_to_dscp(tos);
}
#else
static inline void flow_set_tos(struct flowi4 *fl, u8 tos)
{
	fl->flowi4_tos = RT_TOS(tos);
}
#endif

#endif
