/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_inquiry.h - asks in a thread whether interfaces still have their programs. The kernel answers
 * only when no other process changes a link: on a host that starts containers that takes up to half
 * a second.
 */
#ifndef RTPX_XDP_INQUIRY_H
#define RTPX_XDP_INQUIRY_H

#include "base/base.h"
#include "rtpx_abi.h"

struct xdp_inquiry;

/* A question about an interface, and its answer. */
struct xdp_asked {
	unsigned int ifindex;
	int link;	   /* BPF link on the interface; -1: none */
	bool detached;	   /* the answer with a link */
	uint32_t programs; /* the answer without a link: as xdp_foreign() */
};

/* xdp_inquiry_new - 0 or -ENOMEM. The thread starts with the first question. */
int xdp_inquiry_new(struct xdp_inquiry **out);
/* xdp_inquiry_free - does not wait: a thread that does frees the memory. NULL is allowed. */
void xdp_inquiry_free(struct xdp_inquiry *q);

/* xdp_inquiry_is_idle - no question is under way, and no answer waits. */
bool xdp_inquiry_is_idle(const struct xdp_inquiry *q);
/*
 * xdp_inquiry_ask - ask about at most RTPX_MAX_TX_PORTS interfaces. Only when idle. Their links may
 * be closed at any time: the thread has duplicates. Without a thread, ask at once.
 */
void xdp_inquiry_ask(struct xdp_inquiry *q, const struct xdp_asked *about, unsigned int n);
/*
 * xdp_inquiry_answers - copy the answers to @out, which has room for RTPX_MAX_TX_PORTS; each comes
 * once. Returns their number. 0: there is none, or not yet.
 */
unsigned int xdp_inquiry_answers(struct xdp_inquiry *q, struct xdp_asked *out);

/* xdp_link_is_detached - true if the link has no interface any more. Waits for the kernel. */
bool xdp_link_is_detached(int link);

#endif
