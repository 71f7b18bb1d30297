/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * genl.h - the module's generic netlink family.
 */
#ifndef RTPX_KMOD_GENL_H
#define RTPX_KMOD_GENL_H

/* genl_init - register the family; commands run from now on. 0 or -errno. */
int genl_init(void);
void genl_exit(void);

#endif
