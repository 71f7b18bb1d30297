/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_attach.h - attaches an XDP program to one interface, or explains the obstacle and the command
 * to type. Finds out whether frames can be sent there. Uses no maps and keeps no state.
 */
#ifndef RTPX_XDP_ATTACH_H
#define RTPX_XDP_ATTACH_H

#include "base/base.h"
#include "dataplane/dp.h"

/* xdp_messages - send libbpf's messages to our log from now on.
 * xdp_last_words - libbpf's most recent warning; "": none. */
void xdp_messages(void);
const char *xdp_last_words(void);

/* xdp_reason_add - add a sentence to i->reason. */
void xdp_reason_add(struct dp_interface *i, const char *text);

/* xdp_driver - the name of the driver; "": unknown. */
void xdp_driver(const char *ifname, char driver[32]);

/* xdp_foreign - the id of an XDP program on the interface; 0: none. Ours counts too, so call it
 * before attaching. */
uint32_t xdp_foreign(unsigned int ifindex);

/*
 * xdp_attach - attach a program to @i by a BPF link: @native in the driver, else @generic behind
 * it, as @mode allows. Sets i->mode and returns the link's descriptor, which the caller closes; or
 * -errno (-EBUSY: the interface has a program of another owner, which stays). i->reason gets the
 * driver's messages about refusals, and the remedies. @not_generic: the reason against generic mode
 * here; NULL: none.
 */
int xdp_attach(int native, int generic, struct dp_interface *i, enum dp_xdp_mode mode,
	       const char *not_generic);

/*
 * xdp_generic_fault - true if generic mode would not see packets of @i as they are. Causes: the
 * driver takes off tags while there are VLANs (@vlans), or GRO merges packets into a list. @why
 * then gets the remedy.
 */
bool xdp_generic_fault(const struct dp_interface *i, bool vlans, char *why, size_t size);

/*
 * xdp_can_send - true if frames that arrived on an interface in native mode can leave through @i.
 * Else @why gets the remedy. With @try, and always on kernels before 6.3, which do not tell the
 * features of interfaces, it sends a harmless frame through a veth and checks that it gets out. For
 * other drivers on such kernels, a driver that takes the program counts as able to send.
 *
 * Rules of forwarding (Linux 6.18): from native ingress, egress needs a working ndo_xdp_xmit; the
 * far end of a veth must run NAPI. From generic ingress, packets leave as the stack sends them,
 * through any interface.
 */
bool xdp_can_send(const struct dp_interface *i, bool try, char *why, size_t size);

/* xdp_preflight - true if a setting of @i makes XDP work badly; @why gets the remedy. */
bool xdp_preflight(const struct dp_interface *i, char *why, size_t size);

#endif
