/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * copies.h - copies of packets that were sent, in netlink messages for the table's owner.
 */
#ifndef RTPX_KMOD_COPIES_H
#define RTPX_KMOD_COPIES_H

#include "table.h"

/*
 * copies_add - keep a copy of a packet that is sent, for the owner. The payload begins at offset
 * @payload of @skb. False: no room. BH is off.
 */
bool copies_add(struct table *t, const struct flow *f, const struct rtpx_packet *p,
		const struct sk_buff *skb, unsigned int payload);

/*
 * copies_resize - make room for @bytes of messages. Under rtpx_net.lock; sleeps. -ENOMEM; -EINTR: a
 * signal kills the owner. After an error there is no room.
 */
int copies_resize(struct table *t, u32 bytes);

/* copies_listen - notify the netlink port @portid when copies wait. */
void copies_listen(struct table *t, u32 portid);
/* copies_unlisten - @portid is closed; does nothing if another port listens. */
void copies_unlisten(struct table *t, u32 portid);

/*
 * copies_take - the oldest message; NULL: none, and the next copy notifies the listener. Replaces
 * the message by a spare one; without memory there is room for fewer copies until the next call.
 * Under rtpx_net.lock; sleeps.
 */
struct sk_buff *copies_take(struct table *t);

#endif
