/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kmod.h - the dataplane of the netfilter module.
 */
#ifndef RTPX_KMOD_H
#define RTPX_KMOD_H

#include "dataplane/dp.h"

/* dp_kmod_open - as struct dataplane.open. -EEXIST: see choice.h. */
int dp_kmod_open(struct dp **out, const struct dp_opts *opts, char *err, size_t err_size);
/* dp_kmod_abandon - as dp_xdp_abandon(). Spares living daemons. */
void dp_kmod_abandon(const struct dp_opts *opts);
/* dp_kmod_loaded - true if the module is in this kernel. */
bool dp_kmod_loaded(void);

#endif
