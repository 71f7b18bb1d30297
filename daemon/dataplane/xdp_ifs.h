/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_ifs.h - the interfaces that run the XDP program: attaches it to new ones, forgets those that
 * are gone, and finds out through which ones packets can leave. Has no flows and no statistics.
 */
#ifndef RTPX_XDP_IFS_H
#define RTPX_XDP_IFS_H

#include "base/base.h"
#include "dataplane/dp.h"
#include "dataplane/xdp_hops.h"
#include "dataplane/xdp_ingress.h"
#include "dataplane/xdp_pins.h"

struct xdp_ifs;

/* The loaded program and its maps. All of it is borrowed until xdp_ifs_close(). */
struct xdp_ifs_program {
	int native, generic; /* programs for the two modes */
	struct xdp_hops *hops;
	struct xdp_ingress *ingress;
	struct xdp_pins *pins; /* for the links */
};

/*
 * xdp_ifs_new - keeps opts->mode and the names of opts->interfaces; none: all suitable interfaces.
 * 0 or -ENOMEM.
 */
int xdp_ifs_new(struct xdp_ifs **out, const struct dp_opts *opts, const struct xdp_ifs_program *p);
/* xdp_ifs_close - detach the program. @keep: leave it for the next daemon. NULL is allowed. */
void xdp_ifs_close(struct xdp_ifs *ifs, bool keep);

/*
 * xdp_ifs_take_over - take over the pinned links of the previous daemon. Each gets our program now;
 * @later: with xdp_ifs_put_program(). A link that is not wanted or fails is removed.
 */
void xdp_ifs_take_over(struct xdp_ifs *ifs, bool later);
/* xdp_ifs_put_program - replace the program of the links that were taken over by ours. */
void xdp_ifs_put_program(struct xdp_ifs *ifs);
/* xdp_ifs_change_program - put other programs into the place of ours, each between two packets. */
void xdp_ifs_change_program(struct xdp_ifs *ifs, int native, int generic);

/*
 * xdp_ifs_begin - attach to all suitable interfaces for the first time. If no interface can send in
 * native mode, switch all to generic mode. 0; -ENODEV: no interface runs the program, with a
 * sentence in @err.
 */
int xdp_ifs_begin(struct xdp_ifs *ifs, char *err, size_t err_size);
/* xdp_ifs_rescan - call after links came, went or changed. */
void xdp_ifs_rescan(struct xdp_ifs *ifs);
/*
 * xdp_ifs_look - call twice a second, because the kernel does not announce a detached program.
 * True: another process has detached our program or removed its own; call xdp_ifs_rescan().
 */
bool xdp_ifs_look(struct xdp_ifs *ifs);

/* xdp_ifs_describe - write one or two sentences about the interfaces and their modes to @text. */
void xdp_ifs_describe(const struct xdp_ifs *ifs, char *text, size_t size);
/* xdp_ifs_count - the number of interfaces, with those that do not run the program. */
unsigned int xdp_ifs_count(const struct xdp_ifs *ifs);
/* xdp_ifs_list - write at most @max interfaces to @out; returns the number of all. */
unsigned int xdp_ifs_list(const struct xdp_ifs *ifs, struct dp_interface *out, unsigned int max);
/* xdp_ifs_serves - true if packets can leave through this interface. */
bool xdp_ifs_serves(const struct xdp_ifs *ifs, unsigned int ifindex);

#endif
