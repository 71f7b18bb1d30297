/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * compat.h - where kernels from 6.1 on differ. Each entry says with which oldest kernel it can go.
 */
#ifndef RTPX_KMOD_COMPAT_H
#define RTPX_KMOD_COMPAT_H

#include <linux/version.h>

/* 6.2: what pre_doit() and post_doit() are given of an operation is called another name. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define genl_split_ops genl_ops
#endif

#endif
