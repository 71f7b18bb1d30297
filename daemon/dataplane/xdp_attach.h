/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xdp_attach.h - one XDP program and one interface: attach it, or say in a sentence what stands in
 * the way and what to type; find out whether frames can be sent there. Knows no maps and keeps
 * nothing.
 */
#ifndef RTPX_XDP_ATTACH_H
#define RTPX_XDP_ATTACH_H

#include "base/base.h"
#include "dataplane/dp.h"

/* xdp_messages - libbpf's messages go to our log from now on; xdp_last_words - the last warning, ""
 * if there was none. */
void xdp_messages(void);
const char *xdp_last_words(void);

/* xdp_reason_add - one more sentence in i->reason. */
void xdp_reason_add(struct dp_interface *i, const char *text);

/* xdp_driver - name of the driver, "" when there is none to ask. */
void xdp_driver(const char *ifname, char driver[32]);

/* xdp_foreign - id of an XDP program on the interface, 0: none; ours counts too, so ask before
 * attaching. */
uint32_t xdp_foreign(unsigned int ifindex);

/*
 * xdp_attach - attach a program to @i by a BPF link: @native in the driver, or else @generic behind
 * it, as @mode allows. Returns the link's descriptor, the caller's to close, with i->mode set; or
 * -errno (-EBUSY: somebody else's program, which stays). i->reason gets the sentences: what was
 * refused in the driver's words, and the remedy. @not_generic: why generic mode is out of the
 * question here; NULL: it is not.
 */
int xdp_attach(int native, int generic, struct dp_interface *i, enum dp_xdp_mode mode,
	       const char *not_generic);

/*
 * xdp_generic_fault - generic mode would not see packets of @i as they are: a tag that the driver has
 * taken off, while there are VLANs (@vlans); or packets that were merged into a list. @why gets the
 * remedy. False: it sees them.
 */
bool xdp_generic_fault(const struct dp_interface *i, bool vlans, char *why, size_t size);

/*
 * xdp_can_send - whether frames that arrived on an interface in native mode can leave through @i.
 * With @try, and always on kernels that do not know the abilities of interfaces (before 6.3), a
 * veth is sent one harmless frame, to see whether it gets out; of other drivers it is there
 * concluded from their taking the program. When not, @why gets the remedy.
 *
 * What can be forwarded where (Linux 6.18): native ingress needs ndo_xdp_xmit on egress, working:
 * for a veth, its far end must run NAPI. Generic ingress transmits as the stack does and works
 * towards any interface.
 */
bool xdp_can_send(const struct dp_interface *i, bool try, char *why, size_t size);

/* xdp_preflight - settings under which XDP works badly, with the remedy; false when there are none.
 */
bool xdp_preflight(const struct dp_interface *i, char *why, size_t size);

#endif
