/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * compat.h - where kernels from 6.1 on differ, by what features.sh has found. Each entry says with
 * which oldest kernel it can go.
 */
#ifndef RTPX_KMOD_COMPAT_H
#define RTPX_KMOD_COMPAT_H

#include <net/flow.h>
#include <net/ip.h>

#include "features.h"

#if !defined(RTPX_HAVE_ANYTHING) || defined(RTPX_HAVE_NONSENSE)
#error "features.sh cannot tell what compiles for this kernel"
#endif

/* 6.2: the operation that pre_doit() and post_doit() are given has another name. */
#ifndef RTPX_HAVE_GENL_SPLIT_OPS
#define genl_split_ops genl_ops
#endif

/* 6.18: routing is asked with a DSCP. */
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
